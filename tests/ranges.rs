//! What a manifest says beside the files: when each part was written, what its dates and times span, and how the rows of
//! its tables name each other.

#![allow(missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::rigs::{Rig, read};
use support::server::{Answer, Request, Server, ok, status};
use support::{Workplace, dataset, job};

fn manifest(place: &Workplace) -> Value {
    dataset::manifests(&place.path("out/test"), "_snapshots").pop().expect("a manifest").1
}

fn parts(place: &Workplace) -> Vec<Value> {
    manifest(place)["tables"]["items"]["parts"].as_array().expect("parts").clone()
}

/// A source whose records are changed between runs.
fn source(records: &Arc<Mutex<Value>>) -> Server {
    let records = Arc::clone(records);
    Server::start(move |_, _| ok(records.lock().expect("records").to_string()))
}

const FIRST: &str = r#"[
    {"n": 1, "at": "2024-02-01T10:00:00.123456Z", "day": "2024-03-01", "wall": "2024-01-01T00:00:00", "note": null, "none": null},
    {"n": 2, "at": "2024-01-31T23:30:00-02:00", "day": "2023-12-31", "wall": null, "note": "x", "none": null}]"#;

fn expected(parts: &[Value]) {
    let ranges = json!({
        "at": { "from": "2024-02-01T01:30:00.000000", "to": "2024-02-01T10:00:00.123456", "nulls": 0 },
        "day": { "from": "2023-12-31", "to": "2024-03-01", "nulls": 0 },
        "wall": { "from": "2024-01-01T00:00:00.000000", "to": "2024-01-01T00:00:00.000000", "nulls": 1 },
        "none": { "nulls": 2 },
    });
    assert_eq!(parts[0]["ranges"], ranges, "{parts:#?}");
}

#[test]
fn parts_of_every_format_tell_what_their_dates_span() {
    for more in ["", "format: csv", "profile: analytics", "format: csv\nprofile: analytics"] {
        let records = Arc::new(Mutex::new(serde_json::from_str(FIRST).expect("JSON")));
        let server = source(&records);
        let place = if more.contains("analytics") { Workplace::new().expects_analytics() } else { Workplace::new() };
        let text = job(&server.url, "", "paging: none\ncolumns: { none: instant }");
        let more = more.lines().map(|line| format!("\n  {line}")).collect::<String>();
        let file = place.file("job.yaml", &text.replace("url: out", &format!("url: out{more}")));
        let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
        let first = parts(&place);
        expected(&first);
        assert_eq!(first[0]["changed_at"], report["started_at"], "{more}");
        // Nothing new: nothing is published, and the part keeps its time.
        place.haul(&["run", &file, "--json"]).expect_code(0).expect_says(&["\"unchanged\""]);
        assert_eq!(parts(&place), first);
    }
}

