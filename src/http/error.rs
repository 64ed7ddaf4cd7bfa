//! What can go wrong between a request and its whole answer.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;

use super::client::Challenge;
use crate::model::quota::PauseReason;
use crate::secret::SafeUrl;

/// A failed request. No variant shows a query string, a header or more than an excerpt of the server's text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{url} is not on the source's origin {origin}: refused, no request was sent")]
    ForeignOrigin { url: SafeUrl, origin: String },
    #[error("a link of {bytes} bytes is over the limit URL_BYTES_MAX")]
    LinkTooLong { bytes: usize },
    #[error("a link cannot be read as a URL")]
    LinkUnreadable { source: url::ParseError },
    #[error("the HTTP client cannot be set up")]
    Setup { source: reqwest::Error },
    #[error("cannot reach {url}")]
    Unreachable { url: SafeUrl, source: reqwest::Error },
    #[error("no answer from {url} within {waited:?}")]
    TimedOut { url: SafeUrl, waited: Duration },
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
    #[error("stopped by a signal")]
    Interrupted,
}

fn excerpt_of(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") }
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::ForeignOrigin { .. } | Error::Redirect { .. } => Some(
                "credentials never leave the configured origin; if the API moved, change `source.base_url`".to_owned(),
            ),
            Error::Unreachable { .. } => Some(
                "check `source.base_url`, name resolution, proxy (HTTPS_PROXY) and certificates on this machine"
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
            Error::TooLarge { .. } => Some("ask for smaller pages with the API's page-size parameter".to_owned()),
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
            | Error::Setup { .. }
            | Error::TimedOut { .. }
            | Error::Broken { .. }
            | Error::Redirects { .. }
            | Error::Waited
            | Error::Interrupted => None,
        }
    }

    /// Whether the same run may succeed later without anybody changing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::TimedOut { .. } | Error::Broken { .. } | Error::WaitTooLong { .. } => {
                true
            }
            Error::Quota { source } => source.is_temporary(),
            Error::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429),
            Error::ForeignOrigin { .. }
            | Error::Unkept { .. }
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
