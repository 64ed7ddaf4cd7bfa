//! Folders of this machine that hold tokens or the key to them.

use std::path::Path;

use super::error::Error;

/// Makes the folder, private to the user; one that is open to others is refused.
#[cfg(unix)]
pub(crate) fn make_private(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let wrong = |source| Error::Folder { folder: folder.to_path_buf(), source };
    if !folder.exists() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
    }
    let mode = std::fs::metadata(folder).map_err(wrong)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Open { folder: folder.to_path_buf(), mode });
    }
    Ok(())
}

/// Makes the folder; who may read it is up to its parent.
#[cfg(not(unix))]
pub(crate) fn make_private(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder { folder: folder.to_path_buf(), source })
}
