//! `haul powerbi refresh`: what a run does behind a new snapshot, by hand.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::Surroundings;
use crate::cli::args::PowerbiRefreshArgs;
use crate::cli::failure::{Exit, Failure};
use crate::cli::progress::telemetry;
use crate::cli::run::refresh_line;
use crate::cli::signals::{self, until_signalled};
use crate::engine::refresh_now;
use crate::job::load;
use crate::model::refresh::{RefreshOutcome, RefreshReport};

pub(super) async fn run(around: Surroundings, args: PowerbiRefreshArgs) -> Result<Exit, Failure> {
    let output = around.output;
    let job = load(&args.job.file, &args.job.set)?;
    if job.powerbi.is_none() {
        return Err(Failure::usage(format!("job `{}` has no `powerbi`, so there is nothing to refresh", job.name))
            .hint(
                "for example `powerbi: { auth: { … }, refresh: [{ workspace: …, dataset: … }] }`, see docs/JOBS.md",
            ));
    }
    let cancel = CancellationToken::new();
    let telemetry = telemetry(output, &job.name);
    let work = refresh_now(&job, &around.settings, !args.no_wait, &cancel, &telemetry);
    let Some((refreshes, warnings)) = until_signalled(output, &cancel, work).await?? else {
        return Err(Failure::usage(format!("job `{}` has published nothing so far", job.name))
            .hint(format!("`haul run {}` does", args.job.file.display())));
    };
    if output.is_json {
        output.json(&json!({ "job": job.name, "refreshes": refreshes, "warnings": warnings }));
    } else {
        for refresh in &refreshes {
            match (refresh_line(refresh), refresh.trouble()) {
                (Some(line), _) => output.line(line),
                (None, trouble) => output.note(format!("error: {}", trouble.unwrap_or_default())),
            }
            if let Some(hint) = &refresh.hint {
                output.note(format!("hint: {hint}"));
            }
        }
        for warning in &warnings {
            output.note(format!("warning: {warning}"));
        }
    }
    Ok(if cancel.is_cancelled() { signals::exit() } else { exit(&refreshes) })
}

/// The worst of all.
fn exit(refreshes: &[RefreshReport]) -> Exit {
    let is_any = |outcomes: &[RefreshOutcome]| refreshes.iter().any(|refresh| outcomes.contains(&refresh.outcome));
    if is_any(&[RefreshOutcome::Failed, RefreshOutcome::Refused]) {
        Exit::Failed
    } else if is_any(&[RefreshOutcome::Unknown, RefreshOutcome::NotStarted]) {
        Exit::Temporary
    } else {
        Exit::Done
    }
}
