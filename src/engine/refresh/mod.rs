//! What follows a publication in Power BI: the semantic models and dataflows of the job are refreshed, so that reports show the
//! new snapshot. A snapshot comes in; a report of each refresh goes out. Nothing that goes wrong here fails the run: readers of
//! the files have their tables already, and the next run makes up for it.
//!
//! It does not know how tables come about, and follows no address that a service names.

mod error;
mod items;
mod parameters;
mod records;
mod service;
mod share;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::error::{Error, cure};
use self::items::{Conversation, Look, Start, Taken};
use self::parameters::parameters_of;
use self::records::{Memory, Refreshed, is_due};
use self::service::Service;
use self::share::{is_share_due, share_for};
use super::context::{Context, OpenError, Settings, open_store};
use super::error::Error as EngineError;
use super::run::text_of;
use crate::auth::Vault;
use crate::clock::Clock;
use crate::limits::{
    REFRESH_LOOK_MAX, REFRESH_LOOK_MIN, REFRESH_START_WAIT_MAX, REFRESH_STARTS_MAX, REFRESH_WAIT_DEFAULT,
};
use crate::model::plan::Job;
use crate::model::refresh::{Item, PowerBi, RefreshOutcome, RefreshReport, RefreshStep, RefreshWait, Target};
use crate::model::report::{Outcome, RunReport};
use crate::state::RecordStore;
use crate::store::Store;
use crate::telemetry::{Event, Telemetry};

/// Refreshes what a good run left to refresh. What somebody should look at becomes a warning of the run.
pub(super) async fn refresh_behind(ctx: &Context, report: &mut RunReport) {
    let is_shown = matches!(report.outcome, Outcome::Published | Outcome::Unchanged);
    let (Some(plan), Some(vault), Some(snapshot)) = (&ctx.job.powerbi, &ctx.vault, report.snapshot.clone()) else {
        return;
    };
    if !is_shown || ctx.is_taped {
        return;
    }
    // Better once too often than never.
    let known = Memory::of(&ctx.job, plan, &ctx.records).load().await.unwrap_or_else(|error| {
        report.warnings.push(format!("what was refreshed before is not known: {}", text_of(&error)));
        std::collections::BTreeMap::new()
    });
    for target in &plan.targets {
        let before = known.get(&target.key());
        let given = before.and_then(|known| known.share.as_ref());
        let places = (&ctx.store, &ctx.records);
        if !is_due(target, &snapshot, before) && !is_share_due(places, &ctx.job.name, target, given).await {
            continue;
        }
        let (refresh, warning) = match vault {
            Ok(vault) => {
                let (records, vault) = (&ctx.records, Arc::clone(vault));
                let refresher = Refresher {
                    job: &ctx.job,
                    store: &ctx.store,
                    records,
                    vault,
                    cancel: &ctx.cancel,
                    telemetry: &ctx.telemetry,
                };
                refresher.refresh(plan, target, target.wait, &snapshot).await
            }
            Err(error) => {
                let refused = RefreshOutcome::Refused;
                let (error, hint) = (Some(text_of(error)), error.hint());
                (RefreshReport { outcome: refused, error, hint, ..nothing_yet(target, &snapshot) }, None)
            }
        };
        report.warnings.extend(refresh.trouble().map(|trouble| match &refresh.hint {
            Some(hint) => format!("{trouble}; what to do: {hint}"),
            None => trouble,
        }));
        report.warnings.extend(warning);
        report.refreshes.push(refresh);
    }
}

/// Refreshes all targets of a job for what is published, whether they were or not; `Ok(None)` = nothing is published. What
/// could not be written down comes second.
pub(crate) async fn refresh_now(
    job: &Job,
    settings: &Settings,
    is_waiting: bool,
    cancel: &CancellationToken,
    telemetry: &Telemetry,
) -> Result<Option<(Vec<RefreshReport>, Vec<String>)>, OpenError> {
    let Some(plan) = &job.powerbi else { return Ok(Some((Vec::new(), Vec::new()))) };
    let store = open_store(job)?;
    let records = settings.open_records().await?;
    let vault = settings.open_vault(&records).await?;
    let current = tokio::select! {
        current = store.load_current() => current.map_err(EngineError::from)?,
        () = cancel.cancelled() => return Err(EngineError::Interrupted.into()),
    };
    let Some(current) = current else { return Ok(None) };
    let snapshot = &current.manifest.snapshot;
    let refresher = Refresher { job, store: &store, records: &records, vault, cancel, telemetry };
    let (mut reports, mut warnings) = (Vec::new(), Vec::new());
    for target in &plan.targets {
        let wait = match (is_waiting, target.wait) {
            (false, _) => RefreshWait::No,
            // A person wants to see what comes of it, where runs do not wait.
            (true, RefreshWait::No) => RefreshWait::Within(REFRESH_WAIT_DEFAULT),
            (true, wait) => wait,
        };
        let (report, warning) = refresher.refresh(plan, target, wait, snapshot).await;
        reports.push(report);
        warnings.extend(warning);
    }
    Ok(Some((reports, warnings)))
}

