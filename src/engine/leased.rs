//! The right to write a job's dataset: one run at a time, on whatever host.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::{Context, Settings};
use super::error::Error;
use super::run::hex;
use crate::clock::Clock;
use crate::limits::{LEASE_WATCH_STEP, QUEUE_LOOK_EVERY, RUN_LEASE};
use crate::model::plan::Job;
use crate::state::lease::{Acquired, Held, Lease};
use crate::state::{self, Observations, RecordStore};
use crate::store::Store;
use crate::telemetry::Event;

/// The right to write a job's dataset.
pub(super) enum LeasedRun {
    Leased(Lease),
    /// Another process has it.
    Held(Held),
}

/// Takes the lease of a job, whose destination was proved to keep the conditions of a write. It belongs to what is
/// written: the same job into two folders may run twice.
pub(super) async fn lease_of(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
) -> Result<LeasedRun, Error> {
    prove(store, records).await?;
    Ok(match Lease::acquire(records, observations, &name_of(job, store.shown()), RUN_LEASE).await? {
        Acquired::Lease(lease) => LeasedRun::Leased(lease),
        Acquired::Held(held) => LeasedRun::Held(held),
    })
}

/// What a run does where another one of its job seems to be going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It leaves at once, and remembers in the local folder what it saw; a later run decides.
    #[default]
    Leave,
    /// It stays until it is sure whether the other one lives, and goes on in the place of a dead one. For containers that
    /// forget their local folder: none of their runs would ever see the same lease twice.
    Watch,
    /// It waits for the end of the other one, and goes on in the place of a dead one.
    Queue,
}

/// Takes the lease of a job, or says who has it, after watching that process for as long as `Meeting` wants.
pub(super) async fn lease_or_watch(ctx: &Context, meeting: Meeting) -> Result<LeasedRun, Error> {
    let take = || lease_of(&ctx.job, &ctx.store, &ctx.records, &ctx.observations);
    let (mut lacking, other) = match (take().await?, meeting) {
        (LeasedRun::Held(held), Meeting::Watch) => (held.lapses_in, process_of(&held)),
        (LeasedRun::Held(_), Meeting::Queue) => return queue(ctx).await,
        (found, _) => return Ok(found),
    };
    let what = format!(
        "another run of this job seems to be going on ({other}); watched for up to {} s, and replaced if it is dead",
        lacking.as_secs() + 1
    );
    ctx.telemetry.tell(Event::Warned { what });
    // Ends: each look finds less time lacking, or is the last one.
    loop {
        // A little more than what lacks, because the store rounds to milliseconds.
        let wait = (lacking + Duration::from_millis(100)).min(LEASE_WATCH_STEP);
        tokio::select! {
            () = ctx.cancel.cancelled() => return Err(Error::Interrupted),
            () = tokio::time::sleep(wait) => {}
        }
        match take().await? {
            LeasedRun::Held(held) if held.lapses_in < lacking => lacking = held.lapses_in,
            found => return Ok(found),
        }
    }
}

/// Waits for the lease as long as the other run takes, which may be days: whoever queues wants that. Should its process die, its
/// lease lapses.
async fn queue(ctx: &Context) -> Result<LeasedRun, Error> {
    loop {
        tokio::select! {
            () = ctx.cancel.cancelled() => return Err(Error::Interrupted),
            () = tokio::time::sleep(QUEUE_LOOK_EVERY) => {}
        }
        if let LeasedRun::Leased(lease) = lease_of(&ctx.job, &ctx.store, &ctx.records, &ctx.observations).await? {
            return Ok(LeasedRun::Leased(lease));
        }
    }
}

/// What names the lease of a job: it belongs to what is written.
fn name_of(job: &Job, shown: &str) -> String {
    format!("run/{}/{}", job.name, hex(shown.as_bytes(), 8))
}

/// The process whose run of the job is going on, for a message. `None` = none is. The destination need not be open for that.
pub(crate) async fn going_on(
    job: &Job,
    records: &RecordStore,
    settings: &Settings,
) -> Result<Option<String>, state::Error> {
    let observations = Observations::new(&settings.local_folder);
    let name = name_of(job, &Store::shown_at(&job.destination.place, &job.name));
    Ok(Lease::look(records, &observations, &name).await?.as_ref().map(process_of))
}

/// Does something with a job's dataset under its lease, which is kept alive meanwhile.
pub(super) async fn under_lease<T>(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let lease = match lease_of(job, store, records, observations).await? {
        LeasedRun::Leased(lease) => Arc::new(lease),
        LeasedRun::Held(held) => return Err(Error::RunGoingOn { process: process_of(&held) }),
    };
    let done = tokio::select! {
        done = work => done,
        // Cut off anywhere, a publication is there or not.
        () = keep_lease(Arc::clone(&lease), CancellationToken::new()) => return Err(Error::LeaseLost),
    };
    if let Some(lease) = Arc::into_inner(lease) {
        // What was done is done; a lease that cannot be given back lapses by itself.
        let _ = lease.release().await;
    }
    done
}

/// Proves once that the destination keeps the conditions of a write. The record `proof/<hash of the destination>` remembers
/// it; a lost one only asks the store again.
async fn prove(store: &Store, records: &RecordStore) -> Result<(), Error> {
    let key = format!("proof/{}", hex(store.identity().as_bytes(), 8));
    if records.get(&key).await?.is_some() {
        return Ok(());
    }
    store.prove().await?;
    let proof = serde_json::json!({ "format": 1, "destination": store.shown(), "proved_at": Clock.now() });
    // Somebody else may have been first with the same finding.
    records.create(&key, &proof.to_string()).await?;
    Ok(())
}

/// Who holds a lease, for a message.
pub(super) fn process_of(held: &Held) -> String {
    format!("process {} on `{}`", held.holder.pid, held.holder.host_name())
}

/// Renews the lease until it is aborted; returns when the lease was lost, after stopping the run.
pub(super) async fn keep_lease(lease: Arc<Lease>, is_stopped: CancellationToken) {
    loop {
        tokio::time::sleep(lease.renewal_interval()).await;
        // A store that cannot be asked is not a lost lease: the time to live covers some failures in a row.
        if matches!(lease.renew().await, Ok(false)) {
            is_stopped.cancel();
            return;
        }
    }
}
