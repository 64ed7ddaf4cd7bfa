//! The meaning of `schedule` and `timeouts`.

use std::time::Duration;

use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;

use super::problem::{Problems, did_you_mean, wrong};
use super::spec_schedule::{BlackoutSpec, CatchupSpec, OverlapSpec, ScheduleSpec, TimeoutsSpec};
use super::value::check_duration;
use crate::limits::CATCHUP_SLOTS_MAX;
use crate::model::plan::Timeouts;
use crate::schedule::{Blackout, Catchup, Overlap, Rule, Schedule, parse};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

/// `None` = the problems say why.
pub(super) fn check_schedule(spec: &ScheduleSpec, problems: &mut Problems<'_>) -> Option<Schedule> {
    let rule = check_rule(spec, problems);
    let zone = check_zone(&spec.timezone, problems);
    let jitter = match &spec.jitter {
        None => Some(Duration::ZERO),
        Some(text) => check_duration(text, "schedule.jitter", problems),
    };
    let blackouts: Vec<Option<Blackout>> = spec
        .blackout
        .iter()
        .enumerate()
        .map(|(at, blackout)| check_blackout(blackout, &format!("schedule.blackout[{at}]"), problems))
        .collect();
    let catchup = match spec.catchup {
        CatchupSpec::Latest => Some(Catchup::Latest),
        CatchupSpec::None => Some(Catchup::None),
        CatchupSpec::All(slots) if (1..=CATCHUP_SLOTS_MAX).contains(&slots) => Some(Catchup::All(slots)),
        CatchupSpec::All(slots) => {
            let draft = wrong(format!("{slots} is no number of slots to make up for"));
            problems.at("schedule.catchup.all", draft.allowed(format!("1 to {CATCHUP_SLOTS_MAX}")));
            None
        }
    };
    let overlap = match spec.overlap {
        OverlapSpec::Skip => Overlap::Skip,
        OverlapSpec::Queue => Overlap::Queue,
        OverlapSpec::Cancel => Overlap::Cancel,
    };
    let blackouts = blackouts.into_iter().collect::<Option<_>>()?;
    Some(Schedule { rule: rule?, zone: zone?, jitter: jitter?, blackouts, catchup: catchup?, overlap })
}

/// What is wrong is among the problems.
pub(super) fn check_timeouts(spec: &TimeoutsSpec, problems: &mut Problems<'_>) -> Timeouts {
    let mut read = |text: &Option<String>, path| text.as_ref().and_then(|text| check_duration(text, path, problems));
    Timeouts { run: read(&spec.run, "timeouts.run"), stall: read(&spec.stall, "timeouts.stall") }
}

fn check_rule(spec: &ScheduleSpec, problems: &mut Problems<'_>) -> Option<Rule> {
    match (&spec.cron, &spec.every) {
        (Some(text), None) => match parse(text) {
            Ok(cron) => Some(Rule::Cron(Box::new(cron))),
            Err(why) => {
                let draft = wrong(why.to_string()).found(format!("`{text}`"));
                problems.at("schedule.cron", draft.hint("for example `0 5 * * 1-5`: at 05:00 from Monday to Friday"));
                None
            }
        },
        (None, Some(text)) => check_duration(text, "schedule.every", problems).map(Rule::Every),
        (Some(_), Some(_)) => {
            problems.at("schedule.every", wrong("a schedule has one of `cron` and `every`").hint("remove the other"));
            None
        }
        (None, None) => {
            problems.at("schedule", wrong("a schedule has `cron` or `every`"));
            None
        }
    }
}

fn check_zone(text: &str, problems: &mut Problems<'_>) -> Option<Tz> {
    if let Ok(zone) = text.trim().parse() {
        return Some(zone);
    }
    let near = did_you_mean(text.trim(), chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
    let draft = wrong(format!("`{text}` is no time zone")).allowed("a name such as Europe/Amsterdam or UTC");
    problems.at("schedule.timezone", draft.maybe_hint(near));
    None
}

fn check_blackout(spec: &BlackoutSpec, path: &str, problems: &mut Problems<'_>) -> Option<Blackout> {
    let mut time = |text: &str, name: &str| {
        let time = NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        if time.is_none() {
            let draft = wrong(format!("`{text}` is no time of the day")).allowed("00:00 to 23:59");
            problems.at(&format!("{path}.{name}"), draft);
        }
        time
    };
    let (from, until) = (time(&spec.from, "from"), time(&spec.until, "until"));
    let mut days = Vec::new();
    for word in &spec.days {
        match DAYS.iter().find(|(name, _)| word.trim().eq_ignore_ascii_case(name)) {
            Some((_, day)) => days.push(*day),
            None => {
                let allowed = DAYS.map(|(name, _)| name).join(", ");
                problems.at(&format!("{path}.days"), wrong(format!("`{word}` is no day")).allowed(allowed));
                return None;
            }
        }
    }
    if days.is_empty() {
        days = DAYS.map(|(_, day)| day).to_vec();
    }
    Some(Blackout { from: from?, until: until?, days })
}
