//! What became of runs and slots is written down here, and told to whom the job says. An entry comes in; it is added to the
//! history, and the standing of the job decides what is news (`standing`, pure). A receiver that cannot be told fails no run: it
//! becomes a warning, and is told by a later run what still holds.
//!
//! It does not know how a run works, and no text of it names an address.

mod command;
mod deliver;
mod expiry;
mod notice;
mod shape;
mod standing;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

pub(crate) use self::deliver::NotTold;
use self::notice::{CredentialLine, Notice};
use self::standing::{Due, Expiring, Happened, Problem, Standing};
use super::context::{Context, OpenError, Settings};
use super::error::{Class, Error};
use super::history::{history_at, host_name, name_of_job};
use super::run::text_of;
use crate::auth::Summary;
use crate::clock::Clock;
use crate::columns;
use crate::limits::{NOTICE_QUIET_MAX, NOTICE_STOPPED_WAIT_MAX, NOTICE_WAIT_MAX, RECORD_SWAPS_MAX};
use crate::model::history::{Entry, NoticeEntry, Served};
use crate::model::notify::{EventKind, Receiver, Signal};
use crate::model::plan::Job;
use crate::model::refresh::RefreshReport;
use crate::model::report::{Outcome, RunReport, TableOutcome, TableReport};
use crate::secret::mask;
use crate::state::{self, History, RecordStore};
use crate::telemetry::Event;

/// Version of the record `standing/<job>`.
const FORMAT_VERSION: u32 = 1;

/// Where a job's runs and slots are written down, and from where they are told.
pub(crate) struct Chronicle {
    job: Job,
    history: History,
    records: Arc<RecordStore>,
    /// Of the record with the standing.
    key: String,
}

/// The record `standing/<job>`, format version 1: `{"format_version":1,"nonce":ULID,"standing":{…}}`, the standing as in
/// `standing::Standing`. It holds no secret and may be deleted: what still holds is then told once more.
#[derive(Serialize, Deserialize)]
struct StandingRecord {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    standing: Standing,
}

/// What there is to tell of an entry.
struct News<'n> {
    report: Option<&'n RunReport>,
    happened: Happened,
    signal: Option<Signal>,
    error: Option<String>,
    hint: Option<String>,
    /// The stored credential of the source. Absent = there is none.
    summary: Option<Summary>,
    /// Absent = nobody looked.
    expiring: Option<Vec<Expiring>>,
}

impl News<'_> {
    /// Of a slot without a run, or of a run that could not be opened.
    fn of_entry(entry: &Entry, hint: Option<String>) -> Self {
        let (happened, signal) = match entry.outcome {
            Served::Failed => (Happened::Trouble(Problem::Failed), Some(Signal::Fail)),
            Served::Missed => (Happened::Missed, None),
            Served::Published
            | Served::Unchanged
            | Served::Held
            | Served::Skipped
            | Served::Interrupted
            | Served::Blackout
            | Served::Paused => (Happened::Nothing, None),
        };
        News { report: None, happened, signal, error: entry.why.clone(), hint, summary: None, expiring: None }
    }
}

/// Why a run failed.
pub(super) struct Failure {
    pub class: Class,
    /// Its error without content of records: a chat is read by others than they are.
    told: String,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let mut told = text_of(error);
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            let contents = error.downcast_ref::<columns::Error>().map(columns::Error::contents).unwrap_or_default();
            for content in contents.into_iter().filter(|content| !content.is_empty()) {
                told = told.replace(&mask(&content), "…");
            }
            cause = error.source();
        }
        Failure { class: error.class(), told }
    }
}

/// How one telling ended.
struct Telling<'t> {
    receiver: &'t Receiver,
    /// Absent = a ping.
    due: Option<Due>,
    told: Result<(), NotTold>,
}

impl Chronicle {
    /// The chronicle of a job. Opens nothing.
    pub(crate) fn of(job: &Job, records: &Arc<RecordStore>) -> Self {
        Chronicle {
            job: job.clone(),
            history: history_at(job, records),
            records: Arc::clone(records),
            key: format!("standing/{}", name_of_job(job)),
        }
    }

    /// Adds what became of a slot without a run, or of a run that could not be opened, and tells it.
    pub(crate) async fn add(
        &self,
        entry: &Entry,
        hint: Option<String>,
        cancel: &CancellationToken,
    ) -> Result<(), state::Error> {
        let added = self.history.add(entry).await;
        let news = News::of_entry(entry, hint);
        // Told in the history, too, which is all that there is of it.
        let _ = self.tell(entry.clone(), &news, cancel).await;
        added
    }

