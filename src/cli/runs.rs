//! `haul runs`: runs of a job that wait for something: held ones for a person, unfinished ones for the next run.

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::JobArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, counted, size};
use super::signals::until_signalled;
use crate::engine::{self, Unfinished, UnfinishedStream, find_unfinished, open_store};
use crate::job::load;
use crate::model::held::HeldRun;

pub(super) async fn run(around: Surroundings, args: JobArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let work = async {
        let held = store.list_held().await.map_err(engine::Error::from)?;
        Ok::<_, engine::Error>((held, find_unfinished(&around.settings, &job, &store).await?))
    };
    let (held, unfinished) = until_signalled(around.output, &CancellationToken::new(), work).await??;
    if around.output.is_json {
        let held: Vec<_> = held.iter().map(document).collect();
        around.output.json(&json!({ "job": job.name, "held": held, "unfinished": unfinished }));
        return Ok(Exit::Done);
    }
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

fn show_unfinished(output: Output, unfinished: &Unfinished) {
    let moment = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%SZ");
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
    output.line(format!("{}  held since {}", held.run, held.held_at.format("%Y-%m-%d %H:%M:%SZ")));
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
