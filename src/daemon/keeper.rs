//! One job of the daemon: waits for its slots, takes them, and runs it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Note, Tell};
use crate::clock::Clock;
use crate::engine::{
    self, Class, Context, Ended, Meeting, Purpose, RunOptions, Settings, history_of, host_name, open_store, run_job,
    slots_of, text_of,
};
use crate::limits::{SCHEDULE_LOOK_EVERY, SCHEDULE_RETRY_WAIT};
use crate::model::history::{Entry, Served};
use crate::model::plan::Job;
use crate::schedule::{Missed, Overlap, Schedule};
use crate::state::{History, RecordStore, Slots};
use crate::telemetry::Telemetry;

/// A job with its schedule.
pub(super) struct Keeper {
    pub job: Job,
    pub schedule: Schedule,
    pub settings: Arc<Settings>,
    pub records: Arc<RecordStore>,
    pub tell: Tell,
    /// For the runs of all jobs.
    pub room: Arc<Semaphore>,
    /// No slot is taken any more.
    pub is_over: CancellationToken,
    /// The run that is going on is to stop as well.
    pub is_stopped: CancellationToken,
}

/// A run that is going on.
struct Going {
    slot: DateTime<Utc>,
    cancel: CancellationToken,
    ended: oneshot::Receiver<Result<Ended, String>>,
}

/// Where the job's slots and history stand.
struct Books {
    slots: Slots,
    history: History,
}

