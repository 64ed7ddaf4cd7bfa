//! What of Power BI is refreshed after a publication, and what came of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use super::credential::Entra;
use super::plan::TextSource;

/// Where the refreshes are asked for, and which.
#[derive(Debug, Clone)]
pub(crate) struct PowerBi {
    /// Origin of the Power BI REST API.
    pub api: Url,
    /// Origin of the Fabric REST API, which refreshes dataflows of the second generation.
    pub fabric: Url,
    /// The application that asks; its resource is the Power BI REST API.
    pub login: Entra,
    /// At least one; refreshed in this order, one after the other.
    pub targets: Vec<Target>,
}

/// One semantic model or dataflow.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// For people; unique in the job.
    pub name: String,
    /// A GUID in lower case, as that of the item.
    pub workspace: String,
    pub item: Item,
    pub on: RefreshOn,
    pub wait: RefreshWait,
}

/// What is refreshed.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Dataset {
        id: String,
        /// Empty = all of it.
        tables: Vec<String>,
        /// Parameters of its queries that are set before every refresh.
        parameters: Vec<(String, TextSource)>,
        /// Those of haul's queries are kept up to date with a share of the job that opens this. Absent = they are not.
        share: Option<ShareScope>,
    },
    /// Of the first generation.
    Dataflow { id: String },
    /// Of the second generation, an item of Fabric.
    DataflowGen2 { id: String },
}

/// What a signature opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShareScope {
    Container,
    Folder,
}

impl Item {
    pub(crate) fn id(&self) -> &str {
        match self {
            Item::Dataset { id, .. } | Item::Dataflow { id } | Item::DataflowGen2 { id } => id,
        }
    }

    /// As a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Item::Dataset { .. } => "dataset",
            Item::Dataflow { .. } => "dataflow",
            Item::DataflowGen2 { .. } => "dataflow_gen2",
        }
    }
}

impl Target {
    /// Names it in the records: two jobs may refresh one item, and a job may name it otherwise tomorrow.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.workspace, self.item.id())
    }
}

/// Which runs refresh it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshOn {
    /// Those behind which readers see a snapshot that it was not refreshed for.
    Published,
    /// All behind which readers see what the source has.
    EveryRun,
}

/// Whether a run waits for the end of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshWait {
    Within(Duration),
    No,
}

/// What came of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefreshOutcome {
    /// Power BI says that it is done.
    Completed,
    /// Power BI took it, and nobody waits for its end.
    Accepted,
    /// Power BI took it, and its end was not seen.
    Unknown,
    /// Power BI says that it failed, or somebody stopped it there.
    Failed,
    /// Power BI, or the login, does not let haul ask.
    Refused,
    /// It could not be asked for: not reached, busy all the time, stopped.
    NotStarted,
}

impl RefreshOutcome {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            RefreshOutcome::Completed => "completed",
            RefreshOutcome::Accepted => "accepted",
            RefreshOutcome::Unknown => "not known",
            RefreshOutcome::Failed => "failed",
            RefreshOutcome::Refused => "refused",
            RefreshOutcome::NotStarted => "not started",
        }
    }

    /// Whether somebody should look at it.
    pub(crate) fn is_trouble(self) -> bool {
        !matches!(self, RefreshOutcome::Completed | RefreshOutcome::Accepted)
    }
}

/// How far a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshStep {
    Asked,
    /// Another one is in its way.
    Busy,
    /// Power BI took it; its end is waited for.
    Taken,
    Ended(RefreshOutcome),
}

impl RefreshStep {
    /// For people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            RefreshStep::Asked => "asked for",
            RefreshStep::Busy => "another one is going on, waiting for its end",
            RefreshStep::Taken => "taken, waiting for its end",
            RefreshStep::Ended(outcome) => outcome.word(),
        }
    }
}

/// One refresh of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RefreshReport {
    pub target: String,
    pub kind: &'static str,
    pub workspace: String,
    pub item: String,
    pub outcome: RefreshOutcome,
    /// Power BI's own word. Absent = it said none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do, where we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names it to Microsoft's support. Absent = no answer had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    pub started_at: DateTime<Utc>,
    /// When haul saw its end. Absent = it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// What it was to show.
    pub snapshot: String,
}

impl RefreshReport {
    /// What somebody should look at, on one line. `None` = all is well.
    pub(crate) fn trouble(&self) -> Option<String> {
        if !self.outcome.is_trouble() {
            return None;
        }
        let target = &self.target;
        let mut text = match self.outcome {
            RefreshOutcome::Refused | RefreshOutcome::NotStarted => format!("`{target}` was not refreshed"),
            RefreshOutcome::Unknown => format!("how the refresh of `{target}` ended is not known"),
            RefreshOutcome::Completed | RefreshOutcome::Accepted | RefreshOutcome::Failed => {
                format!("the refresh of `{target}` failed")
            }
        };
        if let Some(error) = &self.error {
            text.push_str(&format!(": {error}"));
        }
        Some(text)
    }
}

/// A refresh as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshEntry {
    pub target: String,
    pub outcome: RefreshOutcome,
}

impl RefreshEntry {
    pub(crate) fn of(report: &RefreshReport) -> Self {
        RefreshEntry { target: report.target.clone(), outcome: report.outcome }
    }
}
