//! CSV files as spreadsheets and Power BI read them, to the byte.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use super::{csv_as_usual, encoded, every_type, open};

fn check(values: ArrayRef, expect: &[&str]) {
    let batch = RecordBatch::try_from_iter_with_nullable([("a", values, true)]).expect("a batch");
    let text = String::from_utf8(encoded(&csv_as_usual(), &[batch])).expect("UTF-8");
    let lines = format!("\u{FEFF}a\r\n{}\r\n", expect.join("\r\n"));
    assert_eq!(text, lines);
}

#[test]
fn the_whole_file_is_as_documented() {
    let text = String::from_utf8(encoded(&csv_as_usual(), &[every_type()])).expect("UTF-8");
    let expect = "\u{FEFF}id,name,open,amount,huge,wide,rate,day,at\r\n\
        7,\"Müller, \"\"Ä\"\"\r\nB\",true,12.5000,184467440737095516150,0.0000000001,0.1,2024-01-31,2024-01-31T12:00:00\r\n\
        ,,,,,,,,\r\n\
        -9223372036854775808,\"\",false,-0.0005,0,-1000000000000000000000000000.0000000000,-1e300,1969-12-31,2024-01-31T12:00:00.00012\r\n";
    assert_eq!(text, expect);
}

#[test]
fn text_is_quoted_where_it_must_be() {
    let values = ["plain", "", "a,b", "a\"b", "a\nb", "a\rb", " blank ", "\"", "=1+1", "ä;ö"];
    let expect =
        ["plain", "\"\"", "\"a,b\"", "\"a\"\"b\"", "\"a\nb\"", "\"a\rb\"", " blank ", "\"\"\"\"", "=1+1", "ä;ö"];
    check(Arc::new(StringArray::from(values.to_vec())), &expect);
}

#[test]
fn numbers_are_plain_digits() {
    check(Arc::new(Int64Array::from(vec![0, -1, 10, i64::MAX])), &["0", "-1", "10", "9223372036854775807"]);
    let floats = vec![0.0, 1.0, -2.5, 1e15, 1e16, 1e-5, 9.9e-6, 0.1 + 0.2, f64::MAX];
    let expect = [
        "0",
        "1",
        "-2.5",
        "1000000000000000",
        "1e16",
        "0.00001",
        "9.9e-6",
        "0.30000000000000004",
        "1.7976931348623157e308",
    ];
    check(Arc::new(Float64Array::from(floats)), &expect);
    let decimals = |values: Vec<i128>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).expect("a type"))
    };
    check(decimals(vec![0, 1, -12_345], 18, 4), &["0.0000", "0.0001", "-1.2345"]);
    check(decimals(vec![10_i128.pow(38) - 1], 38, 0), &["99999999999999999999999999999999999999"]);
    check(decimals(vec![1 - 10_i128.pow(38)], 38, 38), &["-0.99999999999999999999999999999999999999"]);
}

#[test]
fn dates_agree_with_chrono() {
    let days: Vec<i32> = (-800_000..2_932_897).step_by(97).collect();
    let expect: Vec<String> = days
        .iter()
        .map(|day| chrono::NaiveDate::from_epoch_days(*day).expect("a date").format("%Y-%m-%d").to_string())
        .collect();
    let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
    check(Arc::new(Date32Array::from(days)), &expect);
}

#[test]
fn timestamps_show_the_digits_they_have() {
    let micros = vec![0, -1, 1, 500_000, 123_400, 86_399_999_999];
    let expect = [
        "1970-01-01T00:00:00",
        "1969-12-31T23:59:59.999999",
        "1970-01-01T00:00:00.000001",
        "1970-01-01T00:00:00.5",
        "1970-01-01T00:00:00.1234",
        "1970-01-01T23:59:59.999999",
    ];
    check(Arc::new(TimestampMicrosecondArray::from(micros)), &expect);
}

#[test]
fn an_empty_table_is_a_header() {
    assert_eq!(
        encoded(&csv_as_usual(), &[every_type().slice(0, 0)]),
        "\u{FEFF}id,name,open,amount,huge,wide,rate,day,at\r\n".as_bytes()
    );
}

#[test]
fn the_estimate_is_the_size() {
    let batch = every_type();
    let mut encoder = open(&csv_as_usual(), &batch);
    encoder.write(&batch).expect("a batch written");
    let estimate = encoder.bytes_written_estimate();
    assert_eq!(encoder.finish().expect("a file").0.len() as u64, estimate);
}

#[test]
fn other_arrow_types_are_refused() {
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter_with_nullable([("a", values, true)]).expect("a batch");
    let mut encoder = open(&csv_as_usual(), &batch);
    let error = encoder.write(&batch).expect_err("an unknown type");
    assert_eq!(error.to_string(), "column `a` has the Arrow type Int32, which no CSV file of ours holds");
}