impl Keeper {
    /// Serves the job's slots until it is over; a run that is going on then comes to its end.
    pub(super) async fn keep(self) {
        let mut books: Option<Books> = None;
        let mut going: Option<Going> = None;
        while !self.is_over.is_cancelled() {
            let wait = match self.look(&mut books, &mut going).await {
                Ok(wait) => wait.min(SCHEDULE_LOOK_EVERY),
                Err(why) => {
                    (self.tell)(Note::Trouble { job: self.job.name.clone(), why });
                    SCHEDULE_RETRY_WAIT
                }
            };
            tokio::select! {
                biased;
                () = self.is_over.cancelled() => {}
                ended = end_of(&mut going) => self.close(&books, ended).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
        if going.is_some() {
            let stopped = self.is_stopped.clone();
            let cancel = going.as_ref().map(|going| going.cancel.clone());
            let passed_on = tokio::spawn(async move {
                stopped.cancelled().await;
                if let Some(cancel) = cancel {
                    cancel.cancel();
                }
            });
            let ended = end_of(&mut going).await;
            passed_on.abort();
            self.close(&books, ended).await;
        }
    }

    /// Looks at the slots, and begins what is due. Returns how long nothing will be.
    async fn look(&self, books: &mut Option<Books>, going: &mut Option<Going>) -> Result<Duration, String> {
        let books = match books {
            Some(books) => books,
            None => {
                let store = open_store(&self.job).map_err(|error| text_of(&error))?;
                let slots = slots_of(&self.job, &store, &self.records);
                books.insert(Books { slots, history: history_of(&self.job, &store, &self.records) })
            }
        };
        let unread = |error: crate::state::Error| text_of(&error);
        loop {
            let now = Clock.now();
            let seen = books.slots.look(now).await.map_err(unread)?;
            if let Some(left) = seen.left.filter(|_| going.is_none()) {
                if books.slots.begin_again(left).await.map_err(unread)? {
                    *going = Some(self.begin(left));
                }
                continue;
            }
            let due = self.schedule.due(seen.last, now);
            if let Some(missed) = due.missed {
                if books.slots.pass(missed.last).await.map_err(unread)? {
                    self.leave(books, missed.last, Served::Missed, why_missed(missed)).await?;
                }
                continue;
            }
            let Some(slot) = due.served.first().copied() else {
                let next = self.schedule.next_after(seen.last.max(now));
                let wait = next.and_then(|next| (next - Clock.now()).to_std().ok());
                return Ok(wait.unwrap_or(SCHEDULE_LOOK_EVERY));
            };
            if let Some(blackout) = self.schedule.blackout_at(slot) {
                if books.slots.pass(slot).await.map_err(unread)? {
                    self.leave(books, slot, Served::Blackout, format!("within the blackout {blackout}")).await?;
                }
                continue;
            }
            let starts_at = self.schedule.starts_at(&self.job.name, slot);
            if let Ok(wait) = (starts_at - now).to_std()
                && !wait.is_zero()
            {
                return Ok(wait);
            }
            match (&*going, self.schedule.overlap) {
                (None, _) => {
                    if books.slots.begin(slot).await.map_err(unread)? {
                        *going = Some(self.begin(slot));
                    }
                }
                (Some(other), Overlap::Skip) => {
                    let why = format!("the run of slot {} is going on", moment(other.slot));
                    if books.slots.pass(slot).await.map_err(unread)? {
                        self.leave(books, slot, Served::Skipped, why).await?;
                    }
                }
                // Its end is waited for.
                (Some(_), Overlap::Queue) => return Ok(SCHEDULE_LOOK_EVERY),
                (Some(other), Overlap::Cancel) => {
                    other.cancel.cancel();
                    return Ok(SCHEDULE_LOOK_EVERY);
                }
            }
        }
    }

    fn begin(&self, slot: DateTime<Utc>) -> Going {
        (self.tell)(Note::Began { job: self.job.name.clone(), slot });
        let cancel = CancellationToken::new();
        let (job, settings, stop) = (self.job.clone(), Arc::clone(&self.settings), cancel.clone());
        let (room, runtime) = (Arc::clone(&self.room), Handle::current());
        let (done, ended) = oneshot::channel();
        let work = async move |job, settings: Arc<Settings>, stop| {
            let _place = room.acquire_owned().await;
            let telemetry = Telemetry::new(|_| {});
            let ctx = Context::open(job, &settings, Purpose::Run, stop, telemetry).await;
            let ctx = ctx.map_err(|error| text_of(&error))?;
            // A daemon has the time to be sure, and after a kill it may be in another container.
            let options = RunOptions { slot: Some(slot), meeting: Meeting::Watch, ..RunOptions::default() };
            Ok(run_job(Arc::new(ctx), options).await)
        };
        // A thread of its own, and none of the runtime's: these are bounded, and the run's own work waits for them.
        std::thread::spawn(move || {
            // Nobody waits for it any more when the daemon was stopped twice.
            let _ = done.send(runtime.block_on(work(job, settings, stop)));
        });
        Going { slot, cancel, ended }
    }

    /// A run is over. One that was stopped leaves its slot to whoever starts next.
    async fn close(&self, books: &Option<Books>, (slot, ended): (DateTime<Utc>, Result<Ended, String>)) {
        let Some(books) = books else { return };
        let job = self.job.name.clone();
        let is_stopped =
            self.is_stopped.is_cancelled() && matches!(&ended, Ok(ended) if ended.failure == Some(Class::Interrupted));
        match ended {
            Ok(ended) => (self.tell)(Note::Ended { job: job.clone(), slot, ended: Box::new(ended) }),
            Err(why) => {
                if let Err(why) = self.leave(books, slot, Served::Failed, why).await {
                    (self.tell)(Note::Trouble { job: job.clone(), why });
                }
            }
        }
        let done = if is_stopped { books.slots.give_back(slot).await } else { books.slots.end(slot).await };
        if let Err(error) = done {
            (self.tell)(Note::Trouble { job, why: text_of(&error) });
        }
    }

    /// Writes down that no run serves a slot.
    async fn leave(&self, books: &Books, slot: DateTime<Utc>, outcome: Served, why: String) -> Result<(), String> {
        let entry = Entry { slot: Some(slot), at: Clock.now(), outcome, why: Some(why), host: host_name(), run: None };
        let added = books.history.add(&entry).await.map_err(|error| text_of(&error));
        (self.tell)(Note::NotServed { job: self.job.name.clone(), entry: Box::new(entry) });
        added
    }
}

/// Waits for the end of the run that is going on; for ever where there is none.
async fn end_of(going: &mut Option<Going>) -> (DateTime<Utc>, Result<Ended, String>) {
    let Some(run) = going else { return std::future::pending().await };
    let ended = (&mut run.ended).await.unwrap_or_else(|_| Err("the run ended without a word".to_owned()));
    let slot = run.slot;
    *going = None;
    (slot, ended)
}

/// The slot that a call from a crontab or container serves, which is taken by it. `None` = nothing is due, or somebody
/// else was faster.
pub(crate) async fn due_slot(
    job: &Job,
    schedule: &Schedule,
    records: &Arc<RecordStore>,
) -> Result<Option<(DateTime<Utc>, Slots)>, engine::OpenError> {
    let store = open_store(job)?;
    let slots = slots_of(job, &store, records);
    let now = Clock.now();
    let wrong = engine::Error::from;
    let seen = slots.look(now).await.map_err(wrong)?;
    if let Some(left) = seen.left
        && slots.begin_again(left).await.map_err(wrong)?
    {
        return Ok(Some((left, slots)));
    }
    let due = schedule.due(seen.last, now);
    let history = history_of(job, &store, records);
    let leave = async |slot: DateTime<Utc>, outcome: Served, why: String| {
        let entry = Entry { slot: Some(slot), at: Clock.now(), outcome, why: Some(why), host: host_name(), run: None };
        history.add(&entry).await
    };
    if let Some(missed) = due.missed
        && slots.pass(missed.last).await.map_err(wrong)?
    {
        leave(missed.last, Served::Missed, why_missed(missed)).await.map_err(wrong)?;
    }
    for slot in due.served {
        if let Some(blackout) = schedule.blackout_at(slot) {
            if slots.pass(slot).await.map_err(wrong)? {
                leave(slot, Served::Blackout, format!("within the blackout {blackout}")).await.map_err(wrong)?;
            }
            continue;
        }
        if slots.begin(slot).await.map_err(wrong)? {
            return Ok(Some((slot, slots)));
        }
    }
    Ok(None)
}

fn why_missed(Missed { first, last, count }: Missed) -> String {
    match count {
        1 => "nothing ran at its time".to_owned(),
        _ => format!("nothing ran at the time of {count} slots from {} to {}", moment(first), moment(last)),
    }
}

fn moment(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}
