//! Records that are kept as they came, and tables made from them without asking the source.

#![allow(missing_docs)]

mod support;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::one_page::OnePage;
use support::rigs::output_of;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, dataset, job};

/// A job that keeps the records.
fn raw_job(url: &str, stream: &str, rest: &str) -> String {
    let text = job(url, "", stream);
    format!("{}{rest}", text.replace("  url: out\n", "  url: out\n  raw_copy: true\n"))
}

fn manifest(place: &Workplace) -> Value {
    dataset::manifests(&place.path("out/test"), "_snapshots").pop().expect("a manifest").1
}

/// What readers see of a table besides when it was read: columns, key, form, and checksums of the files.
fn seen(place: &Workplace, table: &str) -> Value {
    let table = manifest(place)["tables"][table].clone();
    let sums: Vec<&Value> = table["parts"].as_array().expect("parts").iter().map(|part| &part["sha256"]).collect();
    json!([table["columns"], table["key"], table["format"], table["csv"], table["rows"], sums])
}

fn rebuild(place: &Workplace, file: &str) -> Value {
    rebuild_with(place, file, &[])
}

fn rebuild_with(place: &Workplace, file: &str, args: &[&str]) -> Value {
    let report = place.haul(&[&["rebuild", file, "--json"], args].concat()).expect_code(0).json();
    assert_eq!(report["source"]["attempts"], 0);
    report
}

