//! `haul rollback`: a former snapshot is what readers see again.

use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::RollbackArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, counted};
use super::signals::until_signalled;
use crate::engine::{RolledBack, open_store, roll_back};
use crate::job::load;
use crate::state::Observations;

pub(super) async fn run(around: Surroundings, args: RollbackArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let work = async {
        let records = around.settings.open_records().await?;
        let observations = Observations::new(&around.settings.local_folder);
        roll_back(&job, &store, &records, &observations, args.snapshot.as_deref()).await
    };
    let rolled_back = until_signalled(around.output, &CancellationToken::new(), work).await??;
    show(around.output, store.shown(), &rolled_back);
    if job.powerbi.is_some() && !around.output.is_json {
        let file = args.file.display();
        around.output.note(format!("the next run refreshes Power BI, or now `haul powerbi refresh {file}`"));
    }
    Ok(Exit::Done)
}

fn show(output: Output, place: &str, rolled_back: &RolledBack) {
    if output.is_json {
        output.json(rolled_back);
        return;
    }
    let RolledBack { snapshot, restored_from, former, tables, warnings, .. } = rolled_back;
    output.line(format!("published {snapshot} to {place}, with the tables of {restored_from}"));
    let rows: Vec<_> = tables.iter().map(|(name, rows)| vec![name.clone(), counted(*rows, "row")]).collect();
    for line in columns(&rows, &[false, true]) {
        output.line(format!("  {line}"));
    }
    for warning in warnings {
        output.note(format!("warning: {warning}"));
    }
    output.note(format!("readers saw {former} before; the next run reads again what came since {restored_from}"));
}
