//! The slot that a call from a crontab or container serves, and what the daemon has in common with it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::board::Books;
use crate::clock::Clock;
use crate::engine::{self, Chronicle, Ended, Settings, going_on, history_at, host_name, slots_of};
use crate::limits::{LEFT_SLOT_ENTRIES, SLOTS_AHEAD_MAX};
use crate::model::amounts::moment;
use crate::model::history::{Entry, Served};
use crate::model::plan::Job;
use crate::schedule::{self, Catchup, Missed, Overlap, Schedule};
use crate::state::{self, Paused, RecordStore, SlotsSeen};

/// What a call finds due.
pub(crate) enum Due {
    Slot(Box<Taken>),
    Nothing,
    /// The slot stays for a later call: this process runs the job at the moment, and the job's slots queue.
    Queued {
        process: String,
    },
    /// Slots up to then were served by a clock that was ahead.
    Ahead {
        last: DateTime<Utc>,
    },
}

/// A slot that belongs to this process from now on.
pub(crate) struct Taken {
    pub slot: DateTime<Utc>,
    books: Books,
}

/// The newest slot that is due, which is taken by this call; what passed before it is written down.
pub(crate) async fn due_slot(
    job: &Job,
    schedule: &Schedule,
    settings: &Settings,
    records: &Arc<RecordStore>,
) -> Result<Due, engine::Error> {
    let books = Books::of(job, records);
    Ok(find(job, schedule, settings, records, books).await?)
}

async fn find(
    job: &Job,
    schedule: &Schedule,
    settings: &Settings,
    records: &Arc<RecordStore>,
    books: Books,
) -> Result<Due, state::Error> {
    let now = Clock.now();
    let seen = books.slots.look(now).await?;
    if let Some(last) = ahead(&seen, now) {
        return Ok(Due::Ahead { last });
    }
    let due = schedule.due(seen.last, now);
    if let Some(left) = seen.left.filter(|_| seen.paused.is_none()) {
        if is_overtaken(schedule, &due) {
            books.give_up(left).await?;
        } else if books.take_left(left).await? {
            return Ok(Due::Slot(Box::new(Taken { slot: left, books })));
        }
    }
    let leave = async |slot: DateTime<Utc>, outcome: Served, why: String| {
        if books.slots.pass(slot).await? {
            books.enter(&unserved(slot, outcome, why), &CancellationToken::new()).await?;
        }
        Ok::<_, state::Error>(())
    };
    if let Some(missed) = due.missed {
        leave(missed.last, Served::Missed, why_missed(missed)).await?;
    }
    for slot in due.served {
        if let Some(paused) = &seen.paused {
            leave(slot, Served::Paused, why_paused(paused)).await?;
            continue;
        }
        if let Some(blackout) = schedule.blackout_at(slot) {
            leave(slot, Served::Blackout, format!("within the blackout {blackout}")).await?;
            continue;
        }
        if schedule.overlap == Overlap::Queue
            && let Some(process) = going_on(job, records, settings).await?
        {
            return Ok(Due::Queued { process });
        }
        if books.slots.begin(slot).await? {
            return Ok(Due::Slot(Box::new(Taken { slot, books })));
        }
    }
    Ok(Due::Nothing)
}

impl Taken {
    /// The run is over, however that ended.
    pub(crate) async fn end(self, ended: &Ended) -> Result<(), engine::Error> {
        if ended.has_taken_over {
            self.books.settle_unended().await?;
        }
        self.books.slots.end(self.slot).await?;
        Ok(())
    }

    /// The run was stopped: the slot is left to whoever comes next.
    pub(crate) async fn give_back(self) -> Result<(), engine::Error> {
        Ok(self.books.slots.give_back(self.slot).await?)
    }

    /// The run could not even begin, which is written down already.
    pub(crate) async fn fail(self) -> Result<(), engine::Error> {
        self.books.slots.end(self.slot).await?;
        Ok(())
    }
}

