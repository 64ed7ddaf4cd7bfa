//! The rig's evaluator itself: the rules of M that the queries rest on, and that it guesses nothing.

use serde_json::{Value, json};

use super::scene::evaluate;
use crate::support::rigs::outcome_with;

fn value(expression: &str) -> Value {
    evaluate(&json!({ "queries": { "x": expression } }))["results"]["x"].clone()
}

#[test]
fn expressions_have_the_values_that_the_language_says() {
    let cases = [
        ("10 - 3 - 2 * 2", json!(3)),
        ("\"a\" & \"b\" = \"ab\" and not false", json!(true)),
        ("null and false", json!(false)),
        ("null = null and not (null <> null)", json!(true)),
        ("null < 1", Value::Null),
        ("\"x#(lf)\"\"y\" & \"#(0041)#(#)(lf)\"", json!("x\n\"yA#(lf)")),
        ("let f = (n) => if n = 0 then 1 else n * @f(n - 1) in f(5)", json!(120)),
        ("let x = 1, f = (x) => x + 1 in f(x) + x", json!(3)),
        ("[a = 1, b = a + 1, c = error \"never looked at\"][b]", json!(2)),
        ("let unused = error \"never looked at\" in 1", json!(1)),
        ("[a = 1][b]?", Value::Null),
        ("{1..3}{1}", json!(2)),
        ("{error \"x\", 2}{1}", json!(2)),
        ("try error Error.Record(\"r\", \"m\", \"d\") otherwise \"caught\"", json!("caught")),
        ("(try error Error.Record(\"r\", \"m\", \"d\"))[Error][Message]", json!("m")),
        ("List.Transform({1, 2}, each _ * 2)", json!([2, 4])),
        ("let f = (x as text, optional y as nullable number) => y in {f(\"\"), f(\"\", 2)}", json!([null, 2])),
        ("Value.Metadata(\"x\" meta [a = 1])[a]", json!(1)),
        ("9007199254740993 = 9007199254740992", json!(false)),
        ("#datetime(2024, 2, 29, 12, 0, 0) < #datetime(2024, 3, 1, 0, 0, 0)", json!(true)),
        ("Record.FieldOrDefault([a = 1], \"b\", 2)", json!(2)),
        ("List.Zip({{1, 2}, {3}})", json!([[1, 3], [2, null]])),
        ("1 is number and null is nullable text and not (null is text)", json!(true)),
    ];
    let queries: serde_json::Map<String, Value> =
        cases.iter().enumerate().map(|(at, (expression, _))| (format!("q{at}"), (*expression).into())).collect();
    let seen = evaluate(&json!({ "queries": queries }));
    for (at, (expression, expect)) in cases.iter().enumerate() {
        assert_eq!(seen["results"][format!("q{at}")]["value"], *expect, "{expression}");
    }
}

#[test]
fn mistakes_are_errors_and_no_values() {
    for (expression, says) in [
        ("1 + \"a\"", "cannot apply operator"),
        ("[a = 1][b]", "wasn't found"),
        ("{1}{1}", "enough elements"),
        ("((x as text) => x)(1)", "to type text"),
        ("((x) => x)()", "arguments"),
        ("let a = b, b = a in a", "cyclic"),
        ("if null then 1 else 2", "to type Logical"),
        ("Table.SelectColumns(#table({\"a\"}, {}), {\"b\"})", "wasn't found"),
        ("Web.Contents(\"http://127.0.0.1:1\", [RelativPath = \"x\"])", "isn't a valid option"),
    ] {
        let found = value(expression);
        let message = found["error"]["message"].as_str().unwrap_or_else(|| panic!("{expression} is {found}"));
        assert!(message.contains(says), "{expression}: {message}");
    }
}

#[test]
fn what_the_evaluator_does_not_know_ends_it_even_within_try() {
    for (expression, says) in [
        ("try Table.Pivot(1) otherwise 2", "the name 'Table.Pivot'"),
        ("try Table.PromoteHeaders(#table({\"a\"}, {})) otherwise 2", "without PromoteAllScalars"),
        ("try Table.TransformColumnTypes(#table({\"a\"}, {}), {}, \"de-DE\") otherwise 2", "for the culture de-DE"),
    ] {
        let request = json!({ "queries": { "x": expression } }).to_string();
        let output = outcome_with("m/run.mjs", &[], &request);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(says), "{expression}: {told}");
    }
}
