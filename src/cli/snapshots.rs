//! `haul snapshots`: what was published, newest first.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::JobArgs;
use super::failure::{Exit, Failure};
use super::output::{columns, count, size};
use super::signals::until_signalled;
use crate::engine::open_store;
use crate::job::load;
use crate::model::manifest::Manifest;
use crate::store::Snapshots;

pub(super) async fn run(around: Surroundings, args: JobArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let listed = until_signalled(around.output, &CancellationToken::new(), store.list_snapshots()).await?;
    let snapshots = listed?;
    let published = snapshots.published();
    let Snapshots { manifests, current } = &snapshots;
    let is_current = |manifest: &Manifest| current.as_ref() == Some(&manifest.snapshot);
    if around.output.is_json {
        let snapshots: Vec<_> = manifests
            .iter()
            .map(|manifest| {
                let tables: serde_json::Map<_, _> = manifest
                    .tables
                    .iter()
                    .map(|(name, table)| (name.clone(), json!({ "rows": table.rows, "bytes": table.bytes })))
                    .collect();
                json!({
                    "snapshot": manifest.snapshot,
                    "published_at": manifest.published_at,
                    "is_current": is_current(manifest),
                    "was_published": published.contains(manifest.snapshot.as_str()),
                    "restored_from": manifest.restored_from,
                    "tables": tables,
                })
            })
            .collect();
        around.output.json(&json!({ "job": job.name, "snapshots": snapshots }));
        return Ok(Exit::Done);
    }
    if manifests.is_empty() {
        around.output.line(format!("nothing is published in {}", store.shown()));
        return Ok(Exit::Done);
    }
    let mut rows = vec![["", "SNAPSHOT", "PUBLISHED", "TABLES", "ROWS", "SIZE", ""].map(str::to_owned).to_vec()];
    rows.extend(manifests.iter().map(|manifest| {
        let sum = |of: fn(&crate::model::manifest::TableManifest) -> u64| manifest.tables.values().map(of).sum::<u64>();
        vec![
            if is_current(manifest) { "*" } else { "" }.to_owned(),
            manifest.snapshot.clone(),
            manifest.published_at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            manifest.tables.len().to_string(),
            count(sum(|table| table.rows)),
            size(sum(|table| table.bytes)),
            match &manifest.restored_from {
                Some(former) => format!("holds {former}"),
                None if published.contains(manifest.snapshot.as_str()) => String::new(),
                None => "never published".to_owned(),
            },
        ]
    }));
    for line in columns(&rows, &[false, false, false, true, true, true, false]) {
        around.output.line(line);
    }
    around.output.note("* is what readers see");
    Ok(Exit::Done)
}
