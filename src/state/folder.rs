//! Folders of this machine that hold tokens or the key to them.

use std::path::Path;

use super::error::Error;

/// Makes the folder, private to the user. One that is open to others, belongs to somebody else or is a link is refused:
/// whoever made it so could read what is in it, or put something else in its place.
#[cfg(unix)]
pub(crate) fn make_private(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let wrong = |source| Error::Folder { folder: folder.to_path_buf(), source };
    if std::fs::symlink_metadata(folder).is_err() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
    }
    let metadata = std::fs::symlink_metadata(folder).map_err(wrong)?;
    if metadata.is_symlink() {
        return Err(Error::Link { folder: folder.to_path_buf() });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::Foreign { folder: folder.to_path_buf() });
    }
    let mode = metadata.mode() & 0o777;
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
