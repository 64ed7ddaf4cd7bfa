//! The record store: small versioned records, changed by compare-and-swap. What differs between the backends stands in
//! their own files; what every backend must do about a lost answer stands here.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;

use super::error::Error;
use super::objects::ObjectRecords;
use super::postgres::PostgresRecords;
use super::sqlite::SqliteRecords;
use crate::limits::{RECORD_BYTES_MAX, STATE_RETRY_WAIT, STATE_TRIES_MAX};
use crate::secret::Secret;

/// The version of a record, as its backend spells it. A swap must name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(pub(super) String);

/// A record's value with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versioned {
    pub key: String,
    pub version: Version,
    pub value: String,
}

/// Where the records are; several processes, and with a remote store several hosts, may use it at once.
///
/// A write that returned is durable. Writers must not write the same value twice: after a lost answer, a record that
/// holds the very value is taken for one's own write.
pub(crate) enum RecordStore {
    Sqlite(SqliteRecords),
    Postgres(PostgresRecords),
    Objects(ObjectRecords),
}

impl RecordStore {
    /// Opens or creates the records in a folder of this machine; the folder is made private to the user.
    pub(crate) fn open_folder(folder: &Path) -> Result<Self, Error> {
        Ok(RecordStore::Sqlite(SqliteRecords::open(folder)?))
    }

    /// Whether other machines may use the same records.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            RecordStore::Sqlite(_) => false,
            RecordStore::Postgres(_) | RecordStore::Objects(_) => true,
        }
    }

    /// Opens the records in a PostgreSQL database and makes their table where there is none. The password of the
    /// address wins over the one beside it.
    pub(crate) async fn open_postgres(address: &Secret, password: Option<&Secret>) -> Result<Self, Error> {
        Ok(RecordStore::Postgres(PostgresRecords::open(address, password).await?))
    }

    /// Opens the records below a prefix of an object store that does not repeat requests by itself; refused when the
    /// store ignores the conditions of a write. `place` names it for people.
    pub(crate) async fn open_objects(
        store: Arc<dyn ObjectStore>,
        prefix: object_store::path::Path,
        place: &str,
    ) -> Result<Self, Error> {
        Ok(RecordStore::Objects(ObjectRecords::open(store, prefix, place).await?))
    }

    /// The record, or `None` when there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        match self {
            RecordStore::Sqlite(records) => records.get(key),
            RecordStore::Postgres(records) => records.get(key).await,
            RecordStore::Objects(records) => records.get(key).await,
        }
    }

    /// All records whose key starts with the prefix, by key.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Versioned>, Error> {
        match self {
            RecordStore::Sqlite(records) => records.list(prefix),
            RecordStore::Postgres(records) => records.list(prefix).await,
            RecordStore::Objects(records) => records.list(prefix).await,
        }
    }

    /// The keys of such records, without reading these. Only for keys of letters, digits, `-`, `_` and `/`: others may be spelled
    /// otherwise where names are escaped.
    pub(crate) async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut keys = match self {
            RecordStore::Sqlite(records) => records.keys(prefix)?,
            RecordStore::Postgres(records) => records.keys(prefix).await?,
            RecordStore::Objects(records) => records.keys(prefix).await?,
        };
        // Databases sort by their own locale.
        keys.sort_unstable();
        Ok(keys)
    }

    /// Creates the record; `false` = somebody else was first.
    pub(crate) async fn create(&self, key: &str, value: &str) -> Result<bool, Error> {
        self.settled(key, None, value).await
    }

    /// Replaces the record if it still has this version; `false` = it changed meanwhile.
    pub(crate) async fn swap(&self, key: &str, version: &Version, value: &str) -> Result<bool, Error> {
        self.settled(key, Some(version), value).await
    }

    /// Removes a record that nobody will write again; one that is not there is removed already.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        match self {
            RecordStore::Sqlite(records) => records.remove(key),
            RecordStore::Postgres(records) => records.remove(key).await,
            RecordStore::Objects(records) => records.remove(key).await,
        }
    }

    /// Writes until it is known what happened. A write whose answer was lost may have been applied, and its repetition
    /// then finds the name taken or the version changed: what the record holds decides. An error means that it is not
    /// known, or that nothing was written.
    async fn settled(&self, key: &str, expected: Option<&Version>, value: &str) -> Result<bool, Error> {
        if value.len() as u64 > RECORD_BYTES_MAX {
            return Err(Error::TooLarge { key: key.to_owned(), bytes: value.len() as u64 });
        }
        let mut doubt = None;
        for _ in 0..STATE_TRIES_MAX {
            let written = self.write_once(key, expected, value).await;
            let error = match written {
                Ok(true) => return Ok(true),
                Ok(false) => None,
                Err(error) if matches!(self, RecordStore::Sqlite(_)) => return Err(error),
                Err(error) => Some(error),
            };
            let found = match self.get(key).await {
                Ok(Some(found)) if found.value == value => return Ok(true),
                Ok(found) => found,
                // Refused, but perhaps by our own earlier try.
                Err(unread) => return Err(doubt.or(error).unwrap_or(unread)),
            };
            let Some(error) = error else {
                // Our earlier try may have been applied and then been replaced by a third one who saw it.
                return doubt.map_or(Ok(false), Err);
            };
            // Still as expected: the write may be repeated, and at most one of the tries is applied.
            if !error.is_temporary() || found.as_ref().map(|found| &found.version) != expected {
                return Err(error);
            }
            doubt = Some(error);
            tokio::time::sleep(STATE_RETRY_WAIT).await;
        }
        Err(doubt.expect("a try that ends without an answer leaves its error"))
    }

    async fn write_once(&self, key: &str, expected: Option<&Version>, value: &str) -> Result<bool, Error> {
        match (self, expected) {
            (RecordStore::Sqlite(records), None) => records.create(key, value),
            (RecordStore::Sqlite(records), Some(version)) => records.swap(key, version, value),
            (RecordStore::Postgres(records), None) => records.create(key, value).await,
            (RecordStore::Postgres(records), Some(version)) => records.swap(key, version, value).await,
            (RecordStore::Objects(records), None) => records.create(key, value).await,
            (RecordStore::Objects(records), Some(version)) => records.swap(key, version, value).await,
        }
    }
}
