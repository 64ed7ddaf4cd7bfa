//! `haul serve`: each slot is served once, whatever happens to the clock, the files and the runs.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::daemon::{Daemon, Time, assert_each_once, history, outcomes, scheduled, slots, source};
use support::server::{Answer, Server, ok};
use support::{Workplace, job};

/// A source that answers when the test says so.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().expect("a flag") = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut is_open = self.is_open.lock().expect("a flag");
        while !*is_open {
            is_open = self.opened.wait(is_open).expect("a flag");
        }
    }
}

fn gated() -> (Server, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let at = Arc::clone(&gate);
    let server = Server::start(move |_, before| {
        at.pass();
        ok(json!([{ "id": before }]).to_string())
    });
    (server, gate)
}

fn instant(text: &Value) -> chrono::DateTime<chrono::Utc> {
    text.as_str().expect("an instant").parse().expect("an instant")
}

#[test]
fn a_daemon_serves_slots_reloads_and_stops_at_once() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    place.file("jobs/by-hand.yaml", &job(&server.url, "", "key: [id]\n").replace("job: test", "job: hand"));
    let daemon = Daemon::start(&place, "jobs");
    assert!(daemon.wait("unscheduled")["file"].as_str().is_some_and(|file| file.ends_with("by-hand.yaml")));
    assert!(daemon.wait("keeping")["next"]["test"].is_string());
    for _ in 0..3 {
        assert_eq!(daemon.ended()["report"]["outcome"], "published");
    }
    // A file that is broken now goes on as it was, and a new one is served from now on.
    place.file("jobs/one.yaml", "job: [");
    place.file("jobs/two.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC").replace("job: test", "job: two"));
    // Whoever takes the name of the job that is kept is not served beside it.
    place.file("jobs/zz.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    daemon.signal("-HUP");
    let broken = daemon.wait("not_loaded");
    assert_eq!(broken["kept"], true, "{broken}");
    let double = daemon.wait("not_loaded");
    assert!(double["kept"] == false && double["why"].as_str().expect("a text").contains("also in"), "{double}");
    let mut served: BTreeMap<String, u64> = BTreeMap::new();
    while served.len() < 2 || served.values().any(|count| *count < 2) {
        *served.entry(daemon.ended()["job"].as_str().expect("a job").to_owned()).or_default() += 1;
    }
    assert_eq!(daemon.stop(), 0, "whoever stops a daemon has no failure");
    place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    let entries = history(&place, &file);
    assert_each_once(&entries);
    assert!(
        entries.iter().all(|entry| entry["run"]["requests"] == 1 || entry["outcome"] == "interrupted"),
        "{entries:?}"
    );
}

#[test]
fn a_clock_that_is_set_forward_and_back_brings_no_storm_and_no_slot_twice() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    let clock = place.path("clock");
    let set = |offset: &str| {
        // At once: a half-written file is no time.
        std::fs::write(place.path("clock.new"), offset).expect("a file");
        std::fs::rename(place.path("clock.new"), &clock).expect("a file");
    };
    set("+0");
    let daemon = Daemon::start_at(&place, &["serve", "jobs", "--json"], &Time::Set(clock.clone()));
    let before = instant(&daemon.ended()["slot"]);
    set("+3h");
    let missed = daemon.wait("not_served");
    assert_eq!(missed["entry"]["outcome"], "missed", "{missed}");
    assert!(missed["entry"]["why"].as_str().is_some_and(|why| why.contains("slots from")), "{missed}");
    let ahead = daemon.wait_for("ended", |ended| instant(&ended["slot"]) > before + chrono::TimeDelta::hours(2));
    let asked = server.asked().len();
    set("+0");
    // Its slots were served, those of the three hours included: for this long nothing is due.
    std::thread::sleep(Duration::from_secs(4));
    let since = server.asked().len() - asked;
    assert!(since <= 2, "{since} runs with the clock set back");
    // Behind them it goes on.
    set("+3h");
    let next = daemon.wait_for("ended", |ended| instant(&ended["slot"]) > instant(&ahead["slot"]));
    assert_eq!(next["report"]["outcome"], "published");
    assert_eq!(daemon.stop(), 0);
    let mut command = place.command(&["runs", &file, "--last", "1000", "--json"]);
    Time::Set(clock).apply(&mut command);
    let shown = support::Done::of(command.output().expect("haul starts")).expect_code(0).json();
    let entries = shown["history"].as_array().expect("entries");
    assert_each_once(entries);
    assert_eq!(entries.iter().filter(|entry| entry["outcome"] == "published").count(), server.asked().len());
}

