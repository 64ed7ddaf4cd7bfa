//! Incremental reading against an oracle: random histories of inserts, updates, late and equal timestamps; after every
//! run the published table is what the source holds.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::{Value, json};
use support::random::Random;
use support::rigs::read;
use support::server::{Answer, Request, Server, ok};
use support::{Workplace, job};

const HISTORIES: u64 = 200;
const RUNS: u64 = 4;
/// How much later than its timestamp a record may show; the jobs look back further.
const LATE_SECS: i64 = 3_600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Instant,
    Windows,
    NewestFirst,
    PerSlice,
    Append,
}

const KINDS: [Kind; 6] = [Kind::Number, Kind::Instant, Kind::Windows, Kind::NewestFirst, Kind::PerSlice, Kind::Append];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    region: &'static str,
    value: i64,
    changed: i64,
}

type Records = BTreeMap<i64, Record>;

/// The source as it is now.
struct Source {
    kind: Kind,
    records: Records,
}

fn instant(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).expect("a time").to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Source {
    fn answer(&self, request: &Request) -> Answer {
        let bound = |name: &str| {
            request.param(name).map(|text| {
                text.parse::<i64>().unwrap_or_else(|_| text.parse::<DateTime<Utc>>().expect("a bound").timestamp())
            })
        };
        let (since, until, region) = (bound("since"), bound("until"), request.param("region"));
        let mut found: Vec<(&i64, &Record)> = self
            .records
            .iter()
            .filter(|(_, record)| self.kind == Kind::NewestFirst || since.is_none_or(|since| record.changed >= since))
            .filter(|(_, record)| until.is_none_or(|until| record.changed < until))
            .filter(|(_, record)| region.as_ref().is_none_or(|region| record.region == region))
            .collect();
        if self.kind == Kind::NewestFirst {
            found.sort_by_key(|(id, record)| (-record.changed, **id));
        }
        let offset: usize = request.param("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let page: Vec<Value> = found
            .iter()
            .skip(offset)
            .take(5)
            .map(|(id, record)| {
                let changed =
                    if self.kind == Kind::Number { json!(record.changed) } else { json!(instant(record.changed)) };
                json!({ "id": id, "value": record.value, "region": record.region, "changed": changed })
            })
            .collect();
        ok(json!({ "rows": page, "total": found.len() }).to_string())
    }

    /// Some inserts and, unless rows are only ever added, updates; some of them show late, some at the same instant.
    fn change(&mut self, random: &mut Random, now: i64) {
        let at = |random: &mut Random| match random.below(3) {
            0 => now,
            1 => now - random.below(5) as i64,
            _ => now - random.below(LATE_SECS as u64) as i64,
        };
        for _ in 0..random.below(12) {
            let id = self.records.len() as i64;
            let region = if random.below(2) == 0 { "eu" } else { "us" };
            let record = Record { region, value: random.below(1_000_000) as i64, changed: at(random) };
            self.records.insert(id, record);
        }
        if self.kind == Kind::Append || self.records.is_empty() {
            return;
        }
        for _ in 0..random.below(8) {
            let id = random.below(self.records.len() as u64) as i64;
            let changed = at(random);
            let record = self.records.get_mut(&id).expect("a record");
            // A change never carries an older timestamp than the one before it.
            record.changed = record.changed.max(changed);
            record.value = random.below(1_000_000) as i64;
        }
    }
}

fn stream(kind: Kind) -> String {
    let key = "records: rows\nkey: [id]\n";
    let paging = "paging: { offset: { size: 5, total: total } }\n";
    let incremental = match kind {
        Kind::Number => format!("params: {{ since: \"{{{{ cursor }}}}\" }}\nincremental: {{ cursor: changed, start: 0, lookback: {} }}", LATE_SECS * 2),
        Kind::Instant | Kind::NewestFirst => format!(
            "params: {{ since: \"{{{{ cursor }}}}\" }}\nincremental: {{ cursor: changed, start: 2020-01-01, lookback: 2h{} }}",
            if kind == Kind::NewestFirst { ", order: newest_first" } else { "" }
        ),
        Kind::Append => "write: append\nparams: { since: \"{{ cursor }}\" }\nincremental: { cursor: changed, start: 2020-01-01, lookback: 2h }".to_owned(),
        Kind::Windows => "params: { since: \"{{ slice.window.start }}\", until: \"{{ slice.window.end }}\" }\nincremental: { cursor: changed, start: 2020-01-01, lookback: 2h, window: 1 year }".to_owned(),
        Kind::PerSlice => "params: { since: \"{{ cursor }}\", region: \"{{ slice.region }}\" }\nslices: [{ list: { name: region, values: [eu, us] } }]\nincremental: { cursor: changed, start: 2020-01-01, lookback: 2h, per_slice: true }".to_owned(),
    };
    format!("{key}{paging}{incremental}")
}

/// The table as it is published, part by part as the manifest lists them.
fn table(place: &Workplace) -> Records {
    let text = |name: &str| std::fs::read_to_string(place.path(&format!("out/test/{name}"))).expect("a file");
    let parse = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
    let pointer = parse(text("_latest.json"));
    let manifest = parse(text(pointer["manifest"].as_str().expect("a path")));
    let mut found = Records::new();
    for part in manifest["tables"]["items"]["parts"].as_array().expect("parts") {
        let file = std::fs::File::open(place.path(&format!("out/test/{}", part["path"].as_str().expect("a path"))));
        let reader = SerializedFileReader::new(file.expect("a part")).expect("Parquet");
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            let mut record = Record { region: "", value: 0, changed: 0 };
            let mut id = 0;
            for (at, (name, _)) in row.get_column_iter().enumerate() {
                match name.as_str() {
                    "id" => id = row.get_long(at).expect("a number"),
                    "value" => record.value = row.get_long(at).expect("a number"),
                    "region" => record.region = if row.get_string(at).expect("a text") == "eu" { "eu" } else { "us" },
                    "changed" => {
                        let micros = row.get_timestamp_micros(at).map(|micros| micros / 1_000_000);
                        record.changed = row.get_long(at).or(micros).expect("a time");
                    }
                    other => panic!("an unknown column {other}"),
                }
            }
            assert!(found.insert(id, record).is_none(), "the row {id} is there twice");
        }
    }
    found
}

