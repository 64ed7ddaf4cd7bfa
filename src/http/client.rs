//! The HTTP client of a source's pages: pooled, paced, and kept on the source's origin.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::redirect::Policy;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::address::Refusal;
use super::attempts::Contact;
use super::body::{Body, BodyBound, excerpt, read_bounded};
use super::deadline::{Deadline, StepLimit};
use super::error::Error;
use super::network::Network;
use super::origin::Origin;
use super::pace::Pace;
use super::patience::Patience;
use super::tape::{self, Exchange, Played, Tape};
use crate::clock::Clock;
use crate::limits::{REDIRECTS_MAX, URL_BYTES_MAX};
use crate::model::network::Waits;
use crate::secret::SafeUrl;

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
    waits: Waits,
    origin: Origin,
    pace: Pace,
    cancel: CancellationToken,
    is_reached: AtomicBool,
    counters: Counters,
    tape: Tape,
}

impl Client {
    /// A client whose requests never leave the origin and those that it lets in.
    pub(crate) fn open(
        base_url: &Url,
        origin: Origin,
        network: &Network,
        pace: Pace,
        connections: Connections,
        tape: Tape,
        cancel: CancellationToken,
    ) -> Result<Self, Error> {
        let builder = network.builder(base_url, base_url, origin.is_tls_possible())?;
        let builder = match connections {
            Connections::Many => builder,
            Connections::One => builder.http1_only().pool_max_idle_per_host(1).connector_layer(Patience::default()),
        };
        let inner = builder.redirect(same_origin(origin.clone())).build().map_err(|source| Error::Setup { source })?;
        let waits = network.waits();
        let is_reached = AtomicBool::new(false);
        Ok(Client { inner, waits, origin, pace, cancel, is_reached, counters: Counters::default(), tape })
    }

    /// Completes the tape that is being recorded, and tells how many answers it holds.
    pub(crate) fn finish_tape(&self) -> Result<u64, Error> {
        match &self.tape {
            Tape::Recording(recorder) => Ok(recorder.finish()?),
            Tape::Off | Tape::Playing(_) => Ok(0),
        }
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
            // By far the largest part of all futures around it, which are moved and nested many times.
            Box::pin(self.exchange(request, bound)).await
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
        if matches!(self.tape, Tape::Playing(_)) {
            return Ok(());
        }
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
        let taped = match &self.tape {
            Tape::Off => None,
            Tape::Recording(recorder) => Some((recorder, request.clone(), Clock.now(), tokio::time::Instant::now())),
            Tape::Playing(player) => {
                let Played { url, status, headers, body } = player.play(&request)?;
                if !status.is_success() {
                    return Err(status_error(asked, status, &headers, None, None, body));
                }
                self.counters.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                return Ok(Reply { status, url, headers, body: Body::Memory(body) });
            }
        };
        // Not by its builder, which puts the headers together one by one once more.
        let mut sent = reqwest::Request::new(request.method, request.url);
        *sent.headers_mut() = request.headers;
        *sent.body_mut() = request.body.map(reqwest::Body::from);
        let mut deadline = Deadline::new(&asked, Some(self.waits.total));
        let first_byte = StepLimit { waited: self.waits.first_byte, name: "`source.network.first_byte_timeout`" };
        let sent = deadline.step(first_byte, pin!(self.inner.execute(sent))).await?;
        let mut response = sent.map_err(|source| sending_error(&asked, self.waits, source))?;
        self.is_reached.store(true, Ordering::Relaxed);
        let url = response.url().clone();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let connection = response.extensions().get::<HttpInfo>().map(HttpInfo::local_addr);
        let asked_wait = deadline.rest(pin!(self.pace.heed(status, &headers))).await?;
        let stall = StepLimit { waited: self.waits.stall, name: "`source.network.stall_timeout`" };
        let body = match read_bounded(response, &headers, &asked, bound, stall, &mut deadline).await {
            // Over is over, whatever the status.
            Err(error @ Error::TooSlow { .. }) => return Err(error),
            body => body,
        };
        if let (Some((recorder, request, began, since)), Ok(body)) = (&taped, &body) {
            let Body::Memory(bytes) = body else { return Err(tape::Error::TooLarge.into()) };
            let took = since.elapsed();
            let (headers, final_url) = (&headers, &url);
            recorder.record(&Exchange { request, began: *began, took, final_url, status, headers, body: bytes })?;
        }
        if !status.is_success() {
            // The status is the news, even where its body broke off.
            return Err(status_error(asked, status, &headers, asked_wait, connection, in_memory(body)));
        }
        let body = body?;
        self.counters.bytes.fetch_add(body.len(), Ordering::Relaxed);
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

/// Headers with which servers name an exchange, so that their support finds it.
const REQUEST_IDS: &[&str] = &["x-ms-request-id", "requestid", "x-request-id", "request-id"];
const REQUEST_ID_CHARS_MAX: usize = 128;

/// What the server calls the exchange. `None` = nothing that looks like an id.
pub(crate) fn request_id_of(headers: &HeaderMap) -> Option<String> {
    let is_id = |id: &&str| {
        !id.is_empty() && id.len() <= REQUEST_ID_CHARS_MAX && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let ids = REQUEST_IDS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    ids.map(str::trim).find(is_id).map(str::to_owned)
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

pub(super) fn status_error(
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
        if to.len() > URL_BYTES_MAX {
            return Error::LinkTooLong { bytes: to.len() };
        }
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
        request_id: request_id_of(headers).map(String::into_boxed_str),
    }
}

pub(super) fn sending_error(url: &SafeUrl, waits: Waits, source: reqwest::Error) -> Error {
    let url = url.clone();
    let source = source.without_url();
    if let Some(Refusal { host, address, kind }) = Refusal::behind(&source).cloned() {
        Error::AddressRefused { host, address, kind }
    } else if source.is_redirect() {
        Error::Redirects { url, max: REDIRECTS_MAX }
    } else if source.is_connect() && source.is_timeout() {
        Error::NoConnection { url, waited: waits.connect }
    } else if source.is_connect() {
        Error::Unreachable { url, source }
    } else {
        Error::Broken { url, source }
    }
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
