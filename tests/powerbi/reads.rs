//! What reports get: the queries evaluated against Azurite with a real signature, value for value what DuckDB reads.

use serde_json::{Value, json};

use super::scene::{Scene, evaluate, expect_same, orders, queries_in, rows_of, text};
use crate::support::rigs::output_of;

const TABLES: [&str; 5] = ["orders", "order_lines", "customers", "nothing", "events"];

/// What a person types into the parameters.
fn typed(share: &Value) -> Value {
    share["parameters"].clone()
}

#[test]
fn tables_hold_what_duckdb_reads() {
    let scene = Scene::in_azure();
    let share = scene.share();
    scene.run_february();
    let manifest = scene.manifest();
    let snapshot = text(&manifest, "snapshot");
    let queries = scene.queries(&[]);
    let seen = evaluate(&json!({ "queries": queries, "values": typed(&share), "evaluate": TABLES }));
    for table in TABLES {
        let result = &seen["results"][table];
        expect_same(&rows_of(result, snapshot), &scene.rows(&manifest, table, Some(&share)));
        let columns = manifest["tables"][table]["columns"].as_array().expect("columns");
        let of_m: Vec<&str> =
            result["columns"].as_array().expect("columns").iter().map(|one| text(one, "name")).collect();
        let expect: Vec<&str> = columns.iter().map(|one| text(one, "name")).chain(["haul_snapshot"]).collect();
        assert_eq!(of_m, expect, "{table}");
    }
    assert_eq!(seen["results"]["orders"]["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(seen["results"]["nothing"]["rows"], json!([]));
    assert_eq!(manifest["tables"]["events"]["parts"].as_array().map(Vec::len), Some(2), "{manifest:#}");
    let types: Vec<&str> =
        seen["results"]["orders"]["columns"].as_array().expect("columns").iter().map(|one| text(one, "type")).collect();
    for kind in ["Int64.Type", "Currency.Type", "number", "date", "datetime", "logical", "text"] {
        assert!(types.contains(&kind), "{kind} is not in {types:?}");
    }
    // Only the pointer is read past the caches, every request has the same fields, and nothing else is asked for.
    let requests = seen["requests"].as_array().expect("requests");
    for request in requests {
        assert_eq!(request["fresh"], text(request, "path").ends_with("/_latest.json"), "{request}");
        assert_eq!(request["query"], json!(["sv", "sr", "si", "sig"]), "{request}");
        assert_eq!(request["status"], 200, "{request}");
    }
    let parts: usize =
        TABLES.iter().map(|table| manifest["tables"][table]["parts"].as_array().map_or(0, Vec::len)).sum();
    // A pointer and a manifest for each table.
    assert_eq!(requests.len(), parts + 2 * TABLES.len(), "{requests:#?}");
}

#[test]
fn every_way_of_writing_the_queries_reads_the_same() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let snapshot = text(&scene.manifest(), "snapshot").to_owned();
    let expect = rows_of(
        &evaluate(&json!({ "queries": scene.queries(&[]), "values": typed(&share), "evaluate": ["orders"] }))["results"]
            ["orders"],
        &snapshot,
    );
    assert_eq!(expect.len(), 3);
    let alone = scene.queries(&["orders", "--self-contained", "--with-signature"]);
    let signed = scene.queries(&["--with-signature"]);
    scene.place.haul(&["powerbi", "dataflow", &scene.file, "--out", "flow", "--with-signature"]).expect_code(0);
    let flow = std::fs::read_to_string(scene.place.path("flow/mashup.pq")).expect("a text");
    let link = format!("{}?{}", text(&share, "base_url"), text(&share, "query"));
    let link = scene.place.file("link", &link);
    let linked = scene.queries(&["--address-file", &link, "--with-signature"]);
    for (name, request) in [
        ("alone", json!({ "queries": alone, "evaluate": ["orders"] })),
        ("signed", json!({ "queries": signed, "evaluate": ["orders"] })),
        ("dataflow", json!({ "document": flow, "evaluate": ["orders"] })),
        ("linked", json!({ "queries": linked, "evaluate": ["orders"] })),
    ] {
        assert_eq!(rows_of(&evaluate(&request)["results"]["orders"], &snapshot), expect, "{name}");
    }
}

#[test]
fn the_snapshot_table_says_what_was_read_and_how_the_last_run_went() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let manifest = scene.manifest();
    let request = json!({ "queries": scene.queries(&[]), "values": typed(&share), "evaluate": ["haul_snapshot"] });
    let of = |seen: &Value| -> serde_json::Map<String, Value> {
        let table = &seen["results"]["haul_snapshot"];
        let names = table["columns"].as_array().unwrap_or_else(|| panic!("no table: {seen:#}")).iter();
        let rows = table["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 1);
        names.map(|column| text(column, "name").to_owned()).zip(rows[0].as_array().expect("a row").clone()).collect()
    };
    let row = of(&evaluate(&request));
    assert_eq!(row["job"], "sales");
    assert_eq!(row["snapshot"], manifest["snapshot"]);
    let published = text(&manifest, "published_at");
    assert_eq!(row["published_at"], published[..19].replace('T', " "), "{published}");
    assert_eq!(row["last_outcome"], "published");
    assert_eq!(row["last_run"], row["run"]);
    // A run that fails publishes nothing, and is told of.
    scene.set("/orders", json!([{ "id": 1, "ordered_on": "never" }]));
    scene.place.haul(&["run", &scene.file]).expect_code(1);
    let row = of(&evaluate(&request));
    assert_eq!(row["snapshot"], manifest["snapshot"]);
    assert_ne!(row["last_run"], row["run"]);
    assert_eq!(row["last_outcome"], "failed");
}

/// The queries as Power BI refreshes a range: it sets the parameters.
fn with_range(queries: &Value, start: &str, end: &str) -> Value {
    let mut queries = queries.clone();
    for (name, at) in [("RangeStart", start), ("RangeEnd", end)] {
        assert!(queries[name].is_string(), "there is no parameter {name}");
        queries[name] = format!("#datetime({at}, 0, 0, 0) meta [IsParameterQuery=true, Type=\"DateTime\"]").into();
    }
    queries
}

#[test]
fn ranges_read_only_the_parts_that_may_hold_their_rows() {
    let scene = Scene::in_azure();
    let share = scene.share();
    scene.run_february();
    let manifest = scene.manifest();
    let queries = scene.queries(&["events", "--incremental", "events=at"]);
    let read = |start: &str, end: &str| -> (Vec<Value>, usize) {
        let queries = with_range(&queries, start, end);
        let seen = evaluate(&json!({ "queries": queries, "values": typed(&share), "evaluate": ["events"] }));
        let rows = rows_of(&seen["results"]["events"], text(&manifest, "snapshot"));
        let requests = seen["requests"].as_array().expect("requests").iter();
        let parts = requests.filter(|request| text(request, "path").ends_with(".parquet")).count();
        let columns = manifest["tables"]["events"]["columns"].as_array().expect("columns");
        let no = columns.iter().position(|column| column["name"] == "no").expect("the column");
        (rows.into_iter().map(|row| row[no].clone()).collect(), parts)
    };
    assert_eq!(read("2024, 1, 1", "2024, 2, 1"), (vec![1.into(), 2.into()], 1));
    assert_eq!(read("2024, 2, 1", "2024, 3, 1"), (vec![3.into(), 4.into()], 1));
    assert_eq!(read("2024, 1, 20", "2024, 2, 4"), (vec![2.into(), 3.into()], 2));
    assert_eq!(read("2024, 3, 1", "2024, 4, 1"), (vec![], 0));
    // The end is not in the range, the start is.
    assert_eq!(read("2024, 1, 5", "2024, 1, 6"), (vec![1.into()], 1));
    assert_eq!(read("2024, 1, 4", "2024, 1, 5"), (vec![], 0));
}

#[test]
fn the_polled_value_changes_with_the_files_of_the_range_alone() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let queries = scene.queries(&["events", "--incremental", "events=at"]);
    let polling = queries_in(&scene.place.path("queries/polling"));
    let polled = |start: &str, end: &str| -> Value {
        let mut queries = with_range(&queries, start, end);
        queries["polled"] = polling["events"].clone();
        evaluate(&json!({ "queries": queries, "values": typed(&share), "evaluate": ["polled"] }))["results"]["polled"]["value"].clone()
    };
    let january = polled("2024, 1, 1", "2024, 2, 1");
    let february = polled("2024, 2, 1", "2024, 3, 1");
    assert!(january.is_string() && february.is_string(), "{january} {february}");
    scene.run_february();
    assert_eq!(polled("2024, 1, 1", "2024, 2, 1"), january);
    assert_ne!(polled("2024, 2, 1", "2024, 3, 1"), february);
}

