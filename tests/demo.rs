//! The README's first command, twice: the second run goes on with the rotated token.

#![allow(missing_docs)]

mod support;

use serde_json::json;
use support::Workplace;
use support::rigs::read;

#[test]
fn the_demo_publishes_what_its_api_holds_and_goes_on_with_the_rotated_token() {
    let place = Workplace::new();
    let first = place.haul(&["demo", "--dir", "try", "--json"]).expect_code(0).json();
    let second = place.haul(&["demo", "--dir", "try", "--json"]).expect_code(0).json();
    assert_eq!((&first["outcome"], &second["outcome"]), (&json!("published"), &json!("unchanged")));
    for report in [&first, &second] {
        assert_eq!(report["demo"]["token_reuses"], 0);
        assert_eq!(report["demo"]["throttled"], 1);
        assert_eq!(report["demo"]["failed"], 1);
        for (table, rows) in report["demo"]["rows_of_api"].as_object().expect("counts") {
            assert_eq!(report["tables"][table]["rows"], *rows, "{table}");
        }
    }
    assert_eq!(second["source"]["refreshes"], 1, "the second process spends the stored refresh token");
    let out = place.path("try/out/demo");
    let sql = format!(
        "select (select count(*) from '{0}/customers/current.parquet'), \
         (select count(*) from '{0}/order_lines/current.parquet'), \
         (select count(*) from '{0}/orders/current.parquet' o join '{0}/customers/current.parquet' c on o.customer_id = c.id), \
         (select sum(total) from '{0}/orders/current.parquet') = (select sum(line_total) from '{0}/order_lines/current.parquet')",
        out.display()
    );
    assert_eq!(read(&sql, None)["rows"][0], json!([5_000, 150_000, 45_000, true]));
    let listed = place.haul(&["snapshots", "try/demo.yaml"]).expect_code(0);
    assert_eq!(listed.stdout.matches("0000000").count(), 1, "{listed:?}");
    let credentials = place.haul(&["credentials", "--state", "try/state", "--json"]).expect_code(0).json();
    assert_eq!(credentials[0]["state"], "idle");
}
