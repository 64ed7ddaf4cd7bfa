//! Everything a run tells while it goes on: a closed list of events. Whoever shows them (a progress line, a log, the
//! web page) is given a function; the rooms below never print.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::quota::PauseReason;

/// Something that happened. No event carries a URL, a secret or record content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
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
    /// Odd, but nothing is lost.
    Warned {
        what: String,
    },
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