#[test]
fn the_days_on_which_the_clock_of_amsterdam_is_set() {
    let check = |start: &str, speed: u64, schedule: &str, until: &str, expect: &[&str]| {
        let (server, place) = (source(), Workplace::new());
        // In a time that runs so fast a connection takes minutes.
        let network =
            "network: { connect_timeout: 24h, first_byte_timeout: 24h, stall_timeout: 24h, total_timeout: 24h }\n";
        let schedule = format!("{schedule}, timezone: Europe/Amsterdam, overlap: queue, catchup: {{ all: 10 }}");
        let text = format!("{}schedule: {{ {schedule} }}\n", job(&server.url, network, "key: [id]\n"));
        let file = place.file("jobs/one.yaml", &text);
        let time = Time::From(start.to_owned(), speed);
        let daemon = Daemon::start_at(&place, &["serve", "jobs", "--json"], &time);
        daemon.wait_for("ended", |ended| {
            instant(&ended["slot"]) >= until.parse::<chrono::DateTime<chrono::Utc>>().expect("an instant")
        });
        assert_eq!(daemon.stop(), 0);
        let mut command = place.command(&["runs", &file, "--last", "1000", "--json"]);
        Time::From(until.replace(['T', 'Z'], " "), 1).apply(&mut command);
        let shown = support::Done::of(command.output().expect("haul starts")).expect_code(0).json();
        let entries = shown["history"].as_array().expect("entries").clone();
        assert_each_once(&entries);
        let served: Vec<&str> = slots(&entries).into_iter().filter(|slot| *slot <= until).collect();
        assert_eq!(served, expect, "{schedule}");
        let done = ["published", "interrupted"];
        assert!(outcomes(&entries).iter().all(|outcome| done.contains(outcome)), "{entries:#?}");
    };
    // 02:30 does not come on 2026-03-29, and comes twice on 2026-10-25.
    check(
        "2026-03-28 00:00:00",
        14_400,
        "cron: '30 2 * * *'",
        "2026-03-30T00:30:00Z",
        &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
    check(
        "2026-10-24 00:00:00",
        14_400,
        "cron: '30 2 * * *'",
        "2026-10-26T01:30:00Z",
        &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    check(
        "2026-10-24 23:10:00",
        1_800,
        "cron: '*/30 * * * *'",
        "2026-10-25T02:00:00Z",
        &[
            "2026-10-24T23:30:00Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
        ],
    );
}

#[test]
fn a_slot_that_comes_while_a_run_goes_on_is_skipped_queued_or_stops_it() {
    let start = |overlap: &str| {
        let ((server, gate), place) = (gated(), Workplace::new());
        let schedule = format!("every: 1s, timezone: UTC, overlap: {overlap}");
        let file = place.file("jobs/one.yaml", &scheduled(&server.url, &schedule));
        let daemon = Daemon::start(&place, "jobs");
        let first = daemon.wait("began");
        (server, gate, place, file, daemon, first)
    };
    let (_server, gate, place, file, daemon, first) = start("skip");
    for _ in 0..2 {
        let skipped = daemon.wait("not_served");
        assert_eq!(skipped["entry"]["outcome"], "skipped", "{skipped}");
        assert!(skipped["entry"]["why"].as_str().is_some_and(|why| why.contains("is going on")), "{skipped}");
    }
    gate.open();
    assert_eq!(daemon.ended()["slot"], first["slot"]);
    assert_eq!(daemon.stop(), 0);
    assert_each_once(&history(&place, &file));

    let (server, gate, place, file, daemon, first) = start("queue");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.asked().len(), 1, "one run at a time");
    gate.open();
    assert_eq!(daemon.ended()["slot"], first["slot"]);
    // Of those that waited, the newest.
    let missed = daemon.wait("not_served");
    assert_eq!(missed["entry"]["outcome"], "missed", "{missed}");
    let second = daemon.ended();
    assert!(instant(&second["slot"]) >= instant(&first["slot"]) + chrono::TimeDelta::seconds(2), "{second}");
    assert_eq!(daemon.stop(), 0);
    let entries = history(&place, &file);
    assert_each_once(&entries);
    assert!(!outcomes(&entries).contains(&"skipped"), "{entries:#?}");

    let (_server, gate, place, file, daemon, first) = start("cancel");
    let stopped = daemon.ended();
    assert_eq!((&stopped["slot"], &stopped["report"]["outcome"]), (&first["slot"], &json!("interrupted")));
    assert_ne!(daemon.wait("began")["slot"], first["slot"]);
    gate.open();
    daemon.wait_for("ended", |ended| ended["report"]["outcome"] == "published");
    assert_eq!(daemon.stop(), 0);
    assert_each_once(&history(&place, &file));
}

#[test]
fn a_slot_in_the_queue_waits_for_the_run_of_another_process() {
    let ((server, gate), place) = (gated(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC, overlap: queue"));
    place.haul(&["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due"]);
    let mut by_hand = place.command(&["run", &file, "--quiet"]).spawn().expect("haul starts");
    support::scene::wait_until(|| server.asked().len() == 1);
    let due = || place.haul(&["run", &file, "--due"]);
    let waiting = std::iter::repeat_with(due).take(1000).find(|done| done.code != 0).expect("a slot is due");
    waiting.expect_code(6).expect_says(&["the slot waits", "another run of this job is going on"]);
    let daemon = Daemon::start(&place, "jobs");
    daemon.wait("keeping");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(server.asked().len(), 1, "one run at a time");
    gate.open();
    assert!(by_hand.wait().expect("it ends").success());
    assert_eq!(daemon.ended()["report"]["outcome"], "published");
    assert_eq!(daemon.stop(), 0);
    assert!(!outcomes(&history(&place, &file)).contains(&"skipped"));
}

#[test]
fn a_paused_job_begins_no_run_and_a_blackout_serves_none() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    place.haul(&["schedule", "pause", &file]).expect_code(0).expect_says(&["is paused"]);
    place.haul(&["schedule", "pause", &file]).expect_code(0).expect_says(&["was paused already"]);
    let dark = "every: 1s, timezone: UTC, blackout: [{ from: '00:00', until: '00:00' }]";
    place.file("jobs/dark.yaml", &scheduled(&server.url, dark).replace("job: test", "job: dark"));
    let daemon = Daemon::start(&place, "jobs");
    let (mut paused, mut blackout) = (0, 0);
    while paused < 2 || blackout < 2 {
        let entry = daemon.wait("not_served")["entry"].clone();
        match entry["outcome"].as_str() {
            Some("paused") => paused += 1,
            Some("blackout") => blackout += 1,
            _ => panic!("{entry}"),
        }
        let why = entry["why"].as_str().expect("a reason");
        assert!(why.contains("paused by") || why.contains("within the blackout 00:00 to 00:00"), "{why}");
    }
    assert_eq!(server.asked().len(), 0);
    place.haul(&["schedule", "resume", &file]).expect_code(0).expect_says(&["goes on: next at"]);
    place.haul(&["schedule", "resume", &file]).expect_code(0).expect_says(&["was not paused"]);
    assert_eq!(daemon.wait_for("ended", |ended| ended["job"] == "test")["report"]["outcome"], "published");
    assert_eq!(daemon.stop(), 0);
    assert_each_once(&history(&place, &file));
}

#[test]
fn a_run_that_hangs_or_takes_too_long_is_ended_and_gone_on_with() {
    let check = |timeouts: &str, says: &str| {
        let is_hanging = Arc::new(AtomicBool::new(true));
        let hangs = Arc::clone(&is_hanging);
        let server = Server::start(move |request, _| {
            let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
            let next = if page < 6 { json!(format!("/items?page={}", page + 1)) } else { Value::Null };
            let body = json!({ "data": [{ "id": page }], "next": next }).to_string();
            let is_stuck = page == 4 && hangs.load(Ordering::SeqCst);
            if is_stuck {
                Answer::Stall { wait: Duration::from_secs(30), body: body.into(), sent: 1 }
            } else {
                ok(body)
            }
        });
        let place = Workplace::new();
        let stream = "records: data\npaging: { next_url: next }\nkey: [id]\n";
        let text = format!(
            "{}schedule: {{ every: 1s, timezone: UTC }}\ntimeouts: {{ {timeouts} }}\n",
            job(&server.url, "", stream)
        );
        let file = place.file("jobs/one.yaml", &text);
        let daemon = Daemon::start(&place, "jobs");
        let failed = daemon.ended();
        assert_eq!(failed["report"]["outcome"], "failed", "{failed:#}");
        let why = failed["report"]["error"].as_str().expect("a reason");
        assert!(why.contains(says), "{why}");
        is_hanging.store(false, Ordering::SeqCst);
        let done = daemon.wait_for("ended", |ended| ended["report"]["outcome"] == "published");
        // The first run that was let through, or one that began while the source still hung, goes on behind the pages.
        assert_eq!(done["report"]["tables"]["items"]["resumed_pages"], 3, "{done:#}");
        assert_eq!(done["report"]["tables"]["items"]["rows"], 6);
        assert_eq!(daemon.stop(), 0);
        assert_each_once(&history(&place, &file));
    };
    check("stall: 2s", "2 s");
    check("run: 3s", "3 s");
}

#[test]
fn a_clock_that_was_far_ahead_is_told_of_and_put_right() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    let ahead = Time::From("2063-04-05 00:00:00".to_owned(), 1);
    let daemon = Daemon::start_at(&place, &["serve", "jobs", "--json"], &ahead);
    daemon.ended();
    assert_eq!(daemon.stop(), 0);
    let daemon = Daemon::start(&place, "jobs");
    let trouble = daemon.wait("trouble");
    let why = trouble["why"].as_str().expect("a text");
    assert!(why.contains("2063-04-05") && why.contains("haul schedule resume"), "{why}");
    place.haul(&["run", &file, "--due"]).expect_code(1).expect_says(&["a clock that was ahead"]);
    place.haul(&["schedule", "resume", &file]).expect_code(0).expect_says(&["goes on"]);
    let ended = daemon.ended();
    assert_eq!(ended["report"]["outcome"], "published");
    assert!(ended["slot"].as_str().is_some_and(|slot| slot < "2063"), "{ended}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_daemon_makes_up_for_what_passed_while_nothing_ran() {
    let check = |catchup: &str, expect: &[&str], requests: usize| {
        let (server, place) = (source(), Workplace::new());
        // Slots far apart: none comes while the test goes on.
        let schedule = format!("cron: '0 5 * * *', timezone: Europe/Amsterdam, catchup: {catchup}");
        let file = place.file("jobs/one.yaml", &scheduled(&server.url, &schedule));
        let serve = |at: &str, is_done: &dyn Fn(&Daemon)| {
            let daemon = Daemon::start_at(&place, &["serve", "jobs", "--json"], &Time::From(at.to_owned(), 1));
            is_done(&daemon);
            assert_eq!(daemon.stop(), 0);
        };
        let keeping = |daemon: &Daemon| drop(daemon.wait("keeping"));
        let looked = || place.path("state/state.db").exists();
        serve("2026-03-26 12:00:00", &|daemon| {
            keeping(daemon);
            support::scene::wait_until(looked);
            std::thread::sleep(Duration::from_millis(500));
        });
        serve("2026-03-29 12:00:00", &|daemon| {
            for _ in 0..requests {
                assert_eq!(daemon.ended()["report"]["outcome"], "published");
            }
            if requests == 0 {
                daemon.wait("not_served");
            }
        });
        // Once is enough.
        serve("2026-03-29 13:00:00", &|daemon| {
            keeping(daemon);
            std::thread::sleep(Duration::from_millis(500));
        });
        assert_eq!(server.asked().len(), requests, "{catchup}");
        let mut command = place.command(&["runs", &file, "--json"]);
        Time::From("2026-03-29 14:00:00".to_owned(), 1).apply(&mut command);
        let shown = support::Done::of(command.output().expect("haul starts")).expect_code(0).json();
        let entries = shown["history"].as_array().expect("entries").clone();
        assert_each_once(&entries);
        assert_eq!(outcomes(&entries), expect, "{catchup}");
    };
    check("latest", &["missed", "published"], 1);
    check("none", &["missed"], 0);
    check("{ all: 10 }", &["published", "published", "published"], 3);
    check("{ all: 2 }", &["missed", "published", "published"], 2);
}

#[test]
fn a_slot_that_was_left_long_ago_is_overtaken_by_the_newest() {
    let ((server, gate), place) = (gated(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1h, timezone: UTC"));
    let start = |at: &str| Daemon::start_at(&place, &["serve", "jobs", "--json"], &Time::From(at.to_owned(), 1));
    let daemon = start("2026-03-26 11:59:58");
    assert_eq!(daemon.wait("began")["slot"], "2026-03-26T12:00:00Z");
    support::scene::wait_until(|| server.asked().len() == 1);
    assert_eq!(daemon.stop(), 0);
    gate.open();
    let daemon = start("2026-03-26 17:30:00");
    assert_eq!(daemon.ended()["slot"], "2026-03-26T17:00:00Z");
    assert_eq!(daemon.stop(), 0);
    let mut command = place.command(&["runs", &file, "--json"]);
    Time::From("2026-03-26 18:00:00".to_owned(), 1).apply(&mut command);
    let shown = support::Done::of(command.output().expect("haul starts")).expect_code(0).json();
    let entries = shown["history"].as_array().expect("entries").clone();
    assert_eq!(outcomes(&entries), ["interrupted", "missed", "published"], "{entries:#?}");
}
