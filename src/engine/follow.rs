//! What follows a publication: aliases, lists of CSV columns, the status. Readers of the manifest need none of it. What
//! fails here shows the former rows until the next run repairs it, so it is a warning and no failure.

use std::collections::BTreeMap;

use super::alias::write_alias;
use super::error::Error;
use super::run::text_of;
use crate::model::manifest::TableManifest;
use crate::model::plan::Job;
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
