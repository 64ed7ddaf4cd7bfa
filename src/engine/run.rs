//! One run of a job: the lease, all streams side by side, one publication of all tables, then aliases and status.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use ring::digest::{SHA256, digest};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::{Class, Error};
use super::gates::held::discard_overtaken;
use super::gates::held_back;
use super::history::{history_of, host_name};
use super::leased::{LeasedRun, Meeting, keep_lease, lease_or_watch, process_of};
use super::log::StreamSpan;
use super::merge::deletes::Listed;
use super::notify::{Chronicle, Failure, tell_start};
use super::parents::{ParentRows, fields_needed};
use super::publication::{Finished, finish, keep_feeds};
use super::raw::rebuild;
use super::resume::{Resume, Resuming};
use super::share::extend_shares;
use super::slices::Backfill;
use super::stream::{Pages, Reading};
use super::tables::{failed_report, table_manifests, table_reports};
use super::trace::send_trace;
use super::watchdog::watch_over;
use crate::clock::Clock;
use crate::model::deletes::Deletes;
use crate::model::history::{Entry, HISTORY_FORMAT, RunDocument};
use crate::model::manifest::{FORMAT_VERSION, Status, StatusTable};
use crate::model::plan::{Stream, Tables};
use crate::model::report::{Outcome, RunReport, SourceReport};
use crate::telemetry::Event;

/// What a run does beyond the job file.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    /// Read only these; the other tables keep their former parts. Empty = all.
    pub streams: Vec<String>,
    /// Forget the column types of earlier runs.
    pub memory: Memory,
    /// A range to read once more.
    pub backfill: Backfill,
    /// What becomes of an unfinished run.
    pub resuming: Resuming,
    pub reads: Reads,
    /// The scheduled instant that it serves. Absent = it was started by hand.
    pub slot: Option<DateTime<Utc>>,
    /// Where another run of the job seems to be going on.
    pub meeting: Meeting,
}

/// What the tables are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    #[default]
    Source,
    /// What earlier runs kept of its answers (`haul rebuild`).
    RawCopies,
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
    /// Whether another process had begun a run and is gone without a word.
    pub has_taken_over: bool,
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
        resumed: None,
        destination: ctx.store.shown().to_owned(),
        tables: BTreeMap::new(),
        source: SourceReport::default(),
        held: Vec::new(),
        swept: None,
        error: None,
        hint: None,
        warnings: Vec::new(),
    };
    let began = tokio::time::Instant::now();
    ctx.telemetry.tell(Event::RunBegan { run: ctx.run.clone() });
    let mut has_taken_over = false;
    let ended = run_leased(&ctx, &options, &mut report, &mut has_taken_over).await;
    let counters = ctx.source.client().counters();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    report.source = SourceReport {
        attempts: read(&counters.attempts),
        retries: read(&counters.retries),
        bytes: read(&counters.bytes),
        refreshes: ctx.source.access().refreshes(),
        paused_seconds: ctx.source.client().paused().as_secs_f64().round() as u64,
    };
    report.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let failed = ended.as_ref().err().map(Failure::of);
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
    report.warnings.extend(extend_shares(&ctx, &report).await);
    if !ctx.is_taped {
        let chronicle = Chronicle::of(&ctx.job, &ctx.records);
        // Of a person who mistypes a stream, or makes tables anew, nobody else hears.
        let is_typed = failure == Some(Class::Usage) && !options.streams.is_empty();
        let is_news = !is_typed && options.reads == Reads::Source;
        chronicle.add_run(&ctx, options.slot, failed.as_ref(), is_news, &mut report).await;
        report.warnings.extend(send_trace(&ctx, &report, options.slot).await);
        if let Err(error) = keep(&ctx, options.slot, &report).await {
            report.warnings.push(format!("the report of the run is not kept: {}", text_of(&error)));
        }
    }
    Ended { report, failure, has_taken_over }
}

/// Keeps the report and the log of a run that did something.
async fn keep(ctx: &Context, slot: Option<DateTime<Utc>>, report: &RunReport) -> Result<(), Error> {
    if report.outcome == Outcome::Skipped {
        return Ok(());
    }
    let entry = Entry::of_run(report, slot, &host_name());
    let (log, log_left_out) = ctx.log.read();
    let report = serde_json::to_value(report).expect("it holds only texts and numbers");
    let now = Clock.now();
    let seconds = |span: &StreamSpan| (span.ended_at.unwrap_or(now) - span.began_at).as_seconds_f64();
    let stream_seconds = ctx.log.spans().iter().map(|span| (span.name.clone(), seconds(span))).collect();
    let document = RunDocument { format_version: HISTORY_FORMAT, entry, report, stream_seconds, log, log_left_out };
    Ok(history_of(&ctx.job, &ctx.store, &ctx.records).keep(&ctx.run, &document).await?)
}

