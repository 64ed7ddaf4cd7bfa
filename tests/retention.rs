//! What stays of former snapshots, what goes, and how a former one is shown again.
//!
//! A longer loop of readers: `HAUL_SWEEPS=400 cargo test --release --test retention a_reader`.

#![allow(missing_docs)]

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use support::clock::faketime;
use support::dataset::{self, assert_whole, chain, sequences};
use support::rigs::{Rig, output_of, read};
use support::server::{Server, ok};
use support::{Done, Workplace, job};

/// A source whose table is another one at every read: `[n, n]` at the n-th.
fn source() -> Server {
    Server::start(|_, before| {
        let n = before + 1;
        ok(json!([{ "n": n, "name": "a" }, { "n": n, "name": "b" }]).to_string())
    })
}

fn job_keeping(url: &str, snapshots: u64, hours: u64) -> String {
    format!("{}publish: {{ keep: {{ snapshots: {snapshots}, hours: {hours} }} }}\n", job(url, "", "paging: none"))
}

/// A run's id that nobody else has.
fn run_id(number: u8) -> String {
    format!("01KDQ5T9Z6V1S4J8XH2M7RC3{number:02}")
}

fn names(folder: &Path, within: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join(within)) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn former_snapshots_and_left_files_go_and_nothing_else() {
    let (source, place) = (source(), Workplace::new());
    let file = place.file("job.yaml", &job_keeping(&source.url, 2, 10));
    let run = |hours: u64| place.haul_in(hours, &["run", &file, "--json"]).expect_code(0).json();
    let folder = place.path("out/test");
    run(0);
    // What killed runs left, and what other people put there.
    let own = |name: String| folder.join(name);
    let left = [
        own(format!("items/data/{}-001.parquet", run_id(1))),
        own(format!("gone_table/data/{}-001.csv", run_id(2))),
        own(format!("items/quarantine/{}.jsonl", run_id(3))),
        own("items/data/.haul-aB3dE6.tmp".to_owned()),
        own(".haul-aB3dE7.tmp".to_owned()),
    ];
    let held = own(format!("items/data/{}-001.parquet", run_id(4)));
    let held_records = own(format!("items/quarantine/{}.jsonl", run_id(4)));
    let foreign = [
        own("notes.txt".to_owned()),
        own("items/data/mine.parquet".to_owned()),
        own(format!("items/data/{}-001.parquet.bak", run_id(1))),
        own("items/data/deep/er.parquet".to_owned()),
        own("_snapshots/readme.json".to_owned()),
        own("export/report.csv".to_owned()),
        own("_snapshots/.haul-keep.me".to_owned()),
    ];
    for path in left.iter().chain(&foreign).chain([&held, &held_records]) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "x").expect("a file");
        place.is_own(path);
    }
    // A linked folder is somebody else's, whatever its files are called.
    let elsewhere = place.path("elsewhere/data");
    std::fs::create_dir_all(&elsewhere).expect("a folder");
    let linked = elsewhere.join(format!("{}-001.parquet", run_id(5)));
    std::fs::write(&linked, "x").expect("a file");
    place.is_own(&linked);
    place.is_own(&folder.join(format!("linked/data/{}-001.parquet", run_id(5))));
    std::os::unix::fs::symlink(place.path("elsewhere"), folder.join("linked")).expect("a link");
    let manifest = json!({ "why": "rows", "manifest": { "tables": { "items": { "parts": [
        { "path": format!("items/data/{}-001.parquet", run_id(4)), "rows": 1 } ] } } } });
    std::fs::create_dir_all(folder.join("_held")).expect("a folder");
    let held_manifest = folder.join(format!("_held/{}.json", run_id(4)));
    std::fs::write(&held_manifest, manifest.to_string()).expect("a file");

    for hour in 1..10 {
        assert_eq!(run(hour)["swept"]["snapshots"].as_u64().unwrap_or(0), 0);
    }
    assert_eq!(sequences(&folder), (1..=10).collect::<Vec<_>>());
    assert_eq!(names(&folder, "items/data").len(), 10 + 6, "nothing is old enough");

    // The first nine were replaced more than ten hours ago; their parts are found unnamed now, the left ones were before.
    let report = run(20);
    assert_eq!((&report["swept"]["snapshots"], &report["swept"]["files"]), (&json!(9), &json!(5)), "{report:#}");
    assert_eq!(report["swept"]["waiting"], 9);
    assert_eq!(sequences(&folder), [10, 11]);
    assert!(left.iter().all(|path| !path.exists()), "a file that nobody needs is still there");
    assert_eq!(names(&folder, "items/data").len(), 11 + 4);
    let told = place.haul_in(25, &["sweep", &file, "--dry-run", "--json"]).expect_code(0).json();
    assert_eq!((&told["files"], &told["snapshots"]), (&json!([]), &json!([])), "{told:#}");
    let before = place.contents("out");
    let told = place.haul_in(31, &["sweep", &file, "--dry-run", "--json"]).expect_code(0).json();
    assert_eq!(told["files"].as_array().expect("files").len(), 9, "{told:#}");
    assert_eq!(before, place.contents("out"), "a dry run changed something");
    place.haul_in(31, &["sweep", &file]).expect_code(0).expect_says(&["removed 0 snapshots and 9 files"]);
    assert_eq!(names(&folder, "items/data").len(), 2 + 4);
    run(60);
    run(120);
    run(240);
    assert_eq!(sequences(&folder), [13, 14]);
    assert!(foreign.iter().chain([&held, &held_records, &linked]).all(|path| path.exists()), "a foreign file is gone");
    // A decision is a decision: what was held and is not is a file like any other.
    std::fs::remove_file(held_manifest).expect("removed");
    run(241);
    run(300);
    assert!(!held.exists() && !held_records.exists());
    assert_eq!(dataset::read(&folder).expect("readable").expect("published").values, [16, 16]);
    assert_whole(&folder);
}

