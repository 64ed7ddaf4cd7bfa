//! `haul run`: one run of a job, and its report.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::RunArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, count, counted, size, span};
use super::progress::telemetry;
use super::signals::{interrupted, until_signalled};
use crate::clock::Clock;
use crate::daemon::{Due, due_slot, why_ahead};
use crate::engine::{
    Backfill, Context, Ended, Meeting, Memory, Purpose, Reads, Resuming, RunOptions, leave_unopened, run_job, text_of,
};
use crate::job::load;
use crate::model::refresh::{RefreshOutcome, RefreshReport};
use crate::model::report::{MergeCounts, Outcome, RunReport, SweepCounts, TableOutcome, TableReport};
use crate::schedule::Overlap;

pub(super) async fn run(around: Surroundings, args: RunArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let cancel = CancellationToken::new();
    let due = if args.due {
        let schedule = job.schedule.clone().ok_or_else(|| {
            Failure::usage(format!("job `{}` has no `schedule`, so nothing of it is ever due", job.name))
        })?;
        let records = around.settings.open_records().await?;
        match due_slot(&job, &schedule, &around.settings, &records).await? {
            Due::Slot(taken) => Some((taken, schedule.overlap == Overlap::Queue)),
            Due::Nothing => {
                let next = schedule.next_after(Clock.now());
                let next =
                    next.map_or_else(String::new, |next| format!("; next {}", next.format("%Y-%m-%d %H:%M:%SZ")));
                around.output.note(format!("nothing is due{next}"));
                return Ok(Exit::Done);
            }
            Due::Queued { process } => {
                around.output.note(format!("the slot waits: another run of this job is going on ({process})"));
                return Ok(Exit::Skipped);
            }
            Due::Ahead { last } => return Err(Failure::failed(why_ahead(last))),
        }
    } else {
        None
    };
    let telemetry = telemetry(around.output, &job.name);
    let opened = Context::open(job.clone(), &around.settings, Purpose::Run, cancel.clone(), telemetry);
    let ctx = match opened.await {
        Ok(ctx) => ctx,
        Err(error) => {
            let slot = due.as_ref().map(|(taken, _)| taken.slot);
            let left = leave_unopened(&job, &around.settings, slot, &error, &cancel);
            if let Some(warning) = until_signalled(around.output, &cancel, left).await? {
                around.output.note(format!("warning: {warning}"));
            }
            // The slot has had its turn; otherwise every call would try it again.
            if let Some((taken, _)) = due
                && let Err(error) = taken.fail().await
            {
                around.output.note(format!("warning: the slot stays open: {}", text_of(&error)));
            }
            return Err(error.into());
        }
    };
    let memory = if args.full { Memory::Forgotten } else { Memory::Kept };
    let backfill = Backfill { from: args.from, until: args.until };
    let resuming = match (args.resume, args.no_resume) {
        (true, _) => Resuming::Always,
        (false, true) => Resuming::Never,
        (false, false) => Resuming::AsPlanned,
    };
    let options = RunOptions {
        streams: args.streams,
        memory,
        backfill,
        resuming,
        reads: Reads::Source,
        slot: due.as_ref().map(|(taken, _)| taken.slot),
        meeting: match (&due, args.takeover) {
            (Some((_, true)), _) => Meeting::Queue,
            (_, true) => Meeting::Watch,
            (_, false) => Meeting::Leave,
        },
    };
    let ended = until_signalled(around.output, &cancel, run_job(Arc::new(ctx), options)).await?;
    if let Some((taken, _)) = due {
        match ended.report.outcome {
            Outcome::Interrupted => taken.give_back().await?,
            Outcome::Published | Outcome::Unchanged | Outcome::Failed | Outcome::Held | Outcome::Skipped => {
                taken.end(&ended).await?;
            }
        }
    }
    Ok(show(around.output, &ended))
}

/// Prints a run's report and says how the process ends.
pub(super) fn show(output: Output, ended: &Ended) -> Exit {
    if output.is_json {
        output.json(&ended.report);
    } else {
        show_report(output, &ended.report);
    }
    match (ended.failure, ended.report.outcome) {
        (Some(class), _) => class.into(),
        (None, Outcome::Skipped) => Exit::Skipped,
        (None, Outcome::Interrupted) => interrupted().exit,
        (None, Outcome::Held) => Exit::Held,
        (None, Outcome::Published | Outcome::Unchanged | Outcome::Failed) => Exit::Done,
    }
}

fn show_report(output: Output, report: &RunReport) {
    if matches!(report.outcome, Outcome::Published | Outcome::Unchanged) {
        let snapshot = report.snapshot.as_deref().unwrap_or_default();
        output.line(match report.outcome {
            Outcome::Unchanged => format!("nothing changed: {snapshot} in {} holds it all", report.destination),
            _ => format!("published {snapshot} to {}", report.destination),
        });
        for line in columns(&table_lines(report), &[false, true, true, true, false]) {
            output.line(format!("  {line}"));
        }
        output.line(format!("{} in {:.1} s", source_line(report), report.seconds));
        if let Some(SweepCounts { snapshots, files, bytes, .. }) =
            report.swept.filter(|swept| swept.snapshots + swept.files > 0)
        {
            let (snapshots, files) = (counted(snapshots, "former snapshot"), counted(files, "file"));
            output.line(format!("removed {snapshots} and {files} ({}) that nobody needs any more", size(bytes)));
        }
    }
    for refresh in &report.refreshes {
        if let Some(line) = refresh_line(refresh) {
            output.line(line);
        }
    }
    for (name, table) in &report.tables {
        notes_of(output, name, table);
    }
    if report.outcome != Outcome::Held {
        for why in &report.held {
            output.note(format!("held: {why}"));
        }
    }
    for warning in &report.warnings {
        output.note(format!("warning: {warning}"));
    }
    if let Some(error) = &report.error {
        match report.outcome {
            Outcome::Skipped => output.note(format!("skipped: {error}")),
            Outcome::Held => output.note(error),
            _ => output.note(format!("error: {error}")),
        }
    }
    if let Some(hint) = &report.hint {
        output.note(format!("hint: {hint}"));
    }
    if report.error.is_some() && report.outcome != Outcome::Skipped {
        output.note(match &report.snapshot {
            Some(snapshot) => format!("nothing was published; readers still see {snapshot}"),
            None => "nothing was published".to_owned(),
        });
    }
}

