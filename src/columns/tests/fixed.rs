//! Declared and fetched types: what they take, and what they refuse.

use super::{check_error, check_with, declared, decode};
use crate::model::warning::WarningKind;

fn check(word: &str, value: &str, expect: &str) {
    check_with(declared(&[("a", word)]), &format!(r#"[{{"a":{value}}}]"#), &format!("a {word}"), expect);
}

fn refused(word: &str, value: &str, shown: &str, why: &str) {
    let expect = format!("column `a` is {word}, but record 1 of page 1 has `{shown}`: {why}");
    check_error(declared(&[("a", word)]), &format!(r#"[{{"a":{value}}}]"#), &expect);
}

#[test]
fn an_empty_table_keeps_its_columns() {
    check_with(declared(&[("b", "date"), ("a", "integer")]), "[]", "a integer, b date", "");
}

#[test]
fn text_and_json_take_everything() {
    check("text", "\"x\"", "x");
    check("text", "\"\"", "");
    check("text", "1.50", "1.50");
    check("text", "true", "true");
    check("text", "[1, 2]", "[1,2]");
    check("json", "\"\"", "\"\"");
    check("json", "1e3", "1e3");
    check("json", "null", "∅");
}

#[test]
fn numbers_come_in_strings_too() {
    check("integer", "7", "7");
    check("integer", "\"7\"", "7");
    check("integer", "\"9223372036854775807L\"", "9223372036854775807");
    check("integer", "7.0", "7");
    check("integer", "1e3", "1000");
    check("integer", "\"\"", "∅");
    check("decimal(18,4)", "\"12.5M\"", "12.5");
    check("decimal(18,4)", "12.5", "12.5");
    check("decimal(18,4)", "12.50000", "12.5");
    check("decimal(38,20)", "\"0.12345678901234567891\"", "0.12345678901234567891");
    check("decimal(4,4)", "0.1234", "0.1234");
    check("decimal(38,38)", "0.1", "0.1");
    check("float", "\"1.5d\"", "1.5");
    check("float", "3", "3");
    check("float", "\"\"", "∅");
    refused("integer", "1.5", "1.5", "it is no whole number of 64 bits");
    refused("integer", "9223372036854775808", "9223372036854775808", "it is no whole number of 64 bits");
    refused("integer", "\"x\"", "x", "it is no number");
    refused("integer", "\" 7\"", " 7", "it is no number");
    refused("integer", "true", "true", "it is a boolean");
    refused("integer", "[1]", "[1]", "it is an array or an object");
    refused("integer", "{\"x\":1}", "{\"x\":1}", "it is an array or an object");
    refused("decimal(4,2)", "100", "100", "it has more digits than the type");
    refused("decimal(4,2)", "\"1.005\"", "1.005", "it has more digits than the type");
    refused("decimal(18,4)", "1e300", "1e300", "it has more digits than the type");
    refused("integer", &format!("\"{}\"", "x".repeat(70)), &format!("{}…", "x".repeat(60)), "it is no number");
}

#[test]
fn booleans_come_in_strings_too() {
    check("boolean", "true", "true");
    check("boolean", "\"false\"", "false");
    check("boolean", "\"\"", "∅");
    refused("boolean", "\"True\"", "True", "only `true` and `false` are booleans");
    refused("boolean", "1", "1", "it is a number");
}

#[test]
fn moments_take_each_other_where_nothing_is_lost() {
    check("date", "\"2024-01-31\"", "2024-01-31");
    check("date", "\"2024-01-31T00:00:00\"", "2024-01-31");
    check("date", "\"2024-01-31T00:00:00+02:00\"", "2024-01-31");
    check("date", "\"/Date(86400000)/\"", "1970-01-02");
    check("date", "\"\"", "∅");
    check("datetime", "\"2024-01-31\"", "2024-01-31T00:00:00");
    check("datetime", "\"2024-01-31T10:00:00+02:00\"", "2024-01-31T08:00:00");
    check("instant", "\"2024-01-31\"", "2024-01-31T00:00:00Z");
    check("instant", "\"2024-01-31T10:00:00.25\"", "2024-01-31T10:00:00.25Z");
    refused("date", "\"2024-01-31T00:00:01\"", "2024-01-31T00:00:01", "it is not at midnight");
    refused("date", "\"31.01.2024\"", "31.01.2024", "it is no date or timestamp in ISO form");
    refused("instant", "\"0000-00-00\"", "0000-00-00", "it is no date or timestamp in ISO form");
    refused("datetime", "0", "0", "it is a number");
}

#[test]
fn values_that_power_bi_does_not_show_become_null_and_count() {
    let options = declared(&[("d", "date"), ("f", "float")]);
    let records = r#"[{"d":"1899-12-31","f":"NaN"},{"d":"1900-01-01","f":1e400},{"d":"0001-01-01","f":"-INF"}]"#;
    let table = decode(options, &[records]).expect("a table");
    assert_eq!(table.text(), "∅|∅\n1900-01-01|∅\n∅|∅");
    let found: Vec<_> = table.warnings.iter().map(|it| (it.column.as_str(), it.kind, it.count)).collect();
    assert_eq!(found, [("d", WarningKind::DateOutOfRange, 2), ("f", WarningKind::FloatNotFinite, 3)]);
}

#[test]
fn the_place_of_a_refused_value_is_named() {
    let pages = ["[{\"a\":1}]", "[{\"a\":2},{\"a\":\"x\"}]"];
    let error = decode(declared(&[("a", "integer")]), &pages).err().expect("an error");
    assert_eq!(error.to_string(), "column `a` is integer, but record 2 of page 2 has `x`: it is no number");
}
