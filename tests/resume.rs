//! A run that was killed, stopped or failed on the way: the next one goes on behind the pages that were read, and its
//! tables are those of a run that nobody stopped, to the byte.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::rigs::{Rig, output_of};
use support::server::{Answer, Request, Server, ok, status};
use support::{Workplace, job, terminate};

const PAGES: u64 = 500;
const RECORDS: u64 = 20;

/// Requests that wait, so that a run stands still at a known place.
#[derive(Default)]
struct Barrier {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Barrier {
    fn shut(&self) {
        *self.is_shut.lock().expect("a flag") = true;
    }

    fn open(&self) {
        *self.is_shut.lock().expect("a flag") = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut is_shut = self.is_shut.lock().expect("a flag");
        while *is_shut {
            is_shut = self.opened.wait(is_shut).expect("a flag");
        }
    }
}

/// An API whose page `stop_at` waits at the barrier.
struct Scene {
    place: Workplace,
    file: String,
    server: Server,
    barrier: Arc<Barrier>,
    /// What the API is asked for at the moment; a test changes what it says.
    version: Arc<AtomicU64>,
}

fn records(page: u64, version: u64) -> Vec<Value> {
    let record = |n: u64| {
        let id = (page - 1) * RECORDS + n;
        // A type that widens after the place where runs are stopped, and one before it.
        let price = if id == 9_900 { json!("free") } else { json!(id as f64 / 4.0) };
        let late = if id == 30 { json!(1.5) } else { json!(id) };
        json!({ "id": id, "name": format!("n{id} v{version}"), "price": price, "late": late, "tags": [{ "tag": id % 3 }] })
    };
    (0..RECORDS).map(record).collect()
}

impl Scene {
    fn new(
        stream: &str,
        script: impl Fn(&Request, u64) -> Answer + Send + Sync + 'static,
        is_stop: fn(&Request) -> bool,
    ) -> Self {
        let (barrier, version) = (Arc::new(Barrier::default()), Arc::new(AtomicU64::new(1)));
        let (at, now) = (Arc::clone(&barrier), Arc::clone(&version));
        let server = Server::start(move |request, _| {
            if is_stop(request) {
                at.pass();
            }
            script(request, now.load(Ordering::SeqCst))
        });
        let place = Workplace::new();
        // What is kept of the pages does not tell which run read them.
        let text = job(&server.url, "", stream).replace("  url: out\n", "  url: out\n  raw_copy: true\n");
        let file = place.file("job.yaml", &text);
        Scene { place, file, server, barrier, version }
    }

    /// Runs until the barrier holds a request and this many pages are kept, then does this to the process.
    fn stop_at(&self, pages: u64, how: impl FnOnce(&mut Child)) -> Value {
        self.stop_as_seen_by(&self.place, pages, how)
    }

