//! Random tables of JSON records, read by every route that haul has, against a slow reference in Python that reads our
//! files with Arrow C++: types, values, order of columns, counted warnings, and refusals with their place.
//!
//! `HAUL_PROPERTY_TIMES=20` makes twenty times as many tables, `HAUL_PROPERTY_SEED` others.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use support::Workplace;
use support::rigs::output_of;
use support::server::{Answer, Request, Server, ok, status};

/// Tables of one round, and how many more have more rows than the sample.
const TABLES: usize = 48;
const TALL: usize = 3;
/// More than what a document may have in memory.
const LARGE_BYTES: usize = 17 * 1024 * 1024;
/// So many tables for one that also comes as a document of that size.
const LARGE_EVERY: usize = 8;

/// One way from an answer to a file. A new one is a line in [`ROUTES`] and what it changes in the job and the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Pages whose records stand at a path.
    Pages,
    /// Pages that are lists; the links are headers.
    Found,
    Odata,
    /// One document that goes through a file.
    Large,
    Lines,
    Csv,
    Declared,
    /// A filter and a computed column, which read every record a second time.
    Computed,
    /// A second run, which remembers the types of the first.
    Again,
    /// For readers that know lists and have no limits of values.
    Analytics,
}

const ROUTES: [Route; 10] = [
    Route::Pages,
    Route::Found,
    Route::Odata,
    Route::Large,
    Route::Lines,
    Route::Csv,
    Route::Declared,
    Route::Computed,
    Route::Again,
    Route::Analytics,
];

struct Table {
    name: String,
    records: Vec<Vec<u8>>,
    page_rows: usize,
    declared: Value,
}

impl Route {
    /// What the reference has to know.
    fn options(self) -> Value {
        match self {
            Route::Pages | Route::Found => json!({}),
            Route::Odata => json!({ "odata": true }),
            Route::Large => json!({ "odata": true, "one_page": true }),
            Route::Lines => json!({ "one_page": true }),
            Route::Csv => json!({ "csv": true }),
            Route::Declared => json!({ "declared": true }),
            Route::Computed => json!({ "added": "added" }),
            Route::Again => json!({ "again": true }),
            Route::Analytics => json!({ "analytics": true }),
        }
    }

    fn takes(self, at: usize, table: &Table) -> bool {
        self != Route::Large || (at.is_multiple_of(LARGE_EVERY) && !table.records.is_empty())
    }

    /// The job, with all tables as its streams.
    fn job(self, url: &str, tables: &[Table]) -> String {
        let dialect =
            if matches!(self, Route::Odata | Route::Large) { "\n  dialect: odata\n  metadata: false" } else { "" };
        let mut job = format!("job: test\nsource:\n  base_url: {url}{dialect}\nstreams:\n");
        for (_, table) in tables.iter().enumerate().filter(|(at, table)| self.takes(*at, table)) {
            let reading = match self {
                Route::Pages | Route::Csv | Route::Declared | Route::Computed | Route::Again | Route::Analytics => {
                    "paging: { next_url: next }, records: data"
                }
                Route::Found => "paging: link_header",
                Route::Odata => "paging: odata",
                Route::Large => "paging: none, records: data.items",
                Route::Lines => "paging: none, format: json_lines",
            };
            let columns = if self == Route::Declared { table.declared.to_string() } else { "{}".to_owned() };
            let added = if self == Route::Computed {
                r#", filter: "record is mapping", add: { added: "{{ record.no_such_field or 'x' }}" }"#
            } else {
                ""
            };
            let name = &table.name;
            writeln!(job, "  - {{ name: {name}, path: /{name}, {reading}, columns: {columns}{added} }}")
                .expect("a string");
        }
        let format = if self == Route::Csv { "csv" } else { "parquet" };
        let profile = if self == Route::Analytics { "analytics" } else { "powerbi" };
        job + &format!(
            "destination: {{ url: out, format: {format}, profile: {profile} }}\npublish: {{ tables: independent }}\n"
        )
    }

