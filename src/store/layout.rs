//! The names of everything below a job's folder; no other place makes or reads names. Format version 1:
//!
//! ```text
//! _latest.json                          the pointer; the only mutable name besides aliases and status
//! _latest.lock                          of a local folder: the lock under which the pointer is replaced
//! _snapshots/<seq>-<ulid>.json          immutable manifests
//! _status.json                          last run of the job
//! _held/<run ulid>.json                 what a run would publish that a gate holds back
//! <table>/data/<run ulid>-<nnn>.parquet immutable parts
//! <table>/quarantine/<run ulid>.jsonl    records of a run that became no row, with the reason
//! <stream>/raw/<run ulid>-<nnn>.pages.zst the records of a run as they came, where the job wants them kept
//! <table>/current.parquet               alias: the whole table under one fixed name
//! <table>/columns.json                  names and types of a CSV table's columns
//! .haul-<random>.tmp                    a probe of the store; in a local folder, anywhere: a file that is being written
//! ```

use chrono::{DateTime, Utc};
use ulid::Ulid;

/// The pointer.
pub(crate) const LATEST: &str = "_latest.json";
/// The last run.
pub(crate) const STATUS: &str = "_status.json";
/// Folder of the manifests.
pub(crate) const SNAPSHOTS: &str = "_snapshots";
/// Folder of the manifests of held runs.
pub(crate) const HELD: &str = "_held";
/// What a file that is being written begins and ends with; random characters stand between.
pub(super) const TEMPORARY: (&str, &str) = (".haul-", ".tmp");

/// Folders between a job's folder and its deepest file.
pub(super) const DEPTH_MAX: usize = 2;

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

