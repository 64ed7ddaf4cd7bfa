//! How a job stands, and what each receiver was told of that. Pure: what happened comes in, what is to be told goes out.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::notify::{EventKind, Receiver};

/// What a run or a slot came to, as far as receivers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// A good run. Rows are those that it read; absent = it read no table.
    Well {
        rows: Option<u64>,
    },
    Trouble(Problem),
    Missed,
    /// Neither good nor bad: skipped, stopped, in a blackout.
    Nothing,
}

/// Why a job is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Problem {
    Failed,
    Held,
    LoginNeeded,
}

impl Problem {
    pub(super) fn event(self) -> EventKind {
        match self {
            Problem::Failed => EventKind::Failed,
            Problem::Held => EventKind::Held,
            Problem::LoginNeeded => EventKind::LoginNeeded,
        }
    }
}

/// A job after its last run; kept in the record store, so that every host tells things once.
///
/// - `trouble` is there exactly when the last run that was good or bad was bad.
/// - Of a receiver only what still holds is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The last good runs in a row that read no row.
    #[serde(default)]
    pub empty_runs: u64,
    /// Since when. Absent = there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<DateTime<Utc>>,
    /// By the receiver's name.
    #[serde(default)]
    pub told: BTreeMap<String, Told>,
}

/// Runs in a row that were not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// Of the last one.
    pub problem: Problem,
    pub since: DateTime<Utc>,
    pub runs: u64,
}

/// What a receiver was told that still holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<ToldTrouble>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_at: Option<DateTime<Utc>>,
    /// When it was told that a credential ends, by the credential's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expires_at: BTreeMap<String, DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_failed_at: Option<DateTime<Utc>>,
}

/// The trouble as it was when the receiver was told of it last, with the runs since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldTrouble {
    pub trouble: Trouble,
    pub at: DateTime<Utc>,
}

/// A credential that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Expiring {
    /// What it is and what it is for, without a value.
    pub name: String,
    pub expires_at: DateTime<Utc>,
    /// It is told of this long before, at the most.
    #[serde(skip)]
    pub within_max: Duration,
    /// What to do.
    pub hint: String,
}

impl Standing {
    /// The standing after something happened.
    pub(super) fn after(mut self, at: DateTime<Utc>, happened: Happened) -> Self {
        match happened {
            Happened::Well { rows } => {
                self.trouble = None;
                match rows {
                    Some(0) => {
                        self.empty_runs += 1;
                        self.empty_since.get_or_insert(at);
                    }
                    Some(_) => {
                        self.empty_runs = 0;
                        self.empty_since = None;
                        self.told.values_mut().for_each(|told| told.empty_at = None);
                    }
                    None => {}
                }
            }
            Happened::Trouble(problem) => {
                let (since, runs) = self.trouble.map_or((at, 0), |trouble| (trouble.since, trouble.runs));
                self.trouble = Some(Trouble { problem, since, runs: runs + 1 });
                for told in self.told.values_mut().filter_map(|told| told.trouble.as_mut()) {
                    told.trouble.runs = runs + 1;
                }
            }
            Happened::Missed | Happened::Nothing => {}
        }
        self
    }

    /// What a receiver is to be told now, when this is the standing after what happened.
    pub(super) fn due(
        &self,
        receiver: &Receiver,
        at: DateTime<Utc>,
        happened: Happened,
        expiring: &[Expiring],
    ) -> Vec<Due> {
        let nothing = Told::default();
        let told = self.told.get(&receiver.name).unwrap_or(&nothing);
        let is_again = |before: DateTime<Utc>, every: Duration| is_over(at, before, every);
        let mut due = Vec::new();
        match (happened, self.trouble) {
            (Happened::Trouble(problem), _) => {
                let is_new = told
                    .trouble
                    .is_none_or(|told| told.trouble.problem != problem || is_again(told.at, receiver.repeat_interval));
                if is_new {
                    due.push(Due::Event(problem.event()));
                }
            }
            (Happened::Well { .. }, None) => {
                due.extend(told.trouble.map(|told| Due::Recovered(told.trouble)));
                let is_new = told.empty_at.is_none_or(|before| is_again(before, receiver.repeat_interval));
                if self.empty_runs >= receiver.empty_after && is_new && is_empty(happened) {
                    due.push(Due::Event(EventKind::Empty));
                }
            }
            (Happened::Missed, _) => due.push(Due::Event(EventKind::Missed)),
            (Happened::Well { .. } | Happened::Nothing, _) => {}
        }
        for expiring in expiring {
            let within = receiver.expires_within.min(expiring.within_max);
            let is_near =
                (expiring.expires_at - at).to_std().is_ok_and(|left| left <= within) || expiring.expires_at <= at;
            let every = receiver.repeat_interval.max(DAY);
            let is_new = told.expires_at.get(&expiring.name).is_none_or(|before| is_again(*before, every));
            if is_near && is_new {
                due.push(Due::Expires(expiring.clone()));
            }
        }
        due.retain(|due| receiver.on.contains(&due.event()));
        due
    }

