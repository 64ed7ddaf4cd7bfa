//! Every fault of a store while a snapshot is published: readers see the former one or the new one, and the run knows which.
//!
//! These are short loops; what makes them long is set by variables:
//!
//! ```sh
//! HAUL_KILL_STEP=1 cargo test --release --test publish killed -- --nocapture
//! HAUL_RACES=500 cargo test --release --test publish race -- --nocapture
//! ```

// The figures are what a long loop is for.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::clock::faketime;
use support::dataset::{self, Seen, chain};
use support::faults::{Asked, Fault, Faults, Kind};
use support::rigs::{Rig, output_of};
use support::server::{Answer, Server, ok, status};
use support::{Done, Workplace, job};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A source whose table is another one at every read: `[n, n]` at the n-th.
fn source() -> Server {
    Server::start(|_, before| {
        let n = before + 1;
        ok(json!([{ "n": n, "name": "a" }, { "n": n, "name": "b" }]).to_string())
    })
}

/// Azurite behind a proxy, and a job that publishes there.
struct Blobs {
    azurite: Rig,
    faults: Faults,
    place: Workplace,
    file: String,
    copies: AtomicUsize,
}

impl Blobs {
    fn start(source: &str) -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let faults = Faults::start(azurite.url());
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", &faults.url)
            .env("AZURE_ALLOW_HTTP", "true");
        let text = job(source, "", "paging: none").replace("url: out", "url: az://reports/exports");
        let file = place.file("job.yaml", &text);
        Blobs { azurite, faults, place, file, copies: AtomicUsize::new(0) }
    }

    fn run(&self) -> Done {
        self.place.haul(&["run", &self.file, "--json"])
    }

    /// The same where a minute is over in a second: the client's waits between its tries, too.
    fn run_fast(&self) -> Done {
        let mut command = self.place.command(&["run", &self.file, "--json"]);
        command.env("LD_PRELOAD", faketime()).env("FAKETIME", "+0 x60");
        Done::of(command.output().expect("haul starts"))
    }

    /// A copy of everything that is there, past the proxy.
    fn copy(&self) -> PathBuf {
        let to = self.place.path(&format!("copy-{}", self.copies.fetch_add(1, Ordering::SeqCst)));
        let url = self.azurite.url();
        output_of("blob.py", &["get", "--url", url, "--container", "reports", "--to", &to.to_string_lossy()]);
        to.join("exports/test")
    }

    fn seen(&self) -> Option<Seen> {
        dataset::read(&self.copy()).expect("readable")
    }
}

#[test]
fn a_store_that_says_503_for_longer_than_anybody_tries_is_a_temporary_failure() {
    let source = source();
    let blobs = Blobs::start(&source.url);
    // Before anything was published, at the proof of the store.
    blobs.faults.plan(|_, _| Fault::Refuse(503));
    blobs.run_fast().expect_code(75);
    assert_eq!(source.asked().len(), 0, "the source was asked for what nobody can store");
    blobs.faults.plan(|_, _| Fault::Pass);
    blobs.run().expect_code(0);
    let before = blobs.seen();
    for kind in [Kind::Part, Kind::Manifest, Kind::Pointer] {
        // From this step on the store is away, for whatever is asked.
        let is_away = AtomicUsize::new(0);
        blobs.faults.plan(move |asked, _| {
            if asked.kind() == kind {
                is_away.store(1, Ordering::SeqCst);
            }
            if is_away.load(Ordering::SeqCst) == 1 { Fault::Refuse(503) } else { Fault::Pass }
        });
        let done = blobs.run_fast().expect_code(75);
        assert_eq!(done.json()["outcome"], "failed", "{kind:?}");
        assert_eq!(blobs.seen(), before, "{kind:?}");
    }
    blobs.faults.plan(|_, _| Fault::Pass);
    blobs.run().expect_code(0);
    let seen = blobs.seen().expect("published");
    // What the first of them read is kept until it is published: the source was not asked again.
    assert_eq!((seen.sequence, seen.values), (2, vec![2, 2]));
    assert_eq!(source.asked().len(), 2);
}

