//! Whom a job tells what became of its runs: the receivers, and the events that each of them wants.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{SecretSource, TextSource};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A run published nothing.
    Failed,
    /// A gate, or a credential, holds a run back until a person decides.
    Held,
    /// A person must log in.
    LoginNeeded,
    /// The first good run after one of these.
    Recovered,
    /// So many good runs in a row read no row.
    Empty,
    /// A slot passed while nothing ran.
    Missed,
    /// A token or a key of the destination ends soon.
    CredentialExpires,
    /// The tables are published, and Power BI was not refreshed.
    RefreshFailed,
    /// `haul notify test`.
    Test,
}

impl EventKind {
    /// Those that a job may name.
    pub(crate) const ALL: [EventKind; 8] = [
        EventKind::Failed,
        EventKind::Held,
        EventKind::LoginNeeded,
        EventKind::Recovered,
        EventKind::Empty,
        EventKind::Missed,
        EventKind::CredentialExpires,
        EventKind::RefreshFailed,
    ];

    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            EventKind::Failed => "failed",
            EventKind::Held => "held",
            EventKind::LoginNeeded => "login_needed",
            EventKind::Recovered => "recovered",
            EventKind::Empty => "empty",
            EventKind::Missed => "missed",
            EventKind::CredentialExpires => "credential_expires",
            EventKind::RefreshFailed => "refresh_failed",
            EventKind::Test => "test",
        }
    }
}

/// What a dead-man check hears, see <https://healthchecks.io/docs/http_api/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// The address itself.
    Success,
    /// `/start` behind it.
    Start,
    /// `/fail` behind it.
    Fail,
}

impl Signal {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Signal::Success => "success",
            Signal::Start => "start",
            Signal::Fail => "fail",
        }
    }
}

/// Who is told.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    /// Its kind, with a number where the job has several of it; it names the receiver in reports and in what was told.
    pub name: String,
    pub to: To,
    /// Empty for a ping.
    pub on: BTreeSet<EventKind>,
    /// What still holds is told again after so long.
    pub repeat_interval: Duration,
    /// Good runs without a row before `Empty`.
    pub empty_after: u64,
    /// How long before its end a credential is told of.
    pub expires_within: Duration,
    /// Plain http may be spoken to another machine.
    pub is_http_allowed: bool,
}

/// Where and in which shape.
#[derive(Debug, Clone)]
pub(crate) enum To {
    Teams(SecretSource),
    Slack(SecretSource),
    Webhook {
        url: TextSource,
        headers: Vec<(String, HeaderText)>,
    },
    /// A program with its arguments; never empty.
    Command(Vec<String>),
    Ping {
        url: TextSource,
        signals: BTreeSet<Signal>,
    },
}

/// The value of a header: a text, and a reference behind it.
#[derive(Debug, Clone)]
pub(crate) struct HeaderText {
    pub text: String,
    /// Absent = the text is all.
    pub secret: Option<SecretSource>,
}

impl Receiver {
    /// Every reference with its key below the receiver.
    pub(crate) fn secrets(&self) -> Vec<(String, &SecretSource)> {
        let text = |name: &str, source| match source {
            &TextSource::Literal(_) => None,
            TextSource::Reference(source) => Some((name.to_owned(), source)),
        };
        match &self.to {
            To::Teams(url) => vec![("teams".to_owned(), url)],
            To::Slack(url) => vec![("slack".to_owned(), url)],
            To::Webhook { url, headers } => {
                let of_headers = headers
                    .iter()
                    .filter_map(|(name, value)| Some((format!("headers.{name}"), value.secret.as_ref()?)));
                text("webhook", url).into_iter().chain(of_headers).collect()
            }
            To::Command(_) => Vec::new(),
            To::Ping { url, .. } => text("ping", url).into_iter().collect(),
        }
    }
}
