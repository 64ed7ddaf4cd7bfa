//! The right to write a job's dataset: one run at a time, on whatever host.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::run::hex;
use crate::limits::RUN_LEASE;
use crate::model::plan::Job;
use crate::state::lease::{Acquired, Held, Lease};
use crate::state::{Observations, RecordStore};
use crate::store::Store;

/// The right to write a job's dataset.
pub(super) enum LeasedRun {
    Leased(Lease),
    /// Another process has it.
    Held(Held),
}

/// Takes the lease of a job. It belongs to what is written: the same job into two folders may run twice.
pub(super) async fn lease_of(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
) -> Result<LeasedRun, Error> {
    let name = format!("run/{}/{}", job.name, hex(store.shown().as_bytes(), 8));
    Ok(match Lease::acquire(records, observations, &name, RUN_LEASE).await? {
        Acquired::Lease(lease) => LeasedRun::Leased(lease),
        Acquired::Held(held) => LeasedRun::Held(held),
    })
}

/// Who holds a lease, for a message.
pub(super) fn process_of(held: &Held) -> String {
    let host = held.holder.host.split('/').next().unwrap_or_default();
    format!("process {} on `{host}`", held.holder.pid)
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
