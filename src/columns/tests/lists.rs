//! Lists of scalars for profiles whose readers know lists.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};

use super::{Table, check_error, check_with, declared, decode, kind, remembered};
use crate::columns::options::Options;
use crate::columns::{list_array, list_texts, list_type};
use crate::limits::SAMPLE_ROWS;
use crate::model::column::{ColumnType, TypeOrigin};
use crate::model::destination::{LongText, Profile, ValueLimits};

fn analytics(options: Options) -> Options {
    Options { limits: ValueLimits::of(Profile::Analytics, LongText::Truncate), ..options }
}

fn check(lists: &[&str], expect: &str) {
    for turn in 0..lists.len() {
        let records: Vec<String> =
            (0..lists.len()).map(|at| format!(r#"{{"a":{}}}"#, lists[(at + turn) % lists.len()])).collect();
        let table = decode(analytics(Options::default()), &[&format!("[{}]", records.join(","))]).expect("a table");
        assert_eq!(table.schema(), format!("a {expect}"), "{lists:?} from {turn}");
    }
}

#[test]
fn the_items_decide_the_type_whatever_their_order() {
    check(&["[1]", "[]", "null", "[null,-2]"], "list(integer)");
    check(&["[1]", "[0.5]"], "list(decimal(18,4))");
    check(&["[1,1e300]", "[0.25]"], "list(float)");
    check(&["[9223372036854775808]", "[1]"], "list(decimal(38,0))");
    check(&["[true]", "[false,null]"], "list(boolean)");
    check(&[r#"["a","2024-01-31"]"#, r#"[""]"#], "list(text)");
    check(&["[]", "[null]"], "list(text)");
    for other in [r#"["a"]"#, "[true]", "[[1]]", r#"[{"b":1}]"#, "[1,1e400]"] {
        check(&["[1]", other], "json");
    }
    check(&["[1]", "1"], "text");
    check(&[r#"["a"]"#, r#"["\ud83d\ude00"]"#], "list(text)");
}

#[test]
fn power_bi_keeps_them_as_json() {
    check_with(Options::default(), r#"[{"a":[1]},{"a":[]}]"#, "a json", "[1]\n[]");
}

#[test]
fn lists_that_were_empty_take_any_items_later() {
    let table = decode(analytics(Options::default()), &[r#"[{"a":[]}]"#]).expect("a table");
    assert_eq!((table.columns[0].kind, table.columns[0].origin), (kind("list(text)"), TypeOrigin::Unseen));
    let options = Options { former: table.columns, ..Options::default() };
    check_with(analytics(options), r#"[{"a":[1]}]"#, "a list(integer)", "[1]");
}

#[test]
fn remembered_items_widen_only() {
    check_with(
        analytics(remembered(&[("a", "list(decimal(18,4))")])),
        r#"[{"a":[1]}]"#,
        "a list(decimal(18,4))",
        "[1]",
    );
    check_with(analytics(remembered(&[("a", "list(integer)")])), r#"[{"a":["x"]}]"#, "a json", r#"["x"]"#);
    check_with(analytics(remembered(&[("a", "json")])), r#"[{"a":[1]}]"#, "a json", "[1]");
}

#[test]
fn declared_lists_hold_in_every_profile() {
    for options in [declared(&[("a", "list(integer)")]), analytics(declared(&[("a", "list(integer)")]))] {
        check_with(options.clone(), r#"[{"a":[1, null]},{"a":[]},{"a":null}]"#, "a list(integer)", "[1,null]\n[]\n∅");
        let expect = |value: &str, why: &str| {
            format!("column `a` is list(integer), but record 1 of page 1 has `{value}`: {why}")
        };
        for (value, why) in [
            ("[1.5]", "it has an item of another type"),
            (r#"["1"]"#, "it has an item of another type"),
            (r#"{"b":1}"#, "it is no list of these"),
            ("1", "it is a number"),
        ] {
            check_error(options.clone(), &format!(r#"[{{"a":{value}}}]"#), &expect(value, why));
        }
    }
}

#[test]
fn files_from_before_a_type_changed_take_the_step() {
    let sample = format!("[{}]", vec![r#"{"a":[1]}"#; SAMPLE_ROWS].join(","));
    for (late, expect) in [("[0.5]", "a list(decimal(18,4))"), (r#"["x"]"#, "a json"), ("\"x\"", "a text")] {
        let Table { columns, rows, .. } =
            decode(analytics(Options::default()), &[&sample, &format!(r#"[{{"a":{late}}}]"#)]).expect("a table");
        assert_eq!(format!("a {}", columns[0].kind), expect);
        assert_eq!((rows[0][0].as_str(), rows[SAMPLE_ROWS][0].as_str()), ("[1]", late.trim_matches('"')));
    }
}

#[test]
fn lists_and_their_texts_are_the_same_values() {
    let check = |word: &str, texts: &[Option<&str>], back: &[Option<&str>]| {
        let ColumnType::List(items) = kind(word) else { panic!("{word} is no list") };
        let lists = list_array(&StringArray::from(texts.to_vec()), items);
        assert_eq!(lists.data_type(), &list_type(items));
        let found: ArrayRef = std::sync::Arc::new(list_texts(&lists));
        let found: Vec<Option<&str>> = found.as_string::<i32>().iter().collect();
        assert_eq!(found, back, "{word}");
    };
    check("list(integer)", &[Some("[1,null,-3]"), None, Some("[]")], &[Some("[1,null,-3]"), None, Some("[]")]);
    check("list(decimal(18,4))", &[Some("[1,0.50]"), Some("[-2e-1]")], &[Some("[1,0.5]"), Some("[-0.2]")]);
    check("list(float)", &[Some("[1e300,0.25]")], &[Some("[1e300,0.25]")]);
    check("list(boolean)", &[None, Some("[true,false]")], &[None, Some("[true,false]")]);
    check("list(text)", &[Some(r#"["é\"\\\n",""]"#)], &[Some(r#"["é\"\\\n",""]"#)]);
}
