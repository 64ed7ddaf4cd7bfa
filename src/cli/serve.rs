//! `haul serve`: the daemon over a folder of jobs.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::ServeArgs;
use super::failure::{Exit, Failure};
use super::log;
use super::output::{Output, counted};
use super::page::{open_page, tell_page};
use super::signals::{hangups, until_signalled};
use crate::clock::Clock;
use crate::daemon::{Board, Note, Serving, Web, serve, serve_web};
use crate::model::amounts::moment;
use crate::model::log::Level;
use crate::model::report::{Outcome, RunReport};
use crate::telemetry::Event;

pub(super) async fn run(around: Surroundings, args: ServeArgs) -> Result<Exit, Failure> {
    let output = around.output;
    let records = around.settings.open_records().await?;
    let settings = Arc::new(around.settings);
    let (board, is_stopped, is_over) = (Arc::new(Board::new()), CancellationToken::new(), CancellationToken::new());
    let (reload, reloads) = mpsc::channel(1);
    let page = if args.no_web {
        None
    } else {
        let (listener, access) = open_page(&args).await?;
        tell_page(output, &access);
        let web = Web {
            board: Arc::clone(&board),
            settings: Arc::clone(&settings),
            records: Arc::clone(&records),
            access,
            reload: reload.clone(),
            is_stopped: is_stopped.clone(),
        };
        Some(serve_web(listener, web, is_over.clone()))
    };
    let serving = Serving {
        folder: args.folder.clone(),
        settings,
        records,
        board,
        tell: Arc::new(move |note| tell(output, note)),
        room: Arc::new(Semaphore::new(args.at_once)),
        is_stopped: is_stopped.clone(),
    };
    let serving = async {
        tokio::select! {
            biased;
            // First, so that a SIGHUP while the folder is read the first time ends nothing. It waits for ever.
            () = hangups(reload) => Ok(()),
            served = serve(serving, reloads) => served,
        }
    };
    let served = until_signalled(output, &is_stopped, serving).await;
    is_over.cancel();
    if let Some(page) = page {
        // The jobs were served; a page that broke on the way was told in its own answers.
        let _ = page.await;
    }
    let served = match served {
        // A document a line, this one too.
        Err(failure) if output.is_json => {
            output.json_line(
                &json!({ "at": Clock.now(), "note": "stopped", "why": failure.error, "hint": failure.hint }),
            );
            return Ok(failure.exit);
        }
        served => served?,
    };
    served.map_err(|error| {
        Failure::usage(format!("the folder {} cannot be read", args.folder.display())).cause(&error)
    })?;
    Ok(Exit::Done)
}

/// A line on standard output for each note: for people, or with `--json` one document a line.
fn tell(output: Output, note: Note) {
    let at = Clock.now();
    if output.is_json {
        let is_left_out = matches!(&note, Note::Event { event, .. } if !output.logs(event.level()));
        if !is_left_out {
            output.json_line(&document(at, &note));
        }
        return;
    }
    let line = match note {
        Note::Keeping { jobs } => {
            for (job, next) in &jobs {
                let next = next.map_or_else(|| "never".to_owned(), moment);
                output.line(format!("{}  {job}: next at {next}", moment(at)));
            }
            format!("{} begun", counted(jobs.len() as u64, "schedule"))
        }
        Note::NotLoaded { file, is_kept: true, why } => {
            format!("{} is broken, and goes on as it was: {why}", file.display())
        }
        Note::NotLoaded { file, is_kept: false, why } => format!("{} is not served: {why}", file.display()),
        Note::Unscheduled { file } => format!("{} has no `schedule`, and runs when somebody says so", file.display()),
        Note::Began { job, slot } => format!("{job}: {} begins", which(slot)),
        Note::Event { job, event, .. } => match event.level() {
            // The end of the run says it in full.
            Level::Debug | Level::Info => match event {
                Event::Paused { .. } | Event::RefreshMoved { .. } => format!("{job}: {}", event.text()),
                _ => return,
            },
            Level::Warn | Level::Error => {
                let stream = event.stream().map(|stream| format!("stream `{stream}` ")).unwrap_or_default();
                format!("{job}: {stream}{}", event.text())
            }
        },
        Note::Ended { job, slot, ended } => format!("{job}: {} {}", which(slot), told(&ended.report)),
        Note::NotServed { job, entry } => {
            let slot = entry.slot.map(moment).unwrap_or_default();
            format!("{job}: slot {slot} {}: {}", entry.outcome.word(), entry.why.unwrap_or_default())
        }
        Note::Trouble { job, why } => format!("{job}: {why}; tried again soon"),
    };
    output.line(format!("{}  {line}", moment(at)));
}

fn which(slot: Option<DateTime<Utc>>) -> String {
    slot.map_or_else(|| "a run by hand".to_owned(), |slot| format!("slot {}", moment(slot)))
}

/// How a run ended, on one line.
fn told(report: &RunReport) -> String {
    let rows: u64 = report.tables.values().map(|table| table.rows).sum();
    let done = match report.outcome {
        Outcome::Published => format!("published {}", report.snapshot.as_deref().unwrap_or_default()),
        Outcome::Unchanged => "brought nothing new".to_owned(),
        Outcome::Held => "is held".to_owned(),
        Outcome::Failed => "failed".to_owned(),
        Outcome::Skipped => "is skipped".to_owned(),
        Outcome::Interrupted => "was stopped".to_owned(),
    };
    let why = report.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{done}, {} in {:.1} s{why}", counted(rows, "row"), report.seconds)
}

fn document(at: DateTime<Utc>, note: &Note) -> serde_json::Value {
    match note {
        Note::Keeping { jobs } => {
            let jobs: serde_json::Map<_, _> = jobs.iter().map(|(job, next)| (job.clone(), json!(next))).collect();
            json!({ "at": at, "note": "keeping", "next": jobs })
        }
        Note::NotLoaded { file, is_kept, why } => {
            json!({ "at": at, "note": "not_loaded", "file": file, "kept": is_kept, "why": why })
        }
        Note::Unscheduled { file } => json!({ "at": at, "note": "unscheduled", "file": file }),
        Note::Began { job, slot } => json!({ "at": at, "note": "began", "job": job, "slot": slot }),
        Note::Event { job, run, event } => {
            let mut fields = log::document(at, job, run.as_deref(), event);
            fields.insert("note".to_owned(), json!("event"));
            fields.into()
        }
        Note::Ended { job, slot, ended } => {
            json!({ "at": at, "note": "ended", "job": job, "slot": slot, "report": ended.report })
        }
        Note::NotServed { job, entry } => json!({ "at": at, "note": "not_served", "job": job, "entry": entry }),
        Note::Trouble { job, why } => json!({ "at": at, "note": "trouble", "job": job, "why": why }),
    }
}
