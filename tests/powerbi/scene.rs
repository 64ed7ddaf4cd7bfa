//! A dataset with tables of every kind, its queries, and what the rigs say of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Workplace;
use crate::support::rigs::{Rig, outcome_of, output_of, output_with, read};
use crate::support::server::{Server, ok};

/// Azure says at most 30 s until a policy holds.
const POLICY_WAIT: Duration = Duration::from_secs(30);

const STREAMS: &str = r#"streams:
  - name: orders
    path: /orders
    key: [id]
    paging: none
    columns: { total: "decimal(18,4)", exact: "decimal(38,10)", weight: float, ordered_on: date, note: text }
    tables:
      - { name: order_lines, from: lines, columns: { price: "decimal(18,4)" } }
  - name: customers
    path: /customers
    key: [id]
    paging: none
  - name: nothing
    path: /nothing
    key: [id]
    paging: none
    columns: { id: integer, name: text, seen_on: date }
  - name: events
    path: /events
    paging: none
    write: append
    params: { since: "{{ cursor }}" }
    incremental: { cursor: at, start: 2020-01-01 }
"#;

/// What makes a stream one of those that are read on.
const INCREMENTAL: &str = r#"    write: append
    params: { since: "{{ cursor }}" }
    incremental: { cursor: at, start: 2020-01-01 }
"#;

/// The records that the source has at the moment, by path.
type Records = Arc<Mutex<BTreeMap<String, Value>>>;

pub(crate) struct Scene {
    pub(crate) place: Workplace,
    pub(crate) file: String,
    pub(crate) records: Records,
    azurite: Option<Rig>,
    _source: Server,
}

pub(crate) fn orders() -> Value {
    json!([
        {
            "id": 1, "customer_id": 7, "total": "1234.5678", "exact": "0.1234567891", "weight": 1.5e-7, "ordered_on": "2024-01-31",
            "placed_at": "2024-01-31T10:00:00.123456", "changed_at": "2024-02-01T12:30:00Z", "is_paid": true, "note": "Größe \"XL\"; 🚚, ok",
            "lines": [{ "sku": "a", "count": 2, "price": "9.99" }, { "sku": "b", "count": 1, "price": "0.0001" }]
        },
        {
            "id": 9_007_199_254_740_993i64, "customer_id": 8, "total": "-0.0001", "exact": null, "weight": null, "ordered_on": null,
            "placed_at": null, "changed_at": "1999-12-31T23:59:59.999999Z", "is_paid": null, "note": "two\r\nlines", "lines": []
        },
        {
            "id": 3, "customer_id": null, "total": null, "exact": "12345678901234.5", "weight": -2.25, "ordered_on": "1900-01-01",
            "placed_at": "2999-12-31T00:00:00", "changed_at": null, "is_paid": false, "note": null, "lines": [{ "sku": "c", "count": 0, "price": null }]
        }
    ])
}

fn first_records() -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("/orders".to_owned(), orders()),
        ("/customers".to_owned(), json!([{ "id": 7, "name": "North" }, { "id": 8, "name": "South" }])),
        ("/nothing".to_owned(), json!([])),
        (
            "/events".to_owned(),
            json!([{ "no": 1, "at": "2024-01-05T00:00:00Z" }, { "no": 2, "at": "2024-01-20T08:00:00Z" }]),
        ),
    ])
}

impl Scene {
    fn start(place: Workplace, azurite: Option<Rig>, destination: &str) -> Self {
        let records: Records = Arc::new(Mutex::new(first_records()));
        let served = Arc::clone(&records);
        let source = Server::start(move |request, _| ok(served.lock().expect("records")[request.path()].to_string()));
        let streams = if destination.contains("csv") { STREAMS.replace(INCREMENTAL, "") } else { STREAMS.to_owned() };
        let text = format!("job: sales\nsource:\n  base_url: {}\n{streams}destination:\n{destination}", source.url);
        let file = place.file("jobs/sales.yaml", &text);
        let scene = Scene { place, file, records, azurite, _source: source };
        scene.run();
        scene
    }