/// What refreshes need besides their plan.
struct Refresher<'r> {
    job: &'r Job,
    store: &'r Store,
    records: &'r Arc<RecordStore>,
    vault: Arc<Vault>,
    cancel: &'r CancellationToken,
    telemetry: &'r Telemetry,
}

impl Refresher<'_> {
    /// One refresh, from the question to its end or to the end of the wait. What could not be written down comes second.
    async fn refresh(
        &self,
        plan: &PowerBi,
        target: &Target,
        wait: RefreshWait,
        snapshot: &str,
    ) -> (RefreshReport, Option<String>) {
        let mut report = nothing_yet(target, snapshot);
        self.tell(target, RefreshStep::Asked);
        let warning = self.carry_out(plan, target, wait, &mut report).await;
        self.tell(target, RefreshStep::Ended(report.outcome));
        (report, warning)
    }

    /// Returns what could not be written down.
    async fn carry_out(
        &self,
        plan: &PowerBi,
        target: &Target,
        wait: RefreshWait,
        report: &mut RefreshReport,
    ) -> Option<String> {
        let (limit, is_waiting) = match wait {
            RefreshWait::Within(limit) => (limit, true),
            RefreshWait::No => (REFRESH_START_WAIT_MAX, false),
        };
        let until = Instant::now() + limit;
        let memory = Memory::of(self.job, plan, self.records);
        let mut lost = None;
        let mut note = |written: Result<(), crate::state::Error>| {
            if let Err(error) = written {
                let why = text_of(&error);
                lost = Some(format!(
                    "that `{}` was refreshed is not written down, so the next run does it again: {why}",
                    target.name
                ));
            }
        };
        let opened = match &target.item {
            Item::Dataset { .. } | Item::Dataflow { .. } => Service::power_bi(self, plan, limit),
            Item::DataflowGen2 { .. } => Service::fabric(self, plan, limit),
        };
        let opened = opened.and_then(|service| Ok((service, parameters_of(target)?)));
        let (service, mut parameters) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                fail(report, &error);
                return None;
            }
        };
        let known = memory.load().await.ok().and_then(|known| known.get(&target.key()).cloned());
        let mut share = known.as_ref().and_then(|known| known.share.clone());
        let over = || Error::Over { what: "the storage account did not say what the share is", limit };
        match self
            .within(until, over, share_for((self.store, self.records), &self.job.name, target, share.as_ref()))
            .await
        {
            Ok(None) => {}
            Ok(Some((fresh, given))) => {
                // What the job says itself is said on purpose.
                let is_said = |name: &str| parameters.iter().any(|said| said.name == name);
                let fresh: Vec<_> = fresh.into_iter().filter(|one| !is_said(&one.name)).collect();
                parameters.extend(fresh);
                share = Some(given);
            }
            Err(error) => {
                fail(report, &error);
                return None;
            }
        }
        let conversation = Conversation { service: &service, target };
        if !parameters.is_empty() {
            let over = || Error::Over { what: "the parameters could not be set", limit };
            if let Err(error) = self.within(until, over, conversation.set_parameters(&parameters)).await {
                fail(report, &error);
                return None;
            }
            // Whatever becomes of the refresh, that is what the model has now.
            if let Some(known) = known.as_ref().filter(|known| known.share != share) {
                note(memory.put(target, &Refreshed { share: share.clone(), ..known.clone() }).await);
            }
        }
        let times = known.filter(|known| known.snapshot == report.snapshot).map_or(0, |known| known.times) + 1;
        for _ in 0..REFRESH_STARTS_MAX {
            let is_busy = AtomicBool::new(false);
            let over = || match is_busy.load(Ordering::Relaxed) {
                true => Error::Over { what: "another refresh was going on and did not end", limit },
                false => Error::Over { what: "Power BI did not take it", limit },
            };
            let mut taken = match self.within(until, over, self.start(&conversation, &is_busy)).await {
                Ok(taken) => taken,
                Err(error) => {
                    fail(report, &error);
                    return lost;
                }
            };
            report.request_id = taken.request_id.clone().or_else(|| taken.id.clone());
            report.outcome = RefreshOutcome::Accepted;
            let asked = Refreshed {
                snapshot: report.snapshot.clone(),
                at: Clock.now(),
                outcome: RefreshOutcome::Accepted,
                times,
                request_id: report.request_id.clone(),
                share: share.clone(),
            };
            // Before its end is waited for: whoever is killed meanwhile has asked for it.
            note(memory.put(target, &asked).await);
            if !is_waiting {
                return lost;
            }
            self.tell(target, RefreshStep::Taken);
            let over = || Error::Over { what: "it was not over", limit };
            match self.within(until, over, watch(&conversation, &mut taken)).await {
                Err(error) => {
                    report.outcome = RefreshOutcome::Unknown;
                    report.error = Some(text_of(&error));
                    report.hint = match error {
                        Error::Over { .. } => Some(
                            "let the job wait longer (`powerbi.wait`), or look at its history in Power BI".to_owned(),
                        ),
                        Error::Stopped => Some("look at its history in Power BI".to_owned()),
                        error => error.hint(report.kind),
                    };
                    return lost;
                }
                Ok(Look::Skipped | Look::Going) => {
                    note(memory.change(target, &asked, None).await);
                    report.outcome = RefreshOutcome::NotStarted;
                    continue;
                }
                Ok(Look::Done { status }) => {
                    report.outcome = RefreshOutcome::Completed;
                    report.status = Some(status);
                }
                Ok(Look::Failed { status, code, said }) => {
                    report.outcome = RefreshOutcome::Failed;
                    let told = [&code, &said].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(": ");
                    report.hint = cure(&format!("{told} {status}"));
                    report.error = Some(if told.is_empty() { format!("Power BI says `{status}`") } else { told });
                    (report.status, report.error_code) = (Some(status), code);
                }
            }
            report.ended_at = Some(Clock.now());
            let refreshed = Refreshed { outcome: report.outcome, ..asked.clone() };
            note(memory.change(target, &asked, Some(refreshed)).await);
            return lost;
        }
        fail(report, &Error::Busy { times: REFRESH_STARTS_MAX });
        lost
    }

    /// Asks until it is taken. Another refresh may have begun before the snapshot was there, so ours follows it.
    async fn start(&self, conversation: &Conversation<'_>, is_busy: &AtomicBool) -> Result<Taken, Error> {
        for _ in 0..REFRESH_STARTS_MAX {
            if let Start::Taken(taken) = conversation.start().await? {
                return Ok(taken);
            }
            if !is_busy.swap(true, Ordering::Relaxed) {
                self.tell(conversation.target, RefreshStep::Busy);
            }
            let mut looks = Looks::default();
            loop {
                looks.pause(None).await;
                if !conversation.is_busy().await? {
                    break;
                }
            }
        }
        Err(Error::Busy { times: REFRESH_STARTS_MAX })
    }

    /// The outcome of the work, unless a signal or the end of the wait comes first.
    async fn within<T>(
        &self,
        until: Instant,
        over: impl FnOnce() -> Error,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // The future of an HTTP exchange is large.
        let work = Box::pin(work);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Stopped),
            done = work => done,
            () = tokio::time::sleep_until(until) => Err(over()),
        }
    }

    fn tell(&self, target: &Target, step: RefreshStep) {
        self.telemetry.tell(Event::RefreshMoved { target: target.name.clone(), step });
    }
}