    /// The standing after Power BI was refreshed behind a run, well or not.
    pub(super) fn refreshed(mut self, is_well: bool) -> Self {
        if is_well {
            self.told.values_mut().for_each(|told| told.refresh_failed_at = None);
        }
        self
    }

    /// What a receiver is to be told now of refreshes that are not well.
    pub(super) fn due_refresh(&self, receiver: &Receiver, at: DateTime<Utc>) -> Option<Due> {
        let told = self.told.get(&receiver.name).and_then(|told| told.refresh_failed_at);
        let is_new = told.is_none_or(|before| is_over(at, before, receiver.repeat_interval));
        (is_new && receiver.on.contains(&EventKind::RefreshFailed)).then_some(Due::Event(EventKind::RefreshFailed))
    }

    /// What is not told to a receiver, but decides what it is told later: whoever hears only of recoveries hears of them, too.
    pub(super) fn pass_over(&mut self, receiver: &Receiver, at: DateTime<Utc>) {
        let hears = |problem: Problem| receiver.on.contains(&problem.event());
        let told = self.told.entry(receiver.name.clone()).or_default();
        match self.trouble {
            Some(trouble) => {
                let hears_any = [Problem::Failed, Problem::Held, Problem::LoginNeeded].into_iter().any(hears);
                if !hears_any {
                    told.trouble = Some(ToldTrouble { trouble, at });
                }
            }
            None if !receiver.on.contains(&EventKind::Recovered) => told.trouble = None,
            None => {}
        }
    }

    /// A receiver took a notice.
    pub(super) fn remember(&mut self, receiver: &str, at: DateTime<Utc>, due: &Due) {
        let trouble = self.trouble;
        let told = self.told.entry(receiver.to_owned()).or_default();
        match due {
            Due::Event(EventKind::Failed | EventKind::Held | EventKind::LoginNeeded) => {
                told.trouble = trouble.map(|trouble| ToldTrouble { trouble, at });
            }
            Due::Event(EventKind::Empty) => told.empty_at = Some(at),
            Due::Event(EventKind::RefreshFailed) => told.refresh_failed_at = Some(at),
            Due::Recovered(_) => told.trouble = None,
            Due::Expires(expiring) => {
                told.expires_at.insert(expiring.name.clone(), at);
            }
            Due::Event(EventKind::Recovered | EventKind::Missed | EventKind::CredentialExpires | EventKind::Test) => {}
        }
    }

