//! One page at a time from the API: the credential at the moment of use, another try where it helps, one refresh after
//! a 401.

use std::io::Read as _;
use std::time::Duration;

use ::http::header::ACCEPT;
use ::http::{HeaderValue, StatusCode};
use url::Url;

use super::decode;
use super::error::Error;
use super::guess::Seen;
use super::page::{Page, PageReading, Trust, open_page};
use super::request::Endpoint;
use super::rules;
use crate::auth::{Access, Use};
use crate::http::attempts::Attempts;
use crate::http::{self, Body, BodyBound, Client, Reply, Request};
use crate::limits::{ATTEMPTS_MAX, METADATA_BYTES_MAX, PAGE_REREADS_MAX, RETRY_WAIT_MIN};
use crate::model::answer::AnswerFormat;
use crate::model::request::{ResponseRule, Verdict};
use crate::paging::walk::PageToken;

/// A remote API with its client and its credential.
pub(crate) struct Source {
    client: Client,
    access: Access,
    page_bytes_max: u64,
    tries_max: usize,
}

/// What came of asking for a page.
#[derive(Debug)]
pub(crate) enum Answer {
    Page(Box<Page>),
    /// A rule says that there is nothing.
    Empty,
    /// A rule says that the page before was the last one.
    End,
}

/// As `Answer`, before the page is opened.
enum Read {
    Reply(Box<Reply>, Trust),
    Empty,
    End,
}

impl Source {
    pub(crate) fn new(client: Client, access: Access, page_bytes_max: u64) -> Self {
        Source { client, access, page_bytes_max, tries_max: ATTEMPTS_MAX }
    }

