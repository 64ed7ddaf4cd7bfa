//! The house rules that a compiler does not know: floors, doors, file sizes, left-overs, licences and sources of the
//! dependencies, and that the documents name files that exist.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rooms by floor; a room imports lower floors, and of its own floor only what is named behind it.
const FLOORS: &[(&str, u8, &[&str])] = &[
    ("cli", 5, &[]),
    ("fuzzing", 5, &[]),
    ("demo", 4, &[]),
    ("daemon", 4, &[]),
    ("engine", 3, &[]),
    ("job", 2, &[]),
    ("state", 1, &["store"]),
    ("http", 1, &["state"]),
    ("auth", 1, &["http", "state"]),
    ("source", 1, &["http", "auth"]),
    ("columns", 1, &[]),
    ("format", 1, &["columns"]),
    ("store", 1, &[]),
    ("powerbi", 1, &[]),
    ("model", 0, &["paging", "schedule", "secret", "limits"]),
    ("schedule", 0, &["limits"]),
    ("paging", 0, &["model", "limits"]),
    ("secret", 0, &[]),
    ("clock", 0, &[]),
    ("limits", 0, &[]),
    ("telemetry", 0, &["model"]),
];

/// What only some places may say: the text, the places (prefixes below `src/`), and why.
const DOORS: &[(&str, &[&str], &str)] = &[
    ("reqwest::", &["http/"], "one room makes HTTP calls"),
    ("std::env::var", &["job/load.rs"], "one file reads the environment"),
    ("env::vars", &["job/load.rs"], "one file reads the environment"),
    ("Utc::now", &["clock.rs"], "one file reads the wall clock"),
    ("SystemTime::now", &["clock.rs"], "one file reads the wall clock"),
    ("println!", &[], "results and messages go through cli/output.rs"),
    ("eprintln!", &[], "results and messages go through cli/output.rs"),
    ("std::io::stdout", &["cli/"], "one room prints"),
    ("std::io::stderr", &["cli/"], "one room prints"),
    ("process::exit", &[], "main returns the exit code"),
    ("_latest", &["store/layout.rs", "store/mod.rs", "model/manifest.rs"], "one file names objects"),
    // The one exception drives the socket of a connection, for which tokio-postgres wants a task of its own.
    (
        "tokio::spawn",
        &["engine/", "daemon/", "demo/", "state/postgres.rs", "auth/vault.rs"],
        "tasks are spawned where runs are, for a connection, and for a refresh",
    ),
    ("spawn_blocking", &["engine/", "daemon/", "demo/"], "tasks are spawned where runs are"),
    ("#[ignore", &[], "no test is skipped"),
    ("#[should_panic", &[], "errors are values"),
    ("allow(dead_code", &[], "dead code is removed"),
];

const LINES_MAX: usize = 500;

/// Licences that a dependency may have (SPDX), each permissive.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "Unlicense",
    "MIT-0",
    "CC0-1.0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

/// Crates that cost minutes to build: one version each.
const HEAVY: &[&str] = &[
    "arrow",
    "parquet",
    "reqwest",
    "rustls",
    "hyper",
    "tokio",
    "object_store",
    "chrono",
    "ring",
    "axum",
    "rusqlite",
    "serde_json",
    "url",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files below `src/` with their path there and their text.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    let mut files = Vec::new();
    collect(&src, &src, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    files
}

fn collect(src: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(src, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(src).expect("below src").to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).expect("a text")));
        }
    }
}

/// The code without comments and without the test module at the end of a file.
fn code(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

fn room_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

#[test]
fn imports_go_down_only() {
    let floors: BTreeMap<&str, (u8, &[&str])> = FLOORS.iter().map(|(room, floor, of)| (*room, (*floor, *of))).collect();
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        let room = room_of(&file);
        if matches!(room, "lib" | "main") {
            continue;
        }
        let Some((floor, neighbours)) = floors.get(room) else {
            breaches.push(format!("{file}: room `{room}` has no floor"));
            continue;
        };
        for other in imported_rooms(&code(&text)) {
            let Some((other_floor, _)) = floors.get(other.as_str()) else { continue };
            if other != room && other_floor >= floor && !neighbours.contains(&other.as_str()) {
                breaches.push(format!("{file}: `{room}` (floor {floor}) imports `{other}` (floor {other_floor})"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Every `crate::room` and every room inside `crate::{…}`.
fn imported_rooms(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let inside = group.split(';').next().unwrap_or_default();
            rooms.extend(inside.split([',', '{', '}']).map(|item| first_word(item.trim())));
        } else {
            rooms.push(first_word(after));
        }
    }
    rooms
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[test]
fn outside_things_have_one_door() {
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        if is_test(&file) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            for (said, places, why) in DOORS {
                if line.contains(said) && !places.iter().any(|place| file.starts_with(place)) {
                    breaches.push(format!("{file}, line {} of the code: `{said}`: {why}", number + 1));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn files_stay_small_and_rooms_say_what_they_are() {
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        let lines = code(&text).lines().count();
        if lines > LINES_MAX {
            breaches.push(format!("{file}: {lines} lines of code, at most {LINES_MAX}"));
        }
        if !text.starts_with("//!") {
            breaches.push(format!("{file}: does not open with `//!`"));
        }
        let left: Vec<&str> = ["TODO", "FIXME", "XXX"].into_iter().filter(|left| text.contains(left)).collect();
        if !left.is_empty() {
            breaches.push(format!("{file}: {} is left", left.join(", ")));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn documents_name_files_that_exist() {
    let mut missing = Vec::new();
    let mut documents = vec![root().join("README.md"), root().join("tests/rigs/README.md")];
    documents
        .extend(std::fs::read_dir(root().join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path()));
    for document in documents.into_iter().filter(|document| document.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(&document).expect("a text");
        for named in text.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "docs/", "config/", "jobs/"].iter().any(|start| named.starts_with(start));
            let is_plain = named.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if is_path && is_plain && !root().join(named).exists() {
                missing.push(format!("{}: `{named}`", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn dependencies_come_from_one_source_with_permissive_licences_and_once() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut breaches = Vec::new();
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        *versions.entry(name).or_default() += 1;
        if name == "haul" {
            continue;
        }
        let source = package["source"].as_str().unwrap_or("a local path");
        if source != "registry+https://github.com/rust-lang/crates.io-index" {
            breaches.push(format!("{name} comes from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_permissive(licence) {
            breaches.push(format!("{name} has the licence {licence}"));
        }
    }
    for heavy in HEAVY {
        let count = versions.get(heavy).copied().unwrap_or(0);
        if count != 1 {
            breaches.push(format!("{heavy} is in the tree {count} times"));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Whether one alternative of an SPDX expression needs permissive licences only.
fn is_permissive(expression: &str) -> bool {
    let plain = expression.replace('/', " OR ").replace(['(', ')'], "");
    plain.split(" OR ").any(|choice| choice.split(" AND ").all(|licence| LICENCES.contains(&licence.trim())))
}
