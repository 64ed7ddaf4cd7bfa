//! The time-outs of one request on one timer. Each step of a request has a limit of its own, and all of them together have
//! one. A timer for each would be put into the runtime's wheel and taken out again for each chunk of a body.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::error::Error;
use crate::secret::SafeUrl;

/// How long a step may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepLimit {
    pub waited: Duration,
    /// Its name for the message.
    pub name: &'static str,
}

/// When a request is over, whatever it is doing.
pub(super) struct Deadline<'a> {
    url: &'a SafeUrl,
    began: Instant,
    /// Absent = whoever waits for the request ends it.
    total: Option<Duration>,
    /// Absent = nothing had to be waited for yet.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a> Deadline<'a> {
    /// Of a request that begins now.
    pub(super) fn new(url: &'a SafeUrl, total: Option<Duration>) -> Self {
        Deadline { url, began: Instant::now(), total, timer: None }
    }

    /// A step that may take so long. The work is pinned by the caller: moved in here it would take its room twice.
    pub(super) fn step<T>(
        &mut self,
        limit: StepLimit,
        work: impl Future<Output = T> + Unpin,
    ) -> impl Future<Output = Result<T, Error>> {
        self.run(Some(limit), work)
    }

    /// A step that only the whole request limits.
    pub(super) fn rest<T>(&mut self, work: impl Future<Output = T> + Unpin) -> impl Future<Output = Result<T, Error>> {
        self.run(None, work)
    }

    async fn run<T>(
        &mut self,
        limit: Option<StepLimit>,
        mut work: impl Future<Output = T> + Unpin,
    ) -> Result<T, Error> {
        // Of two that end together the step is the news: `min_by_key` gives the first one.
        let step = limit.map(|limit| (Instant::now() + limit.waited, Some(limit)));
        let all = self.total.map(|total| (self.began + total, None));
        let Some((end, over)) = step.into_iter().chain(all).min_by_key(|(end, _)| *end) else {
            return Ok(work.await);
        };
        let timer = &mut self.timer;
        let mut is_set = false;
        let done = poll_fn(|context| {
            // What is done at once needs no timer.
            if let Poll::Ready(done) = Pin::new(&mut work).poll(context) {
                return Poll::Ready(Some(done));
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if !is_set {
                is_set = true;
                // To a later time this is one write in memory.
                timer.as_mut().reset(end);
            }
            // Work that uses up the task's turn each time must not keep the timer from being looked at.
            let mut timer = tokio::task::unconstrained(timer.as_mut());
            Pin::new(&mut timer).poll(context).map(|()| None)
        });
        done.await.ok_or_else(|| match over {
            Some(StepLimit { waited, name }) => Error::TimedOut { url: self.url.clone(), waited, limit: name },
            None => Error::TooSlow { url: self.url.clone(), waited: self.total.unwrap_or_default() },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(10);

    /// A step that waits a little and ends well, then one that never ends; which limit ends that one.
    async fn check(total: Option<Duration>, first: Duration, second: Duration, expect: &str) {
        let url = SafeUrl::new("http://h/".parse().unwrap());
        let mut deadline = Deadline::new(&url, total);
        let waits = pin!(tokio::task::yield_now());
        deadline.step(StepLimit { waited: first, name: "FIRST" }, waits).await.unwrap();
        let error = deadline.step(StepLimit { waited: second, name: "SECOND" }, pending::<()>()).await.unwrap_err();
        let told = match &error {
            Error::TimedOut { waited, limit, .. } if *waited == second => *limit,
            Error::TooSlow { waited, .. } if Some(*waited) == total => "total",
            _ => "another",
        };
        assert_eq!(told, expect, "{total:?} {first:?} {second:?}");
        // What has come already is taken, however late it is.
        deadline.rest(ready(())).await.unwrap();
    }

    #[tokio::test]
    async fn a_step_ends_by_its_own_limit_and_all_steps_by_theirs() {
        check(None, HOUR, MOMENT, "SECOND").await;
        check(Some(HOUR), HOUR, MOMENT, "SECOND").await;
        check(Some(HOUR), MOMENT, MOMENT * 2, "SECOND").await;
        check(Some(MOMENT), HOUR, HOUR, "total").await;
    }

    #[tokio::test]
    async fn work_that_never_rests_is_ended_too() {
        let url = SafeUrl::new("http://h/".parse().unwrap());
        let busy = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        let ended: Result<(), Error> = Deadline::new(&url, Some(MOMENT)).rest(pin!(busy)).await;
        assert!(matches!(ended, Err(Error::TooSlow { .. })));
    }
}
