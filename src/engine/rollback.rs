//! A former snapshot shown again. It is published anew, with a sequence of its own: readers see one way forward, cursors go
//! back together with the rows that they speak of, and what is current now can be shown again as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use ulid::Ulid;

use super::error::Error;
use super::follow::{follow, write_status};
use super::leased::under_lease;
use super::run::text_of;
use super::sweep::sweep_leased;
use crate::clock::Clock;
use crate::model::manifest::Manifest;
use crate::model::plan::Job;
use crate::state::{Observations, RecordStore};
use crate::store::{self, Store, Sweeping};

/// What was published again.
#[derive(Debug, Serialize)]
pub(crate) struct RolledBack {
    pub job: String,
    /// What readers see now.
    pub snapshot: String,
    /// The snapshot that holds the same tables.
    pub restored_from: String,
    /// What readers saw before.
    pub former: String,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// What did not go as it should although the tables are published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Publishes the tables of a former snapshot; absent = of the one before the current one.
pub(crate) async fn roll_back(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
    snapshot: Option<&str>,
) -> Result<RolledBack, Error> {
    under_lease(job, store, records, observations, roll_back_leased(job, store, records, snapshot)).await
}

async fn roll_back_leased(
    job: &Job,
    store: &Store,
    records: &RecordStore,
    snapshot: Option<&str>,
) -> Result<RolledBack, Error> {
    let started_at = Clock.now();
    let Some(current) = store.load_current().await? else { return Err(Error::NothingPublished) };
    let former = former_of(store, &current.manifest, snapshot).await?;
    store.check_parts(&former).await.map_err(|source| match source {
        store::Error::Gone { .. } | store::Error::Differs { .. } => {
            Error::SnapshotIncomplete { snapshot: former.snapshot.clone(), source }
        }
        source => source.into(),
    })?;
    let manifest = Manifest {
        run: Ulid::generate().to_string(),
        published_at: Clock.now(),
        restored_from: Some(former.snapshot.clone()),
        ..former.clone()
    };
    let published = store.publish(Some(&current), manifest.clone()).await?;
    let names: Vec<String> = manifest.tables.keys().cloned().collect();
    let mut warnings = follow(job, store, &manifest.tables, &names).await;
    for name in current.manifest.tables.keys().filter(|name| !manifest.tables.contains_key(*name)) {
        warnings.push(format!("table `{name}` is not in this snapshot; its alias still shows its last rows"));
    }
    warnings.extend(write_status(store, &manifest, &published.snapshot, started_at).await);
    if let Err(error) = sweep_leased(job, store, records, Sweeping::Removes).await {
        warnings.push(format!("former snapshots and files were not swept: {}", text_of(&error)));
    }
    Ok(RolledBack {
        job: job.name.clone(),
        snapshot: published.snapshot,
        restored_from: former.snapshot,
        former: current.manifest.snapshot.clone(),
        tables: manifest.tables.iter().map(|(name, table)| (name.clone(), table.rows)).collect(),
        warnings,
    })
}

/// The manifest of the snapshot that is asked for.
async fn former_of(store: &Store, current: &Manifest, snapshot: Option<&str>) -> Result<Manifest, Error> {
    let wanted = match (snapshot, &current.previous) {
        (Some(snapshot), _) => snapshot,
        (None, Some(previous)) => previous,
        (None, None) => return Err(Error::NoFormerSnapshot),
    };
    if wanted == current.snapshot {
        return Err(Error::SnapshotCurrent { snapshot: wanted.to_owned() });
    }
    let snapshots = store.list_snapshots().await?;
    let is_published = snapshots.published().contains(wanted);
    match snapshots.manifests.into_iter().find(|manifest| manifest.snapshot == wanted) {
        None => Err(Error::SnapshotUnknown { snapshot: wanted.to_owned() }),
        Some(_) if !is_published => Err(Error::SnapshotUnseen { snapshot: wanted.to_owned() }),
        Some(manifest) => Ok(manifest),
    }
}
