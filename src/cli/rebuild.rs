//! `haul rebuild`: the tables once more from what earlier runs kept of the source's answers.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::RebuildArgs;
use super::failure::{Exit, Failure};
use super::progress::telemetry;
use super::run::show;
use super::signals::until_signalled;
use crate::engine::{Context, Memory, Purpose, Reads, RunOptions, run_job};
use crate::job::load;

pub(super) async fn run(around: Surroundings, args: RebuildArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let cancel = CancellationToken::new();
    let telemetry = telemetry(around.output, &job.name);
    let ctx = Context::open(job, &around.settings, Purpose::Rebuild, cancel.clone(), telemetry).await?;
    let memory = if args.full { Memory::Forgotten } else { Memory::Kept };
    let options = RunOptions { streams: args.streams, memory, reads: Reads::RawCopies, ..RunOptions::default() };
    let ended = until_signalled(around.output, &cancel, run_job(Arc::new(ctx), options)).await?;
    Ok(show(around.output, &ended))
}