/// The report of a refresh that is about to be asked for.
fn nothing_yet(target: &Target, snapshot: &str) -> RefreshReport {
    RefreshReport {
        target: target.name.clone(),
        kind: target.item.kind(),
        workspace: target.workspace.clone(),
        item: target.item.id().to_owned(),
        outcome: RefreshOutcome::NotStarted,
        status: None,
        error_code: None,
        error: None,
        hint: None,
        request_id: None,
        started_at: Clock.now(),
        ended_at: None,
        snapshot: snapshot.to_owned(),
    }
}

/// Looks at a refresh until it is over; whoever calls bounds the time.
async fn watch(conversation: &Conversation<'_>, taken: &mut Taken) -> Result<Look, Error> {
    let mut looks = Looks::default();
    loop {
        looks.pause(taken.look_after.take()).await;
        match conversation.look(taken).await? {
            Look::Going => {}
            end @ (Look::Done { .. } | Look::Failed { .. } | Look::Skipped) => return Ok(end),
        }
    }
}

/// The pauses between looks.
struct Looks(Duration);

impl Default for Looks {
    fn default() -> Self {
        Looks(REFRESH_LOOK_MIN)
    }
}

impl Looks {
    /// Each is twice as long as the one before; the service may ask for a longer one.
    async fn pause(&mut self, asked: Option<Duration>) {
        tokio::time::sleep(self.0.max(asked.unwrap_or_default().min(REFRESH_LOOK_MAX))).await;
        self.0 = (self.0 * 2).min(REFRESH_LOOK_MAX);
    }
}

/// The refresh was not taken.
fn fail(report: &mut RefreshReport, error: &Error) {
    report.outcome = error.outcome();
    report.error = Some(text_of(error));
    report.hint = error.hint(report.kind);
    if let Some(refusal) = error.refusal() {
        report.status = Some(refusal.status.as_u16().to_string());
        report.error_code.clone_from(&refusal.code);
        report.request_id.clone_from(&refusal.request_id);
    }
}
