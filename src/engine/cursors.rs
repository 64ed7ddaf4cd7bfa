//! Cursors changed by hand. They stand in the manifest beside the rows that they speak of, so a change is a new
//! snapshot with the same rows.

use std::collections::BTreeMap;

use ulid::Ulid;

use super::error::Error;
use super::leased::under_lease;
use super::slices::WHOLE;
use crate::clock::Clock;
use crate::model::incremental::StoredCursor;
use crate::model::plan::Job;
use crate::state::{Observations, RecordStore};
use crate::store::Store;

/// What is done to the cursors of a stream.
#[derive(Debug, Clone)]
pub(crate) enum CursorChange {
    /// To this value. Absent slice = the stream's own.
    Set { stream: String, slice: Option<String>, value: String },
    /// Forgotten: the next run begins at the start. Absent stream = all streams, absent slice = all slices.
    Reset { stream: Option<String>, slice: Option<String> },
}

/// Cursors by stream and scope.
pub(crate) type Cursors = BTreeMap<String, BTreeMap<String, StoredCursor>>;

/// Where the cursors of a published job stand.
pub(crate) async fn load_cursors(store: &Store) -> Result<Cursors, Error> {
    let Some(current) = store.load_current().await? else { return Ok(Cursors::new()) };
    Ok(current.manifest.tables.into_iter().map(|(name, table)| (name, table.cursors)).collect())
}

/// Changes cursors and publishes them; the rows stay.
pub(crate) async fn change_cursors(
    job: &Job,
    store: &Store,
    records: &std::sync::Arc<RecordStore>,
    observations: &Observations,
    change: &CursorChange,
) -> Result<Cursors, Error> {
    let named = match change {
        CursorChange::Set { stream, .. } => Some(stream),
        CursorChange::Reset { stream, .. } => stream.as_ref(),
    };
    if let Some(name) = named {
        let is_incremental =
            |known: &str| job.streams.iter().any(|stream| stream.name == known && stream.incremental.is_some());
        if !is_incremental(name) {
            let known = job.streams.iter().filter(|stream| stream.incremental.is_some());
            let known: Vec<String> = known.map(|stream| format!("`{}`", stream.name)).collect();
            return Err(Error::NotIncremental { stream: name.clone(), known: known.join(", ") });
        }
    }
    under_lease(job, store, records, observations, publish_change(job, store, change)).await
}

async fn publish_change(job: &Job, store: &Store, change: &CursorChange) -> Result<Cursors, Error> {
    let current = store.load_current().await?;
    let Some(current) = current else { return Err(Error::NothingPublished) };
    let mut manifest = current.manifest.clone();
    match change {
        CursorChange::Set { stream, slice, value } => {
            let plan = job.streams.iter().find(|known| known.name == *stream);
            let incremental = plan.and_then(|plan| plan.incremental.as_ref());
            let read = incremental.and_then(|incremental| incremental.kind.read(value));
            let Some(read) = read else {
                return Err(Error::CursorValue { stream: stream.clone(), value: value.clone() });
            };
            let Some(table) = manifest.tables.get_mut(stream) else { return Err(Error::NothingPublished) };
            let scope = slice.clone().unwrap_or_else(|| WHOLE.to_owned());
            table.cursors.insert(scope, StoredCursor { value: read.text(), set_at: Clock.now() });
        }
        CursorChange::Reset { stream, slice } => {
            for (name, table) in &mut manifest.tables {
                if stream.as_ref().is_some_and(|stream| stream != name) {
                    continue;
                }
                match slice {
                    None => table.cursors.clear(),
                    Some(slice) => drop(table.cursors.remove(slice)),
                }
            }
        }
    }
    manifest.run = Ulid::generate().to_string();
    manifest.published_at = Clock.now();
    manifest.restored_from = None;
    let cursors = manifest.tables.iter().map(|(name, table)| (name.clone(), table.cursors.clone())).collect();
    store.publish(Some(&current), manifest).await?;
    Ok(cursors)
}
