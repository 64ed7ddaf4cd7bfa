//! What is stored outlives the program: datasets of this and of a later format as files, and readers that share nothing
//! with haul but `docs/FORMATS.md`.

#![allow(missing_docs)]

mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::rigs::{output_of, read};
use support::server::{Server, ok};
use support::{Workplace, dataset, job};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Folders as this and a later version of haul left them.
fn fixture(place: &Workplace, name: &str) -> String {
    let from = root().join("tests/formats").join(name);
    let to = place.path("out/test");
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        std::fs::create_dir_all(to.join(&folder)).expect("a folder");
        for entry in std::fs::read_dir(from.join(&folder)).expect("the fixture") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                std::fs::copy(entry.path(), to.join(&path)).expect("copied");
            }
        }
    }
    place.file("job.yaml", &job("http://127.0.0.1:1", "", "paging: none"))
}

#[test]
fn a_dataset_of_format_1_is_read_and_gone_on_from() {
    let place = Workplace::new();
    let file = fixture(&place, "1");
    let listed = place.haul(&["snapshots", &file, "--json"]).expect_code(0).json();
    let snapshots = listed["snapshots"].as_array().expect("snapshots");
    assert_eq!(snapshots.len(), 2);
    assert_eq!((&snapshots[0]["is_current"], &snapshots[0]["tables"]["items"]["rows"]), (&json!(true), &json!(2)));
    let cursors = place.haul(&["state", "show", &file, "--json"]).expect_code(0).json();
    assert_eq!(cursors["cursors"]["items"]["all"]["value"], "2");
    place.haul(&["rollback", &file]).expect_code(0);
    let seen = dataset::read(&place.path("out/test")).expect("readable").expect("published");
    assert_eq!((seen.sequence, seen.values), (3, vec![1]));
}

#[test]
fn a_dataset_of_a_newer_format_is_refused_and_left_alone() {
    let place = Workplace::new();
    let file = fixture(&place, "newer");
    let before = place.contents("out");
    for args in [&["run"][..], &["snapshots"], &["rollback"], &["sweep"], &["state", "show"]] {
        place
            .haul(&[args, &[&file]].concat())
            .expect_code(1)
            .expect_says(&["`_latest.json` has format version 2, and this haul knows 1", "newer haul"]);
    }
    assert_eq!(before, place.contents("out"));
    // A pointer that is known does not make the manifest known.
    let pointer = place.path("out/test/_latest.json");
    let text =
        std::fs::read_to_string(&pointer).expect("a pointer").replace("\"format_version\": 2", "\"format_version\": 1");
    std::fs::write(pointer, text).expect("a pointer");
    let manifest = "`_snapshots/00000003-01KDQ5T9Z6V1S4J8XH2M7RC301.json` has format version 2";
    place.haul(&["sweep", &file]).expect_code(1).expect_says(&[manifest]);
}

/// The block of a language in the page about formats.
fn snippet(language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/FORMATS.md")).expect("the page");
    let (_, after) = page.split_once(&format!("```{language}\n")).expect("a block of that language");
    after.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_readers_in_the_documentation_read_every_listed_part_and_no_other() {
    let server = Server::start(|request, before| {
        let since: usize = request.param("since").and_then(|text| text.parse().ok()).expect("a number");
        let rows: Vec<Value> = (since..(before + 1) * 10).map(|n| json!({ "n": n, "name": format!("ä{n}") })).collect();
        ok(json!(rows).to_string())
    });
    let place = Workplace::new();
    let stream = "params: { since: \"{{ cursor }}\" }\npaging: none\nkey: [n]\nwrite: append\nincremental: { cursor: n, start: 0 }";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    for _ in 0..3 {
        place.haul(&["run", &file]).expect_code(0);
    }
    let folder = place.path("out/test");
    let listed = dataset::manifests(&folder, "_snapshots").pop().expect("a manifest").1;
    let parts = listed["tables"]["items"]["parts"].as_array().expect("parts").len();
    assert!(parts > 1, "one part proves nothing");
    // What a failed run left is no part of the dataset.
    let part = listed["tables"]["items"]["parts"][0]["path"].as_str().expect("a path");
    std::fs::copy(folder.join(part), folder.join("items/data/01KDQ5T9Z6V1S4J8XH2M7RC301-001.parquet")).expect("copied");
    let expected: Vec<Value> = (0..30).map(|n| json!({ "n": n, "name": format!("ä{n}") })).collect();

    let python = place.file("reader.py", &snippet("python"));
    let said = output_of(&python, &[&folder.to_string_lossy(), "items"]);
    let found: Vec<Value> = serde_json::from_str(&said.replace('\'', "\"")).expect("a list of rows");
    assert_eq!(found, expected);

    let sql = snippet("sql").replace("out/sales", &folder.to_string_lossy()).replace("tables.orders.", "tables.items.");
    let found = read(&sql, None);
    let rows: Vec<Value> = expected.iter().map(|row| json!([row["n"], row["name"]])).collect();
    assert_eq!(found["rows"], json!(rows));
}