#[test]
fn a_column_that_is_gone_is_null_and_a_new_one_is_not_asked_for() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let queries = scene.queries(&[]);
    let mut records = orders();
    for record in records.as_array_mut().expect("records") {
        let record = record.as_object_mut().expect("a record");
        record.remove("customer_id");
        record.insert("channel".to_owned(), json!("web"));
    }
    scene.set("/customers", json!([{ "id": 7, "label": "North" }]));
    scene.set("/orders", records);
    scene.run();
    let manifest = scene.manifest();
    let names = |table: &str| -> Vec<String> {
        let columns = manifest["tables"][table]["columns"].as_array().expect("columns");
        columns.iter().map(|column| text(column, "name").to_owned()).collect()
    };
    assert!(names("orders").contains(&"channel".to_owned()) && names("customers").contains(&"label".to_owned()));
    let seen = evaluate(&json!({ "queries": queries, "values": typed(&share), "evaluate": ["orders", "customers"] }));
    let columns = seen["results"]["customers"]["columns"].as_array().expect("columns");
    let names: Vec<&str> = columns.iter().map(|column| text(column, "name")).collect();
    assert_eq!(names, ["id", "name", "haul_snapshot"]);
    assert_eq!(rows_of(&seen["results"]["customers"], text(&manifest, "snapshot")), [vec![json!(7), Value::Null]]);
    let orders = seen["results"]["orders"].to_string();
    assert!(!orders.contains("channel") && !orders.contains("web"), "{orders}");
}

#[test]
fn three_readers_read_the_same_through_the_signature() {
    let scene = Scene::in_azure();
    let share = scene.share();
    scene.run_february();
    let manifest = scene.manifest();
    let url = text(&share, "base_url");
    let through: Value =
        serde_json::from_str(&output_of("read_all.py", &["--sas", text(&share, "query"), url])).expect("JSON");
    let copied: Value = {
        let folder = scene.place.path("copy/exports/sales");
        serde_json::from_str(&output_of("read_all.py", &[&folder.to_string_lossy()])).expect("JSON")
    };
    assert_eq!(through, copied);
    for table in TABLES {
        assert_eq!(through[table]["rows"], manifest["tables"][table]["rows"], "{table}");
        let parts = manifest["tables"][table]["parts"].as_array().expect("parts");
        assert_eq!(through[table]["parts"], parts.len(), "{table}");
    }
}
