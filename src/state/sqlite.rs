//! Records in one SQLite file: rollback journal and full sync, because a record that was acknowledged must survive the
//! power going out; a write costs some milliseconds and happens a few times a run.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Error;
use super::folder::make_private;
use super::store::{Version, Versioned};
use crate::clock::Clock;
use crate::limits::STATE_WAIT_MAX;

/// The records of one SQLite file; several processes may use it at once.
pub(crate) struct SqliteRecords {
    connection: Mutex<Connection>,
    file: PathBuf,
}

impl SqliteRecords {
    /// Opens or creates `state.db` in the folder; the folder is made private to the user.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        make_private(folder)?;
        let file = folder.join("state.db");
        let wrong = |source| Error::Sqlite { file: file.clone(), doing: "opened", source };
        let connection = Connection::open(&file).map_err(wrong)?;
        connection.busy_timeout(STATE_WAIT_MAX).map_err(wrong)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = DELETE;
                 PRAGMA synchronous = EXTRA;
                 CREATE TABLE IF NOT EXISTS records (
                     key TEXT PRIMARY KEY,
                     version INTEGER NOT NULL,
                     value TEXT NOT NULL,
                     changed_at TEXT NOT NULL
                 ) STRICT;",
            )
            .map_err(wrong)?;
        Ok(SqliteRecords { connection: Mutex::new(connection), file })
    }

    /// The record, or `None` when there is none.
    pub(super) fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        self.with("read", |connection| {
            connection
                .query_row("SELECT key, version, value FROM records WHERE key = ?1", params![key], versioned)
                .optional()
        })
    }

    /// All records whose key starts with the prefix, by key.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Versioned>, Error> {
        self.with("read", |connection| {
            let mut statement = connection.prepare(
                // The range lets the index find them; no key holds the last of all characters.
                "SELECT key, version, value FROM records WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key",
            )?;
            let rows = statement.query_map(params![prefix], versioned)?;
            rows.collect()
        })
    }

    /// Their keys alone.
    pub(super) fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.with("read", |connection| {
            let mut statement = connection
                .prepare("SELECT key FROM records WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key")?;
            let rows = statement.query_map(params![prefix], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Creates the record; `false` = somebody else was first.
    pub(super) fn create(&self, key: &str, value: &str) -> Result<bool, Error> {
        self.with("written", |connection| {
            let changed = connection.execute(
                "INSERT INTO records (key, version, value, changed_at) VALUES (?1, 1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![key, value, Clock.now().to_rfc3339()],
            )?;
            Ok(changed == 1)
        })
    }

    /// Replaces the record if it still has this version; `false` = it changed meanwhile. Durable when it returns.
    pub(super) fn swap(&self, key: &str, version: &Version, value: &str) -> Result<bool, Error> {
        // A version of another kind of store is none of ours.
        let Ok(version) = version.0.parse::<i64>() else { return Ok(false) };
        self.with("written", |connection| {
            let changed = connection.execute(
                "UPDATE records SET version = version + 1, value = ?3, changed_at = ?4 WHERE key = ?1 AND version = ?2",
                params![key, version, value, Clock.now().to_rfc3339()],
            )?;
            Ok(changed == 1)
        })
    }

    /// Removes the record, if it is there.
    pub(super) fn remove(&self, key: &str) -> Result<(), Error> {
        self.with("removed", |connection| {
            connection.execute("DELETE FROM records WHERE key = ?1", params![key]).map(|_| ())
        })
    }

    fn with<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        let work = || {
            let connection = self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(&connection).map_err(|source| Error::Sqlite { file: self.file.clone(), doing, source })
        };
        // A write waits for the disk; where there are more threads, the other tasks are moved to one of them meanwhile.
        match tokio::runtime::Handle::current().runtime_flavor() {
            tokio::runtime::RuntimeFlavor::CurrentThread => work(),
            _ => tokio::task::block_in_place(work),
        }
    }
}

fn versioned(row: &rusqlite::Row<'_>) -> Result<Versioned, rusqlite::Error> {
    let version: i64 = row.get(1)?;
    Ok(Versioned { key: row.get(0)?, version: Version(version.to_string()), value: row.get(2)? })
}
