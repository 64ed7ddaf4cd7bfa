//! Runs that a gate holds back, and what a person decides about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ulid::Ulid;

use crate::clock::Clock;
use crate::engine::error::Error;
use crate::engine::follow::{follow, write_status};
use crate::engine::leased::under_lease;
use crate::engine::references::keep_good;
use crate::model::held::{HeldRun, paths_of};
use crate::model::manifest::{FORMAT_VERSION, Manifest, TableManifest};
use crate::model::plan::Job;
use crate::state::{Observations, RecordStore};
use crate::store::{Current, Store};

/// What a person decides about a held run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Discard,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub held: HeldRun,
    /// Absent = the run was discarded.
    pub snapshot: Option<String>,
    /// What does not show the new snapshot yet.
    pub warnings: Vec<String>,
}

/// Approves or discards a held run, or the only one there is.
pub(crate) async fn decide(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    observations: &Observations,
    run: Option<&str>,
    decision: Decision,
) -> Result<Decided, Error> {
    under_lease(job, store, records, observations, carry_out(job, store, run, decision)).await
}

async fn carry_out(job: &Job, store: &Store, run: Option<&str>, decision: Decision) -> Result<Decided, Error> {
    let held = find(store, run).await?;
    let (snapshot, warnings) = match decision {
        Decision::Discard => (None, Vec::new()),
        Decision::Approve => {
            let current = store.load_current().await?;
            let manifest = approved(&held, current.as_ref())?;
            let published = store.publish(current.as_ref(), manifest.clone()).await?;
            let names: Vec<String> = held.tables.keys().cloned().collect();
            let mut warnings = follow(job, store, &held.tables, &names).await;
            warnings.extend(write_status(store, &manifest, &published.snapshot, held.held_at).await);
            (Some(published.snapshot), warnings)
        }
    };
    store.discard_held(&held.run).await?;
    Ok(Decided { held, snapshot, warnings })
}

async fn find(store: &Store, run: Option<&str>) -> Result<HeldRun, Error> {
    if let Some(run) = run {
        let unknown = || Error::NotHeld { run: run.to_owned() };
        // What is typed here becomes part of a name.
        let id = Ulid::from_string(run).map_err(|_| unknown())?;
        return store.load_held(&id.to_string()).await?.ok_or_else(unknown);
    }
    let mut held = store.list_held().await?;
    match held.len() {
        0 => Err(Error::NothingHeld),
        1 => Ok(held.remove(0)),
        _ => Err(Error::ManyHeld { runs: held.into_iter().map(|held| held.run).collect() }),
    }
}

/// The manifest with the held tables in the place of the former ones.
fn approved(held: &HeldRun, current: Option<&Current>) -> Result<Manifest, Error> {
    let mut tables = current.map(|current| current.manifest.tables.clone()).unwrap_or_default();
    if let Some(table) = held.overtaken(&tables) {
        return Err(Error::Overtaken { run: held.run.clone(), table: table.to_owned() });
    }
    tables.extend(held.tables.clone());
    keep_good(&mut tables);
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        job: held.job.clone(),
        snapshot: String::new(),
        sequence: 0,
        run: held.run.clone(),
        published_at: Clock.now(),
        previous: None,
        config_hash: held.config_hash.clone(),
        restored_from: None,
        tables,
    })
}

/// What a run would publish, for `Store::hold`.
pub(in crate::engine) fn held_run(
    job: &Job,
    run: &str,
    why: Vec<String>,
    tables: BTreeMap<String, TableManifest>,
    current: Option<&Current>,
) -> HeldRun {
    let former = current.map(|current| &current.manifest.tables);
    let former_of = |name: &String| Some((name.clone(), paths_of(former?.get(name)?)));
    HeldRun {
        format_version: FORMAT_VERSION,
        job: job.name.clone(),
        run: run.to_owned(),
        held_at: Clock.now(),
        config_hash: job.config_hash.clone(),
        why,
        former: tables.keys().filter_map(former_of).collect(),
        tables,
    }
}

/// Forgets the held runs that this one took the place of, because it read all their tables. Returns what cannot be told
/// or removed.
pub(in crate::engine) async fn discard_overtaken(store: &Store, run: &str, read: &[String]) -> Result<(), Error> {
    for held in store.list_held().await? {
        if held.run.as_str() < run && held.tables.keys().all(|table| read.contains(table)) {
            store.discard_held(&held.run).await?;
        }
    }
    Ok(())
}
