//! Copies of kept pages in a record store that several hosts share, so that any of them goes on with an unfinished run.
//! They are made now and then, sealed with the vault's key, because they hold the source's records as they came.
//!
//! Records below `pages/<job>-<hash of the destination>/`, format 1: `head` tells the run, `<run>/<stream>/last` which
//! chunks its log has and who writes it, and `<run>/<stream>/<place>-<writer>` holds one, compressed and sealed. Whoever
//! takes a log over writes `last` first: a former writer that is still alive finds it changed and stops.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use ulid::Ulid;

use super::kept::Counts;
use crate::auth::VaultKey;
use crate::engine::error::Error;
use crate::limits::{PAGE_COPIES_MAX, PAGE_COPY_BYTES_MAX};
use crate::state::{RecordStore, Version};

/// Compression that is cheaper than the request that carries it.
const LEVEL: i32 = 3;

/// The copies of one job's unfinished run.
#[derive(Clone)]
pub(in crate::engine) struct PageCopies {
    records: Arc<RecordStore>,
    key: Arc<VaultKey>,
    /// Key of the job's records.
    job: String,
    /// Of this machine's local folder.
    place: String,
    head: Arc<OwnHead>,
}

/// The head of the run that is going on; it is written when the first page is.
#[derive(Default)]
struct OwnHead {
    /// The run, and its head.
    text: OnceLock<(String, String)>,
    is_written: OnceCell<()>,
}

/// `head`. What it says is sealed: it holds a hash of what the job's references lead to.
#[derive(Serialize, Deserialize)]
struct HeadRecord {
    run: String,
    sealed: String,
}

/// The head of an unfinished run.
pub(in crate::engine) struct CopiedHead {
    pub run: String,
    /// Absent = our key does not open it.
    pub text: Option<String>,
}

/// What `last` says of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Copied {
    /// Local folder of the writer.
    pub place: String,
    pub chunks: Vec<String>,
    pub bytes: u64,
    pub counts: Counts,
    /// Differs from write to write, as the record store asks for.
    write: String,
}

impl PageCopies {
    pub(in crate::engine) fn new(records: Arc<RecordStore>, key: Arc<VaultKey>, job: &str, place: &str) -> Self {
        PageCopies { records, key, job: format!("pages/{job}"), place: place.to_owned(), head: Arc::default() }
    }

    /// The unfinished run. `None` = there is none.
    pub(in crate::engine) async fn head(&self) -> Result<Option<CopiedHead>, Error> {
        let name = self.head_key();
        let found = self.records.get(&name).await?;
        let record = found.and_then(|found| serde_json::from_str::<HeadRecord>(&found.value).ok());
        let open = |sealed: &str| String::from_utf8(self.key.open_bytes(sealed, &name)?).ok();
        Ok(record.map(|record| CopiedHead { text: open(&record.sealed), run: record.run }))
    }

    /// What the head is to say.
    pub(in crate::engine) fn announce(&self, run: &str, head: &str) {
        let _ = self.head.text.set((run.to_owned(), head.to_owned()));
    }

    /// Whether there is anything of the run that is going on.
    pub(in crate::engine) fn is_begun(&self) -> bool {
        self.head.is_written.initialized()
    }

    /// Another run's head is replaced: the lease of the job is ours.
    async fn write_head(&self) -> Result<(), Error> {
        let (run, head) = self.head.text.get().expect("it is announced before the first page");
        let key = self.head_key();
        // Each sealing differs, as the record store asks of each write.
        let record = HeadRecord { run: run.clone(), sealed: self.key.seal_bytes(head.as_bytes(), &key) };
        let value = serde_json::to_string(&record).expect("it holds only texts");
        let is_set = match self.records.get(&key).await? {
            None => self.records.create(&key, &value).await?,
            Some(found) => self.records.swap(&key, &found.version, &value).await?,
        };
        if is_set { Ok(()) } else { Err(Error::LeaseLost) }
    }

    /// What is there of a stream's log. `None` = nothing.
    pub(in crate::engine) async fn copied(&self, run: &str, stream: &str) -> Result<Option<(Copied, Version)>, Error> {
        let found = self.records.get(&self.last_key(run, stream)).await?;
        Ok(found.and_then(|found| Some((serde_json::from_str(&found.value).ok()?, found.version))))
    }

