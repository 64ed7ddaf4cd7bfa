//! How many requests were sent in the last minute and the last day, and when the next one may go. Pure: times come in.
//!
//! Requests are counted in buckets. A bucket counts for as long as its last moment is in the window, and every window is
//! longer by a margin, so that what is counted here and arrives a little later still keeps the server's limit in a
//! window of any phase.

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

use crate::limits::{QUOTA_DAY_MARGIN, QUOTA_HOLD_MAX, QUOTA_MINUTE_MARGIN};
use crate::model::quota::{BudgetLimits, DayResets, PauseReason, reset_after, reset_before};

/// Whether a request may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is counted, and must be sent now.
    Taken,
    Wait {
        until: DateTime<Utc>,
        why: PauseReason,
    },
}

/// A window of time with its buckets, in milliseconds.
struct Window {
    length: i64,
    bucket: i64,
    /// By how much a request may arrive later than it is counted.
    margin: i64,
    /// How long a bucket is kept: longer than the longest window, because a day with a changed clock has 25 hours.
    kept: i64,
}

const MINUTE: Window =
    Window { length: 60_000, bucket: 1_000, margin: QUOTA_MINUTE_MARGIN.as_millis() as i64, kept: 70_000 };
/// Five minutes a bucket: 330 of them make 5 KiB, and a quota is idle for at most ten minutes a day.
const DAY: Window =
    Window { length: 86_400_000, bucket: 300_000, margin: QUOTA_DAY_MARGIN.as_millis() as i64, kept: 97_200_000 };

/// Requests by the number of their bucket since 1970, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Buckets(Vec<(i64, u32)>);

/// What was sent with one credential, by everybody who shares it.
///
/// - Requests are counted whatever limits the counting job has: another one may have others.
/// - A count never gets lower but by time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    /// One second each.
    seconds: Buckets,
    /// Five minutes each.
    spans: Buckets,
    /// When the last request was counted, in milliseconds since 1970.
    last_ms: i64,
    /// The server asked for no request before. Absent = it did not.
    #[serde(default)]
    held_until_ms: Option<i64>,
}

impl Budget {
    /// Counts a request if it may be sent now.
    pub(super) fn take(&mut self, now: DateTime<Utc>, limits: &BudgetLimits) -> Turn {
        let now_ms = now.timestamp_millis();
        self.seconds.settle(now_ms, &MINUTE);
        self.spans.settle(now_ms, &DAY);
        let waits = [
            self.held(now_ms).map(|until| (until, PauseReason::Asked)),
            self.minute_until(now_ms, limits).map(|until| (until, PauseReason::MinuteUsed)),
            self.day_until(now, limits).map(|until| (until, PauseReason::DayUsed)),
        ];
        if let Some((until_ms, why)) = waits.into_iter().flatten().max_by_key(|(until, _)| *until) {
            return Turn::Wait { until: instant(until_ms), why };
        }
        self.seconds.add(now_ms / MINUTE.bucket);
        self.spans.add(now_ms / DAY.bucket);
        self.last_ms = now_ms;
        Turn::Taken
    }

    /// Nobody sends before; `false` = it is held for as long already, or for too long to be believed.
    pub(super) fn hold(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        let (now_ms, until_ms) = (now.timestamp_millis(), until.timestamp_millis());
        if until_ms - now_ms > hold_max() || self.held(now_ms).is_some_and(|held| held >= until_ms) {
            return false;
        }
        self.held_until_ms = Some(until_ms);
        true
    }

    /// A hold that is further away than any that is written was written by another clock.
    fn held(&self, now_ms: i64) -> Option<i64> {
        self.held_until_ms.filter(|until| *until > now_ms && until - now_ms <= hold_max())
    }

    /// Evenly over the minute: an API that counts in shorter windows would see a burst as a breach.
    fn minute_until(&self, now_ms: i64, limits: &BudgetLimits) -> Option<i64> {
        let limit = i64::from(limits.per_minute?);
        let gap = (MINUTE.length + MINUTE.margin + MINUTE.bucket + limit - 1) / limit;
        let next = self.last_ms.min(now_ms) + gap;
        let used = self.seconds.rolling_until(now_ms, limit, &MINUTE);
        (next > now_ms).then_some(next).max(used)
    }

    fn day_until(&self, now: DateTime<Utc>, limits: &BudgetLimits) -> Option<i64> {
        let (limit, now_ms) = (i64::from(limits.per_day?), now.timestamp_millis());
        let DayResets::At { time, zone } = limits.day_resets else {
            return self.spans.rolling_until(now_ms, limit, &DAY);
        };
        // Shortly after a reset the server's clock may still show the day before.
        let margin = chrono::Duration::milliseconds(DAY.margin);
        let (today, perhaps) = (reset_before(time, zone, now), reset_before(time, zone, now - margin));
        let is_used = |reset: DateTime<Utc>| self.spans.since(reset.timestamp_millis() - DAY.margin, &DAY) >= limit;
        if is_used(today) {
            return Some((reset_after(time, zone, now) + margin).timestamp_millis());
        }
        is_used(perhaps).then(|| (today + margin).timestamp_millis())
    }
}

