//! The job files of a folder.

use std::path::{Path, PathBuf};

use crate::job::{LoadError, load};
use crate::model::plan::Job;

/// A file of the folder, as it is now.
pub(super) struct Found {
    pub file: PathBuf,
    pub job: Result<Job, LoadError>,
}

/// Loads every `.yaml` and `.yml` file of a folder, by name. What lies deeper, and what is hidden, is not looked at.
pub(super) fn load_folder(folder: &Path) -> std::io::Result<Vec<Found>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files.into_iter().map(|file| Found { job: load(&file, &[]), file }).collect())
}
