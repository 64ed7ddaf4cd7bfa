//! What follows a publication: aliases, lists of CSV columns, the status. Readers of the manifest need none of it. What
//! fails here shows the former rows until the next run repairs it, so it is a warning and no failure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::alias::{is_alias_current, write_alias};
use super::error::Error;
use super::run::text_of;
use crate::clock::Clock;
use crate::model::manifest::{FORMAT_VERSION, Manifest, Status, StatusTable, TableManifest};
use crate::model::plan::Job;
use crate::model::report::{Outcome, TableOutcome};
use crate::store::Store;

/// Makes the aliases and the lists of columns of these tables those of their published parts, and tells what failed.
pub(super) async fn follow(
    job: &Job,
    store: &Store,
    tables: &BTreeMap<String, TableManifest>,
    names: &[String],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in names {
        let table = &tables[name];
        if table.parts.is_empty() {
            warnings.push(format!(
                "table `{name}` is empty and has no known column, so it has no file: declare its `columns`"
            ));
            continue;
        }
        if job.alias
            && let Err(error) = write_alias(store, name, table).await
        {
            warnings.push(format!("the alias of table `{name}` is not up to date: {}", text_of(&error)));
        }
        if let Some(list) = table.column_list()
            && let Err(error) = store.write_columns(name, &list).await
        {
            let why = text_of(&Error::from(error));
            warnings.push(format!("the list of columns of table `{name}` is not up to date: {why}"));
        }
    }
    warnings
}

/// Shows the tables of the published snapshot whose aliases or lists an earlier run could not write.
pub(super) async fn repair(
    job: &Job,
    store: &Store,
    tables: &BTreeMap<String, TableManifest>,
) -> Result<Vec<String>, Error> {
    let mut stale = Vec::new();
    for (name, table) in tables {
        let mut is_stale = job.alias && !is_alias_current(store, name, table).await?;
        if let Some(list) = table.column_list() {
            is_stale |= !store.has_columns(name, &list).await?;
        }
        if is_stale {
            stale.push(name.clone());
        }
    }
    Ok(follow(job, store, tables, &stale).await)
}

/// Tells that a person published this, in the place of what the last run told. Returns what failed.
pub(super) async fn write_status(
    store: &Store,
    manifest: &Manifest,
    snapshot: &str,
    started_at: DateTime<Utc>,
) -> Option<String> {
    let table = |rows| StatusTable { rows, outcome: TableOutcome::Published };
    let status = Status {
        format_version: FORMAT_VERSION,
        job: manifest.job.clone(),
        run: manifest.run.clone(),
        outcome: Outcome::Published,
        started_at,
        finished_at: Clock.now(),
        snapshot: Some(snapshot.to_owned()),
        tables: manifest.tables.iter().map(|(name, manifest)| (name.clone(), table(manifest.rows))).collect(),
    };
    let failed = store.write_status(&status).await.err()?;
    Some(format!("the status file is not up to date: {}", text_of(&failed)))
}
