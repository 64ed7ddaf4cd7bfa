//! One run of a job: the lease, all streams side by side, one publication of all tables, then aliases and status.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use ring::digest::{SHA256, digest};
use tokio_util::sync::CancellationToken;

use super::alias::write_alias;
use super::context::Context;
use super::error::{Class, Error};
use super::stream::{ReadStream, run_stream};
use crate::clock::Clock;
use crate::format::Kind;
use crate::limits::RUN_LEASE;
use crate::model::column::Column;
use crate::model::manifest::{FORMAT_VERSION, Manifest, Status, StatusTable, TableManifest};
use crate::model::plan::{Format, Stream};
use crate::model::report::{
    Outcome, RunReport, SchemaChange, SourceReport, TableOutcome, TableReport, ValueWarning, WalkReport,
};
use crate::state::lease::{Acquired, Lease};
use crate::store::Current;
use crate::telemetry::Event;

/// What a run does beyond the job file.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    /// Read only these; the other tables keep their former parts. Empty = all.
    pub streams: Vec<String>,
    /// Forget the column types of earlier runs.
    pub memory: Memory,
}

/// Whether earlier runs count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Memory {
    #[default]
    Kept,
    /// `--full`.
    Forgotten,
}

/// A run that is over: its report, and what kind of ending it was. Absent = published or skipped.
pub(crate) struct Ended {
    pub report: RunReport,
    pub failure: Option<Class>,
}

/// Runs the job once.
pub(crate) async fn run_job(ctx: Arc<Context>, options: RunOptions) -> Ended {
    let mut report = RunReport {
        job: ctx.job.name.clone(),
        run: ctx.run.clone(),
        outcome: Outcome::Failed,
        snapshot: None,
        started_at: ctx.started_at,
        seconds: 0.0,
        destination: ctx.store.shown().to_owned(),
        tables: BTreeMap::new(),
        source: SourceReport::default(),
        error: None,
        hint: None,
        warnings: Vec::new(),
    };
    let began = tokio::time::Instant::now();
    let ended = run_leased(&ctx, &options, &mut report).await;
    let counters = ctx.source.client().counters();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    report.source = SourceReport {
        attempts: read(&counters.attempts),
        retries: read(&counters.retries),
        bytes: read(&counters.bytes),
        refreshes: ctx.source.access().refreshes(),
    };
    report.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let failure = match ended {
        Ok(outcome) => {
            report.outcome = outcome;
            None
        }
        Err(error) => {
            let class = error.class();
            report.outcome = if class == Class::Interrupted { Outcome::Interrupted } else { Outcome::Failed };
            report.error = Some(text_of(&error));
            report.hint = error.hint();
            Some(class)
        }
    };
    if report.outcome != Outcome::Skipped
        && let Err(error) = write_status(&ctx, &report).await
    {
        report.warnings.push(format!("the status file is not up to date: {}", text_of(&error)));
    }
    Ended { report, failure }
}

async fn run_leased(ctx: &Arc<Context>, options: &RunOptions, report: &mut RunReport) -> Result<Outcome, Error> {
    let streams = chosen(ctx, &options.streams)?;
    // The lease belongs to what is written: the same job into two folders may run twice.
    let name = format!("run/{}/{}", ctx.job.name, hex(ctx.store.shown().as_bytes(), 8));
    let lease = match Lease::acquire(&ctx.records, &ctx.observations, &name, RUN_LEASE).await? {
        Acquired::Lease(lease) => Arc::new(lease),
        Acquired::Held(held) => {
            let (host, pid) = (held.holder.host.split('/').next().unwrap_or_default().to_owned(), held.holder.pid);
            report.error = Some(format!("another run of this job is going on (process {pid} on `{host}`)"));
            report.hint = Some(format!(
                "should that process be gone without a word, a run after {} s takes over",
                held.lapses_in.as_secs() + 1
            ));
            return Ok(Outcome::Skipped);
        }
    };
    let is_stopped = CancellationToken::new();
    let heartbeat = tokio::spawn(keep_lease(Arc::clone(&lease), is_stopped.clone()));
    let ended = run_streams(ctx, options, &streams, &is_stopped, report).await;
    heartbeat.abort();
    // Waited for, so that no renewal follows the release.
    let lost = matches!(heartbeat.await, Ok(()));
    if !lost
        && let Some(lease) = Arc::into_inner(lease)
        && let Err(error) = lease.release().await
    {
        // What was published stays published; the lease lapses by itself.
        report.warnings.push(format!("the lease of the job could not be given back: {}", text_of(&error)));
    }
    match ended {
        Err(Error::Stopped) if lost => Err(Error::LeaseLost),
        ended => ended,
    }
}

