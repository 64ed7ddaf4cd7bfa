//! When a job is due: a checked schedule and an instant go in, the next slot comes out. Knows neither jobs nor clocks.
//!
//! A slot is an instant of the schedule; slots strictly increase, whatever the zone's clocks do.

mod blackout;
mod due;
mod fields;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub(crate) use self::blackout::Blackout;
pub(crate) use self::due::{Due, Missed};
pub(crate) use self::fields::{Cron, parse};

/// When a job is due.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub rule: Rule,
    pub zone: Tz,
    /// A run begins up to so much after its slot. Zero = at once.
    pub jitter: Duration,
    /// Slots within are not served.
    pub blackouts: Vec<Blackout>,
    pub catchup: Catchup,
    pub overlap: Overlap,
}

/// What makes slots.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    Cron(Box<Cron>),
    /// Multiples of this span since 1970: the same on every host and after every restart.
    Every(Duration),
}

/// Which of the slots that passed while nobody looked are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Catchup {
    /// The newest.
    Latest,
    None,
    /// The newest so many.
    All(usize),
}

/// What becomes of a slot while an earlier one is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// It is not served.
    Skip,
    /// It is served when that one is over; of several, the newest.
    Queue,
    /// That one is stopped.
    Cancel,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Cron(cron) => f.write_str(cron.text()),
            Rule::Every(span) => {
                let seconds = span.as_secs();
                let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
                let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "s"));
                write!(f, "every {}{name}", seconds / unit)
            }
        }
    }
}

impl Schedule {
    /// The first slot after an instant. `None` = there is none any more.
    pub(crate) fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.rule {
            Rule::Cron(cron) => cron.next_after(instant, self.zone),
            Rule::Every(span) => {
                let span = i64::try_from(span.as_secs()).ok().filter(|span| *span > 0)?;
                let next = (instant.timestamp().div_euclid(span) + 1).checked_mul(span)?;
                DateTime::from_timestamp(next, 0)
            }
        }
    }

    /// When the run of a slot begins. The delay depends on job and slot alone, so every host comes to the same.
    pub(crate) fn starts_at(&self, job: &str, slot: DateTime<Utc>) -> DateTime<Utc> {
        let millis = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return slot;
        }
        let text = format!("{job} {}", slot.timestamp());
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let hash = u64::from_le_bytes(hash.as_ref()[..8].try_into().expect("eight bytes"));
        // Never as late as the next slot, which would begin before its turn otherwise.
        let room = self.next_after(slot).map_or(millis, |next| (next - slot).num_milliseconds().unsigned_abs());
        let delay = hash % millis.min(room).max(1);
        slot + TimeDelta::milliseconds(i64::try_from(delay).unwrap_or(0))
    }

    /// The blackout that a slot lies in.
    pub(crate) fn blackout_at(&self, slot: DateTime<Utc>) -> Option<&Blackout> {
        let local = slot.with_timezone(&self.zone).naive_local();
        self.blackouts.iter().find(|blackout| blackout.holds(local))
    }
}
