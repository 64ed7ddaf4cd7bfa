//! Opening a destination and the few operations on it that everything else is built from. A local folder is written by
//! our own hands where `object_store` does not sync or swap; the rest goes through `object_store`.

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion,
};
use url::Url;

use super::error::Error;
use super::layout::{self, TEMPORARY};
use crate::model::manifest::{Manifest, Part};
use crate::model::plan::Place;

/// A job's folder in a store.
#[derive(Clone)]
pub(crate) struct Store {
    backend: Backend,
    /// For messages: no credential, no query.
    shown: String,
    /// Parts of the current snapshot by their checksum.
    known: Arc<OnceLock<HashMap<String, Part>>>,
    /// What opened it, for a second client. Absent = the place is a local folder.
    opening: Option<Arc<Opening>>,
}

/// What opens a remote store.
struct Opening {
    url: Url,
    options: Vec<(String, String)>,
}

#[derive(Clone)]
pub(super) enum Backend {
    /// The job's folder, absolute.
    Local(PathBuf),
    Remote {
        store: Arc<dyn ObjectStore>,
        prefix: Path,
    },
}

/// What a swap must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// The object with its entity tag; a local file's content serves as its own tag.
    Version {
        etag: Option<String>,
        version: Option<String>,
        content: Bytes,
    },
}

impl Store {
    /// Opens the job's folder. `options` are object_store's, by name; nothing is written.
    pub(crate) fn open(place: &Place, job: &str, options: Vec<(String, String)>) -> Result<Self, Error> {
        match place {
            Place::Local(folder) => Ok(Store::new(Self::shown_at(place, job), Backend::Local(folder.join(job)), None)),
            Place::Remote(url) => {
                let shown = Self::shown_at(place, job);
                let wrong = |why: String| Error::Open { place: shown.clone(), why };
                check_endpoints(&options).map_err(wrong)?;
                let (store, prefix) = open_remote(url, options.clone()).map_err(|error| wrong(error.to_string()))?;
                let prefix = prefix.join(job);
                let opening = Some(Arc::new(Opening { url: url.clone(), options }));
                Ok(Store::new(shown, Backend::Remote { store, prefix }, opening))
            }
        }
    }

    /// What `shown` says of a job's folder, without opening it.
    pub(crate) fn shown_at(place: &Place, job: &str) -> String {
        match place {
            Place::Local(folder) => folder.join(job).display().to_string(),
            Place::Remote(url) => format!("{}/{job}", url.as_str().trim_end_matches('/')),
        }
    }

    fn new(shown: String, backend: Backend, opening: Option<Arc<Opening>>) -> Self {
        Store { backend, shown, known: Arc::default(), opening }
    }

    /// From now on a file whose content is that of a part of this snapshot is not put once more. Once for a store.
    pub(crate) fn remember(&self, manifest: &Manifest) {
        let files = manifest.parts().chain(manifest.raw_files());
        let _ = self.known.set(files.map(|part| (part.sha256.clone(), part.clone())).collect());
    }

    /// A part of the current snapshot with this content, of the same table.
    pub(super) fn known_part(&self, sha256: &str, path: &str) -> Option<&Part> {
        let known = self.known.get()?.get(sha256)?;
        (layout::folder_of(&known.path) == layout::folder_of(path)).then_some(known)
    }

    /// What tells it from other stores, hashed into names of records: where it is, and at which endpoint and account. Where the
    /// platform gives tokens is no part of it: that may be another port in every container.
    pub(crate) fn identity(&self) -> String {
        let gives_tokens = |name: &str| name.ends_with("identity_endpoint") || name.ends_with("msi_endpoint");
        let is_place =
            |name: &str| (name.ends_with("endpoint") && !gives_tokens(name)) || name.ends_with("account_name");
        let options = self.opening.iter().flat_map(|opening| &opening.options).filter(|(name, _)| is_place(name));
        options.fold(self.shown.clone(), |identity, (name, value)| format!("{identity}\n{name}={value}"))
    }

