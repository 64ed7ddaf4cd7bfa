//! What can go wrong between a stream and a page.

use std::time::Duration;

use ::http::StatusCode;

use super::decode::Error as DecodeError;
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
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("the answer is empty ({status})")]
    Empty { status: StatusCode },
    #[error("the answer is not there yet ({status}): {excerpt}")]
    NotReady { status: StatusCode, excerpt: String },
    #[error("the answer has the status of a success and tells of an error (`{sign}`): {excerpt}")]
    Complaint { sign: String, excerpt: String },
    #[error("the answer has the member `{path}` twice")]
    Twice { path: String },
    #[error("the answer holds no records: {why}")]
    NoRecords { why: String },
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
    #[error("the answer differs from the page before it: {why}")]
    Moved { why: String },
    /// A refusal of a page that we counted to.
    #[error("{source}")]
    PerhapsPastEnd { source: http::Error },
    #[error("the `$metadata` document cannot be read: {why}")]
    Metadata { why: String },
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Http(source) | Error::GaveUp { source, .. } => source.hint(),
            Error::Auth(source) => source.hint(),
            Error::Decode(source) => source.hint(),
            Error::NotJson { .. } => Some(
                "an HTML page often means a login page or a wrong address: check `source.base_url`, `path` and `source.auth`"
                    .to_owned(),
            ),
            Error::NoRecords { .. } => {
                Some("name the place of the records, for example `records: data.items`; `haul preview` shows an answer".to_owned())
            }
            Error::TooManySlices { .. } => Some("cut the stream into larger slices".to_owned()),
            Error::ReportLate { .. } => Some("the API may be busy: raise `report.wait_max`, or run again later".to_owned()),
            Error::ReportFailed { .. } | Error::Bound { .. } | Error::Rule { .. } | Error::RuleGaveUp { .. } => None,
            Error::PerhapsPastEnd { .. } => Some(
                "an API may answer so past its last page: name `total`, `total_pages` or `has_more` in the stream's `paging`, so that the walk ends before"
                    .to_owned(),
            ),
            Error::Template { .. }
            | Error::Header { .. }
            | Error::Malformed { .. }
            | Error::Empty { .. }
            | Error::NotReady { .. }
            | Error::Complaint { .. }
            | Error::Twice { .. }
            | Error::Moved { .. }
            | Error::Metadata { .. } => None,
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
            | Error::Empty { .. }
            | Error::NotReady { .. }
            | Error::Complaint { .. }
            | Error::Twice { .. }
            | Error::Decode(_)
            | Error::Moved { .. }
            | Error::PerhapsPastEnd { .. }
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
        match self {
            Error::Malformed { .. } | Error::NotJson { .. } => true,
            // 204 says that nothing comes; any other status promised a body.
            Error::Empty { status } => *status != StatusCode::NO_CONTENT,
            Error::Template { .. }
            | Error::Header { .. }
            | Error::Http(_)
            | Error::Auth(_)
            | Error::GaveUp { .. }
            | Error::NotReady { .. }
            | Error::Complaint { .. }
            | Error::Twice { .. }
            | Error::NoRecords { .. }
            | Error::Moved { .. }
            | Error::PerhapsPastEnd { .. }
            | Error::Rule { .. }
            | Error::RuleGaveUp { .. }
            | Error::Bound { .. }
            | Error::ReportFailed { .. }
            | Error::ReportLate { .. }
            | Error::TooManySlices { .. }
            | Error::Metadata { .. } => false,
            // What arrived whole and is not what the job says stays so.
            Error::Decode(source) => source.is_broken_off(),
        }
    }
}
