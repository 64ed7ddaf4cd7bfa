//! Types that follow from values, within one batch.

use super::{check, check_with, decode, remembered};
use crate::columns::options::Options;
use crate::model::warning::WarningKind;

/// One column `a` with these JSON values.
fn check_values(values: &[&str], kind: &str, cells: &[&str]) {
    for turn in 0..values.len() {
        let turned = |list: &[&str]| -> Vec<String> {
            (0..list.len()).map(|at| list[(at + turn) % list.len()].to_owned()).collect()
        };
        let records: Vec<String> = turned(values).iter().map(|value| format!(r#"{{"a":{value}}}"#)).collect();
        check(&format!("[{}]", records.join(",")), &format!("a {kind}"), &turned(cells).join("\n"));
    }
}

#[test]
fn every_row_of_the_type_table() {
    check_values(&["null", "null"], "text", &["∅", "∅"]);
    check_values(&["true", "null", "false"], "boolean", &["true", "∅", "false"]);
    check_values(&["1", "-9223372036854775808"], "integer", &["1", "-9223372036854775808"]);
    check_values(&["1e3", "1.5E1"], "integer", &["1000", "15"]);
    check_values(&["12.5", "1", "0.0001"], "decimal(18,4)", &["12.5", "1", "0.0001"]);
    check_values(&["1.0"], "decimal(18,4)", &["1"]);
    check_values(&["12.50000"], "decimal(18,4)", &["12.5"]);
    check_values(&["0.12345", "123456789012345678"], "decimal(38,10)", &["0.12345", "123456789012345678"]);
    check_values(&["18446744073709551616", "1"], "decimal(38,0)", &["18446744073709551616", "1"]);
    check_values(&["0.30000000000000004", "2", "1.25"], "float", &["0.30000000000000004", "2", "1.25"]);
    check_values(&["1e300", "7"], "float", &["1e300", "7"]);
    check_values(&["0.123456789012345678901", "1.50"], "text", &["0.123456789012345678901", "1.5"]);
    check_values(&["1e400", "0.1"], "text", &["1e400", "0.1"]);
    check_values(&["\"x\"", "\"\"", "null"], "text", &["x", "", "∅"]);
    check_values(&["\"2024-01-31\"", "\"1999-12-31\""], "date", &["2024-01-31", "1999-12-31"]);
    check_values(
        &["\"2024-01-31T10:20:30\"", "\"2024-01-31\""],
        "datetime",
        &["2024-01-31T10:20:30", "2024-01-31T00:00:00"],
    );
    check_values(&["\"2024-01-31T10:20:30+01:00\""], "instant", &["2024-01-31T09:20:30Z"]);
    check_values(&["\"\\/Date(0)\\/\""], "datetime", &["1970-01-01T00:00:00"]);
    check_values(
        &["\"/Date(0+0000)/\"", "\"1970-01-02T00:00:00Z\""],
        "instant",
        &["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"],
    );
    check_values(&["[1, 2]", "[]"], "json", &["[1,2]", "[]"]);
}

#[test]
fn mixtures_are_text_and_keep_their_spelling() {
    check_values(&["1", "\"x\""], "text", &["1", "x"]);
    check_values(&["1.50", "\"x\"", "2"], "text", &["1.5", "x", "2"]);
    check_values(&["true", "1"], "text", &["true", "1"]);
    check_values(&["true", "\"true\""], "text", &["true", "true"]);
    check_values(&["1", "\"2\""], "text", &["1", "2"]);
    check_values(&["[1]", "\"x\"", "5"], "text", &["[1]", "x", "5"]);
    check_values(&["\"2024-01-31\"", "\"n/a\""], "text", &["2024-01-31", "n/a"]);
    check_values(&["\"2024-01-31\"", "\"\""], "text", &["2024-01-31", ""]);
    check_values(&["\"2024-01-31\"", "20240131"], "text", &["2024-01-31", "20240131"]);
    check_values(
        &["\"2024-01-31T10:20:30+01:00\"", "\"2024-01-31T10:20\""],
        "text",
        &["2024-01-31T10:20:30+01:00", "2024-01-31T10:20"],
    );
    check_values(&["\"2024-01-31T10:20:30Z\"", "\"2024-01-31\""], "text", &["2024-01-31T10:20:30Z", "2024-01-31"]);
    check_values(&["\"/Date(0)/\"", "true"], "text", &["/Date(0)/", "true"]);
}

#[test]
fn strings_are_unescaped() {
    check_values(&[r#""a\"b\\c\/d\n\u00e4\ud83d\ude00""#], "text", &["a\"b\\c/d\nä😀"]);
}

#[test]
fn columns_come_in_order_of_appearance() {
    check(r#"[{"b":1,"a":2},{"c":3,"a":4}]"#, "b integer, a integer, c integer", "1|2|∅\n∅|4|3");
    check("[]", "", "");
    check(r#"{"a":1}"#, "a integer", "1");
    check("[{},{\"a\":1}]", "a integer", "∅\n1");
}

#[test]
fn remembered_columns_stay_without_records() {
    check_with(remembered(&[("a", "date"), ("b", "decimal(10,2)")]), "[]", "a date, b decimal(10,2)", "");
    check_with(remembered(&[("a", "date")]), r#"[{"b":1}]"#, "b integer, a date", "1|∅");
}

#[test]
fn remembered_types_hold_until_a_value_does_not_fit() {
    let check = |word: &str, value: &str, expect: &str| {
        let records = format!(r#"[{{"a":{value}}}]"#);
        let table = decode(remembered(&[("a", word)]), &[&records]).expect("a table");
        assert_eq!(table.schema(), format!("a {expect}"), "{word} meets {value}");
    };
    check("integer", "1", "integer");
    check("integer", "1.5", "decimal(18,4)");
    check("decimal(18,4)", "1", "decimal(18,4)");
    check("decimal(10,2)", "1.25", "decimal(10,2)");
    check("decimal(10,2)", "1.255", "decimal(18,4)");
    check("decimal(38,10)", "0.1", "decimal(38,10)");
    check("decimal(38,10)", "1e300", "float");
    check("float", "5", "float");
    check("float", "9007199254740993", "text");
    check("boolean", "1", "text");
    check("date", "\"2024-01-31\"", "date");
    check("date", "\"2024-01-31T00:00:00\"", "datetime");
    check("date", "\"2024-01-31T00:00:00Z\"", "text");
    check("datetime", "\"2024-01-31\"", "datetime");
    check("instant", "\"2024-01-31T00:00:00Z\"", "instant");
    check("instant", "\"2024-01-31T00:00:00\"", "text");
    check("text", "1", "text");
    check("json", "[1]", "json");
    check("json", "1", "text");
    check("integer", "null", "integer");
}

#[test]
fn changed_values_are_counted() {
    let long = "ä".repeat(32_001);
    let records = format!(
        r#"[{{"b":"0001-01-01T00:00:00","t":"{long}","d":"2024-01-31T10:20:30.1234567Z"}},
            {{"b":"2024-01-31T00:00:00","t":"x","d":"2024-01-31T10:20:30.1234560Z"}}]"#
    );
    let table = decode(Options::default(), &[&records]).expect("a table");
    assert_eq!(table.schema(), "b datetime, t text, d instant");
    assert_eq!(table.rows[0][0], "∅");
    assert_eq!(table.rows[0][1], "ä".repeat(32_000));
    assert_eq!(table.rows[0][2], "2024-01-31T10:20:30.123456Z");
    let found: Vec<_> = table.warnings.iter().map(|it| (it.column.as_str(), it.kind, it.count)).collect();
    assert_eq!(
        found,
        [
            ("b", WarningKind::DateOutOfRange, 1),
            ("t", WarningKind::TextTruncated, 1),
            ("d", WarningKind::FractionTruncated, 1)
        ]
    );
    let word = serde_json::to_value(WarningKind::TextTruncated).expect("a word");
    assert_eq!(word, "text_truncated");
}
