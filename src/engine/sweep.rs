//! Sweeping a job's folder. What an earlier sweep found unnamed stands in the record store: a file goes only when two
//! sweeps agree on it with the time to keep between them.
//!
//! Format version 1: the record `sweep/<job>/<hash of the destination>` holds `{"format":1,"swept_at":…,"unnamed":{path:
//! instant}}`. A lost record only makes the files wait once more.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::leased::under_lease;
use super::run::hex;
use crate::clock::Clock;
use crate::model::plan::Job;
use crate::state::{Observations, RecordStore};
use crate::store::{Notes, Store, Sweeping, Swept};

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct SweepRecord {
    format: u32,
    swept_at: DateTime<Utc>,
    unnamed: Notes,
}

/// Sweeps by hand; what only tells takes no lease and writes nothing.
pub(crate) async fn sweep(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
    sweeping: Sweeping,
) -> Result<Swept, Error> {
    match sweeping {
        Sweeping::Tells => sweep_leased(job, store, records, sweeping).await,
        Sweeping::Removes => {
            under_lease(job, store, records, observations, sweep_leased(job, store, records, sweeping)).await
        }
    }
}

/// The same where the lease of the job is held.
pub(super) async fn sweep_leased(
    job: &Job,
    store: &Store,
    records: &RecordStore,
    sweeping: Sweeping,
) -> Result<Swept, Error> {
    let key = format!("sweep/{}/{}", job.name, hex(store.identity().as_bytes(), 8));
    let found = records.get(&key).await?;
    let former: Option<SweepRecord> = found.as_ref().and_then(|found| serde_json::from_str(&found.value).ok());
    let notes = former.filter(|former| former.format == FORMAT).map(|former| former.unnamed).unwrap_or_default();
    let now = Clock.now();
    let swept = store.sweep(job.keep, now, &notes, sweeping).await?;
    if sweeping == Sweeping::Removes && !(swept.notes.is_empty() && found.is_none()) {
        let record = SweepRecord { format: FORMAT, swept_at: now, unnamed: swept.notes.clone() };
        let value = serde_json::to_string(&record).expect("a record holds only texts and numbers");
        // Another sweep may have been faster: its notes are as good.
        match &found {
            None => records.create(&key, &value).await?,
            Some(found) => records.swap(&key, &found.version, &value).await?,
        };
    }
    Ok(swept)
}