async fn run_leased(
    ctx: &Arc<Context>,
    options: &RunOptions,
    report: &mut RunReport,
    has_taken_over: &mut bool,
) -> Result<Outcome, Error> {
    let streams = chosen(ctx, &options.streams)?;
    let lease = match lease_or_watch(ctx, options.meeting).await? {
        LeasedRun::Leased(lease) => Arc::new(lease),
        LeasedRun::Held(held) => {
            report.error = Some(format!("another run of this job is going on ({})", process_of(&held)));
            report.hint = Some(format!(
                "should that process be gone without a word, a run after {} s takes over",
                held.lapses_in.as_secs() + 1
            ));
            return Ok(Outcome::Skipped);
        }
    };
    let begun = tokio::spawn(start_told(Arc::clone(ctx), options.reads));
    *has_taken_over = lease.is_taken_over();
    let is_stopped = CancellationToken::new();
    let heartbeat = tokio::spawn(keep_lease(Arc::clone(&lease), is_stopped.clone()));
    let watchdog = tokio::spawn(watch_over(Arc::clone(ctx), is_stopped.clone()));
    let ended = match options.reads {
        Reads::Source => run_streams(ctx, options, &streams, &is_stopped, report).await,
        Reads::RawCopies => rebuild(ctx, options, &is_stopped, report).await,
    };
    watchdog.abort();
    // What it found before it was aborted counts.
    let overdue = watchdog.await.ok();
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
    // Before what is told of its end.
    report.warnings.extend(begun.await.unwrap_or_default());
    match ended {
        Err(Error::Stopped) if lost => Err(Error::LeaseLost),
        Err(Error::Stopped) if let Some(overdue) = overdue => Err(overdue),
        ended => ended,
    }
}

/// Who hears of beginnings is told of this one. Returns what did not work.
async fn start_told(ctx: Arc<Context>, reads: Reads) -> Vec<String> {
    let is_told = reads == Reads::Source && !ctx.is_taped;
    if is_told { tell_start(ctx).await } else { Vec::new() }
}

fn chosen(ctx: &Context, names: &[String]) -> Result<Vec<Stream>, Error> {
    for name in names {
        if !ctx.job.streams.iter().any(|stream| stream.name == *name) {
            let known: Vec<String> = ctx.job.streams.iter().map(|stream| format!("`{}`", stream.name)).collect();
            return Err(Error::UnknownStream { name: name.clone(), known: known.join(", ") });
        }
    }
    let mut chosen: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut at = 0;
    // A stream that waits for another one needs that one, too; and a feed of deletions is not read without those that it
    // tells them to, for it tells them once.
    while let Some(name) = chosen.get(at).copied() {
        for stream in &ctx.job.streams {
            let needed: Vec<&str> = if stream.name == name {
                stream.waits_for().collect()
            } else if stream.deletes.as_ref().and_then(Deletes::feed) == Some(name) {
                vec![&stream.name]
            } else {
                continue;
            };
            for needed in needed {
                if !chosen.contains(&needed) {
                    chosen.push(needed);
                }
            }
        }
        at += 1;
    }
    let is_chosen = |stream: &&Stream| names.is_empty() || chosen.contains(&stream.name.as_str());
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
    if let Some(current) = &*current {
        ctx.store.remember(&current.manifest);
    }
    let resume = Arc::new(Resume::begin(ctx, options, (*current).as_ref()).await?);
    if let Some(run) = resume.resumed() {
        ctx.resume_as_of(resume.as_of());
        ctx.telemetry.tell(Event::Resumed { run: run.to_owned(), began_at: resume.as_of() });
        report.resumed = Some(run.to_owned());
    }
    // Streams that are read for the records of others, or told by them what is gone, wait for these.
    let records: BTreeMap<String, watch::Sender<Before>> =
        streams.iter().map(|stream| (stream.name.clone(), watch::Sender::new(Before::Awaited))).collect();
    let tasks = streams.iter().map(|stream| {
        let (ctx, stream, current, is_stopped) =
            (Arc::clone(ctx), stream.clone(), Arc::clone(&current), is_stopped.clone());
        let mut options = options.clone();
        if is_added_feed(&ctx, &stream, &options.streams) {
            // The range is of the streams that were named; the feed may have a cursor of another kind.
            options.backfill = Backfill::default();
        }
        let resume = Arc::clone(&resume);
        let needed = fields_needed(&stream.name, streams);
        let told = records[&stream.name].clone();
        let awaited = |name: &str| records[name].subscribe();
        let parent = stream.parent.as_ref().map(|parent| awaited(&parent.stream));
        let list = stream.deletes.as_ref().and_then(Deletes::list).map(awaited);
        // A task each: pages of one stream are opened while another one's are on their way.
        tokio::spawn(async move {
            let former = match options.memory {
                Memory::Kept => (*current).as_ref().map(|current| &current.manifest.tables),
                Memory::Forgotten => None,
            };
            let read = async {
                let parents = read_before(parent).await.map_err(|()| parent_failed(&stream))?;
                // Read before the first record of this stream: what comes with it is there.
                let list = read_before(list).await.map_err(|()| list_failed(&stream))?;
                let (parents, listed) =
                    (parents.as_deref().map(|read| &read.rows), list.as_deref().map(|read| &read.listed));
                let (ctx, stream, backfill, is_stopped) = (&ctx, &stream, &options.backfill, &is_stopped);
                let reading = Reading { ctx, stream, former, parents, listed, needed, backfill, is_stopped };
                reading.read(Pages::Source(&resume)).await
            };
            let mut read = read.await;
            match &mut read {
                Ok(read) => {
                    let rows = std::mem::take(&mut read.parents);
                    told.send_replace(Before::Read(Arc::new(ReadBefore { rows, listed: read.listed() })));
                }
                Err(error) => {
                    if !error.leaves_pages() {
                        resume.forget_stream(&stream.name).await;
                    }
                    told.send_replace(Before::Failed);
                    if ctx.job.tables == Tables::Together {
                        is_stopped.cancel();
                    }
                    ctx.telemetry.tell(Event::StreamFailed { stream: stream.name.clone() });
                }
            }
            read
        })
    });
    let mut finished = Finished::default();
    let mut failure: Option<Error> = None;
    for (stream, read) in streams.iter().zip(join_all(tasks).await) {
        let former = (*current).as_ref().map(|current| &current.manifest.tables);
        match read.expect("a stream's task does not panic") {
            Ok(read) => {
                let reports = table_reports(&read, former);
                let why = held_back(&ctx.job, stream, &read, &reports, former);
                report.tables.extend(reports);
                let tables = if why.is_empty() { &mut finished.tables } else { &mut finished.held };
                tables.extend(table_manifests(ctx, stream, &read));
                finished.associations.extend(read.associations.map(|told| (stream.name.clone(), told)));
                report.held.extend(why);
            }
            Err(error) => {
                report.tables.insert(stream.name.clone(), failed_report(&error));
                // The echo of another stream's failure explains nothing.
                if failure.is_none()
                    || matches!(failure, Some(Error::Stopped | Error::ParentFailed { .. } | Error::ListFailed { .. }))
                {
                    failure = Some(error);
                }
            }
        }
    }
    if ctx.job.tables == Tables::Independent {
        keep_feeds(streams, &mut finished.tables, report);
    }
    match failure {
        None => {}
        Some(error) if ctx.job.tables == Tables::Independent && !finished.tables.is_empty() && !error.ends_run() => {
            report.warnings.push(format!("not all tables are new: {}", text_of(&error)));
        }
        Some(error) => {
            if !error.leaves_pages() {
                // Whoever mends this wants to see what the source says then.
                report.warnings.extend(forget_pages(&resume).await);
            }
            return Err(error);
        }
    }
    let read: Vec<String> = finished.tables.keys().chain(finished.held.keys()).cloned().collect();
    let outcome = finish(ctx, (*current).as_ref(), finished, report).await?;
    if let Err(error) = discard_overtaken(&ctx.store, &ctx.run, &read).await {
        report.warnings.push(format!("runs that were held before are still kept: {}", text_of(&error)));
    }
    report.warnings.extend(forget_pages(&resume).await);
    Ok(outcome)
}

