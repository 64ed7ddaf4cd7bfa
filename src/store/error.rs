//! What can go wrong with the destination.

use std::path::PathBuf;

use super::layout::Made;

/// A failure of the store. No variant shows a credential or a query string.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the destination {place} cannot be opened: {why}")]
    Open { place: String, why: String },
    #[error("`{path}` cannot be {doing}")]
    Object { path: String, doing: &'static str, source: object_store::Error },
    #[error("`{path}` cannot be {doing}")]
    File { path: PathBuf, doing: &'static str, source: std::io::Error },
    #[error("`{path}` exists already, and a part is never overwritten")]
    Exists { path: String },
    #[error("`{path}` is not what was written: {why}")]
    Differs { path: String, why: String },
    #[error("`{path}` cannot be read: {why}")]
    Unreadable { path: String, why: String },
    #[error("`{path}` is not there")]
    Gone { path: String },
    #[error("`{path}` has format version {version}, and this haul knows {known} and older ones")]
    Newer { path: String, version: u32, known: u32 },
    #[error("another run published {found} meanwhile; this one started from {expected}")]
    Conflict { found: String, expected: String },
    #[error("the destination `{place}` does not keep the conditions of a write: {what}")]
    Unconditional { place: String, what: &'static str },
    #[error("the store answered neither yes nor no to the publication: {why}")]
    Unknown { why: String },
    #[error(transparent)]
    Share(#[from] super::share::ShareError),
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk is full: make room and run again; what readers see is untouched".to_owned())
            }
            Error::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("this user may not write there: check the folder's owner and mode".to_owned())
            }
            Error::Open { .. } => Some("check `destination.url` and `destination.options`".to_owned()),
            Error::Object { source: object_store::Error::NotFound { .. }, .. } => {
                Some("check that the container or bucket exists; haul does not create it".to_owned())
            }
            Error::Object {
                source: object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. },
                ..
            } => Some("the store refuses the credential: check `destination.options`".to_owned()),
            Error::Conflict { .. } => Some("run again; if it stays, two jobs share this folder".to_owned()),
            Error::Gone { path } if matches!(Made::read(path), Some(Made::Part { .. })) => Some(
                "nothing of haul's own removes it before `publish.keep.hours`: they must be longer than the longest run"
                    .to_owned(),
            ),
            Error::Newer { .. } => Some("a newer haul wrote it: use that one, or a newer one".to_owned()),
            Error::Unconditional { .. } => Some(
                "two runs could overwrite each other's tables there: publish to Azure Blob, Amazon S3, Google Cloud \
                 Storage, or a local disk; docs/OPERATING.md says what a network file system must offer"
                    .to_owned(),
            ),
            Error::Unknown { .. } => Some("run again: the next run finds out what is there".to_owned()),
            Error::Share(error) => error.hint(),
            Error::Object { .. }
            | Error::File { .. }
            | Error::Gone { .. }
            | Error::Exists { .. }
            | Error::Differs { .. }
            | Error::Unreadable { .. } => None,
        }
    }

    /// Whether the same run may succeed later without anybody changing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        if let Error::Share(error) = self {
            return error.is_temporary();
        }
        matches!(
            self,
            Error::Object { source: object_store::Error::Generic { .. }, .. }
                | Error::Unknown { .. }
                | Error::Conflict { .. }
        )
    }
}
