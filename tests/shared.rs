//! A daemon, a crontab and a container with one record store and one job: each slot is served by one of them, and by one run.
//!
//! ```sh
//! HAUL_SLOTS=5000 cargo test --release --test shared -- --nocapture
//! ```

// The figures are what a long loop is for.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use support::daemon::{Daemon, Time, assert_each_once};
use support::rigs::Rig;
use support::server::{Server, ok};
use support::{Done, Workplace, job};

/// Between two slots.
const EVERY: i64 = 5;
/// Slots that may wait before the clock is let run on: far fewer than a job makes up for.
const WAITING_MAX: usize = 30;

/// Whose calls these are.
#[derive(Clone, Copy)]
enum Host {
    Crontab,
    /// Another machine as far as anybody can see: its own name and process ids.
    Container,
}

/// One clock for all, which the test lets run.
struct SharedClock {
    file: PathBuf,
    ahead: f64,
}

impl SharedClock {
    fn set(&mut self, ahead: f64) {
        self.ahead = ahead;
        let half = self.file.with_extension("half");
        std::fs::write(&half, format!("+{ahead:.3}")).expect("a file");
        std::fs::rename(half, &self.file).expect("a file");
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds((self.ahead * 1000.0) as i64)
    }
}

/// A call by the shared clock.
fn call(place: &Workplace, host: Host, clock: &Path, args: &[&str]) -> Command {
    let plain = place.command(args);
    let mut command = match host {
        Host::Crontab => plain,
        Host::Container => {
            let mut command = Command::new("unshare");
            let is_root = std::os::unix::fs::MetadataExt::uid(&Path::new("/proc/self").metadata().expect("/proc")) == 0;
            if !is_root {
                command.args(["--user", "--map-root-user"]);
            }
            command.args([
                "--pid",
                "--uts",
                "--mount-proc",
                "--fork",
                "sh",
                "-c",
                "hostname container && exec \"$@\"",
                "sh",
            ]);
            command.arg(plain.get_program()).args(plain.get_args()).env_clear();
            command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").current_dir(place.path("."));
            command
        }
    };
    Time::Set(clock.to_owned()).apply(&mut command);
    command.stdin(Stdio::null());
    command
}