fn history(seed: u64) {
    let kind = KINDS[seed as usize % KINDS.len()];
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let source = Arc::new(Mutex::new(Source { kind, records: Records::new() }));
    let server = {
        let source = Arc::clone(&source);
        Server::start(move |request, _| source.lock().expect("a source").answer(request))
    };
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", &stream(kind)));
    let begin = (Utc::now() - TimeDelta::hours(10)).timestamp();
    let mut asked = Vec::new();
    for run in 0..RUNS {
        let now = begin + 3 * LATE_SECS * (run as i64) / 4;
        // The windows end at the real start of the run.
        let now = if kind == Kind::Windows { Utc::now().timestamp() - 1 } else { now };
        source.lock().expect("a source").change(&mut random, now);
        let before = server.asked().len();
        let done = place.haul(&["run", &file, "--json"]);
        assert_eq!(done.code, 0, "seed {seed} {kind:?} run {run}: {done:?}");
        asked.push(server.asked().len() - before);
        let expected = source.lock().expect("a source").records.clone();
        if expected.is_empty() {
            continue;
        }
        assert_eq!(table(&place), expected, "seed {seed} {kind:?} run {run}");
    }
}

#[test]
fn after_every_run_the_table_is_what_the_source_holds() {
    let next = Mutex::new(0..HISTORIES);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = next.lock().expect("seeds").next() else { return };
                    history(seed);
                }
            });
        }
    });
}