/// Renews the lease until it is aborted; returns when the lease was lost, after stopping the run.
async fn keep_lease(lease: Arc<Lease>, is_stopped: CancellationToken) {
    loop {
        tokio::time::sleep(lease.renewal_interval()).await;
        // A store that cannot be asked is not a lost lease: the time to live covers some failures in a row.
        if matches!(lease.renew().await, Ok(false)) {
            is_stopped.cancel();
            return;
        }
    }
}

fn chosen(ctx: &Context, names: &[String]) -> Result<Vec<Stream>, Error> {
    for name in names {
        if !ctx.job.streams.iter().any(|stream| stream.name == *name) {
            let known: Vec<String> = ctx.job.streams.iter().map(|stream| format!("`{}`", stream.name)).collect();
            return Err(Error::UnknownStream { name: name.clone(), known: known.join(", ") });
        }
    }
    let is_chosen = |stream: &&Stream| names.is_empty() || names.contains(&stream.name);
    Ok(ctx.job.streams.iter().filter(is_chosen).cloned().collect())
}

async fn run_streams(
    ctx: &Arc<Context>,
    options: &RunOptions,
    streams: &[Stream],
    is_stopped: &CancellationToken,
    report: &mut RunReport,
) -> Result<Outcome, Error> {
    let current = Arc::new(ctx.store.load_current().await?);
    report.snapshot = (*current).as_ref().map(|current| current.manifest.snapshot.clone());
    let tasks = streams.iter().map(|stream| {
        let (ctx, stream, current, is_stopped) =
            (Arc::clone(ctx), stream.clone(), Arc::clone(&current), is_stopped.clone());
        let memory = options.memory;
        // A task each: pages of one stream are opened while another one's are on their way.
        tokio::spawn(async move {
            let former = match memory {
                Memory::Kept => (*current).as_ref().and_then(|current| current.manifest.tables.get(&stream.name)),
                Memory::Forgotten => None,
            };
            let read = run_stream(&ctx, &stream, former, &is_stopped).await;
            if read.is_err() {
                is_stopped.cancel();
                ctx.telemetry.tell(Event::StreamFailed { stream: stream.name.clone() });
            }
            read
        })
    });
    let mut tables = BTreeMap::new();
    let mut failure: Option<Error> = None;
    for (stream, read) in streams.iter().zip(join_all(tasks).await) {
        let former = (*current).as_ref().and_then(|current| current.manifest.tables.get(&stream.name));
        match read.expect("a stream's task does not panic") {
            Ok(read) => {
                report.tables.insert(stream.name.clone(), table_report(&read, former));
                if let Some((first, last)) = read.table.end().moved() {
                    report.warnings.push(format!(
                        "table `{}` changed while it was counted: the API told a total of {first} records first and of {last} last, so records may be missing or twice; run again, or read it by next links or a cursor",
                        stream.name
                    ));
                }
                tables.insert(stream.name.clone(), table_manifest(ctx, stream, &read));
            }
            Err(error) => {
                report.tables.insert(stream.name.clone(), failed_report(&error));
                // The echo of another stream's failure explains nothing.
                if failure.is_none() || matches!(failure, Some(Error::Stopped)) {
                    failure = Some(error);
                }
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => publish(ctx, (*current).as_ref(), tables, report).await,
    }
}

async fn publish(
    ctx: &Context,
    current: Option<&Current>,
    mut tables: BTreeMap<String, TableManifest>,
    report: &mut RunReport,
) -> Result<Outcome, Error> {
    if ctx.cancel.is_cancelled() {
        return Err(Error::Interrupted);
    }
    let read: Vec<String> = tables.keys().cloned().collect();
    for stream in &ctx.job.streams {
        let kept = current.and_then(|current| current.manifest.tables.get(&stream.name));
        if let Some(kept) = kept.filter(|_| !tables.contains_key(&stream.name)) {
            report.tables.insert(stream.name.clone(), kept_report(kept));
            tables.insert(stream.name.clone(), kept.clone());
        }
    }
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        job: ctx.job.name.clone(),
        snapshot: String::new(),
        sequence: 0,
        run: ctx.run.clone(),
        published_at: Clock.now(),
        previous: None,
        config_hash: ctx.job.config_hash.clone(),
        tables,
    };
    let published = ctx.store.publish(current, manifest.clone()).await?;
    report.snapshot = Some(published.snapshot.clone());
    for name in &read {
        if let Some(table) = report.tables.get_mut(name) {
            table.outcome = TableOutcome::Published;
        }
    }
    ctx.telemetry.tell(Event::SnapshotPublished { snapshot: published.snapshot });
    for name in read {
        let table = &manifest.tables[&name];
        if table.parts.is_empty() {
            report.warnings.push(format!(
                "table `{name}` is empty and has no known column, so it has no file: declare its `columns`"
            ));
        } else if ctx.job.alias
            && let Err(error) = write_alias(ctx, &name, table, kind(ctx.job.destination.format)).await
        {
            // The snapshot is published and whole; the alias shows the former rows until the next run.
            report.warnings.push(format!("the alias of table `{name}` is not up to date: {}", text_of(&error)));
        }
    }
    Ok(Outcome::Published)
}

fn kind(format: Format) -> Kind {
    match format {
        Format::Parquet => Kind::Parquet,
        Format::Csv => Kind::Csv,
    }
}

async fn write_status(ctx: &Context, report: &RunReport) -> Result<(), Error> {
    // A first run that failed leaves nothing behind, not even the folder.
    if report.snapshot.is_none() {
        return Ok(());
    }
    let tables = report
        .tables
        .iter()
        .map(|(name, table)| (name.clone(), StatusTable { rows: table.rows, outcome: table.outcome }));
    let status = Status {
        format_version: FORMAT_VERSION,
        job: report.job.clone(),
        run: report.run.clone(),
        outcome: report.outcome,
        started_at: report.started_at,
        finished_at: Clock.now(),
        snapshot: report.snapshot.clone(),
        tables: tables.collect(),
    };
    Ok(ctx.store.write_status(&status).await?)
}

fn table_manifest(ctx: &Context, stream: &Stream, read: &ReadStream) -> TableManifest {
    let table = &read.table;
    TableManifest {
        columns: table.columns().to_vec(),
        schema_hash: schema_hash(table.columns()),
        key: stream.key.clone(),
        rows: table.rows(),
        bytes: table.bytes(),
        format: ctx.job.destination.format.extension().to_owned(),
        as_of: ctx.started_at,
        parts: table.parts().to_vec(),
        walks: walks(read),
    }
}

fn walks(read: &ReadStream) -> Vec<WalkReport> {
    let end = read.table.end();
    vec![WalkReport { pages: end.pages(), records: end.records(), ended: end.reason() }]
}

fn table_report(read: &ReadStream, former: Option<&TableManifest>) -> TableReport {
    let warnings = read.warnings.iter().map(|warning| ValueWarning {
        column: warning.column.clone(),
        kind: warning.kind.word().to_owned(),
        count: warning.count,
    });
    TableReport {
        rows: read.table.rows(),
        bytes: read.table.bytes(),
        outcome: TableOutcome::Read,
        parts: read.table.parts().len() as u64,
        walks: walks(read),
        schema_changes: former.map(|former| schema_changes(&former.columns, read.table.columns())).unwrap_or_default(),
        warnings: warnings.collect(),
        error: None,
    }
}

fn failed_report(error: &Error) -> TableReport {
    TableReport { outcome: TableOutcome::Failed, error: Some(text_of(error)), ..empty_report() }
}

fn kept_report(kept: &TableManifest) -> TableReport {
    TableReport {
        rows: kept.rows,
        bytes: kept.bytes,
        outcome: TableOutcome::Kept,
        parts: kept.parts.len() as u64,
        ..empty_report()
    }
}

fn empty_report() -> TableReport {
    TableReport {
        rows: 0,
        bytes: 0,
        outcome: TableOutcome::Failed,
        parts: 0,
        walks: Vec::new(),
        schema_changes: Vec::new(),
        warnings: Vec::new(),
        error: None,
    }
}

fn schema_changes(former: &[Column], now: &[Column]) -> Vec<SchemaChange> {
    let find =
        |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).map(|column| column.kind);
    let mut changes: Vec<SchemaChange> = now
        .iter()
        .filter_map(|column| match find(former, &column.name) {
            None => Some(SchemaChange::Added { column: column.name.clone(), to: column.kind }),
            Some(from) if from != column.kind => {
                Some(SchemaChange::Retyped { column: column.name.clone(), from, to: column.kind })
            }
            Some(_) => None,
        })
        .collect();
    let removed = former.iter().filter(|column| find(now, &column.name).is_none());
    changes.extend(removed.map(|column| SchemaChange::Removed { column: column.name.clone(), from: column.kind }));
    changes
}

fn schema_hash(columns: &[Column]) -> String {
    let text: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
    hex(text.join("\n").as_bytes(), 32)
}

fn hex(bytes: &[u8], count: usize) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}

/// An error with its causes on one line, without secrets.
pub(crate) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let next = source.to_string();
        // Many errors repeat their cause in their own text.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = source.source();
    }
    crate::secret::mask(&text)
}
