//! One job of the daemon: waits for its slots and for people's orders, takes slots, and runs it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::board::{Board, Books, last_success};
use super::due::{ahead, is_overtaken, unserved, why_ahead, why_missed, why_paused};
use super::{Note, Order, Tell};
use crate::clock::Clock;
use crate::engine::{
    Class, Context, Ended, Meeting, Purpose, RunOptions, Settings, going_on, open_store, run_job, text_of,
};
use crate::limits::{
    BOARD_ENTRIES, BOARD_REFRESH, QUEUE_LOOK_EVERY, SCHEDULE_LOOK_EVERY, SCHEDULE_RETRY_WAIT, SUCCESS_ENTRIES,
};
use crate::model::amounts::moment;
use crate::model::history::{Entry, Served};
use crate::model::plan::Job;
use crate::schedule::{Overlap, Schedule};
use crate::state::{RecordStore, SlotsSeen};
use crate::telemetry::{Event, Telemetry};

/// A job of the folder.
pub(super) struct Keeper {
    pub job: Arc<Job>,
    pub settings: Arc<Settings>,
    pub records: Arc<RecordStore>,
    pub board: Arc<Board>,
    pub tell: Tell,
    pub orders: mpsc::Receiver<Order>,
    /// For the runs of all jobs.
    pub room: Arc<Semaphore>,
    /// No slot is taken any more.
    pub is_over: CancellationToken,
    /// The run that is going on is to stop as well.
    pub is_stopped: CancellationToken,
}

/// What a keeper remembers from look to look.
#[derive(Default)]
struct Memory {
    books: Option<Arc<Books>>,
    going: Option<Going>,
    /// When the history was read, and up to which slot.
    read: Option<(Instant, DateTime<Utc>)>,
    /// Somebody changed something that it may tell.
    is_stale: bool,
    /// What was told and is still so.
    trouble: Option<String>,
}

/// A run that is going on.
struct Going {
    slot: Option<DateTime<Utc>>,
    began_at: DateTime<Utc>,
    cancel: CancellationToken,
    ended: oneshot::Receiver<Result<Ended, String>>,
}

/// One that is over.
struct Over {
    slot: Option<DateTime<Utc>>,
    ended: Result<Ended, String>,
}

/// What to do about the slots.
enum Look {
    Again,
    /// Nothing will be due for so long.
    In(Duration),
}

