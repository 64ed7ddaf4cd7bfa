//! Proves that a store does what a publication rests on: of two creations of one name the second is refused, and so is a
//! replacement of what changed meanwhile. Asking by the store's name or version would age; asking the store does not.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::error::Error;
use super::layout;
use super::open::{Backend, Store, below, local};
use crate::limits::{PROBE_TRIES_MAX, STORE_RETRY_WAIT};

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probed {
    Keeps,
    /// What the store did that it must not do.
    Ignores(&'static str),
}

/// Proves with an object of this name that an object store keeps the conditions of a write. The store must not repeat
/// requests by itself: its own first try would then look like somebody else's.
pub(crate) async fn probe_conditions(store: &Arc<dyn ObjectStore>, name: &Path) -> object_store::Result<Probed> {
    let put = async |mode: PutMode, content: &'static str| {
        let options = PutOptions { mode, ..PutOptions::default() };
        match store.put_opts(name, PutPayload::from_static(content.as_bytes()), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotModified { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    };
    if !put(PutMode::Create, "1").await? {
        return Ok(Probed::Ignores("it refused to create an object whose name is new"));
    }
    if put(PutMode::Create, "2").await? {
        return Ok(Probed::Ignores("it created an object whose name was taken"));
    }
    let first = match store.get_opts(name, GetOptions::default()).await {
        Ok(got) => UpdateVersion { e_tag: got.meta.e_tag, version: got.meta.version },
        Err(object_store::Error::NotFound { .. }) => {
            return Ok(Probed::Ignores("an object that was written cannot be read"));
        }
        Err(error) => return Err(error),
    };
    if first.e_tag.is_none() && first.version.is_none() {
        return Ok(Probed::Ignores("it gives an object no version"));
    }
    if !put(PutMode::Update(first.clone()), "3").await? {
        return Ok(Probed::Ignores("it refused to replace an object that had not changed"));
    }
    if put(PutMode::Update(first), "4").await? {
        return Ok(Probed::Ignores("it replaced an object that had changed meanwhile"));
    }
    let last = store.get_opts(name, GetOptions::default()).await?.bytes().await?;
    if last != "3" {
        return Ok(Probed::Ignores("an object does not hold what was written last"));
    }
    // Nobody reads it again; where deleting is forbidden it stays behind.
    let _ = store.delete(name).await;
    Ok(Probed::Keeps)
}

impl Store {
    /// Proves that the destination keeps conditions; what it needs for that is gone afterwards.
    pub(crate) async fn prove(&self) -> Result<(), Error> {
        let probed = match self.backend() {
            Backend::Local(folder) => local::blocking(|| probe_folder(folder))?,
            Backend::Remote { prefix, .. } => probe_remote(&self.open_once_more()?, prefix).await?,
        };
        match probed {
            Probed::Keeps => Ok(()),
            Probed::Ignores(what) => Err(Error::Unconditional { place: self.shown().to_owned(), what }),
        }
    }
}

async fn probe_remote(store: &Arc<dyn ObjectStore>, prefix: &Path) -> Result<Probed, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        // Another name each time: what became of the former one is not known.
        let name = layout::probe();
        match probe_conditions(store, &below(prefix, &name)).await {
            Ok(probed) => return Ok(probed),
            Err(object_store::Error::Generic { .. }) if tries < PROBE_TRIES_MAX => {
                tokio::time::sleep(STORE_RETRY_WAIT).await;
            }
            Err(source) => return Err(Error::Object { path: name, doing: "written", source }),
        }
    }
}

/// The same of a folder, where the pointer is replaced under a lock.
fn probe_folder(folder: &FilePath) -> Result<Probed, Error> {
    let missing: Vec<PathBuf> =
        folder.ancestors().take_while(|folder| !folder.exists()).map(FilePath::to_path_buf).collect();
    let file = folder.join(layout::probe());
    let probed = probe_file(&file);
    let _ = std::fs::remove_file(&file);
    // A first run that fails leaves nothing behind; a folder that is not empty stays.
    for folder in &missing {
        let _ = std::fs::remove_dir(folder);
    }
    probed
}

fn probe_file(file: &FilePath) -> Result<Probed, Error> {
    match local::place(local::written(file, b"1")?, file) {
        Ok(true) => {}
        Ok(false) => return Ok(Probed::Ignores("it refused to create a file whose name is new")),
        // A file could be written there, so it is the way in which it gets its name.
        Err(Error::File { source, .. }) if is_unknown_call(&source) => {
            return Ok(Probed::Ignores("it cannot give a file a name only where there is none"));
        }
        Err(error) => return Err(error),
    }
    if local::place(local::written(file, b"2")?, file)? {
        return Ok(Probed::Ignores("it created a file whose name was taken"));
    }
    let wrong = |source| Error::File { path: file.to_path_buf(), doing: "locked", source };
    let open = || std::fs::OpenOptions::new().write(true).open(file).map_err(wrong);
    let (first, second) = (open()?, open()?);
    if first.lock().is_err() {
        return Ok(Probed::Ignores("it has no file locks"));
    }
    if second.try_lock().is_ok() {
        return Ok(Probed::Ignores("it gave a file lock twice"));
    }
    drop(first);
    local::replace(local::written(file, b"3")?, file)?;
    let last = std::fs::read(file).map_err(|source| Error::File { path: file.to_path_buf(), doing: "read", source })?;
    if Bytes::from(last) != "3" {
        return Ok(Probed::Ignores("a file does not hold what was written last"));
    }
    Ok(Probed::Keeps)
}

/// How file systems say that they have neither a rename that replaces nothing nor hard links: by EINVAL, ENOSYS, EOPNOTSUPP
/// or, as many do without links, EPERM.
fn is_unknown_call(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn another_proof_that_takes_its_empty_folder_away_hinders_nobody() {
        const ROUNDS: usize = 300;
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("out/test");
        let both = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    both.wait();
                    // What the end of a first proof does, a little earlier or later.
                    for _ in 0..round % 50 {
                        std::thread::yield_now();
                    }
                    let _ = std::fs::remove_dir(&folder);
                    let _ = std::fs::remove_dir(root.path().join("out"));
                }
            });
            let made: Vec<_> = (0..ROUNDS)
                .map(|_| {
                    both.wait();
                    local::beside(&folder.join("file")).map(drop)
                })
                .collect();
            assert_eq!(made.iter().filter(|made| made.is_err()).count(), 0, "{made:?}");
        });
        assert_eq!(probe_folder(&folder).expect("a proof"), Probed::Keeps);
    }
}