#[test]
fn a_step_that_is_done_but_reported_as_failed_is_published_exactly_once() {
    let source = source();
    let blobs = Blobs::start(&source.url);
    blobs.run().expect_code(0);
    let mut sequence = 1;
    for kind in [Kind::Part, Kind::Manifest, Kind::Pointer, Kind::Alias, Kind::Status] {
        for (fault, times) in
            [(Fault::Lie(503), 1), (Fault::Lie(500), usize::MAX), (Fault::Lose, 1), (Fault::Lie(412), 1)]
        {
            let met = AtomicUsize::new(0);
            blobs.faults.plan(move |asked, _| {
                if asked.kind() == kind && met.fetch_add(1, Ordering::SeqCst) < times { fault } else { Fault::Pass }
            });
            let done = blobs.run().expect_code(0);
            sequence += 1;
            let (report, folder) = (done.json(), blobs.copy());
            let seen = dataset::read(&folder).expect("readable").expect("published");
            assert_eq!(report["outcome"], "published", "{kind:?} {fault:?}");
            assert_eq!(report["snapshot"], seen.snapshot, "{kind:?} {fault:?}");
            assert_eq!((seen.sequence, chain(&folder).len() as u64), (sequence, sequence), "{kind:?} {fault:?}");
            assert_eq!(dataset::manifests(&folder, "_snapshots").len() as u64, sequence, "{kind:?} {fault:?}");
            assert!(blobs.faults.asked().iter().any(|asked| asked.kind() == kind), "{kind:?} was never asked for");
        }
    }
}

#[test]
fn a_large_part_whose_upload_is_reported_as_failed_is_published_exactly_once() {
    // Text that does not compress, for more than one block of an upload.
    let source = Server::start(|_, before| {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let rows: Vec<Value> = (0..600)
            .map(|_| {
                let mut text = String::new();
                while text.len() < 20_000 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    text.push_str(&format!("{random:016x}"));
                }
                json!({ "n": before + 1, "text": text })
            })
            .collect();
        ok(json!(rows).to_string())
    });
    let blobs = Blobs::start(&source.url);
    for (sequence, (kind, fault)) in
        [(Kind::Block, Fault::Lie(503)), (Kind::BlockList, Fault::Lie(503)), (Kind::BlockList, Fault::Lose)]
            .into_iter()
            .enumerate()
    {
        let met = AtomicUsize::new(0);
        blobs.faults.plan(move |asked, _| {
            if asked.kind() == kind && met.fetch_add(1, Ordering::SeqCst) < 1 { fault } else { Fault::Pass }
        });
        blobs.run().expect_code(0);
        let seen = blobs.seen().expect("published");
        assert_eq!((seen.sequence, seen.values.len()), (sequence as u64 + 1, 600), "{kind:?} {fault:?}");
        assert!(blobs.faults.asked().iter().any(|asked| asked.kind() == kind), "{kind:?} was never asked for");
    }
}

/// The swap was applied, its answer was lost, and another run went on from there before ours looked.
#[test]
fn a_publication_that_somebody_went_on_from_is_a_publication() {
    let source = source();
    let blobs = Arc::new(Blobs::start(&source.url));
    blobs.run().expect_code(0);
    let other = {
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", blobs.azurite.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", blobs.azurite.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", blobs.azurite.url())
            .env("AZURE_ALLOW_HTTP", "true");
        let text = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
        place.file("job.yaml", &text);
        place
    };
    let others = Mutex::new(other);
    let is_next = AtomicUsize::new(0);
    blobs.faults.plan(move |asked, _| match asked.kind() {
        Kind::Pointer if is_next.swap(1, Ordering::SeqCst) == 0 => Fault::Lie(412),
        Kind::Other if asked.target.contains("_latest.json") && is_next.load(Ordering::SeqCst) == 1 => {
            is_next.store(2, Ordering::SeqCst);
            let other = others.lock().expect("a workplace");
            let file = other.path("job.yaml").display().to_string();
            other.haul(&["run", &file]).expect_code(0);
            Fault::Pass
        }
        _ => Fault::Pass,
    });
    let report = blobs.run().expect_code(0).json();
    blobs.faults.plan(|_, _| Fault::Pass);
    let folder = blobs.copy();
    let chain = chain(&folder);
    assert_eq!(chain.len(), 3);
    assert_eq!(report["snapshot"], chain[1], "{report:#}");
}