/// The pages of this run are of no use any more. Returns why they are still there.
async fn forget_pages(resume: &Resume) -> Option<String> {
    let error = resume.finish().await.err()?;
    Some(format!("the pages of this run are still kept: {}", text_of(&error)))
}

/// Whether a stream is only read because it tells named ones what is gone.
fn is_added_feed(ctx: &Context, stream: &Stream, named: &[String]) -> bool {
    let is_told = |other: &Stream| other.deletes.as_ref().and_then(Deletes::feed) == Some(stream.name.as_str());
    !named.is_empty() && !named.contains(&stream.name) && ctx.job.streams.iter().any(is_told)
}

/// What a stream read, for those that wait for it.
struct ReadBefore {
    rows: ParentRows,
    listed: Listed,
}

#[derive(Clone)]
enum Before {
    Awaited,
    Read(Arc<ReadBefore>),
    Failed,
}

/// Waits for another stream. `None` = there is none to wait for; an error = it failed.
async fn read_before(awaited: Option<watch::Receiver<Before>>) -> Result<Option<Arc<ReadBefore>>, ()> {
    let Some(mut awaited) = awaited else { return Ok(None) };
    let told = awaited.wait_for(|before| !matches!(before, Before::Awaited)).await;
    match told.as_deref() {
        Ok(Before::Read(read)) => Ok(Some(Arc::clone(read))),
        Ok(Before::Awaited | Before::Failed) | Err(_) => Err(()),
    }
}

fn parent_failed(stream: &Stream) -> Error {
    let parent = stream.parent.as_ref().map(|parent| parent.stream.clone()).unwrap_or_default();
    Error::ParentFailed { stream: stream.name.clone(), parent }
}

fn list_failed(stream: &Stream) -> Error {
    let list = stream.deletes.as_ref().and_then(Deletes::list).unwrap_or_default().to_owned();
    Error::ListFailed { stream: stream.name.clone(), list }
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

/// The first bytes of a SHA-256, for names.
pub(super) fn hex(bytes: &[u8], count: usize) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}
