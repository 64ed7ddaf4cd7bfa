//! `haul runs`: what became of a job's slots and runs, and those that wait for something: held ones for a person, unfinished
//! ones for the next run.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::{JobArgs, RunsArgs, RunsShowArgs, RunsVerb};
use super::failure::{Exit, Failure};
use super::output::{Output, columns, count, counted, size, span};
use super::signals::until_signalled;
use crate::clock::Clock;
use crate::engine::{self, Unfinished, UnfinishedStream, find_unfinished, history_of, open_store};
use crate::job::load;
use crate::model::amounts::moment;
use crate::model::held::HeldRun;
use crate::model::history::{Entry, RunDocument, TableEntry};

pub(super) async fn run(around: Surroundings, args: RunsArgs) -> Result<Exit, Failure> {
    match (args.verb, args.job) {
        (Some(RunsVerb::Show(args)), _) => show_one(&around, &args).await,
        (None, Some(job)) => list(around, &job, args.last).await,
        (None, None) => Err(Failure::usage("the job file is missing")),
    }
}

/// A run with its report and its log.
async fn show_one(around: &Surroundings, args: &RunsShowArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let records = around.settings.open_records().await?;
    let history = history_of(&job, &store, &records);
    let work = async {
        let run = match &args.run {
            Some(run) => Some(run.clone()),
            None => history.kept_runs().await?.into_iter().next(),
        };
        let Some(run) = run else { return Ok(None) };
        Ok::<_, engine::Error>(history.run(&run).await?)
    };
    let found = until_signalled(around.output, &CancellationToken::new(), work).await??;
    let Some(document) = found else {
        let error = match &args.run {
            Some(run) => format!("nothing is kept of run {run}"),
            None => format!("job `{}` has no run so far", job.name),
        };
        return Err(Failure::usage(error).hint(format!("`haul runs {}` shows the runs", args.file.display())));
    };
    if around.output.is_json {
        around.output.json(&document);
        return Ok(Exit::Done);
    }
    show_document(around.output, &document);
    Ok(Exit::Done)
}

fn show_document(output: Output, document: &RunDocument) {
    let RunDocument { entry, report, stream_seconds, log, log_left_out, .. } = document;
    let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
    output.line(format!("run {} of job `{}`: {}", text("run"), text("job"), entry.outcome.word()));
    let slot = entry.slot.map_or_else(|| "by hand".to_owned(), |slot| format!("slot {}", moment(slot)));
    output.line(format!("{slot}, began {} on {}", moment(entry.at), entry.host));
    if let Some(run) = &entry.run {
        let mut facts = vec![format!("{:.1} s", run.seconds), counted(run.requests, "request")];
        if run.retries > 0 {
            facts.push(format!("{} repeated", count(run.retries)));
        }
        facts.push(format!("{} of answers", size(run.bytes)));
        facts.push(counted(run.refreshes, "token"));
        if run.paused_seconds > 0 {
            facts.push(format!("waited {} for quotas", span(run.paused_seconds)));
        }
        output.line(facts.join(", "));
        let line = |(name, table): (&String, &TableEntry)| {
            let changes = match table.schema_changes {
                0 => String::new(),
                changes => counted(changes, "schema change"),
            };
            let took = stream_seconds.get(name).map(|seconds| format!("{seconds:.1} s")).unwrap_or_default();
            let outcome = table.outcome.word().to_owned();
            vec![name.clone(), counted(table.rows, "row"), size(table.bytes), took, outcome, changes]
        };
        let rows: Vec<Vec<String>> = run.tables.iter().map(line).collect();
        for line in columns(&rows, &[false, true, true, true, false, false]) {
            output.line(format!("  {line}"));
        }
        for refresh in &run.powerbi {
            output.line(format!("refresh of `{}` in Power BI: {}", refresh.target, refresh.outcome.word()));
        }
    }
    for (word, name) in [("why", "error"), ("hint", "hint")] {
        if let Some(text) = report[name].as_str() {
            output.line(format!("{word}: {text}"));
        }
    }
    for warning in report["warnings"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
        output.line(format!("warning: {warning}"));
    }
    for (at, line) in log.iter().enumerate() {
        if *log_left_out > 0 && at == log.len() / 2 {
            output.line(format!("  … {} left out", counted(*log_left_out, "line")));
        }
        let stream = line.stream.as_deref().map(|stream| format!("{stream}: ")).unwrap_or_default();
        output.line(format!("  {}  {:<5}  {stream}{}", line.at.format("%H:%M:%S%.3f"), line.level.word(), line.text));
    }
}