impl Keeper {
    /// Serves the job until it is over; a run that is going on then comes to its end.
    pub(super) async fn keep(mut self) {
        let mut memory = Memory::default();
        while !self.is_over.is_cancelled() {
            let wait = match self.look(&mut memory).await {
                Ok(wait) => {
                    memory.trouble = None;
                    wait.min(SCHEDULE_LOOK_EVERY)
                }
                Err(why) => {
                    self.trouble(&mut memory, why);
                    SCHEDULE_RETRY_WAIT
                }
            };
            tokio::select! {
                biased;
                () = self.is_over.cancelled() => {}
                ended = end_of(&mut memory.going) => self.close(&mut memory, ended).await,
                Some(order) = self.orders.recv() => self.obey(order, &mut memory),
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Some(cancel) = memory.going.as_ref().map(|going| going.cancel.clone()) {
            let stopped = self.is_stopped.clone();
            let passed_on = tokio::spawn(async move {
                stopped.cancelled().await;
                cancel.cancel();
            });
            let ended = end_of(&mut memory.going).await;
            passed_on.abort();
            self.close(&mut memory, ended).await;
        }
        self.board.leave(&self.job);
    }

    /// Tells of it once, however often it is met.
    fn trouble(&self, memory: &mut Memory, why: String) {
        self.board.change(&self.job, |seat| seat.trouble = Some(why.clone()));
        if memory.trouble.as_ref() != Some(&why) {
            (self.tell)(Note::Trouble { job: self.job.name.clone(), why: why.clone() });
        }
        memory.trouble = Some(why);
    }

    fn obey(&self, order: Order, memory: &mut Memory) {
        match (order, &memory.going) {
            (Order::RunNow, None) => memory.going = Some(self.begin(None)),
            (Order::Stop, Some(going)) => going.cancel.cancel(),
            (Order::Look, _) => memory.is_stale = true,
            // It is what it should be.
            (Order::RunNow, Some(_)) | (Order::Stop, None) => {}
        }
    }

    /// Looks at the slots, and begins what is due. Returns how long nothing will be.
    async fn look(&self, memory: &mut Memory) -> Result<Duration, String> {
        let books = match &memory.books {
            Some(books) => Arc::clone(books),
            None => {
                let books = Arc::new(Books::of(&self.job, &self.records));
                // A run says it, too; slots are served all the same, and each failure is told.
                let store = open_store(&self.job).map(Arc::new).map_err(|error| text_of(&error));
                self.board.change(&self.job, |seat| (seat.books, seat.store) = (Some(Arc::clone(&books)), store));
                Arc::clone(memory.books.insert(books))
            }
        };
        loop {
            let now = Clock.now();
            let seen = books.slots.look(now).await.map_err(|error| text_of(&error))?;
            self.show(&books, &seen, now, memory).await?;
            let Some(schedule) = &self.job.schedule else { return Ok(SCHEDULE_LOOK_EVERY) };
            if let Look::In(wait) = self.serve(&books, schedule, &seen, now, &mut memory.going).await? {
                return Ok(wait);
            }
        }
    }

    /// Serves one slot that is due, or lets it pass.
    async fn serve(
        &self,
        books: &Books,
        schedule: &Schedule,
        seen: &SlotsSeen,
        now: DateTime<Utc>,
        going: &mut Option<Going>,
    ) -> Result<Look, String> {
        let unread = |error: crate::state::Error| text_of(&error);
        if let Some(last) = ahead(seen, now) {
            return Err(why_ahead(last));
        }
        let due = schedule.due(seen.last, now);
        if let Some(left) = seen.left.filter(|_| going.is_none() && seen.paused.is_none()) {
            if is_overtaken(schedule, &due) {
                books.give_up(left).await.map_err(unread)?;
            } else if books.take_left(left).await.map_err(unread)? {
                *going = Some(self.begin(Some(left)));
            }
            return Ok(Look::Again);
        }
        if let Some(missed) = due.missed {
            return self.leave(books, missed.last, Served::Missed, why_missed(missed)).await;
        }
        let Some(slot) = due.served.first().copied() else {
            let next = schedule.next_after(seen.last.max(now));
            let wait = next.and_then(|next| (next - Clock.now()).to_std().ok());
            return Ok(Look::In(wait.unwrap_or(SCHEDULE_LOOK_EVERY)));
        };
        if let Some(paused) = &seen.paused {
            return self.leave(books, slot, Served::Paused, why_paused(paused)).await;
        }
        if let Some(blackout) = schedule.blackout_at(slot) {
            return self.leave(books, slot, Served::Blackout, format!("within the blackout {blackout}")).await;
        }
        let starts_at = schedule.starts_at(&self.job.name, slot);
        if let Ok(wait) = (starts_at - now).to_std()
            && !wait.is_zero()
        {
            return Ok(Look::In(wait));
        }
        match (&*going, schedule.overlap) {
            (None, overlap) => {
                if overlap == Overlap::Queue
                    && going_on(&self.job, &self.records, &self.settings).await.map_err(unread)?.is_some()
                {
                    return Ok(Look::In(QUEUE_LOOK_EVERY));
                }
                if books.slots.begin(slot).await.map_err(unread)? {
                    *going = Some(self.begin(Some(slot)));
                }
                Ok(Look::Again)
            }
            // It is not new: it passed while nothing ran, and is made up for when its turn comes.
            (Some(other), _) if slot <= other.began_at => Ok(Look::In(SCHEDULE_LOOK_EVERY)),
            (Some(other), Overlap::Skip) => {
                let which = match other.slot {
                    Some(slot) => format!("of slot {}", moment(slot)),
                    None => "that was started by hand".to_owned(),
                };
                self.leave(books, slot, Served::Skipped, format!("the run {which} is going on")).await
            }
            // Its end is waited for.
            (Some(_), Overlap::Queue) => Ok(Look::In(SCHEDULE_LOOK_EVERY)),
            (Some(other), Overlap::Cancel) => {
                other.cancel.cancel();
                Ok(Look::In(SCHEDULE_LOOK_EVERY))
            }
        }
    }

    /// Puts what was seen on the board.
    async fn show(
        &self,
        books: &Books,
        seen: &SlotsSeen,
        now: DateTime<Utc>,
        memory: &mut Memory,
    ) -> Result<(), String> {
        let is_fresh = |(at, slot): &(Instant, DateTime<Utc>)| at.elapsed() < BOARD_REFRESH && *slot == seen.last;
        let entries = if memory.read.as_ref().is_some_and(is_fresh) && !memory.is_stale {
            None
        } else {
            // At the start further back, for the last success.
            let count = if memory.read.is_none() { SUCCESS_ENTRIES } else { BOARD_ENTRIES };
            (memory.read, memory.is_stale) = (Some((Instant::now(), seen.last)), false);
            Some(books.history.newest(count, now).await.map_err(|error| text_of(&error))?)
        };
        let next = self.job.schedule.as_ref().and_then(|schedule| {
            let slot = schedule.next_after(seen.last.max(now))?;
            Some((slot, schedule.starts_at(&self.job.name, slot)))
        });
        let is_ours = |slot: DateTime<Utc>| memory.going.as_ref().is_some_and(|going| going.slot == Some(slot));
        let elsewhere = seen.serving.clone().filter(|(slot, _)| !is_ours(*slot));
        self.board.change(&self.job, |seat| {
            (seat.next, seat.paused, seat.elsewhere, seat.trouble) = (next, seen.paused.clone(), elsewhere, None);
            if let Some(mut entries) = entries {
                seat.last_success = last_success(&entries).or(seat.last_success);
                entries.truncate(BOARD_ENTRIES);
                seat.entries = Arc::new(entries);
            }
        });
        Ok(())
    }

    fn begin(&self, slot: Option<DateTime<Utc>>) -> Going {
        (self.tell)(Note::Began { job: self.job.name.clone(), slot });
        self.board.change(&self.job, |seat| seat.began(slot));
        let cancel = CancellationToken::new();
        let (job, settings, stop) = (Arc::clone(&self.job), Arc::clone(&self.settings), cancel.clone());
        let (room, runtime) = (Arc::clone(&self.room), Handle::current());
        let (board, tell) = (Arc::clone(&self.board), Arc::clone(&self.tell));
        // A person who starts a run is told at once that another one is going on.
        let is_queued = slot.is_some() && self.job.schedule.as_ref().is_some_and(|own| own.overlap == Overlap::Queue);
        let (done, ended) = oneshot::channel();
        let work = async move || {
            let _place = tokio::select! {
                place = room.acquire_owned() => place,
                () = stop.cancelled() => return Err("stopped before its turn came".to_owned()),
            };
            let (kept, run) = (Arc::clone(&job), OnceLock::new());
            let telemetry = Telemetry::new(move |event| {
                if let Event::RunBegan { run: id } = &event {
                    // Once a run.
                    let _ = run.set(id.clone());
                }
                board.change(&kept, |seat| seat.told(&event));
                tell(Note::Event { job: kept.name.clone(), run: run.get().cloned(), event });
            });
            let ctx = Context::open((*job).clone(), &settings, Purpose::Run, stop, telemetry).await;
            let ctx = ctx.map_err(|error| text_of(&error))?;
            // A daemon has the time to be sure, and after a kill it may be in another container.
            let meeting = if is_queued { Meeting::Queue } else { Meeting::Watch };
            let options = RunOptions { slot, meeting, ..RunOptions::default() };
            Ok(run_job(Arc::new(ctx), options).await)
        };
        // A thread of its own, and none of the runtime's: these are bounded, and the run's own work waits for them.
        std::thread::spawn(move || {
            // Nobody waits for it any more when the daemon was stopped twice.
            let _ = done.send(runtime.block_on(work()));
        });
        Going { slot, began_at: Clock.now(), cancel, ended }
    }

    /// A run is over. One that was stopped with the daemon leaves its slot to whoever starts next.
    async fn close(&self, memory: &mut Memory, Over { slot, ended }: Over) {
        let Some(books) = memory.books.clone() else { return };
        let job = self.job.name.clone();
        let is_left = self.is_stopped.is_cancelled()
            && match &ended {
                Ok(ended) => ended.failure == Some(Class::Interrupted),
                Err(_) => true,
            };
        let report = ended.as_ref().ok().map(|ended| ended.report.clone());
        let has_taken_over = ended.as_ref().is_ok_and(|ended| ended.has_taken_over);
        self.board.change(&self.job, |seat| seat.ended(report.as_ref()));
        match ended {
            Ok(ended) => {
                let entry = Entry::of_run(&ended.report, slot, &crate::engine::host_name());
                self.board.change(&self.job, |seat| seat.entered(entry));
                (self.tell)(Note::Ended { job: job.clone(), slot, ended: Box::new(ended) });
            }
            Err(_) if is_left => {}
            Err(why) => {
                let entry = Entry { slot, ..unserved(Clock.now(), Served::Failed, why) };
                if let Err(why) = self.enter(&books, entry).await {
                    (self.tell)(Note::Trouble { job: job.clone(), why });
                }
            }
        }
        let Some(slot) = slot else { return };
        let closed = async {
            if is_left {
                return books.slots.give_back(slot).await;
            }
            if has_taken_over && let Some(entry) = books.settle_unended().await? {
                self.board.change(&self.job, |seat| seat.entered(entry.clone()));
                (self.tell)(Note::NotServed { job: job.clone(), entry: Box::new(entry) });
            }
            books.slots.end(slot).await.map(|_| ())
        };
        if let Err(error) = closed.await {
            (self.tell)(Note::Trouble { job, why: text_of(&error) });
        }
    }

    /// Lets a slot pass, and writes down why.
    async fn leave(&self, books: &Books, slot: DateTime<Utc>, outcome: Served, why: String) -> Result<Look, String> {
        if books.slots.pass(slot).await.map_err(|error| text_of(&error))? {
            self.enter(books, unserved(slot, outcome, why)).await?;
        }
        Ok(Look::Again)
    }

    async fn enter(&self, books: &Books, entry: Entry) -> Result<(), String> {
        let added = books.enter(&entry, &self.is_stopped).await.map_err(|error| text_of(&error));
        self.board.change(&self.job, |seat| seat.entered(entry.clone()));
        (self.tell)(Note::NotServed { job: self.job.name.clone(), entry: Box::new(entry) });
        added
    }
}

/// Waits for the end of the run that is going on; for ever where there is none.
async fn end_of(going: &mut Option<Going>) -> Over {
    let Some(run) = going else { return std::future::pending().await };
    let ended = (&mut run.ended).await.unwrap_or_else(|_| Err("the run ended without a word".to_owned()));
    let over = Over { slot: run.slot, ended };
    *going = None;
    over
}