#[test]
fn two_jobs_that_keep_differently_never_take_what_a_manifest_names() {
    let (source, first) = (source(), Workplace::new());
    let second = Workplace::new();
    let out = first.path("out").display().to_string();
    let file_of = |place: &Workplace, snapshots, hours| {
        let text = job_keeping(&source.url, snapshots, hours).replace("url: out", &format!("url: {out}"));
        place.file("job.yaml", &text)
    };
    let short = file_of(&first, 1, 1);
    let long = file_of(&second, 10, 30);
    let folder = first.path("out/test");
    let mut hours = 0;
    for round in 0..24u64 {
        hours += [1, 3, 1, 7, 2][round as usize % 5];
        let (place, file) = if round % 3 == 1 { (&second, &long) } else { (&first, &short) };
        place.haul_in(hours, &["run", file]).expect_code(0);
        if round % 4 == 0 {
            first.haul_in(hours, &["rollback", &short]).expect_code(if round == 0 { 2 } else { 0 });
        }
        second.haul_in(hours, &["sweep", &long]).expect_code(0);
        first.haul_in(hours, &["sweep", &short]).expect_code(0);
        assert_whole(&folder);
        dataset::read(&folder).expect("readable").expect("published");
    }
    let left = names(&folder, "items/data").len();
    assert!(left <= 6, "{left} files are there");
}

/// The dataset is whole for whoever takes less than the time to keep, however often it is replaced and swept meanwhile.
#[test]
fn a_reader_never_misses_a_file_while_snapshots_are_published_and_swept() {
    const KEPT_HOURS: u64 = 3;
    let rounds: u64 = std::env::var("HAUL_SWEEPS").map_or(40, |text| text.parse().expect("a number"));
    let (source, place) = (source(), Workplace::new());
    let file = place.file("job.yaml", &job_keeping(&source.url, 1, KEPT_HOURS));
    let folder = place.path("out/test");
    place.haul_in(0, &["run", &file]).expect_code(0);
    let (hour, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (reads, removed) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_over.load(Ordering::SeqCst) {
                let begun = hour.load(Ordering::SeqCst);
                let text = std::fs::read(folder.join("_latest.json")).expect("a pointer");
                let pointer: Value = serde_json::from_slice(&text).expect("a whole pointer");
                // Every third reader is slow: it takes as long as two publications.
                while reads % 3 == 0 && hour.load(Ordering::SeqCst) < begun + 2 && !is_over.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                let seen = dataset::read_pointed(&folder, &pointer);
                let took = hour.load(Ordering::SeqCst) - begun;
                match seen {
                    Ok(seen) => {
                        assert_eq!((seen.values.len(), seen.values[0]), (2, seen.values[1]));
                        reads += 1;
                    }
                    // The machine stopped this thread for longer than anybody promised: what was replaced in the hour in
                    // which it was read may go in the hour `KEPT_HOURS` later.
                    Err(error) => assert!(took >= KEPT_HOURS, "after {took} h: {error:?}"),
                }
            }
            reads
        });
        let mut removed = 0;
        for round in 1..=rounds {
            hour.store(round, Ordering::SeqCst);
            let report = place.haul_in(round, &["run", &file, "--json"]).expect_code(0).json();
            removed += report["swept"]["files"].as_u64().unwrap_or(0);
        }
        is_over.store(true, Ordering::SeqCst);
        (reader.join().expect("a reader"), removed)
    });
    assert!(reads >= rounds && removed + 8 > rounds, "{reads} whole reads, {removed} files removed");
}