    /// Adds a run that is over, and tells it. What did not work becomes a warning of its report.
    pub(super) async fn add_run(
        &self,
        ctx: &Context,
        slot: Option<DateTime<Utc>>,
        failure: Option<&Failure>,
        is_news: bool,
        report: &mut RunReport,
    ) {
        let entry = Entry::of_run(report, slot, &host_name());
        if let Err(error) = self.history.add(&entry).await {
            report.warnings.push(format!("the run is not in the history: {}", text_of(&error)));
        }
        let (happened, signal) = happened(report, failure.map(|failure| failure.class));
        if !is_news || self.job.notify.is_empty() || happened == Happened::Nothing {
            return;
        }
        // What cannot be read is told by the run itself.
        let summary = ctx.source.access().summary().await.ok().flatten();
        let expiring = Some(expiry::expiring(&self.job, summary.as_ref(), &ctx.store, &ctx.records).await);
        let error = match failure {
            Some(failure) => Some(failure.told.clone()),
            None => report.error.clone().or_else(|| kept_why(report)),
        };
        let hint = report.hint.clone();
        let news = News { report: Some(report), happened, signal, error, hint, summary, expiring };
        let warnings = self.tell_patiently(ctx, entry, &news).await;
        report.warnings.extend(warnings);
    }

    /// Tells every receiver what is due, and a person who waits for the run what it waits for.
    async fn tell_patiently(&self, ctx: &Context, entry: Entry, news: &News<'_>) -> Vec<String> {
        let mut telling = std::pin::pin!(self.tell(entry, news, &ctx.cancel));
        if let Ok(warnings) = tokio::time::timeout(NOTICE_QUIET_MAX, &mut telling).await {
            return warnings;
        }
        let what = format!("a receiver of notices does not answer; waiting for at most {NOTICE_WAIT_MAX:?}");
        ctx.telemetry.tell(Event::Warned { what });
        telling.await
    }

    /// Tells every receiver what is due. Returns what did not work.
    async fn tell(&self, mut entry: Entry, news: &News<'_>, cancel: &CancellationToken) -> Vec<String> {
        let receivers = &self.job.notify;
        if receivers.is_empty() || news.happened == Happened::Nothing {
            return Vec::new();
        }
        let (at, happened) = (entry.at, news.happened);
        let mut warnings = Vec::new();
        let move_on = |standing: Standing| {
            let mut standing = standing.after(at, happened);
            if let Some(report) = news.report.filter(|report| !report.refreshes.is_empty()) {
                standing = standing.refreshed(troubles(report).is_empty());
            }
            receivers.iter().for_each(|receiver| standing.pass_over(receiver, at));
            standing.tidy(receivers, news.expiring.as_deref());
            standing
        };
        let standing = match self.change(move_on).await {
            Ok(standing) => standing,
            Err(error) => {
                warnings.push(format!("what was told before is not known: {}", text_of(&error)));
                // Better told twice than never.
                move_on(Standing::default())
            }
        };
        let tellings = receivers.iter().map(|receiver| tell_one(&self.job, receiver, &standing, &entry, news, cancel));
        let tellings: Vec<Telling<'_>> = join_all(tellings).await.into_iter().flatten().collect();
        let taken: Vec<&Telling<'_>> =
            tellings.iter().filter(|telling| telling.told.is_ok() && telling.due.is_some()).collect();
        if !taken.is_empty() {
            let remember = |mut standing: Standing| {
                for telling in &taken {
                    if let Some(due) = &telling.due {
                        standing.remember(&telling.receiver.name, at, due);
                    }
                }
                standing
            };
            if let Err(error) = self.change(remember).await {
                warnings.push(format!("what was told may be told again: {}", text_of(&error)));
            }
        }
        for Telling { receiver, due, told } in tellings {
            let (to, event) = (receiver.name.clone(), due.map(|due| due.event()));
            let error = told.err().map(|error| error.why);
            if let Some(why) = &error {
                warnings.push(match event {
                    Some(event) => format!("{to} was not told `{}`: {why}", event.word()),
                    None => format!("the dead-man check of {to} was not told: {why}"),
                });
            }
            if event.is_some() || error.is_some() {
                entry.notices.push(NoticeEntry { to, event, error });
            }
        }
        if !entry.notices.is_empty()
            && let Err(error) = self.history.amend(&entry).await
        {
            warnings.push(format!("what was told is not in the history: {}", text_of(&error)));
        }
        warnings
    }

