//! Records as objects below a prefix of an object store, changed by conditional puts.
//!
//! Format version 1: `<prefix>/<key>.json` holds `{"format":1,"key":…,"write":…,"value":…}`. `write` is another one for
//! every write: where the entity tag is a hash of the content, a record that got a former value again would otherwise get
//! its former tag too. `<prefix>/_haul-state.json` says that the store was found to keep the conditions.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use ulid::Ulid;

use super::error::Error;
use super::store::{Version, Versioned};
use crate::limits::{RECORD_BYTES_MAX, RECORDS_IN_FLIGHT, STATE_ANSWER_MAX, STATE_RETRY_WAIT, STATE_TRIES_MAX};
use crate::store::{Probed, probe_conditions};

const FORMAT: u32 = 1;
const MARKER: &str = "_haul-state";

/// The records below one prefix; any number of processes and hosts may use it at once.
///
/// - The store does not repeat requests by itself: a repeated put that is refused because its first try was applied
///   would be taken for somebody else's write.
pub(crate) struct ObjectRecords {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// For messages.
    place: String,
}

#[derive(Serialize, Deserialize)]
struct ObjectRecord {
    format: u32,
    key: String,
    write: String,
    value: String,
}

impl ObjectRecords {
    /// Opens the records; a store that was never used for them is probed first.
    pub(super) async fn open(store: Arc<dyn ObjectStore>, prefix: Path, place: &str) -> Result<Self, Error> {
        let records = ObjectRecords { store, prefix, place: format!("`{place}`") };
        if records.get(MARKER).await?.is_none() {
            records.probe().await?;
            // Somebody else may have been first with the same finding.
            records.create(MARKER, "this store keeps the conditions of a write").await?;
        }
        Ok(records)
    }