#[test]
fn a_sweep_that_fails_is_a_warning_and_removes_nothing() {
    let (source, place) = (source(), Workplace::new());
    let file = place.file("job.yaml", &job_keeping(&source.url, 1, 1));
    for hour in 0..3 {
        place.haul_in(hour, &["run", &file]).expect_code(0);
    }
    let folder = place.path("out/test");
    let newer = folder.join(format!("_snapshots/00000001-{}.json", run_id(1)));
    std::fs::write(&newer, json!({ "format_version": 2, "tables": "of a form to come" }).to_string()).expect("a file");
    let files = names(&folder, "items/data").len();
    let report = place.haul_in(100, &["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["outcome"], "published");
    let warning = report["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("not swept") && warning.contains("format version 2"), "{warning}");
    place.haul_in(200, &["run", &file]).expect_code(0);
    assert_eq!(names(&folder, "items/data").len(), files + 2);
    let done = place.haul_in(200, &["sweep", &file]).expect_code(1);
    done.expect_says(&["has format version 2", "newer haul"]);
}

#[test]
fn what_is_needed_right_now_is_not_swept() {
    let (source, place) = (source(), Workplace::new());
    let slow = Server::start(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        ok(r#"[{"n":1}]"#)
    });
    let file = place.file("job.yaml", &job_keeping(&source.url, 1, 1));
    place.haul_in(0, &["run", &file]).expect_code(0);
    let slow_file = place.file("slow.yaml", &job_keeping(&slow.url, 1, 1));
    let mut running = place.command(&["run", &slow_file, "--json"]).stdout(Stdio::null()).spawn().expect("haul starts");
    while slow.asked().is_empty() {
        std::thread::yield_now();
    }
    for verb in ["sweep", "rollback"] {
        place.haul(&[verb, &file]).expect_code(75).expect_says(&["another run of this job is going on"]);
    }
    // Telling takes nothing from anybody.
    place.haul(&["sweep", &file, "--dry-run"]).expect_code(0);
    assert!(running.wait().expect("it ends").success());
    // A file that is young stays, also when a sweep of another time saw it long ago.
    let young = place.path(&format!("out/test/items/data/{}-001.parquet", run_id(1)));
    std::fs::write(&young, "x").expect("a file");
    place.is_own(&young);
    place.haul(&["sweep", &file]).expect_code(0).expect_says(&["a later sweep removes them"]);
    let in_future = SystemTime::now() + Duration::from_secs(10 * 3600);
    File::options().write(true).open(&young).and_then(|file| file.set_modified(in_future)).expect("a time");
    place.haul_in(10, &["sweep", &file]).expect_code(0);
    assert!(young.exists());
    place.haul_in(12, &["sweep", &file]).expect_code(0).expect_says(&["removed 0 snapshots and 2 files"]);
    assert!(!young.exists());
}

/// Two hosts without a common state: the other one's sweep knows nothing of a run that takes longer than files are kept.
#[test]
fn a_run_that_takes_longer_than_files_are_kept_looks_for_its_parts_before_it_publishes() {
    let place = Workplace::new();
    let parts = place.path("out/test/items/data");
    let is_removing = std::sync::Arc::new(AtomicBool::new(false));
    let server = {
        let (parts, is_removing) = (parts.clone(), std::sync::Arc::clone(&is_removing));
        Server::start(move |request, _| {
            if request.path() == "/slow" {
                // An hour is a second for haul; the part of the other stream is there long before.
                std::thread::sleep(Duration::from_secs(2));
                let written = names(&parts, "").into_iter().map(|name| parts.join(name));
                // Ids do not tell the order where a second is an hour.
                let newest =
                    written.max_by_key(|path| path.metadata().and_then(|found| found.modified()).expect("a time"));
                if is_removing.load(Ordering::SeqCst) {
                    std::fs::remove_file(newest.expect("a part")).expect("removed");
                }
            }
            ok(r#"[{"n":1}]"#)
        })
    };
    let slow = "  - { name: slow, path: /slow, paging: none }\ndestination:";
    let file = place.file("job.yaml", &job_keeping(&server.url, 2, 1).replace("destination:", slow));
    let run = || {
        let mut command = place.command(&["run", &file]);
        command.env("LD_PRELOAD", faketime()).env("FAKETIME", "+0 x3600").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Done::of(command.output().expect("haul starts"))
    };
    run().expect_code(0);
    let before = std::fs::read(place.path("out/test/_latest.json")).expect("a pointer");
    is_removing.store(true, Ordering::SeqCst);
    run().expect_code(1).expect_says(&["is not there", "publish.keep.hours"]);
    assert_eq!(std::fs::read(place.path("out/test/_latest.json")).expect("a pointer"), before);
    dataset::assert_whole(&place.path("out/test"));
}

#[test]
fn a_blob_store_is_swept_as_a_folder_is() {
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
    let source = source();
    let place = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
        .env("AZURE_STORAGE_ENDPOINT", azurite.url())
        .env("AZURE_ALLOW_HTTP", "true");
    let text = job_keeping(&source.url, 2, 10).replace("url: out", "url: az://reports/exports");
    let file = place.file("job.yaml", &text);
    let copy = |to: &str| -> PathBuf {
        let to = place.path(to);
        output_of("blob.py", &["get", "--url", azurite.url(), "--container", "reports", "--to", &to.to_string_lossy()]);
        to.join("exports/test")
    };
    for hour in 0..4 {
        place.haul_in(hour, &["run", &file]).expect_code(0);
    }
    assert_eq!(names(&copy("before"), "items/data").len(), 4);
    let report = place.haul_in(20, &["run", &file, "--json"]).expect_code(0).json();
    assert_eq!((&report["swept"]["snapshots"], &report["swept"]["waiting"]), (&json!(3), &json!(3)), "{report:#}");
    place.haul_in(40, &["rollback", &file]).expect_code(0);
    let folder = copy("after");
    assert_eq!(names(&folder, "items/data").len(), 2, "{:?}", names(&folder, "items/data"));
    assert!(names(&folder, "").iter().all(|name| !name.contains(".haul")), "the probe is still there");
    assert_eq!(sequences(&folder), [5, 6]);
    assert_eq!(dataset::read(&folder).expect("readable").expect("published").values, [4, 4]);
    let alias =
        read(&format!("select distinct n from read_parquet('{}/items/current.parquet')", folder.display()), None);
    assert_eq!(alias["rows"], json!([[4]]));
}

#[test]
fn a_bucket_is_swept_as_a_folder_is() {
    let (s3, source) = (Rig::start("s3.py", &[]), source());
    let place = Workplace::new().env("AWS_ACCESS_KEY_ID", "tester").env("AWS_SECRET_ACCESS_KEY", "canary-secret");
    let options = format!("{{ endpoint: \"{}\", region: us-east-1, allow_http: \"true\" }}", s3.url());
    let text = job_keeping(&source.url, 2, 10)
        .replace("  url: out\n", &format!("  url: s3://haul/exports\n  options: {options}\n"));
    let file = place.file("job.yaml", &text);
    for hour in 0..4 {
        place.haul_in(hour, &["run", &file]).expect_code(0);
    }
    place.haul_in(20, &["rollback", &file]).expect_code(0);
    let swept = place.haul_in(40, &["sweep", &file, "--json"]).expect_code(0).json();
    // The third one is shown again and the fourth was replaced at 20: its part is still named.
    assert_eq!(
        (swept["snapshots"].clone(), swept["files"].as_array().map(Vec::len)),
        (json!([]), Some(2)),
        "{swept:#}"
    );
    let again = place.haul_in(60, &["sweep", &file, "--json"]).expect_code(0).json();
    assert_eq!((&again["files"], &again["waiting"]), (&json!([]), &json!([])));
    let to = place.path("current.parquet");
    output_of(
        "s3.py",
        &["--url", s3.url(), "--get", "exports/test/items/current.parquet", "--to", &to.to_string_lossy()],
    );
    let rows = read(&format!("select distinct n from read_parquet('{}')", to.display()), None);
    assert_eq!(rows["rows"], json!([[3]]));
}

#[test]
fn a_former_snapshot_is_shown_again_with_all_that_belongs_to_it() {
    let (source, place) = (source(), Workplace::new());
    for format in ["parquet", "csv"] {
        let text =
            job(&source.url, "", "paging: none").replace("url: out", &format!("url: {format}\n  format: {format}"));
        let file = place.file(&format!("{format}.yaml"), &text);
        let folder = place.path(&format!("{format}/test"));
        place.haul(&["rollback", &file]).expect_code(2).expect_says(&["nothing is published yet"]);
        let first = place.haul(&["run", &file, "--json"]).expect_code(0).json()["snapshot"].clone();
        place.haul(&["rollback", &file]).expect_code(2).expect_says(&["no snapshot before"]);
        let columns = place
            .contents(&format!("{format}/test/items"))
            .into_iter()
            .find(|(path, _)| path.ends_with("columns.json"));
        place.haul(&["run", &file]).expect_code(0);
        let third = place.haul(&["run", &file, "--json"]).expect_code(0).json()["snapshot"].clone();
        let [first, third] = [&first, &third].map(|snapshot| snapshot.as_str().expect("a snapshot"));

        let alias = std::fs::read(folder.join(format!("items/current.{format}"))).expect("an alias");
        let report = place.haul(&["rollback", &file, first, "--json"]).expect_code(0).json();
        assert_eq!((&report["restored_from"], &report["former"]), (&json!(first), &json!(third)));
        assert_eq!(report["tables"], json!({ "items": 2 }));
        let fourth = report["snapshot"].as_str().expect("a snapshot");
        assert_eq!(chain(&folder).len(), 4);
        assert_eq!(chain(&folder)[..2], [fourth, third]);
        let listed = place.haul(&["snapshots", &file, "--json"]).expect_code(0).json();
        let current = &listed["snapshots"][0];
        assert_eq!((&current["snapshot"], &current["restored_from"]), (&json!(fourth), &json!(first)));
        place.haul(&["snapshots", &file]).expect_code(0).expect_says(&[&format!("holds {first}")]);
        let manifests = dataset::manifests(&folder, "_snapshots");
        assert_eq!(manifests[3].1["tables"], manifests[0].1["tables"], "the tables are those of the first");
        assert_eq!(manifests[3].1["restored_from"], first);
        let shown = std::fs::read(folder.join(format!("items/current.{format}"))).expect("an alias");
        assert_ne!(shown, alias);
        let part = manifests[0].1["tables"]["items"]["parts"][0]["path"].as_str().expect("a path").to_owned();
        assert_eq!(shown, std::fs::read(folder.join(part)).expect("a part"));
        let status: Value =
            serde_json::from_slice(&std::fs::read(folder.join("_status.json")).expect("a status")).expect("JSON");
        assert_eq!((&status["snapshot"], &status["outcome"]), (&json!(fourth), &json!("published")));
        if let Some((path, content)) = columns {
            assert_eq!(std::fs::read(path).expect("columns"), content);
        }
        // Without a name it is the one before: a rollback taken back.
        place.haul(&["rollback", &file]).expect_code(0);
        let manifests = dataset::manifests(&folder, "_snapshots");
        assert_eq!(manifests[4].1["tables"], manifests[2].1["tables"]);
        assert_eq!(manifests[4].1["restored_from"], third);
        place.haul(&["run", &file]).expect_code(0);
        assert!(dataset::manifests(&folder, "_snapshots")[5].1.get("restored_from").is_none());
    }
}

#[test]
fn cursors_go_back_with_the_rows_and_what_came_since_is_read_again() {
    let server = Server::start(|request, before| {
        let since: usize = request.param("since").and_then(|text| text.parse().ok()).expect("a number");
        let rows: Vec<Value> = (since..(before + 1) * 10).map(|n| json!({ "n": n })).collect();
        ok(json!(rows).to_string())
    });
    let place = Workplace::new();
    let stream = "params: { since: \"{{ cursor }}\" }\npaging: none\nkey: [n]\nincremental: { cursor: n, start: 0 }";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    for _ in 0..3 {
        place.haul(&["run", &file]).expect_code(0);
    }
    let folder = place.path("out/test");
    let rows = || {
        let mut values = dataset::read(&folder).expect("readable").expect("published").values;
        values.sort_unstable();
        values
    };
    assert_eq!(rows(), (0..30).collect::<Vec<i64>>());
    place.haul(&["rollback", &file]).expect_code(0);
    assert_eq!(rows(), (0..20).collect::<Vec<i64>>());
    let cursors = place.haul(&["state", "show", &file, "--json"]).expect_code(0).json();
    assert_eq!(cursors["cursors"]["items"]["all"]["value"], "19");
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(server.asked().last().and_then(|request| request.param("since")).as_deref(), Some("19"));
    assert_eq!(rows(), (0..40).collect::<Vec<i64>>());
    // Cursors that were set by hand after a rollback are nobody else's content.
    place.haul(&["rollback", &file]).expect_code(0);
    place.haul(&["state", "set", &file, "items", "5"]).expect_code(0);
    let manifests = dataset::manifests(&folder, "_snapshots");
    assert!(manifests.last().expect("a manifest").1.get("restored_from").is_none());
}

#[test]
fn what_is_no_longer_whole_is_not_shown_again() {
    let (source, place) = (source(), Workplace::new());
    let file = place.file("job.yaml", &job(&source.url, "", "paging: none"));
    for _ in 0..3 {
        place.haul(&["run", &file]).expect_code(0);
    }
    let folder = place.path("out/test");
    let manifests = dataset::manifests(&folder, "_snapshots");
    let part =
        |at: usize| folder.join(manifests[at].1["tables"]["items"]["parts"][0]["path"].as_str().expect("a path"));
    let id = |at: usize| manifests[at].1["snapshot"].as_str().expect("a snapshot");
    std::fs::remove_file(part(0)).expect("removed");
    File::options().write(true).open(part(1)).and_then(|file| file.set_len(100)).expect("cut");
    place.is_own(&part(1));
    // A manifest that lost a race, with parts that are all there.
    let mut lost = manifests[2].1.clone();
    let lost_id = format!("00000003-{}", run_id(1));
    lost["snapshot"] = json!(lost_id);
    std::fs::write(folder.join(format!("_snapshots/{lost_id}.json")), lost.to_string()).expect("a file");
    let before = place.contents("out");
    for (snapshot, code, says) in [
        (id(0), 1, "is not there"),
        (id(1), 1, "100 bytes instead of"),
        (id(2), 2, "what readers see already"),
        (&lost_id, 2, "was never published"),
        ("00000009-nonsense", 2, "there is no snapshot"),
    ] {
        place.haul(&["rollback", &file, snapshot]).expect_code(code).expect_says(&[says, "haul snapshots"]);
    }
    place.haul(&["rollback", &file]).expect_code(1).expect_says(&[id(1), "cannot be shown again"]);
    assert_eq!(before, place.contents("out"), "a refusal changed something");
    place.haul(&["snapshots", &file]).expect_code(0).expect_says(&["never published"]);
}

#[test]
fn what_to_keep_is_checked() {
    let place = Workplace::new();
    let file = place.file("job.yaml", &job_keeping("https://api.example.com", 0, 0));
    let done = place.haul(&["check", &file, "--json"]).expect_code(2);
    let paths: Vec<Value> = done.json()["files"][0]["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| problem["path"].clone())
        .collect();
    assert_eq!(paths, ["publish.keep.snapshots", "publish.keep.hours"]);
}
