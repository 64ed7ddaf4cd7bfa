//! `haul sweep`: former snapshots and files that nobody needs any more.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::SweepArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, counted, size};
use super::signals::until_signalled;
use crate::engine::{open_store, sweep};
use crate::job::load;
use crate::state::Observations;
use crate::store::{Removed, Sweeping, Swept};

pub(super) async fn run(around: Surroundings, args: SweepArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let store = open_store(&job)?;
    let sweeping = if args.dry_run { Sweeping::Tells } else { Sweeping::Removes };
    let work = async {
        let records = around.settings.open_records().await?;
        let observations = Observations::new(&around.settings.local_folder);
        sweep(&job, &store, &records, &observations, sweeping).await
    };
    let swept = until_signalled(around.output, &CancellationToken::new(), work).await??;
    if around.output.is_json {
        let Swept { snapshots, files, waiting, is_cut, .. } = &swept;
        around.output.json(&json!({
            "job": job.name,
            "is_dry_run": args.dry_run,
            "snapshots": snapshots,
            "files": files,
            "waiting": waiting,
            "is_cut": is_cut,
        }));
    } else {
        show(around.output, &swept, sweeping);
    }
    Ok(Exit::Done)
}

fn show(output: Output, swept: &Swept, sweeping: Sweeping) {
    let verb = match sweeping {
        Sweeping::Removes => "removed",
        Sweeping::Tells => "would remove",
    };
    for snapshot in &swept.snapshots {
        output.line(format!("{verb} snapshot {snapshot}"));
    }
    for file in &swept.files {
        output.line(format!("{verb} {} ({})", file.path, size(file.bytes)));
    }
    let bytes = |files: &[Removed]| size(files.iter().map(|file| file.bytes).sum());
    output.line(format!(
        "{verb} {} and {} ({})",
        counted(swept.snapshots.len() as u64, "snapshot"),
        counted(swept.files.len() as u64, "file"),
        bytes(&swept.files)
    ));
    if !swept.waiting.is_empty() {
        let files = counted(swept.waiting.len() as u64, "file");
        output.note(format!("{files} ({}) no snapshot names; a later sweep removes them", bytes(&swept.waiting)));
    }
    if swept.is_cut {
        output.note("there is more than one sweep removes (SWEEP_REMOVALS_MAX): the next one goes on");
    }
}