    /// Published to a container of Azurite.
    pub(crate) fn in_azure() -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", azurite.url())
            .env("AZURE_ALLOW_HTTP", "true");
        Self::start(place, Some(azurite), "  url: az://reports/exports\n")
    }

    /// Published to a folder, with further lines of the destination.
    pub(crate) fn in_folder(destination: &str) -> Self {
        Self::start(Workplace::new(), None, &format!("  url: out\n{destination}"))
    }

    /// The same as CSV; such tables are whole ones always.
    pub(crate) fn as_csv(form: &str) -> Self {
        Self::in_folder(&format!("  format: csv\n  csv: {form}\n"))
    }

    pub(crate) fn azure_url(&self) -> &str {
        self.azurite.as_ref().expect("Azurite").url()
    }

    pub(crate) fn set(&self, path: &str, records: Value) {
        self.records.lock().expect("records").insert(path.to_owned(), records);
    }

    pub(crate) fn run(&self) {
        self.place.haul(&["run", &self.file]).expect_code(0);
    }

    /// One more part of `events`, of February.
    pub(crate) fn run_february(&self) {
        self.set(
            "/events",
            json!([{ "no": 3, "at": "2024-02-03T00:00:00Z" }, { "no": 4, "at": "2024-02-20T08:00:00Z" }]),
        );
        self.run();
    }

    /// A share that opens the files already.
    pub(crate) fn share(&self) -> Value {
        let made = self.place.haul(&["share", "create", &self.file, "--json"]).expect_code(0).json();
        wait_until("the share opens the files", || self.opens(&made));
        made
    }

    pub(crate) fn opens(&self, share: &Value) -> bool {
        let url = format!("{}/customers/current.parquet", text(share, "base_url"));
        let sql = format!("select count(*) from '{url}'");
        outcome_of("read.py", &["--sas", text(share, "query"), &sql]).status.success()
    }

    /// Queries that haul writes into a folder, by name.
    pub(crate) fn queries(&self, args: &[&str]) -> Value {
        let folder = self.place.path("queries");
        let _ = std::fs::remove_dir_all(&folder);
        self.place.haul(&[&["powerbi", "m", &self.file], args, &["--out", "queries"]].concat()).expect_code(0);
        queries_in(&folder)
    }

    /// The manifest that readers see, and where its parts are for a reader with this share.
    pub(crate) fn manifest(&self) -> Value {
        match &self.azurite {
            None => self.json("out/sales"),
            Some(azurite) => {
                let copy = self.place.path("copy");
                let _ = std::fs::remove_dir_all(&copy);
                let to = copy.to_string_lossy();
                output_of("blob.py", &["get", "--url", azurite.url(), "--container", "reports", "--to", &to]);
                self.json("copy/exports/sales")
            }
        }
    }

    fn json(&self, folder: &str) -> Value {
        let read = |name: &str| -> Value {
            let path = self.place.path(&format!("{folder}/{name}"));
            serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON")
        };
        let pointer = read("_latest.json");
        read(text(&pointer, "manifest"))
    }

    /// Rows of a table as DuckDB reads the parts that the manifest names, in their order.
    pub(crate) fn rows(&self, manifest: &Value, table: &str, share: Option<&Value>) -> Value {
        let base = match share {
            Some(share) => text(share, "base_url").to_owned(),
            None => self.place.path("out/sales").to_string_lossy().into_owned(),
        };
        let parts = manifest["tables"][table]["parts"].as_array().expect("parts");
        if parts.is_empty() {
            return json!([]);
        }
        let names: Vec<String> = parts.iter().map(|part| format!("'{base}/{}'", text(part, "path"))).collect();
        let sql = format!("select * from read_parquet([{}])", names.join(","));
        read(&sql, share.map(|share| text(share, "query")))["rows"].clone()
    }
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value:#}"))
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + POLICY_WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not within {POLICY_WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The queries of a folder: each file is one, of its name.
pub(crate) fn queries_in(folder: &Path) -> Value {
    let mut queries = serde_json::Map::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "pq") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            queries.insert(name, std::fs::read_to_string(&path).expect("a text").into());
        }
    }
    queries.into()
}

/// What the checkers of M say of each of these documents.
pub(crate) fn check(documents: &Value) -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(&output_with("m/check.mjs", &[], &documents.to_string())).expect("JSON")
}

#[track_caller]
pub(crate) fn expect_right(documents: &Value) {
    for (name, told) in check(documents) {
        assert!(told.is_empty(), "{name}: {told:#?}");
    }
}

/// Evaluates queries with these values of parameters.
pub(crate) fn evaluate(request: &Value) -> Value {
    serde_json::from_str(&output_with("m/run.mjs", &[], &request.to_string())).expect("JSON")
}

/// The rows of an evaluated table without the snapshot that stands in each, which is this one.
#[track_caller]
pub(crate) fn rows_of(result: &Value, snapshot: &str) -> Vec<Vec<Value>> {
    let columns = result["columns"].as_array().unwrap_or_else(|| panic!("no table: {result:#}"));
    assert_eq!(columns.last().map(|column| text(column, "name")), Some("haul_snapshot"));
    let row = |row: &Value| {
        let mut row = row.as_array().expect("a row").clone();
        assert_eq!(row.pop(), Some(snapshot.into()));
        row
    };
    result["rows"].as_array().expect("rows").iter().map(row).collect()
}

/// Whether M and DuckDB have the same value; numbers of M are doubles unless they are whole.
fn is_same(of_m: &Value, of_duckdb: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse::<f64>().ok(),
        _ => None,
    };
    let whole = |value: &Value| match value {
        Value::String(text) => text.parse::<i64>().ok(),
        value => value.as_i64(),
    };
    if of_m == of_duckdb {
        return true;
    }
    match (whole(of_m), whole(of_duckdb)) {
        (Some(a), Some(b)) => a == b,
        _ => number(of_m).is_some() && number(of_m) == number(of_duckdb),
    }
}

#[track_caller]
pub(crate) fn expect_same(of_m: &[Vec<Value>], of_duckdb: &Value) {
    let expected = of_duckdb.as_array().expect("rows");
    assert_eq!(of_m.len(), expected.len(), "{of_m:?} against {expected:?}");
    for (row, expect) in of_m.iter().zip(expected) {
        let expect = expect.as_array().expect("a row");
        let same = row.len() == expect.len() && row.iter().zip(expect).all(|(a, b)| is_same(a, b));
        assert!(same, "M has {row:?}, DuckDB {expect:?}");
    }
}
