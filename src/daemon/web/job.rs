//! One job: how it fares, what it did, what it will do, what readers see, and what waits for a person.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::connect::credential_of;
use super::overview::{entry_of, going_of, health_class, next_of, schedule_of, zone_of};
use super::session::Visitor;
use super::shares::first_end;
use super::view::{Problem, TheSite, instant, page as show};
use super::{Site, chart};
use crate::clock::Clock;
use crate::daemon::board::Seat;
use crate::engine::{find_unfinished, text_of};
use crate::limits::PAGE_ENTRIES;
use crate::model::amounts::{count, size};
use crate::model::manifest::Manifest;
use crate::store::Store;

/// Slots to come that are shown.
const NEXT_SLOTS: usize = 5;
/// Runs in the charts.
const CHART_RUNS: usize = 60;

pub(super) async fn page(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let seat = site.seat(&name)?;
    let (now, zone) = (Clock.now(), zone_of(&seat));
    let waiting = match &seat.store {
        Ok(store) => of_store(&site, &seat, store, now).await,
        Err(why) => json!({ "wrong": [format!("the destination cannot be opened: {why}")] }),
    };
    let credential = credential_of(&site, &seat, now).await;
    let entries = match &seat.books {
        Some(books) => books.history.newest(PAGE_ENTRIES, now).await.map_err(|error| Problem::failed(&error))?,
        None => Vec::new(),
    };
    let share_end = match &seat.store {
        Ok(store) => site.shares.of(store).await.ok().and_then(|shares| first_end(&shares)),
        Err(_) => None,
    };
    let health = seat.health();
    let content = json!({
        "name": seat.job.name,
        "file": seat.file.display().to_string(),
        "broken": site.web.board.broken().get(&seat.file),
        "health": health.word(),
        "class": health_class(health),
        "trouble": seat.trouble,
        "schedule": schedule_of(&seat),
        "next": next_of(&seat, now),
        "slots": slots(&seat, now),
        "paused": seat.paused.as_ref().map(|paused| json!({ "by": paused.by, "since": instant(paused.since, now, zone) })),
        "going": seat.going.as_ref().map(|going| going_of(going, now, zone)),
        "elsewhere": seat.elsewhere.as_ref().map(|(_, host)| host),
        "last_success": seat.last_success.map(|at| instant(at, now, zone)),
        "entries": entries.iter().map(|entry| entry_of(entry, now, zone)).collect::<Vec<_>>(),
        "durations": chart::durations(&entries, CHART_RUNS, (480, 64)),
        "rows": chart::rows(&entries, CHART_RUNS, (480, 64)),
        "destination": seat.store.as_ref().ok().map(|store| store.shown()),
        "waiting": waiting,
        "share_end": share_end.map(|end| instant(end, now, zone)),
        "share_is_over": share_end.is_some_and(|end| end <= now),
        "credential": credential,
        "is_live": seat.going.is_some(),
    });
    Ok(show(&site, &visitor, "job.html", &name, content))
}

fn slots(seat: &Seat, now: DateTime<Utc>) -> Vec<Value> {
    let Some(schedule) = &seat.job.schedule else { return Vec::new() };
    let mut at = now;
    let mut slots = Vec::new();
    while let Some(slot) = schedule.next_after(at).filter(|_| slots.len() < NEXT_SLOTS) {
        at = slot;
        let blackout = schedule.blackout_at(slot).map(ToString::to_string);
        slots.push(json!({ "at": instant(slot, now, schedule.zone), "blackout": blackout }));
    }
    slots
}

/// What the destination and the record store say: the tables, held runs, an unfinished one.
async fn of_store(site: &Site, seat: &Seat, store: &Store, now: DateTime<Utc>) -> Value {
    let zone = zone_of(seat);
    let current = store.load_current().await;
    let held = store.list_held().await;
    let unfinished = find_unfinished(&site.web.settings, &site.web.records, &seat.job, store).await;
    let mut wrong: Vec<String> = Vec::new();
    let tables = match &current {
        Ok(current) => current.as_ref().map(|current| tables(&current.manifest)),
        Err(error) => {
            wrong.push(text_of(error));
            None
        }
    };
    let published = current.ok().flatten().map(|current| {
        json!({
            "snapshot": current.manifest.snapshot,
            "at": instant(current.manifest.published_at, now, zone),
            "restored_from": current.manifest.restored_from,
        })
    });
    let held: Vec<Value> = match held {
        Ok(held) => held
            .iter()
            .map(|held| {
                let tables = held.tables.iter();
                let tables = tables.map(|(name, table)| json!({ "name": name, "rows": count(table.rows) }));
                json!({
                    "run": held.run,
                    "at": instant(held.held_at, now, zone),
                    "why": held.why,
                    "tables": tables.collect::<Vec<_>>(),
                })
            })
            .collect(),
        Err(error) => {
            wrong.push(text_of(&error));
            Vec::new()
        }
    };
    // A run that is going on is no unfinished one.
    let unfinished = match unfinished {
        Ok(unfinished) => unfinished.filter(|_| seat.going.is_none() && seat.elsewhere.is_none()),
        Err(error) => {
            wrong.push(text_of(&error));
            None
        }
    };
    let unfinished = unfinished.map(|unfinished| {
        let pages: u64 = unfinished.streams.iter().map(|stream| stream.pages).sum();
        json!({
            "run": unfinished.run,
            "began": instant(unfinished.began_at, now, zone),
            "pages": count(pages),
            "until": unfinished.until.map(|until| instant(until, now, zone)),
        })
    });
    json!({ "tables": tables, "published": published, "held": held, "unfinished": unfinished, "wrong": wrong })
}

fn tables(manifest: &Manifest) -> Vec<Value> {
    let table = |(name, table): (&String, &crate::model::manifest::TableManifest)| {
        json!({
            "name": name,
            "rows": count(table.rows),
            "bytes": size(table.bytes),
            "columns": table.columns.len(),
            "files": table.parts.len(),
            "format": table.format,
        })
    };
    manifest.tables.iter().map(table).collect()
}
