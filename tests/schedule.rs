//! Schedules: when slots are, who serves them, and what is written down of each.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::clock::faketime;
use support::server::{Server, ok};
use support::{Workplace, job, terminate};

fn scheduled(url: &str, schedule: &str) -> String {
    format!("{}schedule: {{ {schedule} }}\n", job(url, "", "key: [id]\n"))
}

/// A source whose records differ from request to request.
fn source() -> Server {
    Server::start(|_, before| ok(json!([{ "id": before }]).to_string()))
}

/// A daemon, and the notes it tells.
struct Daemon {
    child: Child,
    notes: Receiver<Value>,
}

impl Daemon {
    /// `speed` = how much faster its clock runs.
    fn start(place: &Workplace, folder: &str, speed: u64) -> Self {
        let mut command = place.command(&["serve", folder, "--json"]);
        if speed > 1 {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", format!("+0 x{speed}")).env("NO_FAKE_STAT", "1");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("haul starts");
        let (told, notes) = channel();
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if told.send(serde_json::from_str(&line).expect("a document a line")).is_err() {
                    break;
                }
            }
        });
        Daemon { child, notes }
    }

    /// Waits for a note of this kind.
    fn wait_for(&self, note: &str) -> Value {
        let began = Instant::now();
        loop {
            let left = Duration::from_secs(60).saturating_sub(began.elapsed());
            let told = self.notes.recv_timeout(left).unwrap_or_else(|_| panic!("no `{note}` was told"));
            if told["note"] == note {
                return told;
            }
        }
    }

    fn stop(mut self) -> i32 {
        terminate(self.child.id(), "-TERM");
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

fn history(place: &Workplace, file: &str) -> Vec<Value> {
    let runs = place.haul(&["runs", file, "--last", "5000", "--json"]).expect_code(0).json();
    runs["history"].as_array().expect("entries").clone()
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
fn a_daemon_serves_slots_reloads_and_stops_at_once() {
    let (server, place) = (source(), Workplace::new());
    let file = place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    place.file("jobs/by-hand.yaml", &job(&server.url, "", "key: [id]\n").replace("job: test", "job: hand"));
    let daemon = Daemon::start(&place, "jobs", 1);
    assert!(daemon.wait_for("unscheduled")["file"].as_str().is_some_and(|file| file.ends_with("by-hand.yaml")));
    assert!(daemon.wait_for("keeping")["next"]["test"].is_string());
    for _ in 0..3 {
        assert_eq!(daemon.wait_for("ended")["report"]["outcome"], "published");
    }
    // A file that is broken now goes on as it was, and a new one is served from now on.
    place.file("jobs/one.yaml", "job: [");
    place.file("jobs/two.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC").replace("job: test", "job: two"));
    terminate(daemon.child.id(), "-HUP");
    let broken = daemon.wait_for("not_loaded");
    assert_eq!(broken["kept"], true, "{broken}");
    let mut served: BTreeMap<String, u64> = BTreeMap::new();
    while served.len() < 2 || served.values().any(|count| *count < 2) {
        *served.entry(daemon.wait_for("ended")["job"].as_str().expect("a job").to_owned()).or_default() += 1;
    }
    assert_eq!(daemon.stop(), 0, "whoever stops a daemon has no failure");
    place.file("jobs/one.yaml", &scheduled(&server.url, "every: 1s, timezone: UTC"));
    let entries = history(&place, &file);
    let slots: Vec<&str> = entries.iter().map(|entry| entry["slot"].as_str().expect("a slot")).collect();
    let mut apart = slots.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), slots.len(), "a slot was served twice");
    assert!(
        entries.iter().all(|entry| entry["run"]["requests"] == 1 || entry["outcome"] == "interrupted"),
        "{entries:?}"
    );
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
