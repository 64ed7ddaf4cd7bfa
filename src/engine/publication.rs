//! What follows the commit of a snapshot: aliases and lists of columns show its tables. A crash before it, or a failure
//! here, leaves the former rows under these names until the next run.

use std::collections::BTreeMap;

use super::alias::{is_alias_current, write_alias};
use super::error::Error;
use super::run::text_of;
use crate::model::manifest::TableManifest;
use crate::model::plan::Job;
use crate::store::Store;

/// Shows these tables of a snapshot under their fixed names. Returns what could not be done: the snapshot is published
/// and whole all the same.
pub(super) async fn show_tables(
    job: &Job,
    store: &Store,
    names: &[String],
    tables: &BTreeMap<String, TableManifest>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, table) in names.iter().filter_map(|name| Some((name, tables.get(name)?))) {
        if table.parts.is_empty() {
            warnings.push(format!(
                "table `{name}` is empty and has no known column, so it has no file: declare its `columns`"
            ));
            continue;
        }
        if job.alias
            && let Err(error) = write_alias(job, store, name, table).await
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
pub(super) async fn repair_tables(
    job: &Job,
    store: &Store,
    tables: &BTreeMap<String, TableManifest>,
) -> Result<Vec<String>, Error> {
    let mut stale = Vec::new();
    for (name, table) in tables {
        let mut is_stale = job.alias && !is_alias_current(job, store, name).await?;
        if let Some(list) = table.column_list() {
            is_stale |= !store.has_columns(name, &list).await?;
        }
        if is_stale {
            stale.push(name.clone());
        }
    }
    Ok(show_tables(job, store, &stale, tables).await)
}