/// A refresh that is well. `None` = it is not, which the warnings say.
pub(super) fn refresh_line(refresh: &RefreshReport) -> Option<String> {
    let target = &refresh.target;
    match refresh.outcome {
        RefreshOutcome::Completed => {
            let took = refresh.ended_at.map(|end| (end - refresh.started_at).num_seconds().max(0).unsigned_abs());
            Some(format!("refreshed `{target}` in {}", span(took.unwrap_or_default())))
        }
        RefreshOutcome::Accepted => Some(format!("asked Power BI to refresh `{target}`")),
        RefreshOutcome::Unknown | RefreshOutcome::Failed | RefreshOutcome::Refused | RefreshOutcome::NotStarted => None,
    }
}

fn table_lines(report: &RunReport) -> Vec<Vec<String>> {
    let line = |(name, table): (&String, &TableReport)| {
        let pages: u64 = table.walks.iter().map(|walk| walk.pages).sum();
        let note = match table.outcome {
            TableOutcome::Kept => "kept from the former snapshot",
            TableOutcome::Unchanged => "unchanged",
            TableOutcome::Held => "held: readers see the former rows",
            TableOutcome::Published | TableOutcome::Read | TableOutcome::Failed => "",
        };
        let pages = if pages == 0 { String::new() } else { counted(pages, "page") };
        vec![name.clone(), counted(table.rows, "row"), pages, size(table.bytes), note.to_owned()]
    };
    report.tables.iter().map(line).collect()
}

fn source_line(report: &RunReport) -> String {
    let source = &report.source;
    let mut parts = vec![counted(source.attempts, "request")];
    if source.retries > 0 {
        parts.push(format!("{} retried", count(source.retries)));
    }
    if source.refreshes > 0 {
        parts.push(format!("{} token refresh{}", source.refreshes, if source.refreshes == 1 { "" } else { "es" }));
    }
    if source.paused_seconds > 0 {
        parts.push(format!("paused for {}", span(source.paused_seconds)));
    }
    parts.join(", ")
}

fn notes_of(output: Output, name: &str, table: &TableReport) {
    for change in &table.schema_changes {
        output.note(change.text(name));
    }
    if let Some(merge) = &table.merge {
        let MergeCounts { read_rows, inserted, updated, known, repeated, deleted, marked, .. } = *merge;
        let kept = known + repeated;
        let kept = if kept > 0 { format!(", {} known", count(kept)) } else { String::new() };
        let deleted = if deleted > 0 { format!(", {} deleted", count(deleted)) } else { String::new() };
        let marked = if marked > 0 { format!(", {} marked as deleted", count(marked)) } else { String::new() };
        output.note(format!(
            "table `{name}`: {} read, {} new, {} in the place of former ones{kept}{deleted}{marked}",
            counted(read_rows, "row"),
            count(inserted),
            count(updated)
        ));
    }
    if table.resumed_pages > 0 {
        let pages = counted(table.resumed_pages, "page");
        output.note(format!("table `{name}`: {pages} had been read by the run that was not finished"));
    }
    if let Some(rebuilt) = table.rebuilt {
        let (runs, pages) = (counted(rebuilt.runs, "run"), counted(rebuilt.pages, "page"));
        output.note(format!("table `{name}`: made of the {pages} that {runs} kept"));
    }
    if table.filtered > 0 {
        output.note(format!("table `{name}`: {} left out by the filter", counted(table.filtered, "record")));
    }
    if !table.fields_left_out.is_empty() {
        let fields = table.fields_left_out.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        output.note(format!("warning: table `{name}`: the contract leaves out what is new: {fields}"));
    }
    if let Some(quarantine) = &table.quarantine {
        let records = counted(quarantine.records, "record");
        output.note(format!("warning: table `{name}`: {records} could not become rows: see {}", quarantine.path));
    }
    if table.without_cursor > 0 {
        let text = counted(table.without_cursor, "record");
        output.note(format!("warning: table `{name}`: {text} without a value for the cursor"));
    }
    if table.walks.iter().any(|walk| walk.changed) {
        output.note(format!("warning: table `{name}` changed while it was read: rows may be missing or double"));
    }
    if let Some(first) = table.left_out.first() {
        let slices = counted(table.slices_left_out, "slice");
        output.note(format!(
            "warning: table `{name}`: {slices} left out, the first is `{}`: {}",
            first.slice, first.error
        ));
    }
    if let (TableOutcome::Kept, Some(error)) = (table.outcome, &table.error) {
        output.note(format!("warning: table `{name}` keeps its former rows: {error}"));
    }
    for warning in &table.warnings {
        let (column, values) = (&warning.column, counted(warning.count, "value"));
        output.note(format!("warning: table `{name}`, column `{column}`: {values} {}", warning.kind.told()));
    }
}
