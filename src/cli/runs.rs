//! `haul runs`: runs of a job that wait for something: held ones for a person.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::JobArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, counted};
use super::signals::until_signalled;
use crate::engine::open_store;
use crate::job::load;
use crate::model::held::HeldRun;

pub(super) async fn run(around: Surroundings, args: JobArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let held = until_signalled(around.output, &CancellationToken::new(), store.list_held()).await??;
    if around.output.is_json {
        around.output.json(&json!({ "job": job.name, "held": held.iter().map(document).collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if held.is_empty() {
        around.output.line(format!("no run of job `{}` is held", job.name));
        return Ok(Exit::Done);
    }
    for held in &held {
        show(around.output, held);
    }
    let file = args.file.display();
    around.output.note(format!("`haul publish {file} --approve RUN` publishes one, `--discard RUN` forgets it"));
    Ok(Exit::Done)
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