    /// Changes the standing as it is in the record store.
    async fn change(&self, change: impl Fn(Standing) -> Standing) -> Result<Standing, state::Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            let found = self.records.get(&self.key).await?;
            let former = match &found {
                None => Standing::default(),
                Some(found) => {
                    let wrong = |why: String| state::Error::Record { key: self.key.clone(), why };
                    let read: StandingRecord =
                        serde_json::from_str(&found.value).map_err(|error| wrong(error.to_string()))?;
                    if read.format_version != FORMAT_VERSION {
                        return Err(wrong(format!("it has format version {}", read.format_version)));
                    }
                    read.standing
                }
            };
            let record = StandingRecord {
                format_version: FORMAT_VERSION,
                nonce: Ulid::generate().to_string(),
                standing: change(former),
            };
            let value = serde_json::to_string(&record).expect("it holds only texts and numbers");
            let is_written = match &found {
                None => self.records.create(&self.key, &value).await?,
                Some(found) => self.records.swap(&self.key, &found.version, &value).await?,
            };
            if is_written {
                return Ok(record.standing);
            }
        }
        Err(state::Error::Contended { key: self.key.clone(), tries: RECORD_SWAPS_MAX })
    }
}

async fn tell_one<'t>(
    job: &Job,
    receiver: &'t Receiver,
    standing: &Standing,
    entry: &Entry,
    news: &News<'_>,
    cancel: &CancellationToken,
) -> Vec<Telling<'t>> {
    let mut tellings = Vec::new();
    if let Some(signal) = news.signal
        && let Some(told) = unless_stopped(cancel, deliver::ping(job, receiver, signal)).await
    {
        tellings.push(Telling { receiver, due: None, told });
    }
    let expiring = news.expiring.as_deref().unwrap_or_default();
    let is_refresh_told = news.report.is_some_and(|report| !troubles(report).is_empty());
    let of_refresh = if is_refresh_told { standing.due_refresh(receiver, entry.at) } else { None };
    for due in standing.due(receiver, entry.at, news.happened, expiring).into_iter().chain(of_refresh) {
        let notice = notice_of(job, standing, entry, news, &due);
        let told = deliver::tell(job, receiver, &notice);
        let told = unless_stopped(cancel, async { Some(told.await) }).await;
        let told = told.unwrap_or(Ok(()));
        let is_lost = told.is_err();
        tellings.push(Telling { receiver, due: Some(due), told });
        if is_lost {
            // Whoever does not take one takes no other; a run is not held up for each.
            break;
        }
    }
    tellings
}

/// Writes down a run that could not be opened, and tells it, as far as the records can be opened. Returns what did not work.
pub(crate) async fn leave_unopened(
    job: &Job,
    settings: &Settings,
    slot: Option<DateTime<Utc>>,
    error: &OpenError,
    cancel: &CancellationToken,
) -> Option<String> {
    let hint = match error {
        OpenError::Secret(error) => error.hint(),
        OpenError::Run(error) => error.hint(),
    };
    let entry = Entry {
        slot,
        at: Clock.now(),
        outcome: Served::Failed,
        why: Some(text_of(error)),
        host: host_name(),
        run: None,
        notices: Vec::new(),
    };
    match settings.open_records().await {
        Ok(records) => {
            let error = Chronicle::of(job, &records).add(&entry, hint, cancel).await.err()?;
            Some(format!("the run is not in the history: {}", text_of(&error)))
        }
        // This may be the very error. Nobody knows what was told before: better twice than never.
        Err(_) => {
            let news = News::of_entry(&entry, hint);
            let standing = Standing::default().after(entry.at, news.happened);
            let tellings = job.notify.iter().map(|receiver| tell_one(job, receiver, &standing, &entry, &news, cancel));
            let lost = join_all(tellings).await.into_iter().flatten().filter(|telling| telling.told.is_err()).count();
            (lost > 0).then(|| format!("{lost} receivers of notices were not told"))
        }
    }
}

/// Tells dead-man checks that a run begins. Returns what did not work.
pub(super) async fn tell_start(ctx: Arc<Context>) -> Vec<String> {
    let tellings = ctx.job.notify.iter().map(async |receiver| {
        let told = unless_stopped(&ctx.cancel, deliver::ping(&ctx.job, receiver, Signal::Start)).await?;
        let why = told.err()?.why;
        Some(format!("the dead-man check of {} was not told that the run began: {why}", receiver.name))
    });
    join_all(tellings).await.into_iter().flatten().collect()
}

/// Sends every receiver of a job a test.
pub(crate) async fn test_receivers(job: &Job) -> Vec<(String, Result<(), NotTold>)> {
    let notice = Notice::test(&job.name, host_name(), Clock.now());
    let tellings = job.notify.iter().map(async |receiver| {
        let told = deliver::tell(job, receiver, &notice).await;
        (receiver.name.clone(), told)
    });
    join_all(tellings).await
}

