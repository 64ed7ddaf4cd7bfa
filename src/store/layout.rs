//! The names of everything below a job's folder; no other place makes names. Format version 1:
//!
//! ```text
//! _latest.json                          the pointer; the only mutable name besides aliases and status
//! _snapshots/<seq>-<ulid>.json          immutable manifests
//! _status.json                          last run of the job
//! _held/<run ulid>.json                 what a run would publish that a gate holds back
//! <table>/data/<run ulid>-<nnn>.parquet immutable parts
//! <table>/quarantine/<run ulid>.jsonl    records of a run that became no row, with the reason
//! <table>/current.parquet               alias: the whole table under one fixed name
//! <table>/columns.json                  names and types of a CSV table's columns
//! ```

/// The pointer.
pub(crate) const LATEST: &str = "_latest.json";
/// The last run.
pub(crate) const STATUS: &str = "_status.json";
/// Folder of the manifests.
pub(crate) const SNAPSHOTS: &str = "_snapshots";

/// Folder of the runs that are held.
pub(crate) const HELD: &str = "_held";

/// `<seq>-<ulid>`: sorts by sequence; the run's id tells its maker.
pub(crate) fn snapshot_id(sequence: u64, run: &str) -> String {
    format!("{sequence:08}-{run}")
}

/// Path of a snapshot's manifest below the job's folder.
pub(crate) fn manifest(snapshot: &str) -> String {
    format!("{SNAPSHOTS}/{snapshot}.json")
}

/// The folder that a name stands in.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Path of what a held run would publish.
pub(crate) fn held(run: &str) -> String {
    format!("{HELD}/{run}.json")
}

/// Path of a part below the job's folder.
pub(crate) fn part(table: &str, run: &str, number: u64, extension: &str) -> String {
    format!("{table}/data/{run}-{number:03}.{extension}")
}

/// Path of the file of records that became no row.
pub(crate) fn quarantine(table: &str, run: &str) -> String {
    format!("{table}/quarantine/{run}.jsonl")
}

/// Path of a table's alias below the job's folder.
pub(crate) fn alias(table: &str, extension: &str) -> String {
    format!("{table}/current.{extension}")
}

/// Path of a CSV table's list of columns below the job's folder.
pub(crate) fn columns(table: &str) -> String {
    format!("{table}/columns.json")
}
