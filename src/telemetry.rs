//! Everything a run tells while it goes on: a closed list of events. Whoever shows them (a progress line, a log, the
//! web page) is given a function; the rooms below never print.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::log::Level;
use crate::model::quota::PauseReason;
use crate::model::refresh::RefreshStep;

/// Something that happened. No event carries a URL, a secret or record content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    RunBegan {
        run: String,
    },
    /// The run goes on behind the pages of an unfinished one.
    Resumed {
        run: String,
        began_at: DateTime<Utc>,
    },
    StreamBegan {
        stream: String,
    },
    SlicesPlanned {
        stream: String,
        slices: u64,
    },
    SliceRead {
        stream: String,
    },
    PageRead {
        stream: String,
        records: u64,
        bytes: u64,
    },
    PartStaged {
        stream: String,
        rows: u64,
        bytes: u64,
    },
    StreamSealed {
        stream: String,
        rows: u64,
        pages: u64,
        took: Duration,
    },
    StreamFailed {
        stream: String,
    },
    SnapshotPublished {
        snapshot: String,
    },
    /// Nothing is asked of the source until then; the run goes on by itself.
    Paused {
        until: DateTime<Utc>,
        why: PauseReason,
    },
    /// A refresh in Power BI is another step further, or over.
    RefreshMoved {
        target: String,
        step: RefreshStep,
    },
    /// Odd, but nothing is lost.
    Warned {
        what: String,
    },
}

impl Event {
    /// Its kind, as logs name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Event::RunBegan { .. } => "run_began",
            Event::Resumed { .. } => "run_resumed",
            Event::StreamBegan { .. } => "stream_began",
            Event::SlicesPlanned { .. } => "slices_planned",
            Event::SliceRead { .. } => "slice_read",
            Event::PageRead { .. } => "page_read",
            Event::PartStaged { .. } => "part_staged",
            Event::StreamSealed { .. } => "stream_sealed",
            Event::StreamFailed { .. } => "stream_failed",
            Event::SnapshotPublished { .. } => "snapshot_published",
            Event::Paused { .. } => "run_paused",
            Event::RefreshMoved { .. } => "refresh_moved",
            Event::Warned { .. } => "run_warned",
        }
    }

    pub(crate) fn level(&self) -> Level {
        match self {
            // One slice is the stream.
            Event::PageRead { .. } | Event::PartStaged { .. } | Event::SlicesPlanned { slices: ..2, .. } => {
                Level::Debug
            }
            Event::RunBegan { .. }
            | Event::Resumed { .. }
            | Event::StreamBegan { .. }
            | Event::SlicesPlanned { .. }
            | Event::SliceRead { .. }
            | Event::StreamSealed { .. }
            | Event::SnapshotPublished { .. }
            | Event::Paused { .. } => Level::Info,
            Event::RefreshMoved { step: RefreshStep::Ended(outcome), .. } if outcome.is_trouble() => Level::Warn,
            Event::RefreshMoved { .. } => Level::Info,
            Event::Warned { .. } => Level::Warn,
            Event::StreamFailed { .. } => Level::Error,
        }
    }

    /// Absent = it is about the whole run.
    pub(crate) fn stream(&self) -> Option<&str> {
        match self {
            Event::StreamBegan { stream }
            | Event::SlicesPlanned { stream, .. }
            | Event::SliceRead { stream }
            | Event::PageRead { stream, .. }
            | Event::PartStaged { stream, .. }
            | Event::StreamSealed { stream, .. }
            | Event::StreamFailed { stream } => Some(stream),
            Event::RunBegan { .. }
            | Event::Resumed { .. }
            | Event::SnapshotPublished { .. }
            | Event::Paused { .. }
            | Event::RefreshMoved { .. }
            | Event::Warned { .. } => None,
        }
    }

    /// As a line of a log, without the stream's name.
    pub(crate) fn text(&self) -> String {
        let moment = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
        match self {
            Event::RunBegan { run } => format!("run {run} began"),
            Event::Resumed { run, began_at } => {
                format!("going on with run {run}, which began at {} and was not finished", moment(began_at))
            }
            Event::StreamBegan { .. } => "began".to_owned(),
            Event::SlicesPlanned { slices, .. } => format!("{slices} slices to read"),
            Event::SliceRead { .. } => "a slice is over".to_owned(),
            Event::PageRead { records, bytes, .. } => format!("a page of {records} records, {bytes} bytes"),
            Event::PartStaged { rows, bytes, .. } => format!("a part of {rows} rows, {bytes} bytes"),
            Event::StreamSealed { rows, pages, took, .. } => {
                format!("read whole: {rows} rows, {pages} pages, {:.1} s", took.as_secs_f64())
            }
            Event::StreamFailed { .. } => "failed".to_owned(),
            Event::SnapshotPublished { snapshot } => format!("published {snapshot}"),
            Event::Paused { until, why } => format!("paused until {}: {why}; goes on by itself", moment(until)),
            Event::RefreshMoved { target, step } => format!("refresh of `{target}`: {}", step.word()),
            Event::Warned { what } => what.clone(),
        }
    }
}

/// Where events go.
#[derive(Clone)]
pub(crate) struct Telemetry(Arc<dyn Fn(Event) + Send + Sync>);

impl Telemetry {
    pub(crate) fn new(watch: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Telemetry(Arc::new(watch))
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}