    /// The same for somebody who waits for the answer: no more than so many tries of a request.
    pub(crate) fn with_tries(self, tries_max: usize) -> Self {
        Source { tries_max, ..self }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Reads one page whole. `asked_at` is where the page before it came from.
    pub(crate) async fn read_page(
        &self,
        endpoint: &Endpoint,
        token: &PageToken,
        asked_at: Option<&Url>,
        reading: &PageReading<'_>,
    ) -> Result<Answer, Error> {
        let request = endpoint.request(token, asked_at)?;
        let bound = BodyBound { bytes_max: self.page_bytes_max, limit: "`source.network.page_mib`" };
        let mut rereads = 0;
        loop {
            let asked = self.read(&request, bound, reading.rules).await;
            let (reply, trust) = match asked.map_err(|error| past_end(error, token, asked_at))? {
                Read::Reply(reply, trust) => (*reply, trust),
                Read::Empty => return Ok(Answer::Empty),
                Read::End => return Ok(Answer::End),
            };
            match opened(reply, reading, trust, self.page_bytes_max) {
                // Half a document over HTTP/1.0 and a cut gzip look like success to the transport.
                Err(error) if error.is_unreadable_page() && rereads < PAGE_REREADS_MAX => {
                    rereads += 1;
                    self.client.wait(RETRY_WAIT_MIN * 2_u32.pow(rereads as u32)).await?;
                }
                opened => return opened.map(|page| Answer::Page(Box::new(page))),
            }
        }
    }

    /// As `read_page`, for a page that is asked for before its turn.
    pub(crate) async fn read_page_owned(
        &self,
        endpoint: &Endpoint,
        token: PageToken,
        reading: PageReading<'_>,
    ) -> Result<Answer, Error> {
        self.read_page(endpoint, &token, None, &reading).await
    }

    /// Reads the answer to the first request of a stream as it comes, whatever it is. The description of an OData
    /// service is XML, which is asked for by name.
    pub(crate) async fn look(&self, endpoint: &Endpoint) -> Result<Seen, Error> {
        let mut request = endpoint.request(&PageToken::First, None)?;
        if request.url.path().ends_with("$metadata") {
            request.headers.insert(ACCEPT, HeaderValue::from_static("application/xml"));
        }
        let Reply { status, url, headers, body } = self.read_once(request).await?;
        let body = match body {
            Body::Memory(body) => body,
            Body::File(mut file) => {
                let mut whole = Vec::new();
                // Bounded when it was received.
                tokio::task::block_in_place(|| file.read_to_end(&mut whole)).map_err(decode::Error::from)?;
                whole.into()
            }
        };
        Ok(Seen { url, status, headers, body })
    }

    /// Asks for something that is no page and has no rules, with the credential, its one refresh and other tries.
    pub(crate) async fn ask(&self, request: &Request, bound: BodyBound) -> Result<Reply, Error> {
        match self.read(request, bound, &[]).await? {
            Read::Reply(reply, _) => Ok(*reply),
            Read::Empty | Read::End => unreachable!("there is no rule"),
        }
    }

    /// Reads an answer that is no page.
    pub(super) async fn read_once(&self, request: Request) -> Result<Reply, Error> {
        let bound = BodyBound { bytes_max: self.page_bytes_max, limit: "`source.network.page_mib`" };
        self.ask(&request, bound).await
    }

    /// Reads an OData service's description of its types.
    pub(crate) async fn read_metadata(&self, endpoint: &Endpoint, base_url: &Url) -> Result<Reply, Error> {
        let bound = BodyBound { bytes_max: METADATA_BYTES_MAX, limit: "METADATA_BYTES_MAX" };
        match self.read(&endpoint.metadata_request(base_url)?, bound, &[]).await? {
            Read::Reply(reply, _) => Ok(*reply),
            Read::Empty | Read::End => Err(Error::Metadata { why: "it is empty".to_owned() }),
        }
    }

    async fn read(&self, request: &Request, bound: BodyBound, rules: &[ResponseRule]) -> Result<Read, Error> {
        let mut attempts = Attempts::new(self.client.pause_max()).at_most(self.tries_max);
        let mut refused: Option<Use> = None;
        loop {
            let mut sent = request.clone();
            let is_home = self.client.is_home(&sent.url);
            let used = if is_home { self.access.authorize(&mut sent, refused).await? } else { Use::Fixed };
            let answer = match is_home {
                true => self.access.send(&self.client, sent, bound).await?,
                false => self.client.send(sent, bound).await,
            };
            if matches!(answer, Err(http::Error::Waited)) {
                // Not an attempt: nothing was sent.
                refused = None;
                continue;
            }
            let mut trust = Trust::Looked;
            let judged = rules::judge(rules, &answer)?;
            match judged.map(|judged| (judged.verdict, judged.say)) {
                None => {}
                Some((Verdict::Empty, _)) => return Ok(Read::Empty),
                Some((Verdict::End, _)) => return Ok(Read::End),
                // A failure stays one.
                Some((Verdict::Accept, _)) => trust = Trust::Accepted,
                Some((Verdict::Fail, say)) => return Err(Error::Rule { say: said(say, &answer) }),
                Some((Verdict::Retry, say)) => match attempts.after_rule() {
                    Some(wait) => {
                        self.client.wait(wait).await?;
                        refused = None;
                        continue;
                    }
                    None => return Err(Error::RuleGaveUp { tries: attempts.made(), say: said(say, &answer) }),
                },
            }
            let error = match answer {
                Ok(reply) => return Ok(Read::Reply(Box::new(reply), trust)),
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

/// What a rule says, or else the answer itself.
fn said(say: Option<String>, answer: &Result<Reply, http::Error>) -> String {
    say.unwrap_or_else(|| match answer {
        Ok(reply) => format!("{}: {}", reply.status, http::excerpt(reply.body.in_memory())),
        Err(error) => error.to_string(),
    })
}

/// Opens a page; a large one, or one that is unpacked first, where blocking harms nobody.
fn opened(reply: Reply, reading: &PageReading<'_>, trust: Trust, bytes_max: u64) -> Result<Page, Error> {
    let is_small = matches!(reply.body, Body::Memory(_)) && *reading.format == AnswerFormat::Json;
    if is_small {
        return open_page(reply, reading, trust, bytes_max);
    }
    tokio::task::block_in_place(|| open_page(reply, reading, trust, bytes_max))
}

/// Past the last page some APIs answer an error; a page that we counted to may be that one.
fn past_end(error: Error, token: &PageToken, asked_at: Option<&Url>) -> Error {
    let is_counted = matches!(token, PageToken::Offset(_) | PageToken::Page(_)) && asked_at.is_some();
    match error {
        Error::Http(source @ http::Error::Status { status, .. })
            if is_counted && matches!(status.as_u16(), 400 | 404 | 410 | 416 | 422) =>
        {
            Error::PerhapsPastEnd { source }
        }
        error => error,
    }
}

fn is_unauthorized(error: &http::Error) -> bool {
    matches!(error, http::Error::Status { status, .. } if *status == StatusCode::UNAUTHORIZED)
}