    /// Address and options of a remote store; for this room only, because there are credentials among the options.
    pub(super) fn opened_with(&self) -> Option<(&Url, &[(String, String)])> {
        let opening = self.opening.as_ref()?;
        Some((&opening.url, &opening.options))
    }

    /// Where it is, for people.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// A second client of the same remote place, which sends every request once.
    pub(super) fn open_once_more(&self) -> Result<Arc<dyn ObjectStore>, Error> {
        let Opening { url, options } = &**self.opening.as_ref().expect("a remote store keeps what opened it");
        let wrong = |why| Error::Open { place: self.shown.clone(), why };
        open_unrepeated(url, options.clone()).map(|(store, _)| store).map_err(wrong)
    }

    /// Reads an object with the version that a swap must name.
    pub(super) async fn read(&self, path: &str) -> Result<Found, Error> {
        match &self.backend {
            Backend::Local(folder) => match tokio::fs::read(folder.join(path)).await {
                Ok(content) => Ok(Found::Version { etag: None, version: None, content: content.into() }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
                Err(source) => Err(Error::File { path: folder.join(path), doing: "read", source }),
            },
            Backend::Remote { store, prefix } => {
                let wrong = |source| Error::Object { path: path.to_owned(), doing: "read", source };
                match store.get_opts(&below(prefix, path), GetOptions::default()).await {
                    Ok(got) => {
                        let (etag, version) = (got.meta.e_tag.clone(), got.meta.version.clone());
                        let content = got.bytes().await.map_err(wrong)?;
                        Ok(Found::Version { etag, version, content })
                    }
                    Err(object_store::Error::NotFound { .. }) => Ok(Found::Nothing),
                    Err(source) => Err(wrong(source)),
                }
            }
        }
    }

    /// Creates an immutable object. `Ok(false)` = the name is taken.
    pub(super) async fn create(&self, path: &str, content: Bytes) -> Result<bool, Error> {
        match &self.backend {
            Backend::Local(folder) => local::create(folder.join(path), content).await,
            Backend::Remote { store, prefix } => {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                match store.put_opts(&below(prefix, path), PutPayload::from_bytes(content), options).await {
                    Ok(_) => Ok(true),
                    Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                        Ok(false)
                    }
                    Err(source) => Err(Error::Object { path: path.to_owned(), doing: "written", source }),
                }
            }
        }
    }

    /// Replaces an object if it still is what was found. `Ok(false)` = it changed meanwhile.
    pub(super) async fn swap(&self, path: &str, found: &Found, content: Bytes) -> Result<bool, Error> {
        let (etag, version, former) = match found {
            Found::Nothing => return self.create(path, content).await,
            Found::Version { etag, version, content } => (etag, version, content.clone()),
        };
        match &self.backend {
            Backend::Local(folder) => local::swap(folder.join(path), former, content).await,
            Backend::Remote { store, prefix } => {
                let update = UpdateVersion { e_tag: etag.clone(), version: version.clone() };
                let options = PutOptions { mode: PutMode::Update(update), ..PutOptions::default() };
                match store.put_opts(&below(prefix, path), PutPayload::from_bytes(content), options).await {
                    Ok(_) => Ok(true),
                    Err(
                        object_store::Error::Precondition { .. }
                        | object_store::Error::AlreadyExists { .. }
                        | object_store::Error::NotFound { .. },
                    ) => Ok(false),
                    Err(source) => Err(Error::Object { path: path.to_owned(), doing: "replaced", source }),
                }
            }
        }
    }

    /// Writes a mutable object whatever was there: aliases and status, which the next run repairs.
    pub(super) async fn overwrite(&self, path: &str, content: Bytes) -> Result<(), Error> {
        match &self.backend {
            Backend::Local(folder) => local::overwrite(folder.join(path), content).await,
            Backend::Remote { store, prefix } => store
                .put_opts(&below(prefix, path), PutPayload::from_bytes(content), PutOptions::default())
                .await
                .map(|_| ())
                .map_err(|source| Error::Object { path: path.to_owned(), doing: "written", source }),
        }
    }

