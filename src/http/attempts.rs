//! What is worth another try, and after which wait.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, StatusCode};

use super::error::Error;
use crate::limits::{
    ATTEMPTS_FIRST_CONTACT_MAX, ATTEMPTS_MAX, PAGE_REREADS_MAX, RETRY_AFTER_MAX, RETRY_WAIT_MAX, RETRY_WAIT_MIN,
};

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
}

impl Attempts {
    pub(crate) fn new() -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(RETRY_WAIT_MIN)
            .with_max_delay(RETRY_WAIT_MAX)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(ATTEMPTS_MAX)
            .build();
        Attempts { waits, made: 0 }
    }

    /// The wait before the next try, or the error when there is none.
    pub(crate) fn after(&mut self, error: Error, contact: Contact) -> Result<Duration, Error> {
        self.made += 1;
        let wait = match &error {
            Error::Status { url, status, retry_after, .. } if is_passing(*status) => match retry_after {
                Some(wait) if *wait > RETRY_AFTER_MAX => {
                    return Err(Error::WaitTooLong { url: url.clone(), wait: *wait, wait_max: RETRY_AFTER_MAX });
                }
                Some(wait) => *wait,
                None => Duration::ZERO,
            },
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
            | Error::Undecodable { .. } => Duration::ZERO,
            // What was too slow once would take as long again.
            Error::TooSlow { .. }
            | Error::AddressRefused { .. }
            | Error::CaFile { .. }
            | Error::UnknownCoding { .. }
            | Error::ManyCodings { .. }
            | Error::Inflated { .. }
            | Error::Status { .. }
            | Error::ForeignOrigin { .. }
            | Error::LinkTooLong { .. }
            | Error::LinkUnreadable { .. }
            | Error::Setup { .. }
            | Error::Redirect { .. }
            | Error::Redirects { .. }
            | Error::TooLarge { .. }
            | Error::WaitTooLong { .. }
            | Error::Interrupted => return Err(error),
        };
        if self.made >= ATTEMPTS_MAX {
            return Err(error);
        }
        // What the server asks for is a floor, never a ceiling: our own back-off still spreads the clients.
        match self.waits.next() {
            Some(own) => Ok(own.max(wait)),
            None => Err(error),
        }
    }

    /// Tries made and answered with a failure.
    pub(crate) fn made(&self) -> usize {
        self.made
    }
}

/// Statuses that pass by themselves (RFC 9110, RFC 6585, RFC 8470).
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED || matches!(status.as_u16(), 408 | 425 | 429)
}

/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3). A date is measured against the server's own `Date`,
/// because our clock may differ. Absent = not said, or not readable.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let said = text(http::header::RETRY_AFTER)?;
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(said).ok()?;
    let server_now = text(http::header::DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(server_now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(retry: &str, date: Option<&str>, expect: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", retry.parse().expect("a header"));
        if let Some(date) = date {
            headers.insert("date", date.parse().expect("a header"));
        }
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").expect("a date");
        assert_eq!(retry_after(&headers, now), expect.map(Duration::from_secs), "{retry}");
    }

    #[test]
    fn retry_after_is_read_in_both_spellings() {
        check("7", None, Some(7));
        check(" 0 ", None, Some(0));
        check("Mon, 23 Nov 2026 10:00:30 GMT", None, Some(30));
        check("Mon, 23 Nov 2026 10:00:30 GMT", Some("Mon, 23 Nov 2026 10:00:25 GMT"), Some(5));
        check("Mon, 23 Nov 2026 09:00:00 GMT", None, Some(0));
        check("soon", None, None);
        check("-1", None, None);
        check("1.5", None, None);
    }

    #[test]
    fn a_wait_of_years_is_not_waited() {
        let error = Error::Status {
            url: crate::secret::SafeUrl::new("http://h/".parse().expect("a URL")),
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(Duration::from_secs(10 * 365 * 86_400)),
            excerpt: String::new(),
            challenge: None,
        };
        assert!(matches!(Attempts::new().after(error, Contact::Made), Err(Error::WaitTooLong { .. })));
    }
}