/// Path of what a held run would publish. The parts that it names are kept while it is there.
pub(super) fn held(run: &str) -> String {
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

/// Path of a file with the records of a run as they came, below the job's folder.
pub(crate) fn raw(stream: &str, run: &str, number: u64) -> String {
    format!("{stream}/raw/{run}-{number:03}.pages.zst")
}

/// Path of a table's alias below the job's folder.
pub(crate) fn alias(table: &str, extension: &str) -> String {
    format!("{table}/current.{extension}")
}

/// Path of a CSV table's list of columns below the job's folder.
pub(crate) fn columns(table: &str) -> String {
    format!("{table}/columns.json")
}

/// Path of a file that proves what a store can do, below the job's folder; one name is used once.
pub(super) fn probe() -> String {
    format!("{}{}{}", TEMPORARY.0, Ulid::generate(), TEMPORARY.1)
}

/// What haul made under a name that is used once. Everything else is not its to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made<'a> {
    Manifest { snapshot: &'a str, sequence: u64 },
    Held { run: &'a str },
    Part { run: &'a str },
    Quarantine { run: &'a str },
    Raw { run: &'a str },
    Temporary,
}

impl<'a> Made<'a> {
    /// Reads a path below the job's folder. `None` = haul made no such thing, or it is mutable.
    pub(super) fn read(path: &'a str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1)).is_some_and(is_random) {
            return Some(Made::Temporary);
        }
        let (stem, extension) = name.split_once('.')?;
        match (folder, extension) {
            (SNAPSHOTS, "json") => {
                let (sequence, run) = stem.split_once('-')?;
                let sequence = number(sequence, 8)?;
                is_run(run).then_some(Made::Manifest { snapshot: stem, sequence })
            }
            (HELD, "json") => is_run(stem).then_some(Made::Held { run: stem }),
            (folder, extension) => {
                let (table, folder) = folder.split_once('/')?;
                match (folder, extension) {
                    _ if !is_table(table) => None,
                    ("data", "parquet" | "csv") => {
                        let (run, part) = stem.split_once('-')?;
                        number(part, 3)?;
                        is_run(run).then_some(Made::Part { run })
                    }
                    ("quarantine", "jsonl") => is_run(stem).then_some(Made::Quarantine { run: stem }),
                    ("raw", "pages.zst") => {
                        let (run, part) = stem.split_once('-')?;
                        number(part, 3)?;
                        is_run(run).then_some(Made::Raw { run })
                    }
                    _ => None,
                }
            }
        }
    }
}

impl Made<'_> {
    /// When the run that made it began, by its id. `None` = the name does not say.
    pub(super) fn begun_at(self) -> Option<DateTime<Utc>> {
        let run = match self {
            Made::Part { run } | Made::Quarantine { run } | Made::Raw { run } | Made::Held { run } => run,
            Made::Manifest { snapshot, .. } => snapshot.rsplit_once('-')?.1,
            Made::Temporary => return None,
        };
        DateTime::from_timestamp_millis(i64::try_from(Ulid::from_string(run).ok()?.timestamp_ms()).ok()?)
    }
}

/// Whether a path below the job's folder is of those that readers of the tables need. What a gate holds back, records that became no
/// row, raw copies and whatever others put there is not theirs; parts of a held run have the same names as others, and are looked up.
pub(crate) fn is_for_readers(path: &str) -> bool {
    if matches!(path, LATEST | STATUS) || matches!(Made::read(path), Some(Made::Manifest { .. } | Made::Part { .. })) {
        return true;
    }
    let of_table =
        |table: &str, file: &str| is_table(table) && matches!(file, "current.parquet" | "current.csv" | "columns.json");
    path.split_once('/').is_some_and(|(table, file)| of_table(table, file))
}

/// The run that wrote a part. `None` = it is no part.
pub(super) fn run_of_part(path: &str) -> Option<String> {
    match Made::read(path) {
        Some(Made::Part { run }) => Some(run.to_owned()),
        _ => None,
    }
}

/// The job file allows no other names of tables.
fn is_table(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_run(text: &str) -> bool {
    Ulid::from_string(text).is_ok_and(|run| run.to_string() == text)
}

/// A number of at least so many digits, filled with zeros up to there only.
fn number(text: &str, digits: usize) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (format!("{number:0digits$}") == text).then_some(number)
}

fn is_random(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_made_is_read() {
        let run = Ulid::generate().to_string();
        let snapshot = snapshot_id(123, &run);
        let run = run.as_str();
        let check = |path: &str, expect: Option<Made<'_>>| assert_eq!(Made::read(path), expect, "{path}");
        check(&manifest(&snapshot), Some(Made::Manifest { snapshot: &snapshot, sequence: 123 }));
        let late = snapshot_id(1_234_567_890, run);
        check(&manifest(&late), Some(Made::Manifest { snapshot: &late, sequence: 1_234_567_890 }));
        check(&held(run), Some(Made::Held { run }));
        check(&part("order_lines", run, 7, "parquet"), Some(Made::Part { run }));
        check(&part("a1", run, 12_345, "csv"), Some(Made::Part { run }));
        check(&quarantine("orders", run), Some(Made::Quarantine { run }));
        check(".haul-aB3xY9.tmp", Some(Made::Temporary));
        check("orders/data/.haul-aB3xY9.tmp", Some(Made::Temporary));
        for mutable in [LATEST, STATUS, "_latest.lock", &alias("orders", "parquet"), &columns("orders")] {
            check(mutable, None);
        }
    }

    #[test]
    fn readers_see_tables_and_nothing_else() {
        let run = Ulid::generate().to_string();
        let theirs = [
            LATEST.to_owned(),
            STATUS.to_owned(),
            manifest(&snapshot_id(1, &run)),
            part("orders", &run, 1, "parquet"),
            alias("orders", "parquet"),
            alias("orders", "csv"),
            columns("orders"),
        ];
        for path in theirs {
            assert!(is_for_readers(&path), "{path}");
            for hostile in
                [format!("/{path}"), format!("./{path}"), format!("../{path}"), format!("{path}/"), format!("{path}\0")]
            {
                assert!(!is_for_readers(&hostile), "{hostile:?}");
            }
        }
        let others = [
            held(&run),
            quarantine("orders", &run),
            raw("orders", &run, 1),
            probe(),
            "_latest.lock".to_owned(),
            "orders/data/../current.parquet".to_owned(),
            "../secret/current.csv".to_owned(),
            "orders\\current.csv".to_owned(),
            "orders/data".to_owned(),
            "orders".to_owned(),
            String::new(),
        ];
        for path in others {
            assert!(!is_for_readers(&path), "{path}");
        }
    }

    #[test]
    fn what_others_put_there_is_not_read() {
        let run = Ulid::generate().to_string();
        for foreign in [
            "notes.txt".to_owned(),
            format!("orders/{run}-001.parquet"),
            format!("orders/data/{run}-001.parquet.bak"),
            format!("orders/data/{run}-1.parquet"),
            format!("orders/data/{run}-0001.parquet"),
            format!("orders/data/{run}-+01.parquet"),
            format!("orders/data/{}-001.parquet", run.to_lowercase()),
            format!("orders/data/sub/{run}-001.parquet"),
            format!("orders/data/{run}-001.xlsx"),
            format!("Orders/data/{run}-001.parquet"),
            format!("_orders/data/{run}-001.parquet"),
            format!("orders/quarantine/{run}.json"),
            format!("_snapshots/{run}.json"),
            format!("_snapshots/7-{run}.json"),
            format!("_snapshots/00000007-{run}.json.bak"),
            format!("_held/copy of {run}.json"),
            "orders/data/part-001.parquet".to_owned(),
            ".haul-.tmp".to_owned(),
            ".haul-a b.tmp".to_owned(),
            ".haul-old.tmp.gz".to_owned(),
        ] {
            assert_eq!(Made::read(&foreign), None, "{foreign}");
        }
    }
}