fn raw_files(place: &Workplace, stream: &str) -> Vec<PathBuf> {
    let folder = place.path("out/test").join(stream).join("raw");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Three pages behind links with a query, as records with everything in them.
fn pages(request: &Request, _before: usize) -> Answer {
    let page: i64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
    let record = |n: i64| {
        let id = page * 10 + n;
        json!({ "id": id, "name": format!("n{id}"), "price": id as f64 / 4.0, "at": "2024-02-29", "of": { "it": id },
                "secret": "s3", "lines": [{ "qty": id, "tags": ["a"] }, { "qty": 1 }], "odd": if id == 21 { json!("x") } else { json!(id) } })
    };
    let data: Vec<Value> = (0..10).map(record).collect();
    let next = (page < 3).then(|| format!("/items?page={}&key=hunter22", page + 1));
    ok(json!({ "data": data, "next": next }).to_string())
}

const PAGED: &str = "records: data\npaging: { next_url: next }\nkey: [id]\n";

#[test]
fn a_changed_job_makes_of_the_copies_what_a_run_of_it_would_read() {
    let server = Server::start(pages);
    let before = format!("{PAGED}drop: [secret]\n");
    for (stream, destination, args) in [
        ("columns: { id: text, price: \"decimal(18,2)\" }\n", "", &[][..]),
        ("rename: { name: title }\nselect: [id, name, of]\n", "", &[]),
        ("filter: record.id > 15\nadd: { double: record.id * 2 }\n", "", &[]),
        ("tables: [{ name: lines, from: lines }]\n", "", &[]),
        // Otherwise the columns of before are remembered, as by a run.
        ("nested: { of: json }\n", "  profile: analytics\n", &["--full"]),
        ("", "  format: csv\n", &[]),
    ] {
        let place = Workplace::new().expects_analytics();
        let file = place.file("job.yaml", &raw_job(&server.url, &before, ""));
        let first = place.haul(&["run", &file, "--json"]).expect_code(0).json();
        let asked = server.asked().len();
        assert_eq!(rebuild(&place, &file)["outcome"], "unchanged", "the same job makes the same tables");
        let text = raw_job(&server.url, &format!("{PAGED}{stream}"), "")
            .replace("  raw_copy: true\n", &format!("  raw_copy: true\n{destination}"));
        place.file("job.yaml", &text);
        let report = rebuild_with(&place, &file, args);
        assert_eq!(report["outcome"], "published", "{stream}{destination}");
        assert_eq!(report["tables"]["items"]["rebuilt"], json!({ "runs": 1, "pages": 3 }));
        assert_ne!(report["snapshot"], first["snapshot"]);
        assert_eq!(server.asked().len(), asked, "the source was asked");

        let fresh = Workplace::new().expects_analytics();
        let file = fresh.file("job.yaml", &text);
        fresh.haul(&["run", &file]).expect_code(0);
        let expected = manifest(&fresh)["tables"].as_object().expect("tables").clone();
        for table in expected.keys() {
            let (mut found, mut expected) = (seen(&place, table), seen(&fresh, table));
            // Where types are known from is remembered.
            for columns in [&mut found, &mut expected] {
                columns[0]
                    .as_array_mut()
                    .expect("columns")
                    .iter_mut()
                    .for_each(|column| column["origin"] = json!(null));
            }
            assert_eq!(found, expected, "{stream}{destination}, table `{table}`");
        }
    }
}

#[test]
fn the_copy_holds_records_and_slices_and_nothing_of_the_requests() {
    let server = Server::start(pages);
    let place = Workplace::new();
    let file = place.file("job.yaml", &raw_job(&server.url, PAGED, ""));
    place.haul(&["run", &file]).expect_code(0);
    let files = raw_files(&place, "items");
    assert_eq!(files.len(), 1);
    let text = zstd::decode_all(std::fs::File::open(&files[0]).expect("a file")).expect("zstd");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains("\"secret\":\"s3\"") && text.contains("\"ended\":\"no_next_link\""), "{text}");
    for absent in ["hunter22", "127.0.0.1", "next_url", "page=2"] {
        assert!(!text.contains(absent), "`{absent}` in {text}");
    }
    let named = &manifest(&place)["tables"]["items"]["raw"];
    assert_eq!((&named["is_whole"], &named["runs"][0]["files"][0]["rows"]), (&json!(true), &json!(30)));

    // The reader in the documentation.
    let page = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/FORMATS.md"));
    let page = page.expect("the page");
    let (_, after) = page.split_once("def read_records").expect("a reader of raw copies");
    let (code, _) = after.split_once("```").expect("its end");
    let start = page[..page.len() - after.len()].rfind("```python\n").expect("a block") + "```python\n".len();
    let reader = format!("{}{code}", &page[start..page.len() - after.len()]);
    let python = place.file("reader.py", &reader);
    let said = output_of(&python, &[&files[0].to_string_lossy()]);
    let ids: Vec<i64> = said.lines().map(|line| line.parse().expect("an id")).collect();
    assert_eq!(ids, (1..=3).flat_map(|page| page * 10..page * 10 + 10).collect::<Vec<_>>());
}

/// A source of which only what changed is asked for.
fn feed(now: &AtomicI64, request: &Request) -> Answer {
    let since: i64 = request.param("since").expect("a cursor").parse().expect("a number");
    // At every instant two records come and the one before last changes.
    let rows = (1..=now.load(Ordering::SeqCst)).flat_map(|at| {
        let row = |id: i64, name: String| json!({ "id": id, "name": name, "at": at, "tags": [{ "tag": at }] });
        [row(at * 2, format!("a{at}")), row(at * 2 + 1, format!("b{at}")), row((at * 2 - 2).max(2), format!("c{at}"))]
    });
    ok(json!(rows.filter(|row| row["at"].as_i64() > Some(since)).collect::<Vec<_>>()).to_string())
}

const FED: &str =
    "paging: none\nkey: [id]\nparams: { since: \"{{ cursor }}\" }\nincremental: { cursor: at, start: 0 }\n";

fn rows_of(place: &Workplace, table: &str) -> Vec<String> {
    let mut rows = dataset::rows(&place.path("out/test"), table);
    rows.sort();
    rows
}