    /// Removes an object; one that is not there is removed already.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match &self.backend {
            Backend::Local(folder) => match std::fs::remove_file(folder.join(path)) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::File { path: folder.join(path), doing: "removed", source })
                }
                Ok(()) | Err(_) => Ok(()),
            },
            Backend::Remote { store, prefix } => match store.delete(&below(prefix, path)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(Error::Object { path: path.to_owned(), doing: "removed", source }),
            },
        }
    }
}

/// The object's full name in the store.
pub(super) fn below(prefix: &Path, path: &str) -> Path {
    path.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

fn open_remote(url: &Url, options: Vec<(String, String)>) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
    // The same provider for the store's TLS as for ours; a second installation is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (store, prefix) = object_store::parse_url_opts(url, options)?;
    Ok((Arc::from(store), prefix))
}

/// The library takes any text as an endpoint and panics at the first request.
fn check_endpoints(options: &[(String, String)]) -> Result<(), String> {
    let is_address = |value: &str| value.parse::<Url>().is_ok_and(|url| url.has_host());
    match options.iter().find(|(name, value)| name.ends_with("endpoint") && !is_address(value)) {
        Some((name, _)) => Err(format!("its option `{name}` is no address")),
        None => Ok(()),
    }
}

/// An object store and the prefix of its address, for a caller with protocols of its own: every request is sent once,
/// because a conditional put that the library repeats after a lost answer is refused by its own first try. The error
/// says why it cannot be opened.
pub(crate) fn open_unrepeated(
    url: &Url,
    options: Vec<(String, String)>,
) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    /// The options whose name the builder knows; the environment holds others.
    macro_rules! built {
        ($builder:ty) => {{
            let builder =
                options.into_iter().fold(<$builder>::new().with_url(url.to_string()), |builder, (name, value)| {
                    match name.parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    }
                });
            let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
            Arc::new(builder.with_retry(retry).build().map_err(|error| error.to_string())?)
        }};
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    check_endpoints(&options)?;
    let (scheme, path) = ObjectStoreScheme::parse(url).map_err(|error| error.to_string())?;
    let prefix = Path::parse(path).map_err(|error| error.to_string())?;
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::MicrosoftAzure => built!(MicrosoftAzureBuilder),
        ObjectStoreScheme::AmazonS3 => built!(AmazonS3Builder),
        ObjectStoreScheme::GoogleCloudStorage => built!(GoogleCloudStorageBuilder),
        // The library's own list, which may grow.
        _ => return Err("it is no store of Azure, Amazon or Google".to_owned()),
    };
    Ok((store, prefix))
}

/// Files: written beside, synced, put in place in one step, and the folder synced.
pub(super) mod local {
    use super::{Bytes, Error, FilePath, PathBuf, TEMPORARY};
    use crate::limits::FOLDER_TRIES_MAX;

    /// `Ok(false)` = the name is taken.
    pub(in crate::store) async fn create(file: PathBuf, content: Bytes) -> Result<bool, Error> {
        blocking(move || {
            let made = written(&file, &content)?;
            place(made, &file)
        })
    }

    pub(super) async fn overwrite(file: PathBuf, content: Bytes) -> Result<(), Error> {
        blocking(move || {
            let made = written(&file, &content)?;
            replace(made, &file)
        })
    }

    /// Compare-and-swap under a lock of its own file: every haul on this machine asks for the same lock.
    pub(super) async fn swap(file: PathBuf, former: Bytes, content: Bytes) -> Result<bool, Error> {
        blocking(move || {
            let wrong = |source| Error::File { path: file.clone(), doing: "locked", source };
            let lock = file.with_extension("lock");
            let lock =
                std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(wrong)?;
            lock.lock().map_err(wrong)?;
            let now =
                std::fs::read(&file).map_err(|source| Error::File { path: file.clone(), doing: "read", source })?;
            if now != former {
                return Ok(false);
            }
            let made = written(&file, &content)?;
            replace(made, &file)?;
            Ok(true)
        })
    }

