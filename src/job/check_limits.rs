//! The meaning of `source.limits`.

use chrono::NaiveTime;
use chrono_tz::{TZ_VARIANTS, Tz};

use super::check::is_plain;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::LimitsSpec;
use super::value::{check_duration, check_header_name};
use crate::limits::{PAUSE_MAX_DAY, PAUSE_MAX_DEFAULT, REQUESTS_IN_FLIGHT_DEFAULT};
use crate::model::plan::SourceLimits;
use crate::model::quota::{BudgetLimits, DayResets, QuotaHeaders};

fn at(name: &str) -> String {
    format!("source.limits.{name}")
}

/// `None` = the problems say why.
pub(super) fn check_limits(spec: &LimitsSpec, problems: &mut Problems<'_>) -> Option<SourceLimits> {
    let day_resets = check_day_resets(spec, problems);
    let pause_max = match (&spec.pause_max, spec.per_day) {
        (Some(text), _) => check_duration(text, &at("pause_max"), problems),
        (None, Some(_)) => Some(PAUSE_MAX_DAY),
        (None, None) => Some(PAUSE_MAX_DEFAULT),
    };
    if let Some(name) = spec.shared_as.as_ref().filter(|name| !is_plain(name)) {
        let draft = wrong(format!("`{name}` cannot be the name of a budget"));
        problems.at(&at("shared_as"), draft.allowed("a-z, 0-9, - and _, at most 64 characters"));
    }
    if spec.shared_as.is_some() && spec.per_minute.is_none() && spec.per_day.is_none() {
        let draft = wrong("there is nothing to share: only requests per minute and per day are");
        problems.at(&at("shared_as"), draft.hint("add `per_minute` or `per_day`"));
    }
    for (name, header) in [("remaining", &spec.headers.remaining), ("reset", &spec.headers.reset)] {
        if let Some(header) = header {
            check_header_name(header, &at(&format!("headers.{name}")), problems);
        }
    }
    Some(SourceLimits {
        in_flight: spec.in_flight.unwrap_or(REQUESTS_IN_FLIGHT_DEFAULT),
        per_second: spec.per_second,
        budget: BudgetLimits { per_minute: spec.per_minute, per_day: spec.per_day, day_resets: day_resets? },
        shared_as: spec.shared_as.clone(),
        pause_max: pause_max?,
        headers: QuotaHeaders { remaining: spec.headers.remaining.clone(), reset: spec.headers.reset.clone() },
    })
}

fn check_day_resets(spec: &LimitsSpec, problems: &mut Problems<'_>) -> Option<DayResets> {
    if spec.day_resets.is_some() && spec.per_day.is_none() {
        problems.at(&at("day_resets"), wrong("there is no quota of a day to reset").hint("add `per_day`"));
    }
    let zone = match &spec.timezone {
        Some(name) => check_zone(name, problems),
        None => Some(Tz::UTC),
    };
    let time = match spec.day_resets.as_deref() {
        None | Some("rolling") => None,
        Some(text) => Some(check_time(text, problems)?),
    };
    if time.is_none() && spec.timezone.is_some() {
        let hint = "write `day_resets: \"00:00\"`, or remove `timezone`";
        problems.at(&at("timezone"), wrong("any 24 hours have no zone").hint(hint));
    }
    Some(time.map_or(DayResets::Rolling, |time| DayResets::At { time, zone: zone.unwrap_or(Tz::UTC) }))
}

fn check_time(text: &str, problems: &mut Problems<'_>) -> Option<NaiveTime> {
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
    if time.is_none() {
        let draft = wrong(format!("`{text}` is no time of a day"));
        problems.at(&at("day_resets"), draft.allowed("rolling, or a time as `\"00:00\"`"));
    }
    time
}

fn check_zone(name: &str, problems: &mut Problems<'_>) -> Option<Tz> {
    let zone = name.parse().ok();
    if zone.is_none() {
        let near = did_you_mean(name, TZ_VARIANTS.iter().map(|zone| zone.name()));
        let draft = wrong(format!("`{name}` is no time zone")).allowed("UTC, or one as `Europe/Amsterdam`");
        problems.at(&at("timezone"), draft.maybe_hint(near));
    }
    zone
}
