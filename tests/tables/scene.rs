//! What the tests of tables share: a server that tells many rows cheaply, and what a published job says of itself.

use serde_json::Value;

use crate::support::Workplace;
use crate::support::rigs::{output_of, read};
use crate::support::server::{Answer, Request, ok};

/// Rows of the tables that are large.
pub(crate) const ROWS: u64 = 1_000_000;
/// Rows of one of their pages.
pub(crate) const PAGE_ROWS: u64 = 5_000;

/// A page of [`ROWS`] rows, with a next link; `write` adds the object of a row.
pub(crate) fn page(request: &Request, write: impl Fn(u64, &mut String)) -> Answer {
    let from = request.param("from").map_or(0, |from| from.parse().expect("a number"));
    let until = (from + PAGE_ROWS).min(ROWS);
    let mut body = String::with_capacity(1024 * 1024);
    body.push_str("{\"rows\":[");
    for row in from..until {
        if row > from {
            body.push(',');
        }
        write(row, &mut body);
    }
    body.push(']');
    if until < ROWS {
        body.push_str(&format!(",\"next\":\"{}?from={until}\"", request.path()));
    }
    body.push('}');
    ok(body)
}

/// Keys of a stream that reads such pages.
pub(crate) const PAGED: &str = "records: rows\npaging: { next_url: next }\n";

/// The job `test` as it was published into a folder of the workplace.
pub(crate) struct Published<'a> {
    place: &'a Workplace,
    folder: String,
    manifest: Value,
}

impl<'a> Published<'a> {
    pub(crate) fn of(place: &'a Workplace, out: &str) -> Self {
        let folder = format!("{out}/test");
        let json = |name: &str| -> Value {
            let text = std::fs::read_to_string(place.path(&format!("{folder}/{name}"))).expect("a file");
            serde_json::from_str(&text).expect("JSON")
        };
        let manifest = json(json("_latest.json")["manifest"].as_str().expect("a path"));
        Published { place, folder, manifest }
    }

    pub(crate) fn table(&self, name: &str) -> &Value {
        &self.manifest["tables"][name]
    }

    /// Names of all tables.
    pub(crate) fn tables(&self) -> Vec<&str> {
        self.manifest["tables"].as_object().expect("tables").keys().map(String::as_str).collect()
    }

    /// `name type` of every column, in order.
    pub(crate) fn columns(&self, table: &str) -> Vec<String> {
        let columns = self.table(table)["columns"].as_array().expect("columns");
        columns.iter().map(|column| format!("{} {}", text(&column["name"]), text(&column["type"]))).collect()
    }

    pub(crate) fn parts(&self, table: &str) -> &[Value] {
        self.table(table)["parts"].as_array().expect("parts")
    }

    /// What DuckDB reads of the parts of a table: `{t}` stands for them.
    pub(crate) fn query(&self, table: &str, sql: &str) -> Value {
        let files: Vec<String> = self
            .parts(table)
            .iter()
            .map(|part| format!("'{}'", self.place.path(&self.folder).join(text(&part["path"])).display()))
            .collect();
        read(&sql.replace("{t}", &format!("read_parquet([{}])", files.join(", "))), None)
    }

    /// DuckDB, Arrow C++ and Polars find the same values in every table; gives rows, columns and parts of each.
    pub(crate) fn read_by_all(&self) -> Value {
        let folder = self.place.path(&self.folder).display().to_string();
        serde_json::from_str(&output_of("read_all.py", &[&folder])).expect("JSON")
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