impl Books {
    /// The records of a job. Opens nothing.
    pub(super) fn of(job: &Job, records: &Arc<RecordStore>) -> Self {
        Books {
            slots: slots_of(job, records),
            history: history_at(job, records),
            chronicle: Chronicle::of(job, records),
        }
    }

    /// Writes down what became of a slot without a run, and tells it.
    pub(super) async fn enter(&self, entry: &Entry, cancel: &CancellationToken) -> Result<(), state::Error> {
        self.chronicle.add(entry, None, cancel).await
    }

    /// Takes a slot that a process left, unless its run was over and only that was not written down any more.
    pub(super) async fn take_left(&self, slot: DateTime<Utc>) -> Result<bool, state::Error> {
        let is_over = self.entries_of(slot).await?.iter().any(|entry| entry.outcome != Served::Interrupted);
        if is_over {
            self.slots.end(slot).await?;
            return Ok(false);
        }
        self.slots.begin_again(slot).await
    }

    /// Leaves a slot that a process left to the newer one that is due.
    pub(super) async fn give_up(&self, slot: DateTime<Utc>) -> Result<(), state::Error> {
        if self.slots.end(slot).await? {
            self.settle(slot).await?;
        }
        Ok(())
    }

    /// The run of this process took over from one that is gone.
    pub(super) async fn settle_unended(&self) -> Result<Option<Entry>, state::Error> {
        match self.slots.take_unended().await? {
            Some(slot) => self.settle(slot).await,
            None => Ok(None),
        }
    }

    /// The process that served this slot is gone; where it left no entry this is one.
    async fn settle(&self, slot: DateTime<Utc>) -> Result<Option<Entry>, state::Error> {
        if !self.entries_of(slot).await?.is_empty() {
            return Ok(None);
        }
        let why = "its process ended without a word".to_owned();
        let entry = unserved(slot, Served::Interrupted, why);
        self.enter(&entry, &CancellationToken::new()).await?;
        Ok(Some(entry))
    }

    async fn entries_of(&self, slot: DateTime<Utc>) -> Result<Vec<Entry>, state::Error> {
        let mut entries = self.history.newest(LEFT_SLOT_ENTRIES, Clock.now()).await?;
        entries.retain(|entry| entry.slot == Some(slot));
        Ok(entries)
    }
}

/// Whether the run of a newer slot does for one that was left, as it does for all that were missed.
pub(super) fn is_overtaken(schedule: &Schedule, due: &schedule::Due) -> bool {
    let newest = due.served.last().filter(|slot| schedule.blackout_at(**slot).is_none());
    newest.is_some() && !matches!(schedule.catchup, Catchup::All(_))
}

/// Up to when a clock that was ahead had slots served. `None` = it was not.
pub(super) fn ahead(seen: &SlotsSeen, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let most = TimeDelta::from_std(SLOTS_AHEAD_MAX).unwrap_or(TimeDelta::MAX);
    (seen.last - now > most).then_some(seen.last)
}

pub(crate) fn why_ahead(last: DateTime<Utc>) -> String {
    let last = moment(last);
    format!(
        "a clock that was ahead had the slots up to {last} served: nothing is due before, unless `haul schedule resume` says so"
    )
}

/// The entry of a slot that no run serves.
pub(super) fn unserved(slot: DateTime<Utc>, outcome: Served, why: String) -> Entry {
    Entry::of_slot(slot, Clock.now(), outcome, why, host_name())
}

pub(super) fn why_missed(Missed { first, last, count, is_more }: Missed) -> String {
    let more = if is_more { "more than " } else { "" };
    match count {
        1 => "nothing ran at its time".to_owned(),
        _ => format!("nothing ran at the time of {more}{count} slots from {} to {}", moment(first), moment(last)),
    }
}

pub(super) fn why_paused(Paused { since, by }: &Paused) -> String {
    format!("paused by {by} since {}", moment(*since))
}