async fn list(around: Surroundings, args: &JobArgs, last: usize) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let work = async {
        let held = store.list_held().await.map_err(engine::Error::from)?;
        let records = around.settings.open_records().await?;
        let unfinished = find_unfinished(&around.settings, &records, &job, &store).await?;
        let history = history_of(&job, &store, &records).newest(last, Clock.now()).await?;
        Ok::<_, engine::Error>((held, unfinished, history))
    };
    let (held, unfinished, history) = until_signalled(around.output, &CancellationToken::new(), work).await??;
    if around.output.is_json {
        let held: Vec<_> = held.iter().map(document).collect();
        around.output.json(&json!({ "job": job.name, "held": held, "unfinished": unfinished, "history": history }));
        return Ok(Exit::Done);
    }
    show_history(around.output, &history);
    match &unfinished {
        Some(unfinished) => show_unfinished(around.output, unfinished),
        None if held.is_empty() => around.output.line(format!("no run of job `{}` is held or unfinished", job.name)),
        None => {}
    }
    if held.is_empty() {
        return Ok(Exit::Done);
    }
    for held in &held {
        show(around.output, held);
    }
    let file = args.file.display();
    around.output.note(format!("`haul publish {file} --approve RUN` publishes one, `--discard RUN` forgets it"));
    Ok(Exit::Done)
}

/// The newest last, where the eye ends.
fn show_history(output: Output, history: &[Entry]) {
    let line = |entry: &Entry| {
        let slot = entry.slot.map_or_else(|| "by hand".to_owned(), |slot| format!("slot {}", moment(slot)));
        let rows = entry.run.as_ref().map(|run| run.tables.values().map(|table| table.rows).sum::<u64>());
        let rows = rows.map(|rows| counted(rows, "row")).unwrap_or_default();
        let took = entry.run.as_ref().map(|run| format!("{:.1} s", run.seconds)).unwrap_or_default();
        let lost = entry.notices.iter().filter(|notice| notice.error.is_some()).map(|notice| notice.to.as_str());
        let lost = lost.collect::<Vec<_>>().join(", ");
        let lost = if lost.is_empty() { lost } else { format!("not told: {lost}") };
        let refreshes = entry.run.iter().flat_map(|run| &run.powerbi).filter(|refresh| refresh.outcome.is_trouble());
        let refreshes = refreshes.map(|refresh| format!("Power BI: `{}` {}", refresh.target, refresh.outcome.word()));
        let why = entry.why.iter().cloned().chain(refreshes).chain(Some(lost).filter(|lost| !lost.is_empty()));
        let why = why.collect::<Vec<_>>().join("; ");
        let run = entry.run.as_ref().map(|run| run.run.clone()).unwrap_or_default();
        vec![moment(entry.at), slot, entry.outcome.word().to_owned(), rows, took, run, why]
    };
    let rows: Vec<Vec<String>> = history.iter().rev().map(line).collect();
    for line in columns(&rows, &[false, false, false, true, true, false, false]) {
        output.line(line);
    }
}

fn show_unfinished(output: Output, unfinished: &Unfinished) {
    output.line(format!("{}  not finished, began at {}", unfinished.run, moment(unfinished.began_at)));
    let line = |stream: &UnfinishedStream| {
        let UnfinishedStream { stream, pages, records, bytes } = stream;
        vec![stream.clone(), counted(*pages, "page"), counted(*records, "record"), size(*bytes)]
    };
    let rows: Vec<Vec<String>> = unfinished.streams.iter().map(line).collect();
    for line in columns(&rows, &[false, true, true, true]) {
        output.line(format!("    {line}"));
    }
    output.note(match unfinished.until {
        Some(until) => {
            format!("`haul run` goes on behind these pages until {}; `--no-resume` begins anew", moment(until))
        }
        None => "too old to be gone on with, unless `haul run --resume` says so".to_owned(),
    });
}

fn show(output: Output, held: &HeldRun) {
    output.line(format!("{}  held since {}", held.run, moment(held.held_at)));
    for why in &held.why {
        output.line(format!("  {why}"));
    }
    let line = |(name, table): (&String, &crate::model::manifest::TableManifest)| {
        vec![name.clone(), counted(table.rows, "row")]
    };
    let rows: Vec<Vec<String>> = held.tables.iter().map(line).collect();
    for line in columns(&rows, &[false, true]) {
        output.line(format!("    {line}"));
    }
}

/// A held run as `--json` tells it.
fn document(held: &HeldRun) -> serde_json::Value {
    let tables = held.tables.iter();
    let tables = tables.map(|(name, table)| (name.clone(), json!({ "rows": table.rows, "bytes": table.bytes })));
    json!({
        "run": held.run,
        "held_at": held.held_at,
        "why": held.why,
        "tables": tables.collect::<serde_json::Map<_, _>>(),
    })
}
