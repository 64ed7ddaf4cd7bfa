//! Random histories of inserts, updates, deletions and records that come again, in every form in which deletions are told,
//! against an oracle: after every run the tables are what the source holds, and what it held where rows are marked.
//!
//! `HAUL_DELETES_ROUNDS=200 cargo test --test deletes oracle` makes the histories as long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::scene::rows;
use crate::support::random::Random;
use crate::support::rigs::{Rig, output_of};
use crate::support::server::{Answer, Request, Server, ok};
use crate::support::{Workplace, job};

const SEED: u64 = 0x5EED_0DE1;
/// Runs of one history.
const ROUNDS_DEFAULT: u64 = 12;
/// How far the jobs look back, so that rows and deletions are read again.
const LOOKBACK: i64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Tombstone,
    Feed,
    Sweep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    value: i64,
    changed: i64,
    lines: Vec<i64>,
}

#[derive(Debug, Clone)]
struct Deletion {
    id: i64,
    at: i64,
}

/// The source as it is now.
#[derive(Default)]
struct Source {
    records: BTreeMap<i64, Record>,
    /// When records went that are not there.
    gone: BTreeMap<i64, i64>,
    log: Vec<Deletion>,
    next: i64,
    now: i64,
}

fn region(id: i64) -> &'static str {
    ["eu", "us", "ap"][(id % 3) as usize]
}

