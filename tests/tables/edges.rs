//! Tables that lose something at an edge: a spelling, a date, or all of their rows.

use serde_json::json;

use super::scene::Published;
use crate::support::rigs::read;
use crate::support::server::{Server, ok};
use crate::support::{Workplace, job};

/// More than the sample and a few batches.
const MANY: usize = 60_000;

/// Serves the field `v` of many rows on one page.
fn serve(value: fn(usize) -> &'static str) -> Server {
    let rows: Vec<String> = (0..MANY).map(|id| format!("{{\"id\":{id},\"v\":\"{}\"}}", value(id))).collect();
    let body = format!("[{}]", rows.join(","));
    Server::start(move |_, _| ok(body.clone()))
}

#[test]
fn a_date_that_became_a_timestamp_and_then_text_has_one_spelling() {
    let server = serve(|id| match id {
        0..30_000 => "2024-01-31",
        30_000..50_000 => "2024-01-31T12:00:00",
        _ => "later",
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", "paging: none\n"));
    place.haul(&["run", &file]).expect_code(0);
    let answer = Published::of(&place, "out").query("items", "select count(distinct v) from {t} where id < 30000");
    assert_eq!(answer["rows"], json!([[1]]));
}

#[test]
fn a_date_that_power_bi_does_not_show_is_counted_and_stays_where_its_column_is_remembered_as_text() {
    let server = serve(|id| match id {
        7 => "0001-01-01",
        0..50_000 => "2024-01-31",
        _ => "later",
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", "paging: none\n"));
    for expect in [json!(null), json!("0001-01-01")] {
        let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
        let warnings = &report["tables"]["items"]["warnings"];
        let answer = Published::of(&place, "out").query("items", "select v from {t} where id = 7");
        assert_eq!(answer["rows"], json!([[expect]]));
        let counted = json!([{ "column": "v", "kind": "date_out_of_range", "count": 1 }]);
        assert_eq!(*warnings, if expect.is_null() { counted } else { json!(null) });
    }
}

#[test]
fn a_table_that_became_empty_is_empty_for_who_reads_the_alias() {
    let server = Server::start(|_, before| ok(if before % 2 == 0 { "[{\"id\":1,\"v\":1.5}]" } else { "[]" }));
    for format in ["parquet", "csv"] {
        let place = Workplace::new();
        let text = job(&server.url, "", "paging: none\n")
            .replace("  url: out\n", &format!("  url: out\n  format: {format}\n"))
            + "publish: { require: { items: { empty: allow } } }\n";
        let file = place.file("job.yaml", &text);
        place.haul(&["run", &file]).expect_code(0);
        place.haul(&["run", &file]).expect_code(0);
        let alias = place.path(&format!("out/test/items/current.{format}"));
        let answer = read(&format!("select count(*) from '{}'", alias.display()), None);
        assert_eq!(answer["rows"], json!([[0]]), "{format}");
    }
}

#[test]
fn an_empty_table_has_a_file_with_its_declared_columns() {
    let server = Server::start(|_, _| ok("[]"));
    let place = Workplace::new();
    let stream = "paging: none\ncolumns: { id: integer, v: decimal }\n";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    place.haul(&["run", &file]).expect_code(0);
    let published = Published::of(&place, "out");
    assert_eq!(published.parts("items").len(), 1);
    assert_eq!(published.query("items", "select count(*), count(id), count(v) from {t}")["rows"], json!([[0, 0, 0]]));
}