    /// One answer of the server.
    fn answer(self, url: &str, table: &Table, page: usize) -> Answer {
        let chunk = table.records.chunks(table.page_rows).nth(page).unwrap_or_default();
        let has_next = (page + 1) * table.page_rows < table.records.len();
        let next = format!("{url}/{}?page={}", table.name, page + 1);
        match self {
            Route::Pages | Route::Csv | Route::Declared | Route::Computed | Route::Again | Route::Analytics => {
                let next = if has_next { json!(next) } else { Value::Null };
                ok(join(format!("{{\"next\": {next}, \"data\" : [").as_bytes(), chunk, page, b"] }\r\n"))
            }
            Route::Found => {
                let answer = ok(join(b"\xef\xbb\xbf [", chunk, page, b"]"));
                if has_next { answer.with("link", &format!("<{next}>; rel=\"next\"")) } else { answer }
            }
            Route::Odata => {
                let chunk: Vec<Vec<u8>> = chunk.iter().map(|record| with_etag(record)).collect();
                let next = if has_next { format!(",\"@odata.nextLink\":\"{next}\"") } else { String::new() };
                let end = format!("]{next}}}");
                ok(join(b"{\"@odata.context\":\"$metadata#T\",\"value\":[", &chunk, page, end.as_bytes()))
            }
            Route::Large => ok(large(&table.records)),
            Route::Lines => {
                let lines = table.records.iter().map(|record| without_breaks(record));
                ok(lines.collect::<Vec<_>>().join(&b"\n"[..])).with("content-type", "application/x-ndjson")
            }
        }
    }
}

/// Blanks before the first record tell pages apart whose records are the same.
fn join(start: &[u8], records: &[Vec<u8>], page: usize, end: &[u8]) -> Vec<u8> {
    [start, &b" ".repeat(page), &records.join(&b","[..]), end].concat()
}

fn with_etag(record: &[u8]) -> Vec<u8> {
    let Some(rest) = record.strip_prefix(b"{") else { return record.to_vec() };
    let is_empty = rest.trim_ascii_start().starts_with(b"}");
    let noise: &[u8] = br#"{"@odata.etag":"W/\"1\"","__metadata":{"uri":"u","uri":2}"#;
    [noise, if is_empty { b"" } else { b"," }, rest].concat()
}

/// A document that is too large for memory, by a member of its records that is dropped.
fn large(records: &[Vec<u8>]) -> Vec<u8> {
    let text = "x".repeat(LARGE_BYTES / records.len() + 1);
    let mut body = b"{\"data\":{\"more\":false,\"items\":[".to_vec();
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            body.extend_from_slice(b" ,\n");
        }
        match record.strip_prefix(b"{") {
            Some(rest) if !rest.trim_ascii_start().starts_with(b"}") => {
                body.extend([format!("{{ \"__metadata\":\"{text}\",").as_bytes(), rest].concat());
            }
            Some(_) => body.extend(format!("{{\"__metadata\" :\"{text}\"}}").into_bytes()),
            None => body.extend_from_slice(record),
        }
    }
    body.extend_from_slice(b"]}}");
    body
}

