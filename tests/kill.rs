//! A refresh killed at every system call, killed at random, and wanted by many processes at once.
//!
//! These are short loops; what makes them long is set by variables:
//!
//! ```sh
//! HAUL_KILL_STEP=1 HAUL_KILL_STORES=sqlite,postgres,azure cargo test --release --test kill every -- --nocapture
//! HAUL_KILLS=10000 cargo test --release --test kill random -- --nocapture
//! HAUL_ROUNDS=200 cargo test --release --test kill fifty -- --nocapture
//! ```

// The figures are what a long loop is for.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use support::provider::{CLASSES, Class};
use support::rigs::{Rig, output_of};
use support::scene::Scene;
use support::{Done, Workplace, terminate};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A state of each kind, with the server behind it.
struct Store {
    name: &'static str,
    rig: Option<Rig>,
}

impl Store {
    fn start(name: &str) -> Self {
        match name {
            "sqlite" => Store { name: "sqlite", rig: None },
            "postgres" => Store { name: "postgres", rig: Some(Rig::start("postgres.mjs", &[])) },
            "azure" => {
                let rig = Rig::start("azurite.mjs", &[]);
                output_of("blob.py", &["container", "--url", rig.url(), "--name", "state"]);
                Store { name: "azure", rig: Some(rig) }
            }
            other => panic!("no store `{other}`"),
        }
    }

    /// A workplace whose state is in this store; `prefix` where there are prefixes.
    fn place(&self, prefix: &str) -> Workplace {
        let place = Workplace::new();
        let Some(rig) = &self.rig else { return place };
        let local = place.path("state").to_string_lossy().into_owned();
        let place = place.env("HAUL_LOCAL", &local);
        match self.name {
            "postgres" => place.env("HAUL_STATE", rig.url()),
            _ => place
                .env("HAUL_STATE", &format!("az://state/{prefix}"))
                .env("AZURE_STORAGE_ACCOUNT_NAME", rig.text("account"))
                .env("AZURE_STORAGE_ACCOUNT_KEY", rig.text("key"))
                .env("AZURE_STORAGE_ENDPOINT", rig.url())
                .env("AZURE_ALLOW_HTTP", "true"),
        }
    }
}

/// Whether the trace of a killed process shows that its answer was safe on the disk.
fn was_spilled(trace: &str) -> bool {
    // Room is taken with O_TRUNC; the answer is written over it without.
    let mut lines = trace
        .lines()
        .skip_while(|line| !(line.contains(".spill\", O_WRONLY|O_CREAT|O_CLOEXEC") && line.contains(") = ")));
    let Some(opened) = lines.next() else { return false };
    let file = opened.rsplit(" = ").next().expect("a result").trim().to_owned();
    lines.any(|line| line.contains(&format!("fsync({file})")) && line.ends_with("= 0"))
}

#[derive(Debug, Default)]
struct Tally {
    points: u64,
    spent: u64,
    lost: u64,
}

/// One refresh under `strace`, and what it did.
fn traced(scene: &Scene, inject: Option<&str>) -> (Output, String) {
    let file = scene.place.path("trace");
    scene.place.is_own(&file);
    let trace_to = format!("--output={}", file.to_string_lossy());
    let mut strace = vec!["-f", &trace_to];
    strace.extend(inject);
    let mut traced = scene.place.traced(&strace, &["credentials", "test", &scene.file, "--new"]);
    let output = traced.output().expect("strace runs: `tests/rigs/install` installs it");
    (output, std::fs::read_to_string(file).expect("a trace"))
}

/// The system calls of a whole refresh, in their order: name, and the how-manieth of that name. Strace counts so.
fn calls(scene: &Scene) -> Vec<(String, u64)> {
    let (output, trace) = traced(scene, None);
    assert!(output.status.success(), "{output:?}");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let name: String = call.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !name.is_empty() && call[name.len()..].starts_with('(') {
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            calls.push((name, *count));
        }
    }
    calls
}