    /// A temporary file in the folder where the file will stand: a rename never crosses file systems.
    pub(in crate::store) fn beside(file: &FilePath) -> Result<tempfile::NamedTempFile, Error> {
        let folder = file.parent().expect("a file below the job's folder");
        let wrong = |source| Error::File { path: folder.to_path_buf(), doing: "created", source };
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
        // Readers of the folder are other users: the library's 0600 would hide the tables from them.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut tries = 0;
        loop {
            tries += 1;
            match make_folder(folder).and_then(|()| builder.tempfile_in(folder).map_err(wrong)) {
                // Another process proved that it may write here, and took its empty folder away.
                Err(Error::File { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && tries < FOLDER_TRIES_MAX => {}
                made => return made,
            }
        }
    }

    /// Makes a folder and those above it; each is synced into the one that it stands in.
    fn make_folder(folder: &FilePath) -> Result<(), Error> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            make_folder(parent)?;
        }
        match std::fs::create_dir(folder) {
            Ok(()) => sync_folder(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            Err(source) => Err(Error::File { path: folder.to_path_buf(), doing: "created", source }),
        }
    }

    pub(in crate::store) fn written(file: &FilePath, content: &[u8]) -> Result<tempfile::NamedTempFile, Error> {
        let mut made = beside(file)?;
        std::io::Write::write_all(&mut made, content).map_err(|source| Error::File {
            path: file.to_path_buf(),
            doing: "written",
            source,
        })?;
        Ok(made)
    }

    /// Syncs and puts the file under its name; `Ok(false)` = the name is taken.
    pub(in crate::store) fn place(made: tempfile::NamedTempFile, file: &FilePath) -> Result<bool, Error> {
        sync(made.as_file(), file)?;
        match made.persist_noclobber(file) {
            Ok(_) => sync_folder(file).map(|()| true),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::File { path: file.to_path_buf(), doing: "created", source: error.error }),
        }
    }

    /// Syncs and puts the file under its name, whatever stood there.
    pub(in crate::store) fn replace(made: tempfile::NamedTempFile, file: &FilePath) -> Result<(), Error> {
        sync(made.as_file(), file)?;
        made.persist(file).map_err(|error| Error::File {
            path: file.to_path_buf(),
            doing: "replaced",
            source: error.error,
        })?;
        sync_folder(file)
    }

    fn sync(made: &std::fs::File, file: &FilePath) -> Result<(), Error> {
        made.sync_all().map_err(|source| Error::File { path: file.to_path_buf(), doing: "synced", source })
    }

    fn sync_folder(file: &FilePath) -> Result<(), Error> {
        let folder = file.parent().expect("a file below the job's folder");
        let wrong = |source| Error::File { path: folder.to_path_buf(), doing: "synced", source };
        std::fs::File::open(folder).map_err(wrong)?.sync_all().map_err(wrong)
    }

    /// Visits the files of a folder and of those below it, so many levels down, by their path in it. Links are neither
    /// followed nor visited; a folder that is not there has no files.
    pub(in crate::store) fn walk(
        folder: &FilePath,
        levels: usize,
        visit: &mut impl FnMut(String, std::fs::Metadata) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let mut folders = vec![(folder.to_path_buf(), String::new(), levels)];
        while let Some((folder, within, levels)) = folders.pop() {
            let wrong = |source| Error::File { path: folder.clone(), doing: "listed", source };
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(wrong)?,
            };
            for entry in entries {
                let entry = entry.map_err(wrong)?;
                let path = format!("{within}{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type().map_err(wrong)?;
                if kind.is_dir() && levels > 0 {
                    folders.push((entry.path(), format!("{path}/"), levels - 1));
                } else if kind.is_file() {
                    match entry.metadata().and_then(|metadata| visit(path, metadata)) {
                        // Another process was faster.
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        visited => visited.map_err(wrong)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// File work waits for the disk; the other tasks of this thread are moved to another one meanwhile.
    pub(in crate::store) fn blocking<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        tokio::task::block_in_place(work)
    }
}
