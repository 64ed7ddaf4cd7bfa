//! Tables at an edge: without any row.

use serde_json::json;

use super::scene::Published;
use crate::support::rigs::read;
use crate::support::server::{Server, ok};
use crate::support::{Workplace, job};

#[test]
fn a_table_that_became_empty_is_empty_for_who_reads_the_alias() {
    let server = Server::start(|_, before| ok(if before % 2 == 0 { "[{\"id\":1,\"v\":1.5}]" } else { "[]" }));
    for format in ["parquet", "csv"] {
        let place = Workplace::new();
        let text = job(&server.url, "", "paging: none\n")
            .replace("  url: out\n", &format!("  url: out\n  format: {format}\n"));
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
