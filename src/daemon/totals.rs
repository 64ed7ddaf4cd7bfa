//! What the runs of this process came to so far; the counters of the metrics.

use std::collections::BTreeMap;

use crate::model::history::Served;
use crate::model::report::RunReport;

/// Sums over the runs of one job since the process began. They only grow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// How often each outcome came.
    pub outcomes: BTreeMap<&'static str, u64>,
    pub records: u64,
    pub pages: u64,
    /// Of answers, after decompression.
    pub bytes: u64,
    pub attempts: u64,
    pub retries: u64,
    pub refreshes: u64,
    pub paused_seconds: u64,
    pub run_seconds: f64,
}

impl Totals {
    pub(super) fn page(&mut self, records: u64, bytes: u64) {
        self.pages += 1;
        self.records += records;
        self.bytes += bytes;
    }

    pub(super) fn run(&mut self, report: &RunReport) {
        self.attempts += report.source.attempts;
        self.retries += report.source.retries;
        self.refreshes += report.source.refreshes;
        self.paused_seconds += report.source.paused_seconds;
        self.run_seconds += report.seconds;
    }

    pub(super) fn slot(&mut self, outcome: Served) {
        *self.outcomes.entry(outcome.word()).or_default() += 1;
    }
}