/// A store as S3 spells it, that ignores the conditions of a write.
fn careless_store() -> Server {
    let objects: Mutex<HashMap<String, (u64, String)>> = Mutex::default();
    Server::start(move |request, _| {
        let mut objects = objects.lock().expect("the objects");
        let tagged = |answer: Answer, number: u64| {
            answer.with("etag", &format!("\"tag-{number}\"")).with("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        };
        match (request.method.as_str(), objects.get(request.path()).cloned()) {
            ("PUT", found) => {
                let number = found.map_or(1, |(number, _)| number + 1);
                objects.insert(request.path().to_owned(), (number, request.body.clone()));
                tagged(status(200, ""), number)
            }
            ("GET", Some((number, body))) => tagged(ok(body), number),
            ("DELETE", _) => status(204, ""),
            _ => status(404, ""),
        }
    })
}

#[test]
fn a_store_that_ignores_the_conditions_of_a_write_is_refused_before_anything_is_read() {
    let (source, store) = (source(), careless_store());
    let place = Workplace::new().env("AWS_ACCESS_KEY_ID", "tester").env("AWS_SECRET_ACCESS_KEY", "canary-secret");
    let options = format!("{{ endpoint: \"{}\", region: us-east-1, allow_http: \"true\" }}", store.url);
    let text = job(&source.url, "", "paging: none")
        .replace("  url: out\n", &format!("  url: s3://haul/exports\n  options: {options}\n"));
    let file = place.file("job.yaml", &text);
    for _ in 0..2 {
        place.haul(&["run", &file]).expect_code(2).expect_says(&[
            "`s3://haul/exports/test`",
            "created an object whose name was taken",
            "hint: ",
        ]);
    }
    assert_eq!(source.asked().len(), 0);
    assert!(store.asked().iter().all(|asked| asked.path().contains(".haul-")), "more than the probe was written");
}

#[test]
fn a_destination_is_proved_once_and_the_proof_leaves_nothing() {
    let source = source();
    let blobs = Blobs::start(&source.url);
    let probes = |asked: Vec<Asked>| asked.iter().filter(|asked| asked.target.contains(".haul-")).count();
    // One lost answer does not decide about a store.
    blobs.faults.plan(|asked, number| match asked.target.contains(".haul-") && number < 3 {
        true => Fault::Lie(503),
        false => Fault::Pass,
    });
    blobs.run().expect_code(75);
    blobs.faults.plan(|asked, number| match asked.target.contains(".haul-") && number < 1 {
        true => Fault::Lie(503),
        false => Fault::Pass,
    });
    blobs.run().expect_code(0);
    assert!(probes(blobs.faults.asked()) >= 7);
    blobs.faults.plan(|_, _| Fault::Pass);
    blobs.run().expect_code(0);
    assert_eq!(probes(blobs.faults.asked()), 0, "the proof was not remembered");
    // A folder: nothing of it is left where the run fails afterwards.
    let place = Workplace::new();
    let refusing = Server::start(|_, _| status(404, ""));
    let file = place.file("job.yaml", &job(&refusing.url, "", "paging: none"));
    place.haul(&["run", &file]).expect_code(1);
    assert!(!place.path("out").exists());
}

/// Calls that a file system may not have, as `strace` makes them fail.
#[test]
fn a_folder_that_cannot_do_what_a_publication_rests_on_is_refused() {
    let source = source();
    let no_rename = "--inject=renameat2:error=EINVAL";
    let no_links = ["--inject=link:error=EPERM", "--inject=linkat:error=EPERM"];
    for (calls, says) in [
        (&["--inject=flock:error=ENOLCK"][..], Some("it has no file locks")),
        (&[no_rename, no_links[0], no_links[1]], Some("only where there is none")),
        // NFS is like this.
        (&[no_rename], None),
    ] {
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&source.url, "", "paging: none"));
        let strace = [&["-f"], calls].concat();
        let asked = source.asked().len();
        let done = Done::of(place.traced(&strace, &["run", &file]).output().expect("strace runs"));
        match says {
            Some(says) => {
                done.expect_code(2).expect_says(&[
                    "does not keep the conditions of a write",
                    says,
                    "network file system",
                ]);
                assert_eq!(source.asked().len(), asked, "the source was asked for what nobody can store");
                assert!(!place.path("out").exists());
            }
            None => {
                done.expect_code(0);
                place.haul(&["run", &file]).expect_code(0);
                assert_eq!(dataset::read(&place.path("out/test")).expect("readable").expect("published").sequence, 2);
            }
        }
    }
}

