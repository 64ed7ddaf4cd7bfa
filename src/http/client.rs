//! The two HTTP clients: one for a source's pages, pooled and paced; one for token requests, fresh for every request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::redirect::Policy;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::attempts::Contact;
use super::body::{Body, BodyBound, excerpt, read_bounded};
use super::error::Error;
use super::origin::Origin;
use super::pace::Pace;
use super::patience::Patience;
use crate::limits::{CONNECT_WAIT_MAX, REDIRECTS_MAX, STALL_WAIT_MAX, TOKEN_BYTES_MAX, TOKEN_WAIT_MAX};
use crate::secret::SafeUrl;

/// To read what has arrived already.
const ARRIVED_WAIT: Duration = Duration::from_millis(250);
const USER_AGENT: &str = concat!("haul/", env!("CARGO_PKG_VERSION"));

/// A request with its headers; credentials are added by the caller at the moment of use.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// Absent = no body.
    pub body: Option<Bytes>,
}

impl Request {
    /// A GET.
    pub(crate) fn get(url: Url, headers: HeaderMap) -> Self {
        Request { method: Method::GET, url, headers, body: None }
    }
}

/// A whole answer with a status below 300.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    /// Where the answer came from, after redirects within the origin: the base of relative next links.
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Body,
}

/// What the source was asked, over all its streams.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub attempts: AtomicU64,
    pub retries: AtomicU64,
    pub bytes: AtomicU64,
}

/// How a client uses its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    Many,
    /// One request after another over one connection where the server allows it: some logins are of a connection.
    One,
}

/// Client of one source.
pub(crate) struct Client {
    inner: reqwest::Client,
    origin: Origin,
    pace: Pace,
    cancel: CancellationToken,
    is_reached: AtomicBool,
    counters: Counters,
}

impl Client {
    /// A client whose requests never leave the origin and those that it lets in.
    pub(crate) fn open(
        origin: Origin,
        pace: Pace,
        connections: Connections,
        cancel: CancellationToken,
    ) -> Result<Self, Error> {
        let builder = match connections {
            Connections::Many => builder(),
            Connections::One => builder().http1_only().pool_max_idle_per_host(1).connector_layer(Patience::default()),
        };
        let inner = builder.redirect(same_origin(origin.clone())).build().map_err(|source| Error::Setup { source })?;
        Ok(Client { inner, origin, pace, cancel, is_reached: AtomicBool::new(false), counters: Counters::default() })
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the credential may be sent with a request.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        self.origin.is_home(url)
    }

    /// Whether this source ever answered in this run.
    pub(crate) fn contact(&self) -> Contact {
        if self.is_reached.load(Ordering::Relaxed) { Contact::Made } else { Contact::First }
    }

    /// Longest wait inside a run.
    pub(crate) fn pause_max(&self) -> Duration {
        self.pace.pause_max()
    }

    /// How long requests were paused, by the wall clock.
    pub(crate) fn paused(&self) -> Duration {
        self.pace.paused()
    }

    /// Sends once and reads the answer to its end, bounded. A status of 300 and more is an error.
    pub(crate) async fn send(&self, request: Request, bound: BodyBound) -> Result<Reply, Error> {
        self.origin.admit(&request.url)?;
        self.unless_cancelled(async {
            let _permit = self.pace.enter().await?;
            self.counters.attempts.fetch_add(1, Ordering::Relaxed);
            self.exchange(request, bound).await
        })
        .await
    }

    /// Waits before another try; cut short by a signal.
    pub(crate) async fn wait(&self, wait: std::time::Duration) -> Result<(), Error> {
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        self.pause(wait).await
    }

    /// Waits; cut short by a signal.
    pub(crate) async fn pause(&self, wait: std::time::Duration) -> Result<(), Error> {
        self.unless_cancelled(async {
            tokio::time::sleep(wait).await;
            Ok(())
        })
        .await
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Interrupted),
            done = work => done,
        }
    }

    async fn exchange(&self, request: Request, bound: BodyBound) -> Result<Reply, Error> {
        let asked = SafeUrl::new(request.url.clone());
        let mut sent = self.inner.request(request.method, request.url).headers(request.headers);
        if let Some(body) = request.body {
            sent = sent.body(body);
        }
        let sent = sent.send();
        let response = tokio::time::timeout(STALL_WAIT_MAX, sent)
            .await
            .map_err(|_| Error::TimedOut { url: asked.clone(), waited: STALL_WAIT_MAX })?
            .map_err(|source| sending_error(&asked, source))?;
        self.is_reached.store(true, Ordering::Relaxed);
        let url = response.url().clone();
        let status = response.status();
        let headers = response.headers().clone();
        let connection = response.extensions().get::<HttpInfo>().map(HttpInfo::local_addr);
        let asked_wait = self.pace.heed(status, &headers).await;
        let body = read_bounded(response, &asked, bound).await;
        if !status.is_success() {
            // The status is the news, even where its body broke off.
            return Err(status_error(asked, status, &headers, asked_wait, connection, in_memory(body)));
        }
        let body = body?;
        let bytes = match &body {
            Body::Memory(bytes) => bytes.len() as u64,
            Body::File(file) => file.metadata().map_or(0, |file| file.len()),
        };
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Reply { status, url, headers, body })
    }
}

