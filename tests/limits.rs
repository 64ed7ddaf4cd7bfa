//! Limits that runs share, and runs that pause: the real binary against a server that counts by the same clock. The wall
//! clock of both is sped up: a day takes seconds.

// The cost of a count is printed, not judged.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use support::clock::faketime;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job, terminate};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
const STREAM: &str = "records: data\npaging: { next_url: next }";

/// A wall clock that is faster than the machine's since this test began. Monotonic clocks keep their speed.
#[derive(Clone, Copy)]
struct FastClock {
    began: SystemTime,
    speed: f64,
}

impl FastClock {
    fn new(speed: f64) -> Self {
        FastClock { began: SystemTime::now(), speed }
    }

    fn elapsed(&self) -> f64 {
        self.began.elapsed().expect("time runs forward").as_secs_f64()
    }

    /// Seconds of the fast clock since the test began.
    fn now(&self) -> f64 {
        self.elapsed() * self.speed
    }

    /// Lets a process that is started at once read this clock: libfaketime speeds up from the start of each process.
    fn rule(&self, command: &mut Command) {
        let ahead = self.elapsed() * (self.speed - 1.0);
        command
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME", format!("+{ahead:.3} x{}", self.speed))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// Times of arrival by the fast clock.
type Arrivals = Arc<Mutex<Vec<f64>>>;

/// A server of so many pages of one record that notes when it is asked.
fn counting_server(clock: FastClock, pages: u64) -> (Server, Arrivals) {
    let arrivals = Arrivals::default();
    let log = Arc::clone(&arrivals);
    let server = Server::start(move |request, _| {
        log.lock().expect("a log").push(clock.now());
        page(request, pages)
    });
    (server, arrivals)
}

fn page(request: &Request, pages: u64) -> Answer {
    let number: u64 = request.param("p").and_then(|value| value.parse().ok()).unwrap_or(0);
    let next = if number + 1 < pages { json!(format!("/items?p={}", number + 1)) } else { Value::Null };
    ok(json!({ "data": [{ "id": number }], "next": next }).to_string())
}

/// No window of any phase holds more than the limit.
#[track_caller]
fn assert_kept(arrivals: &Arrivals, limit: usize, window: f64) {
    let mut arrivals = arrivals.lock().expect("a log").clone();
    arrivals.sort_by(f64::total_cmp);
    for pair in arrivals.windows(limit + 1) {
        let span = pair[limit] - pair[0];
        assert!(span >= window, "{} requests within {span:.1} s, allowed are {limit} in {window} s", limit + 1);
    }
}

fn spawn(place: &Workplace, clock: FastClock, args: &[&str]) -> Child {
    let mut command = place.command(args);
    clock.rule(&mut command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts")
}

fn run(place: &Workplace, clock: FastClock, file: &str) -> Done {
    Done::of(spawn(place, clock, &["run", file, "--json"]).wait_with_output().expect("it ends"))
}

#[test]
fn four_jobs_at_once_share_the_quota_of_a_minute() {
    let clock = FastClock::new(20.0);
    let (server, arrivals) = counting_server(clock, 65);
    let place = Workplace::new();
    let text = job(&server.url, "limits: { per_minute: 100 }", STREAM);
    let files: Vec<String> = (0..4)
        .map(|number| {
            let text = text.replace("job: test", &format!("job: test{number}"));
            place.file(&format!("job{number}.yaml"), &text)
        })
        .collect();
    let children: Vec<Child> = files.iter().map(|file| spawn(&place, clock, &["run", file, "--json"])).collect();
    for child in children {
        let done = Done::of(child.wait_with_output().expect("it ends")).expect_code(0);
        assert_eq!(done.json()["tables"]["items"]["rows"], 65);
    }
    assert_eq!(server.asked().len(), 260);
    assert_kept(&arrivals, 100, MINUTE);
    let took = clock.now();
    println!("260 requests of four jobs at 100 a minute: {took:.0} s of the fast clock, {:.1} s", clock.elapsed());
    assert!(took > 2.0 * MINUTE, "the quota was not met");
}

#[test]
fn a_run_waits_for_the_next_day_and_completes() {
    let clock = FastClock::new(DAY / 25.0);
    let (server, arrivals) = counting_server(clock, 2500);
    // A state without a disk under it: at this speed ten milliseconds are a minute, and a slow count is not believed.
    let state = tempfile::TempDir::new_in("/dev/shm").expect("a file system in memory");
    let place = Workplace::new().env("HAUL_STATE", &state.path().join("state").to_string_lossy());
    let file = place.file("job.yaml", &job(&server.url, "limits: { per_day: 1000 }", STREAM));
    let done = run(&place, clock, &file)
        .expect_code(0)
        .expect_says(&["paused until 20", " UTC: quota of the day used; goes on by itself"]);
    let report = done.json();
    assert_eq!(report["tables"]["items"]["rows"], 2500, "{report}");
    assert!(report["source"]["paused_seconds"].as_f64().expect("a number") > DAY, "{report}");
    assert_eq!(server.asked().len(), 2500);
    assert_kept(&arrivals, 1000, DAY);
    assert!((2..=4).contains(&done.stderr.matches("paused until").count()), "each pause is told once: {}", done.stderr);
    println!(
        "2,500 requests at 1,000 a day: {:.1} days of the fast clock, {:.1} s",
        clock.now() / DAY,
        clock.elapsed()
    );
}

/// A server that asks for this wait once, at the second page.
fn asking_server(clock: FastClock, header: &'static str, value: &'static str) -> (Server, Arrivals) {
    let arrivals = Arrivals::default();
    let log = Arc::clone(&arrivals);
    let server = Server::start(move |request, before| {
        log.lock().expect("a log").push(clock.now());
        if before == 1 { status(429, "{}").with(header, value) } else { page(request, 3) }
    });
    (server, arrivals)
}

#[test]
fn a_wait_that_the_server_asks_for_is_waited_within_pause_max() {
    for (header, value) in [("retry-after", "3600"), ("x-ratelimit-reset", "3600"), ("x-ms-retry-after-ms", "3600000")]
    {
        let clock = FastClock::new(1200.0);
        let (server, arrivals) = asking_server(clock, header, value);
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&server.url, "limits: { pause_max: 2h }", STREAM));
        let done =
            run(&place, clock, &file).expect_code(0).expect_says(&["paused until 20", "the server asks to wait"]);
        let report = done.json();
        assert_eq!(report["tables"]["items"]["rows"], 3, "{report}");
        // The run sees the answer later than the server sends it: on a busy machine by minutes of this clock.
        assert!(report["source"]["paused_seconds"].as_f64().expect("a number") >= HOUR / 2.0, "{report}");
        let arrivals = arrivals.lock().expect("a log").clone();
        assert!(arrivals[2] - arrivals[1] >= HOUR, "{header}: {arrivals:?}");
    }
}

#[test]
fn a_used_up_quota_in_a_good_answer_is_obeyed_by_all_jobs_of_the_budget() {
    let clock = FastClock::new(600.0);
    let arrivals = Arrivals::default();
    let log = Arc::clone(&arrivals);
    let server = Server::start(move |request, before| {
        log.lock().expect("a log").push(clock.now());
        let answer = page(request, 2);
        if before == 0 { answer.with("x-remaining-calls", "0").with("x-calls-again", "1800") } else { answer }
    });
    let place = Workplace::new();
    let limits =
        "limits: { per_day: 100, shared_as: calls, headers: { remaining: X-Remaining-Calls, reset: X-Calls-Again } }";
    let text = job(&server.url, limits, STREAM);
    let first = place.file("first.yaml", &text);
    let second = place.file("second.yaml", &text.replace("job: test", "job: second"));
    let mut paused = spawn(&place, clock, &["run", &first, "--json"]);
    let mut stderr = BufReader::new(paused.stderr.take().expect("a pipe"));
    wait_for_line(&mut stderr, "paused until");
    // Its lease is kept while it waits: the same job is not begun twice.
    run(&place, clock, &first).expect_code(6);
    run(&place, clock, &second).expect_code(0).expect_says(&["the server asks to wait"]);
    Done::of(paused.wait_with_output().expect("it ends")).expect_code(0);
    let arrivals = arrivals.lock().expect("a log").clone();
    assert_eq!(arrivals.len(), 4);
    assert!(arrivals[1] - arrivals[0] >= 1800.0, "{arrivals:?}");
}

fn wait_for_line(stderr: &mut impl BufRead, text: &str) {
    let mut said = String::new();
    while !said.contains(text) {
        assert_ne!(stderr.read_line(&mut said).expect("a line"), 0, "`{text}` is not said: {said}");
    }
}

#[test]
fn a_wait_longer_than_pause_max_ends_the_run_and_names_the_time() {
    let place = Workplace::new();
    let clock = FastClock::new(1.0);
    let (server, _) = counting_server(clock, 9);
    let limits = "limits: { per_day: 3, day_resets: \"04:00\", timezone: Asia/Tokyo, pause_max: 1s }";
    let file = place.file("job.yaml", &job(&server.url, limits, STREAM));
    place.haul(&["run", &file]).expect_code(75).expect_says(&[
        "quota of the day used until 20",
        " 19:05:00 UTC",
        "pause_max",
    ]);
    assert_eq!(server.asked().len(), 3);
    // What was counted stays counted: the next run sends nothing.
    place.haul(&["run", &file]).expect_code(75);
    assert_eq!(server.asked().len(), 3);

    let place = Workplace::new();
    let (server, _) = asking_server(clock, "retry-after", "3600");
    let file = place.file("job.yaml", &job(&server.url, "", STREAM));
    place.haul(&["run", &file]).expect_code(75).expect_says(&["the server asks to wait until 20", "3600 s", "900 s"]);
}

#[test]
fn a_signal_ends_a_pause_at_once() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let clock = FastClock::new(1.0);
        let (server, _) = asking_server(clock, "retry-after", "600");
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&server.url, "", STREAM));
        let mut command = place.command(&["run", &file]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        wait_for_line(&mut stderr, "paused until");
        let began = Instant::now();
        terminate(child.id(), signal);
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
        assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
    }
}

#[test]
fn every_attempt_counts_also_for_the_description_of_types() {
    let server = Server::start(|request, before| match (request.path(), before) {
        ("/$metadata", _) => status(404, ""),
        (_, 1) => status(500, "{}"),
        _ => ok(json!({ "value": [{ "id": 1 }] }).to_string()),
    });
    let place = Workplace::new();
    let text = job(&server.url, "dialect: odata\nlimits: { per_day: 3, pause_max: 1s }", "");
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(server.asked().len(), 3);
    place.haul(&["run", &file]).expect_code(75);
    assert_eq!(server.asked().len(), 3, "the quota of three was used by three attempts");
}

#[test]
fn what_a_count_costs() {
    const PAGES: u64 = 300;
    let took = |limits: &str| {
        let (server, _) = counting_server(FastClock::new(1.0), PAGES);
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&server.url, limits, STREAM));
        let began = Instant::now();
        place.haul(&["run", &file]).expect_code(0);
        began.elapsed().as_secs_f64() * 1000.0 / PAGES as f64
    };
    let (without, with) = (took(""), took("limits: { per_day: 100000000 }"));
    println!("a request takes {without:.2} ms, counted in SQLite {with:.2} ms: {:.2} ms a count", with - without);
}
