//! What became of a job's slots and runs, kept after they are over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::log::LogLine;
use super::notify::EventKind;
use super::refresh::RefreshEntry;
use super::report::{Outcome, RunReport, TableOutcome};

/// Version of `Entry` and `RunDocument`, as they are stored.
pub(crate) const HISTORY_FORMAT: u32 = 1;

/// One run, or slots that no run served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The scheduled instant. Absent = the run was started by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<DateTime<Utc>>,
    /// When the run began, or when it was decided that there is none.
    pub at: DateTime<Utc>,
    pub outcome: Served,
    /// Why there was no run, or why it failed or is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Name of the machine.
    pub host: String,
    /// Absent = there was no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunEntry>,
    /// Whom haul told of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeEntry>,
}

/// A notice that was sent, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NoticeEntry {
    /// The receiver's name; never its address.
    pub to: String,
    /// Absent = the ping of a dead-man check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventKind>,
    /// Absent = it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Served {
    Published,
    Unchanged,
    Failed,
    Held,
    /// An earlier run was going on.
    Skipped,
    Interrupted,
    /// It passed while nothing ran, and is not made up for.
    Missed,
    /// It lay in a window in which no run begins.
    Blackout,
    /// Somebody had paused the job.
    Paused,
}

impl From<Outcome> for Served {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Published => Served::Published,
            Outcome::Unchanged => Served::Unchanged,
            Outcome::Failed => Served::Failed,
            Outcome::Held => Served::Held,
            Outcome::Skipped => Served::Skipped,
            Outcome::Interrupted => Served::Interrupted,
        }
    }
}

impl Served {
    /// Whether the source was read to its end and readers see that.
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Served::Published | Served::Unchanged)
    }

    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Served::Published => "published",
            Served::Unchanged => "unchanged",
            Served::Failed => "failed",
            Served::Held => "held",
            Served::Skipped => "skipped",
            Served::Interrupted => "interrupted",
            Served::Missed => "missed",
            Served::Blackout => "blackout",
            Served::Paused => "paused",
        }
    }
}

/// A run in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunEntry {
    pub run: String,
    pub seconds: f64,
    pub requests: u64,
    /// Requests among these that were repeated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
    pub refreshes: u64,
    /// Time in which nothing was asked because a quota was used up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paused_seconds: u64,
    /// Of answers.
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    pub tables: BTreeMap<String, TableEntry>,
    /// What of Power BI was refreshed behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub powerbi: Vec<RefreshEntry>,
}

/// A table of a run in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableEntry {
    pub rows: u64,
    pub bytes: u64,
    pub outcome: TableOutcome,
    /// Columns that are new, gone or of another type.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub schema_changes: u64,
}

/// What is kept of a run beyond its entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunDocument {
    pub format_version: u32,
    pub entry: Entry,
    /// As `haul run --json` prints it.
    pub report: serde_json::Value,
    /// How long each stream was read, in seconds.
    #[serde(default)]
    pub stream_seconds: BTreeMap<String, f64>,
    /// The first and the last lines.
    pub log: Vec<LogLine>,
    /// Lines between these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub log_left_out: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Entry {
    /// A slot that no run serves.
    pub(crate) fn of_slot(slot: DateTime<Utc>, at: DateTime<Utc>, outcome: Served, why: String, host: String) -> Self {
        Entry { slot: Some(slot), at, outcome, why: Some(why), host, run: None, notices: Vec::new() }
    }

    /// Whether both speak of the same run or slot.
    pub(crate) fn is_of_same(&self, other: &Entry) -> bool {
        let run = |entry: &Entry| entry.run.as_ref().map(|run| run.run.clone());
        (self.at, self.slot, &self.host) == (other.at, other.slot, &other.host) && run(self) == run(other)
    }

    /// A run that is over.
    pub(crate) fn of_run(report: &RunReport, slot: Option<DateTime<Utc>>, host: &str) -> Self {
        let tables = report.tables.iter().map(|(name, table)| {
            let schema_changes = table.schema_changes.len() as u64;
            (name.clone(), TableEntry { rows: table.rows, bytes: table.bytes, outcome: table.outcome, schema_changes })
        });
        Entry {
            slot,
            at: report.started_at,
            outcome: report.outcome.into(),
            why: report.error.clone(),
            host: host.to_owned(),
            run: Some(RunEntry {
                run: report.run.clone(),
                seconds: report.seconds,
                requests: report.source.attempts,
                retries: report.source.retries,
                refreshes: report.source.refreshes,
                paused_seconds: report.source.paused_seconds,
                bytes: report.source.bytes,
                snapshot: report.snapshot.clone(),
                tables: tables.collect(),
                powerbi: report.refreshes.iter().map(RefreshEntry::of).collect(),
            }),
            notices: Vec::new(),
        }
    }
}
