//! Two hundred jobs that run every minute, for an hour of their clock: no slot is lost, and the daemon grows in nothing.
//!
//! The clock runs faster, as fast as a test build bears. The whole hour:
//!
//! ```sh
//! HAUL_LOAD_MINUTES=60 HAUL_LOAD_SPEED=3 cargo test --release --test load -- --nocapture
//! ```

// The figures are what a long loop is for.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use support::daemon::{Daemon, Time};
use support::page::get;
use support::server::{Server, ok};
use support::{Done, Workplace, job};

const JOBS: usize = 200;
const START: &str = "2026-03-02 08:00:30";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What a process uses at a moment.
#[derive(Debug, Clone, Copy)]
struct Used {
    kib: u64,
    threads: u64,
    files: u64,
}

fn used(pid: u32) -> Used {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a folder").count() as u64;
    Used { kib: field("VmRSS:"), threads: field("Threads:"), files }
}

/// Processor time of a process so far.
fn processor(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a command").1.split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn two_hundred_jobs_run_every_minute_and_nothing_grows() {
    let (minutes, speed) = (number("HAUL_LOAD_MINUTES", 4), number("HAUL_LOAD_SPEED", 6));
    let source = Server::start(|_, before| ok(json!([{ "id": before }, { "id": before + 1 }]).to_string()));
    let place = Workplace::new();
    // In a time that runs so fast a connection takes longer.
    let network = "network: { connect_timeout: 1h, first_byte_timeout: 1h }\n";
    let files: Vec<String> = (0..JOBS)
        .map(|at| {
            let text = job(&source.url, network, "key: [id]\n").replace("job: test", &format!("job: j{at:03}"));
            // A busy machine is late by minutes of a fast clock.
            let schedule = "schedule: { cron: '* * * * *', timezone: UTC, overlap: queue, catchup: { all: 100 } }\n";
            place.file(&format!("jobs/j{at:03}.yaml"), &format!("{text}{schedule}"))
        })
        .collect();
    let time = Time::From(START.to_owned(), speed);
    let daemon = Daemon::start_at(&place, &["serve", "jobs", "--json"], &time);
    let pid = daemon.child.id();
    let began = Instant::now();
    // Somebody looks at the page all the time.
    daemon.wait("keeping");
    let url = daemon.url.clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let mut times = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                for path in ["/", "/jobs/j007"] {
                    let began = Instant::now();
                    let page = get(&url, path);
                    times.push(began.elapsed());
                    assert_eq!(page.code, 200, "{page:?}");
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            times.sort_unstable();
            times
        }
    });
    let runs = |minute: u64| JOBS * minute as usize;
    let mut samples: Vec<Used> = Vec::new();
    let mut ended = 0;
    let mut late = Duration::ZERO;
    while ended < runs(minutes) {
        let note = daemon.ended();
        assert_eq!(note["report"]["outcome"], "published", "{note:#}");
        let instant = |text: &Value| text.as_str().expect("an instant").parse::<DateTime<Utc>>().expect("an instant");
        late = late.max((instant(&note["at"]) - instant(&note["slot"])).to_std().unwrap_or_default());
        ended += 1;
        if ended % (runs(1)) == 0 {
            samples.push(used(pid));
        }
    }
    let (took, processor) = (began.elapsed(), processor(pid));
    is_over.store(true, Ordering::Relaxed);
    let pages = watching.join().expect("pages were answered");
    assert_eq!(daemon.stop(), 0);
    // Every job has a slot each minute, without a gap, up to the last of them.
    let mut entries = 0;
    for file in &files {
        let mut command = place.command(&["runs", file, "--last", "1000", "--json"]);
        Time::From("2026-03-02 12:00:00".to_owned(), 1).apply(&mut command);
        let shown = Done::of(command.output().expect("haul starts")).expect_code(0).json();
        let history = shown["history"].as_array().expect("entries").clone();
        support::daemon::assert_each_once(&history);
        let slots = support::daemon::slots(&history);
        let first: DateTime<Utc> = "2026-03-02T08:01:00Z".parse().expect("an instant");
        let expect: Vec<String> = (0..slots.len())
            .map(|minute| (first + chrono::TimeDelta::minutes(minute as i64)).format("%Y-%m-%dT%H:%M:%SZ").to_string())
            .collect();
        let mut distinct = slots.clone();
        distinct.dedup();
        assert_eq!(distinct, expect[..distinct.len()], "{file}");
        assert!(distinct.len() as u64 >= minutes - 1, "{file}: {slots:?}");
        let lost =
            history.iter().filter(|entry| ["missed", "skipped", "failed"].iter().any(|word| entry["outcome"] == *word));
        assert_eq!(lost.count(), 0, "{file}: {history:#?}");
        entries += slots.len();
    }
    let (first, middle, last) = (samples[0], samples[samples.len() / 2], samples[samples.len() - 1]);
    println!(
        "{JOBS} jobs, {minutes} minutes of their clock in {:.0} s: {entries} slots, none lost; {:.1} ms of processor time a run; \
         at most {:.1} s from a slot to the end of its run; memory {} MiB after a minute, {} in the middle, {} at the end; \
         threads {}, {}, {}; open files {}, {}, {}; {} pages in {:.1} ms at the median, {:.1} at the 95th percentile",
        took.as_secs_f64(),
        processor.as_secs_f64() * 1000.0 / ended as f64,
        late.as_secs_f64(),
        first.kib / 1024,
        middle.kib / 1024,
        last.kib / 1024,
        first.threads,
        middle.threads,
        last.threads,
        first.files,
        middle.files,
        last.files,
        pages.len(),
        pages[pages.len() / 2].as_secs_f64() * 1000.0,
        pages[pages.len() * 95 / 100].as_secs_f64() * 1000.0,
    );
    // Runs that are going on at the moment of a sample count, and threads that wait for work: they would end after ten seconds, but
    // wait by the real clock for a time of the fast one.
    assert!(last.kib < middle.kib + middle.kib / 4 + 16 * 1024, "memory grows: {samples:?}");
    assert!(last.threads <= middle.threads + 80 && last.files <= middle.files + 160, "{samples:?}");
}
