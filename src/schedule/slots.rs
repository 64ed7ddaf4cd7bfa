//! The slots of a cron expression in a zone whose clocks are set forward and back, as vixie cron does it:
//!
//! - An expression that names times (neither minute nor hour begins with `*`) has each of them once a day: a time that the
//!   clock leaps over comes at the first instant behind the gap, one that it shows twice comes at its first occurrence.
//! - Any other follows elapsed time: what the clock leaps over does not come, what it shows twice comes twice.

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

use super::fields::Cron;

/// No zone's clock was ever set by more than a day (Samoa left a date out in 2011).
const LEAP_MAX: Duration = Duration::hours(25);

impl Cron {
    /// The first slot after an instant in a zone. `None` = there is none in this century.
    pub(super) fn next_after(&self, instant: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = instant.with_timezone(&zone).naive_local();
        let now = offset(zone, instant);
        let least = offset(zone, instant - LEAP_MAX).min(offset(zone, instant + LEAP_MAX)).min(now);
        // Where the clock was set back or soon will be, an earlier time of it may still have a slot to come.
        let from = local - Duration::seconds(i64::from(now - least));
        let mut found: Option<DateTime<Utc>> = None;
        for time in self.local_times(from) {
            let (first, second) = self.instants(time, zone);
            let later = [first, second].into_iter().flatten().filter(|slot| *slot > instant).min();
            found = match (found, later) {
                (Some(found), Some(later)) => Some(found.min(later)),
                (found, later) => found.or(later),
            };
            // First occurrences only grow: once one is later, nothing behind it is earlier, but a second one may be.
            if first.is_some_and(|first| first > instant) {
                break;
            }
        }
        found
    }

    /// The times that the expression matches, at and behind a time of the local clock, whatever the zone.
    fn local_times(&self, from: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let start = Utc.from_utc_datetime(&from) - Duration::seconds(1);
        let mut parts: Vec<_> = self.parts.iter().map(|part| part.after(&start).peekable()).collect();
        std::iter::from_fn(move || {
            let next = parts.iter_mut().filter_map(|part| part.peek().copied()).min()?;
            for part in &mut parts {
                while part.peek() == Some(&next) {
                    part.next();
                }
            }
            Some(next.naive_utc())
        })
    }

    /// When a time of the local clock is a slot: once, twice, or not at all.
    fn instants(&self, time: NaiveDateTime, zone: Tz) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        match zone.from_local_datetime(&time) {
            MappedLocalTime::Single(slot) => (Some(slot.to_utc()), None),
            MappedLocalTime::Ambiguous(first, second) => {
                (Some(first.to_utc()), Some(second.to_utc()).filter(|_| !self.is_fixed()))
            }
            MappedLocalTime::None if self.is_fixed() => (behind_gap(time, zone), None),
            MappedLocalTime::None => (None, None),
        }
    }
}

fn offset(zone: Tz, instant: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
}

/// The first instant behind the gap that a local time lies in. Clocks are set at whole seconds.
fn behind_gap(time: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let second = time.and_utc().timestamp();
    let (mut before, mut behind) = (second - LEAP_MAX.num_seconds(), second + LEAP_MAX.num_seconds());
    // The local clock shows less than the time before the gap, and more behind it.
    let is_behind = |second: i64| {
        DateTime::from_timestamp(second, 0).is_some_and(|instant| instant.with_timezone(&zone).naive_local() > time)
    };
    while behind - before > 1 {
        let middle = i64::midpoint(before, behind);
        if is_behind(middle) { behind = middle } else { before = middle }
    }
    DateTime::from_timestamp(behind, 0)
}
