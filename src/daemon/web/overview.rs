//! All jobs at a glance.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::chart;
use super::session::Visitor;
use super::view::{TheSite, instant, page as show};
use crate::clock::Clock;
use crate::daemon::board::{Going, Health, Seat};
use crate::model::amounts::{count, counted, size, span};
use crate::model::history::Entry;

/// Runs in the chart of a row.
const CHART_RUNS: usize = 20;

pub(super) async fn page(State(site): TheSite, Extension(visitor): Extension<Visitor>) -> Response {
    let now = Clock.now();
    let mut seats = site.web.board.seats();
    // What needs somebody first.
    seats.sort_by(|a, b| (a.health(), &a.job.name).cmp(&(b.health(), &b.job.name)));
    let healths = [Health::Failing, Health::Waiting, Health::Paused, Health::New, Health::Good];
    let sums: Vec<Value> = healths
        .iter()
        .map(|health| {
            let jobs = seats.iter().filter(|seat| seat.health() == *health).count();
            json!({ "word": health.word(), "class": health_class(*health), "count": jobs })
        })
        .filter(|sum| sum["count"] != 0)
        .collect();
    let broken: Vec<Value> = site
        .web
        .board
        .broken()
        .iter()
        .map(|(file, why)| json!({ "file": file.display().to_string(), "why": why }))
        .collect();
    let content = json!({
        "sums": sums,
        "jobs": seats.iter().map(|seat| row(seat, now)).collect::<Vec<_>>(),
        "broken": broken,
        "is_live": seats.iter().any(|seat| seat.going.is_some()),
    });
    show(&site, &visitor, "overview.html", "Jobs", content)
}

pub(super) fn health_class(health: Health) -> &'static str {
    match health {
        Health::Failing => "bad",
        Health::Waiting => "wait",
        Health::Paused | Health::New => "idle",
        Health::Good => "good",
    }
}

/// The zone by whose clock a job is shown.
pub(super) fn zone_of(seat: &Seat) -> Tz {
    seat.job.schedule.as_ref().map_or(Tz::UTC, |schedule| schedule.zone)
}

fn row(seat: &Seat, now: DateTime<Utc>) -> Value {
    let zone = zone_of(seat);
    let health = seat.health();
    json!({
        "name": seat.job.name,
        "health": health.word(),
        "class": health_class(health),
        "trouble": seat.trouble,
        "last": seat.entries.first().map(|entry| entry_of(entry, now, zone)),
        "chart": chart::durations(&seat.entries, CHART_RUNS, (120, 24)),
        "next": next_of(seat, now),
        "schedule": schedule_of(seat),
        "going": seat.going.as_ref().map(|going| going_of(going, now, zone)),
        "elsewhere": seat.elsewhere.as_ref().map(|(_, host)| host),
        "is_paused": seat.paused.is_some(),
    })
}

pub(super) fn schedule_of(seat: &Seat) -> Option<String> {
    seat.job.schedule.as_ref().map(|schedule| format!("{} {}", schedule.rule, schedule.zone.name()))
}

/// When the next run begins.
pub(super) fn next_of(seat: &Seat, now: DateTime<Utc>) -> Option<Value> {
    let (_, starts_at) = seat.next?;
    Some(instant(starts_at, now, zone_of(seat)))
}

/// A slot or run as a row of a table.
pub(super) fn entry_of(entry: &Entry, now: DateTime<Utc>, zone: Tz) -> Value {
    let rows = entry.run.as_ref().map(|run| run.tables.values().map(|table| table.rows).sum::<u64>());
    let changes =
        entry.run.as_ref().map_or(0, |run| run.tables.values().map(|table| table.schema_changes).sum::<u64>());
    json!({
        "at": instant(entry.at, now, zone),
        "slot": entry.slot.map(|slot| instant(slot, now, zone)),
        "outcome": entry.outcome.word(),
        "class": chart::class(entry.outcome),
        "why": entry.why,
        "host": entry.host,
        "run": entry.run.as_ref().map(|run| run.run.clone()),
        "rows": rows.map(count),
        "is_empty": rows == Some(0) && entry.outcome.is_success(),
        "took": entry.run.as_ref().map(|run| took(run.seconds)),
        "requests": entry.run.as_ref().map(|run| count(run.requests)),
        "bytes": entry.run.as_ref().map(|run| size(run.bytes)),
        "changes": (changes > 0).then(|| counted(changes, "schema change")),
    })
}

/// How long a run took; short ones with a fraction.
pub(super) fn took(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { span(seconds.round() as u64) }
}

/// A run that is going on.
pub(super) fn going_of(going: &Going, now: DateTime<Utc>, zone: Tz) -> Value {
    let streams: Vec<Value> = going
        .streams
        .iter()
        .map(|(name, stream)| {
            json!({
                "name": name,
                "rows": count(stream.rows),
                "pages": count(stream.pages),
                "bytes": size(stream.bytes),
                "slices": (stream.slices > 1).then(|| json!({ "read": stream.slices_read, "all": stream.slices })),
                "state": match (stream.is_failed, stream.is_over) {
                    (true, _) => "failed",
                    (_, true) => "read whole",
                    (false, false) => "reading",
                },
            })
        })
        .collect();
    let rows: u64 = going.streams.values().map(|stream| stream.rows).sum();
    let pages: u64 = going.streams.values().map(|stream| stream.pages).sum();
    let log: Vec<Value> = going.log.iter().rev().take(50).map(super::run::line).collect();
    json!({
        "since": instant(going.since, now, zone),
        "slot": going.slot.map(|slot| instant(slot, now, zone)),
        "took": took(going.seconds()),
        "streams": streams,
        "rows": count(rows),
        "pages": count(pages),
        "over": going.streams.values().filter(|stream| stream.is_over).count(),
        "all": going.streams.len(),
        "paused_until": going.paused_until.filter(|until| *until > now).map(|until| instant(until, now, zone)),
        "log": log,
    })
}
