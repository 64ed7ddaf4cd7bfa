//! What can go wrong with the record store.

use std::path::PathBuf;

/// What can go wrong with the record store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the state folder `{folder}` cannot be used")]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("the state folder `{folder}` is open to other users (mode {mode:o}); it holds tokens")]
    Open { folder: PathBuf, mode: u32 },
    #[error("the record store `{file}` cannot be {doing}")]
    Sqlite { file: PathBuf, doing: &'static str, source: rusqlite::Error },
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Open { folder, .. } => Some(format!(
                "`chmod 700 {0}`, or name a folder below it with `--state` or HAUL_STATE: haul makes that one private",
                folder.display()
            )),
            Error::Folder { .. } | Error::Sqlite { .. } => {
                Some("the state folder is chosen by `--state` or HAUL_STATE".to_owned())
            }
        }
    }

    /// Whether the same run may succeed later without anybody changing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Error::Sqlite { .. })
    }
}