impl Buckets {
    fn add(&mut self, index: i64) {
        self.add_many(index, 1);
    }

    fn add_many(&mut self, index: i64, many: u32) {
        match self.0.binary_search_by_key(&index, |(found, _)| *found) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(many),
            Err(at) => self.0.insert(at, (index, many)),
        }
    }

    /// Forgets what is over. What was counted by a clock that was ahead counts as of now: it was sent before now, and so
    /// a clock that was set back holds nobody up for longer than a window.
    fn settle(&mut self, now_ms: i64, window: &Window) {
        self.0.retain(|(index, _)| (index + 1) * window.bucket > now_ms - window.kept);
        let is_ahead = |(index, _): &(i64, u32)| index * window.bucket > now_ms + window.margin;
        let ahead: u32 = self.0.iter().filter(|bucket| is_ahead(bucket)).fold(0, |sum, (_, n)| sum.saturating_add(*n));
        if ahead > 0 {
            self.0.retain(|bucket| !is_ahead(bucket));
            self.add_many(now_ms / window.bucket, ahead);
        }
    }

    /// Requests that may have been sent after this moment.
    fn since(&self, from_ms: i64, window: &Window) -> i64 {
        let after = self.0.iter().filter(|(index, _)| (index + 1) * window.bucket > from_ms);
        after.map(|(_, many)| i64::from(*many)).sum()
    }

    /// When the window that ends now has room. `None` = it has.
    fn rolling_until(&self, now_ms: i64, limit: i64, window: &Window) -> Option<i64> {
        let reach = window.length + window.margin;
        let mut left = self.since(now_ms - reach, window);
        let mut until = None;
        for (index, many) in &self.0 {
            let leaves_at = (index + 1) * window.bucket + reach;
            if left < limit {
                break;
            }
            if leaves_at > now_ms {
                left -= i64::from(*many);
                until = Some(leaves_at);
            }
        }
        until
    }
}

fn hold_max() -> i64 {
    QUOTA_HOLD_MAX.as_millis() as i64
}

