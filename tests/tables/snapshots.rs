//! A type that changes between two runs of an incremental table: the parts of earlier snapshots are turned into it.

use serde_json::json;

use super::scene::Published;
use crate::support::server::{Server, ok};
use crate::support::{Workplace, job};

/// Rows that one run adds.
const ADDED: usize = 3;

/// Runs a table to which every run appends; `write` gives the fields of a row in a run.
fn check(write: fn(usize, usize) -> String, columns: &[&str], sql: &str, expected: serde_json::Value) {
    // Every run asks once.
    let server = Server::start(move |_, run| {
        let rows: Vec<String> = (run * ADDED..(run + 1) * ADDED)
            .map(|id| format!("{{\"id\":{id},\"changed\":{id},{}}}", write(run, id)))
            .collect();
        ok(format!("[{}]", rows.join(",")))
    });
    let place = Workplace::new();
    let stream = "paging: none\nincremental: { cursor: changed, start: 0 }\nparams: { since: \"{{ cursor }}\" }\nwrite: append\ncolumns: { changed: integer }\n";
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    for _ in 0..3 {
        place.haul(&["run", &file]).expect_code(0);
        Published::of(&place, "out").read_by_all();
    }
    let published = Published::of(&place, "out");
    assert_eq!(published.columns("items")[2..], *columns);
    assert_eq!(published.query("items", sql)["rows"], expected);
}

#[test]
fn earlier_parts_follow_the_type() {
    let write = |run: usize, id: usize| match run {
        0 => format!("\"amount\":{id},\"day\":\"2024-01-31\",\"owner\":{{\"name\":\"n\"}}"),
        1 => format!("\"amount\":{id}.25,\"day\":\"2024-01-31T12:00:00\",\"owner\":null"),
        _ => format!("\"amount\":{id}e300,\"day\":\"2024-02-29\",\"owner\":\"x\",\"new\":true"),
    };
    check(
        write,
        &["amount float", "day datetime", "owner_name text", "owner text", "new boolean"],
        "select count(*), count(distinct id), sum(amount) filter (id < 6), max(amount), max(day)::varchar, \
         count(owner_name), count(owner), count(new) from {t}",
        json!([[9, 9, 15.75, 8e300, "2024-02-29 00:00:00", 3, 3, 3]]),
    );
}