    /// Forgets receivers that the job does not name any more, and credentials that are renewed or gone.
    pub(super) fn tidy(&mut self, receivers: &[Receiver], expiring: Option<&[Expiring]>) {
        self.told.retain(|name, _| receivers.iter().any(|receiver| receiver.name == *name));
        if let Some(expiring) = expiring {
            for told in self.told.values_mut() {
                told.expires_at.retain(|name, _| expiring.iter().any(|expiring| expiring.name == *name));
            }
        }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Of the standing as it is.
    Event(EventKind),
    /// From this trouble.
    Recovered(Trouble),
    Expires(Expiring),
}

impl Due {
    pub(super) fn event(&self) -> EventKind {
        match self {
            Due::Event(event) => *event,
            Due::Recovered(_) => EventKind::Recovered,
            Due::Expires(_) => EventKind::CredentialExpires,
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn is_empty(happened: Happened) -> bool {
    matches!(happened, Happened::Well { rows: Some(0) })
}

/// Whether a span is over, less a twenty-fourth of it: a daily run that begins a second earlier than yesterday's is a day later.
fn is_over(now: DateTime<Utc>, before: DateTime<Utc>, every: Duration) -> bool {
    (now - before).to_std().is_ok_and(|passed| passed >= every - every / 24)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::notify::To;

    const FAILED: Happened = Happened::Trouble(Problem::Failed);
    const HELD: Happened = Happened::Trouble(Problem::Held);
    const LOGIN: Happened = Happened::Trouble(Problem::LoginNeeded);
    const WELL: Happened = Happened::Well { rows: Some(7) };
    const EMPTY: Happened = Happened::Well { rows: Some(0) };

    fn receiver(on: &[EventKind]) -> Receiver {
        Receiver {
            name: "command".to_owned(),
            to: To::Command(vec!["true".to_owned()]),
            on: on.iter().copied().collect(),
            repeat_interval: DAY,
            empty_after: 3,
            expires_within: 7 * DAY,
            is_http_allowed: false,
        }
    }

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::hours(hour)
    }

    /// What a receiver hears of a history, by the hour of each event; `is_taken` says whether it takes notices at that hour.
    fn heard(on: &[EventKind], is_taken: impl Fn(i64) -> bool, story: &[(i64, Happened)]) -> Vec<String> {
        let receiver = receiver(on);
        let mut standing = Standing::default();
        let mut heard = Vec::new();
        for (at, happened) in story {
            standing = standing.after(hour(*at), *happened);
            standing.pass_over(&receiver, hour(*at));
            for due in standing.due(&receiver, hour(*at), *happened, &[]) {
                if is_taken(*at) {
                    standing.remember(&receiver.name, hour(*at), &due);
                    heard.push(format!("{at} {}", due.event().word()));
                }
            }
        }
        heard
    }

    fn check(story: &[(i64, Happened)], expect: &[&str]) {
        assert_eq!(heard(&EventKind::ALL, |_| true, story), expect, "{story:?}");
    }

    #[test]
    fn each_thing_is_told_once_and_again_after_a_day() {
        check(&[(0, WELL), (1, WELL)], &[]);
        check(&[(0, FAILED), (1, FAILED), (2, WELL), (3, WELL)], &["0 failed", "2 recovered"]);
        check(&[(0, FAILED), (23, FAILED), (24, FAILED), (46, FAILED)], &["0 failed", "23 failed", "46 failed"]);
        check(&[(0, FAILED), (22, FAILED), (24, FAILED)], &["0 failed", "24 failed"]);
        check(
            &[(0, FAILED), (1, HELD), (2, HELD), (3, LOGIN), (4, WELL)],
            &["0 failed", "1 held", "3 login_needed", "4 recovered"],
        );
        // What is neither good nor bad changes nothing.
        check(&[(0, FAILED), (1, Happened::Nothing), (2, FAILED), (3, Happened::Missed)], &["0 failed", "3 missed"]);
        // A clock that was set back does not make it new.
        check(&[(50, FAILED), (1, FAILED)], &["50 failed"]);
        check(&[(0, WELL), (1, FAILED), (2, WELL), (3, FAILED)], &["1 failed", "2 recovered", "3 failed"]);
    }

    #[test]
    fn a_refresh_that_fails_is_told_once_until_one_is_well() {
        let receiver = receiver(&EventKind::ALL);
        let mut standing = Standing::default();
        let mut told = Vec::new();
        for (at, is_well) in [(0, true), (1, false), (2, false), (24, false), (25, true), (26, false), (27, true)] {
            standing = standing.after(hour(at), WELL).refreshed(is_well);
            let due = if is_well { None } else { standing.due_refresh(&receiver, hour(at)) };
            if let Some(due) = due {
                standing.remember(&receiver.name, hour(at), &due);
                told.push(at);
            }
        }
        assert_eq!(told, [1, 24, 26]);
        let deaf = Receiver { on: BTreeSet::from([EventKind::Failed]), ..receiver };
        assert_eq!(standing.due_refresh(&deaf, hour(28)), None);
    }

    #[test]
    fn empty_runs_are_counted_in_a_row() {
        check(&[(0, EMPTY), (1, EMPTY)], &[]);
        check(&[(0, EMPTY), (1, EMPTY), (2, EMPTY), (3, EMPTY)], &["2 empty"]);
        check(&[(0, EMPTY), (1, EMPTY), (2, WELL), (3, EMPTY), (4, EMPTY)], &[]);
        check(
            &[(0, EMPTY), (1, EMPTY), (2, EMPTY), (3, WELL), (4, EMPTY), (5, EMPTY), (6, EMPTY)],
            &["2 empty", "6 empty"],
        );
        check(&[(0, EMPTY), (1, EMPTY), (2, EMPTY), (26, EMPTY)], &["2 empty", "26 empty"]);
        // A failure between them is no row; a run of no table says nothing.
        check(&[(0, EMPTY), (1, EMPTY), (2, FAILED), (3, EMPTY)], &["2 failed", "3 recovered", "3 empty"]);
        check(&[(0, EMPTY), (1, EMPTY), (2, EMPTY), (27, Happened::Well { rows: None })], &["2 empty"]);
    }

    #[test]
    fn what_was_not_taken_is_told_by_the_next_run() {
        let story = [(0, FAILED), (1, FAILED), (2, WELL), (3, WELL)];
        assert_eq!(heard(&EventKind::ALL, |at| at != 0, &story), ["1 failed", "2 recovered"]);
        assert_eq!(heard(&EventKind::ALL, |at| at != 2, &story), ["0 failed", "3 recovered"]);
        // Nobody who was told nothing is told that it is over.
        assert_eq!(heard(&EventKind::ALL, |at| at > 1, &story), [""; 0]);
    }

    #[test]
    fn a_receiver_hears_what_it_asked_for() {
        let story = [(0, FAILED), (1, WELL), (2, HELD), (3, WELL), (4, WELL)];
        assert_eq!(heard(&[EventKind::Recovered], |_| true, &story), ["1 recovered", "3 recovered"]);
        assert_eq!(heard(&[EventKind::Failed], |_| true, &story), ["0 failed"]);
        assert_eq!(heard(&[EventKind::Held, EventKind::Recovered], |_| true, &story), ["2 held", "3 recovered"]);
        // The next failure is new to somebody who does not hear of recoveries.
        let again = [(0, FAILED), (1, WELL), (2, FAILED)];
        assert_eq!(heard(&[EventKind::Failed], |_| true, &again), ["0 failed", "2 failed"]);
    }

    #[test]
    fn a_credential_is_told_of_before_its_end_and_once_a_day() {
        let receiver = receiver(&EventKind::ALL);
        let expiring = |within_max| {
            let (name, hint) = ("the SAS".to_owned(), String::new());
            [Expiring { name, expires_at: hour(240), within_max, hint }]
        };
        let check = |within_max, hours: &[i64], expect: &[i64]| {
            let mut standing = Standing::default();
            let mut told = Vec::new();
            for at in hours {
                for due in standing.due(&receiver, hour(*at), WELL, &expiring(within_max)) {
                    standing.remember(&receiver.name, hour(*at), &due);
                    told.push(*at);
                }
            }
            assert_eq!(told, expect, "{hours:?}");
        };
        check(DAY * 365, &[71, 72, 73, 95, 96, 300], &[72, 95, 300]);
        check(DAY, &[72, 215, 216, 240, 241], &[216, 240]);
        let mut standing = Standing::default();
        standing.remember(&receiver.name, hour(0), &Due::Expires(expiring(DAY)[0].clone()));
        standing.tidy(std::slice::from_ref(&receiver), Some(&[]));
        assert!(standing.told["command"].expires_at.is_empty(), "it was renewed");
        standing.tidy(&[], None);
        assert!(standing.told.is_empty());
        let _: BTreeSet<EventKind> = receiver.on;
    }
}