fn instant(ms: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(ms).earliest().unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;

    use super::*;

    /// The next number of a fixed sequence (xorshift), so that a failure can be met again.
    fn below(state: &mut u64, bound: i64) -> i64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state % bound.unsigned_abs().max(1)).cast_signed()
    }

    /// 2026-11-23T00:00:00Z.
    const START: i64 = 1_795_392_000_000;

    /// What four takers do who ask at random moments, whose requests arrive late, and whose clock is set back.
    struct Sent {
        /// True times of arrival, in order.
        arrivals: Vec<i64>,
        longest_wait: i64,
    }

    fn simulate(limits: &BudgetLimits, span: i64, margin: i64, pause: i64, seed: u64, steps_back: &[i64]) -> Sent {
        let mut random = seed;
        let mut budget = Budget::default();
        let (mut arrivals, mut longest_wait) = (Vec::new(), 0);
        let mut asks = [START, START + 1, START + 2, START + 3];
        let mut set_back = 0;
        let mut steps = steps_back.iter().enumerate().peekable();
        let step_every = span / (steps_back.len() as i64 + 1);
        loop {
            let taker = (0..4).min_by_key(|taker| asks[*taker]).unwrap();
            let now = asks[taker];
            if now > START + span {
                break;
            }
            if let Some((number, by)) = steps.next_if(|(number, _)| now > START + step_every * (*number as i64 + 1)) {
                set_back += by;
                assert!(number < steps_back.len());
            }
            asks[taker] = match budget.take(instant(now - set_back), limits) {
                Turn::Taken => {
                    arrivals.push(now + below(&mut random, margin));
                    now + below(&mut random, pause)
                }
                Turn::Wait { until, .. } => {
                    let wait = until.timestamp_millis() - (now - set_back);
                    assert!(wait > 0, "a wait is over before it begins");
                    longest_wait = longest_wait.max(wait);
                    now + wait + below(&mut random, pause)
                }
            };
        }
        arrivals.sort_unstable();
        Sent { arrivals, longest_wait }
    }

    /// No window of any phase holds more than the limit: any request and the one `limit` places on are a window apart.
    fn assert_kept(sent: &Sent, limit: usize, length: i64, seed: u64) {
        for pair in sent.arrivals.windows(limit + 1) {
            assert!(pair[limit] - pair[0] >= length, "seed {seed}: {} ms hold {}", pair[limit] - pair[0], limit + 1);
        }
    }

    fn limits(per_minute: Option<u32>, per_day: Option<u32>, day_resets: DayResets) -> BudgetLimits {
        BudgetLimits { per_minute, per_day, day_resets }
    }

    #[test]
    fn no_minute_of_any_phase_holds_more_than_the_limit() {
        for seed in 1..=12_u64 {
            let limit = [7, 100, 1000][seed as usize % 3];
            let steps: &[i64] = if seed % 2 == 0 { &[] } else { &[500, 30_000, 5_000, 86_400_000] };
            let set = limits(Some(limit), None, DayResets::Rolling);
            let sent = simulate(&set, 20 * 60_000, MINUTE.margin, 40, seed * 0x9e37_79b9, steps);
            assert_kept(&sent, limit as usize, MINUTE.length, seed);
            assert!(sent.longest_wait <= 2 * MINUTE.length, "seed {seed}: a wait of {} ms", sent.longest_wait);
            // A clock that is set back costs at most a window each time.
            let possible = (20 - steps.len() as i64) * i64::from(limit);
            assert!(sent.arrivals.len() as i64 > possible * 8 / 10, "{} of {possible} used", sent.arrivals.len());
        }
    }

    #[test]
    fn no_day_of_any_phase_holds_more_than_the_limit() {
        for seed in 1..=12_u64 {
            let limit = [50, 1000, 3000][seed as usize % 3];
            let steps: &[i64] = if seed % 2 == 0 { &[] } else { &[3_600_000, 20_000, 30 * 86_400_000] };
            let set = limits(None, Some(limit), DayResets::Rolling);
            let pause = DAY.length / i64::from(limit) * 3;
            let sent = simulate(&set, 10 * DAY.length, DAY.margin, pause, seed * 0x51ed_270b, steps);
            assert_kept(&sent, limit as usize, DAY.length, seed);
            assert!(sent.longest_wait <= DAY.length + 2 * DAY.margin + DAY.bucket, "seed {seed}");
            let possible = (10 - steps.len() as i64) * i64::from(limit);
            assert!(sent.arrivals.len() as i64 > possible * 8 / 10, "{} of {possible} used", sent.arrivals.len());
        }
    }

    #[test]
    fn a_day_with_a_reset_is_kept_by_clocks_that_differ() {
        let zone = chrono_tz::Europe::Amsterdam;
        let time = NaiveTime::from_hms_opt(0, 0, 0).unwrap();
        let set = limits(None, Some(300), DayResets::At { time, zone });
        for seed in 1..=8_u64 {
            let sent = simulate(&set, 8 * DAY.length, DAY.margin, 200_000, seed * 0xabcd_ef12, &[]);
            let mut days = std::collections::BTreeMap::new();
            for arrival in &sent.arrivals {
                *days.entry(reset_before(time, zone, instant(*arrival))).or_insert(0) += 1;
            }
            assert!(days.values().all(|count| *count <= 300), "seed {seed}: {days:?}");
            assert!(days.values().filter(|count| **count > 250).count() >= 6, "seed {seed}: {days:?}");
        }
    }

    #[test]
    fn a_used_up_quota_says_when_it_is_filled() {
        let start = instant(START);
        let mut budget = Budget::default();
        let set = limits(None, Some(1), DayResets::Rolling);
        assert_eq!(budget.take(start, &set), Turn::Taken);
        let until = "2026-11-24T00:10:00Z".parse().unwrap();
        assert_eq!(budget.take(start, &set), Turn::Wait { until, why: PauseReason::DayUsed });
        assert_eq!(budget.take(until, &set), Turn::Taken);

        let mut budget = Budget::default();
        let resets = DayResets::At { time: NaiveTime::from_hms_opt(6, 0, 0).unwrap(), zone: chrono_tz::UTC };
        let set = limits(None, Some(1), resets);
        assert_eq!(budget.take(start, &set), Turn::Taken);
        let until = "2026-11-23T06:05:00Z".parse().unwrap();
        assert_eq!(budget.take(start, &set), Turn::Wait { until, why: PauseReason::DayUsed });
        assert_eq!(budget.take(until, &set), Turn::Taken);

        // What the server asks for wins when it is later, and is not believed when it is absurd.
        let mut budget = Budget::default();
        let set = limits(Some(60), None, DayResets::Rolling);
        let until = start + chrono::Duration::hours(3);
        assert!(budget.hold(start, until) && !budget.hold(start, until));
        assert!(!budget.hold(start, start + chrono::Duration::days(3650)));
        assert_eq!(budget.take(start, &set), Turn::Wait { until, why: PauseReason::Asked });
        assert_eq!(budget.take(start - chrono::Duration::days(3), &set), Turn::Taken);
        let next = start - chrono::Duration::days(3) + chrono::Duration::milliseconds(1050);
        let taken = budget.take(start - chrono::Duration::days(3), &set);
        assert_eq!(taken, Turn::Wait { until: next, why: PauseReason::MinuteUsed });
    }
}