/// Calls as a crontab makes them, until it is over. Gives how many slots they served.
fn calls(place: &Workplace, host: Host, clock: &Path, file: &str, is_over: &AtomicBool) -> usize {
    let mut served = 0;
    while !is_over.load(Ordering::SeqCst) {
        let done = Done::of(call(place, host, clock, &["run", file, "--due", "--json"]).output().expect("it starts"));
        // Nothing is due, a run, or the slot waits for somebody else's run.
        assert!([0, 6].contains(&done.code), "{done:?}");
        if done.code == 0 && !done.stdout.is_empty() {
            assert_eq!(done.json()["outcome"], "published", "{done:?}");
            served += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    served
}

fn each_slot_runs_once(place: &Workplace, container: &Workplace, count: usize) {
    let source = Server::start(|_, before| ok(json!([{ "id": before }]).to_string()));
    let out = place.path("out").to_string_lossy().into_owned();
    let text = job(&source.url, "", "key: [id]\n").replace("url: out", &format!("url: {out}"));
    let schedule = format!("schedule: {{ every: {EVERY}s, timezone: UTC, overlap: queue, catchup: {{ all: 100 }} }}\n");
    let text = format!("{text}{schedule}");
    let (file, of_container) = (place.file("jobs/job.yaml", &text), container.file("job.yaml", &text));
    let mut clock = SharedClock { file: place.path("clock"), ahead: 0.0 };
    clock.set(0.0);
    let path = clock.file.clone();
    let first = Done::of(call(place, Host::Crontab, &path, &["run", &file, "--due"]).output().expect("haul starts"));
    first.expect_code(0).expect_says(&["nothing is due"]);
    let first = (clock.now().timestamp() / EVERY + 1) * EVERY;
    let passed = |clock: &SharedClock| ((clock.now().timestamp() - first) / EVERY + 1).max(0) as usize;

    let began = Instant::now();
    let is_over = AtomicBool::new(false);
    let daemon = Daemon::start_at(place, &["serve", "jobs", "--json"], &Time::Set(path.clone()));
    let (by_crontab, by_container) = std::thread::scope(|scope| {
        let crontab = scope.spawn(|| calls(place, Host::Crontab, &path, &file, &is_over));
        let other = scope.spawn(|| calls(container, Host::Container, &path, &of_container, &is_over));
        // Whatever happens here, their loops end.
        let over = EndOf(&is_over);
        while passed(&clock) < count {
            assert!(began.elapsed() < Duration::from_secs(60 + count as u64), "{} runs so far", source.asked().len());
            if passed(&clock) < source.asked().len() + WAITING_MAX {
                let ahead = clock.ahead + EVERY as f64;
                clock.set(ahead);
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        // One that waits in the queue of a process when this ends is left to the next, which there is none of.
        support::scene::wait_until(|| source.asked().len() >= passed(&clock));
        drop(over);
        (crontab.join().expect("no panic"), other.join().expect("no panic"))
    });
    let by_daemon = source.asked().len() - by_crontab - by_container;
    assert_eq!(daemon.stop(), 0);
    let shown = call(place, Host::Crontab, &path, &["runs", &file, "--last", "10000", "--json"]).output();
    let shown = Done::of(shown.expect("haul starts")).expect_code(0).json();
    let entries: Vec<Value> = shown["history"].as_array().expect("entries").clone();
    assert_each_once(&entries);
    let mut served: Vec<i64> = entries
        .iter()
        .filter(|entry| entry["outcome"] == "published" && entry["run"]["requests"] == 1)
        .map(|entry| entry["slot"].as_str().expect("a slot").parse::<DateTime<Utc>>().expect("an instant").timestamp())
        .collect();
    served.sort_unstable();
    let expect: Vec<i64> = (0..count as i64).map(|slot| first + slot * EVERY).collect();
    assert_eq!(served[..count], expect, "{:?}", support::daemon::outcomes(&entries));
    let idle: Vec<&Value> = entries
        .iter()
        .filter(|entry| !["published", "interrupted"].contains(&entry["outcome"].as_str().expect("a word")))
        .collect();
    assert!(idle.is_empty(), "{idle:#?}");
    let requests: u64 = entries.iter().filter_map(|entry| entry["run"]["requests"].as_u64()).sum();
    assert_eq!(source.asked().len() as u64, requests, "the source was asked more often than runs tell");
    let in_container = entries.iter().filter(|entry| entry["host"] == "container").count();
    assert_eq!(in_container, by_container);
    println!(
        "{count} slots in {:.0} s, each by one run: {by_daemon} by the daemon, {by_crontab} by the crontab, {by_container} in the container",
        began.elapsed().as_secs_f64()
    );
    assert!(by_daemon.min(by_crontab).min(by_container) >= count / 50, "{by_daemon} {by_crontab} {by_container}");
}

/// A source whose pages wait until the flag is set, and a job of it that runs every hour.
fn shut(place: &Workplace) -> (Server, std::sync::Arc<AtomicBool>, String) {
    let is_open = std::sync::Arc::new(AtomicBool::new(false));
    let open = std::sync::Arc::clone(&is_open);
    let source = Server::start(move |_, before| {
        while !open.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        ok(json!([{ "id": before }]).to_string())
    });
    let out = place.path("out").to_string_lossy().into_owned();
    let text = job(&source.url, "", "key: [id]\n").replace("url: out", &format!("url: {out}"));
    let text = format!("{text}schedule: {{ every: 1h, timezone: UTC }}\n");
    (source, is_open, text)
}

/// A source whose first page waits until the flag is set, and the clock of a job that is seen for the first time.
fn stopped(place: &Workplace, signal: &str) -> (Server, SharedClock, String, String) {
    let (source, is_open, text) = shut(place);
    let file = place.file("job.yaml", &text);
    let mut clock = SharedClock { file: place.path("clock"), ahead: 0.0 };
    clock.set(0.0);
    let first = call(place, Host::Crontab, &clock.file, &["run", &file, "--due"]).output().expect("haul starts");
    Done::of(first).expect_code(0).expect_says(&["nothing is due"]);
    clock.set(3600.0);
    let mut child = call(place, Host::Crontab, &clock.file, &["run", &file, "--due", "--quiet"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("haul starts");
    support::scene::wait_until(|| source.asked().len() == 1);
    support::terminate(child.id(), signal);
    child.wait().expect("it ends");
    is_open.store(true, Ordering::SeqCst);
    (source, clock, file, text)
}

#[test]
fn a_slot_of_a_run_that_was_stopped_is_anybodys_and_one_of_a_dead_process_this_hosts() {
    for (signal, goes_on) in [("-TERM", true), ("-KILL", false)] {
        let place = Workplace::new();
        let container = Workplace::new().env("HAUL_STATE", &place.path("state").to_string_lossy());
        let (source, clock, file, text) = stopped(&place, signal);
        let of_container = container.file("job.yaml", &text);
        let due = |place: &Workplace, host, file: &str| {
            Done::of(call(place, host, &clock.file, &["run", file, "--due", "--json"]).output().expect("it starts"))
        };
        let other = due(&container, Host::Container, &of_container).expect_code(0);
        assert_eq!(other.stdout.is_empty(), !goes_on, "{signal}: {other:?}");
        // On its own host it is known to be dead.
        let own = due(&place, Host::Crontab, &file).expect_code(0);
        assert_eq!(own.stdout.is_empty(), goes_on, "{signal}: {own:?}");
        due(&place, Host::Crontab, &file).expect_code(0).expect_says(&["nothing is due"]);
        assert_eq!(source.asked().len(), 2, "{signal}");
        let shown = call(&place, Host::Crontab, &clock.file, &["runs", &file, "--json"]).output();
        let shown = Done::of(shown.expect("haul starts")).expect_code(0).json();
        let entries = shown["history"].as_array().expect("entries").clone();
        assert_each_once(&entries);
        assert!(entries.iter().all(|entry| entry["slot"] == entries[0]["slot"]), "{entries:#?}");
    }
}

#[test]
fn a_slot_whose_container_is_gone_without_a_word_leaves_one_too() {
    let place = Workplace::new();
    let container = Workplace::new().env("HAUL_STATE", &place.path("state").to_string_lossy());
    let (source, is_open, text) = shut(&place);
    let (file, of_container) = (place.file("job.yaml", &text), container.file("job.yaml", &text));
    let mut clock = SharedClock { file: place.path("clock"), ahead: 0.0 };
    let mut due = |hours: f64, code: i32| {
        clock.set(hours * 3600.0);
        let done = call(&place, Host::Crontab, &clock.file, &["run", &file, "--due"]).output().expect("haul starts");
        Done::of(done).expect_code(code);
    };
    due(0.0, 0);
    std::fs::write(place.path("clock"), "+3600").expect("a file");
    let mut command =
        call(&container, Host::Container, &place.path("clock"), &["run", &of_container, "--due", "--quiet"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    support::scene::wait_until(|| source.asked().len() == 1);
    // With the first process of its container everything in it dies.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).expect("its processes");
    support::terminate(children.trim().parse().expect("a process"), "-KILL");
    child.wait().expect("it ends");
    is_open.store(true, Ordering::SeqCst);
    // As far as anybody knows it is at work.
    due(2.0, 6);
    due(3.0, 6);
    // Two and a half minutes later its lease is known to have lapsed.
    let sights = std::fs::read_dir(place.path("state/observed")).expect("a folder");
    for sight in sights.map(|sight| sight.expect("an entry").path()) {
        let mut seen: Value = serde_json::from_slice(&std::fs::read(&sight).expect("a sight")).expect("JSON");
        seen["first_seen_ms"] = json!(seen["first_seen_ms"].as_u64().expect("a number") - 151_000);
        std::fs::write(&sight, seen.to_string()).expect("a sight");
    }
    due(4.0, 0);
    let mut shown = call(&place, Host::Crontab, &place.path("clock"), &["runs", &file, "--json"]);
    let shown = Done::of(shown.output().expect("haul starts")).expect_code(0).json();
    let entries = shown["history"].as_array().expect("entries").clone();
    let mut outcomes = support::daemon::outcomes(&entries);
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["interrupted", "published", "skipped", "skipped"], "{entries:#?}");
    assert_eq!(support::daemon::slots(&entries).windows(2).filter(|pair| pair[0] == pair[1]).count(), 0);
    let lost = entries.iter().find(|entry| entry["outcome"] == "interrupted").expect("an entry");
    assert!(lost["why"].as_str().is_some_and(|why| why.contains("without a word")), "{lost}");
}

struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn slots(default: usize) -> usize {
    std::env::var("HAUL_SLOTS").map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn each_slot_of_a_state_folder_runs_once() {
    let place = Workplace::in_memory();
    let folder = place.path("state").to_string_lossy().into_owned();
    let container = Workplace::new().env("HAUL_STATE", &folder);
    each_slot_runs_once(&place, &container, slots(1_000));
}

#[test]
fn each_slot_of_a_database_runs_once() {
    let postgres = Rig::start("postgres.mjs", &[]);
    let host = || {
        let place = Workplace::new().env("HAUL_STATE", postgres.url());
        let place = place.env("HAUL_VAULT_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let local = place.path("local").to_string_lossy().into_owned();
        place.env("HAUL_LOCAL", &local)
    };
    each_slot_runs_once(&host(), &host(), slots(1_000) / 8);
}