#[test]
fn tables_of_many_runs_change_their_names_types_and_lists() {
    let now = Arc::new(AtomicI64::new(0));
    let at = Arc::clone(&now);
    let server = Server::start(move |request, _| feed(&at, request));
    let place = Workplace::new();
    let file = place.file("job.yaml", &raw_job(&server.url, FED, ""));
    for instant in 1..=5 {
        now.store(instant, Ordering::SeqCst);
        place.haul(&["run", &file]).expect_code(0);
    }
    // A run that read nothing leaves nothing.
    place.haul(&["run", &file]).expect_code(0).expect_says(&["nothing changed"]);
    assert_eq!(rebuild(&place, &file)["outcome"], "unchanged");
    assert_eq!(manifest(&place)["tables"]["items"]["raw"]["runs"].as_array().expect("runs").len(), 5);
    // None of this could come from the files, and a run would refuse it or ask for everything again.
    let stream =
        format!("{FED}rename: {{ name: title }}\ncolumns: {{ id: text }}\ntables: [{{ name: tags, from: tags }}]\n");
    let text = raw_job(&server.url, &stream, "");
    place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(2);
    let report = rebuild(&place, &file);
    assert_eq!((&report["outcome"], &report["tables"]["items"]["rebuilt"]["runs"]), (&json!("published"), &json!(5)));
    // The next run goes on from there.
    now.store(6, Ordering::SeqCst);
    place.haul(&["run", &file]).expect_code(0);
    let fresh = Workplace::new();
    let file = fresh.file("job.yaml", &text);
    fresh.haul(&["run", &file]).expect_code(0);
    for table in ["items", "tags"] {
        assert_eq!(rows_of(&place, table), rows_of(&fresh, table));
    }
    assert_eq!(rows_of(&place, "items").len(), 12);
    let cursor = |place: &Workplace| manifest(place)["tables"]["items"]["cursors"]["all"]["value"].clone();
    assert_eq!((cursor(&place), cursor(&fresh)), (json!("6"), json!("6")));
}

#[test]
fn slices_of_parents_and_those_left_out_come_back_as_they_were() {
    let server = Server::start(|request, _| match request.path() {
        "/regions" => ok(json!([{ "code": "eu" }, { "code": "us" }, { "code": "xx" }]).to_string()),
        "/regions/xx/items" => status(404, "none"),
        path => ok(json!([{ "id": format!("{path}#1") }, { "id": format!("{path}#2") }]).to_string()),
    });
    let place = Workplace::new();
    let text = raw_job(
        &server.url,
        "failed_slices: leave_out\nfor_each: { stream: regions, as: region, columns: { region: code } }\nadd: { loaded: run.started, run: run.id }\n",
        "",
    )
    .replace("path: /items", "path: \"/regions/{{ region.code }}/items\"")
    .replace("destination:", "  - { name: regions, path: /regions, paging: none, key: [code] }\ndestination:");
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0).expect_says(&["1 slice left out"]);
    let report = rebuild(&place, &file);
    assert_eq!(report["outcome"], "unchanged");
    assert_eq!(report["tables"]["items"]["slices_left_out"], 1);
    // Streams one by one, too; and by name only those of the job.
    place
        .haul(&["rebuild", &file, "--stream", "items"])
        .expect_code(0)
        .expect_says(&["made of the 2 pages that 1 run kept"]);
    place.haul(&["rebuild", &file, "--stream", "none"]).expect_code(2).expect_says(&["there is no stream `none`"]);
}

#[test]
fn without_all_copies_nothing_is_made() {
    let now = Arc::new(AtomicI64::new(1));
    let at = Arc::clone(&now);
    let server = Server::start(move |request, _| feed(&at, request));
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", FED));
    place.haul(&["rebuild", &file]).expect_code(2).expect_says(&["nothing is published yet"]);
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(raw_files(&place, "items").len(), 0, "nobody asked for them");
    place
        .haul(&["rebuild", &file])
        .expect_code(2)
        .expect_says(&["no table of this job has a raw copy", "raw_copy: true"]);
    place.file("job.yaml", &raw_job(&server.url, FED, ""));
    now.store(2, Ordering::SeqCst);
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(manifest(&place)["tables"]["items"]["raw"]["is_whole"], false);
    place
        .haul(&["rebuild", &file, "--stream", "items"])
        .expect_code(2)
        .expect_says(&["its first rows are from before its records were kept", "haul run --full"]);
    place.haul(&["run", &file, "--full"]).expect_code(0);
    assert_eq!(rebuild(&place, &file)["outcome"], "unchanged");
}

