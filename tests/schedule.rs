//! Schedules: when slots are, and what `haul run --due` makes of them.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::daemon::{Time, assert_each_once, history, outcomes, scheduled, slots, source};
use support::server::Server;
use support::{Done, Workplace, job};

/// A call at an instant.
fn haul_at(place: &Workplace, at: &str, args: &[&str]) -> Done {
    let mut command = place.command(args);
    Time::From(at.to_owned(), 1).apply(&mut command);
    Done::of(command.output().expect("haul starts"))
}

fn history_at(place: &Workplace, at: &str, file: &str) -> Vec<Value> {
    let shown = haul_at(place, at, &["runs", file, "--last", "1000", "--json"]).expect_code(0).json();
    shown["history"].as_array().expect("entries").clone()
}

#[test]
fn the_next_slots_are_shown_by_the_zones_clock_and_in_utc() {
    let place = Workplace::new();
    let file = place.file(
        "job.yaml",
        &scheduled("http://127.0.0.1:1", "cron: '30 2 * * *', timezone: Europe/Amsterdam, blackout: [{ from: '02:00', until: '03:00', days: [mon] }]"),
    );
    let shown = place.haul(&["schedule", "next", &file, "3", "--after", "2024-03-30T12:00:00Z", "--json"]);
    let shown = shown.expect_code(0).json();
    let slot = |at: usize| (shown["slots"][at]["slot"].clone(), shown["slots"][at]["local"].clone());
    assert_eq!(slot(0), (json!("2024-03-31T01:00:00Z"), json!("2024-03-31T03:00:00+02:00")));
    assert_eq!(slot(1), (json!("2024-04-01T00:30:00Z"), json!("2024-04-01T02:30:00+02:00")));
    assert_eq!(shown["slots"][1]["blackout"], "02:00 to 03:00 (mon)");
    assert_eq!(shown["slots"][2]["blackout"], Value::Null);
    assert!(shown["tzdata"].as_str().is_some_and(|version| version.starts_with("20")), "{shown}");
    place.haul(&["schedule", "next", &file]).expect_code(0).expect_says(&["Europe/Amsterdam", "CE", "UTC"]);
    place.haul(&["schedule", "check", &file]).expect_code(0).expect_says(&["names times", "the clock goes from"]);
    let file = place.file("plain.yaml", &job("http://127.0.0.1:1", "", "key: [id]\n"));
    place.haul(&["schedule", "next", &file]).expect_code(2).expect_says(&["has no `schedule`", "for example"]);
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_where_it_stands() {
    let place = Workplace::new();
    let check = |schedule: &str, says: &[&str]| {
        let file = place.file("job.yaml", &scheduled("http://127.0.0.1:1", schedule));
        place.haul(&["check", &file]).expect_code(2).expect_says(says);
    };
    check("cron: '0 25 * * *', timezone: UTC", &["schedule.cron", "hour: 25 is not within 0 to 23"]);
    check("cron: '0 5 * * *', timezone: Europe/Amsterdm", &["schedule.timezone", "Europe/Amsterdam"]);
    check("cron: '0 5 * * *'", &["timezone"]);
    check("cron: '0 5 * * *', every: 15m, timezone: UTC", &["one of `cron` and `every`"]);
    check("timezone: UTC", &["`cron` or `every`"]);
    check("every: 15m, timezone: UTC, catchup: { all: 0 }", &["1 to 100"]);
    check("every: 15m, timezone: UTC, blackout: [{ from: '25:00', until: '06:00' }]", &["no time of the day"]);
}

#[test]
fn a_crontab_beside_a_daemon_finds_its_slots_served() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1h, timezone: UTC"));
    // Seen for the first time: what was before is nobody's.
    place.haul(&["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due; next 20"]);
    let done = place.haul_in(3, &["run", &file, "--due", "--json"]).expect_code(0).json();
    assert_eq!(done["outcome"], "published");
    place.haul_in(3, &["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due"]);
    let outcomes: Vec<Value> = history(&place, &file).iter().map(|entry| entry["outcome"].clone()).collect();
    assert!(outcomes.contains(&json!("missed")) && outcomes.contains(&json!("published")), "{outcomes:?}");
}

#[test]
fn three_days_down_are_made_up_for_as_the_job_says() {
    let check = |catchup: &str, expect: &[&str], requests: usize| {
        let (server, place) = (source(), Workplace::new());
        let schedule = format!("cron: '0 5 * * *', timezone: Europe/Amsterdam, catchup: {catchup}");
        let file = place.file("job.yaml", &scheduled(&server.url, &schedule));
        haul_at(&place, "2026-03-26 12:00:00", &["run", &file, "--due"])
            .expect_code(0)
            .expect_says(&["nothing is due"]);
        let due = || haul_at(&place, "2026-03-29 12:00:00", &["run", &file, "--due"]).expect_code(0);
        while due().stderr.contains("published") || server.asked().len() < requests {}
        for _ in 0..5 {
            due();
        }
        assert_eq!(server.asked().len(), requests, "{catchup}");
        let entries = history_at(&place, "2026-03-29 12:00:00", &file);
        assert_each_once(&entries);
        // Every call has the same time, so their order is not told.
        let mut outcomes = outcomes(&entries);
        outcomes.sort_unstable();
        assert_eq!(outcomes, expect, "{catchup}");
        // On the last of these days the clock was set.
        assert_eq!(slots(&entries).last(), Some(&"2026-03-29T03:00:00Z"));
        let why = entries.iter().find(|entry| entry["outcome"] == "missed").map(|entry| entry["why"].to_string());
        assert!(why.is_none_or(|why| why.contains("at the time of") || why.contains("at its time")));
    };
    check("latest", &["missed", "published"], 1);
    check("none", &["missed"], 0);
    check("{ all: 10 }", &["published", "published", "published"], 3);
    check("{ all: 2 }", &["missed", "published", "published"], 2);
}

