//! The slot that a call from a crontab or container serves.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::{self, Chronicle, host_name, slots_of};
use crate::model::history::{Entry, Served};
use crate::model::plan::Job;
use crate::schedule::{Missed, Schedule};
use crate::state::{Paused, RecordStore, Slots};

/// The newest slot that is due, which is taken by this call; what passed before it is written down. `None` = nothing is due, or
/// somebody else was faster.
pub(crate) async fn due_slot(
    job: &Job,
    schedule: &Schedule,
    records: &Arc<RecordStore>,
) -> Result<Option<(DateTime<Utc>, Slots)>, engine::OpenError> {
    let slots = slots_of(job, records);
    let now = Clock.now();
    let wrong = engine::Error::from;
    let seen = slots.look(now).await.map_err(wrong)?;
    if let Some(left) = seen.left
        && slots.begin_again(left).await.map_err(wrong)?
    {
        return Ok(Some((left, slots)));
    }
    let due = schedule.due(seen.last, now);
    let (chronicle, cancel) = (Chronicle::of(job, records), CancellationToken::new());
    let leave = async |slot: DateTime<Utc>, outcome: Served, why: String| {
        if slots.pass(slot).await? {
            chronicle.add(&unserved(slot, outcome, why), None, &cancel).await?;
        }
        Ok::<_, crate::state::Error>(())
    };
    if let Some(missed) = due.missed {
        leave(missed.last, Served::Missed, why_missed(missed)).await.map_err(wrong)?;
    }
    for slot in due.served {
        if let Some(paused) = &seen.paused {
            leave(slot, Served::Paused, why_paused(paused)).await.map_err(wrong)?;
        } else if let Some(blackout) = schedule.blackout_at(slot) {
            leave(slot, Served::Blackout, format!("within the blackout {blackout}")).await.map_err(wrong)?;
        } else if slots.begin(slot).await.map_err(wrong)? {
            return Ok(Some((slot, slots)));
        }
    }
    Ok(None)
}

/// The entry of a slot that no run serves.
pub(super) fn unserved(slot: DateTime<Utc>, outcome: Served, why: String) -> Entry {
    Entry::of_slot(slot, Clock.now(), outcome, why, host_name())
}

pub(super) fn why_missed(Missed { first, last, count }: Missed) -> String {
    match count {
        1 => "nothing ran at its time".to_owned(),
        _ => format!("nothing ran at the time of {count} slots from {} to {}", moment(first), moment(last)),
    }
}

pub(super) fn why_paused(Paused { since, by }: &Paused) -> String {
    format!("paused by {by} since {}", moment(*since))
}

pub(super) fn moment(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}
