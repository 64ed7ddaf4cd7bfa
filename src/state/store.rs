//! The record store: small versioned records, changed by compare-and-swap. What differs between the backends stands in
//! their own files; what every backend must do about a lost answer stands here.

use std::path::Path;

use super::error::Error;
use super::sqlite::SqliteRecords;

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

/// Where the records are; several processes may use it at once.
///
/// A write that returned is durable. Writers must not write the same value twice: after a lost answer, a record that
/// holds the very value is taken for one's own write.
pub(crate) enum RecordStore {
    Sqlite(SqliteRecords),
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
        }
    }

    /// The record, or `None` when there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        match self {
            RecordStore::Sqlite(records) => records.get(key),
        }
    }

    /// All records whose key starts with the prefix, by key.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Versioned>, Error> {
        match self {
            RecordStore::Sqlite(records) => records.list(prefix),
        }
    }

    /// Creates the record; `false` = somebody else was first.
    pub(crate) async fn create(&self, key: &str, value: &str) -> Result<bool, Error> {
        let created = match self {
            RecordStore::Sqlite(records) => records.create(key, value),
        };
        self.settled(created, key, value).await
    }

    /// Replaces the record if it still has this version; `false` = it changed meanwhile.
    pub(crate) async fn swap(&self, key: &str, version: &Version, value: &str) -> Result<bool, Error> {
        let swapped = match self {
            RecordStore::Sqlite(records) => records.swap(key, version, value),
        };
        self.settled(swapped, key, value).await
    }

    /// A write whose answer was lost may have been applied, and its repetition then finds the name taken or the version
    /// changed: what the record holds decides.
    async fn settled(&self, written: Result<bool, Error>, key: &str, value: &str) -> Result<bool, Error> {
        if matches!(written, Ok(true)) {
            return written;
        }
        match self.get(key).await {
            Ok(Some(found)) if found.value == value => Ok(true),
            _ => written,
        }
    }
}