    fn stop_as_seen_by(&self, watcher: &Workplace, pages: u64, how: impl FnOnce(&mut Child)) -> Value {
        self.barrier.shut();
        let mut command = self.place.command(&["run", &self.file, "--quiet"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("haul starts");
        let began = Instant::now();
        let unfinished = loop {
            let shown = watcher.haul(&["runs", &self.file, "--json"]).expect_code(0).json();
            let kept = shown["unfinished"]["streams"].as_array().map_or(0, |streams| {
                streams.iter().map(|stream| stream["pages"].as_u64().expect("a number")).sum::<u64>()
            });
            if kept >= pages {
                break shown["unfinished"].clone();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{kept} pages are kept: {shown}");
            assert!(child.try_wait().expect("a process").is_none(), "haul ended by itself");
        };
        how(&mut child);
        child.wait().expect("it ends");
        self.barrier.open();
        unfinished
    }

    fn kill_at(&self, pages: u64) -> Value {
        self.stop_at(pages, |child| child.kill().expect("killed"))
    }

    fn run(&self, args: &[&str]) -> Value {
        let mut all = vec!["run", self.file.as_str(), "--json"];
        all.extend(args);
        self.place.haul(&all).expect_code(0).json()
    }

    /// Checksums of all parts of the published tables.
    fn parts(&self) -> BTreeMap<String, Vec<String>> {
        let latest: Value = self.read("out/test/_latest.json");
        let manifest = self.read(&format!("out/test/{}", latest["manifest"].as_str().expect("a path")));
        let sums = |table: &Value| {
            let parts = table["parts"].as_array().expect("parts").iter();
            parts.map(|part| part["sha256"].as_str().expect("a checksum").to_owned()).collect()
        };
        manifest["tables"]
            .as_object()
            .expect("tables")
            .iter()
            .map(|(name, table)| (name.clone(), sums(table)))
            .collect()
    }

    fn read(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.place.path(path)).expect(path)).expect("JSON")
    }

    /// The same job by another process that knows nothing of this one.
    fn parts_of_a_whole_run(&self) -> BTreeMap<String, Vec<String>> {
        self.parts_of_a_whole_run_elsewhere(&std::fs::read_to_string(&self.file).expect("a job"))
    }

    fn parts_of_a_whole_run_elsewhere(&self, job: &str) -> BTreeMap<String, Vec<String>> {
        let fresh = Workplace::new();
        let file = fresh.file("job.yaml", job);
        fresh.haul(&["run", &file]).expect_code(0);
        let other = Scene {
            place: fresh,
            file,
            server: Server::start(|_, _| status(404, "")),
            barrier: Arc::default(),
            version: Arc::default(),
        };
        other.parts()
    }

    fn kept_files(&self) -> usize {
        self.place.contents("state").iter().filter(|(path, _)| path.to_string_lossy().contains("/pages/")).count()
    }
}

/// Pages that name the next one.
fn linked(request: &Request, version: u64) -> Answer {
    let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
    let next = if page < PAGES { json!(format!("/items?page={}", page + 1)) } else { Value::Null };
    ok(json!({ "data": records(page, version), "next": next }).to_string())
}

const LINKED: &str = "records: data\npaging: { next_url: next }\nkey: [id]\ntables: [{ name: tags, from: tags }]\n";

fn is_page_401(request: &Request) -> bool {
    request.param("page").as_deref() == Some("401")
}

#[test]
fn a_run_killed_at_page_400_asks_for_the_rest_alone() {
    let scene = Scene::new(LINKED, linked, is_page_401);
    let unfinished = scene.kill_at(400);
    assert_eq!(unfinished["streams"][0]["records"], 400 * RECORDS);
    let asked = scene.server.asked().len();
    scene.place.haul(&["runs", &scene.file]).expect_code(0).expect_says(&[
        "not finished",
        "400 pages",
        "goes on behind",
    ]);
    let report = scene.run(&[]);
    assert_eq!(report["resumed"], unfinished["run"]);
    assert_eq!(report["tables"]["items"]["resumed_pages"], 400);
    assert_eq!(report["tables"]["items"]["rows"], PAGES * RECORDS);
    assert_eq!(report["tables"]["items"]["walks"][0]["pages"], PAGES);
    assert_eq!(scene.server.asked().len() - asked, 100);
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
    let rebuilt = scene.place.haul(&["rebuild", &scene.file, "--json"]).expect_code(0).json();
    assert_eq!(rebuilt["outcome"], "unchanged");
    assert_eq!(rebuilt["tables"]["items"]["rebuilt"], json!({ "runs": 1, "pages": PAGES }));
    assert_eq!(scene.kept_files(), 0, "nothing is kept of a run that is over");
    scene
        .place
        .haul(&["runs", &scene.file])
        .expect_code(0)
        .expect_says(&["no run of job `test` is held or unfinished"]);
}

#[test]
fn a_run_that_is_stopped_or_stopped_twice_is_gone_on_with() {
    let scene = Scene::new(LINKED, linked, is_page_401);
    for signals in [1, 2] {
        scene.stop_at(400, |child| {
            for _ in 0..signals {
                if child.try_wait().expect("a process").is_none() {
                    terminate(child.id(), "-TERM");
                }
            }
        });
    }
    // What was killed once may be killed again.
    let again = scene.kill_at(400);
    let report = scene.run(&[]);
    assert_eq!(report["resumed"], again["run"]);
    assert_eq!(report["tables"]["items"]["resumed_pages"], 400);
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
}

#[test]
fn what_changed_meanwhile_begins_anew() {
    let check = |change: &dyn Fn(&Scene), args: &[&str]| {
        let scene = Scene::new(LINKED, linked, is_page_401);
        scene.kill_at(400);
        change(&scene);
        let report = scene.run(args);
        assert_eq!(report["resumed"], Value::Null);
        assert_eq!(report["tables"]["items"]["rows"], PAGES * RECORDS);
        assert_eq!(scene.kept_files(), 0);
    };
    check(&|_| {}, &["--no-resume"]);
    check(
        &|scene| drop(scene.place.file("job.yaml", &job(&scene.server.url, "", &format!("{LINKED}drop: [late]\n")))),
        &[],
    );
    // A log of which only the end is missing is good, one without its head is nobody's.
    let torn = |scene: &Scene| {
        for (path, _) in scene.place.contents("state") {
            if path.ends_with("run.json") {
                std::fs::write(path, "{").expect("written");
            }
        }
    };
    check(&torn, &[]);
}

#[test]
fn how_old_an_unfinished_run_may_be_is_up_to_the_job() {
    let scene = Scene::new(LINKED, linked, is_page_401);
    let say = |resume: &str| scene.place.file("job.yaml", &format!("{}{resume}", job(&scene.server.url, "", LINKED)));
    say("resume: never\n");
    scene.barrier.open();
    scene.run(&[]);
    assert_eq!(scene.kept_files(), 0);
    say("resume: { within: 1s }\n");
    scene.version.store(2, Ordering::SeqCst);
    let unfinished = scene.kill_at(400);
    let began = Instant::now();
    while scene.place.haul(&["runs", &scene.file, "--json"]).json()["unfinished"]["until"] != Value::Null {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not get old");
    }
    scene.place.haul(&["runs", &scene.file]).expect_code(0).expect_says(&["too old", "--resume"]);
    let report = scene.run(&["--resume"]);
    assert_eq!((&report["resumed"], &report["tables"]["items"]["resumed_pages"]), (&unfinished["run"], &json!(400)));
    scene.version.store(3, Ordering::SeqCst);
    scene.kill_at(400);
    let began = Instant::now();
    while scene.place.haul(&["runs", &scene.file, "--json"]).json()["unfinished"]["until"] != Value::Null {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not get old");
    }
    assert_eq!(scene.run(&[])["resumed"], Value::Null);
    say("resume: { within: soon }\n");
    scene.place.haul(&["check", &scene.file]).expect_code(2).expect_says(&["`soon` is no span of time"]);
}

#[test]
fn a_token_that_the_server_forgot_means_the_slice_from_its_start() {
    let script = |request: &Request, version: u64| {
        if version == 2 && is_page_401(request) { status(410, "gone") } else { linked(request, version.min(1)) }
    };
    let scene = Scene::new(LINKED, script, is_page_401);
    scene.kill_at(400);
    scene.version.store(2, Ordering::SeqCst);
    let asked = scene.server.asked().len();
    // The page is refused before anything else is asked for, then all is read once more, up to the same page.
    scene.place.haul(&["run", &scene.file]).expect_code(1).expect_says(&["does not go on behind the 400 pages", "410"]);
    assert_eq!(scene.server.asked().len() - asked, 1 + 401);
    scene.version.store(1, Ordering::SeqCst);
    let report = scene.run(&[]);
    assert_eq!(report["tables"]["items"]["resumed_pages"], 400, "a page that fails leaves those before it");
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
}

#[test]
fn counted_pages_are_gone_on_with_while_the_first_page_stays_the_same() {
    let script = |request: &Request, version: u64| {
        let offset: u64 = request.param("offset").map_or(0, |offset| offset.parse().expect("a number"));
        let page = offset / RECORDS + 1;
        let data = if page <= PAGES { records(page, version) } else { Vec::new() };
        ok(json!({ "data": data, "total": PAGES * RECORDS }).to_string())
    };
    let is_stop = |request: &Request| request.param("offset") == Some((400 * RECORDS).to_string());
    let stream = format!("records: data\npaging: {{ offset: {{ param: offset, size: {RECORDS}, total: total }} }}\n");
    let scene = Scene::new(&stream, script, is_stop);
    scene.kill_at(400);
    let asked = scene.server.asked().len();
    assert_eq!(scene.run(&[])["tables"]["items"]["resumed_pages"], 400);
    assert_eq!(scene.server.asked().len() - asked, 1 + 100, "the first page is looked at again");
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
    scene.version.store(2, Ordering::SeqCst);
    scene.kill_at(400);
    scene.version.store(3, Ordering::SeqCst);
    let report = scene.run(&[]);
    assert_eq!(report["tables"]["items"].get("resumed_pages"), None, "another first page means other offsets");
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
}

#[test]
fn slices_that_were_read_are_not_read_again() {
    let script = |request: &Request, version: u64| {
        let region: u64 = request.param("region").expect("a region").parse().expect("a number");
        let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
        let next = (page < 10).then(|| format!("/items?region={region}&page={}", page + 1));
        ok(json!({ "data": records(region * 10 + page, version), "next": next }).to_string())
    };
    let is_stop = |request: &Request| request.target.ends_with("region=4&page=6");
    let stream = "records: data\npaging: { next_url: next }\nparams: { region: '{{ slice.region }}' }\nslices: [{ list: { name: region, values: [1, 2, 3, 4, 5, 6] } }]\n";
    let scene = Scene::new(stream, script, is_stop);
    scene.kill_at(35);
    let report = scene.run(&[]);
    assert_eq!(report["tables"]["items"]["resumed_pages"], 35);
    assert_eq!(report["tables"]["items"]["walks"][0]["slices"], 6);
    // The server may come late to what the killed run had asked for ahead: this run tells its own count.
    assert_eq!(report["source"]["attempts"], 25);
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
}

#[test]
fn parents_and_their_children_are_gone_on_with() {
    let script = |request: &Request, version: u64| match request.path() {
        "/items" => ok(json!({ "data": records(1, version), "next": null }).to_string()),
        path => {
            let id: u64 = path.trim_start_matches("/lines/").parse().expect("a number");
            ok(json!({ "data": records(id + 1, version), "next": null }).to_string())
        }
    };
    let is_stop = |request: &Request| request.path() == "/lines/15";
    let scene = Scene::new("records: data\npaging: { next_url: next }\n", script, is_stop);
    let text = std::fs::read_to_string(&scene.file).expect("a job").replace(
        "destination:",
        "  - name: lines\n    path: /lines/{{ item.id }}\n    for_each: { stream: items, as: item, columns: { item_id: id } }\n    records: data\n    paging: { next_url: next }\ndestination:",
    ).replace("source:\n", "source:\n  limits: { in_flight: 1 }\n");
    scene.place.file("job.yaml", &text);
    scene.kill_at(1 + 15);
    let asked = scene.server.asked().len();
    let report = scene.run(&[]);
    assert_eq!(report["tables"]["items"]["resumed_pages"], 1);
    assert_eq!(report["tables"]["lines"]["resumed_pages"], 15);
    assert_eq!(scene.server.asked().len() - asked, 5);
    assert_eq!(scene.parts(), scene.parts_of_a_whole_run());
}

/// Hosts that share records, each with its own local folder.
fn host(rig: &Rig, store: &str, key: u8) -> Workplace {
    let key = format!("{}=", "A".repeat(42) + &char::from(key).to_string());
    let place = Workplace::new().env("HAUL_VAULT_KEY", &key);
    let local = place.path("local").to_string_lossy().into_owned();
    let place = place.env("HAUL_LOCAL", &local);
    match store {
        "postgres" => place.env("HAUL_STATE", rig.url()),
        _ => place
            .env("HAUL_STATE", "az://state/resume")
            .env("AZURE_STORAGE_ACCOUNT_NAME", rig.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", rig.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", rig.url())
            .env("AZURE_ALLOW_HTTP", "true"),
    }
}

#[test]
fn another_host_goes_on_from_the_shared_records() {
    for store in ["postgres", "azure"] {
        let rig = Rig::start(if store == "postgres" { "postgres.mjs" } else { "azurite.mjs" }, &[]);
        if store == "azure" {
            output_of("blob.py", &["container", "--url", rig.url(), "--name", "state"]);
        }
        let mut scene = Scene::new(LINKED, linked, is_page_401);
        let out = scene.place.path("out").to_string_lossy().into_owned();
        let text = job(&scene.server.url, "", LINKED).replace("url: out", &format!("url: {out}"));
        scene.place.file("job.yaml", &text);
        let home = std::mem::replace(&mut scene.place, host(&rig, store, b'A'));
        let (other, stranger) = (host(&rig, store, b'A'), host(&rig, store, b'Q'));
        let kill = |child: &mut Child| child.kill().expect("killed");
        let unfinished = scene.stop_as_seen_by(&other, 400, kill);
        let asked = scene.server.asked().len();
        let report = other.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
        assert_eq!(report["resumed"], unfinished["run"], "{store}");
        assert_eq!(report["tables"]["items"]["resumed_pages"], 400, "{store}");
        assert_eq!(scene.server.asked().len() - asked, 100, "{store}");
        // The first host knows that its own pages are nobody's any more.
        let shown = scene.place.haul(&["runs", &scene.file, "--json"]).expect_code(0).json();
        assert_eq!(shown["unfinished"], Value::Null, "{store}");
        // Whoever cannot open the pages begins anew.
        scene.version.store(2, Ordering::SeqCst);
        scene.stop_as_seen_by(&other, 400, kill);
        let done = stranger.haul(&["run", &scene.file, "--json"]).expect_code(0).expect_says(&["HAUL_VAULT_KEY"]);
        assert_eq!((&done.json()["resumed"], &done.json()["outcome"]), (&Value::Null, &json!("published")), "{store}");
        // On the host that read them nothing has to be brought back.
        scene.version.store(3, Ordering::SeqCst);
        scene.stop_as_seen_by(&other, 400, kill);
        let report = scene.run(&[]);
        assert_eq!(report["tables"]["items"]["resumed_pages"], 400, "{store}");
        scene.place = home;
        assert_eq!(scene.parts(), scene.parts_of_a_whole_run_elsewhere(&text.replace(&out, "out")), "{store}");
    }
}
