//! The right to write a job's dataset: one run at a time, on whatever host.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::context::Settings;
use super::error::Error;
use super::run::hex;
use crate::clock::Clock;
use crate::limits::RUN_LEASE;
use crate::model::plan::Job;
use crate::state::lease::{Acquired, Held, Lease};
use crate::state::{self, Observations, RecordStore};
use crate::store::Store;

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
    Ok(match Lease::acquire(records, observations, &name_of(job, store), RUN_LEASE).await? {
        Acquired::Lease(lease) => LeasedRun::Leased(lease),
        Acquired::Held(held) => LeasedRun::Held(held),
    })
}

fn name_of(job: &Job, store: &Store) -> String {
    format!("run/{}/{}", job.name, hex(store.shown().as_bytes(), 8))
}

/// The process whose run of the job is going on, for a message. `None` = none is.
pub(crate) async fn going_on(
    job: &Job,
    store: &Store,
    records: &RecordStore,
    settings: &Settings,
) -> Result<Option<String>, state::Error> {
    let observations = Observations::new(&settings.local_folder);
    Ok(Lease::look(records, &observations, &name_of(job, store)).await?.as_ref().map(process_of))
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
