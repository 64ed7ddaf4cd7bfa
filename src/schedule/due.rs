//! Which slots are to be served now, after a time in which perhaps nobody looked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Catchup, Schedule};
use crate::limits::MISSED_COUNTED_MAX;

/// A slot is not missed before it is so late: schedulers wake up every minute, and machines are busy.
const LATE_MAX: Duration = Duration::from_secs(90);

/// What becomes of the slots that passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// Those that nobody serves any more. Absent = there is none.
    pub missed: Option<Missed>,
    /// Those that are served, in their order.
    pub served: Vec<DateTime<Utc>>,
}

/// Slots that nobody serves any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missed {
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    pub count: u64,
    /// There were more of them, which nobody counted.
    pub is_more: bool,
}

impl Schedule {
    /// The slots after `last` that are due by now, of which the newest may have to wait for its jitter. A clock that was
    /// set back brings no slot a second time: nothing is due before it has passed `last` again.
    pub(crate) fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        let kept = match self.catchup {
            Catchup::None | Catchup::Latest => 1,
            Catchup::All(slots) => slots,
        };
        let mut due = Due::default();
        let mut at = last;
        // A clock that was decades behind has millions of slots to catch up with; the newest of them are what matters.
        if let Some(start) = self.before_newest(kept + MISSED_COUNTED_MAX, last, now) {
            let first = self.next_after(last).unwrap_or(start);
            due.missed = Some(Missed { first, last: start, count: 1, is_more: true });
            at = start;
        }
        while let Some(slot) = self.next_after(at).filter(|slot| *slot <= now) {
            due.served.push(slot);
            if due.served.len() > kept {
                let slot = due.served.remove(0);
                due.miss(slot);
            }
            at = slot;
        }
        let late_max = TimeDelta::from_std(LATE_MAX + self.jitter).unwrap_or(TimeDelta::MAX);
        if self.catchup == Catchup::None {
            for slot in std::mem::take(&mut due.served) {
                if now - slot > late_max { due.miss(slot) } else { due.served.push(slot) }
            }
        }
        due
    }

    /// An instant between `last` and `now` behind which there are at least so many slots, but not many times more. `None` = all
    /// of them are few.
    fn before_newest(&self, count: usize, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut span = TimeDelta::seconds(i64::try_from(count).unwrap_or(i64::MAX / 2));
        loop {
            let start = now.checked_sub_signed(span).filter(|start| *start > last)?;
            let mut at = start;
            for _ in 0..count {
                match self.next_after(at).filter(|slot| *slot <= now) {
                    Some(slot) => at = slot,
                    None => break,
                }
            }
            // Fewer than `count` ended the loop early, with its next slot behind `now`.
            if self.next_after(at).is_some_and(|next| next <= now) {
                return Some(start);
            }
            span = span * 4;
        }
    }
}

impl Due {
    fn miss(&mut self, slot: DateTime<Utc>) {
        self.missed = Some(match self.missed {
            None => Missed { first: slot, last: slot, count: 1, is_more: false },
            Some(missed) => Missed { last: slot, count: missed.count + 1, ..missed },
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::schedule::{Overlap, Rule, parse};

    fn check(cron: &str, catchup: Catchup, last: &str, now: &str, missed: u64, served: &[&str]) {
        let schedule = Schedule {
            rule: Rule::Cron(Box::new(parse(cron).unwrap())),
            zone: Tz::Europe__Amsterdam,
            jitter: Duration::ZERO,
            blackouts: Vec::new(),
            catchup,
            overlap: Overlap::Skip,
        };
        let due = schedule.due(last.parse().unwrap(), now.parse().unwrap());
        let served: Vec<DateTime<Utc>> = served.iter().map(|slot| slot.parse().unwrap()).collect();
        assert_eq!((due.missed.map_or(0, |missed| missed.count), &due.served), (missed, &served), "{due:?}");
    }

    #[test]
    fn three_days_down_are_made_up_for_as_the_job_says() {
        let (last, now) = ("2024-01-01T04:00:00Z", "2024-01-04T09:00:00Z");
        let slots = ["2024-01-02T04:00:00Z", "2024-01-03T04:00:00Z", "2024-01-04T04:00:00Z"];
        check("0 5 * * *", Catchup::Latest, last, now, 2, &slots[2..]);
        check("0 5 * * *", Catchup::None, last, now, 3, &[]);
        check("0 5 * * *", Catchup::All(10), last, now, 0, &slots);
        check("0 5 * * *", Catchup::All(2), last, now, 1, &slots[1..]);
        // A slot of just now is not missed.
        check("0 5 * * *", Catchup::None, last, "2024-01-02T04:01:00Z", 0, &slots[..1]);
    }

    #[test]
    fn steps_of_a_clock_bring_no_storm_and_no_slot_twice() {
        // Three hours forward.
        check(
            "* * * * *",
            Catchup::Latest,
            "2024-01-01T04:00:00Z",
            "2024-01-01T07:00:00Z",
            179,
            &["2024-01-01T07:00:00Z"],
        );
        // And back: the slots of these hours were served.
        check("* * * * *", Catchup::Latest, "2024-01-01T07:00:00Z", "2024-01-01T04:00:30Z", 0, &[]);
        check("* * * * *", Catchup::All(100), "2024-01-01T07:00:00Z", "2024-01-01T07:00:00Z", 0, &[]);
    }

    #[test]
    fn a_clock_that_was_decades_behind_is_caught_up_with_at_once() {
        let began = std::time::Instant::now();
        let every = Schedule {
            rule: Rule::Every(Duration::from_secs(1)),
            zone: Tz::UTC,
            jitter: Duration::ZERO,
            blackouts: Vec::new(),
            catchup: Catchup::All(2),
            overlap: Overlap::Skip,
        };
        let cron = |text| Schedule { rule: Rule::Cron(Box::new(parse(text).unwrap())), ..every.clone() };
        let (last, now): (DateTime<Utc>, DateTime<Utc>) =
            (DateTime::UNIX_EPOCH, "2026-03-01T00:00:00Z".parse().unwrap());
        for schedule in [every.clone(), cron("* * * * * *"), cron("*/5 * * * *")] {
            let due = schedule.due(last, now);
            assert_eq!(due.served.last(), Some(&now));
            assert_eq!(due.served.len(), 2);
            let missed = due.missed.expect("some");
            assert!(missed.is_more && missed.last < due.served[0], "{missed:?}");
            assert_eq!(schedule.next_after(missed.last), Some(due.served[0]));
            assert_eq!(Some(missed.first), schedule.next_after(last));
        }
        // Those of a rare one are counted.
        let missed = cron("0 0 1 * *").due(last, now).missed.expect("some");
        assert_eq!((missed.count, missed.is_more), (56 * 12, false));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
