//! A notice: what is told of one event, the same for every receiver. It holds no record, no secret and no address.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::standing::{Expiring, Trouble};
use crate::limits::{NOTICE_TABLES_JSON_MAX, NOTICE_TEXT_CHARS_MAX};
use crate::model::amounts::moment;
use crate::model::history::{Entry, Served};
use crate::model::notify::EventKind;
use crate::model::report::{RunReport, TableOutcome};
use crate::secret::mask;

/// Version of the JSON that webhooks and commands get.
const FORMAT_VERSION: u32 = 1;

/// What is told of one event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    pub event: EventKind,
    pub job: String,
    pub host: String,
    /// When the run began, or when it was decided that there is none.
    pub at: DateTime<Utc>,
    /// Absent = it is no run's, as a test is.
    pub outcome: Option<Served>,
    pub slot: Option<DateTime<Utc>>,
    /// Absent = there was no run.
    pub run: Option<String>,
    /// What readers see. Absent = nothing was published, or there was no run.
    pub snapshot: Option<String>,
    /// Since when it is so. Absent = it is of this moment.
    pub since: Option<DateTime<Utc>>,
    /// Runs in a row of which it is so.
    pub runs: Option<u64>,
    pub error: Option<String>,
    pub hint: Option<String>,
    /// What the gates found.
    pub held: Vec<String>,
    /// Streams that failed.
    pub failed_streams: Vec<String>,
    pub tables: Vec<TableLine>,
    /// The credential that it is about, without a value.
    pub credential: Option<CredentialLine>,
}

/// A table of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TableLine {
    pub name: String,
    pub rows: u64,
    pub outcome: TableOutcome,
}