#[test]
fn a_clock_that_was_wrong_by_hours_or_decades_costs_no_slot_twice_and_no_time() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("job.yaml", &scheduled(&server.url, "cron: '* * * * *', timezone: UTC"));
    let due = |at: &str| haul_at(&place, at, &["run", &file, "--due", "--json"]).expect_code(0);
    // A machine that starts with its clock at the beginning.
    due("1971-01-01 00:00:30");
    let began = std::time::Instant::now();
    due("2026-03-01 12:00:10");
    assert!(began.elapsed() < Duration::from_secs(20), "29 million slots were gone through one by one");
    assert_eq!(server.asked().len(), 1);
    // Three hours forward, back, and forward again.
    due("2026-03-01 15:00:10");
    for minute in 0..5 {
        due(&format!("2026-03-01 12:0{minute}:20"));
    }
    due("2026-03-01 15:00:20");
    assert_eq!(server.asked().len(), 2);
    due("2026-03-01 15:01:20");
    assert_eq!(server.asked().len(), 3);
    let entries = history_at(&place, "2026-03-01 15:02:00", &file);
    assert_each_once(&entries);
    assert_eq!(outcomes(&entries).iter().filter(|outcome| **outcome == "published").count(), 3);
    let whys: Vec<String> = entries.iter().map(|entry| entry["why"].to_string()).collect();
    assert!(whys.iter().any(|why| why.contains("more than")), "{whys:?}");
    assert!(whys.iter().any(|why| why.contains("179 slots")), "{whys:?}");
}

#[test]
fn a_paused_job_and_a_blackout_let_slots_pass() {
    let (server, place) = (source(), Workplace::new());
    let blackout = "blackout: [{ from: '08:00', until: '18:00', days: [mon, tue, wed, thu, fri] }]";
    let schedule = format!("cron: '0 * * * *', timezone: Europe/Amsterdam, {blackout}");
    let file = place.file("job.yaml", &scheduled(&server.url, &schedule));
    let due = |at: &str| drop(haul_at(&place, at, &["run", &file, "--due"]).expect_code(0));
    // 2026-03-27 is a Friday: 09:00, 17:59 and 18:00 in Amsterdam.
    due("2026-03-27 07:30:00");
    due("2026-03-27 08:00:10");
    due("2026-03-27 16:59:10");
    assert_eq!(server.asked().len(), 0);
    due("2026-03-27 17:00:10");
    assert_eq!(server.asked().len(), 1);
    haul_at(&place, "2026-03-27 17:30:00", &["schedule", "pause", &file]).expect_code(0);
    due("2026-03-27 18:00:10");
    assert_eq!(server.asked().len(), 1);
    haul_at(&place, "2026-03-27 18:30:00", &["schedule", "resume", &file]).expect_code(0);
    due("2026-03-27 19:00:10");
    assert_eq!(server.asked().len(), 2);
    let entries = history_at(&place, "2026-03-27 20:00:00", &file);
    assert_each_once(&entries);
    let outcomes = outcomes(&entries);
    assert_eq!(outcomes, ["blackout", "missed", "blackout", "published", "paused", "published"]);
}

#[test]
fn a_run_that_cannot_begin_has_had_its_slot() {
    let (server, place) = (source(), Workplace::new());
    let auth = "auth: { bearer: { token: \"${HAUL_TEST_MISSING}\" } }\n";
    let text = format!("{}schedule: {{ every: 1h, timezone: UTC }}\n", job(&server.url, auth, "key: [id]\n"));
    let file = place.file("job.yaml", &text);
    haul_at(&place, "2026-03-27 07:30:00", &["run", &file, "--due"]).expect_code(0);
    let failed = haul_at(&place, "2026-03-27 08:00:10", &["run", &file, "--due"]).expect_code(2);
    failed.expect_says(&["HAUL_TEST_MISSING"]);
    haul_at(&place, "2026-03-27 08:01:10", &["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due"]);
    let entries = history_at(&place, "2026-03-27 08:02:00", &file);
    assert_eq!(outcomes(&entries), ["failed"]);
    assert!(entries[0]["why"].as_str().is_some_and(|why| why.contains("HAUL_TEST_MISSING")), "{entries:?}");
}

#[test]
fn the_delay_of_a_slot_is_the_same_on_every_host() {
    let server = Server::start(|_, _| unreachable!("nothing is asked"));
    let shown = || {
        let place = Workplace::new();
        let schedule = "cron: '0 * * * *', timezone: UTC, jitter: 10m";
        let file = place.file("job.yaml", &scheduled(&server.url, schedule));
        let args = ["schedule", "next", &file, "50", "--after", "2026-03-28T00:00:00Z", "--json"];
        place.haul(&args).expect_code(0).json()["slots"].clone()
    };
    let slots = shown();
    assert_eq!(slots, shown());
    let delays: std::collections::BTreeSet<&str> = slots
        .as_array()
        .expect("slots")
        .iter()
        .map(|slot| &slot["starts_at"].as_str().expect("an instant")[13..])
        .collect();
    assert!(delays.len() > 30, "{delays:?}");
}
