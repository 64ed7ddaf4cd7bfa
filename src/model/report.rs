//! What a run tells when it is over: one report, the same for people, `--json` and the status file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::column::ColumnType;
use super::incremental::StoredCursor;
use super::refresh::RefreshReport;
use super::warning::Warning;
use crate::paging::walk::EndReason;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A new snapshot is visible.
    Published,
    /// All was read, and it is what readers see already: there is no new snapshot.
    Unchanged,
    /// Nothing new is visible.
    Failed,
    /// The tables are read whole, and a gate holds them back until a person decides.
    Held,
    /// Another run of the job holds the lease.
    Skipped,
    /// Stopped by a signal; nothing new is visible.
    Interrupted,
}

/// How one table ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TableOutcome {
    /// Its rows are part of the new snapshot.
    Published,
    /// Its rows are those of the last snapshot.
    Unchanged,
    /// Walked whole, but another table failed, so nothing was published.
    Read,
    /// It kept its former parts: `--stream` left it out, or it failed and the job publishes the others all the same.
    Kept,
    /// Read whole, and held back by a gate: readers see the former rows.
    Held,
    Failed,
}

impl TableOutcome {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            TableOutcome::Published => "published",
            TableOutcome::Unchanged => "unchanged",
            TableOutcome::Read => "read",
            TableOutcome::Kept => "kept",
            TableOutcome::Held => "held",
            TableOutcome::Failed => "failed",
        }
    }
}

/// Walks of a stream that ended for the same reason, one a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalkReport {
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slices: u64,
    pub pages: u64,
    pub records: u64,
    /// Why the walks were over.
    pub ended: EndReason,
    /// The table changed while it was read, which the job allows: rows may be missing or double.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

fn one() -> u64 {
    1
}

fn is_one(count: &u64) -> bool {
    *count == 1
}

/// What an incremental read did to the rows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MergeCounts {
    pub former_rows: u64,
    pub read_rows: u64,
    /// Rows with a key that was not there.
    pub inserted: u64,
    /// Rows in the place of former ones.
    pub updated: u64,
    /// Rows that changed nothing: the table had the same key, newer or to be kept.
    pub known: u64,
    /// Rows whose key came once more in the same read.
    pub repeated: u64,
    /// Records that were told to be gone, by themselves or by another stream.
    pub deletions: u64,
    /// Former rows that went because their record is gone.
    pub deleted: u64,
    /// Rows that stay with a mark because their record is gone; those that had it before are not counted.
    pub marked: u64,
    pub parts_kept: u64,
    pub parts_rewritten: u64,
    /// Former files that can hold none of the keys, and were not looked at.
    pub parts_unread: u64,
}

/// A slice that failed, and that the job lets the table be published without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOutSlice {
    pub slice: String,
    pub error: String,
}

/// A column that is new, gone or of another type than in the last snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub(crate) enum SchemaChange {
    Added {
        column: String,
        to: ColumnType,
    },
    Removed {
        column: String,
        from: ColumnType,
    },
    Retyped {
        column: String,
        from: ColumnType,
        to: ColumnType,
        /// The value that asked for it, and where it stood. Absent = it was the job or the source's description.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
}

impl SchemaChange {
    /// For people.
    pub(crate) fn text(&self, table: &str) -> String {
        match self {
            SchemaChange::Added { column, to } => format!("table `{table}`: new column `{column}` ({to})"),
            SchemaChange::Removed { column, from } => format!("table `{table}`: column `{column}` ({from}) is gone"),
            SchemaChange::Retyped { column, from, to, because } => {
                let because = because.as_ref().map(|value| format!(", because of {value}")).unwrap_or_default();
                format!("table `{table}`: column `{column}` was {from}, is {to}{because}")
            }
        }
    }

    /// The column that changed.
    pub(crate) fn column(&self) -> &str {
        match self {
            SchemaChange::Added { column, .. }
            | SchemaChange::Removed { column, .. }
            | SchemaChange::Retyped { column, .. } => column,
        }
    }
}

/// Records that became no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Quarantine {
    pub records: u64,
    /// The file with them and the reasons, relative to the job's folder.
    pub path: String,
}

/// What earlier runs kept of a stream, and a table was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Rebuilt {
    pub runs: u64,
    pub pages: u64,
}

/// One table of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TableReport {
    pub rows: u64,
    pub bytes: u64,
    pub outcome: TableOutcome,
    pub parts: u64,
    pub walks: Vec<WalkReport>,
    /// Absent = the table was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeCounts>,
    /// Slices that are missing, the first hundred of `slices_left_out`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutSlice>,
    #[serde(skip_serializing_if = "is_zero")]
    pub slices_left_out: u64,
    /// How far the stream is read, by slice or `all`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<String, StoredCursor>,
    /// Records without a value for the cursor.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_cursor: u64,
    /// Records that the job's filter left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub filtered: u64,
    /// Pages of `walks` that an unfinished run had read; they were not asked for again.
    #[serde(skip_serializing_if = "is_zero")]
    pub resumed_pages: u64,
    /// What the table was made of instead of the source's answers. Absent = it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<Rebuilt>,
    /// Absent = every record could become a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// New fields that the contract left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_left_out: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_changes: Vec<SchemaChange>,
    /// Values that could not be kept as they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Why the table failed. Absent = it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What the source was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SourceReport {
    /// Requests sent, every attempt counted.
    pub attempts: u64,
    /// Attempts that were repeated after an error or a 429.
    pub retries: u64,
    /// Bytes of bodies after decompression.
    pub bytes: u64,
    /// Tokens bought from the authorization server.
    pub refreshes: u64,
    /// Time in which nothing was sent because a quota was used up or the server asked for it, by the wall clock.
    pub paused_seconds: u64,
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SweepCounts {
    /// Manifests of former snapshots.
    pub snapshots: u64,
    /// Files that no manifest names any more.
    pub files: u64,
    pub bytes: u64,
    /// Unnamed files that a later sweep removes.
    pub waiting: u64,
}

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunReport {
    pub job: String,
    pub run: String,
    pub outcome: Outcome,
    /// Snapshot that readers see now. Absent = nothing was ever published.
    pub snapshot: Option<String>,
    pub started_at: DateTime<Utc>,
    pub seconds: f64,
    /// The unfinished run whose pages this one went on from. Absent = it began anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<String>,
    /// Where the tables are, without credentials.
    pub destination: String,
    pub tables: BTreeMap<String, TableReport>,
    pub source: SourceReport,
    /// What the gates hold tables back for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// What of Power BI was refreshed behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshes: Vec<RefreshReport>,
    /// What nobody needed any more. Absent = there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swept: Option<SweepCounts>,
    /// Why nothing was published. Absent = it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it, where we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What did not go as it should although the tables are published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