fn kill_everywhere(store: &Store, class: Class, step: usize) -> Tally {
    let scene = Scene::at(store.place(class.name()), class);
    scene.refresh().expect_code(0);
    let mut tally = Tally::default();
    // Another offset for every class, so that a short loop meets other calls in each.
    for (name, nth) in calls(&scene).into_iter().skip(class as usize * 7 % step).step_by(step) {
        let (output, trace) = traced(&scene, Some(&format!("--inject={name}:signal=KILL:when={nth}")));
        if !trace.contains("+++ killed by SIGKILL") {
            // Another run may poll once less.
            assert!(output.status.success(), "{output:?}");
            continue;
        }
        tally.points += 1;
        // By the trace: the server may not yet have looked at a request whose sender is dead.
        let is_spent = trace.contains("POST /token");
        tally.spent += u64::from(is_spent);
        let next = scene.refresh();
        if next.code != 0 {
            let is_strict = matches!(class, Class::SingleUse | Class::ReuseRevokesFamily);
            let is_allowed = is_strict && is_spent && !was_spilled(&trace);
            let store = store.name;
            assert!(is_allowed && next.code == 5, "{store} {class:?}, killed at {name} {nth}: {next:?}\n{trace}");
            tally.lost += 1;
            scene.import(&scene.provider.new_family()).expect_code(0);
            scene.refresh().expect_code(0);
        }
    }
    scene.survives();
    tally
}

#[test]
fn a_refresh_killed_at_every_system_call_loses_only_what_never_reached_a_disk() {
    let step = number("HAUL_KILL_STEP", 12) as usize;
    let stores = std::env::var("HAUL_KILL_STORES").unwrap_or_else(|_| "sqlite".to_owned());
    for name in stores.split(',') {
        let store = Store::start(name);
        for class in CLASSES {
            let tally = kill_everywhere(&store, class, step);
            println!("{name:8} {:28} {tally:?}", class.name());
            assert!(tally.points as usize >= 200 / step && tally.spent > 0, "the kills missed the refresh: {tally:?}");
        }
    }
}

/// The next number of a fixed sequence (xorshift), so that a failure can be met again.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_kills_lose_nothing_where_the_old_token_stays_valid_until_its_successor_is_used() {
    let kills = number("HAUL_KILLS", 100);
    let scene = Scene::new(Class::ValidUntilSuccessorUsed);
    let begun = Instant::now();
    for _ in 0..5 {
        scene.refresh().expect_code(0);
    }
    let usual = begun.elapsed() / 5;
    // How long a refresh takes depends on what else the machine does: the kills follow it.
    let mut wait_max = usual.as_micros() as u64 * 12 / 10;
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let (mut met, mut spent, mut tries) = (0, 0, 0);
    while met < kills {
        tries += 1;
        assert!(tries < kills * 10, "the kills come too late: {met} of {tries}");
        let before = scene.provider.requests();
        let mut child = scene.spawn(&["credentials", "test", &scene.file, "--new"]);
        std::thread::sleep(Duration::from_micros(next_random(&mut random) % wait_max));
        let is_met = child.try_wait().expect("a process").is_none();
        if is_met {
            terminate(child.id(), "-KILL");
        }
        child.wait_with_output().expect("it ends");
        let is_spent = scene.provider.requests() > before;
        wait_max = match (is_met, is_spent) {
            (false, _) => (wait_max * 9 / 10).max(1000),
            (true, false) => wait_max * 26 / 25,
            (true, true) => wait_max,
        };
        met += u64::from(is_met);
        spent += u64::from(is_met && is_spent);
        scene.refresh().expect_code(0);
    }
    println!("{met} kills, in {spent} of them a token was spent; 0 credentials lost");
    assert!(spent > 0, "the kills missed the refresh");
    scene.survives();
}

#[test]
fn fifty_processes_at_once_buy_one_token() {
    let rounds = number("HAUL_ROUNDS", 4);
    let scene = Scene::new(Class::ReuseRevokesFamily);
    for round in 1..=rounds {
        scene.import(&scene.provider.new_family()).expect_code(0);
        let children: Vec<Child> = (0..50).map(|_| scene.spawn(&["credentials", "test", &scene.file])).collect();
        for child in children {
            Done::of(child.wait_with_output().expect("it ends")).expect_code(0);
        }
        assert_eq!(scene.provider.requests() as u64, round, "one request a round");
    }
    println!("50 processes, {rounds} rounds: {} token requests", scene.provider.requests());
}
