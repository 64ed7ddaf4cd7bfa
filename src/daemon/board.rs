//! What the daemon knows of its jobs at the moment, for whoever looks: the web page, the metrics, the health checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use super::Order;
use super::totals::Totals;
use crate::clock::Clock;
use crate::engine::{Chronicle, line_of};
use crate::limits::{BOARD_ENTRIES, LOG_LINES_MAX};
use crate::model::history::{Entry, Served};
use crate::model::log::{Level, LogLine};
use crate::model::plan::Job;
use crate::model::report::RunReport;
use crate::state::{History, Paused, Slots};
use crate::store::Store;
use crate::telemetry::Event;

/// A job's records, opened.
pub(crate) struct Books {
    pub slots: Slots,
    pub history: History,
    pub chronicle: Chronicle,
}

/// All jobs that are kept.
pub(crate) struct Board {
    pub started_at: DateTime<Utc>,
    state: Mutex<State>,
    /// Grows with every change that somebody may want to see.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    seats: BTreeMap<String, Seat>,
    broken: BTreeMap<PathBuf, String>,
    loaded_at: Option<DateTime<Utc>>,
}

/// A job that is kept.
#[derive(Clone)]
pub(crate) struct Seat {
    pub file: PathBuf,
    pub job: Arc<Job>,
    pub orders: mpsc::Sender<Order>,
    /// Absent = nobody looked so far.
    pub books: Option<Arc<Books>>,
    /// The destination, or why it cannot be opened.
    pub store: Result<Arc<Store>, String>,
    /// Next slot and when its run begins. Absent = there is none.
    pub next: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub paused: Option<Paused>,
    /// A slot that another process serves, and its machine.
    pub elsewhere: Option<(DateTime<Utc>, String)>,
    pub going: Option<Going>,
    /// The newest first.
    pub entries: Arc<Vec<Entry>>,
    /// When the last run that succeeded was over; older than the entries where all of these failed.
    pub last_success: Option<DateTime<Utc>>,
    /// Why slots cannot be looked at. Absent = they can.
    pub trouble: Option<String>,
    pub totals: Totals,
}

/// A run of this process that is going on.
#[derive(Clone)]
pub(crate) struct Going {
    /// Absent = somebody started it by hand.
    pub slot: Option<DateTime<Utc>>,
    pub since: DateTime<Utc>,
    began: Instant,
    pub streams: BTreeMap<String, StreamGoing>,
    pub paused_until: Option<DateTime<Utc>>,
    /// The newest lines.
    pub log: Vec<LogLine>,
}

/// A stream of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamGoing {
    pub rows: u64,
    pub pages: u64,
    pub bytes: u64,
    pub slices_read: u64,
    pub slices: u64,
    pub is_over: bool,
    pub is_failed: bool,
}

/// When the last run that succeeded was over.
pub(super) fn last_success(entries: &[Entry]) -> Option<DateTime<Utc>> {
    let entry = entries.iter().find(|entry| entry.outcome.is_success())?;
    let seconds = entry.run.as_ref().map_or(0.0, |run| run.seconds);
    Some(entry.at + chrono::TimeDelta::milliseconds((seconds * 1000.0) as i64))
}

/// How a job fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Health {
    /// The last run failed, or its slots cannot be looked at.
    Failing,
    /// A person must log in, or decide about a held run.
    Waiting,
    Paused,
    /// Nothing ran so far.
    New,
    Good,
}

impl Health {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Health::Failing => "failing",
            Health::Waiting => "waiting for a person",
            Health::Paused => "paused",
            Health::New => "no run yet",
            Health::Good => "good",
        }
    }
}

impl Going {
    /// For how long it is going on, by the clock that is never set.
    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

impl Seat {
    /// The newest run that read the source to its end or failed on the way.
    pub(crate) fn last_run(&self) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.run.is_some() && !matches!(entry.outcome, Served::Skipped | Served::Interrupted))
    }

    pub(crate) fn health(&self) -> Health {
        let last = self.entries.iter().find(|entry| {
            matches!(entry.outcome, Served::Published | Served::Unchanged | Served::Failed | Served::Held)
        });
        match (last.map(|entry| entry.outcome), &self.trouble, &self.paused) {
            (_, Some(_), _) | (Some(Served::Failed), _, None) => Health::Failing,
            (_, _, Some(_)) => Health::Paused,
            (Some(Served::Held), _, _) => Health::Waiting,
            (None, _, _) => Health::New,
            _ => Health::Good,
        }
    }
}

