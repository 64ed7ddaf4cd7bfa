//! `haul state`: how far incremental streams are read.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::{StateArgs, StateVerb};
use super::failure::{Exit, Failure};
use super::output::{Output, columns};
use super::signals::until_signalled;
use crate::engine::{CursorChange, Cursors, change_cursors, load_cursors, open_store};
use crate::job::load;
use crate::state::Observations;

pub(super) async fn run(around: Surroundings, args: StateArgs) -> Result<Exit, Failure> {
    let (job, change) = match args.verb {
        StateVerb::Show(args) => (args, None),
        StateVerb::Set { job, stream, value, slice } => (job, Some(CursorChange::Set { stream, slice, value })),
        StateVerb::Reset { job, stream, slice } => (job, Some(CursorChange::Reset { stream, slice })),
    };
    let job = load(&job.file, &job.set)?;
    let store = open_store(&job)?;
    let work = async {
        let Some(change) = &change else { return load_cursors(&store).await };
        let records = around.settings.open_records().await?;
        let observations = Observations::new(&around.settings.local_folder);
        change_cursors(&job, &store, &Arc::clone(&records), &observations, change).await
    };
    let cursors = until_signalled(around.output, &CancellationToken::new(), work).await??;
    show(around.output, &job.name, &cursors);
    Ok(Exit::Done)
}

fn show(output: Output, job: &str, cursors: &Cursors) {
    if output.is_json {
        output.json(&json!({ "job": job, "cursors": cursors }));
        return;
    }
    let mut rows = vec![["STREAM", "SLICE", "CURSOR", "SET"].map(str::to_owned).to_vec()];
    for (stream, scopes) in cursors {
        for (scope, cursor) in scopes {
            let set_at = cursor.set_at.format("%Y-%m-%d %H:%M:%SZ").to_string();
            rows.push(vec![stream.clone(), scope.clone(), cursor.value.clone(), set_at]);
        }
    }
    if rows.len() == 1 {
        output.line("no stream has a cursor: the next run begins at the start");
        return;
    }
    for line in columns(&rows, &[false, false, false, false]) {
        output.line(line);
    }
}
