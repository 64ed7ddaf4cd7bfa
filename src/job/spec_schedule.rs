//! The part of the job file about when it runs. Nothing here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use schemars::JsonSchema;
use serde::Deserialize;

/// When the job runs; one of `cron` and `every`. `haul serve` keeps to it, and so does `haul run --due` in a crontab or container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleSpec {
    /// A cron expression as in crontab: minute, hour, day of the month, month, day of the week; seconds may stand in front. Or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    pub cron: Option<String>,
    /// A span of time between runs instead, counted from 1970: `15m`, `6h`.
    pub every: Option<String>,
    /// The zone whose clock `cron` and `blackout` mean, for example `Europe/Amsterdam` or `UTC`.
    pub timezone: String,
    /// Runs begin up to so much later, by a delay that depends on job and slot: many jobs with one schedule do not all ask at once. Default none.
    pub jitter: Option<String>,
    /// Windows of the day in which no run begins.
    #[serde(default)]
    pub blackout: Vec<BlackoutSpec>,
    /// Which slots are made up for that passed while nothing ran: `latest` (default), `none`, or `{ all: 10 }` for the last ten.
    #[serde(default)]
    pub catchup: CatchupSpec,
    /// What becomes of a slot while an earlier run is going on. Default `skip`.
    #[serde(default)]
    pub overlap: OverlapSpec,
}

/// A window of the day in which no run begins.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlackoutSpec {
    /// `HH:MM`, the first minute within.
    pub from: String,
    /// `HH:MM`, the first minute behind; before `from` = on the next day.
    pub until: String,
    /// Days on which it begins: `mon` to `sun`. Default all.
    #[serde(default)]
    pub days: Vec<String>,
}

/// Which slots are made up for that passed while nothing ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CatchupSpec {
    /// The newest: one run.
    #[default]
    Latest,
    /// None.
    None,
    /// The newest so many, the oldest of them first.
    All(usize),
}

/// What becomes of a slot while an earlier run is going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OverlapSpec {
    /// It is skipped, and the history says why.
    #[default]
    Skip,
    /// It is served when that run is over; of several, the newest.
    Queue,
    /// That run is stopped.
    Cancel,
}

/// When a run is given up; the next one goes on behind the pages it read. Default never: an extraction may take days.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeoutsSpec {
    /// The whole run, waits for quotas included: `6h`.
    pub run: Option<String>,
    /// Time in which the run gets no further: no page, no file, no wait for a quota: `30m`.
    pub stall: Option<String>,
}