/// A credential as a notice names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct CredentialLine {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Notice {
    /// What every event of an entry has in common.
    pub(super) fn of(job: &str, entry: &Entry, report: Option<&RunReport>) -> Self {
        let tables = report.into_iter().flat_map(|report| &report.tables);
        let failed = tables.clone().filter(|(_, table)| table.outcome == TableOutcome::Failed || table.error.is_some());
        Notice {
            event: EventKind::Test,
            job: job.to_owned(),
            host: entry.host.clone(),
            at: entry.at,
            outcome: Some(entry.outcome),
            slot: entry.slot,
            run: entry.run.as_ref().map(|run| run.run.clone()),
            snapshot: report.and_then(|report| report.snapshot.clone()),
            since: None,
            runs: None,
            error: None,
            hint: None,
            held: Vec::new(),
            failed_streams: failed.map(|(name, _)| name.clone()).collect(),
            tables: tables
                .map(|(name, table)| TableLine { name: name.clone(), rows: table.rows, outcome: table.outcome })
                .collect(),
            credential: None,
        }
    }

    /// `haul notify test`.
    pub(super) fn test(job: &str, host: String, at: DateTime<Utc>) -> Self {
        Notice {
            event: EventKind::Test,
            job: job.to_owned(),
            host,
            at,
            outcome: None,
            slot: None,
            run: None,
            snapshot: None,
            since: None,
            runs: None,
            error: None,
            hint: None,
            held: Vec::new(),
            failed_streams: Vec::new(),
            tables: Vec::new(),
            credential: None,
        }
    }

    /// The same of trouble that goes on or is over.
    pub(super) fn since(mut self, trouble: Trouble) -> Self {
        self.since = Some(trouble.since);
        self.runs = Some(trouble.runs);
        self
    }

    /// The same of a credential that ends.
    pub(super) fn of_credential(mut self, expiring: &Expiring) -> Self {
        self.hint = Some(expiring.hint.clone());
        self.credential = Some(CredentialLine { name: expiring.name.clone(), expires_at: Some(expiring.expires_at) });
        self
    }

    /// One line for people.
    pub(super) fn title(&self) -> String {
        let job = &self.job;
        match self.event {
            EventKind::Failed => format!("{job}: failed"),
            EventKind::Held => format!("{job}: held until a person decides"),
            EventKind::LoginNeeded => format!("{job}: a login is needed"),
            EventKind::Recovered => format!("{job}: good again"),
            EventKind::Empty => format!("{job}: {} runs in a row read no row", self.runs.unwrap_or_default()),
            EventKind::Missed => format!("{job}: a slot was missed"),
            EventKind::CredentialExpires => match &self.credential {
                Some(CredentialLine { name, expires_at: Some(end) }) if *end <= self.at => {
                    format!("{job}: {name} ended on {}", moment(*end))
                }
                Some(CredentialLine { name, expires_at: Some(end) }) => {
                    format!("{job}: {name} ends on {}", moment(*end))
                }
                _ => format!("{job}: a credential ends"),
            },
            EventKind::RefreshFailed => format!("{job}: published, but Power BI was not refreshed"),
            EventKind::Test => format!("{job}: a test of notices"),
        }
    }

    /// Names and values for people, in their order.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(since) = self.since {
            let runs = match self.runs {
                Some(1) | None => String::new(),
                Some(runs) => format!(", {runs} runs"),
            };
            let name = if self.event == EventKind::Recovered { "Not good since" } else { "Since" };
            facts.push((name, format!("{}{runs}", moment(since))));
        }
        if !self.failed_streams.is_empty() && self.error.is_some() {
            facts.push(("Failed", self.failed_streams.join(", ")));
        }
        if let Some(credential) = self.credential.as_ref().filter(|_| self.event == EventKind::LoginNeeded) {
            facts.push(("Credential", credential.name.clone()));
        }
        if let Some(slot) = self.slot {
            facts.push(("Slot", moment(slot)));
        }
        if self.error.is_some()
            && let Some(snapshot) = &self.snapshot
        {
            facts.push(("Readers see", snapshot.clone()));
        }
        facts.into_iter().map(|(name, value)| (name, cut(&value))).collect()
    }

    /// Where it comes from, on one line.
    pub(super) fn origin(&self) -> String {
        let run = self.run.as_ref().map(|run| format!("run {run} ")).unwrap_or_default();
        format!("haul, {run}on {} at {}", self.host, moment(self.at))
    }

    /// Texts for people: why, what the gates found, what to do.
    pub(super) fn texts(&self) -> Vec<String> {
        let why = if self.held.is_empty() { self.error.clone().into_iter().collect() } else { self.held.clone() };
        let hint = self.hint.as_ref().map(|hint| format!("What to do: {hint}"));
        let why = why.join("\n");
        std::iter::once(why).filter(|why| !why.is_empty()).chain(hint).map(|text| cut(&text)).collect()
    }

    /// The event as JSON, for webhooks and commands.
    pub(super) fn document(&self) -> Value {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| {
            let is_absent = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !is_absent {
                document.insert(name.to_owned(), value);
            }
        };
        put("format_version", json!(FORMAT_VERSION));
        put("event", json!(self.event));
        put("job", json!(self.job));
        put("text", json!(cut(&self.title())));
        put("outcome", json!(self.outcome));
        put("run", json!(self.run));
        put("at", json!(self.at));
        put("slot", json!(self.slot));
        put("host", json!(self.host));
        put("since", json!(self.since));
        put("runs", json!(self.runs));
        put("error", json!(self.error.as_deref().map(cut)));
        put("hint", json!(self.hint.as_deref().map(cut)));
        put("held", self.held.iter().map(|why| cut(why)).collect());
        put("failed_streams", json!(self.failed_streams));
        put("credential", json!(self.credential));
        put("snapshot", json!(self.snapshot));
        let tables = self.tables.iter().take(NOTICE_TABLES_JSON_MAX);
        put("tables", tables.map(|table| json!(table)).collect());
        Value::Object(document)
    }
}

/// A text that fits into a message, without secrets and control characters.
fn cut(text: &str) -> String {
    let masked = mask(text);
    let plain = masked.chars().filter(|c| *c == '\n' || !c.is_control());
    let mut cut: String = plain.take(NOTICE_TEXT_CHARS_MAX).collect();
    if cut.chars().count() == NOTICE_TEXT_CHARS_MAX {
        cut.push('…');
    }
    cut
}
