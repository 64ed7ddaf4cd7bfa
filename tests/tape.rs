//! A run kept on a tape and run again from it: the same rows, nothing sent, no secret kept.

#![allow(missing_docs)]

mod support;

use serde_json::{Value, json};
use support::rigs::read;
use support::server::{Answer, Request, Server, ok, status};
use support::{Workplace, job};

const STREAMS: &str = "  - { name: links, path: /links, records: data, paging: { next_url: next } }
  - { name: offset, path: /offset, records: data, paging: { offset: { size: 10, total: total, parallel: true } } }
  - { name: search, path: /search, body: { json: { from: \"{{ run.started_at }}\" } }, paging: none }
destination:";

fn script(request: &Request, before: usize) -> Answer {
    let number = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let rows = |from: u64| -> Value { (from..(from + 10).min(25)).map(|id| json!({ "id": id })).collect() };
    match request.path() {
        _ if before == 0 => status(429, "{}").with("retry-after", "1"),
        "/links" => {
            let page = number("p");
            let next = if page < 2 { json!(format!("/links?p={}", page + 1)) } else { Value::Null };
            // An API that tells the caller its own token.
            let token = request.header("authorization").unwrap_or_default();
            ok(json!({ "data": rows(page * 10), "next": next, "you": token }).to_string())
                .with("set-cookie", "sid=canary-cookie")
        }
        "/offset" => ok(json!({ "data": rows(number("offset")), "total": 25 }).to_string()),
        _ => ok(json!([{ "body": request.body }]).to_string()),
    }
}

fn sums(place: &Workplace, folder: &str) -> Value {
    let file = |table: &str| place.path(&format!("{folder}/test/{table}/current.parquet")).display().to_string();
    let sql = format!(
        "select (select sum(id) from read_parquet('{}')), (select sum(id) from read_parquet('{}')), (select count(*) from read_parquet('{}'))",
        file("links"),
        file("offset"),
        file("search"),
    );
    read(&sql, None)["rows"][0].clone()
}

#[test]
fn a_recorded_run_is_run_again_offline() {
    let server = Server::start(script);
    let place = Workplace::new().env("TOKEN", "canary-token-on-tape");
    let text = job(&server.url, "auth: { bearer: { token: \"${TOKEN}\" } }", "")
        .replace("  - name: items\n    path: /items\ndestination:", STREAMS);
    let file = place.file("job.yaml", &text);
    place
        .haul(&["record", &file, "--to", "run.har"])
        .expect_code(0)
        .expect_says(&["8 answers kept", "nothing was published"]);
    assert!(!place.path("out").exists(), "a recording published something");
    let asked = server.asked().len();

    // Elsewhere, without the secret.
    let other = Workplace::new();
    let file = other.file("job.yaml", &text);
    let tape = place.path("run.har").display().to_string();
    let done = other.haul(&["replay", &file, "--from", &tape, "--to", "again", "--json"]).expect_code(0);
    assert_eq!(server.asked().len(), asked, "a replay sent something");
    assert_eq!(done.json()["tables"]["links"]["rows"], 25);
    assert!(!done.stderr.contains("not asked for"), "{done:?}");
    assert_eq!(sums(&other, "again"), json!([300, 300, 1]));

    // Any HTTP Archive reader reads it: it is JSON of that shape.
    let archive: Value = serde_json::from_slice(&std::fs::read(place.path("run.har")).expect("a tape")).expect("JSON");
    assert_eq!(archive["log"]["version"], "1.2");
    let statuses: Vec<u64> = archive["log"]["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["response"]["status"].as_u64().expect("a status"))
        .collect();
    assert_eq!((statuses.len(), statuses.iter().filter(|status| **status == 429).count()), (8, 1));

    // A job that asks for something else says what is missing, and what is there.
    let changed = other.file("changed.yaml", &text.replace("size: 10", "size: 20"));
    other
        .haul(&["replay", &changed, "--from", &tape, "--to", "changed"])
        .expect_code(1)
        .expect_says(&["the tape holds no (further) answer for GET /offset?limit=20&offset=0", "limit=10&offset=0"]);
    let one = other.haul(&["replay", &file, "--from", &tape, "--stream", "links", "--to", "one"]).expect_code(0);
    one.expect_says(&["were not asked for"]);
    let cut = std::fs::read(place.path("run.har")).expect("a tape");
    std::fs::write(other.path("cut.har"), &cut[..cut.len() / 2]).expect("a file");
    other.haul(&["replay", &file, "--from", "cut.har"]).expect_code(1).expect_says(&["no whole tape"]);
}

#[test]
fn a_key_in_the_query_stays_off_the_tape() {
    let server = Server::start(|request, _| {
        let page: u64 = request.param("p").and_then(|text| text.parse().ok()).unwrap_or(0);
        // Its next links bring the key along.
        let next = if page < 2 { json!(format!("/items?p={}&key=canary-key-in-query", page + 1)) } else { Value::Null };
        ok(json!({ "data": [{ "id": page }], "next": next }).to_string())
    });
    let place = Workplace::new().env("KEY", "canary-key-in-query");
    let source = "auth: { key: { value: \"${KEY}\", param: key } }";
    let file = place.file("job.yaml", &job(&server.url, source, "records: data\npaging: { next_url: next }"));
    place.haul(&["record", &file, "--to", "run.har"]).expect_code(0);
    let tape = std::fs::read_to_string(place.path("run.har")).expect("a tape");
    let archive: Value = serde_json::from_str(&tape).expect("JSON");
    for entry in archive["log"]["entries"].as_array().expect("entries") {
        assert!(!entry["request"].to_string().contains("canary"), "{entry}");
    }
    place.haul(&["replay", &file, "--from", "run.har"]).expect_code(0);
}

#[test]
fn a_tape_can_be_written_by_hand() {
    let place = Workplace::new();
    let text = job("https://api.example.com/v1", "", "records: data\npaging: { next_url: next }");
    let file = place.file("job.yaml", &text);
    let entry = |url: &str, text: Value| json!({ "request": { "method": "GET", "url": url }, "response": { "status": 200, "content": { "text": text.to_string() } } });
    let tape = json!({ "log": { "entries": [
        entry("https://api.example.com/v1/items", json!({ "data": [{ "id": 1 }], "next": "?p=2" })),
        entry("https://api.example.com/v1/items?p=2", json!({ "data": [{ "id": 2 }], "next": null })),
    ] } });
    place.file("hand.har", &tape.to_string());
    let report = place.haul(&["replay", &file, "--from", "hand.har", "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["items"]["rows"], 2);
}

#[test]
fn a_key_in_the_body_arrives_and_stays_off_the_tape() {
    let server = Server::start(|request, _| ok(json!([{ "body": request.body.len() }]).to_string()));
    let place = Workplace::new().env("KEY", "canary-key-in-body");
    let stream = "body: { json: { what: all } }\npaging: none";
    let file =
        place.file("job.yaml", &job(&server.url, "auth: { key: { value: \"${KEY}\", body: login.key } }", stream));
    place.haul(&["record", &file, "--to", "run.har"]).expect_code(0);
    let sent: Value = serde_json::from_str(&server.asked()[0].body).expect("JSON");
    assert_eq!(sent, json!({ "what": "all", "login": { "key": "canary-key-in-body" } }));
    place.haul(&["replay", &file, "--from", "run.har"]).expect_code(0);
    assert_eq!(server.asked().len(), 1);
}
