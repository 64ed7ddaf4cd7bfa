//! `haul schedule`: when a job runs, and what the zone's clock does to that.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::Surroundings;
use super::args::{JobArgs, ScheduleArgs, ScheduleCheckArgs, ScheduleNextArgs, ScheduleVerb};
use super::failure::{Exit, Failure};
use super::output::{Output, columns};
use crate::clock::Clock;
use crate::engine::{self, host_name, slots_of};
use crate::job::load;
use crate::model::plan::Job;
use crate::schedule::{Rule, Schedule};
use crate::state::Paused;

pub(super) async fn run(around: Surroundings, args: ScheduleArgs) -> Result<Exit, Failure> {
    match &args.verb {
        ScheduleVerb::Next(args) => next(&around.output, args),
        ScheduleVerb::Check(args) => check(&around.output, args),
        ScheduleVerb::Pause(args) => pause(&around, args, true).await,
        ScheduleVerb::Resume(args) => pause(&around, args, false).await,
    }
}

async fn pause(around: &Surroundings, args: &JobArgs, is_paused: bool) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let next = schedule_of(&job)?.next_after(Clock.now());
    let records = around.settings.open_records().await?;
    let slots = slots_of(&job, &records);
    let by = format!("`haul schedule pause` on {}", host_name());
    let is_changed = match is_paused {
        true => slots.pause(&Paused { since: Clock.now(), by }).await,
        false => slots.resume(Clock.now()).await,
    };
    let is_changed = is_changed.map_err(engine::Error::from)?;
    if around.output.is_json {
        around.output.json(&json!({ "job": job.name, "paused": is_paused, "changed": is_changed }));
        return Ok(Exit::Done);
    }
    let next = next.map_or_else(|| "never".to_owned(), |next| next.format("%Y-%m-%d %H:%M:%SZ").to_string());
    around.output.line(match (is_paused, is_changed) {
        (true, true) => {
            format!("job `{}` is paused: no run begins by itself; `haul run` still does what you say", job.name)
        }
        (true, false) => format!("job `{}` was paused already", job.name),
        (false, true) => format!("job `{}` goes on: next at {next}", job.name),
        (false, false) => format!("job `{}` was not paused: next at {next}", job.name),
    });
    Ok(Exit::Done)
}

fn schedule_of(job: &Job) -> Result<&Schedule, Failure> {
    job.schedule.as_ref().ok_or_else(|| {
        Failure::usage(format!("job `{}` has no `schedule`", job.name))
            .hint("for example `schedule: { cron: \"0 5 * * 1-5\", timezone: Europe/Amsterdam }`")
    })
}

/// A slot as it is shown.
struct Slot {
    slot: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    blackout: Option<String>,
}

fn slots(job: &Job, schedule: &Schedule, after: DateTime<Utc>, count: usize) -> Vec<Slot> {
    let mut at = after;
    std::iter::from_fn(|| {
        let slot = schedule.next_after(at)?;
        at = slot;
        let blackout = schedule.blackout_at(slot).map(ToString::to_string);
        Some(Slot { slot, starts_at: schedule.starts_at(&job.name, slot), blackout })
    })
    .take(count)
    .collect()
}

fn next(output: &Output, args: &ScheduleNextArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let schedule = schedule_of(&job)?;
    let after = match &args.after {
        None => Clock.now(),
        Some(text) => {
            let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
            read.map_err(|_| Failure::usage(format!("`{text}` is no instant")).hint("as in 2026-03-29T00:00:00Z"))?
        }
    };
    let slots = slots(&job, schedule, after, args.count);
    if output.is_json {
        let zone = schedule.zone;
        let slots = slots.iter().map(|Slot { slot, starts_at, blackout }| {
            json!({ "slot": slot, "local": slot.with_timezone(&zone).to_rfc3339(), "starts_at": starts_at, "blackout": blackout })
        });
        output.json(&json!({
            "job": job.name,
            "schedule": schedule.rule.to_string(),
            "timezone": zone.name(),
            "tzdata": chrono_tz::IANA_TZDB_VERSION,
            "slots": slots.collect::<Vec<_>>(),
        }));
        return Ok(Exit::Done);
    }
    let mut rows = vec![["LOCAL", "UTC", ""].map(str::to_owned).to_vec()];
    rows.extend(slots.iter().map(|Slot { slot, starts_at, blackout }| {
        let local = slot.with_timezone(&schedule.zone).format("%a %Y-%m-%d %H:%M:%S %Z").to_string();
        let delay = (*starts_at - *slot).num_seconds();
        let note = match (blackout, delay) {
            (Some(blackout), _) => format!("not served: blackout {blackout}"),
            (None, 0) => String::new(),
            (None, delay) => format!("begins {delay} s later"),
        };
        vec![local, slot.format("%Y-%m-%d %H:%M:%SZ").to_string(), note]
    }));
    for line in columns(&rows, &[false, false, false]) {
        output.line(line);
    }
    output.note(format!(
        "{} in {}, by the zone data {}",
        schedule.rule,
        schedule.zone.name(),
        chrono_tz::IANA_TZDB_VERSION
    ));
    Ok(Exit::Done)
}

