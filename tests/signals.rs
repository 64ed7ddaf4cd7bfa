//! SIGTERM in the middle of a token refresh, of a page and of a publication, for `haul run` and `haul serve`: the process ends
//! within its grace, nothing is lost, and the next one goes on.

#![allow(missing_docs)]

mod support;

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::daemon::{Daemon, Time, assert_each_once, history, outcomes};
use support::dataset;
use support::faults::{Fault, Faults, Kind};
use support::provider::{self, Class, Provider};
use support::rigs::{Rig, output_of};
use support::scene::wait_until;
use support::server::{Server, ok};
use support::{Done, Workplace, job, terminate};

/// Longer than any of these steps takes on a busy machine, and shorter than the default grace.
const AT_ONCE: Duration = Duration::from_secs(8);

fn spawn(place: &Workplace, args: &[&str]) -> Child {
    place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("haul starts")
}

/// Its end, and how long that took.
fn ended(child: Child) -> (Done, Duration) {
    let began = Instant::now();
    (Done::of(child.wait_with_output().expect("it ends")), began.elapsed())
}

/// Whether it goes on for a moment.
fn assert_goes_on(child: &mut Child) {
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a process").is_none(), "it did not wait");
}

/// A job whose token is bought at its first request.
struct Refreshing {
    provider: Provider,
    source: Server,
    place: Workplace,
    file: String,
}

impl Refreshing {
    fn new(class: Class) -> Self {
        let (provider, source, place) = (Provider::start(class), support::daemon::source(), Workplace::new());
        let auth = provider.auth().replace("timeout: 1s", "timeout: 30s");
        let text = format!("{}schedule: {{ every: 1s, timezone: UTC }}\n", job(&source.url, &auth, "key: [id]\n"));
        let file = place.file("jobs/job.yaml", &text);
        let token = provider.new_family();
        let mut command = place.command(&["credentials", "import", &file]);
        let mut import = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("haul starts");
        std::io::Write::write_all(&mut import.stdin.take().expect("a pipe"), token.as_bytes()).expect("written");
        assert!(import.wait().expect("it ends").success());
        provider.fail(&[provider::Fault::Hold]);
        Refreshing { provider, source, place, file }
    }

    fn is_asked(&self) {
        wait_until(|| self.provider.requests() == 1);
    }

    /// The new token is there, and nobody asked for another one.
    #[track_caller]
    fn works(&self) {
        self.place.haul(&["run", &self.file]).expect_code(0);
        assert_eq!(self.provider.requests(), 1, "the answer was not stored");
        assert_eq!(self.place.haul(&["credentials", "--json"]).expect_code(0).json()[0]["state"], "idle");
        assert!(!self.source.asked().is_empty());
    }
}

#[test]
fn a_run_stopped_in_a_refresh_stores_the_new_token() {
    for signals in [1, 2] {
        let scene = Refreshing::new(Class::ReuseRevokesFamily);
        let mut child = spawn(&scene.place, &["run", &scene.file]);
        scene.is_asked();
        for _ in 0..signals {
            terminate(child.id(), "-TERM");
            assert_goes_on(&mut child);
        }
        scene.provider.release();
        let (done, took) = ended(child);
        assert!(took < AT_ONCE, "{took:?}");
        let done = done.expect_code(143);
        if signals == 2 {
            done.expect_says(&["waiting for a token that is on its way"]);
        }
        scene.works();
    }
}

#[test]
fn a_daemon_stopped_in_a_refresh_stores_the_new_token() {
    for signals in [1, 2] {
        let scene = Refreshing::new(Class::ReuseRevokesFamily);
        let mut daemon = Daemon::start(&scene.place, "jobs");
        scene.is_asked();
        for _ in 0..signals {
            daemon.signal("-TERM");
            assert_goes_on(&mut daemon.child);
        }
        scene.provider.release();
        let (code, took) = daemon.end();
        assert!(took < AT_ONCE, "{took:?}");
        assert_eq!(code, if signals == 1 { 0 } else { 143 });
        scene.works();
    }
}

