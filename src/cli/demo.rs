//! `haul demo`: the embedded API, a login, a whole run against it, and the first rows of every table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::DemoArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, count};
use super::preview::show_rows;
use super::progress::telemetry;
use super::run::show;
use super::signals::until_signalled;
use crate::auth::{Issuer, Login, Vault};
use crate::demo::{DemoApi, SCHEMA_FILE, job_file};
use crate::engine::{Class, Context, Ended, Purpose, RunOptions, Settings, open_issuer, run_job};
use crate::format::read_parquet;
use crate::job::{load, schema_text};
use crate::model::plan::{Auth, Job};
use crate::store::layout;

/// Rows shown of every table.
const ROWS_SHOWN: usize = 3;

struct DemoFolder {
    folder: PathBuf,
    job_file: PathBuf,
    settings: Settings,
}

pub(super) async fn run(output: Output, args: DemoArgs) -> Result<Exit, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::failed("the demo API cannot be started").cause(error);
    let api = DemoApi::start(&args.dir, None).await.map_err(|error| wrong(&error))?;
    let demo = prepare(&api, &args.dir)?;
    let cancel = CancellationToken::new();
    let ended = until_signalled(output, &cancel, async {
        login_if_needed(output, &api, &demo).await?;
        if args.serve {
            serve(output, &api, &demo, &cancel).await;
            return Ok(None);
        }
        let ended = run_once(output, &demo, cancel.clone()).await?;
        if ended.failure != Some(Class::Login) {
            return Ok(Some(ended));
        }
        // A demo that was killed while its token rotated: the API revokes what looks like reuse. Here nobody must click.
        log_in(output, &demo).await?;
        run_once(output, &demo, cancel.clone()).await.map(Some)
    });
    let ended: Option<Ended> = ended.await??;
    let stats = api.stop().await;
    let Some(ended) = ended else { return Ok(Exit::Done) };
    if ended.failure.is_some() {
        return Ok(show(output, &ended));
    }
    compare(&ended)?;
    if output.is_json {
        let mut report = serde_json::to_value(&ended.report).expect("reports hold only texts and numbers");
        report["demo"] = json!({
            "folder": demo.folder,
            "job_file": demo.job_file,
            "rows_of_api": DemoApi::row_counts().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "throttled": stats.throttled,
            "failed": stats.failed,
            "token_reuses": stats.reuses,
        });
        output.json(&report);
        return Ok(Exit::Done);
    }
    let exit = show(output, &ended);
    show_tables(output, &demo)?;
    show_next(output, &demo, &stats);
    Ok(exit)
}

/// Writes the job file where there is none, or where the API's address changed.
fn prepare(api: &DemoApi, folder: &Path) -> Result<DemoFolder, Failure> {
    let wrong =
        |error: std::io::Error| Failure::failed(format!("`{}` cannot be written", folder.display())).cause(&error);
    let folder = std::path::absolute(folder).map_err(wrong)?;
    let file = folder.join("demo.yaml");
    if api.port_changed() || !file.exists() {
        std::fs::write(&file, job_file(api.url(), &folder.join("out"))).map_err(wrong)?;
    }
    std::fs::write(folder.join(SCHEMA_FILE), schema_text()).map_err(wrong)?;
    let settings = Settings::in_folder(&folder.join("state"));
    Ok(DemoFolder { job_file: file, settings, folder })
}

/// Logs in where nobody has, or where the demo API no longer knows the login. It approves by itself, so the redirect it
/// would send the browser to is taken the way `haul login --paste` takes it.
async fn login_if_needed(output: Output, api: &DemoApi, demo: &DemoFolder) -> Result<(), Failure> {
    let job = load(&demo.job_file, &[])?;
    let (issuer, vault) = open(&job, &demo.settings).await?;
    if vault.is_logged_in(&issuer).await? && !api.port_changed() {
        return Ok(());
    }
    log_in(output, demo).await
}

async fn log_in(output: Output, demo: &DemoFolder) -> Result<(), Failure> {
    let job = load(&demo.job_file, &[])?;
    let (issuer, vault) = open(&job, &demo.settings).await?;
    let login = Login::begin(&issuer, &vault).await?.expect("the demo uses the code grant");
    let redirect = crate::demo::approve(login.url())
        .await
        .map_err(|error| Failure::failed("the demo API did not approve the login").cause(&error))?;
    login.finish_by_paste(&redirect).await?;
    if !output.is_quiet {
        output.note("logged in at the demo API (it approves by itself)");
    }
    Ok(())
}

