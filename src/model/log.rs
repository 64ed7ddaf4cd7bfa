//! Lines of a run's log, as they are kept, shown and written.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How much somebody should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Debug,
    Info,
    /// Odd, but nothing is lost.
    Warn,
    /// An operator must act.
    Error,
}

impl Level {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogLine {
    pub at: DateTime<Utc>,
    pub level: Level,
    /// Kind of event, as `stream_sealed`.
    pub event: String,
    /// Absent = it is about the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    pub text: String,
}
