//! `haul publish`: what a person decides about a run that a gate holds back.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::PublishArgs;
use super::failure::{Exit, Failure};
use super::signals::until_signalled;
use crate::engine::{Decision, decide, open_store};
use crate::job::load;
use crate::state::Observations;

pub(super) async fn run(around: Surroundings, args: PublishArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let store = open_store(&job)?;
    let (run, decision) = match (args.approve, args.discard) {
        (Some(run), _) => (run, Decision::Approve),
        (None, Some(run)) => (run, Decision::Discard),
        (None, None) => {
            return Err(Failure::usage("say `--approve` or `--discard`").hint("`haul runs` shows held runs"));
        }
    };
    let run = Some(run).filter(|run| !run.is_empty());
    let work = async {
        let records = around.settings.open_records().await?;
        let observations = Observations::new(&around.settings.local_folder);
        decide(&job, &store, &records, &observations, run.as_deref(), decision).await
    };
    let decided = until_signalled(around.output, &CancellationToken::new(), work).await??;
    let held = &decided.held;
    if around.output.is_json {
        around.output.json(&json!({
            "job": job.name,
            "run": held.run,
            "outcome": if decided.snapshot.is_some() { "published" } else { "discarded" },
            "snapshot": decided.snapshot,
            "why": held.why,
            "warnings": decided.warnings,
        }));
        return Ok(Exit::Done);
    }
    around.output.line(match &decided.snapshot {
        Some(snapshot) => format!("published {snapshot} to {}", store.shown()),
        None => format!("run {} is discarded; readers see what they saw", held.run),
    });
    if decided.snapshot.is_some() && job.powerbi.is_some() {
        let file = args.job.file.display();
        around.output.note(format!("the next run refreshes Power BI, or now `haul powerbi refresh {file}`"));
    }
    for warning in &decided.warnings {
        around.output.note(format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}
