//! One page at a time from the API: the credential at the moment of use, another try where it helps, one refresh after
//! a 401.

use std::time::Duration;

use ::http::StatusCode;
use url::Url;

use super::error::Error;
use super::records::{Page, open_page};
use super::request::Endpoint;
use crate::auth::{Access, Use};
use crate::http::attempts::Attempts;
use crate::http::{self, BodyBound, Client, Reply, Request};
use crate::limits::{METADATA_BYTES_MAX, PAGE_REREADS_MAX, RETRY_WAIT_MIN};
use crate::model::plan::RecordsAt;
use crate::paging::walk::{PageToken, Wants};

/// A remote API with its client and its credential.
pub(crate) struct Source {
    client: Client,
    access: Access,
    page_bytes_max: u64,
}

impl Source {
    pub(crate) fn new(client: Client, access: Access, page_bytes_max: u64) -> Self {
        Source { client, access, page_bytes_max }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Reads one page whole. `before` is the page before it.
    pub(crate) async fn read_page(
        &self,
        endpoint: &Endpoint,
        token: &PageToken,
        at: &RecordsAt,
        wants: &Wants,
        before: Option<&Page>,
    ) -> Result<Page, Error> {
        let asked_at: Option<&Url> = before.map(|page| &page.url);
        let request = endpoint.request(token, asked_at)?;
        let bound = BodyBound { bytes_max: self.page_bytes_max, limit: "`source.network.page_mib`" };
        let mut rereads = 0;
        loop {
            let reply = self.read(request.clone(), bound).await?;
            match open_page(reply, at, wants, before) {
                // Half a document over HTTP/1.0 looks like success to the transport.
                Err(error) if error.is_unreadable_page() && rereads < PAGE_REREADS_MAX => {
                    rereads += 1;
                    self.client.wait(RETRY_WAIT_MIN * 2_u32.pow(rereads as u32)).await?;
                }
                opened => return opened,
            }
        }
    }

    /// Reads an OData service's description of its types.
    pub(crate) async fn read_metadata(&self, endpoint: &Endpoint, base_url: &Url) -> Result<Reply, Error> {
        let bound = BodyBound { bytes_max: METADATA_BYTES_MAX, limit: "METADATA_BYTES_MAX" };
        self.read(endpoint.metadata_request(base_url)?, bound).await
    }

    async fn read(&self, request: Request, bound: BodyBound) -> Result<Reply, Error> {
        let mut attempts = Attempts::new();
        let mut refused: Option<Use> = None;
        loop {
            let mut sent = request.clone();
            let used = self.access.authorize(&mut sent, refused).await?;
            let error = match self.access.send(&self.client, sent, bound).await? {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if is_unauthorized(&error) && refused.is_none() && matches!(used, Use::Token { .. }) {
                refused = Some(used);
                continue;
            }
            let wait: Duration = match attempts.after(error, self.client.contact()) {
                Ok(wait) => wait,
                Err(source) if attempts.made() > 1 => return Err(Error::GaveUp { tries: attempts.made(), source }),
                Err(source) => return Err(source.into()),
            };
            self.client.wait(wait).await?;
            // A long wait may outlive the next token as well.
            refused = None;
        }
    }
}

fn is_unauthorized(error: &http::Error) -> bool {
    matches!(error, http::Error::Status { status, .. } if *status == StatusCode::UNAUTHORIZED)
}
