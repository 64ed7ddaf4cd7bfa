//! The source's limits over all its streams: requests in flight, per second and per minute, and the pause that a 429
//! imposes on everybody.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::model::plan::SourceLimits;

/// Gate that every request of a source passes.
pub(crate) struct Pace {
    in_flight: Semaphore,
    rates: Vec<DefaultDirectRateLimiter>,
    /// Absent = nobody asked us to wait.
    held_until: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(limits: SourceLimits) -> Self {
        // A burst of one: an API that counts in short windows would see a larger burst as a breach.
        let spaced = |per: Option<u32>, window: Duration| {
            let per = NonZeroU32::new(per?)?;
            let quota = Quota::with_period(window / per.get())?.allow_burst(NonZeroU32::MIN);
            Some(RateLimiter::direct(quota))
        };
        let rates =
            [spaced(limits.per_second, Duration::from_secs(1)), spaced(limits.per_minute, Duration::from_secs(60))];
        Pace {
            in_flight: Semaphore::new(limits.in_flight as usize),
            rates: rates.into_iter().flatten().collect(),
            held_until: Mutex::default(),
        }
    }

    /// Waits until a request may go out; the permit is held until its answer is read.
    pub(super) async fn enter(&self) -> SemaphorePermit<'_> {
        let permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        for rate in &self.rates {
            rate.until_ready().await;
        }
        loop {
            let held_until = *self.lock();
            match held_until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                Some(_) | None => return permit,
            }
        }
    }

    /// No request of this source goes out before the wait is over.
    pub(super) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held_until = self.lock();
        if held_until.is_none_or(|held| held < until) {
            *held_until = Some(until);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.held_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
