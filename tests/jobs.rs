//! The job files of `jobs/`: each is right, and what it makes of the answers on its tape is what is expected of it.
//! `HAUL_BLESS=1` writes what is expected anew.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::Workplace;
use support::rigs::read;

/// Jobs that only show a shape: their servers do not exist.
const SHAPES: &[&str] = &["odata-oauth2", "rest-next-link"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")
}

fn jobs() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("jobs/");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn every_job_is_right_and_has_a_tape() {
    let names = jobs();
    assert!(names.len() >= 8, "{names:?}");
    let place = Workplace::new();
    for name in names {
        let file = folder().join(format!("{name}.yaml")).display().to_string();
        place.haul(&["check", &file]).expect_code(0);
        let has_tape = folder().join(format!("tapes/{name}.har")).exists();
        assert_eq!(has_tape, !SHAPES.contains(&name.as_str()), "{name}");
    }
}

/// Tables of a replay: columns with their types from the manifest, rows and a sum over all values from DuckDB.
fn tables(place: &Workplace, job: &str) -> Value {
    let text = |name: &str| std::fs::read_to_string(place.path(&format!("replay/{job}/{name}"))).expect("a file");
    let parse = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
    let manifest = parse(text(parse(text("_latest.json"))["manifest"].as_str().expect("a path")));
    let mut found = BTreeMap::new();
    for (name, table) in manifest["tables"].as_object().expect("tables") {
        let columns: BTreeMap<&str, &Value> = table["columns"]
            .as_array()
            .expect("columns")
            .iter()
            .map(|column| (column["name"].as_str().expect("a name"), &column["type"]))
            .collect();
        let file = place.path(&format!("replay/{job}/{name}/current.parquet"));
        let sql = format!("select * from read_parquet('{}') limit 1", file.display());
        let first = read(&format!("select to_json(t)::varchar from ({sql}) t"), None);
        let cursors: BTreeMap<&String, &Value> = table["cursors"]
            .as_object()
            .map(|cursors| cursors.iter().map(|(scope, cursor)| (scope, &cursor["value"])).collect())
            .unwrap_or_default();
        let first: Value = serde_json::from_str(first["rows"][0][0].as_str().expect("a row")).expect("JSON");
        found.insert(
            name.clone(),
            json!({ "rows": table["rows"], "columns": columns, "first": first, "cursors": cursors }),
        );
    }
    json!(found)
}

#[test]
fn every_tape_gives_the_tables_that_are_expected() {
    for name in jobs().into_iter().filter(|name| !SHAPES.contains(&name.as_str())) {
        let place = Workplace::new();
        let file = folder().join(format!("{name}.yaml")).display().to_string();
        let tape = folder().join(format!("tapes/{name}.har")).display().to_string();
        let done = place.haul(&["replay", &file, "--from", &tape]).expect_code(0);
        assert!(!done.stderr.contains("warning") && !done.stderr.contains("not asked for"), "{name}: {done:?}");
        let got = tables(&place, &name);
        let expected = folder().join(format!("tapes/{name}.expected.json"));
        if std::env::var_os("HAUL_BLESS").is_some() {
            std::fs::write(&expected, format!("{got:#}\n")).expect("a file");
        }
        let text = std::fs::read_to_string(&expected).unwrap_or_default();
        let expected: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(got, expected, "{name}");
    }
}
