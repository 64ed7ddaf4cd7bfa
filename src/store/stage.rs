//! Files on their way to parts: written to a spool file with their checksum, then put under a new name that is never
//! overwritten, then compared with what the store says it has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use super::error::Error;
use super::layout;
use super::open::{Backend, Store, below, local};
use crate::limits::UPLOAD_BLOCK_BYTES;
use crate::model::manifest::Part;

/// Bytes at the end of a part that are read back: a Parquet footer of a few hundred columns fits.
const TAIL_BYTES: u64 = 64 * 1024;

/// A file under construction.
pub(crate) struct Spool {
    file: NamedTempFile,
    digest: Context,
    bytes: u64,
}

impl Write for Spool {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A file whose content is final, with its checksum.
pub(crate) struct Spooled {
    file: NamedTempFile,
    pub bytes: u64,
    pub sha256: String,
}

impl Spool {
    /// So many were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The content is final.
    pub(crate) fn finish(mut self) -> std::io::Result<Spooled> {
        self.file.flush()?;
        let digest = self.digest.finish();
        let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Spooled { file: self.file, bytes: self.bytes, sha256 })
    }
}

impl Spooled {
    /// Where the file is now.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    /// The file, opened once more from its start.
    pub(crate) fn reopen(&self) -> std::io::Result<File> {
        self.file.reopen()
    }
}

impl Store {
    /// A new spool file: for a local folder beside the place where the part will stand, so that it is put there without
    /// copying; else in the system's temporary folder.
    pub(crate) fn spool(&self, path: &str) -> Result<Spool, Error> {
        let file = match self.backend() {
            Backend::Local(folder) => local::beside(&folder.join(path))?,
            Backend::Remote { .. } => NamedTempFile::new().map_err(|source| Error::File {
                path: std::env::temp_dir(),
                doing: "created",
                source,
            })?,
        };
        Ok(Spool { file, digest: Context::new(&SHA256), bytes: 0 })
    }

    /// Puts a finished file under a new name and proves that the store has it. Where the current snapshot has a part
    /// with this content already, that part is given with the time of its change, and nothing is put.
    pub(crate) async fn stage(&self, spooled: Spooled, path: &str, rows: u64) -> Result<Part, Error> {
        let part = Part {
            path: path.to_owned(),
            rows,
            bytes: spooled.bytes,
            sha256: spooled.sha256.clone(),
            changed_at: None,
            ranges: BTreeMap::new(),
            gauges: Vec::new(),
        };
        if let Some(known) = self.known_part(&part.sha256, path)
            && self.bytes_of(&known.path).await? == Some(part.bytes)
        {
            return Ok(Part { path: known.path.clone(), changed_at: known.changed_at, ..part });
        }
        match self.backend() {
            Backend::Local(folder) => {
                let file = folder.join(path);
                let is_new = local::blocking(|| local::place(spooled.file, &file))?;
                if !is_new {
                    return Err(Error::Exists { path: path.to_owned() });
                }
                let bytes = std::fs::metadata(&file)
                    .map_err(|source| Error::File { path: file.clone(), doing: "read back", source })?
                    .len();
                expect_bytes(path, part.bytes, bytes)?;
            }
            Backend::Remote { store, prefix } => {
                let name = below(prefix, path);
                let uploaded = upload(store.as_ref(), &name, path, &spooled, PutMode::Create).await;
                // What was applied may be reported as a failure: what the store has decides.
                let found = read_back(store.as_ref(), &name, path, &spooled).await;
                if let Err(unread) = found {
                    return Err(uploaded.err().unwrap_or(unread));
                }
            }
        }
        Ok(part)
    }

    /// Opens a part for reading; a remote one is fetched into a temporary file first.
    pub(crate) async fn fetch(&self, part: &Part) -> Result<File, Error> {
        let fetched = match self.backend() {
            Backend::Local(folder) => {
                let path = folder.join(&part.path);
                File::open(&path).map_err(|source| Error::File { path, doing: "read", source })?
            }
            Backend::Remote { store, prefix } => {
                let wrong = |source| Error::Object { path: part.path.clone(), doing: "read", source };
                let mut file = tempfile::tempfile().map_err(|source| Error::File {
                    path: std::env::temp_dir(),
                    doing: "created",
                    source,
                })?;
                let mut chunks = store.get(&below(prefix, &part.path)).await.map_err(wrong)?.into_stream();
                while let Some(chunk) = futures_util::StreamExt::next(&mut chunks).await {
                    let chunk = chunk.map_err(wrong)?;
                    file.write_all(&chunk).map_err(|source| Error::File {
                        path: std::env::temp_dir(),
                        doing: "written",
                        source,
                    })?;
                }
                file.seek(SeekFrom::Start(0)).map_err(|source| Error::File {
                    path: std::env::temp_dir(),
                    doing: "read",
                    source,
                })?;
                file
            }
        };
        let bytes = fetched.metadata().map_or(0, |metadata| metadata.len());
        expect_bytes(&part.path, part.bytes, bytes)?;
        Ok(fetched)
    }

    /// Bytes of an object. `None` = it is not there.
    async fn bytes_of(&self, path: &str) -> Result<Option<u64>, Error> {
        Ok(self.look_up(path).await?.map(|(bytes, _)| bytes))
    }

