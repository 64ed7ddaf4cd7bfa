//! What can go wrong between a request and its whole answer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;

use super::address::AddressKind;
use super::client::Challenge;
use crate::model::quota::PauseReason;
use crate::secret::SafeUrl;

/// A failed request. No variant shows a query string, a header or more than an excerpt of the server's text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{url} is not on the source's origin {origin}: refused, no request was sent")]
    ForeignOrigin { url: SafeUrl, origin: String },
    #[error("`{host}` leads to {address}, {kind}: refused, no request was sent")]
    AddressRefused { host: String, address: IpAddr, kind: AddressKind },
    #[error("the certificates of `source.network.ca_file` cannot be read from `{}`: {why}", file.display())]
    CaFile { file: PathBuf, why: String },
    #[error("a link of {bytes} bytes is over the limit URL_BYTES_MAX")]
    LinkTooLong { bytes: usize },
    #[error("a link cannot be read as a URL")]
    LinkUnreadable { source: url::ParseError },
    #[error("the HTTP client cannot be set up")]
    Setup { source: reqwest::Error },
    #[error("cannot reach {url}")]
    Unreachable { url: SafeUrl, source: reqwest::Error },
    #[error("no connection to {url} within {waited:?}, limit `source.network.connect_timeout`")]
    NoConnection { url: SafeUrl, waited: Duration },
    #[error("no answer from {url} within {waited:?}, limit {limit}")]
    TimedOut { url: SafeUrl, waited: Duration, limit: &'static str },
    #[error("the answer of {url} was not whole within {waited:?}, limit `source.network.total_timeout`")]
    TooSlow { url: SafeUrl, waited: Duration },
    #[error("the connection to {url} broke")]
    Broken { url: SafeUrl, source: reqwest::Error },
    #[error("the answer of {url} cannot be kept for reading")]
    Unkept { url: SafeUrl, source: std::io::Error },
    #[error("{url} answered {status}{}", excerpt_of(.excerpt))]
    Status {
        url: SafeUrl,
        status: StatusCode,
        /// What it asks to wait. Absent = nothing.
        retry_after: Option<Duration>,
        excerpt: String,
        /// For the job's rules; never shown.
        body: Bytes,
        /// What a 401 asks for.
        challenge: Option<Box<Challenge>>,
        /// What the server calls the exchange. Absent = it has no name for it.
        request_id: Option<Box<str>>,
    },
    #[error("{url} redirects to {to}, which is not on the source's origin: refused")]
    Redirect { url: SafeUrl, to: String },
    #[error("{url} redirects more than {max} times, limit REDIRECTS_MAX")]
    Redirects { url: SafeUrl, max: usize },
    #[error("the answer of {url} is larger than {bytes_max} bytes, limit {limit}")]
    TooLarge { url: SafeUrl, bytes_max: u64, limit: &'static str },
    #[error(
        "{why} until {} UTC: that is {} s from now, and `pause_max` is {} s",
        .until.format("%Y-%m-%d %H:%M:%S"), .wait.as_secs(), .pause_max.as_secs()
    )]
    WaitTooLong { until: DateTime<Utc>, why: PauseReason, wait: Duration, pause_max: Duration },
    #[error("the shared count of requests cannot be kept: {source}")]
    Quota { source: crate::state::Error },
    /// Nothing was sent: a pause is over, and the request is to be made anew with the credential of the moment.
    #[error("a pause was waited for")]
    Waited,
    #[error("the answer of {url} is in the coding `{coding}`, which haul does not read")]
    UnknownCoding { url: SafeUrl, coding: String },
    #[error("the answer of {url} is compressed in {count} codings, limit CODINGS_MAX")]
    ManyCodings { url: SafeUrl, count: usize },
    #[error("the answer of {url} ends or breaks inside its coding {coding}")]
    Undecodable { url: SafeUrl, coding: &'static str, source: std::io::Error },
    #[error("the {received} bytes of {url} grow beyond all measure when decompressed, limit INFLATION_MAX")]
    Inflated { url: SafeUrl, received: u64 },
    #[error("{0}")]
    Tape(#[from] super::tape::Error),
    #[error("stopped by a signal")]
    Interrupted,
}

fn excerpt_of(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") }
}

fn refusal_hint(kind: AddressKind) -> Option<String> {
    match kind {
        AddressKind::Private | AddressKind::Shared | AddressKind::UniqueLocal => Some(
            "if the source is in your own network, set `source.network.allow_private: true`, or write its address itself"
                .to_owned(),
        ),
        AddressKind::Loopback => {
            Some("if this machine is meant, write `localhost` or its loopback address itself".to_owned())
        }
        AddressKind::LinkLocal => Some("if this very address is meant, write it instead of the name".to_owned()),
        AddressKind::Public
        | AddressKind::Multicast
        | AddressKind::Unspecified
        | AddressKind::Reserved
        | AddressKind::Metadata => None,
    }
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::ForeignOrigin { .. } | Error::Redirect { .. } => Some(
                "credentials never leave the configured origin; if the API moved, change `source.base_url`".to_owned(),
            ),
            Error::AddressRefused { kind, .. } => refusal_hint(*kind),
            Error::Unreachable { .. } | Error::NoConnection { .. } => Some(
                "check `source.base_url`, name resolution, proxy (HTTPS_PROXY or `source.network.proxy`) and certificates \
                 (`source.network.ca_file`) on this machine"
                    .to_owned(),
            ),
            Error::Status { status, .. } => match status.as_u16() {
                401 | 403 => Some(
                    "the API refuses the credential: check `source.auth`, the scopes, and `haul credentials`"
                        .to_owned(),
                ),
                404 | 410 => Some("check `source.base_url` and the stream's `path`".to_owned()),
                _ => None,
            },
            Error::TooLarge { .. } => Some(
                "ask for smaller pages with the API's page-size parameter, or raise `source.network.page_mib`".to_owned(),
            ),
            Error::TooSlow { .. } => Some(
                "ask for smaller pages with the API's page-size parameter, or raise `source.network.total_timeout`"
                    .to_owned(),
            ),
            Error::UnknownCoding { .. } => {
                Some("ask for another one with the header `Accept-Encoding: identity`".to_owned())
            }
            Error::WaitTooLong { .. } => {
                Some("run again after that time, or let runs wait for it with `source.limits.pause_max`".to_owned())
            }
            Error::Quota { source } => source.hint(),
            Error::Unkept { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk for temporary files is full: make room, or set TMPDIR to another disk".to_owned())
            }
            Error::Unkept { .. }
            | Error::LinkTooLong { .. }
            | Error::LinkUnreadable { .. }
            | Error::CaFile { .. }
            | Error::Setup { .. }
            | Error::TimedOut { .. }
            | Error::Broken { .. }
            | Error::Tape(_)
            | Error::ManyCodings { .. }
            | Error::Undecodable { .. }
            | Error::Inflated { .. }
            | Error::Redirects { .. }
            | Error::Waited
            | Error::Interrupted => None,
        }
    }

    /// Whether the same run may succeed later without anybody changing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::NoConnection { .. }
            | Error::TimedOut { .. }
            | Error::TooSlow { .. }
            | Error::Broken { .. }
            | Error::Undecodable { .. }
            | Error::WaitTooLong { .. } => true,
            Error::Quota { source } => source.is_temporary(),
            Error::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429),
            Error::ForeignOrigin { .. }
            | Error::Unkept { .. }
            | Error::AddressRefused { .. }
            | Error::CaFile { .. }
            | Error::UnknownCoding { .. }
            | Error::Tape(_)
            | Error::ManyCodings { .. }
            | Error::Inflated { .. }
            | Error::LinkTooLong { .. }
            | Error::LinkUnreadable { .. }
            | Error::Setup { .. }
            | Error::Redirect { .. }
            | Error::Redirects { .. }
            | Error::TooLarge { .. }
            | Error::Waited
            | Error::Interrupted => false,
        }
    }
}