#[test]
fn a_part_that_is_written_anew_at_sealing_or_by_a_merge_is_measured_anew() {
    // The first page has dates, the second one makes timestamps of them.
    let pages = Server::start(|request, _| match request.param("page").as_deref() {
        Some("1") => ok(r#"[{"n":1,"at":"2024-01-05"},{"n":2,"at":"2024-01-07"}]"#),
        Some("2") => ok(r#"[{"n":3,"at":"2024-01-06T12:00:00.5"}]"#),
        _ => ok("[]"),
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&pages.url, "", "paging: { page: { size: 2 } }"));
    place.haul(&["run", &file]).expect_code(0);
    let found: Vec<Value> = parts(&place).iter().map(|part| part["ranges"]["at"].clone()).collect();
    let joined = json!({ "from": "2024-01-05T00:00:00.000000", "to": "2024-01-07T00:00:00.000000", "nulls": 0 });
    assert_eq!(found, [joined]);

    let records = Arc::new(Mutex::new(json!([])));
    let server = source(&records);
    let place = Workplace::new();
    let stream = "paging: none\nkey: [n]\nwrite: merge\nincremental: { cursor: at, start: \"2020-01-01T00:00:00Z\" }";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for at in [["2024-01-01", "2024-01-02"], ["2024-02-01", "2024-02-02"], ["2024-03-01", "2024-03-02"]] {
        let first = seen.len() * 10;
        // The third run changes a row of the second and adds one.
        let ns = if seen.len() == 2 { [10, 20] } else { [first, first + 1] };
        let record = |(n, at): (usize, &str)| json!({ "n": n, "at": format!("{at}T00:00:00Z") });
        *records.lock().expect("records") = ns.into_iter().zip(at).map(record).collect();
        place.haul(&["run", &file]).expect_code(0);
        seen.push(parts(&place));
    }
    let last = &seen[2];
    assert_eq!(last[0], seen[0][0], "a part that is not touched stays as it is");
    let spans: Vec<(&str, &str)> = last
        .iter()
        .map(|part| &part["ranges"]["at"])
        .map(|range| (range["from"].as_str().expect("a from"), range["to"].as_str().expect("a to")))
        .collect();
    // The part of the second run is written anew without the row that the third one changed.
    let expect = ["2024-01-01 2024-01-02", "2024-02-02 2024-02-02", "2024-03-01 2024-03-02"];
    let days: Vec<String> = spans.iter().map(|(from, to)| format!("{} {}", &from[..10], &to[..10])).collect();
    assert_eq!(days, expect);
    let changed: Vec<&str> = last.iter().map(|part| part["changed_at"].as_str().expect("a time")).collect();
    assert!(changed[0] < changed[1] && changed[1] == changed[2], "{changed:?}");
    // No value lies outside of what its part says.
    for part in last {
        let path = place.path("out/test").join(part["path"].as_str().expect("a path"));
        let end = |of: &str| format!("strftime({of}(\"at\"), '%Y-%m-%dT%H:%M:%S.%f')");
        let ends = read(&format!("select {}, {} from '{}'", end("min"), end("max"), path.display()), None);
        let end = |at: usize| ends["rows"][0][at].as_str().expect("a time");
        let range = &part["ranges"]["at"];
        assert!(*range["from"].as_str().expect("a from") <= *end(0), "{part:#?} {ends}");
        assert!(*range["to"].as_str().expect("a to") >= *end(1), "{part:#?} {ends}");
    }
}

#[test]
fn a_part_from_before_ranges_is_taken_over_without_one() {
    let records = Arc::new(Mutex::new(json!([{ "n": 1, "at": "2024-01-01T00:00:00Z" }])));
    let server = source(&records);
    let place = Workplace::new();
    let stream = "paging: none\nkey: [n]\nwrite: append\nincremental: { cursor: n, start: 0 }";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    place.haul(&["run", &file]).expect_code(0);
    let (path, mut old) = dataset::manifests(&place.path("out/test"), "_snapshots").pop().expect("a manifest");
    let part = old["tables"]["items"]["parts"][0].as_object_mut().expect("a part");
    assert!(part.remove("ranges").is_some() && part.remove("changed_at").is_some());
    std::fs::write(path, old.to_string()).expect("written");
    *records.lock().expect("records") = json!([{ "n": 2, "at": "2024-01-02T00:00:00Z" }]);
    place.haul(&["run", &file]).expect_code(0);
    let parts = parts(&place);
    assert_eq!((parts.len(), &parts[0]["ranges"], &parts[0]["changed_at"]), (2, &Value::Null, &Value::Null));
    assert!(parts[1]["ranges"]["at"]["from"].is_string() && parts[1]["changed_at"].is_string());
}

fn shop(request: &Request) -> Answer {
    match request.path().trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["orders"] => ok(r#"[{"id":1,"shop":"a","total":2},{"id":2,"shop":"b","total":3}]"#),
        ["orders", id, "lines"] => ok(format!(r#"[{{"no":{id}0,"amount":1}},{{"no":{id}1,"amount":1}}]"#)),
        _ => status(404, "{}"),
    }
}

/// The references of the tables of a job whose orders and lines are read with this added to each.
fn references(orders: &str, lines: &str) -> Value {
    let server = Server::start(|request, _| shop(request));
    let place = Workplace::new();
    let text = format!(
        "job: test\nsource: {{ base_url: {} }}\nstreams:\n  - {{ name: orders, path: /orders, paging: none{orders} }}\n  \
         - {{ name: lines, path: '/orders/{{{{ o.id }}}}/lines', paging: none{lines} }}\ndestination: {{ url: out }}\n",
        server.url
    );
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    let tables = manifest(&place)["tables"].clone();
    assert_eq!(tables["orders"]["references"], Value::Null);
    let found = tables["lines"]["references"].clone();
    // A run of the one stream alone finds the other in the snapshot.
    place.haul(&["run", &file, "--stream", "lines"]).expect_code(0);
    assert_eq!(manifest(&place)["tables"]["lines"]["references"], found);
    found
}

#[test]
fn rows_read_for_each_row_of_another_table_name_it_by_its_key() {
    let found = |columns: Value| json!([{ "table": "orders", "columns": columns, "origin": "for_each" }]);
    let each = ", for_each: { stream: orders, as: o }";
    assert_eq!(references(", key: [id]", each), found(json!({ "o": "id" })));
    let both = ", for_each: { stream: orders, as: o, columns: { order_id: id, shop: shop } }";
    assert_eq!(references(", key: [shop, id]", both), found(json!({ "order_id": "id", "shop": "shop" })));
    // One column more than the key does no harm; renamed columns are found by what they hold.
    assert_eq!(references(", key: [id]", both), found(json!({ "order_id": "id" })));
    let renamed = format!("{both}, rename: {{ order_id: of_order }}");
    assert_eq!(references(", key: [number], rename: { id: number }", &renamed), found(json!({ "of_order": "number" })));
    // Without a key, with half of it, or with another type: no reference.
    assert_eq!(references("", both), Value::Null);
    let half = ", for_each: { stream: orders, as: o, columns: { order_id: id } }";
    assert_eq!(references(", key: [shop, id]", half), Value::Null);
    assert_eq!(references(", key: [id]", &format!("{both}, columns: {{ order_id: text }}")), Value::Null);
}

/// The tables of a job that reads an OData rig.
fn odata_tables(rig: &str, params: &str, streams: &[(&str, &str, &str)]) -> Value {
    let rig = Rig::start(rig, &[]);
    let place = Workplace::new();
    let stream =
        |(name, set, more): &(&str, &str, &str)| format!("  - {{ name: {name}, path: /{set}{params}{more} }}\n");
    let streams: String = streams.iter().map(stream).collect();
    let text = format!(
        "job: test\nsource: {{ base_url: {}, dialect: odata }}\nstreams:\n{streams}destination: {{ url: out }}\n",
        rig.url()
    );
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    manifest(&place)["tables"].clone()
}

fn association(table: &str, columns: Value) -> Value {
    json!([{ "table": table, "columns": columns, "origin": "association" }])
}

#[test]
fn an_odata_v4_service_tells_which_rows_name_which() {
    let key = ", key: [Id]";
    let tables = odata_tables(
        "odata4.mjs",
        "",
        &[("lines", "OrderLines", key), ("orders", "Orders", key), ("customers", "Customers", key)],
    );
    assert_eq!(tables["customers"]["references"], Value::Null);
    assert_eq!(tables["orders"]["references"], association("customers", json!({ "CustomerId": "Id" })));
    assert_eq!(tables["lines"]["references"], association("orders", json!({ "OrderId": "Id" })));
    // Renamed columns are followed; what is dropped, has no key here, or is read twice is not referred to.
    let tables = odata_tables(
        "odata4.mjs",
        "",
        &[
            ("lines", "OrderLines", ", key: [Id], drop: [OrderId]"),
            ("orders", "Orders", ", key: [nr], rename: { Id: nr, CustomerId: customer }"),
            ("more_lines", "OrderLines", ", rename: { OrderId: order }"),
            ("customers", "Customers", ""),
        ],
    );
    assert_eq!(tables["lines"]["references"], Value::Null);
    assert_eq!(tables["orders"]["references"], Value::Null);
    assert_eq!(tables["more_lines"]["references"], association("orders", json!({ "order": "nr" })));
}

#[test]
fn an_odata_v2_service_tells_which_rows_name_which() {
    let key = ", key: [Id]";
    let tables = odata_tables(
        "odata2.py",
        ", params: { $format: json }",
        &[("lines", "OrderLines", key), ("orders", "Orders", key), ("customers", "Customers", key)],
    );
    assert_eq!(tables["orders"]["references"], association("customers", json!({ "CustomerId": "Id" })));
    assert_eq!(tables["lines"]["references"], Value::Null);
}