    /// Bytes of an object, and when it was written by the clock of its store. `None` = it is not there.
    async fn look_up(&self, path: &str) -> Result<Option<(u64, DateTime<Utc>)>, Error> {
        match self.backend() {
            Backend::Local(folder) => {
                let wrong = |source| Error::File { path: folder.join(path), doing: "looked up", source };
                match std::fs::metadata(folder.join(path)) {
                    Ok(found) => Ok(Some((found.len(), found.modified().map_err(wrong)?.into()))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(wrong(source)),
                }
            }
            Backend::Remote { store, prefix } => match store.head(&below(prefix, path)).await {
                Ok(found) => Ok(Some((found.size, found.last_modified))),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(source) => Err(Error::Object { path: path.to_owned(), doing: "looked up", source }),
            },
        }
    }

    /// Whether what shows the snapshot that readers see was written after it; both by the clock of the store.
    pub(crate) async fn is_up_to_date(&self, path: &str) -> Result<bool, Error> {
        let (shown, pointer) = (self.look_up(path).await?, self.look_up(layout::LATEST).await?);
        Ok(matches!((shown, pointer), (Some((_, shown)), Some((_, pointer))) if shown >= pointer))
    }

    /// Makes an alias show the content of one part, without moving its bytes through this process where possible.
    pub(crate) async fn alias_part(&self, part: &Part, alias: &str) -> Result<(), Error> {
        match self.backend() {
            Backend::Local(folder) => {
                let (from, to) = (folder.join(&part.path), folder.join(alias));
                local::blocking(|| {
                    let mut made = local::beside(&to)?;
                    let wrong = |source| Error::File { path: to.clone(), doing: "written", source };
                    let mut from = File::open(&from).map_err(wrong)?;
                    std::io::copy(&mut from, &mut made).map_err(wrong)?;
                    local::replace(made, &to)
                })
            }
            Backend::Remote { store, prefix } => store
                .copy(&below(prefix, &part.path), &below(prefix, alias))
                .await
                .map_err(|source| Error::Object { path: alias.to_owned(), doing: "written", source }),
        }
    }

    /// Makes an alias show a finished file.
    pub(crate) async fn alias_file(&self, spooled: Spooled, alias: &str) -> Result<(), Error> {
        match self.backend() {
            Backend::Local(folder) => {
                let file = folder.join(alias);
                local::blocking(|| local::replace(spooled.file, &file))
            }
            Backend::Remote { store, prefix } => {
                upload(store.as_ref(), &below(prefix, alias), alias, &spooled, PutMode::Overwrite).await
            }
        }
    }
}

pub(super) fn expect_bytes(path: &str, expected: u64, found: u64) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Differs { path: path.to_owned(), why: format!("{found} bytes instead of {expected}") })
}

/// Small files in one conditional put; larger ones in blocks, so that memory does not grow with the part. Blocks have no
/// create-only form, but the run's id in the name already keeps two runs apart.
async fn upload(
    store: &dyn ObjectStore,
    name: &Path,
    path: &str,
    spooled: &Spooled,
    mode: PutMode,
) -> Result<(), Error> {
    let wrong = |source| Error::Object { path: path.to_owned(), doing: "written", source };
    let unread = |source| Error::File { path: spooled.file.path().to_path_buf(), doing: "read", source };
    let mut file = spooled.reopen().map_err(unread)?;
    if spooled.bytes <= UPLOAD_BLOCK_BYTES as u64 {
        let mut content = Vec::with_capacity(usize::try_from(spooled.bytes).unwrap_or(0));
        file.read_to_end(&mut content).map_err(unread)?;
        let options = PutOptions { mode, ..PutOptions::default() };
        return match store.put_opts(name, PutPayload::from(content), options).await {
            // The client repeats a put after a 5xx, so our own success can come back as "exists": the read-back tells.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(wrong(source)),
        };
    }
    let mut writer =
        WriteMultipart::new_with_chunk_size(store.put_multipart(name).await.map_err(wrong)?, UPLOAD_BLOCK_BYTES);
    let mut block = vec![0; UPLOAD_BLOCK_BYTES];
    loop {
        let read = file.read(&mut block).map_err(unread)?;
        if read == 0 {
            break;
        }
        writer.wait_for_capacity(1).await.map_err(wrong)?;
        writer.write(&block[..read]);
    }
    writer.finish().await.map(|_| ()).map_err(wrong)
}

/// The size and the last bytes, as the store has them, against the file.
async fn read_back(store: &dyn ObjectStore, name: &Path, path: &str, spooled: &Spooled) -> Result<(), Error> {
    let wrong = |source| Error::Object { path: path.to_owned(), doing: "read back", source };
    let found = store.head(name).await.map_err(wrong)?;
    expect_bytes(path, spooled.bytes, found.size)?;
    let tail = spooled.bytes.saturating_sub(TAIL_BYTES)..spooled.bytes;
    if tail.is_empty() {
        return Ok(());
    }
    let found: Bytes = store.get_range(name, tail.clone()).await.map_err(wrong)?;
    let unread = |source| Error::File { path: spooled.file.path().to_path_buf(), doing: "read", source };
    let mut file = spooled.reopen().map_err(unread)?;
    file.seek(SeekFrom::Start(tail.start)).map_err(unread)?;
    let mut expected = Vec::new();
    file.read_to_end(&mut expected).map_err(unread)?;
    if expected != found {
        return Err(Error::Differs { path: path.to_owned(), why: "its last bytes differ".to_owned() });
    }
    Ok(())
}
