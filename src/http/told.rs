//! What an answer says of the source's quota, in the many spellings that servers have for it. Pure.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use http::{HeaderMap, StatusCode};

use crate::limits::QUOTA_RESET_MAX;
use crate::model::quota::QuotaHeaders;

/// Pairs of what is left and when it is filled again. Some services count two windows and send both.
const PAIRS: &[(&str, &str)] = &[
    ("ratelimit-remaining", "ratelimit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    ("x-ratelimit-minutely-remaining", "x-ratelimit-minutely-reset"),
];
/// How the names of all headers begin that are read here, those of `PAIRS` included.
const PREFIXES: &[&str] = &["ratelimit", "x-ratelimit-", "x-rate-limit-", "retry-after", "x-ms-retry-after-ms"];
/// From here on a number of seconds is a time since 1970 (it is 2001 then), not a span (it would be 31 years).
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// From here on it counts milliseconds: as seconds it would be the year 5138.
const EPOCH_MILLISECONDS_MIN: f64 = 1e11;
/// From here on it is nothing that we know.
const EPOCH_MILLISECONDS_MAX: f64 = 1e14;

/// What one answer says. Spans count from the moment of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// `Retry-After` and its relatives. Absent = not said, or not readable.
    pub retry_after: Option<Duration>,
    /// Nothing is left until then. Absent = something is left, or it is not said.
    pub used_up: Option<Duration>,
    /// When a quota is filled again, whatever is left. Absent = not said.
    pub reset: Option<Duration>,
}

impl Told {
    /// Reads the headers of an answer. Times are measured against the server's own `Date`, because our clock may differ.
    pub(super) fn read(headers: &HeaderMap, names: &QuotaHeaders, now: SystemTime) -> Self {
        // Most answers say nothing, and a header is looked up by its text dearly.
        if !headers.keys().any(|name| is_read(name.as_str(), names)) {
            return Told::default();
        }
        let date = text(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
        let server_now = date.unwrap_or(now);
        let mut windows = match (&names.remaining, &names.reset) {
            (None, None) => usual_windows(headers, server_now),
            (remaining, reset) => {
                let named = |name: &Option<String>| name.as_deref().and_then(|name| text(headers, name));
                vec![pair(named(remaining), named(reset), server_now)]
            }
        };
        for window in &mut windows {
            window.reset = window.reset.filter(|reset| *reset <= QUOTA_RESET_MAX);
        }
        let is_empty = |window: &&Window| window.remaining == Some(0);
        Told {
            retry_after: retry_after(headers, server_now),
            used_up: windows.iter().filter(is_empty).filter_map(|window| window.reset).max(),
            // Where it is not said which of several windows is used up, the nearest reset is tried.
            reset: windows.iter().filter_map(|window| window.reset).min(),
        }
    }

    /// How long the source is to be left alone after an answer with this status.
    pub(super) fn wait(&self, status: StatusCode) -> Option<Duration> {
        let asked = match status.as_u16() {
            429 | 503 => self.retry_after.or(self.used_up).or(self.reset),
            _ if status.is_success() => None,
            _ => self.retry_after,
        };
        asked.max(self.used_up)
    }
}

/// Whether a header says something of a quota.
fn is_read(name: &str, names: &QuotaHeaders) -> bool {
    let is_named = |own: &Option<String>| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name));
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_named(&names.remaining) || is_named(&names.reset)
}

/// One window of a quota.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    remaining: Option<u64>,
    reset: Option<Duration>,
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim()).filter(|text| !text.is_empty())
}

fn usual_windows(headers: &HeaderMap, server_now: SystemTime) -> Vec<Window> {
    let mut windows: Vec<Window> =
        PAIRS.iter().map(|(left, reset)| pair(text(headers, left), text(headers, reset), server_now)).collect();
    let all = |name: &str| {
        let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        lines.join(", ")
    };
    windows.extend(structured_windows(&all("ratelimit"), &all("ratelimit-policy")));
    windows
}

fn pair(remaining: Option<&str>, reset: Option<&str>, server_now: SystemTime) -> Window {
    Window { remaining: remaining.and_then(whole), reset: reset.and_then(|reset| until(reset, server_now)) }
}

/// A count that may have decimals, as `0.0`; a list starts with the window that matters.
fn whole(text: &str) -> Option<u64> {
    let number = number(text.split([',', ';']).next()?)?;
    Some(number.floor() as u64)
}

/// A number that is none of `inf`, `NaN` and less than nothing.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == '.') && text.chars().any(|c| c.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// Seconds from now, seconds or milliseconds since 1970, or a date; what is past is now.
fn until(said: &str, server_now: SystemTime) -> Option<Duration> {
    let Some(number) = number(said.split([';']).next()?) else {
        let at = httpdate::parse_http_date(said).ok().or_else(|| Some(DateTime::parse_from_rfc3339(said).ok()?.into()));
        return Some(at?.duration_since(server_now).unwrap_or(Duration::ZERO));
    };
    let since_1970 = if number < EPOCH_SECONDS_MIN {
        return Some(Duration::from_secs_f64(number));
    } else if number < EPOCH_MILLISECONDS_MIN {
        Duration::from_secs_f64(number)
    } else if number < EPOCH_MILLISECONDS_MAX {
        Duration::from_secs_f64(number / 1000.0)
    } else {
        return None;
    };
    let at = SystemTime::UNIX_EPOCH.checked_add(since_1970)?;
    Some(at.duration_since(server_now).unwrap_or(Duration::ZERO))
}