/// The body of an error, as far as it was read and is small.
fn in_memory(body: Result<Body, Error>) -> Bytes {
    match body {
        Ok(Body::Memory(bytes)) => bytes,
        Ok(Body::File(_)) | Err(_) => Bytes::new(),
    }
}

/// The challenges of a 401 (RFC 9110 section 11.6.1).
#[derive(Debug)]
pub(crate) struct Challenge {
    /// The values of `WWW-Authenticate` that are readable.
    pub offers: Vec<String>,
    /// Our end of the connection that the answer came over. Absent = not known.
    pub connection: Option<SocketAddr>,
}

fn challenge_of(status: StatusCode, headers: &HeaderMap, connection: Option<SocketAddr>) -> Option<Box<Challenge>> {
    if status != StatusCode::UNAUTHORIZED {
        return None;
    }
    let offers = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|offer| Some(offer.to_str().ok()?.to_owned()));
    Some(Box::new(Challenge { offers: offers.collect(), connection }))
}

fn status_error(
    url: SafeUrl,
    status: StatusCode,
    headers: &HeaderMap,
    retry_after: Option<Duration>,
    connection: Option<SocketAddr>,
    body: Bytes,
) -> Error {
    if status.is_redirection()
        && let Some(to) = headers.get(http::header::LOCATION).and_then(|to| to.to_str().ok())
    {
        let to = url
            .expose()
            .join(to)
            .map_or_else(|_| "an unreadable address".to_owned(), |to| SafeUrl::new(to).to_string());
        return Error::Redirect { url, to };
    }
    Error::Status {
        url,
        status,
        retry_after,
        excerpt: excerpt(&body),
        body,
        challenge: challenge_of(status, headers, connection),
    }
}

fn sending_error(url: &SafeUrl, source: reqwest::Error) -> Error {
    let url = url.clone();
    let source = source.without_url();
    if source.is_redirect() {
        Error::Redirects { url, max: REDIRECTS_MAX }
    } else if source.is_connect() {
        Error::Unreachable { url, source }
    } else if source.is_timeout() {
        Error::TimedOut { url, waited: CONNECT_WAIT_MAX }
    } else {
        Error::Broken { url, source }
    }
}

fn builder() -> reqwest::ClientBuilder {
    // Installing twice is refused and harmless: the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_WAIT_MAX)
        .referer(false)
        .retry(reqwest::retry::never())
}

/// Redirects are followed within the origin only; elsewhere the redirect itself becomes the answer, and an error.
fn same_origin(origin: Origin) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("too many redirects")
        } else if origin.is_home(attempt.url()) && origin.admit(attempt.url()).is_ok() {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

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
#[derive(Debug, Clone)]
pub(crate) struct TokenChannel;

/// Whether a request may go through the proxy that the environment names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    AsConfigured,
    Direct,
}

impl TokenChannel {
    /// Sends one request and gives the answer with any status below 300, or from 400 to 499.
    pub(crate) async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, TokenError> {
        let (url, answer) = self.exchange(request, Route::AsConfigured).await?;
        let status = answer.status();
        if status.is_server_error() || status.is_redirection() {
            let body = Bytes::copy_from_slice(answer.body());
            let error = status_error(url, status, answer.headers(), None, None, body);
            return Err(TokenError::Ambiguous(error));
        }
        Ok(answer)
    }

    /// Sends one request and gives the answer with any status; a redirect is an answer and is not followed.
    pub(crate) async fn send_for_any(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        Ok(self.exchange(request, Route::AsConfigured).await?.1)
    }

    /// As `send_for_any`, past every proxy: for the platform's own link-local services, which no proxy reaches.
    pub(crate) async fn send_to_platform(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        Ok(self.exchange(request, Route::Direct).await?.1)
    }

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        route: Route,
    ) -> Result<(SafeUrl, http::Response<Vec<u8>>), TokenError> {
        let url: Url = request
            .uri()
            .to_string()
            .parse()
            .map_err(|source| TokenError::NotSent(Error::LinkUnreadable { source }))?;
        let asked = SafeUrl::new(url.clone());
        let client = match route {
            Route::AsConfigured => builder(),
            Route::Direct => builder().no_proxy(),
        };
        let client = client
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|source| TokenError::NotSent(Error::Setup { source }))?;
        let (parts, body) = request.into_parts();
        let sent = client.request(parts.method, url).headers(parts.headers).body(body).send();
        let timed_out = || TokenError::Ambiguous(Error::TimedOut { url: asked.clone(), waited: TOKEN_WAIT_MAX });
        let response =
            within(TOKEN_WAIT_MAX, sent).await.ok_or_else(timed_out)?.map_err(|source| {
                match sending_error(&asked, source) {
                    error @ Error::Unreachable { .. } => TokenError::NotSent(error),
                    error => TokenError::Ambiguous(error),
                }
            })?;
        let status = response.status();
        let headers = response.headers().clone();
        let bound = BodyBound { bytes_max: TOKEN_BYTES_MAX, limit: "TOKEN_BYTES_MAX" };
        let body = within(TOKEN_WAIT_MAX, read_bounded(response, &asked, bound))
            .await
            .ok_or_else(timed_out)?
            .map_err(TokenError::Ambiguous)?;
        let mut answer = http::Response::new(body.in_memory().to_vec());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok((asked, answer))
    }
}
