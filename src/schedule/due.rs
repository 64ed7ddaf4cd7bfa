//! Which slots are to be served now, after a time in which perhaps nobody looked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Catchup, Schedule};

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
}

impl Due {
    fn miss(&mut self, slot: DateTime<Utc>) {
        self.missed = Some(match self.missed {
            None => Missed { first: slot, last: slot, count: 1 },
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
}