/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3), or the milliseconds of Azure's services, which are
/// more exact.
fn retry_after(headers: &HeaderMap, server_now: SystemTime) -> Option<Duration> {
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        if let Some(milliseconds) = text(headers, name).and_then(|said| said.parse().ok()) {
            return Some(Duration::from_millis(milliseconds));
        }
    }
    let said = text(headers, "retry-after")?;
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(said).ok()?;
    Some(until.duration_since(server_now).unwrap_or(Duration::ZERO))
}

/// `RateLimit` with its policies (draft-ietf-httpapi-ratelimit-headers): a list of windows as `"day";r=0;t=3600` in the
/// later versions, members as `limit=100, remaining=0, reset=5` in the earlier ones.
fn structured_windows(limits: &str, policies: &str) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut earlier = Window::default();
    for item in items(limits) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        match name.split_once('=') {
            Some((member, value)) => match member.trim().to_ascii_lowercase().as_str() {
                "remaining" | "r" => earlier.remaining = whole(value),
                "reset" | "t" => earlier.reset = seconds(value),
                _ => {}
            },
            None => windows.push(Window {
                remaining: parameter(parameters, "r").and_then(whole),
                reset: parameter(parameters, "t")
                    .and_then(seconds)
                    // Without a time, the window of the policy is the longest that it can take.
                    .or_else(|| policy_window(policies, name)),
            }),
        }
    }
    windows.push(earlier);
    windows
}

fn policy_window(policies: &str, name: &str) -> Option<Duration> {
    items(policies)
        .into_iter()
        .filter_map(|policy| policy.split_once(';'))
        .find(|(named, _)| named.trim() == name.trim())
        .and_then(|(_, parameters)| seconds(parameter(parameters, "w")?))
}

