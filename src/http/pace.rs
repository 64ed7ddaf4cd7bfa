//! The source's limits over all its streams: requests in flight, per second, per minute and per day, and the pause that
//! a server or a used-up quota imposes on everybody. Long waits are measured by the wall clock.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use governor::{DefaultDirectRateLimiter, Quota as Rate, RateLimiter};
use http::{HeaderMap, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Error;
use super::told::Told;
use crate::clock::Clock;
use crate::limits::{PAUSE_SLICE_MAX, PAUSE_SLICE_MIN, PAUSE_TOLD_MIN};
use crate::model::plan::SourceLimits;
use crate::model::quota::{PauseReason, QuotaHeaders};
use crate::state::{Quota, Turn};
use crate::telemetry::{Event, Telemetry};

/// Ten years; what is further away is not calculated with.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Gate that every request of a source passes.
pub(crate) struct Pace {
    in_flight: Semaphore,
    per_second: Option<DefaultDirectRateLimiter>,
    /// The count that is shared with other runs. Absent = the job has no limit that is counted.
    quota: Option<Quota>,
    pause_max: Duration,
    headers: QuotaHeaders,
    telemetry: Telemetry,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Absent = the server did not ask us to wait.
    held_until: Option<DateTime<Utc>>,
    /// The end of the last pause that was told.
    told_until: Option<DateTime<Utc>>,
    /// Requests that are waiting in a pause.
    waiting: u32,
    /// When the first of them began. Absent = nobody waits.
    paused_since: Option<DateTime<Utc>>,
    /// Pauses that are over.
    paused: chrono::Duration,
}

/// One request in a pause; the pause is over for it when this is dropped, whatever ended it.
struct Waiting<'a>(&'a Pace);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        if state.waiting == 0
            && let Some(since) = state.paused_since.take()
        {
            state.paused += Clock.now() - since;
        }
    }
}

impl Pace {
    /// `quota` is there when the job has limits that are counted.
    pub(crate) fn new(limits: &SourceLimits, quota: Option<Quota>, telemetry: Telemetry) -> Self {
        // A burst of one: an API that counts in short windows would see a larger burst as a breach.
        let per_second = limits.per_second.and_then(NonZeroU32::new).and_then(|per| {
            let rate = Rate::with_period(Duration::from_secs(1) / per.get())?.allow_burst(NonZeroU32::MIN);
            Some(RateLimiter::direct(rate))
        });
        Pace {
            in_flight: Semaphore::new(limits.in_flight as usize),
            per_second,
            quota,
            pause_max: limits.pause_max,
            headers: limits.headers.clone(),
            telemetry,
            state: Mutex::default(),
        }
    }

    /// Longest wait inside a run.
    pub(super) fn pause_max(&self) -> Duration {
        self.pause_max
    }

    /// How long requests of this source were paused, by the wall clock.
    pub(super) fn paused(&self) -> Duration {
        let state = self.lock();
        let going_on = state.paused_since.map_or(chrono::Duration::zero(), |since| Clock.now() - since);
        // A clock that was set back makes a pause shorter than nothing.
        (state.paused + going_on).to_std().unwrap_or(Duration::ZERO)
    }

    /// Waits until a request may go out, and counts it; the permit is held until its answer is read. After a long wait
    /// the request is given back instead, because its credential may be over by now.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Error> {
        let permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        // Every round waits for a time that somebody named; `pause_max` bounds each, and the server's answers their number.
        loop {
            if let Some(until) = self.held_until() {
                self.pause(until, PauseReason::Asked).await?;
                continue;
            }
            if let Some(per_second) = &self.per_second {
                per_second.until_ready().await;
            }
            // The future of a record store is large, and would be moved with every request, whether there is a quota or not.
            if let Some(quota) = &self.quota
                && let Turn::Wait { until, why } =
                    Box::pin(quota.take()).await.map_err(|source| Error::Quota { source })?
            {
                self.pause(until, why).await?;
                continue;
            }
            // Another request's answer may have come while this one was counted.
            if self.held_until().is_none() {
                return Ok(permit);
            }
        }
    }

    /// Obeys what an answer says of the quota, and gives the wait that it asks for.
    pub(super) async fn heed(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let wait = Told::read(headers, &self.headers, Clock.system_now()).wait(status)?;
        let until = Clock.now() + wait.min(HOLD_MAX);
        {
            let mut state = self.lock();
            state.held_until = state.held_until.max(Some(until));
        }
        if let Some(quota) = &self.quota
            && wait >= PAUSE_SLICE_MAX
        {
            // It holds in this run; the others are told by the server itself where the store cannot tell them.
            let _ = Box::pin(quota.hold(until)).await;
        }
        Some(wait)
    }

    /// When the server wants to be asked again. `None` = now.
    fn held_until(&self) -> Option<DateTime<Utc>> {
        self.lock().held_until.filter(|until| *until > Clock.now())
    }

    /// Waits inside the run, or ends it where that takes longer than the job allows.
    async fn pause(&self, until: DateTime<Utc>, why: PauseReason) -> Result<(), Error> {
        let wait = (until - Clock.now()).to_std().unwrap_or(Duration::ZERO);
        if wait > self.pause_max {
            return Err(Error::WaitTooLong { until, why, wait, pause_max: self.pause_max });
        }
        if wait < PAUSE_TOLD_MIN {
            sleep_until(until, wait).await;
            return Ok(());
        }
        let _waiting = self.begin(until, why);
        sleep_until(until, wait).await;
        Err(Error::Waited)
    }

    /// A pause is told once, not by each of the requests that wait in it.
    fn begin(&self, until: DateTime<Utc>, why: PauseReason) -> Waiting<'_> {
        let mut state = self.lock();
        if state.told_until.is_none_or(|told| told + PAUSE_TOLD_MIN < until) {
            state.told_until = Some(until);
            self.telemetry.tell(Event::Paused { until, why });
        }
        state.waiting += 1;
        state.paused_since.get_or_insert_with(|| Clock.now());
        Waiting(self)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Sleeps in slices until the wall clock says so: a machine that slept goes on when it wakes. Where the clock was set
/// back meanwhile, the time since the start of the machine ends the wait.
async fn sleep_until(until: DateTime<Utc>, wait: Duration) {
    let began = Clock.boot_time();
    loop {
        let left = (until - Clock.now()).to_std().unwrap_or(Duration::ZERO);
        let waited = Clock.boot_time().saturating_sub(began);
        if left.is_zero() || waited > wait {
            return;
        }
        // Shorter towards the end, so that the end is met whatever the speed of the clock.
        tokio::time::sleep((left / 16).clamp(PAUSE_SLICE_MIN, PAUSE_SLICE_MAX)).await;
    }
}
