//! Token requests: one at a time over a connection of their own, because what they buy may be bought only once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;
use url::Url;

use super::body::{BodyBound, read_bounded};
use super::client::{sending_error, status_error};
use super::deadline::{Deadline, StepLimit};
use super::error::Error;
use super::network::Network;
use crate::limits::{STALL_WAIT_MAX, TOKEN_BYTES_MAX, TOKEN_WAIT_MAX};
use crate::secret::SafeUrl;

/// To read what has arrived already.
const ARRIVED_WAIT: Duration = Duration::from_millis(250);

/// How a token request ended, as far as HTTP can tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The request certainly did not reach the server.
    #[error(transparent)]
    NotSent(Error),
    /// The server may or may not have acted.
    #[error(transparent)]
    Ambiguous(Error),
}

/// The outcome of a token request, or `None` after the wait. A process that was stopped, or a machine that slept, finds
/// its time over on waking, and perhaps the answer too: what has arrived is taken, because it cannot be had again.
pub(crate) async fn within<T>(wait: Duration, request: impl Future<Output = T>) -> Option<T> {
    let mut request = std::pin::pin!(request);
    match tokio::time::timeout(wait, &mut request).await {
        Ok(outcome) => Some(outcome),
        Err(_) => tokio::time::timeout(ARRIVED_WAIT, request).await.ok(),
    }
}

/// Sends token requests: a fresh connection each, no redirect, no retry of its own, bounded in time and size.
#[derive(Clone)]
pub(crate) struct TokenChannel {
    network: Arc<Network>,
}

/// Which way a request takes.
#[derive(Debug, Clone, Copy)]
enum Route<'u> {
    /// As the job's network says, to where this address of the job leads.
    Network(&'u Url),
    /// Past every proxy and unguarded.
    Platform,
}

impl TokenChannel {
    /// A channel of the job's network.
    pub(crate) fn new(network: Arc<Network>) -> Self {
        TokenChannel { network }
    }

    /// Sends one request and gives the answer with any status below 300, or from 400 to 499. `configured` is the address
    /// in the job that led to the request's own; what the address guard admits is counted from it.
    pub(crate) async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        configured: &Url,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        let (url, answer) = self.exchange(request, Route::Network(configured)).await?;
        let status = answer.status();
        if status.is_server_error() || status.is_redirection() {
            let error = status_error(url, status, answer.headers(), None, None, Bytes::copy_from_slice(answer.body()));
            return Err(TokenError::Ambiguous(error));
        }
        Ok(answer)
    }

    /// As `send`, and gives the answer with any status; a redirect is an answer and is not followed.
    pub(crate) async fn send_for_any(
        &self,
        request: http::Request<Vec<u8>>,
        configured: &Url,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        Ok(self.exchange(request, Route::Network(configured)).await?.1)
    }

    /// As `send_for_any`, past every proxy and the address guard: for the platform's own link-local services, which no
    /// proxy reaches.
    pub(crate) async fn send_to_platform(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        Ok(self.exchange(request, Route::Platform).await?.1)
    }

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        route: Route<'_>,
    ) -> Result<(SafeUrl, http::Response<Vec<u8>>), TokenError> {
        let url: Url = request
            .uri()
            .to_string()
            .parse()
            .map_err(|source| TokenError::NotSent(Error::LinkUnreadable { source }))?;
        let asked = SafeUrl::new(url.clone());
        // No redirect is followed.
        let is_tls = url.scheme() != "http";
        let client = match route {
            Route::Network(configured) => {
                self.network.builder(&url, configured, is_tls).map_err(TokenError::NotSent)?
            }
            Route::Platform => self.network.platform_builder(is_tls),
        };
        let client = client
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|source| TokenError::NotSent(Error::Setup { source }))?;
        let (parts, body) = request.into_parts();
        let sent = client.request(parts.method, url).headers(parts.headers).body(body).send();
        let timed_out = || {
            let (url, waited, limit) = (asked.clone(), TOKEN_WAIT_MAX, "TOKEN_WAIT_MAX");
            TokenError::Ambiguous(Error::TimedOut { url, waited, limit })
        };
        let waits = self.network.waits();
        let mut response = within(TOKEN_WAIT_MAX, sent).await.ok_or_else(timed_out)?.map_err(|source| {
            match sending_error(&asked, waits, source) {
                error @ (Error::Unreachable { .. } | Error::NoConnection { .. } | Error::AddressRefused { .. }) => {
                    TokenError::NotSent(error)
                }
                error => TokenError::Ambiguous(error),
            }
        })?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let bound = BodyBound { bytes_max: TOKEN_BYTES_MAX, limit: "TOKEN_BYTES_MAX" };
        // Not the job's own wait for a stalled body: `within` decides, which takes what has arrived.
        let stall = StepLimit { waited: STALL_WAIT_MAX, name: "STALL_WAIT_MAX" };
        let mut deadline = Deadline::new(&asked, None);
        let body = within(TOKEN_WAIT_MAX, read_bounded(response, &headers, &asked, bound, stall, &mut deadline))
            .await
            .ok_or_else(timed_out)?
            .map_err(TokenError::Ambiguous)?;
        let mut answer = http::Response::new(body.in_memory().to_vec());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok((asked, answer))
    }
}