/// A run that is to stop gives its notices a moment more. `None` = there was nothing to tell.
async fn unless_stopped(
    cancel: &CancellationToken,
    telling: impl Future<Output = Option<Result<(), NotTold>>>,
) -> Option<Result<(), NotTold>> {
    let stopped = async {
        cancel.cancelled().await;
        tokio::time::sleep(NOTICE_STOPPED_WAIT_MAX).await;
    };
    tokio::select! {
        told = telling => told,
        () = stopped => Some(Err(NotTold { why: "stopped by a signal".to_owned(), hint: None })),
    }
}

/// What a run came to, and what a dead-man check hears of it.
fn happened(report: &RunReport, failure: Option<Class>) -> (Happened, Option<Signal>) {
    match (report.outcome, failure) {
        (Outcome::Published | Outcome::Unchanged, _) => {
            let happened = if kept_why(report).is_some() {
                Happened::Trouble(Problem::Failed)
            } else if !report.held.is_empty() {
                Happened::Trouble(Problem::Held)
            } else {
                Happened::Well { rows: rows_read(report) }
            };
            // Readers have a new snapshot, or know that there is nothing new.
            (happened, Some(Signal::Success))
        }
        (Outcome::Held, _) | (Outcome::Failed, Some(Class::Held)) => {
            (Happened::Trouble(Problem::Held), Some(Signal::Fail))
        }
        (Outcome::Failed, Some(Class::Login)) => (Happened::Trouble(Problem::LoginNeeded), Some(Signal::Fail)),
        (Outcome::Failed, None | Some(Class::Failed | Class::Usage | Class::Temporary | Class::Interrupted)) => {
            (Happened::Trouble(Problem::Failed), Some(Signal::Fail))
        }
        (Outcome::Skipped | Outcome::Interrupted, _) => (Happened::Nothing, None),
    }
}

/// Which tables keep their former rows although others are published.
fn kept_why(report: &RunReport) -> Option<String> {
    let failed = report.tables.iter().filter(|(_, table)| table.error.is_some());
    let failed: Vec<String> = failed.map(|(name, _)| format!("`{name}`")).collect();
    (!failed.is_empty()).then(|| format!("failed, and keep their former rows: {}", failed.join(", ")))
}

/// Rows that a run read, over all tables. `None` = it read no table.
fn rows_read(report: &RunReport) -> Option<u64> {
    let is_read = |table: &&TableReport| match table.outcome {
        TableOutcome::Published | TableOutcome::Unchanged | TableOutcome::Read | TableOutcome::Held => true,
        TableOutcome::Kept | TableOutcome::Failed => false,
    };
    let rows = |table: &TableReport| table.merge.map_or(table.rows, |merge| merge.read_rows);
    report.tables.values().filter(is_read).map(rows).reduce(|sum, rows| sum + rows)
}

/// What is not well of what Power BI was to refresh.
fn troubles(report: &RunReport) -> Vec<String> {
    report.refreshes.iter().filter_map(RefreshReport::trouble).collect()
}

fn notice_of(job: &Job, standing: &Standing, entry: &Entry, news: &News<'_>, due: &Due) -> Notice {
    let notice = Notice { event: due.event(), ..Notice::of(&job.name, entry, news.report) };
    match due {
        Due::Recovered(trouble) => notice.since(*trouble),
        Due::Expires(expiring) => notice.of_credential(expiring),
        Due::Event(EventKind::RefreshFailed) => {
            let refreshes = || news.report.into_iter().flat_map(|report| &report.refreshes);
            let error = news.report.map(troubles).map(|troubles| troubles.join("\n"));
            let hint = refreshes().find_map(|refresh| refresh.hint.clone());
            Notice { error, hint, ..notice }
        }
        Due::Event(EventKind::Empty) => {
            Notice { since: standing.empty_since, runs: Some(standing.empty_runs), ..notice }
        }
        Due::Event(event) => {
            let credential = news.summary.as_ref().filter(|_| *event == EventKind::LoginNeeded);
            let credential = credential.map(|summary| CredentialLine {
                name: format!("{} for {}", summary.id, summary.bound_to),
                expires_at: None,
            });
            let held = news.report.filter(|_| *event == EventKind::Held).map(|report| report.held.clone());
            let notice = Notice {
                error: news.error.clone(),
                hint: news.hint.clone(),
                held: held.unwrap_or_default(),
                credential,
                ..notice
            };
            match standing.trouble.filter(|_| *event != EventKind::Missed) {
                Some(trouble) => notice.since(trouble),
                None => notice,
            }
        }
    }
}
