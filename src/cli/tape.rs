//! `haul record` and `haul replay`: a run's exchange with its source kept on a tape, and a job run from one, offline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::{RecordArgs, ReplayArgs};
use super::failure::{Exit, Failure};
use super::output::counted;
use super::progress::telemetry;
use super::run::show;
use super::signals::until_signalled;
use crate::engine::{self, Context, Memory, Purpose, RunOptions, Settings, run_job};
use crate::http::{self, Player};
use crate::job::load;
use crate::model::plan::{Job, Place};

pub(super) async fn record(around: Surroundings, args: RecordArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let thrown_away = temporary()?;
    let job = published_to(job, thrown_away.path());
    let cancel = CancellationToken::new();
    let telemetry = telemetry(around.output, &job.name);
    let ctx = Context::open(job, &around.settings, Purpose::Record(args.to.clone()), cancel.clone(), telemetry).await?;
    let ctx = Arc::new(ctx);
    let ended = until_signalled(around.output, &cancel, run_job(Arc::clone(&ctx), whole(args.streams))).await?;
    // What came before a failure is of use, too.
    let count = ctx.source.client().finish_tape().map_err(engine::Error::from)?;
    around.output.note(format!("{} kept on {}; nothing was published", counted(count, "answer"), args.to.display()));
    Ok(show(around.output, &ended))
}

pub(super) async fn replay(around: Surroundings, args: ReplayArgs) -> Result<Exit, Failure> {
    let job = published_to(load(&args.job.file, &args.job.set)?, &args.to);
    let player = Arc::new(Player::open(&args.from).map_err(http::Error::from).map_err(engine::Error::from)?);
    let state = temporary()?;
    let settings = Settings::in_folder(&state.path().join("state"));
    let cancel = CancellationToken::new();
    let telemetry = telemetry(around.output, &job.name);
    let purpose = Purpose::Replay(Arc::clone(&player));
    let ctx = Arc::new(Context::open(job, &settings, purpose, cancel.clone(), telemetry).await?);
    let ended = until_signalled(around.output, &cancel, run_job(ctx, whole(args.streams))).await?;
    let left = player.left();
    if !left.is_empty() && ended.failure.is_none() {
        let first: Vec<&str> = left.iter().take(5).map(String::as_str).collect();
        around.output.note(format!(
            "{} on the tape were not asked for: {}",
            counted(left.len() as u64, "request"),
            first.join(", ")
        ));
    }
    Ok(show(around.output, &ended))
}

/// Everything from the start: a tape knows no earlier runs.
fn whole(streams: Vec<String>) -> RunOptions {
    RunOptions { streams, memory: Memory::Forgotten, ..RunOptions::default() }
}

fn temporary() -> Result<tempfile::TempDir, Failure> {
    tempfile::TempDir::new().map_err(|error| Failure::failed("a temporary folder cannot be made").cause(&error))
}

/// The same job with a folder for its destination.
fn published_to(mut job: Job, folder: &Path) -> Job {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| PathBuf::from(folder));
    job.destination.place = Place::Local(folder);
    job.destination.options.clear();
    job
}