/// Runs a job three times while the source grows, and looks at what was asked and kept.
#[test]
fn only_what_is_new_is_read_and_only_files_with_changes_are_rewritten() {
    let records: Arc<Mutex<Vec<Value>>> = Arc::default();
    let server = {
        let records = Arc::clone(&records);
        Server::start(move |request, _| {
            let since: i64 = request.param("since").and_then(|text| text.parse().ok()).expect("a number");
            let all = records.lock().expect("records");
            let found: Vec<&Value> = all.iter().filter(|record| record["n"].as_i64() >= Some(since)).collect();
            ok(json!(found).to_string())
        })
    };
    let add = |range: std::ops::Range<i64>, word: &str| {
        let mut all = records.lock().expect("records");
        all.extend(range.map(|n| json!({ "id": n % 100, "n": n, "word": word })));
    };
    let place = Workplace::new();
    let stream = "params: { since: \"{{ cursor }}\" }\npaging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    let run = || place.haul(&["run", &file, "--json"]).expect_code(0).json();
    add(0..100, "old");
    let first = run();
    assert_eq!(
        (&first["tables"]["items"]["rows"], &first["tables"]["items"]["cursors"]["all"]["value"]),
        (&json!(100), &json!("99"))
    );
    // Nothing new but the boundary, which is read again.
    let again = run();
    let counts = &again["tables"]["items"]["merge"];
    assert_eq!(
        (&counts["read_rows"], &counts["updated"], &again["tables"]["items"]["rows"]),
        (&json!(1), &json!(1), &json!(100))
    );
    add(100..103, "new");
    let third = run();
    assert_eq!(third["tables"]["items"]["merge"]["updated"], 4);
    let table = place.path("out/test/items/current.parquet");
    let sql = format!(
        "select count(*), count(distinct id), count(*) filter (word = 'new') from read_parquet('{}')",
        table.display()
    );
    assert_eq!(read(&sql, None)["rows"][0], json!([100, 100, 3]));
    let asked: Vec<String> = server.asked().iter().map(|request| request.param("since").expect("a bound")).collect();
    assert_eq!(asked, ["0", "99", "99"]);

    // A backfill reads a range again and leaves the cursor alone.
    let backfill = place.haul(&["run", &file, "--from", "5", "--json"]).expect_code(0).json();
    assert_eq!(server.asked().last().and_then(|request| request.param("since")).as_deref(), Some("5"));
    assert_eq!(backfill["tables"]["items"]["cursors"]["all"]["value"], "102");
    assert_eq!(backfill["tables"]["items"]["rows"], 100);
    // A full read begins at the start and replaces the table.
    let full = place.haul(&["run", &file, "--full", "--json"]).expect_code(0).json();
    assert_eq!(server.asked().last().and_then(|request| request.param("since")).as_deref(), Some("0"));
    assert_eq!(full["tables"]["items"]["merge"]["former_rows"], 0);
}

