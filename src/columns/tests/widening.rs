//! Types that change after batches went out, and batches that do not depend on pages.

use super::{Table, decode, rows_of};
use crate::columns::convert::convert;
use crate::columns::decode::Decoder;
use crate::columns::error::Error;
use crate::columns::options::Options;
use crate::limits::{BATCH_ROWS, SAMPLE_BYTES_MAX, SAMPLE_ROWS};

/// `first` fills the sample, which goes out as a batch; then `second` comes.
fn widened(first: &str, second: &str) -> Table {
    let page = |value: &str, count: usize| {
        let record = format!(r#"{{"a":{value}}}"#);
        format!("[{}]", vec![record; count].join(","))
    };
    decode(Options::default(), &[&page(first, SAMPLE_ROWS), &page(second, 1)]).expect("a table")
}

fn check(first: &str, second: &str, kind: &str, cells: [&str; 2]) {
    let table = widened(first, second);
    assert_eq!(table.schema(), format!("a {kind}"), "{first} then {second}");
    assert_eq!(table.rows.len(), SAMPLE_ROWS + 1);
    assert_eq!(table.rows[0][0], cells[0], "{first} then {second}");
    assert_eq!(table.rows[SAMPLE_ROWS - 1][0], cells[0], "{first} then {second}");
    assert_eq!(table.rows[SAMPLE_ROWS][0], cells[1], "{first} then {second}");
}

#[test]
fn nulls_become_anything() {
    check("null", "true", "boolean", ["∅", "true"]);
    check("null", "1", "integer", ["∅", "1"]);
    check("null", "1.5", "decimal(18,4)", ["∅", "1.5"]);
    check("null", "\"2024-01-31\"", "date", ["∅", "2024-01-31"]);
    check("null", "[1]", "json", ["∅", "[1]"]);
    check("null", "\"x\"", "text", ["∅", "x"]);
}

#[test]
fn numbers_widen_without_a_loss() {
    check("1", "1.5", "decimal(18,4)", ["1", "1.5"]);
    check("123456789012345678", "1.5", "decimal(38,10)", ["123456789012345678", "1.5"]);
    check("7", "18446744073709551616", "decimal(38,0)", ["7", "18446744073709551616"]);
    check("7", "1e300", "float", ["7", "1e300"]);
    check("9007199254740993", "1e300", "text", ["9007199254740993", "1e300"]);
    check("1.25", "0.00001", "decimal(38,10)", ["1.25", "0.00001"]);
    check("1.25", "0.30000000000000004", "float", ["1.25", "0.30000000000000004"]);
    check("9007199254.7409931", "0.30000000000000004", "text", ["9007199254.7409931", "0.30000000000000004"]);
    check("18446744073709551616", "0.5", "decimal(38,10)", ["18446744073709551616", "0.5"]);
    check("0.5", "123456789012345678901", "decimal(38,10)", ["0.5", "123456789012345678901"]);
    check("0.5", "1e30", "float", ["0.5", "1000000000000000000000000000000"]);
}

#[test]
fn the_type_of_numbers_does_not_depend_on_their_order() {
    check("18446744073709551616", "1.0", "decimal(38,10)", ["18446744073709551616", "1"]);
    check("1.0", "18446744073709551616", "decimal(38,10)", ["1", "18446744073709551616"]);
    check("12345678901234567890123456789012345678", "1.0", "text", ["12345678901234567890123456789012345678", "1"]);
}

#[test]
fn everything_widens_to_text() {
    check("true", "\"x\"", "text", ["true", "x"]);
    check("1", "\"x\"", "text", ["1", "x"]);
    check("1.50", "\"x\"", "text", ["1.5", "x"]);
    check("0.30000000000000004", "\"x\"", "text", ["0.30000000000000004", "x"]);
    check("1e300", "\"x\"", "text", ["1e300", "x"]);
    check("[1]", "\"x\"", "text", ["[1]", "x"]);
    check("\"2024-01-31\"", "\"x\"", "text", ["2024-01-31", "x"]);
    check("\"2024-01-31\"", "5", "text", ["2024-01-31", "5"]);
    check("\"2024-01-31 10:20\"", "\"x\"", "text", ["2024-01-31T10:20:00", "x"]);
    check("\"2024-01-31T10:20:00+01:00\"", "\"x\"", "text", ["2024-01-31T09:20:00Z", "x"]);
    check("\"2024-01-31T10:20:00.5\"", "\"2024-01-31T10:20Z\"", "text", ["2024-01-31T10:20:00.5", "2024-01-31T10:20Z"]);
}

#[test]
fn dates_widen_to_datetimes() {
    check("\"2024-01-31\"", "\"2024-01-31T10:20\"", "datetime", ["2024-01-31T00:00:00", "2024-01-31T10:20:00"]);
    check("\"2024-01-31T10:20\"", "\"2024-01-31\"", "datetime", ["2024-01-31T10:20:00", "2024-01-31T00:00:00"]);
}

#[test]
fn late_columns_are_null_before() {
    let sample = format!("[{}]", vec![r#"{"a":1}"#; SAMPLE_ROWS].join(","));
    let table = decode(Options::default(), &[&sample, r#"[{"b":"x"}]"#]).expect("a table");
    assert_eq!(table.schema(), "a integer, b text");
    assert_eq!(table.rows[0], ["1", "∅"]);
    assert_eq!(table.rows[SAMPLE_ROWS], ["∅", "x"]);
}

#[test]
fn a_null_field_that_turns_out_an_object_loses_its_column() {
    let sample = format!("[{}]", vec![r#"{"a":null,"z":1}"#; SAMPLE_ROWS].join(","));
    let table = decode(Options::default(), &[&sample, r#"[{"a":{"b":2}}]"#]).expect("a table");
    assert_eq!(table.schema(), "z integer, a_b integer");
    assert_eq!(table.rows[SAMPLE_ROWS], ["∅", "2"]);
}

#[test]
fn batches_end_by_rows_and_not_by_pages() {
    let count = SAMPLE_ROWS + 2 * BATCH_ROWS + 5;
    let records: Vec<String> = (0..count).map(|at| format!(r#"{{"a":{at}}}"#)).collect();
    let sizes = |page_rows: usize| {
        let mut decoder = Decoder::new(Options::default()).expect("a decoder");
        let mut sizes = Vec::new();
        let mut schemas = Vec::new();
        for (at, page) in records.chunks(page_rows).enumerate() {
            let read = decoder.push(format!("[{}]", page.join(",")).as_bytes(), at as u64).expect("records");
            assert_eq!(read, page.len() as u64);
            while let Some((_, batch)) = decoder.next_batch() {
                sizes.push(batch.num_rows());
                schemas.push(batch.schema());
            }
        }
        decoder.finish().expect("the rest");
        let (_, last) = decoder.next_batch().expect("a batch");
        assert!(decoder.next_batch().is_none());
        sizes.push(last.num_rows());
        assert!(schemas.iter().all(|schema| std::sync::Arc::ptr_eq(schema, last.schema_ref())));
        sizes
    };
    let expect = [SAMPLE_ROWS, BATCH_ROWS, BATCH_ROWS, 5];
    assert_eq!(sizes(count), expect);
    assert_eq!(sizes(60), expect);
    assert_eq!(sizes(7_777), expect);
}

#[test]
fn pages_leave_no_trace_in_batches() {
    let record = |at: usize| match at % 1_000 {
        999 => format!(r#"{{"a":"x{at}","n{}":1}}"#, at / 10_000),
        _ => format!(r#"{{"a":{at},"b":{}.25,"c":{{"d":"2024-01-{:02}"}}}}"#, at, at % 31 + 1),
    };
    let records: Vec<String> = (0..SAMPLE_ROWS + BATCH_ROWS + 10).map(record).collect();
    let batches = |page_rows: usize| {
        let mut decoder = Decoder::new(Options::default()).expect("a decoder");
        for (at, page) in records.chunks(page_rows).enumerate() {
            decoder.push(format!("[{}]", page.join(",")).as_bytes(), at as u64).expect("records");
        }
        decoder.finish().expect("the rest");
        std::iter::from_fn(|| decoder.next_batch()).map(|(_, batch)| batch).collect::<Vec<_>>()
    };
    let expect = batches(records.len());
    assert_eq!(expect.len(), 3);
    for page_rows in [1, 60, 5_000] {
        assert!(batches(page_rows) == expect, "{page_rows} records a page");
    }
}

#[test]
fn large_records_end_a_batch_early() {
    let record = format!(r#"{{"a":"{}"}}"#, "x".repeat(SAMPLE_BYTES_MAX / 4));
    let page = format!("[{}]", vec![record; 5].join(","));
    let mut decoder = Decoder::new(Options::default()).expect("a decoder");
    decoder.push(page.as_bytes(), 1).expect("records");
    assert_eq!(decoder.next_batch().expect("a batch").1.num_rows(), 4);
    decoder.finish().expect("the rest");
    assert_eq!(decoder.next_batch().expect("a batch").1.num_rows(), 1);
}

#[test]
fn conversion_refuses_what_it_would_lose() {
    let refuse = |value: &str, to: &str, expect: &str| {
        let mut decoder = Decoder::new(Options::default()).expect("a decoder");
        decoder.push(format!(r#"[{{"a":{value}}}]"#).as_bytes(), 1).expect("a record");
        decoder.finish().expect("the rest");
        let (_, batch) = decoder.next_batch().expect("a batch");
        let to = super::remembered(&[("a", to)]).former;
        let error = convert(&batch, decoder.columns(0), &to).expect_err("a loss");
        assert_eq!(error.to_string(), expect);
    };
    let text = |from: &str, to: &str, value: &str| {
        format!("column `a` cannot turn from {from} into {to} at `{value}` without losing something")
    };
    refuse("9007199254740993", "float", &text("integer", "float", "9007199254740993"));
    refuse("123", "decimal(4,2)", &text("integer", "decimal(4,2)", "123"));
    refuse("1.25", "decimal(18,1)", &text("decimal(18,4)", "decimal(18,1)", "1.25"));
    refuse("\"x\"", "integer", &text("text", "integer", "x"));
    refuse("1.5", "boolean", &text("decimal(18,4)", "boolean", "1.5"));
}

#[test]
fn conversion_keeps_every_column_with_values() {
    let mut decoder = Decoder::new(Options::default()).expect("a decoder");
    decoder.push(br#"[{"a":1,"b":null}]"#, 1).expect("a record");
    decoder.finish().expect("the rest");
    let (_, batch) = decoder.next_batch().expect("a batch");
    let from = decoder.columns(0).to_vec();
    let kept = super::remembered(&[("n", "float"), ("a", "decimal(18,4)")]).former;
    let turned = convert(&batch, &from, &kept).expect("nulls may go");
    assert_eq!(rows_of(&turned, &kept), [["∅", "1"]]);
    let lost = super::remembered(&[("b", "text")]).former;
    assert!(matches!(convert(&batch, &from, &lost), Err(Error::ColumnLost { column }) if column == "a"));
    assert!(matches!(convert(&batch, &from[..1], &kept), Err(Error::OtherColumns { found: 2, described: 1 })));
}