async fn open(job: &Job, settings: &Settings) -> Result<(Arc<Issuer>, Arc<Vault>), Failure> {
    let Auth::Oauth2(plan) = &job.source.auth else {
        return Err(
            Failure::usage("the demo's job file no longer uses OAuth2").hint("delete it, and run the demo again")
        );
    };
    let records = settings.open_records().await?;
    Ok((Arc::new(open_issuer(job, plan)?), settings.open_vault(&records).await?))
}

async fn run_once(output: Output, demo: &DemoFolder, cancel: CancellationToken) -> Result<Ended, Failure> {
    let job = load(&demo.job_file, &[])?;
    let telemetry = telemetry(output, &job.name);
    let ctx = Context::open(job, &demo.settings, Purpose::Run, cancel, telemetry).await?;
    Ok(run_job(Arc::new(ctx), RunOptions::default()).await)
}

async fn serve(output: Output, api: &DemoApi, demo: &DemoFolder, cancel: &CancellationToken) {
    let (state, file) = (demo.settings.local_folder.display(), demo.job_file.display());
    output.note(format!("the demo API is open at {}; Ctrl-C ends it. In another terminal:", api.url()));
    output.note(format!("  haul preview {file} orders --state {state}"));
    output.note(format!("  haul run {file} --state {state}"));
    cancel.cancelled().await;
}

/// What was published against what the API holds.
fn compare(ended: &Ended) -> Result<(), Failure> {
    for (table, expected) in DemoApi::row_counts() {
        let rows = ended.report.tables.get(table).map_or(0, |table| table.rows);
        if rows != expected {
            let what = format!("table `{table}` has {rows} rows, the demo API holds {expected}");
            return Err(Failure::failed(what).hint("if you changed the job file, delete it and run the demo again"));
        }
    }
    Ok(())
}

fn show_tables(output: Output, demo: &DemoFolder) -> Result<(), Failure> {
    let job = load(&demo.job_file, &[])?;
    let crate::model::plan::Place::Local(out) = &job.destination.place else { return Ok(()) };
    for (table, _) in DemoApi::row_counts() {
        let file = out.join(&job.name).join(layout::alias(table, "parquet"));
        let wrong = |error: &dyn std::error::Error| {
            Failure::failed(format!("`{}` cannot be read", file.display())).cause(error)
        };
        let Ok(opened) = std::fs::File::open(&file) else { continue };
        let mut batches = read_parquet(opened, &[]).map_err(|error| wrong(&error))?;
        if let Some(batch) = batches.next() {
            let batch = batch.map_err(|error| wrong(&error))?;
            output.line(format!("\n{table}: the first of {} columns", batch.num_columns()));
            show_rows(output, &first(&batch));
        }
    }
    Ok(())
}

/// As much as a terminal shows: a few rows of the first columns.
fn first(batch: &arrow::array::RecordBatch) -> arrow::array::RecordBatch {
    let columns: Vec<usize> = (0..batch.num_columns().min(6)).collect();
    let narrow = batch.project(&columns).expect("columns of this batch");
    narrow.slice(0, narrow.num_rows().min(ROWS_SHOWN))
}

fn show_next(output: Output, demo: &DemoFolder, stats: &crate::demo::DemoStats) {
    let file = demo.job_file.display();
    output.line(format!(
        "\nOn the way the API answered 429 {} and 500 {}; {} tables hold what the API holds.",
        times(stats.throttled),
        times(stats.failed),
        count(DemoApi::row_counts().len() as u64),
    ));
    output.line(format!("Job file:  {file}"));
    output.line(format!("Tables:    {}", demo.folder.join("out").join("demo").display()));
    output.line("\nNext:");
    output.line("  haul demo                 runs again, with the rotated token");
    output.line("  haul demo --serve         keeps the API open, to try other verbs on it");
    output.line(format!("  haul snapshots {file}"));
    output.line("  the README's \"A real API in five minutes\"");
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
