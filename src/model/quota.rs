//! How many requests a source allows in which time, and what a wait for it is called.

use chrono::{DateTime, Days, Duration, LocalResult, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Limits that everybody who uses one credential shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BudgetLimits {
    /// Requests in any 60 seconds. Absent = no such limit was set by the job.
    pub per_minute: Option<u32>,
    /// Requests of a day. Absent = no such limit was set by the job.
    pub per_day: Option<u32>,
    pub day_resets: DayResets,
}

impl BudgetLimits {
    /// Whether there is anything to count.
    pub(crate) fn is_set(&self) -> bool {
        self.per_minute.is_some() || self.per_day.is_some()
    }
}

/// What a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayResets {
    /// Any 24 hours.
    Rolling,
    /// From this time of the day to the same one on the next.
    At { time: NaiveTime, zone: Tz },
}

/// Headers that say what is left. Absent = the usual ones are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QuotaHeaders {
    pub remaining: Option<String>,
    pub reset: Option<String>,
}

/// Why nothing is sent for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseReason {
    /// Our own count of a minute.
    MinuteUsed,
    /// Our own count of a day.
    DayUsed,
    /// The server said so.
    Asked,
}

impl std::fmt::Display for PauseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PauseReason::MinuteUsed => "quota of the minute used",
            PauseReason::DayUsed => "quota of the day used",
            PauseReason::Asked => "the server asks to wait",
        })
    }
}

/// The last reset at or before `now`.
pub(crate) fn reset_before(time: NaiveTime, zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
    resets_around(time, zone, now).into_iter().rev().find(|reset| *reset <= now).unwrap_or(now)
}

/// The first reset after `now`.
pub(crate) fn reset_after(time: NaiveTime, zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
    resets_around(time, zone, now).into_iter().find(|reset| *reset > now).unwrap_or(now + Duration::days(1))
}

/// The resets from two days before to two days after, in their order.
fn resets_around(time: NaiveTime, zone: Tz, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let today = now.with_timezone(&zone).date_naive();
    let first = today.checked_sub_days(Days::new(2)).unwrap_or(today);
    first.iter_days().take(5).map(|day| instant_of(day, time, zone)).collect()
}

/// A local time as an instant: the first of two when the clocks go back, the first after it when they jump over it.
fn instant_of(day: NaiveDate, time: NaiveTime, zone: Tz) -> DateTime<Utc> {
    let local = day.and_time(time);
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.to_utc(),
        // A gap is the difference of two offsets; the offset of the day before leads to its other side.
        LocalResult::None => {
            let before = zone.from_local_datetime(&(local - Duration::days(1))).earliest();
            before.map_or_else(|| local.and_utc(), |before| before.to_utc() + Duration::days(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(time: &str, zone: &str, now: &str, before: &str, after: &str) {
        let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
        let zone: Tz = zone.parse().unwrap();
        let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(reset_before(time, zone, instant(now)), instant(before), "before {now}");
        assert_eq!(reset_after(time, zone, instant(now)), instant(after), "after {now}");
    }

    #[test]
    fn a_day_begins_where_its_zone_says() {
        check("00:00", "UTC", "2026-11-23T22:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z");
        check("00:00", "UTC", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z");
        check("00:00", "Europe/Amsterdam", "2026-11-23T22:59:59Z", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z");
        check("00:00", "Europe/Amsterdam", "2026-11-23T23:00:00Z", "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z");
        check("00:00", "Pacific/Auckland", "2026-11-23T12:00:00Z", "2026-11-23T11:00:00Z", "2026-11-24T11:00:00Z");
        check("17:30", "America/New_York", "2026-11-23T22:00:00Z", "2026-11-22T22:30:00Z", "2026-11-23T22:30:00Z");
        // The day the clocks go back has 25 hours, the one they go forward has 23.
        check("00:00", "Europe/Amsterdam", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check("00:00", "Europe/Amsterdam", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        // 02:30 happens twice, or not at all.
        check("02:30", "Europe/Amsterdam", "2026-10-25T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
        check("02:30", "Europe/Amsterdam", "2026-03-29T02:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z");
        check("02:30", "Europe/Amsterdam", "2026-03-29T01:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z");
    }
}