    /// The record, or `None` when there is none.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        let found = self.read(&self.name_of(key), key).await?;
        match found {
            Some(record) if record.key != key => {
                Err(Error::Record { key: key.to_owned(), why: format!("its object holds `{}`", record.key) })
            }
            found => Ok(found),
        }
    }

    /// All records whose key starts with the prefix, by key.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Versioned>, Error> {
        // A store lists whole folders; what is below this one but starts otherwise is left out by its name.
        let folder = prefix.rsplit_once('/').map_or_else(|| self.prefix.clone(), |(folder, _)| self.below(folder));
        let names = self.list_names(&folder, prefix).await?;
        // Boxed: the compiler does not see that futures made by a closure may go to another thread.
        let reads: Vec<_> = names.iter().map(|name| self.read(name, name.as_ref()).boxed()).collect();
        let found: Vec<Option<Versioned>> =
            futures_util::stream::iter(reads).buffered(RECORDS_IN_FLIGHT).try_collect().await?;
        let mut records: Vec<Versioned> = found
            .into_iter()
            .flatten()
            .filter(|record| record.key.starts_with(prefix) && record.key != MARKER)
            .collect();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(records)
    }

    /// Their keys alone, as the names of the objects spell them.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let folder = prefix.rsplit_once('/').map_or_else(|| self.prefix.clone(), |(folder, _)| self.below(folder));
        let names = self.list_names(&folder, prefix).await?;
        let above = self.prefix.as_ref();
        let key = |name: &Path| {
            let key = name.as_ref().strip_prefix(above)?.trim_start_matches('/').strip_suffix(".json")?;
            key.starts_with(prefix).then(|| key.to_owned())
        };
        Ok(names.iter().filter_map(key).collect())
    }

    /// Creates the record; `false` = somebody else was first.
    pub(super) async fn create(&self, key: &str, value: &str) -> Result<bool, Error> {
        self.put(key, PutMode::Create, value).await
    }

    /// Replaces the record if it still has this version; `false` = it changed meanwhile. Durable when it returns.
    pub(super) async fn swap(&self, key: &str, version: &Version, value: &str) -> Result<bool, Error> {
        // A version of another kind of store is none of ours.
        let Some((etag, generation)) = version.0.split_once('\n') else { return Ok(false) };
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let update = UpdateVersion { e_tag: text(etag), version: text(generation) };
        self.put(key, PutMode::Update(update), value).await
    }

    /// Removes the record, if it is there.
    pub(super) async fn remove(&self, key: &str) -> Result<(), Error> {
        let name = self.name_of(key);
        match self.in_time(self.store.delete(&name)).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.wrong(key, "removed", source)),
        }
    }

    /// Proves with an object of its own that the store keeps the conditions of a write; the whole state rests on that.
    async fn probe(&self) -> Result<(), Error> {
        let key = format!("_probe-{}", Ulid::generate());
        let probed = self.in_time(probe_conditions(&self.store, &self.name_of(&key))).await?;
        match probed.map_err(|source| self.wrong(&key, "written", source))? {
            Probed::Keeps => Ok(()),
            Probed::Ignores(what) => Err(Error::Unconditional { place: self.place.clone(), what }),
        }
    }

    fn below(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn name_of(&self, key: &str) -> Path {
        self.below(&format!("{key}.json"))
    }

    async fn put(&self, key: &str, mode: PutMode, value: &str) -> Result<bool, Error> {
        let record = ObjectRecord {
            format: FORMAT,
            key: key.to_owned(),
            write: Ulid::generate().to_string(),
            value: value.to_owned(),
        };
        let content = serde_json::to_vec(&record).expect("a record holds only texts and numbers");
        let is_update = matches!(mode, PutMode::Update(_));
        let options = PutOptions { mode, ..PutOptions::default() };
        let name = self.name_of(key);
        let put = self.store.put_opts(&name, PutPayload::from(content), options);
        match self.in_time(put).await? {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotModified { .. },
            ) => Ok(false),
            // The record is gone; at a creation it is the container that is missing.
            Err(object_store::Error::NotFound { .. }) if is_update => Ok(false),
            Err(source) => Err(self.wrong(key, "written", source)),
        }
    }

    /// `None` = there is no such object. A read may be repeated, whatever became of it; all tries share one limit.
    async fn read(&self, name: &Path, key: &str) -> Result<Option<Versioned>, Error> {
        let reading = async {
            for _ in 1..STATE_TRIES_MAX {
                match self.read_once(name, key).await {
                    Err(error) if error.is_temporary() => tokio::time::sleep(STATE_RETRY_WAIT).await,
                    read => return read,
                }
            }
            self.read_once(name, key).await
        };
        self.in_time(reading).await?
    }

    async fn read_once(&self, name: &Path, key: &str) -> Result<Option<Versioned>, Error> {
        let wrong = |source| self.wrong(key, "read", source);
        let got = match self.store.get_opts(name, GetOptions::default()).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(wrong(source)),
        };
        let meta = got.meta.clone();
        // Known from the head of the answer; escaped text may be longer than it is.
        if meta.size > RECORD_BYTES_MAX * 2 {
            return Err(Error::TooLarge { key: key.to_owned(), bytes: meta.size });
        }
        let bytes = got.bytes().await.map_err(wrong)?;
        let unreadable = |why: String| Error::Record { key: key.to_owned(), why };
        let record: ObjectRecord = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if record.format != FORMAT {
            return Err(unreadable(format!("its format is {}, this version of haul reads {FORMAT}", record.format)));
        }
        let version = format!("{}\n{}", meta.e_tag.unwrap_or_default(), meta.version.unwrap_or_default());
        Ok(Some(Versioned { key: record.key, version: Version(version), value: record.value }))
    }

    async fn list_names(&self, folder: &Path, prefix: &str) -> Result<Vec<Path>, Error> {
        // One letter more, because a part that is `.` or `..` alone is spelled otherwise than inside a name.
        let longer = self.below(&format!("{prefix}x"));
        let start = longer.as_ref().strip_suffix('x').expect("it ends with the letter");
        let listing = self.store.list(Some(folder)).map_ok(|meta| meta.location).try_collect::<Vec<Path>>();
        let names = self.in_time(listing).await?.map_err(|source| self.wrong(prefix, "listed", source))?;
        let is_record = |name: &Path| name.as_ref().starts_with(start) && name.as_ref().ends_with(".json");
        Ok(names.into_iter().filter(is_record).collect())
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        timeout(STATE_ANSWER_MAX, work)
            .await
            .map_err(|_| Error::Silent { place: self.place.clone(), limit: STATE_ANSWER_MAX })
    }

    fn wrong(&self, key: &str, doing: &'static str, source: object_store::Error) -> Error {
        Error::Object { place: self.place.clone(), key: key.to_owned(), doing, source }
    }
}