#[test]
fn a_token_that_never_comes_ends_with_the_grace() {
    // Where the old token still does, the next run uses it; where it does not, a person must log in, and is told.
    for (class, code) in [(Class::ValidUntilSuccessorUsed, 0), (Class::SingleUse, 5)] {
        let scene = Refreshing::new(class);
        let child = spawn(&scene.place, &["run", &scene.file, "--grace", "2"]);
        scene.is_asked();
        terminate(child.id(), "-TERM");
        let (done, took) = ended(child);
        assert!(took > Duration::from_secs(1) && took < AT_ONCE, "{took:?}");
        done.expect_code(143);
        scene.place.haul(&["run", &scene.file]).expect_code(code);
    }
    let scene = Refreshing::new(Class::ValidUntilSuccessorUsed);
    let mut daemon = Daemon::start_at(&scene.place, &["serve", "jobs", "--json", "--grace", "2"], &Time::Real);
    scene.is_asked();
    daemon.signal("-TERM");
    let (_, took) = daemon.end();
    assert!(took > Duration::from_secs(1) && took < AT_ONCE, "{took:?}");
    scene.place.haul(&["run", &scene.file]).expect_code(0);
}

/// Six linked pages, of which the fourth comes when the gate is open.
struct Paged {
    source: Server,
    place: Workplace,
    file: String,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    is_met: AtomicBool,
}

impl Gate {
    fn pass(&self) {
        self.is_met.store(true, Ordering::SeqCst);
        let mut is_open = self.is_open.lock().expect("a flag");
        while !*is_open {
            is_open = self.opened.wait(is_open).expect("a flag");
        }
    }

    fn open(&self) {
        *self.is_open.lock().expect("a flag") = true;
        self.opened.notify_all();
    }

    fn is_met(&self) {
        wait_until(|| self.is_met.load(Ordering::SeqCst));
    }
}

impl Paged {
    fn new() -> Self {
        let gate = Arc::new(Gate::default());
        let at = Arc::clone(&gate);
        let source = Server::start(move |request, _| {
            let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
            if page == 4 {
                at.pass();
            }
            let next = if page < 6 { json!(format!("/items?page={}", page + 1)) } else { Value::Null };
            ok(json!({ "data": [{ "id": page }], "next": next }).to_string())
        });
        let place = Workplace::new();
        let stream = "records: data\npaging: { next_url: next }\nkey: [id]\n";
        let text = format!("{}schedule: {{ every: 1s, timezone: UTC }}\n", job(&source.url, "", stream));
        let file = place.file("jobs/job.yaml", &text);
        Paged { source, place, file, gate }
    }

    fn pages(&self) -> Vec<String> {
        self.source.asked().iter().map(|request| request.param("page").unwrap_or_default()).collect()
    }
}

#[test]
fn a_run_stopped_in_a_page_goes_on_behind_the_others() {
    for signals in [1, 2] {
        let scene = Paged::new();
        let child = spawn(&scene.place, &["run", &scene.file]);
        scene.gate.is_met();
        for _ in 0..signals {
            terminate(child.id(), "-TERM");
        }
        let (done, took) = ended(child);
        assert!(took < AT_ONCE, "{took:?}");
        done.expect_code(143);
        assert!(!scene.place.path("out/test/_latest.json").exists());
        scene.gate.open();
        let report = scene.place.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
        assert_eq!(report["tables"]["items"]["rows"], 6);
        if signals == 1 {
            assert_eq!(report["tables"]["items"]["resumed_pages"], 3, "{report:#}");
            assert_eq!(scene.pages(), ["", "2", "3", "4", "4", "5", "6"]);
        }
    }
}

#[test]
fn a_daemon_stopped_in_a_page_leaves_its_slot_to_the_next_one() {
    for signals in [1, 2] {
        let scene = Paged::new();
        let mut daemon = Daemon::start(&scene.place, "jobs");
        let slot = daemon.wait("began")["slot"].clone();
        scene.gate.is_met();
        for _ in 0..signals {
            daemon.signal("-TERM");
        }
        let (code, took) = daemon.end();
        assert!(took < AT_ONCE, "{took:?}");
        // The second signal may arrive when everything is over.
        assert!(code == 0 || (signals == 2 && code == 143), "{code}");
        scene.gate.open();
        let daemon = Daemon::start(&scene.place, "jobs");
        let again = daemon.wait_for("ended", |ended| ended["slot"] == slot);
        assert_eq!(again["report"]["outcome"], "published", "{again:#}");
        if code == 0 {
            assert_eq!(again["report"]["tables"]["items"]["resumed_pages"], 3, "{again:#}");
        }
        assert_eq!(daemon.stop(), 0);
        let entries = history(&scene.place, &scene.file);
        assert_each_once(&entries);
        assert!(outcomes(&entries).contains(&"published"));
    }
}

/// A store whose pointer is written when the gate is open.
struct Publishing {
    azurite: Rig,
    faults: Faults,
    _source: Server,
    place: Workplace,
    file: String,
    gate: Arc<Gate>,
}

