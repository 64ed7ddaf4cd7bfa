//! Where a job's history and its served slots stand: under a name that tells it from the same job with another destination.

use std::sync::Arc;

use super::resume::{name_at, name_of};
use crate::model::plan::Job;
use crate::state::lease::Holder;
use crate::state::{History, RecordStore, Slots};
use crate::store::Store;

/// What became of a job's slots and runs.
pub(crate) fn history_of(job: &Job, store: &Store, records: &Arc<RecordStore>) -> History {
    History::new(records, &name_of(job, store))
}

/// The same, whether the destination can be opened or not.
pub(crate) fn history_at(job: &Job, records: &Arc<RecordStore>) -> History {
    History::new(records, &name_of_job(job))
}

/// Which of a job's slots were served. The destination need not be open for that.
pub(crate) fn slots_of(job: &Job, records: &Arc<RecordStore>) -> Slots {
    Slots::new(records, &name_of_job(job))
}

/// The name under which a job's records stand.
pub(super) fn name_of_job(job: &Job) -> String {
    name_at(job, &Store::shown_at(&job.destination.place, &job.name))
}

/// Name of this machine.
pub(crate) fn host_name() -> String {
    Holder::current().host_name().to_owned()
}