/// Items of a list; a comma inside quotes is part of a name.
fn items(list: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = list.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    pairs.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn seconds(text: &str) -> Option<Duration> {
    number(text).filter(|number| *number < EPOCH_SECONDS_MIN).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "date: Mon, 23 Nov 2026 10:00:00 GMT";

    /// Lines as `name: value`; what is waited in milliseconds after a good answer, and after a 429.
    #[track_caller]
    fn check(lines: &[&str], after_success: Option<u64>, after_429: Option<u64>) {
        check_named(&QuotaHeaders::default(), lines, after_success, after_429);
    }

    #[track_caller]
    fn check_named(names: &QuotaHeaders, lines: &[&str], after_success: Option<u64>, after_429: Option<u64>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
        let told = Told::read(&headers, names, now);
        let wait = |status| told.wait(status).map(|wait| wait.as_millis() as u64);
        assert_eq!(wait(StatusCode::OK), after_success, "200 {lines:?}");
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS), after_429, "429 {lines:?}");
    }

    #[test]
    fn retry_after_is_read_in_its_spellings() {
        check(&[], None, None);
        check(&["retry-after: 7"], None, Some(7_000));
        check(&["retry-after:  0 "], None, Some(0));
        check(&["retry-after: Mon, 23 Nov 2026 10:00:30 GMT"], None, Some(30_000));
        check(
            &["retry-after: Mon, 23 Nov 2026 10:00:30 GMT", "date: Mon, 23 Nov 2026 10:00:25 GMT"],
            None,
            Some(5_000),
        );
        check(&["retry-after: Mon, 23 Nov 2026 09:00:00 GMT"], None, Some(0));
        check(&["retry-after: soon"], None, None);
        check(&["retry-after: -1"], None, None);
        check(&["retry-after: 1.5"], None, None);
        check(&["retry-after:"], None, None);
        check(&["retry-after-ms: 1500"], None, Some(1_500));
        check(&["x-ms-retry-after-ms: 250", "retry-after: 1"], None, Some(250));
        check(&["x-ms-retry-after-ms: -250", "retry-after: 1"], None, Some(1_000));
        // Ten years are said, and told to the person who has to decide.
        check(&["retry-after: 315360000"], None, Some(315_360_000_000));
    }

    #[test]
    fn a_rest_and_its_reset_are_read_in_their_spellings() {
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 30"], Some(30_000), Some(30_000));
        check(&["x-ratelimit-remaining: 1", "x-ratelimit-reset: 30"], None, Some(30_000));
        check(&["x-ratelimit-remaining: 0"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 0"], Some(0), Some(0));
        check(&["x-ratelimit-remaining: 0.0", "x-ratelimit-reset: 1.5"], Some(1_500), Some(1_500));
        // 2026-11-23T10:01:00Z in seconds and in milliseconds.
        check(&[DATE, "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795428060"], Some(60_000), Some(60_000));
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795428060"], Some(60_000), Some(60_000));
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795428060250"], Some(60_250), Some(60_250));
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795428060.25"], Some(60_250), Some(60_250));
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795420000"], Some(0), Some(0));
        let date = "x-ratelimit-reset: Mon, 23 Nov 2026 10:02:00 GMT";
        check(&["x-ratelimit-remaining: 0", date], Some(120_000), Some(120_000));
        check(
            &["x-ratelimit-remaining: 0", "x-ratelimit-reset: 2026-11-23T11:03:00+01:00"],
            Some(180_000),
            Some(180_000),
        );
        check(&["X-Rate-Limit-Remaining: 0", "X-Rate-Limit-Reset: 9"], Some(9_000), Some(9_000));
        check(&["RateLimit-Limit: 100", "RateLimit-Remaining: 0", "RateLimit-Reset: 50"], Some(50_000), Some(50_000));
        check(&["RateLimit-Limit: 100, 100;w=60", "RateLimit-Remaining: 5", "RateLimit-Reset: 50"], None, Some(50_000));
        // A minute is used up, the day is not.
        let minute = ["x-ratelimit-minutely-remaining: 0", "x-ratelimit-minutely-reset: 1795428010000"];
        check(
            &[minute[0], minute[1], "x-ratelimit-remaining: 4000", "x-ratelimit-reset: 1795478400000"],
            Some(10_000),
            Some(10_000),
        );
        // What is asked for and what is left: the longer of both.
        check(&["retry-after: 2", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 9"], Some(9_000), Some(9_000));
        check(&["retry-after: 20", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 9"], Some(9_000), Some(20_000));
    }

    #[test]
    fn the_structured_fields_are_read() {
        check(&["RateLimit: limit=100, remaining=0, reset=5"], Some(5_000), Some(5_000));
        check(&["RateLimit: limit=100, remaining=3, reset=5"], None, Some(5_000));
        check(&[r#"RateLimit: "default";r=50;t=30"#], None, Some(30_000));
        check(&[r#"RateLimit: "default";r=0;t=30"#], Some(30_000), Some(30_000));
        check(&[r#"RateLimit: "burst";r=0;t=5, "daily";r=1000;t=36000"#], Some(5_000), Some(5_000));
        check(
            &[r#"RateLimit: "burst";r=9;t=5"#, r#"RateLimit: "daily";r=0;t=36000"#],
            Some(36_000_000),
            Some(36_000_000),
        );
        check(&[r#"RateLimit: "a,b";r=0 ; t=7"#], Some(7_000), Some(7_000));
        check(
            &[r#"RateLimit: "day";r=0"#, r#"RateLimit-Policy: "burst";q=9;w=1, "day";q=100;w=60"#],
            Some(60_000),
            Some(60_000),
        );
        check(&[r#"RateLimit: "day";r=0"#], None, None);
        check(&[r#"RateLimit: default;r=0;pk=:QQ==:;t=4"#], Some(4_000), Some(4_000));
    }

    #[test]
    fn every_header_that_is_read_is_seen_to_be_there() {
        let pairs = PAIRS.iter().flat_map(|(left, reset)| [*left, *reset]);
        let others = ["ratelimit", "ratelimit-policy", "retry-after", "retry-after-ms", "x-ms-retry-after-ms"];
        for name in pairs.chain(others) {
            assert!(is_read(name, &QuotaHeaders::default()), "{name}");
        }
        assert!(!is_read("date", &QuotaHeaders::default()));
    }

    #[test]
    fn garbage_is_not_believed() {
        check(&["x-ratelimit-remaining: none", "x-ratelimit-reset: 30"], None, Some(30_000));
        check(&["x-ratelimit-remaining: -1", "x-ratelimit-reset: 30"], None, Some(30_000));
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: -30"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: inf"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: NaN"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1e3"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: ."], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: tomorrow"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 99999999999999999999999"], None, None);
        check(&["x-ratelimit-remaining: 99999999999999999999999", "x-ratelimit-reset: 5"], None, Some(5_000));
        // Ten years, as a span and as a time.
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 315360000"], None, None);
        check(&["x-ratelimit-remaining: 0", "x-ratelimit-reset: 2110788000"], None, None);
        check(&["RateLimit: remaining, =, ;;;, \"x\";r;t=, r=0"], None, None);
        check(&[r#"RateLimit: "open;r=0;t=5"#], Some(5_000), Some(5_000));
    }

    #[test]
    fn a_job_names_headers_of_its_own() {
        let names = QuotaHeaders { remaining: Some("X-Left".to_owned()), reset: Some("X-Again".to_owned()) };
        check_named(&names, &["x-left: 0", "x-again: 12"], Some(12_000), Some(12_000));
        check_named(&names, &["x-ratelimit-remaining: 0", "x-ratelimit-reset: 12"], None, None);
        check_named(&names, &["x-left: 2", "x-again: 12", "retry-after: 3"], None, Some(3_000));
    }
}