impl Publishing {
    fn new() -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let faults = Faults::start(azurite.url());
        let source = Server::start(|_, before| ok(json!([{ "n": before + 1 }, { "n": before + 1 }]).to_string()));
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", &faults.url)
            .env("AZURE_ALLOW_HTTP", "true");
        let text = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
        let file = place.file("jobs/job.yaml", &format!("{text}schedule: {{ every: 1s, timezone: UTC }}\n"));
        place.haul(&["run", &file]).expect_code(0);
        let mut scene = Publishing { azurite, faults, _source: source, place, file, gate: Arc::default() };
        scene.shut();
        scene
    }

    fn shut(&mut self) {
        self.gate = Arc::default();
        let at = Arc::clone(&self.gate);
        self.faults.plan(move |asked, _| {
            if asked.kind() == Kind::Pointer {
                at.pass();
            }
            Fault::Pass
        });
    }

    /// The store has the request of a process that is gone, and does it now; the next run takes that for what it is.
    #[track_caller]
    fn is_done_late(&self, before: u64) {
        self.gate.open();
        wait_until(|| self.seen() == before + 1);
        self.place.haul(&["run", &self.file]).expect_code(0);
        assert!((before + 1..=before + 2).contains(&self.seen()));
    }

    /// What readers see: the sequence of the snapshot, whose parts are all there and of one run.
    fn seen(&self) -> u64 {
        let to = tempfile::TempDir::new().expect("a folder");
        let args = ["get", "--url", self.azurite.url(), "--container", "reports", "--to", &to.path().to_string_lossy()];
        output_of("blob.py", &args);
        let seen = dataset::read(&to.path().join("exports/test")).expect("readable").expect("published");
        assert!(seen.values.windows(2).all(|pair| pair[0] == pair[1]), "a mix: {seen:?}");
        seen.sequence
    }
}

#[test]
fn a_run_stopped_in_its_publication_leaves_the_old_or_the_new_dataset() {
    let mut scene = Publishing::new();
    // A store that is slow, but not for longer than the grace: the publication comes to its end.
    let mut child = spawn(&scene.place, &["run", &scene.file]);
    scene.gate.is_met();
    terminate(child.id(), "-TERM");
    assert_goes_on(&mut child);
    scene.gate.open();
    let (done, _) = ended(child);
    done.expect_code(0);
    assert_eq!(scene.seen(), 2);
    // One that hangs, and one whose run is stopped twice.
    for (args, signals) in [(vec!["--grace", "2"], 1), (Vec::new(), 2)] {
        let before = scene.seen();
        scene.shut();
        let child = spawn(&scene.place, &[&["run", scene.file.as_str()], args.as_slice()].concat());
        scene.gate.is_met();
        for _ in 0..signals {
            terminate(child.id(), "-TERM");
        }
        let (done, took) = ended(child);
        assert!(took < AT_ONCE, "{took:?}");
        done.expect_code(143);
        assert_eq!(scene.seen(), before, "nothing is published before the pointer is written");
        scene.is_done_late(before);
    }
}

#[test]
fn a_daemon_stopped_in_its_publication_leaves_the_old_or_the_new_dataset() {
    let mut scene = Publishing::new();
    for (args, signals, expect) in [(vec![], 1, 0), (vec!["--grace", "2"], 1, 143), (vec![], 2, 143)] {
        scene.shut();
        let before = scene.seen();
        let args = [&["serve", "jobs", "--json"], args.as_slice()].concat();
        let mut daemon = Daemon::start_at(&scene.place, &args, &Time::Real);
        scene.gate.is_met();
        for _ in 0..signals {
            daemon.signal("-TERM");
        }
        if expect == 0 {
            assert_goes_on(&mut daemon.child);
            scene.gate.open();
        }
        if expect != 0 {
            daemon.wait("stopped");
        }
        let (code, took) = daemon.end();
        assert!(took < AT_ONCE, "{took:?}");
        assert_eq!(code, expect);
        let after = scene.seen();
        assert_eq!(after, if expect == 0 { before + 1 } else { before });
        if expect != 0 {
            scene.is_done_late(after);
        }
    }
}

#[test]
fn a_grace_is_a_number_of_seconds() {
    let place = Workplace::new();
    place.haul(&["serve", "jobs", "--grace", "0"]).expect_code(2).expect_says(&["0 is not in 1..=86400"]);
    place.haul(&["serve", "--help"]).expect_code(0).expect_says(&["--grace <SECONDS>", "[default: 25]"]);
}