impl Board {
    pub(crate) fn new() -> Self {
        Board { started_at: Clock.now(), state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn seats(&self) -> Vec<Seat> {
        self.state().seats.values().cloned().collect()
    }

    pub(crate) fn seat(&self, job: &str) -> Option<Seat> {
        self.state().seats.get(job).cloned()
    }

    /// Files that are no jobs, and why.
    pub(crate) fn broken(&self) -> BTreeMap<PathBuf, String> {
        self.state().broken.clone()
    }

    /// When the folder was read. Absent = not yet.
    pub(crate) fn loaded_at(&self) -> Option<DateTime<Utc>> {
        self.state().loaded_at
    }

    pub(super) fn loaded(&self, broken: BTreeMap<PathBuf, String>) {
        let mut state = self.state();
        (state.broken, state.loaded_at) = (broken, Some(Clock.now()));
        self.changed();
    }

    /// A job is kept from now on, in the place of its former form.
    pub(super) fn sit(&self, file: &Path, job: &Arc<Job>, orders: mpsc::Sender<Order>) {
        let mut state = self.state();
        let former = state.seats.remove(&job.name);
        let former_success = former.as_ref().and_then(|former| former.last_success);
        let seat = Seat {
            file: file.to_path_buf(),
            job: Arc::clone(job),
            orders,
            books: None,
            store: Err("it is being opened".to_owned()),
            next: None,
            paused: None,
            elsewhere: None,
            going: None,
            entries: Arc::default(),
            last_success: former_success,
            trouble: None,
            totals: former.map(|former| former.totals).unwrap_or_default(),
        };
        state.seats.insert(job.name.clone(), seat);
        self.changed();
    }

    /// A job is kept no more, unless it is in its new form.
    pub(super) fn leave(&self, job: &Arc<Job>) {
        let mut state = self.state();
        if state.seats.get(&job.name).is_some_and(|seat| Arc::ptr_eq(&seat.job, job)) {
            state.seats.remove(&job.name);
        }
        self.changed();
    }

    /// Changes what is known of a job, if it is still kept in this form.
    pub(super) fn change(&self, job: &Arc<Job>, change: impl FnOnce(&mut Seat)) {
        let mut state = self.state();
        if let Some(seat) = state.seats.get_mut(&job.name).filter(|seat| Arc::ptr_eq(&seat.job, job)) {
            change(seat);
            self.changed();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Something changed that the page shows.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }
}

impl Seat {
    pub(super) fn began(&mut self, slot: Option<DateTime<Utc>>) {
        self.going = Some(Going {
            slot,
            since: Clock.now(),
            began: Instant::now(),
            streams: BTreeMap::new(),
            paused_until: None,
            log: Vec::new(),
        });
    }

    pub(super) fn told(&mut self, event: &Event) {
        let Some(going) = &mut self.going else { return };
        going.paused_until = match event {
            Event::Paused { until, .. } => Some(*until),
            _ => None,
        };
        if event.level() > Level::Debug {
            going.log.push(line_of(Clock.now(), event));
            if going.log.len() > LOG_LINES_MAX {
                going.log.remove(0);
            }
        }
        let Some(stream) = event.stream() else { return };
        let stream = going.streams.entry(stream.to_owned()).or_default();
        match event {
            Event::SlicesPlanned { slices, .. } => stream.slices = *slices,
            Event::SliceRead { .. } => stream.slices_read += 1,
            Event::PageRead { records, bytes, .. } => {
                stream.rows += records;
                stream.pages += 1;
                stream.bytes += bytes;
                self.totals.page(*records, *bytes);
            }
            Event::StreamSealed { .. } => stream.is_over = true,
            Event::StreamFailed { .. } => (stream.is_over, stream.is_failed) = (true, true),
            Event::RunBegan { .. }
            | Event::Resumed { .. }
            | Event::StreamBegan { .. }
            | Event::PartStaged { .. }
            | Event::SnapshotPublished { .. }
            | Event::Paused { .. }
            | Event::RefreshMoved { .. }
            | Event::Warned { .. } => {}
        }
    }

    pub(super) fn ended(&mut self, report: Option<&RunReport>) {
        self.going = None;
        if let Some(report) = report {
            self.totals.run(report);
        }
    }

    /// An entry of this process; others come with the next look.
    pub(super) fn entered(&mut self, entry: Entry) {
        self.totals.slot(entry.outcome);
        self.last_success = last_success(std::slice::from_ref(&entry)).or(self.last_success);
        let entries = Arc::make_mut(&mut self.entries);
        entries.insert(0, entry);
        entries.truncate(BOARD_ENTRIES);
    }
}
