//! Objects, arrays, names and what OData adds.

use super::{check, check_error, check_with, column, declared, decode, remembered};
use crate::columns::options::Options;
use crate::model::column::TypeOrigin;

#[test]
fn objects_become_columns_of_their_members() {
    check(
        r#"[{"a":{"b":1,"c":{"d":"x"}},"e":2},{"a":{},"e":3}]"#,
        "a_b integer, a_c_d text, e integer",
        "1|x|2\n∅|∅|3",
    );
}

#[test]
fn a_null_object_needs_no_column_in_any_order() {
    check(r#"[{"a":null,"z":1},{"a":{"b":1},"z":2}]"#, "z integer, a_b integer", "1|∅\n2|1");
    check(r#"[{"a":{"b":1},"z":2},{"a":null,"z":1}]"#, "a_b integer, z integer", "1|2\n∅|1");
    check(r#"[{"a":null},{"a":null}]"#, "a text", "∅\n∅");
}

#[test]
fn a_field_may_be_scalar_and_object() {
    check(r#"[{"a":5},{"a":{"b":1}},{"a":null}]"#, "a integer, a_b integer", "5|∅\n∅|1\n∅|∅");
    check(r#"[{"a":{"b":1}},{"a":5}]"#, "a integer, a_b integer", "∅|1\n5|∅");
    check(r#"[{"a":[1]},{"a":{"b":1}}]"#, "a json, a_b integer", "[1]|∅\n∅|1");
}

#[test]
fn arrays_stay_json() {
    check(r#"[{"a":[{"x": "1 2"}, [ ] ],"b":[]}]"#, "a json, b json", r#"[{"x":"1 2"},[]]|[]"#);
}

#[test]
fn objects_that_lie_deep_stay_json() {
    let mut object = r#"{"x": 1}"#.to_owned();
    for level in (1..=9).rev() {
        object = format!(r#"{{"l{level}":{object}}}"#);
    }
    check(&format!("[{object}]"), "l1_l2_l3_l4_l5_l6_l7_l8_l9 json", r#"{"x":1}"#);
}

#[test]
fn declared_columns_keep_objects_whole() {
    let options = || declared(&[("a", "json"), ("b", "text")]);
    let records = r#"[{"a":{"x": 1},"b":{"y": [ ]}},{"a":"s","b":"s"},{"a":1.50,"b":1.50},{"a":[true],"b":true}]"#;
    let rows = "{\"x\":1}|{\"y\":[]}\n\"s\"|s\n1.50|1.50\n[true]|true";
    check_with(options(), records, "a json, b text", rows);
    check_with(declared(&[("a_b", "json")]), r#"[{"a":{"b":{"c":1}}}]"#, "a_b json", r#"{"c":1}"#);
    check_with(declared(&[("a_b", "integer")]), r#"[{"a":{"b":"7"}}]"#, "a_b integer", "7");
}

#[test]
fn what_odata_adds_is_dropped_where_it_is_odata() {
    let records = r#"[{"@odata.etag":"W/1","__metadata":{"uri":"u"},"id":1,"id@odata.type":"Int64",
        "lines":{"__deferred":{"uri":"u"}},"address":{"@odata.type":"t","city":"B"},
        "x@OData.Community.Display.V1.FormattedValue":"1,00"}]"#;
    let options = Options { is_odata: true, ..Options::default() };
    check_with(
        options,
        records,
        "id integer, address_city text, x_OData_Community_Display_V1_FormattedValue text",
        "1|B|1,00",
    );
    check(r#"[{"__metadata":1,"@odata.etag":"W"}]"#, "__metadata integer, _odata_etag text", "1|W");
}

#[test]
fn columns_follow_their_fields() {
    // Known by name only: the path shows with the records.
    let table = decode(declared(&[("a_b", "integer")]), &[r#"[{"a":{"b":1}}]"#]).expect("a table");
    assert_eq!(table.columns[0].path, ["a", "b"]);
    assert_eq!(table.columns[0].origin, TypeOrigin::Declared);
    // The source changed the case of a field: the readers' column stays.
    check_with(remembered(&[("Id", "integer")]), r#"[{"id":1}]"#, "Id integer", "1");
    // A fetched path that no name would give.
    let fetched = vec![column("customer", &["Kunde ä"], "text", TypeOrigin::Fetched)];
    check_with(Options { fetched, ..Options::default() }, r#"[{"Kunde ä":5}]"#, "customer text", "5");
}

#[test]
fn declared_types_win_and_columns_stand_as_their_fields_appear() {
    let options = Options {
        fields: declared(&[("c", "text"), ("f2", "integer")]).fields,
        fetched: vec![
            column("f1", &["f1"], "decimal(18,4)", TypeOrigin::Fetched),
            column("f2", &["f2"], "text", TypeOrigin::Fetched),
        ],
        former: vec![
            column("r", &["r"], "integer", TypeOrigin::Inferred),
            column("f1", &["f1"], "integer", TypeOrigin::Fetched),
        ],
        ..Options::default()
    };
    let table = decode(options, &[r#"[{"n":1,"r":1.5,"f1":"1.5","f2":"7","c":1}]"#]).expect("a table");
    assert_eq!(table.schema(), "n integer, r decimal(18,4), f1 decimal(18,4), f2 integer, c text");
    assert_eq!(table.text(), "1|1.5|1.5|7|1");
    let origins: Vec<_> = table.columns.iter().map(|column| column.origin).collect();
    use TypeOrigin::{Declared, Fetched, Inferred, Remembered};
    assert_eq!(origins, [Inferred, Remembered, Fetched, Declared, Declared]);
}

#[test]
fn names_that_collide_are_refused() {
    let same = |name: &str, first: &str, second: &str| {
        format!("`{first}` and `{second}` would both become the column `{name}`")
    };
    check_error(Options::default(), r#"[{"Id":1,"ID":2}]"#, &same("ID", "Id", "ID"));
    check_error(Options::default(), r#"[{"a_b":1,"a":{"b":2}}]"#, &same("a_b", "a_b", "a.b"));
    check_error(Options::default(), r#"[{"a b":1},{"a-b":2}]"#, &same("a_b", "a b", "a-b"));
    let fetched = ["Id", "ID"].map(|name| column(name, &[name], "text", TypeOrigin::Fetched)).to_vec();
    check_error(Options { fetched, ..Options::default() }, "[]", &same("ID", "Id", "ID"));
}
