//! What is worth another try, and after which wait.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::StatusCode;

use super::error::Error;
use super::pace::HOLD_MAX;
use crate::clock::Clock;
use crate::limits::{ATTEMPTS_FIRST_CONTACT_MAX, ATTEMPTS_MAX, PAGE_REREADS_MAX, RETRY_WAIT_MAX, RETRY_WAIT_MIN};
use crate::model::quota::PauseReason;

/// Whether the server ever answered in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// Never: a wrong host name should not be tried for minutes.
    First,
    Made,
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Attempts {
    waits: ExponentialBackoff,
    made: usize,
    made_max: usize,
    pause_max: Duration,
}

impl Attempts {
    /// A server may ask for a wait of at most `pause_max`.
    pub(crate) fn new(pause_max: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(RETRY_WAIT_MIN)
            .with_max_delay(RETRY_WAIT_MAX)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(ATTEMPTS_MAX)
            .build();
        Attempts { waits, made: 0, made_max: ATTEMPTS_MAX, pause_max }
    }

    /// The same, and no more than so many tries: somebody waits for the answer.
    pub(crate) fn at_most(self, tries: usize) -> Self {
        Attempts { made_max: tries.min(ATTEMPTS_MAX), ..self }
    }

    /// The wait before the next try, or the error when there is none.
    pub(crate) fn after(&mut self, error: Error, contact: Contact) -> Result<Duration, Error> {
        self.made += 1;
        match &error {
            Error::Status { status, retry_after, .. } if is_passing(*status, *retry_after) => {
                if let Some(wait) = retry_after.filter(|wait| *wait > self.pause_max) {
                    let (until, why) = (Clock.now() + wait.min(HOLD_MAX), PauseReason::Asked);
                    return Err(Error::WaitTooLong { until, why, wait, pause_max: self.pause_max });
                }
            }
            Error::Unreachable { .. } | Error::NoConnection { .. } | Error::TimedOut { .. }
                if contact == Contact::First && self.made >= ATTEMPTS_FIRST_CONTACT_MAX =>
            {
                return Err(error);
            }
            // Cut on the way, or never compressed as its header says: the first passes, the second does not.
            Error::Undecodable { .. } if self.made > PAGE_REREADS_MAX => return Err(error),
            Error::Unreachable { .. }
            | Error::NoConnection { .. }
            | Error::TimedOut { .. }
            | Error::Broken { .. }
            | Error::Undecodable { .. } => {}
            // What was too slow once would take as long again.
            Error::TooSlow { .. }
            | Error::AddressRefused { .. }
            | Error::CaFile { .. }
            | Error::UnknownCoding { .. }
            | Error::Tape(_)
            | Error::ManyCodings { .. }
            | Error::Inflated { .. }
            | Error::Status { .. }
            | Error::ForeignOrigin { .. }
            | Error::LinkTooLong { .. }
            | Error::LinkUnreadable { .. }
            | Error::Setup { .. }
            | Error::Unkept { .. }
            | Error::Redirect { .. }
            | Error::Redirects { .. }
            | Error::TooLarge { .. }
            | Error::WaitTooLong { .. }
            | Error::Quota { .. }
            | Error::Waited
            | Error::Interrupted => return Err(error),
        }
        if self.made >= self.made_max {
            return Err(error);
        }
        // What the server asks for is waited at the gate, by all requests of the source; meanwhile our own back-off runs,
        // and where it is longer it still spreads the clients.
        self.waits.next().ok_or(error)
    }

    /// The wait before the next try after an answer that the job's rules want asked for again. `None` = there is none.
    pub(crate) fn after_rule(&mut self) -> Option<Duration> {
        self.made += 1;
        if self.made >= self.made_max {
            return None;
        }
        self.waits.next()
    }

    /// Tries made and answered with a failure.
    pub(crate) fn made(&self) -> usize {
        self.made
    }
}

/// Statuses that pass by themselves (RFC 9110, RFC 6585, RFC 8470). A 403 that says how long to wait is about a quota:
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
fn is_passing(status: StatusCode, asked_wait: Option<Duration>) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status.as_u16(), 408 | 425 | 429)
        || (status == StatusCode::FORBIDDEN && asked_wait.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_of_years_is_not_waited() {
        let error = Error::Status {
            url: crate::secret::SafeUrl::new("http://h/".parse().expect("a URL")),
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(Duration::from_secs(10 * 365 * 86_400)),
            excerpt: String::new(),
            body: bytes::Bytes::new(),
            challenge: None,
            request_id: None,
        };
        assert!(matches!(
            Attempts::new(Duration::from_secs(900)).after(error, Contact::Made),
            Err(Error::WaitTooLong { .. })
        ));
    }
}