    /// The whole log of a stream as it was copied, which is ours to write from now on. `None` = there is none, or none
    /// that our key opens.
    pub(in crate::engine) async fn take_over(
        &self,
        run: &str,
        stream: &str,
    ) -> Result<Option<(Copied, Vec<u8>)>, Error> {
        let Some((copied, version)) = self.copied(run, stream).await? else { return Ok(None) };
        let copied = self.write_last(run, stream, copied, Some(&version)).await?;
        let mut log = Vec::new();
        for chunk in &copied.chunks {
            let name = format!("{}/{run}/{stream}/{chunk}", self.job);
            let Some(found) = self.records.get(&name).await? else { return Ok(None) };
            let opened = self.key.open_bytes(&found.value, &name);
            let Some(bytes) = opened.and_then(|sealed| zstd::decode_all(sealed.as_slice()).ok()) else {
                return Ok(None);
            };
            log.extend_from_slice(&bytes);
        }
        Ok((log.len() as u64 == copied.bytes).then_some((copied, log)))
    }

    /// Whether this machine wrote the log last: then its own file holds at least as much.
    pub(in crate::engine) fn is_ours(&self, copied: &Copied) -> bool {
        copied.place == self.place
    }

    /// Adds what was written to a log since the last time.
    pub(in crate::engine) async fn add(
        &self,
        run: &str,
        stream: &str,
        mut copied: Copied,
        bytes: &[u8],
        counts: Counts,
    ) -> Result<Copied, Error> {
        self.head.is_written.get_or_try_init(|| self.write_head()).await?;
        for piece in bytes.chunks(PAGE_COPY_BYTES_MAX) {
            if copied.chunks.len() >= PAGE_COPIES_MAX {
                return Err(Error::ManyCopies { stream: stream.to_owned(), limit: PAGE_COPIES_MAX });
            }
            let chunk = format!("{:012}-{}", copied.bytes, Ulid::generate());
            let name = format!("{}/{run}/{stream}/{chunk}", self.job);
            let packed =
                zstd::encode_all(piece, LEVEL).map_err(|source| Error::Spool { stream: stream.to_owned(), source })?;
            if !self.records.create(&name, &self.key.seal_bytes(&packed, &name)).await? {
                return Err(Error::LeaseLost);
            }
            copied.chunks.push(chunk);
            copied.bytes += piece.len() as u64;
        }
        copied.counts = counts;
        match self.copied(run, stream).await? {
            None if copied.write.is_empty() => self.write_last(run, stream, copied, None).await,
            Some((found, version)) if found.write == copied.write => {
                self.write_last(run, stream, copied, Some(&version)).await
            }
            // Another host took the log over.
            Some(_) | None => Err(Error::LeaseLost),
        }
    }

    async fn write_last(
        &self,
        run: &str,
        stream: &str,
        copied: Copied,
        expected: Option<&Version>,
    ) -> Result<Copied, Error> {
        let key = self.last_key(run, stream);
        let copied = Copied { place: self.place.clone(), write: Ulid::generate().to_string(), ..copied };
        let value = serde_json::to_string(&copied).expect("it holds only texts and numbers");
        let is_written = match expected {
            None => self.records.create(&key, &value).await?,
            Some(version) => self.records.swap(&key, version, &value).await?,
        };
        if is_written { Ok(copied) } else { Err(Error::LeaseLost) }
    }

    /// Removes everything of a run, its head last: a removal that is cut off is finished by the next.
    pub(in crate::engine) async fn remove(&self, run: &str, streams: &[String]) -> Result<(), Error> {
        for stream in streams {
            self.remove_stream(run, stream).await?;
        }
        Ok(self.records.remove(&self.head_key()).await?)
    }

    /// Removes the log of a stream.
    pub(in crate::engine) async fn remove_stream(&self, run: &str, stream: &str) -> Result<(), Error> {
        let Some((copied, _)) = self.copied(run, stream).await? else { return Ok(()) };
        for chunk in &copied.chunks {
            self.records.remove(&format!("{}/{run}/{stream}/{chunk}", self.job)).await?;
        }
        Ok(self.records.remove(&self.last_key(run, stream)).await?)
    }

    fn head_key(&self) -> String {
        format!("{}/head", self.job)
    }

    fn last_key(&self, run: &str, stream: &str) -> String {
        format!("{}/{run}/{stream}/last", self.job)
    }
}
