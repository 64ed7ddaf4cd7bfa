//! The part of the job file about whom it tells. Nothing here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::SecretRef;

/// Who is told what became of runs; one of `teams`, `slack`, `webhook`, `command` and `ping`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiverSpec {
    /// Address of a Teams workflow ("when a webhook request is received"), as a reference. It gets an Adaptive Card.
    pub teams: Option<SecretRef>,
    /// Address of a Slack incoming webhook, as a reference. It gets a text and blocks; Mattermost and Rocket.Chat take the text, too.
    pub slack: Option<SecretRef>,
    /// Address that gets the event as JSON by POST; may be a reference.
    pub webhook: Option<String>,
    /// Headers for `webhook`; a value may end with a reference: `Bearer ${OPS_TOKEN}`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Program and arguments, started without a shell: the event is JSON on its standard input, HAUL_JOB and HAUL_EVENT are in its environment. It is ended after 30 seconds.
    pub command: Option<Vec<String>>,
    /// Address of a dead-man check that is asked by GET after every good run (healthchecks.io, Uptime Kuma, …); may be a reference.
    pub ping: Option<String>,
    /// What `ping` tells: `success` asks the address itself, `start` and `fail` the same with `/start` and `/fail` behind its path, as healthchecks.io takes them. Default `[success]`.
    pub signals: Option<Vec<SignalSpec>>,
    /// Events that are told. Default: all but `missed`.
    pub on: Option<Vec<EventSpec>>,
    /// What goes on is told again after so long, at the next run. Default `24h`.
    pub repeat_interval: Option<String>,
    /// Good runs in a row without a row read before `empty` is told. Default 3.
    #[schemars(range(min = 1, max = 100_000))]
    pub empty_after: Option<u64>,
    /// How long before its end a refresh token or a SAS of the destination is told of. Default `7d`.
    pub expires_within: Option<String>,
    /// Allow plain `http` to a host other than this machine. What is told is then readable on the network.
    #[serde(default)]
    pub allow_http: bool,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventSpec {
    /// A run published nothing.
    Failed,
    /// A gate holds a run back until a person decides.
    Held,
    /// A person must log in.
    LoginNeeded,
    /// The first good run after one of these.
    Recovered,
    /// Good runs in a row read no row.
    Empty,
    /// A slot passed while nothing ran.
    Missed,
    /// A refresh token or a SAS of the destination ends soon.
    CredentialExpires,
    /// The tables are published, and Power BI was not refreshed.
    RefreshFailed,
}

/// What a dead-man check hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignalSpec {
    /// A run is good.
    Success,
    /// A run begins.
    Start,
    /// A run is not good.
    Fail,
}
