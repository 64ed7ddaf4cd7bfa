//! The end of a run: what was read whole is published, or held for a person, or nothing changed.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::Error;
use super::follow::{follow, repair};
use super::gates::held::held_run;
use super::references::{keep_good, refer};
use super::run::text_of;
use super::sweep::sweep_leased;
use super::tables::kept_report;
use crate::clock::Clock;
use crate::model::deletes::Deletes;
use crate::model::manifest::{FORMAT_VERSION, Manifest, TableManifest};
use crate::model::plan::{Stream, Tables};
use crate::model::report::{Outcome, RunReport, TableOutcome, TableReport};
use crate::source::Association;
use crate::store::{Current, Sweeping};
use crate::telemetry::Event;

/// Tables that were read whole.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub tables: BTreeMap<String, TableManifest>,
    /// Those that a gate holds back.
    pub held: BTreeMap<String, TableManifest>,
    /// By stream, what its service says of its references. Absent = nothing, or it was not asked.
    pub associations: BTreeMap<String, Vec<Association>>,
}

/// Publishes what may be seen, and keeps the rest for a person to decide.
pub(super) async fn finish(
    ctx: &Context,
    current: Option<&Current>,
    mut finished: Finished,
    report: &mut RunReport,
) -> Result<Outcome, Error> {
    if ctx.cancel.is_cancelled() {
        return Err(Error::Interrupted);
    }
    refer(&ctx.job, current, &mut finished);
    let is_held = !finished.held.is_empty();
    if is_held {
        if ctx.job.tables == Tables::Together {
            finished.held.append(&mut finished.tables);
        }
        for name in finished.held.keys() {
            if let Some(table) = report.tables.get_mut(name) {
                table.outcome = TableOutcome::Held;
            }
        }
        ctx.store.hold(&held_run(&ctx.job, &ctx.run, report.held.clone(), finished.held, current)).await?;
    }
    if finished.tables.is_empty() && is_held {
        report.error = Some(format!("held: {}", report.held.join("; ")));
        report.hint = Some(format!(
            "look at the source; `haul publish JOBFILE --approve {run}` publishes it as it is, `--discard {run}` forgets it",
            run = ctx.run
        ));
        return Ok(Outcome::Held);
    }
    publish(ctx, current, finished.tables, report).await
}

/// A feed whose deletions did not reach a table is not published, either: its cursor would pass them.
pub(super) fn keep_feeds(streams: &[Stream], tables: &mut BTreeMap<String, TableManifest>, report: &mut RunReport) {
    let mut failed: Vec<&Stream> = streams.iter().filter(|stream| !tables.contains_key(&stream.name)).collect();
    // A feed may itself be told by another one.
    while let Some(stream) = failed.pop() {
        let feed = stream.deletes.as_ref().and_then(Deletes::feed);
        let Some(feed) = streams.iter().find(|other| feed == Some(&other.name)) else { continue };
        if !tables.contains_key(&feed.name) {
            continue;
        }
        failed.push(feed);
        for name in feed.table_names() {
            tables.remove(name);
            if let Some(table) = report.tables.get_mut(name) {
                table.error = Some(format!("its deletions did not reach `{}`, which has no new rows", stream.name));
            }
        }
    }
}

async fn publish(
    ctx: &Context,
    current: Option<&Current>,
    mut tables: BTreeMap<String, TableManifest>,
    report: &mut RunReport,
) -> Result<Outcome, Error> {
    let read: Vec<String> = tables.keys().cloned().collect();
    for name in ctx.job.streams.iter().flat_map(Stream::table_names) {
        let kept = current.and_then(|current| current.manifest.tables.get(name));
        if let Some(kept) = kept.filter(|_| !tables.contains_key(name)) {
            // A table that failed keeps its former rows, and the report says why.
            match report.tables.get_mut(name) {
                Some(held) if held.outcome == TableOutcome::Held => {}
                failed => {
                    let error = failed.and_then(|failed| failed.error.clone());
                    report.tables.insert(name.to_owned(), TableReport { error, ..kept_report(kept) });
                }
            }
            tables.insert(name.to_owned(), kept.clone());
        }
    }
    keep_good(&mut tables);
    let former = current.map(|current| &current.manifest.tables);
    for name in &read {
        let is_same =
            former.and_then(|former| former.get(name)).is_some_and(|former| former.has_content_of(&tables[name]));
        if let Some(table) = report.tables.get_mut(name) {
            table.outcome = if is_same { TableOutcome::Unchanged } else { TableOutcome::Published };
        }
    }
    if former.is_some_and(|former| is_same_content(former, &tables)) {
        report.warnings.extend(repair(&ctx.job, &ctx.store, &tables).await?);
        return Ok(Outcome::Unchanged);
    }
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        job: ctx.job.name.clone(),
        snapshot: String::new(),
        sequence: 0,
        run: ctx.run.clone(),
        published_at: Clock.now(),
        previous: None,
        restored_from: None,
        config_hash: ctx.job.config_hash.clone(),
        tables,
    };
    ctx.store.check_old_parts(current, &manifest, Clock.now() - ctx.job.keep.time).await?;
    let published = ctx.store.publish(current, manifest.clone()).await?;
    report.snapshot = Some(published.snapshot.clone());
    ctx.telemetry.tell(Event::SnapshotPublished { snapshot: published.snapshot });
    report.warnings.extend(follow(&ctx.job, &ctx.store, &manifest.tables, &read).await);
    match sweep_leased(&ctx.job, &ctx.store, &ctx.records, Sweeping::Removes).await {
        Ok(swept) => report.swept = swept.counts(),
        Err(error) => {
            report.warnings.push(format!("former snapshots and files were not swept: {}", text_of(&error)));
        }
    }
    Ok(Outcome::Published)
}

/// Whether readers would see the same.
fn is_same_content(former: &BTreeMap<String, TableManifest>, tables: &BTreeMap<String, TableManifest>) -> bool {
    former.len() == tables.len()
        && tables.iter().all(|(name, table)| former.get(name).is_some_and(|former| former.has_content_of(table)))
}
