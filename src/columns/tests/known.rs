//! Columns that are known before the first record, and those that the job adds.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use serde_json::json;

use super::{check_error, check_with, column, decode, finish, kind};
use crate::columns::convert::convert_array;
use crate::columns::decode::Decoder;
use crate::columns::error::Error;
use crate::columns::options::Options;
use crate::limits::COLUMNS_MAX;
use crate::model::column::TypeOrigin;
use crate::model::destination::{LongText, Profile, ValueLimits};
use crate::model::fields::{BadRecords, ChangedTypes, Contract, FieldPlan};

fn with_constants(names: &[&str], records: &str) -> Result<String, Error> {
    let mut decoder = Decoder::new(Options::default())?;
    let constants: Vec<_> = names.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
    decoder.set_constants(&constants)?;
    decoder.push(records.as_bytes(), 1)?;
    Ok(finish(&mut decoder)?.remove(0).schema())
}

#[test]
fn what_the_job_adds_is_never_filled_by_a_field_of_another_spelling() {
    assert_eq!(with_constants(&["Region"], r#"[{"a":1}]"#).expect("a table"), "a integer, Region integer");
    for (name, records) in [("Region", r#"[{"region":"y"}]"#), ("customer_name", r#"[{"customer":{"name":"y"}}]"#)] {
        let error = with_constants(&[name], records).expect_err("two values for one column");
        assert!(matches!(error, Error::SameName { .. }), "{name}: {error}");
    }
    assert!(matches!(with_constants(&["Region", "region"], "[]"), Err(Error::SameName { .. })));
}

#[test]
fn a_description_that_cannot_be_read_is_remembered() {
    let was = |word| vec![column("a", &["a"], word, TypeOrigin::Fetched)];
    let options = Options { former: was("text"), ..Options::default() };
    check_with(options.clone(), r#"[{"a":"2024-01-31"}]"#, "a text", "2024-01-31");
    check_with(options, "[]", "a text", "");
    // What it says today holds.
    let options = Options { former: was("text"), fetched: was("date"), ..Options::default() };
    check_with(options, r#"[{"a":"2024-01-31"}]"#, "a date", "2024-01-31");
}

#[test]
fn keys_that_are_data_do_not_grow_without_end() {
    let records: Vec<String> = (0..2 * COLUMNS_MAX).map(|id| format!(r#"{{"a":{{"k{id}":{{}},"b":{id}}}}}"#)).collect();
    let records = format!("[{}]", records.join(","));
    let select = vec![vec!["a".to_owned(), "b".to_owned()]];
    let fields = FieldPlan { select, ..FieldPlan::default() };
    let table = decode(Options { fields, ..Options::default() }, &[&records]).expect("a table");
    assert_eq!((table.schema(), table.rows.len()), ("a_b integer".to_owned(), 2 * COLUMNS_MAX));
    assert!(matches!(decode(Options::default(), &[&records]), Err(Error::ManyColumns { .. })));
}

#[test]
fn a_refused_list_leaves_no_trace_in_its_column() {
    let former = vec![column("a", &["a"], "list(integer)", TypeOrigin::Inferred)];
    let contract = Contract {
        changed_types: ChangedTypes::Fail,
        bad_records: BadRecords::Quarantine { max: 1 },
        ..Contract::default()
    };
    let limits = ValueLimits::of(Profile::Analytics, LongText::Truncate);
    let options = Options { former, contract, limits, ..Options::default() };
    check_with(options, r#"[{"a":[0.5]},{"a":[1]},{"a":[2]}]"#, "a list(integer)", "[1]\n[2]");
}

#[test]
fn items_that_a_later_type_cannot_hold_are_a_loss() {
    let options = || Options {
        limits: ValueLimits::of(Profile::Analytics, LongText::Truncate),
        former: vec![column("a", &["a"], "list(integer)", TypeOrigin::Inferred)],
        ..Options::default()
    };
    let sample = format!("[{}]", vec![r#"{"a":[100000000000000000]}"#; crate::limits::SAMPLE_ROWS].join(","));
    let late = |list: &str| decode(options(), &[&sample, &format!(r#"[{{"a":{list}}}]"#)]);
    assert_eq!(late("[0.5]").expect("a table").schema(), "a list(decimal(38,10))");
    check_error(
        Options { former: Vec::new(), ..super::declared(&[("a", "list(integer)")]) },
        r#"[{"a":[0.5]}]"#,
        "column `a` is list(integer), but record 1 of page 1 has `[0.5]`: it has an item of another type",
    );
    let check = |from: &str, to: &str, text: &str, expect: Result<(), &str>| {
        let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let found = convert_array(&values, kind(from), kind(to)).map(|_| ());
        assert_eq!(found, expect.map_err(str::to_owned), "{text} to {to}");
    };
    check("list(integer)", "list(decimal(18,4))", "[1]", Ok(()));
    check("list(integer)", "list(decimal(18,4))", "[1,100000000000000000]", Err("[1,100000000000000000]"));
    check("list(integer)", "list(float)", "[9007199254740993]", Err("[9007199254740993]"));
    check("list(text)", "list(integer)", r#"["a"]"#, Err(r#"["a"]"#));
    check("list(text)", "list(integer)", "[]", Ok(()));
    check("list(text)", "json", r#"["a"]"#, Ok(()));
}
