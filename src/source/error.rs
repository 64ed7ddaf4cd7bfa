//! What can go wrong between a stream and a page.

use std::time::Duration;

use crate::{auth, http};

/// A page that could not be had. No variant shows record content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{place} cannot be filled in: {why}")]
    Template { place: String, why: String },
    #[error("`{name}` cannot be sent as a header")]
    Header { name: String },
    #[error("{0}")]
    Http(#[from] http::Error),
    #[error("{0}")]
    Auth(#[from] auth::Error),
    #[error("after {tries} tries: {source}")]
    GaveUp { tries: usize, source: http::Error },
    #[error("the answer is {what} instead of JSON: {excerpt}")]
    NotJson { what: &'static str, excerpt: String },
    #[error("the answer is no whole JSON document: {why} at byte {at} of {bytes}")]
    Malformed { why: String, at: usize, bytes: usize },
    #[error("the answer holds no records: {why}")]
    NoRecords { why: String },
    #[error("the API answers with errors: {excerpt}")]
    Graphql { excerpt: String },
    #[error("the answer is a failure by the job's `responses`: {say}")]
    Rule { say: String },
    #[error("after {tries} tries: by the job's `responses` the answer is to be asked for again: {say}")]
    RuleGaveUp { tries: usize, say: String },
    #[error("`{word}` cannot be read as {what}")]
    Bound { word: String, what: &'static str },
    #[error("the API could not make the report: {answer}")]
    ReportFailed { answer: String },
    #[error("the report was not there after {} s, longer than `report.wait_max` ({} s)", waited.as_secs(), wait_max.as_secs())]
    ReportLate { waited: Duration, wait_max: Duration },
    #[error("{count} slices and no end, limit SLICES_MAX ({limit})")]
    TooManySlices { count: usize, limit: usize },
    #[error("the `$metadata` document cannot be read: {why}")]
    Metadata { why: String },
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Http(source) | Error::GaveUp { source, .. } => source.hint(),
            Error::Auth(source) => source.hint(),
            Error::NotJson { .. } => Some(
                "an HTML page often means a login page or a wrong address: check `source.base_url`, `path` and `source.auth`"
                    .to_owned(),
            ),
            Error::NoRecords { .. } => {
                Some("name the place of the records, for example `records: data.items`; `haul preview` shows an answer".to_owned())
            }
            Error::Graphql { .. } => Some(
                "errors that pass by themselves can be tried again: `responses: [{ when: \"body.errors\", then: retry }]`".to_owned(),
            ),
            Error::TooManySlices { .. } => Some("cut the stream into larger slices".to_owned()),
            Error::ReportLate { .. } => Some("the API may be busy: raise `report.wait_max`, or run again later".to_owned()),
            Error::ReportFailed { .. } | Error::Bound { .. } | Error::Rule { .. } | Error::RuleGaveUp { .. } => None,
            Error::Template { .. } | Error::Header { .. } | Error::Malformed { .. } | Error::Metadata { .. } => None,
        }
    }

    /// Whether the server is at fault for one address, and may answer others.
    pub(crate) fn is_of_answer(&self) -> bool {
        match self {
            Error::Http(http::Error::Status { .. })
            | Error::GaveUp { source: http::Error::Status { .. }, .. }
            | Error::NotJson { .. }
            | Error::Malformed { .. }
            | Error::NoRecords { .. }
            | Error::Graphql { .. }
            | Error::Rule { .. }
            | Error::RuleGaveUp { .. }
            | Error::ReportFailed { .. }
            | Error::ReportLate { .. } => true,
            Error::Http(_)
            | Error::GaveUp { .. }
            | Error::Auth(_)
            | Error::Template { .. }
            | Error::Header { .. }
            | Error::Bound { .. }
            | Error::TooManySlices { .. }
            | Error::Metadata { .. } => false,
        }
    }

    /// Whether the page came, but not whole: worth asking for again.
    pub(super) fn is_unreadable_page(&self) -> bool {
        matches!(self, Error::Malformed { .. } | Error::NotJson { .. })
    }
}
