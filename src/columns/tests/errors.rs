//! Records that are none, and limits.

use super::{check_error, declared, decode};
use crate::columns::decode::Decoder;
use crate::columns::options::Options;
use crate::limits::{COLUMNS_MAX, JSON_DEPTH_MAX};

fn check(records: &str, expect: &str) {
    check_error(Options::default(), records, expect);
}

fn check_bytes(records: &[u8], expect: &str) {
    let mut decoder = Decoder::new(Options::default()).expect("a decoder");
    let error = decoder.push(records, 3).expect_err("an error");
    assert_eq!(error.to_string(), expect, "{}", String::from_utf8_lossy(records));
}

#[test]
fn only_objects_are_records() {
    check("5", "the records of page 1 are neither an array of objects nor an object");
    check("\"x\"", "the records of page 1 are neither an array of objects nor an object");
    check("[{},1]", "record 2 of page 1 is a number, not an object");
    check("[null]", "record 1 of page 1 is null, not an object");
    check("[[]]", "record 1 of page 1 is an array, not an object");
    check("[\"x\"]", "record 1 of page 1 is a string, not an object");
    check("[true]", "record 1 of page 1 is a boolean, not an object");
}

#[test]
fn broken_json_is_refused() {
    for records in ["", "[", "[{}", "[{},]", "{\"a\":}", "{\"a\" 1}", "[{\"a\":1,}]", "{\"a\":01}", "{\"a\":NaN}"] {
        check(records, "record 1 of page 1 is no valid JSON");
    }
    check("[{}] x", "record 1 of page 1 is no valid JSON");
    check("[{},{\"a\":tru}]", "record 2 of page 1 is no valid JSON");
    check("[{\"a\":[1,}]", "record 1 of page 1 is no valid JSON");
}

#[test]
fn broken_text_is_refused() {
    check(r#"[{"a":"\ud800"}]"#, "record 1 of page 1 is no valid JSON");
    check(r#"[{"a":"\udc00x"}]"#, "record 1 of page 1 is no valid JSON");
    check(r#"[{"\ud800":1}]"#, "record 1 of page 1 is no valid JSON");
    check(r#"[{"a":["\ud800"]}]"#, "record 1 of page 1 is no valid JSON");
    check_bytes(b"[{},{\"a\":\"\xFF\"}]", "record 2 of page 3 is no valid JSON");
    check_bytes(b"[{},{\"\xFF\":1}]", "record 2 of page 3 is no valid JSON");
    check_bytes(b"[{},{\"a\":[\"\xFF\"]}]", "record 2 of page 3 holds text that is not UTF-8");
}

#[test]
fn a_member_may_stand_once() {
    check(r#"[{},{"a":1,"b":2,"a":1}]"#, "record 2 of page 1 has the member `a` twice");
    check(r#"[{"x":{"a":null,"a":null}}]"#, "record 1 of page 1 has the member `x.a` twice");
    check(r#"[{"x":{"a":1},"x":{"b":1}}]"#, "record 1 of page 1 has the member `x` twice");
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("[{{\"a\":{}{}}}]", "[".repeat(levels), "]".repeat(levels));
    let expect = "record 1 of page 1 is nested deeper than 100 levels (JSON_DEPTH_MAX)";
    assert!(decode(Options::default(), &[&nested(JSON_DEPTH_MAX - 1)]).is_ok());
    check(&nested(JSON_DEPTH_MAX), expect);
    check(&nested(10_000), expect);
    let objects = format!("[{}1{}]", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    check(&objects, expect);
}

#[test]
fn columns_are_bounded() {
    let members: Vec<String> = (0..=COLUMNS_MAX).map(|at| format!("\"c{at}\":null")).collect();
    let records = format!("[{{{}}}]", members[..COLUMNS_MAX].join(","));
    assert_eq!(decode(Options::default(), &[&records]).expect("a table").columns.len(), COLUMNS_MAX);
    let records = format!("[{{{}}}]", members.join(","));
    check(&records, "the table has more than 2000 columns (COLUMNS_MAX); `c2000` is one too many");
    let long = "x".repeat(129);
    let expect =
        format!("the column of `{long}` would have a name of 129 characters; the limit is 128 (COLUMN_NAME_CHARS_MAX)");
    check(&format!("[{{\"{long}\":1}}]"), &expect);
}

#[test]
fn one_declared_column_takes_one_field() {
    let expect = "`a.b` and `a_b` would both become the column `a_b`";
    check_error(declared(&[("a_b", "integer")]), r#"[{"a":{"b":1},"a_b":2}]"#, expect);
}