/// Runs a job on a local folder so many hours from now under `strace`, which kills it at one of its system calls. `true` =
/// it did.
fn traced(place: &Workplace, hours: u64, file: &str, inject: Option<&str>) -> (bool, String) {
    // For the process that may be killed only: it shares what it keeps with whoever it is started by.
    let fake = [format!("LD_PRELOAD={}", faketime()), format!("FAKETIME=+{hours}h")];
    let trace_to = format!("--output={}", place.path("trace").to_string_lossy());
    let calls = "trace=openat,write,pwrite64,fsync,fdatasync,flock,link,linkat,rename,renameat,renameat2,unlink,unlinkat,\
                 mkdir,mkdirat,rmdir,copy_file_range,sendfile,ftruncate";
    let mut strace = vec!["-f", "-y", "-e", calls, &trace_to, "-E", &fake[0], "-E", &fake[1]];
    strace.extend(["-E", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
    strace.extend(inject);
    let output = place.traced(&strace, &["run", file]).output().expect("strace runs: `tests/rigs/install` installs it");
    let trace = std::fs::read_to_string(place.path("trace")).expect("a trace");
    let is_killed = trace.contains("+++ killed by SIGKILL");
    // The library's own, which only an end in peace takes away.
    let pid = trace.split_whitespace().next().expect("a process");
    for left in [format!("/dev/shm/faketime_shm_{pid}"), format!("/dev/shm/sem.faketime_sem_{pid}")] {
        let _ = std::fs::remove_file(left);
    }
    assert!(is_killed || output.status.success(), "{output:?}");
    (is_killed, trace)
}

/// The calls of a run that touch its destination, in their order: name, and the how-manieth of that name in its thread.
/// Strace counts so; which thread does what differs from run to run.
fn calls(trace: &str, folder: &Path) -> Vec<(String, u64)> {
    let folder = folder.to_string_lossy();
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').map_or(("", ""), |(thread, call)| (thread, call.trim_start()));
        let name: String = call.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !name.is_empty() && call[name.len()..].starts_with('(') {
            let count = counts.entry((thread, name.clone())).or_default();
            *count += 1;
            if line.contains(&*folder) && !calls.contains(&(name.clone(), *count)) {
                calls.push((name, *count));
            }
        }
    }
    calls
}

#[test]
fn a_run_killed_at_every_step_on_a_folder_shows_the_former_or_the_new_snapshot() {
    let step = number("HAUL_KILL_STEP", 2);
    let (source, place) = (source(), Workplace::new());
    let text = format!("{}publish: {{ keep: {{ snapshots: 2, hours: 1 }} }}\n", job(&source.url, "", "paging: none"));
    let file = place.file("job.yaml", &text);
    let folder = place.path("out/test");
    for hours in 0..8 {
        place.haul_in(hours, &["run", &file]).expect_code(0);
    }
    // Snapshots and files go in every run by now.
    let (_, trace) = traced(&place, 8, &file, None);
    let calls = calls(&trace, &folder);
    let swept = trace.lines().filter(|line| line.contains(" unlink") && line.contains(&*folder.to_string_lossy()));
    assert!(swept.count() >= 2, "nothing was swept");
    let mut before = dataset::read(&folder).expect("readable").expect("published");
    let (mut old, mut new) = (0, 0);
    for (round, (name, nth)) in calls.iter().skip(1).step_by(step).enumerate() {
        let (asked, hours) = (source.asked().len(), 10 + 2 * round as u64);
        let inject = format!("--inject={name}:signal=KILL:when={nth}");
        let (is_killed, trace) = traced(&place, hours, &file, Some(&inject));
        let seen = dataset::read(&folder).unwrap_or_else(|error| panic!("{name} {nth}: {error:?}\n{trace}"));
        let seen = seen.expect("published");
        let expected = asked as i64 + 1;
        if seen == before {
            old += u64::from(is_killed);
        } else {
            assert_eq!(seen.values, [expected, expected], "{name} {nth}\n{trace}");
            new += u64::from(is_killed);
        }
        // Whatever is left behind, the next run completes.
        let report = place.haul_in(hours + 1, &["run", &file, "--json"]).expect_code(0).json();
        assert!(report.get("warnings").is_none(), "{name} {nth}: {report:#}");
        dataset::assert_whole(&folder);
        before = dataset::read(&folder).expect("readable").expect("published");
        assert_eq!(report["snapshot"], before.snapshot);
        let alias = std::fs::read(folder.join("items/current.parquet")).expect("an alias");
        let manifests = dataset::manifests(&folder, "_snapshots");
        let last = manifests.iter().find(|(_, manifest)| manifest["snapshot"] == before.snapshot).expect("a manifest");
        let part = last.1["tables"]["items"]["parts"][0]["path"].as_str().expect("a path");
        assert_eq!(alias, std::fs::read(folder.join(part)).expect("a part"), "{name} {nth}");
    }
    println!("{} of {} calls killed: {old} show the former snapshot, {new} the new one", old + new, calls.len());
    assert!(old > 0 && new > 0, "the kills missed the publication");
    // What the killed runs left goes in the end.
    for hours in [1000, 2000] {
        place.haul_in(hours, &["sweep", &file]).expect_code(0);
    }
    let left: Vec<_> = std::fs::read_dir(folder.join("items/data")).expect("a folder").collect();
    assert!(left.len() <= 2, "{left:?}");
}

#[test]
fn a_run_killed_at_every_request_to_a_blob_store_shows_the_former_or_the_new_snapshot() {
    let step = number("HAUL_KILL_STEP", 3);
    let source = source();
    let blobs = Blobs::start(&source.url);
    blobs.run().expect_code(0);
    blobs.faults.plan(|_, _| Fault::Pass);
    blobs.run().expect_code(0);
    let requests = blobs.faults.asked().len();
    let mut before = blobs.seen().expect("published");
    let (mut old, mut new) = (0, 0);
    for (at, fault) in (0..requests).flat_map(|at| [(at, Fault::KillBefore), (at, Fault::KillAfter)]).step_by(step) {
        let asked = source.asked().len();
        blobs.faults.victim(None);
        blobs.faults.plan(move |_, number| if number == at { fault } else { Fault::Pass });
        let child =
            blobs.place.command(&["run", &blobs.file, "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("haul starts");
        blobs.faults.victim(Some(child.id()));
        child.wait_with_output().expect("it ends");
        blobs.faults.plan(|_, _| Fault::Pass);
        let seen = blobs.seen().expect("published");
        if seen == before {
            old += 1;
        } else {
            let expected = asked as i64 + 1;
            assert_eq!(seen.values, [expected, expected], "{fault:?} at {at}");
            new += 1;
        }
        let report = blobs.run().expect_code(0).json();
        assert!(report.get("warnings").is_none(), "{fault:?} at {at}: {report:#}");
        before = blobs.seen().expect("published");
        assert_eq!(report["snapshot"], before.snapshot, "{fault:?} at {at}");
    }
    println!("{} kills at {requests} requests: {old} show the former snapshot, {new} the new one", old + new);
    assert!(old > 0 && new > 0, "the kills missed the publication");
}

/// Two hosts that share a destination and no state: no lease keeps them apart, only the swap does.
fn race(rounds: usize, first: &Workplace, second: &Workplace, files: [&str; 2], folder: impl Fn() -> PathBuf) {
    let (mut published, mut lost) = (Vec::new(), 0);
    for round in 0..rounds {
        let children: Vec<Child> = [first, second]
            .iter()
            .zip(files)
            .map(|(place, file)| {
                let mut command = place.command(&["run", file, "--json"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("haul starts")
            })
            .collect();
        for child in children {
            let done = Done::of(child.wait_with_output().expect("it ends"));
            let report = done.json();
            match done.code {
                0 => published.push(report["snapshot"].as_str().expect("a snapshot").to_owned()),
                75 => {
                    let error = report["error"].as_str().expect("a reason");
                    assert!(error.contains("another run published"), "round {round}: {report:#}");
                    lost += 1;
                }
                code => panic!("round {round}: exit {code}: {report:#}"),
            }
        }
    }
    let mut chain = chain(&folder());
    chain.sort();
    published.sort();
    assert_eq!(chain, published, "what was published is on the chain, and nothing else is");
    let sequences: Vec<u64> = chain.iter().map(|id| id[..8].parse().expect("a sequence")).collect();
    assert_eq!(sequences, (1..=chain.len() as u64).collect::<Vec<_>>());
    println!("{rounds} rounds: {} published, {lost} lost and said why", chain.len());
    assert!(lost > 0 || rounds < 5, "nobody ever met the other");
}

#[test]
fn two_publishers_that_race_lose_no_update() {
    let rounds = number("HAUL_RACES", 25);
    // The answer comes late, so that both have read the pointer when the first one swaps it.
    let source = Server::start(|_, before| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        ok(json!([{ "n": before + 1 }]).to_string())
    });
    let (first, second) = (Workplace::new(), Workplace::new());
    let text = format!("{}publish: {{ keep: {{ snapshots: 1000 }} }}\n", job(&source.url, "", "paging: none"));
    let file = first.file("job.yaml", &text);
    let text = text.replace("url: out", &format!("url: {}", first.path("out").display()));
    let other = second.file("job.yaml", &text);
    race(rounds, &first, &second, [&file, &other], || first.path("out/test"));

    let blobs = Blobs::start(&source.url);
    let second = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", blobs.azurite.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", blobs.azurite.text("key"))
        .env("AZURE_STORAGE_ENDPOINT", blobs.azurite.url())
        .env("AZURE_ALLOW_HTTP", "true");
    let text = std::fs::read_to_string(&blobs.file).expect("a job");
    let text = format!("{text}publish: {{ keep: {{ snapshots: 1000 }} }}\n");
    let (file, other) = (blobs.place.file("keep.yaml", &text), second.file("keep.yaml", &text));
    race(rounds.div_ceil(2), &blobs.place, &second, [&file, &other], || blobs.copy());
}
