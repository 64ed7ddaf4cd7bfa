//! The profile of Power BI: the footer test sees what it is there to see, because files of another writer, left in a
//! workplace, fail the test; and long texts keep to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use super::scene::Published;
use crate::support::rigs::output_of;
use crate::support::server::{Server, ok};
use crate::support::{Workplace, footer, job};

fn foreign() -> Workplace {
    let place = Workplace::new();
    output_of("foreign.py", &[&place.path("").display().to_string()]);
    place
}

#[test]
fn files_of_another_writer_break_the_profile_in_every_way() {
    let place = foreign();
    let expected: [(&str, &[&str]); 5] = [
        (
            "defaults",
            &[
                "the format version is 2, not 1",
                "it was created by",
                "the footer has metadata `ARROW:schema`",
                "row group 0 has 200000 rows",
            ],
        ),
        ("pages", &["`id` has a data page of version 2", "`id` is compressed by ZSTD"]),
        ("delta", &["`id` has a page of DELTA_BINARY_PACKED"]),
        ("large", &["`id` has a page of 1600"]),
        (
            "kinds",
            &[
                "`small` is INT32",
                "`single` is FLOAT",
                "`bytes` is BYTE_ARRAY None",
                "`moment` is INT64 Some(Timestamp",
                "`nanos` is INT64 Some(Timestamp",
                "`wide` is FIXED_LEN_BYTE_ARRAY Some(Decimal",
                "`object` is nested",
                "`list` is nested",
                "`first name` is no name",
                "`name` stands twice but for case",
                "`required` is REQUIRED, not optional",
            ],
        ),
    ];
    for (file, texts) in expected {
        let file = place.path(&format!("{file}.parquet"));
        let breaches = footer::breaches(&file);
        for text in texts {
            assert!(breaches.iter().any(|breach| breach.contains(text)), "`{text}` is not among {breaches:#?}");
        }
        place.is_own(&file);
    }
}

#[test]
fn a_workplace_with_such_a_file_fails_its_test() {
    let place = foreign();
    let message = catch_unwind(AssertUnwindSafe(|| drop(place))).expect_err("nobody looked");
    let message = message.downcast_ref::<String>().expect("a text");
    assert!(message.contains("defaults.parquet: the format version is 2, not 1"), "{message}");
}

/// A file that ends early is no Parquet, whatever its name says.
#[test]
fn a_cut_file_is_a_breach_and_another_profile_is_not_measured_by_this_one() {
    let place = Workplace::new();
    std::fs::write(place.path("cut.parquet"), b"PAR1\x15\x04").expect("a file");
    let breaches = footer::breaches(&place.path("cut.parquet"));
    assert!(breaches[0].contains("it cannot be opened"), "{breaches:?}");
    drop(place.expects_analytics());
}

/// Texts as long as Power BI keeps, and longer: pages of one MiB hold a few of them.
#[test]
fn long_texts_keep_to_the_profile_and_are_cut_with_a_count() {
    let server = Server::start(|_, _| {
        let row = |id: usize| {
            let one = if id.is_multiple_of(4) { "é" } else { "x" };
            let chars = if id.is_multiple_of(100) { 40_000 } else { 31_990 };
            format!("{{\"id\":{id},\"text\":\"{id:06}{}\"}}", one.repeat(chars))
        };
        ok(format!("[{}]", (0..300).map(row).collect::<Vec<_>>().join(",")))
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", "paging: none\n"));
    place.haul(&["run", &file]).expect_code(0).expect_says(&["column `text`: 3 values cut to 32,000 characters"]);
    let published = Published::of(&place, "out");
    let lengths =
        published.query("items", "select length(text), count(*), count(distinct text) from {t} group by 1 order by 1");
    assert_eq!(lengths["rows"], json!([[31_996, 297, 297], [32_000, 3, 3]]));
    published.read_by_all();
}
