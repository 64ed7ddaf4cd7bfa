//! The same records give the same bytes: whatever the size of the pages, the delays of the server, and how much is asked
//! for at once.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Published, text};
use crate::support::Workplace;
use crate::support::server::{Answer, Request, Server};

/// Records of one slice of `items`, of `events`, and of each of the parents' lists.
const ITEMS: u64 = 25_000;
const EVENTS: u64 = 24_000;
const PARENTS: u64 = 6;
const LINES: u64 = 700;
/// From here on some fields of a slice have other values.
const LATE: u64 = 22_500;

/// Noise that makes the columns too different to compress into one part.
fn noise(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn item(region: &str, row: u64) -> String {
    let is_late = region == "us" && row >= LATE;
    let noise = noise(row + region.len() as u64 * ITEMS);
    let amount = if is_late { format!("{}.{:06}", row, noise % 1_000_000) } else { row.to_string() };
    let day = if is_late { "later" } else { "2024-02-29" };
    let more = if is_late { format!(",\"more\":{{\"deep\":[{row}],\"flag\":true}}") } else { String::new() };
    format!(
        "{{\"id\":{row},\"amount\":{amount},\"day\":\"{day}\",\"owner\":{{\"name\":\"n{}\",\"at\":\"2024-01-31T12:00:{:02}Z\"}},\"tags\":[\"{noise:x}\"],\"none\":null,\"noise\":\"{noise:016x}{:016x}\"{more}}}",
        noise % 5000,
        row % 60,
        noise.rotate_left(17),
    )
}

fn event(row: u64) -> String {
    let value = if row == EVENTS - 1 { "\"n/a\"".to_owned() } else { format!("{}.25", row) };
    format!("{{\"row\":{row},\"value\":{value},\"text\":\"Grüße {} 👋\"}}", noise(row) % 97)
}

fn line(parent: u64, row: u64) -> String {
    let price = if parent == PARENTS - 1 { format!("{row}.5") } else { row.to_string() };
    format!("{{\"line\":{row},\"price\":{price}}}")
}

/// How the same records are told.
#[derive(Clone, Copy)]
struct Telling {
    page_rows: u64,
    in_flight: u32,
    /// A few milliseconds, up to this many, before each answer; 0 = none.
    delay_ms_max: u64,
}

fn list(range: std::ops::Range<u64>, record: impl Fn(u64) -> String) -> String {
    range.map(record).collect::<Vec<_>>().join(",")
}

fn answer(telling: Telling, request: &Request, before: usize) -> Answer {
    let number = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let size = telling.page_rows;
    let body = match request.path() {
        "/items" => {
            let (region, from) = (request.param("region").expect("a region"), number("offset"));
            let rows = list(from..(from + size).min(ITEMS), |row| item(&region, row));
            format!("{{\"total\":{ITEMS},\"rows\":[{rows}]}}")
        }
        "/events" => {
            let from = number("from");
            let until = (from + size).min(EVENTS);
            let next = if until < EVENTS { json!(format!("/events?from={until}")) } else { Value::Null };
            format!("{{\"rows\":[{}],\"next\":{next}}}", list(from..until, event))
        }
        "/parents" => format!("[{}]", list(0..PARENTS, |id| format!("{{\"id\":{id}}}"))),
        path => {
            let parent = path.split('/').nth(2).and_then(|id| id.parse().ok()).expect("a parent");
            let from = number("from");
            let until = (from + size).min(LINES);
            let next = if until < LINES { json!(format!("{path}?from={until}")) } else { Value::Null };
            format!("{{\"rows\":[{}],\"next\":{next}}}", list(from..until, |row| line(parent, row)))
        }
    };
    let wait = if telling.delay_ms_max == 0 { 0 } else { noise(before as u64) % (telling.delay_ms_max + 1) };
    Answer::Late { wait: Duration::from_millis(wait), body: body.into_bytes() }
}

fn job(url: &str, telling: Telling, format: &str) -> String {
    let Telling { page_rows, in_flight, .. } = telling;
    format!(
        "job: test
source: {{ base_url: \"{url}\", limits: {{ in_flight: {in_flight} }} }}
streams:
  - name: items
    path: /items
    params: {{ region: \"{{{{ slice.region }}}}\" }}
    slices: [{{ list: {{ name: region, values: [eu, us, apac], column: region }} }}]
    records: rows
    paging: {{ offset: {{ size: {page_rows}, total: total, parallel: {} }} }}
  - {{ name: events, path: /events, records: rows, paging: {{ next_url: next }} }}
  - {{ name: parents, path: /parents, paging: none, key: [id] }}
  - name: lines
    path: \"/parents/{{{{ parent.id }}}}/lines\"
    for_each: {{ stream: parents, as: parent }}
    records: rows
    paging: {{ next_url: next }}
destination: {{ url: {format}, format: {format}, part_mib: 1 }}
",
        in_flight > 1
    )
}

/// Every part of every table in order: its rows and the SHA-256 of the file as it lies there.
fn prints(place: &Workplace, format: &str) -> Value {
    let published = Published::of(place, format);
    let print = |part: &Value| {
        let file = std::fs::read(place.path(&format!("{format}/test/{}", text(&part["path"])))).expect("a part");
        let digest = ring::digest::digest(&ring::digest::SHA256, &file);
        let sha256: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(part["sha256"], sha256, "the manifest tells another checksum");
        json!([part["rows"], sha256])
    };
    let tables = published.tables();
    let prints = tables.into_iter().map(|name| {
        let parts: Vec<Value> = published.parts(name).iter().map(print).collect();
        (name.to_owned(), json!({ "columns": published.columns(name), "parts": parts }))
    });
    Value::Object(prints.collect())
}

const PLAIN: Telling = Telling { page_rows: 1000, in_flight: 1, delay_ms_max: 0 };

fn run(telling: Telling, format: &str) -> (Workplace, Value) {
    let server = Server::start(move |request, before| answer(telling, request, before));
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, telling, format));
    place.haul(&["run", &file]).expect_code(0);
    let prints = prints(&place, format);
    (place, prints)
}

#[track_caller]
fn check(format: &str, tellings: &[Telling]) {
    let (place, first) = run(PLAIN, format);
    assert!(first["items"]["parts"].as_array().expect("parts").len() >= 3, "one part shows too little: {first:#}");
    if format == "parquet" {
        let rows = Published::of(&place, format).read_by_all();
        let rows = |name: &str| rows[name]["rows"].clone();
        assert_eq!([rows("items"), rows("events"), rows("lines")], [3 * ITEMS, EVENTS, PARENTS * LINES]);
    }
    for telling in tellings {
        let (_, again) = run(*telling, format);
        let Telling { page_rows, in_flight, delay_ms_max } = telling;
        assert_eq!(again, first, "{page_rows} records a page, {in_flight} at once, up to {delay_ms_max} ms late");
    }
}

#[test]
fn parquet_is_the_same_to_the_byte() {
    check(
        "parquet",
        &[
            Telling { page_rows: 7, in_flight: 8, delay_ms_max: 0 },
            Telling { page_rows: 60, in_flight: 8, delay_ms_max: 6 },
            Telling { page_rows: 1000, in_flight: 8, delay_ms_max: 40 },
            Telling { page_rows: 1_000_000, in_flight: 1, delay_ms_max: 0 },
            Telling { page_rows: 1_000_000, in_flight: 8, delay_ms_max: 300 },
        ],
    );
}

#[test]
fn csv_is_the_same_to_the_byte() {
    check(
        "csv",
        &[
            Telling { page_rows: 60, in_flight: 8, delay_ms_max: 0 },
            Telling { page_rows: 1000, in_flight: 8, delay_ms_max: 40 },
            Telling { page_rows: 1_000_000, in_flight: 1, delay_ms_max: 0 },
        ],
    );
}