fn without_breaks(record: &[u8]) -> Vec<u8> {
    record.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

fn tables_in(folder: &Path) -> Vec<Table> {
    let index: Value =
        serde_json::from_slice(&std::fs::read(folder.join("tables.json")).expect("a file")).expect("JSON");
    let table = |entry: &Value| {
        let name = entry["name"].as_str().expect("a name").to_owned();
        let content = std::fs::read(folder.join(format!("{name}.records"))).expect("a file");
        let records: Vec<Vec<u8>> = content.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        let records = if entry["rows"] == 0 { Vec::new() } else { records };
        Table {
            name,
            records,
            page_rows: entry["page_rows"].as_u64().expect("a number") as usize,
            declared: entry["declared"].clone(),
        }
    };
    index.as_array().expect("tables").iter().map(table).collect()
}

/// Reads all tables by one route; gives the path of the file that tells the reference of it.
fn run(route: Route, place: &Workplace, tables: &Arc<Vec<Table>>) -> String {
    let of_server = Arc::clone(tables);
    let server = Server::start(move |request: &Request, _| {
        let by_name: BTreeMap<&str, &Table> = of_server.iter().map(|table| (table.name.as_str(), table)).collect();
        let Some(table) = by_name.get(&request.path()[1..]) else { return status(404, "{}") };
        let page = request.param("page").map_or(0, |page| page.parse().expect("a page"));
        route.answer(&format!("http://{}", request.header("host").expect("a host")), table, page)
    });
    let folder = format!("{route:?}");
    std::fs::create_dir_all(place.path(&folder)).expect("a folder");
    let file = place.file(&format!("{folder}/job.yaml"), &route.job(&server.url, tables));
    let state = place.path(&format!("{folder}/state"));
    let mut report = String::new();
    for _ in 0..if route == Route::Again { 2 } else { 1 } {
        let mut command = place.command(&["run", &file, "--json", "--state", &state.to_string_lossy()]);
        let output = command.current_dir(place.path(&folder)).output().expect("haul starts");
        report = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(report.starts_with('{'), "{route:?}: {report}{}", String::from_utf8_lossy(&output.stderr));
    }
    let out = place.path(&format!("{folder}/out/test"));
    let told = json!({ "path": folder, "out": out, "report": report, "options": route.options() });
    place.file(&format!("{folder}/run.json"), &told.to_string())
}

#[test]
fn every_route_gives_the_values_of_a_slow_reference() {
    let setting =
        |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let times = setting("HAUL_PROPERTY_TIMES", 1);
    for round in 0..times {
        check(setting("HAUL_PROPERTY_SEED", 1) + round);
    }
}

fn check(seed: usize) {
    let place = Workplace::new().expects_analytics();
    let folder = place.path("records");
    std::fs::create_dir_all(&folder).expect("a folder");
    let folder_text = folder.to_string_lossy().into_owned();
    let numbers = [seed, TABLES, TALL].map(|number| number.to_string());
    output_of("records.py", &[&folder_text, "--seed", &numbers[0], "--tables", &numbers[1], "--tall", &numbers[2]]);
    let tables = Arc::new(tables_in(&folder));
    let mut args = vec![folder_text];
    // Side by side: pages that cannot be read are asked for again, after a wait.
    std::thread::scope(|scope| {
        let runs = ROUTES.map(|route| {
            scope.spawn({
                let (place, tables) = (&place, &tables);
                move || run(route, place, tables)
            })
        });
        args.extend(runs.into_iter().map(|run| run.join().expect("a run")));
    });
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let told: Value = serde_json::from_str(&output_of("compare.py", &args)).expect("JSON");
    println!("seed {seed}: {}", told["counts"]);
    assert_eq!(told["wrong"], 0, "seed {seed}: {told:#}");
    for route in ROUTES {
        let counts = &told["counts"][format!("{route:?}")];
        // A route that compares nothing would agree with everything.
        assert!(counts["tables"].as_u64() > Some(0), "{route:?} of seed {seed}: {counts}");
    }
}

#[test]
fn a_record_of_a_large_document_is_named_by_its_place() {
    let server = Server::start(|_, _| {
        let long = "x".repeat(LARGE_BYTES);
        ok(format!("[{{\"a\":\"{long}\"}},{{\"a\":1}},{{\"a\":1,\"a\":2}}]"))
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &support::job(&server.url, "", "paging: none"));
    let done = place.haul(&["run", &file]).expect_code(1);
    done.expect_says(&["record 3 of page 1 has the member `a` twice"]);
}