#[test]
fn copies_come_and_go_with_the_word_for_them_though_the_rows_are_the_same() {
    let scene = OnePage::new("key: [id]\n", json!([{ "id": 1 }, { "id": "x", "a": 1 }]));
    let place = &scene.place;
    let quarantine = "key: [id]\ncolumns: { id: integer }\ncontract: { bad_records: { quarantine: 5 } }\n";
    let say = |text: String| place.file("job.yaml", &text);
    say(job(&scene.server.url, "", quarantine));
    scene.run();
    say(raw_job(&scene.server.url, quarantine, ""));
    assert_eq!(scene.run()["outcome"], "published", "the copy must be named");
    assert_eq!(scene.run()["outcome"], "unchanged");
    // What could not become a row is there once more, too.
    let report = rebuild(place, &scene.file);
    assert_eq!(
        (&report["outcome"], &report["tables"]["items"]["quarantine"]["records"]),
        (&json!("unchanged"), &json!(1))
    );
    let path = report["tables"]["items"]["quarantine"]["path"].as_str().expect("a path");
    let set_aside = std::fs::read_to_string(place.path("out/test").join(path)).expect("a file");
    assert!(set_aside.contains("\"x\""), "{set_aside}");
    say(job(&scene.server.url, "", quarantine));
    assert_eq!(scene.run()["outcome"], "published", "nobody is to read the copy any more");
    assert_eq!(scene.manifest()["tables"]["items"].get("raw"), None);
}

#[test]
fn a_copy_that_time_changed_is_refused_and_readers_see_what_they_saw() {
    let server = Server::start(pages);
    let place = Workplace::new();
    let file = place.file("job.yaml", &raw_job(&server.url, PAGED, ""));
    place.haul(&["run", &file]).expect_code(0);
    let before = manifest(&place);
    let path = raw_files(&place, "items").remove(0);
    let whole = std::fs::read(&path).expect("a file");
    let text = zstd::decode_all(whole.as_slice()).expect("zstd");
    // A bit is another one; it is of a later format; its end is missing: of the same length, which is looked at first.
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let check = |content: &[u8], says: &str| {
        std::fs::write(&path, content).expect("written");
        place.haul(&["rebuild", &file]).expect_code(1).expect_says(&[says, "nothing was published"]);
        assert_eq!(manifest(&place), before);
    };
    check(&flipped, "cannot be read");
    check(&whole[..whole.len() - 1], "bytes instead of");
    let say = |from: &str, to: &str| {
        let changed = String::from_utf8(text.clone()).expect("UTF-8").replacen(from, to, 1);
        zstd::encode_all(changed.as_bytes(), 3).expect("zstd")
    };
    // As the manifest would list it.
    let check_listed = |content: Vec<u8>, says: &str| {
        let manifests = dataset::manifests(&place.path("out/test"), "_snapshots");
        let (name, mut listed) = manifests.last().expect("a manifest").clone();
        listed["tables"]["items"]["raw"]["runs"][0]["files"][0]["bytes"] = json!(content.len());
        std::fs::write(&name, listed.to_string()).expect("written");
        std::fs::write(&path, &content).expect("written");
        place.haul(&["rebuild", &file]).expect_code(1).expect_says(&[says, "nothing was published"]);
    };
    check_listed(say("\"format_version\":1", "\"format_version\":2"), "it is of format 2, and this haul knows 1");
    check_listed(say("\n{\"end\"", "\n{\"slice\""), "cannot be read");
    check_listed(zstd::encode_all(&text[..text.len() / 2], 3).expect("zstd"), "a page is cut");
}

