//! Errors as a run sees them: what failed, of which stream, and what kind of ending that means.

use crate::paging::walk;
use crate::{auth, columns, format, http, source, state, store};

/// A failed run or stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Http(#[from] http::Error),
    #[error("{0}")]
    Auth(#[from] auth::Error),
    #[error("{0}")]
    State(#[from] state::Error),
    #[error("{0}")]
    Store(#[from] store::Error),
    #[error("stream `{stream}`, page {page}: {source}")]
    Page { stream: String, page: u64, source: source::Error },
    #[error("stream `{stream}`: {source}")]
    Endpoint { stream: String, source: source::Error },
    #[error("stream `{stream}`: {source}")]
    Walk { stream: String, source: walk::Error },
    #[error("stream `{stream}`: {source}")]
    Columns { stream: String, source: columns::Error },
    #[error("stream `{stream}`: {doing} a file: {source}")]
    Format { stream: String, doing: &'static str, source: format::Error },
    #[error("stream `{stream}`: writing a temporary file")]
    Spool { stream: String, source: std::io::Error },
    #[error("stream `{stream}`: {rows} rows were walked, but its files hold {written}")]
    RowsDiffer { stream: String, rows: u64, written: u64 },
    #[error("stream `{stream}`: its records have no members, so there is no column to write")]
    NoColumns { stream: String },
    #[error("there is no stream `{name}`; the job has {known}")]
    UnknownStream { name: String, known: String },
    #[error("stopped because another stream failed")]
    Stopped,
    #[error("stopped by a signal")]
    Interrupted,
    #[error("another run took over the lease of this job")]
    LeaseLost,
}

/// What kind of ending an error means; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Failed,
    Usage,
    Login,
    /// A person must decide.
    Held,
    /// Trying again later is useful.
    Temporary,
    Interrupted,
}

impl Error {
    pub(crate) fn class(&self) -> Class {
        match self {
            Error::Interrupted => Class::Interrupted,
            Error::UnknownStream { .. } => Class::Usage,
            Error::Http(source) => of_http(source),
            Error::Auth(source) => of_auth(source),
            Error::State(source) => of_state(source),
            Error::LeaseLost => Class::Temporary,
            Error::Store(source) if source.is_temporary() => Class::Temporary,
            Error::Page { source, .. } | Error::Endpoint { source, .. } => of_source(source),
            Error::Walk { .. }
            | Error::Columns { .. }
            | Error::Format { .. }
            | Error::Spool { .. }
            | Error::RowsDiffer { .. }
            | Error::NoColumns { .. }
            | Error::Stopped
            | Error::Store(_) => Class::Failed,
        }
    }

    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Http(source) => source.hint(),
            Error::Auth(source) => source.hint(),
            Error::Store(source) => source.hint(),
            Error::Page { source, .. } | Error::Endpoint { source, .. } => source.hint(),
            Error::Walk { source, .. } => source.hint().map(str::to_owned),
            Error::Spool { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk is full: make room and run again; what readers see is untouched".to_owned())
            }
            Error::Format { source, .. } if is_disk_full(source) => {
                Some("the disk is full: make room and run again; what readers see is untouched".to_owned())
            }
            Error::Columns { source, .. } => source.hint(),
            Error::State(source) => source.hint(),
            Error::Spool { .. }
            | Error::Format { .. }
            | Error::RowsDiffer { .. }
            | Error::NoColumns { .. }
            | Error::UnknownStream { .. }
            | Error::Stopped
            | Error::Interrupted
            | Error::LeaseLost => None,
        }
    }
}

fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn of_state(error: &state::Error) -> Class {
    if error.is_temporary() { Class::Temporary } else { Class::Usage }
}

fn of_http(error: &http::Error) -> Class {
    match error {
        http::Error::Interrupted => Class::Interrupted,
        error if error.is_temporary() => Class::Temporary,
        _ => Class::Failed,
    }
}

fn of_auth(error: &auth::Error) -> Class {
    match error {
        auth::Error::NeverLoggedIn { .. }
        | auth::Error::LoginLost { .. }
        | auth::Error::LoginRefused { .. }
        | auth::Error::DeviceCodeOver { .. } => Class::Login,
        auth::Error::NoEndpoint { .. } | auth::Error::SigningKey { .. } => Class::Usage,
        auth::Error::Held { .. } => Class::Held,
        auth::Error::Unanswered { source: http::Error::AddressRefused { .. } } => Class::Failed,
        auth::Error::Unanswered { .. }
        | auth::Error::Busy { .. }
        | auth::Error::Spilled { .. }
        | auth::Error::Kdc { .. }
        | auth::Error::Disk { .. } => Class::Temporary,
        auth::Error::KeyOpen { .. } | auth::Error::Key { .. } | auth::Error::KeyNotOurs => Class::Usage,
        auth::Error::Stopped => Class::Interrupted,
        auth::Error::Store(source) => of_state(source),
        _ => Class::Failed,
    }
}

fn of_source(error: &source::Error) -> Class {
    match error {
        source::Error::Http(source) | source::Error::GaveUp { source, .. } => of_http(source),
        source::Error::Auth(source) => of_auth(source),
        source::Error::Template { .. } | source::Error::Header { .. } => Class::Usage,
        source::Error::NotJson { .. }
        | source::Error::Malformed { .. }
        | source::Error::NoRecords { .. }
        | source::Error::Metadata { .. } => Class::Failed,
    }
}
