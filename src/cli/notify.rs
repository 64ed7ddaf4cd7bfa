//! `haul notify`: tries the receivers of a job's notices.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::{NotifyArgs, NotifyTestArgs, NotifyVerb};
use super::failure::{Exit, Failure};
use super::output::{Output, columns};
use super::signals::{interrupted, until_signalled};
use crate::engine::test_receivers;
use crate::job::load;

pub(super) async fn run(output: Output, args: NotifyArgs) -> Result<Exit, Failure> {
    match args.verb {
        NotifyVerb::Test(args) => test(output, args).await,
    }
}

async fn test(output: Output, args: NotifyTestArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    if job.notify.is_empty() {
        return Err(Failure::usage(format!("job `{}` has no `notify`, so nobody is told anything", job.name))
            .hint("for example `notify: [{ slack: \"${SLACK_WEBHOOK}\" }]`"));
    }
    let cancel = CancellationToken::new();
    let tested = until_signalled(output, &cancel, async {
        tokio::select! {
            told = test_receivers(&job) => Some(told),
            () = cancel.cancelled() => None,
        }
    });
    let told = tested.await?.ok_or_else(interrupted)?;
    let is_good = told.iter().all(|(_, told)| told.is_ok());
    if output.is_json {
        let receivers: Vec<_> = told
            .iter()
            .map(|(to, told)| match told {
                Ok(()) => json!({ "to": to, "outcome": "sent" }),
                Err(error) => json!({ "to": to, "outcome": "failed", "error": error.why, "hint": error.hint }),
            })
            .collect();
        output.json(&json!({ "job": job.name, "receivers": receivers }));
    } else {
        let line = |(to, told): &(String, Result<(), crate::engine::NotTold>)| {
            let how = told.as_ref().map_or_else(|error| format!("failed: {}", error.why), |()| "sent".to_owned());
            vec![to.clone(), how]
        };
        for line in columns(&told.iter().map(line).collect::<Vec<_>>(), &[false, false]) {
            output.line(line);
        }
        for (to, hint) in told.iter().filter_map(|(to, told)| Some((to, told.as_ref().err()?.hint.as_ref()?))) {
            output.note(format!("hint: {to}: {hint}"));
        }
    }
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}