impl Source {
    fn answer(&self, form: Form, request: &Request) -> Answer {
        let since: i64 = request.param("since").and_then(|text| text.parse().ok()).unwrap_or(i64::MIN);
        let mut found: Vec<Value> = Vec::new();
        match request.path() {
            "/keys" => found.extend(self.records.keys().map(|id| json!({ "Area": region(*id), "Key": id }))),
            "/deleted" => {
                for (n, Deletion { id, at }) in self.log.iter().enumerate().filter(|(_, gone)| gone.at >= since) {
                    let key = id.to_string();
                    found.push(json!({ "n": 2 * n, "at": at, "EntityKey": key, "Area": region(*id), "EntityType": 4 }));
                    // Another table's record with a key that is there.
                    let other = self.records.keys().next().copied().unwrap_or(0).to_string();
                    found.push(json!({ "n": 2 * n + 1, "at": at, "EntityKey": other, "Area": "eu", "EntityType": 7 }));
                }
            }
            _ => {
                for (id, record) in self.records.iter().filter(|(_, record)| record.changed >= since) {
                    let lines: Vec<Value> = record.lines.iter().map(|qty| json!({ "qty": qty })).collect();
                    let Record { value, changed, .. } = record;
                    found.push(
                        json!({ "id": id, "region": region(*id), "value": value, "changed": changed, "lines": lines }),
                    );
                }
                if form == Form::Tombstone {
                    let gone = self.gone.iter().filter(|(_, at)| **at >= since);
                    found.extend(
                        gone.map(|(id, at)| json!({ "id": id, "region": region(*id), "changed": at, "gone": true })),
                    );
                }
            }
        }
        let offset: usize = request.param("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let page: Vec<&Value> = found.iter().skip(offset).take(7).collect();
        ok(json!({ "rows": page, "total": found.len() }).to_string())
    }

    /// What happens between two runs. Several things may happen at one instant, none at an instant of an earlier run.
    fn change(&mut self, random: &mut Random) {
        self.now += 1;
        if random.below(20) == 0 {
            let all: Vec<i64> = self.records.keys().copied().collect();
            all.into_iter().for_each(|id| self.delete(id));
        }
        for _ in 0..random.below(14) {
            self.now += random.below(2) as i64;
            let there: Vec<i64> = self.records.keys().copied().collect();
            let gone: Vec<i64> = self.gone.keys().copied().collect();
            let pick = |ids: &[i64], random: &mut Random| ids[random.below(ids.len() as u64) as usize];
            match random.below(10) {
                0..=3 => {
                    self.put(self.next, random);
                    self.next += 1;
                }
                4..=5 if !there.is_empty() => self.put(pick(&there, random), random),
                6..=7 if !there.is_empty() => self.delete(pick(&there, random)),
                8 if !gone.is_empty() => self.put(pick(&gone, random), random),
                // Deleted and back within an instant.
                9 if !there.is_empty() => {
                    let id = pick(&there, random);
                    self.delete(id);
                    self.put(id, random);
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, id: i64, random: &mut Random) {
        let lines = (0..random.below(4)).map(|_| random.below(100) as i64).collect();
        self.records.insert(id, Record { value: random.below(1_000_000) as i64, changed: self.now, lines });
        self.gone.remove(&id);
    }

    fn delete(&mut self, id: i64) {
        self.records.remove(&id);
        self.gone.insert(id, self.now);
        self.log.push(Deletion { id, at: self.now });
    }
}

fn job_of(url: &str, form: Form, is_marked: bool, destination: &str) -> String {
    let rows = if is_marked { "mark" } else { "remove" };
    let (key, deleted, list) = match form {
        Form::Tombstone => ("[id]", "field: gone".to_owned(), ""),
        Form::Feed => (
            "[region, id]",
            "stream: deleted, key: [Area, EntityKey], when: record.EntityType == 4, at: at".to_owned(),
            "  - { name: deleted, path: /deleted, records: rows, paging: { offset: { size: 7, total: total } }, key: [n], params: { since: \"{{ cursor }}\" }, incremental: { cursor: at, start: 0, lookback: 2 } }\n",
        ),
        Form::Sweep => (
            "[region, id]",
            "sweep: keys, key: [Area, Key], allow_empty: true".to_owned(),
            "  - { name: keys, path: /keys, records: rows, paging: { offset: { size: 7, total: total } } }\n",
        ),
    };
    let stream = format!(
        "records: rows\nkey: {key}\npaging: {{ offset: {{ size: 7, total: total }} }}\nparams: {{ since: \"{{{{ cursor }}}}\" }}\n\
         incremental: {{ cursor: changed, start: 0, lookback: {LOOKBACK} }}\ntables: [{{ name: lines, from: lines }}]\n\
         deleted: {{ {deleted}, rows: {rows} }}"
    );
    job(url, "", &stream).replace(
        "destination:\n  url: out\n",
        &format!("{list}{destination}\npublish: {{ alias: false, require: {{ '*': {{ empty: allow, rows_drop_max: 100% }} }} }}\n"),
    )
}

/// What the tables must hold.
#[derive(Default)]
struct Oracle {
    /// With whether its row is marked.
    rows: BTreeMap<i64, (Record, bool)>,
    /// Marks as they were first seen.
    marks: BTreeMap<i64, i64>,
}

impl Oracle {
    fn follow(&mut self, source: &Source, is_marked: bool) {
        if !is_marked {
            self.rows.clear();
        }
        self.rows.iter_mut().for_each(|(id, row)| row.1 = !source.records.contains_key(id));
        self.rows.extend(source.records.iter().map(|(id, record)| (*id, (record.clone(), false))));
    }

    fn compare(&mut self, folder: &Path, about: &str) {
        let mut found = BTreeMap::new();
        let mut marks = BTreeMap::new();
        for row in rows(folder, "items") {
            let number = |name: &str| row[name].as_i64().expect("a number");
            let id = number("id");
            assert_eq!(row["region"], json!(region(id)), "{about}");
            if let Some(mark) = row.get("_deleted_at").and_then(Value::as_i64) {
                marks.insert(id, mark);
            }
            let record = Record { value: number("value"), changed: number("changed"), lines: Vec::new() };
            assert!(found.insert(id, (record, marks.contains_key(&id))).is_none(), "{about}: {id} is there twice");
        }
        let mut lines = BTreeMap::new();
        for row in rows(folder, "lines") {
            let number = |name: &str| row[name].as_i64().expect("a number");
            let at = (number("items_id"), number("_position"));
            assert!(lines.insert(at, number("qty")).is_none(), "{about}: the line {at:?} is there twice");
        }
        for ((id, _), qty) in lines {
            let row = found.get_mut(&id).unwrap_or_else(|| panic!("{about}: a line of {id}, which is not there"));
            row.0.lines.push(qty);
        }
        assert_eq!(found, self.rows, "{about}");
        let kept: BTreeSet<i64> = marks.keys().filter(|id| self.marks.contains_key(id)).copied().collect();
        for id in kept {
            assert!(marks[&id] >= self.marks[&id], "{about}: the mark of {id} went back");
        }
        self.marks = marks;
    }
}

fn history(form: Form, is_marked: bool, rounds: u64, azurite: Option<&Rig>) {
    let mut random = Random(SEED ^ ((form as u64) << 8 | u64::from(is_marked)));
    let source = Arc::new(Mutex::new(Source::default()));
    let server = {
        let source = Arc::clone(&source);
        Server::start(move |request, _| source.lock().expect("a source").answer(form, request))
    };
    // Marks are timestamps, which the profiles store in two ways.
    let profile = if is_marked { "analytics" } else { "powerbi" };
    let mut place = if is_marked { Workplace::new().expects_analytics() } else { Workplace::new() };
    let mut destination = format!("destination:\n  profile: {profile}\n  raw_copy: true\n  url: out\n");
    // Of its own: what is copied from it is searched for breaches of its profile.
    let container = format!("{form:?}").to_lowercase();
    if let Some(azurite) = azurite {
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", &container]);
        place = place.env("AZURE_KEY_OF_TEST", azurite.text("key")).env("AZURE_ACCOUNT", azurite.text("account"));
        destination = format!(
            "destination:\n  profile: {profile}\n  raw_copy: true\n  url: az://{container}/x\n  options: {{ account_name: \"${{AZURE_ACCOUNT}}\", access_key: \"${{AZURE_KEY_OF_TEST}}\", endpoint: {}, allow_http: \"true\" }}\n",
            azurite.url()
        );
    }
    let file = place.file("job.yaml", &job_of(&server.url, form, is_marked, &destination));
    let mut oracle = Oracle::default();
    for round in 0..rounds {
        let about = format!("seed {SEED:#x} {form:?}, marked: {is_marked}, round {round}");
        source.lock().expect("a source").change(&mut random);
        let done = place.haul(&["run", &file, "--json"]);
        assert_eq!(done.code, 0, "{about}: {done:?}");
        // What every run kept of the answers makes the same tables once more, to the byte.
        if round + 1 == rounds || round == rounds / 2 {
            let done = place.haul(&["rebuild", &file, "--json"]);
            assert_eq!((done.code, &done.json()["outcome"]), (0, &json!("unchanged")), "{about}: {done:?}");
        }
        oracle.follow(&source.lock().expect("a source"), is_marked);
        if oracle.rows.is_empty() && round == 0 {
            continue;
        }
        match azurite {
            None => oracle.compare(&place.path("out/test"), &about),
            Some(azurite) => {
                let copy = place.path("copy");
                let to = copy.to_string_lossy().into_owned();
                output_of("blob.py", &["get", "--url", azurite.url(), "--container", &container, "--to", &to]);
                oracle.compare(&copy.join("x/test"), &about);
            }
        }
    }
}

#[test]
fn after_every_run_the_tables_are_what_the_oracle_says() {
    let rounds = std::env::var("HAUL_DELETES_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS_DEFAULT);
    println!("seed {SEED:#x}, {rounds} rounds each");
    let histories =
        [Form::Tombstone, Form::Feed, Form::Sweep].into_iter().flat_map(|form| [(form, false), (form, true)]);
    let next = Mutex::new(histories);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((form, is_marked)) = next.lock().expect("histories").next() else { return };
                    history(form, is_marked, rounds, None);
                }
            });
        }
    });
}

#[test]
fn the_same_holds_in_a_blob_store() {
    let azurite = Rig::start("azurite.mjs", &[]);
    for (form, is_marked) in [(Form::Tombstone, false), (Form::Feed, true), (Form::Sweep, false)] {
        history(form, is_marked, 5, Some(&azurite));
    }
}