/// A day on which a zone's clock is set, and what comes of the schedule then.
struct SetClock {
    at: DateTime<Utc>,
    from: String,
    to: String,
    slots: usize,
    slots_before: usize,
}

fn check(output: &Output, args: &ScheduleCheckArgs) -> Result<Exit, Failure> {
    let mut documents = Vec::new();
    for file in &args.files {
        let job = load(file, &[])?;
        let schedule = schedule_of(&job)?;
        let now = Clock.now();
        let settings = set_clocks(schedule, now);
        let next = schedule.next_after(now);
        if output.is_json {
            let settings = settings.iter().map(|set| {
                json!({ "at": set.at, "from": set.from, "to": set.to, "slots": set.slots, "slots_on_the_day_before": set.slots_before })
            });
            documents.push(json!({
                "job": job.name,
                "schedule": schedule.rule.to_string(),
                "timezone": schedule.zone.name(),
                "next": next,
                "clock_changes": settings.collect::<Vec<_>>(),
            }));
            continue;
        }
        let next = next.map_or_else(|| "never again".to_owned(), |next| next.format("%Y-%m-%d %H:%M:%SZ").to_string());
        output.line(format!("{}: {} in {}, next {next}", job.name, schedule.rule, schedule.zone.name()));
        output.line(match &schedule.rule {
            Rule::Cron(cron) if cron.is_fixed() => {
                "  names times: each comes once a day; one that the clock leaps over comes right behind the gap"
                    .to_owned()
            }
            Rule::Cron(_) | Rule::Every(_) => {
                "  follows elapsed time: what the clock shows twice comes twice".to_owned()
            }
        });
        for SetClock { at, from, to, slots, slots_before } in settings {
            let at = at.format("%Y-%m-%d %H:%M:%SZ");
            output.line(format!("  {at} the clock goes from {from} to {to}: {slots} slots within 24 hours, {slots_before} in those before"));
        }
    }
    if output.is_json {
        output.json(&documents);
    }
    Ok(Exit::Done)
}

/// The next two times at which the zone's clock is set, within two years.
fn set_clocks(schedule: &Schedule, now: DateTime<Utc>) -> Vec<SetClock> {
    let local = |at: DateTime<Utc>| at.with_timezone(&schedule.zone);
    let count = |from: DateTime<Utc>, until: DateTime<Utc>| {
        let mut at = from - TimeDelta::seconds(1);
        let mut slots = 0;
        while let Some(slot) = schedule.next_after(at).filter(|slot| *slot < until) {
            (at, slots) = (slot, slots + 1);
        }
        slots
    };
    let mut found = Vec::new();
    for day in 0..730 {
        let (mut before, mut behind) = (now + TimeDelta::days(day), now + TimeDelta::days(day + 1));
        if local(before).offset() == local(behind).offset() {
            continue;
        }
        while behind - before > TimeDelta::seconds(1) {
            let middle = before + (behind - before) / 2;
            if local(middle).offset() == local(before).offset() { before = middle } else { behind = middle }
        }
        let clock = |at: DateTime<Utc>| local(at).format("%H:%M %Z").to_string();
        let half = TimeDelta::hours(12);
        found.push(SetClock {
            at: behind,
            from: clock(behind - TimeDelta::seconds(1)),
            to: clock(behind),
            slots: count(behind - half, behind + half),
            slots_before: count(behind - half - TimeDelta::days(1), behind - half),
        });
        if found.len() == 2 {
            break;
        }
    }
    found
}