#[test]
fn what_is_made_is_judged_and_a_run_that_waits_still_waits() {
    let all = |count: i64| json!((0..count).map(|n| json!({ "id": n, "kind": n % 10 })).collect::<Vec<_>>());
    let scene = OnePage::new("key: [id]\n", all(400));
    let say = |stream: &str| scene.place.file("job.yaml", &raw_job(&scene.server.url, stream, ""));
    say("key: [id]\n");
    scene.run();
    let before = scene.manifest();
    // A filter that leaves a tenth.
    say("key: [id]\nfilter: record.kind == 3\n");
    let held = scene.place.haul(&["rebuild", &scene.file]).expect_code(4).expect_says(&["held"]);
    assert!(held.stderr.contains("haul publish"), "{held:?}");
    assert_eq!(scene.manifest(), before);
    let approved = scene.place.haul(&["publish", &scene.file, "--approve", "--json"]).expect_code(0).json();
    assert_eq!((approved["outcome"].clone(), scene.rows("items").len()), (json!("published"), 40));
    // From what was approved the former filter makes all of them again.
    say("key: [id]\n");
    assert_eq!(scene.place.haul(&["rebuild", &scene.file, "--json"]).expect_code(0).json()["outcome"], "published");
    assert_eq!(scene.rows("items").len(), 400);
    // A run that waits for a decision is not taken for overtaken.
    scene.set(all(10));
    scene.place.haul(&["run", &scene.file]).expect_code(4);
    scene.place.haul(&["rebuild", &scene.file]).expect_code(0);
    scene.place.haul(&["runs", &scene.file]).expect_code(0).expect_says(&["held"]);
    scene.place.haul(&["publish", &scene.file, "--approve"]).expect_code(0);
    assert_eq!(scene.rows("items").len(), 10);
}

#[test]
fn copies_stay_while_a_kept_snapshot_names_them() {
    let scene = OnePage::new("key: [id]\n", json!([{ "id": 0 }]));
    let keep = "publish: { keep: { snapshots: 2, hours: 24 } }\n";
    scene.place.file("job.yaml", &raw_job(&scene.server.url, "key: [id]\n", keep));
    let copies = || raw_files(&scene.place, "items").len();
    for n in 1..=4 {
        scene.set(json!([{ "id": n }]));
        scene.run();
    }
    assert_eq!(copies(), 4);
    scene.place.haul_in(30, &["sweep", &scene.file]).expect_code(0);
    assert_eq!(copies(), 4, "found unnamed for the first time");
    scene.place.haul_in(60, &["sweep", &scene.file]).expect_code(0);
    assert_eq!(copies(), 2);
    scene.place.haul(&["rollback", &scene.file]).expect_code(0);
    assert_eq!(rebuild(&scene.place, &scene.file)["outcome"], "unchanged");
    assert_eq!(scene.rows("items"), ["3"]);
}

#[test]
fn a_rebuild_waits_for_nobody_and_runs_beside_nobody() {
    // A run that is going on has the lease.
    let gate = Arc::new(Mutex::new(()));
    let server = {
        let gate = Arc::clone(&gate);
        Server::start(move |_, _| {
            drop(gate.lock().expect("a gate"));
            ok(json!([{ "id": 1 }]).to_string())
        })
    };
    let place = Workplace::new();
    let file = place.file("job.yaml", &raw_job(&server.url, "key: [id]\n", ""));
    place.haul(&["run", &file]).expect_code(0);
    let shut = gate.lock().expect("a gate");
    let mut child = place.command(&["run", &file, "--quiet"]).stdout(Stdio::null()).spawn().expect("haul starts");
    while server.asked().len() < 2 {
        std::thread::yield_now();
    }
    let skipped: Done = place.haul(&["rebuild", &file]).expect_code(6);
    assert!(skipped.stderr.contains("another run of this job is going on"), "{skipped:?}");
    drop(shut);
    assert!(child.wait().expect("it ends").success());
}