#[test]
fn keys_and_cursors_that_are_missing_are_told() {
    let server = Server::start(|_, _| ok(r#"[{"id":1,"n":1},{"id":2,"n":2},{"id":null,"n":2}]"#));
    let place = Workplace::new();
    let job_of = |stream: &str| place.file("job.yaml", &job(&server.url, "", stream));
    let file = job_of("paging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }");
    place.haul(&["run", &file]).expect_code(1).expect_says(&["no value for `id`", "`key`"]);
    let file = job_of("paging: none\nkey: [nope]\nincremental: { cursor: n, start: 0 }");
    place.haul(&["run", &file]).expect_code(1).expect_says(&["no column `nope`"]);
    let server = Server::start(|_, _| ok(r#"[{"id":1,"n":1},{"id":2,"n":2},{"id":2,"n":2,"last":true},{"id":3}]"#));
    let job_of = |stream: &str| place.file("job.yaml", &job(&server.url, "", stream));
    let head = "paging: none\nkey: [id]\n";
    let file = job_of(&format!("{head}incremental: {{ cursor: m, start: 0 }}"));
    place.haul(&["run", &file]).expect_code(1).expect_says(&["none of its 4 records", "`m`"]);
    let file = job_of(&format!("{head}incremental: {{ cursor: n, start: 0, missing: fail }}"));
    place.haul(&["run", &file]).expect_code(1).expect_says(&["1 of 4 records", "missing: keep"]);
    // A key that comes twice in one read is there once, as it came last.
    let file = job_of(&format!("{head}incremental: {{ cursor: n, start: 0 }}"));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(
        (&report["tables"]["items"]["rows"], &report["tables"]["items"]["without_cursor"]),
        (&json!(3), &json!(1))
    );
    let table = place.path("out/test/items/current.parquet");
    let sql = format!("select count(*) from read_parquet('{}') where id = 2 and last", table.display());
    assert_eq!(read(&sql, None)["rows"][0], json!([1]));
}

#[test]
fn cursors_are_shown_set_and_reset_and_a_plan_asks_the_api_nothing() {
    let server = Server::start(|request, _| match request.path() {
        "/lines" => ok(r#"[{"line":1}]"#),
        _ => ok(r#"[{"id":1,"n":1},{"id":2,"n":7}]"#),
    });
    let place = Workplace::new();
    let stream = "params: { since: \"{{ cursor }}\" }\npaging: none\nkey: [id]\nincremental: { cursor: n, start: 0, lookback: 2 }";
    let lines = "  - { name: lines, path: /lines, params: { id: \"{{ item.id }}\" }, for_each: { stream: items, as: item }, paging: none, write: append }\ndestination:";
    let text = job(&server.url, "limits: { per_minute: 600, per_day: 1000 }\n", stream).replace("destination:", lines);
    let file = place.file("job.yaml", &text);
    let plan = place.haul(&["plan", &file, "--json"]).expect_code(0).json();
    assert_eq!((&plan["streams"][0]["slices"], &plan["streams"][1]["for_each"]), (&json!(1), &json!("items")));
    place.haul(&["state", "show", &file]).expect_code(0).expect_says(&["no stream has a cursor"]);
    place.haul(&["state", "set", &file, "items", "5"]).expect_code(2).expect_says(&["nothing is published"]);
    assert_eq!(server.asked().len(), 0, "a plan asked the API");

    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(server.asked().len(), 3);
    let plan = place.haul(&["plan", &file, "--json"]).expect_code(0).json();
    assert_eq!((&plan["requests_min"], &plan["requests_before"]), (&json!(3), &json!(3)), "{plan}");
    place.haul(&["plan", &file]).expect_code(0).expect_says(&["0.3 % of 1,000 a day", "at 600 a minute"]);
    assert_eq!(server.asked().len(), 3, "a plan asked the API");
    place.haul(&["state", "set", &file, "items", "soon"]).expect_code(2).expect_says(&["`soon` is no value"]);
    place.haul(&["state", "set", &file, "lines", "1"]).expect_code(2).expect_says(&["not incremental", "`items`"]);
    let set = place.haul(&["state", "set", &file, "items", "50", "--json"]).expect_code(0).json();
    assert_eq!(set["cursors"]["items"]["all"]["value"], "50");
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(server.asked()[3].param("since").as_deref(), Some("48"));
    place.haul(&["state", "reset", &file, "items"]).expect_code(0);
    place.haul(&["run", &file]).expect_code(0);
    assert!(server.asked().iter().skip(4).any(|request| request.param("since").as_deref() == Some("0")));
}

/// Every run adds a file; readers open all of them, so many small ones become one.
#[test]
fn many_small_files_become_one() {
    for write in ["append", "merge"] {
        let server = Server::start(|_, before| {
            let line = json!({ "n": before });
            ok(json!([{ "id": before, "at": format!("2024-01-01T00:{:02}:00Z", before % 60), "lines": [line] }])
                .to_string())
        });
        let place = Workplace::new();
        let stream = format!("key: [id]\nwrite: {write}\ntables: [{{ name: lines, from: lines }}]\n");
        let file = place.file("job.yaml", &job(&server.url, "", &stream));
        let mut most = 0;
        for run in 1..=70 {
            let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
            for table in ["items", "lines"] {
                assert_eq!(report["tables"][table]["rows"], run, "{write} {table}");
                most = most.max(report["tables"][table]["parts"].as_u64().expect("a number"));
            }
        }
        assert_eq!(most, 32, "{write}");
        let alias = place.path("out/test/items/current.parquet");
        let rows = read(&format!("select count(*), sum(id), count(distinct id) from '{}'", alias.display()), None);
        assert_eq!(rows["rows"], json!([[70, 69 * 35, 70]]), "{write}");
    }
}
