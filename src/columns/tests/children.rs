//! Lists that become tables, and what a job says about fields.

use super::{Table, check_error, decode_all, finish, kind};
use crate::columns::decode::Decoder;
use crate::columns::options::Options;
use crate::model::fields::{BadRecords, ChangedTypes, ChildPlan, Contract, FieldPlan, NewColumns};

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn child(table: &str, from: &str, fields: FieldPlan) -> ChildPlan {
    ChildPlan { path: path(from), table: table.to_owned(), fields }
}

fn stream(fields: FieldPlan) -> Options {
    Options { fields, name: "orders".to_owned(), key: vec!["id".to_owned()], ..Options::default() }
}

fn check(options: Options, records: &str, expect: &[(&str, &str)]) {
    let tables = decode_all(options, &[records]).unwrap_or_else(|error| panic!("{records}: {error}"));
    let got: Vec<_> = tables.iter().map(|table| (table.schema(), table.text())).collect();
    let got: Vec<_> = got.iter().map(|(schema, text)| (schema.as_str(), text.as_str())).collect();
    assert_eq!(got, expect, "{records}");
}

#[test]
fn a_list_becomes_a_table_with_the_key_of_its_record() {
    let options =
        || stream(FieldPlan { children: vec![child("lines", "lines", FieldPlan::default())], ..FieldPlan::default() });
    check(
        options(),
        r#"[{"lines":[{"sku":"a","n":1},{"sku":"b"}],"id":7,"x":1},{"id":8,"lines":[]},{"id":9,"lines":null},{"id":10},
            {"id":11,"lines":{"sku":"one"}}]"#,
        &[
            ("id integer, x integer", "7|1\n8|∅\n9|∅\n10|∅\n11|∅"),
            ("orders_id integer, _position integer, sku text, n integer", "7|1|a|1\n7|2|b|∅\n11|1|one|∅"),
        ],
    );
    check(
        options(),
        r#"[{"id":1,"lines":["a",null,["b"]]}]"#,
        &[("id integer", "1"), ("orders_id integer, _position integer, value text", "1|1|a\n1|2|∅\n1|3|[\"b\"]")],
    );
    // A parent's key that widens takes its children's with it.
    check(
        options(),
        r#"[{"id":1,"lines":[{"a":1}]},{"id":"x"}]"#,
        &[("id text", "1\nx"), ("orders_id text, _position integer, a integer", "1|1|1")],
    );
    check(options(), "[]", &[("", ""), ("orders_id text, _position integer", "")]);
    check_error(
        options(),
        r#"[{"lines":[{"a":1}]}]"#,
        "record 1 of page 1 has no value for `id`, by which the rows of its lists find it",
    );
    check_error(
        options(),
        r#"[{"id":1,"lines":5}]"#,
        "`lines` of record 1 of page 1 is a number, where a list of rows was expected",
    );
    check_error(
        options(),
        r#"[{"id":1,"lines":[{"orders_id":5}]}]"#,
        "`orders.id` and `orders_id` would both become the column `orders_id`",
    );
}

#[test]
fn lists_in_lists_get_the_places_above_them() {
    let taxes = child("taxes", "taxes", FieldPlan::default());
    let lines = child("lines", "data.lines", FieldPlan { children: vec![taxes], ..FieldPlan::default() });
    check(
        stream(FieldPlan { children: vec![lines], ..FieldPlan::default() }),
        r#"[{"id":1,"data":{"lines":[{"a":1,"taxes":[{"t":5},{"t":6}]},{"a":2,"taxes":[{"t":7}]}],"o":true}}]"#,
        &[
            ("id integer, data_o boolean", "1|true"),
            ("orders_id integer, _position integer, a integer", "1|1|1\n1|2|2"),
            ("orders_id integer, lines_position integer, _position integer, t integer", "1|1|1|5\n1|1|2|6\n1|2|1|7"),
        ],
    );
}

#[test]
fn an_expanded_list_of_odata_version_2_is_unwrapped() {
    let fields = FieldPlan { children: vec![child("lines", "Lines", FieldPlan::default())], ..FieldPlan::default() };
    let options = Options { is_odata: true, ..stream(fields) };
    check(
        options,
        r#"[{"id":1,"Lines":{"results":[{"a":1},{"a":2}]}},{"id":2,"Lines":{"__deferred":{"uri":"x"}}}]"#,
        &[("id integer", "1\n2"), ("orders_id integer, _position integer, a integer", "1|1|1\n1|2|2")],
    );
}

#[test]
fn fields_are_selected_dropped_renamed_and_kept_whole() {
    let records = r#"[{"id":1,"who":{"name":"x","tags":{"a":1}},"meta":{"e":1,"f":2},"z":[1,2]}]"#;
    let check = |plan: FieldPlan, schema: &str, rows: &str| check(stream(plan), records, &[(schema, rows)]);
    let plan = FieldPlan::default;
    check(
        plan(),
        "id integer, who_name text, who_tags_a integer, meta_e integer, meta_f integer, z json",
        "1|x|1|1|2|[1,2]",
    );
    check(
        FieldPlan { drop: vec![path("meta"), path("who.tags"), path("z")], ..plan() },
        "id integer, who_name text",
        "1|x",
    );
    check(FieldPlan { select: vec![path("id"), path("meta.f")], ..plan() }, "id integer, meta_f integer", "1|2");
    check(FieldPlan { select: vec![path("who")], drop: vec![path("who.name")], ..plan() }, "who_tags_a integer", "1");
    check(
        FieldPlan { json: vec![path("who")], drop: vec![path("meta"), path("z")], ..plan() },
        "id integer, who json",
        r#"1|{"name":"x","tags":{"a":1}}"#,
    );
    check(
        FieldPlan {
            rename: vec![
                (path("id"), "number".to_owned()),
                (path("who"), "w".to_owned()),
                (path("meta.e"), "E".to_owned()),
            ],
            drop: vec![path("z")],
            ..plan()
        },
        "number integer, w_name text, w_tags_a integer, E integer, meta_f integer",
        "1|x|1|1|2",
    );
    check(
        FieldPlan {
            columns: [("w_name".to_owned(), kind("json"))].into(),
            rename: vec![(path("who"), "w".to_owned())],
            select: vec![path("who.name")],
            ..plan()
        },
        "w_name json",
        "\"x\"",
    );
}

fn with_contract(former: &[(&str, &str)], contract: Contract) -> Options {
    Options { contract, ..super::remembered(former) }
}

#[test]
fn a_contract_says_what_may_change() {
    let former = [("a", "integer")];
    let contract = |new_columns, changed_types| Contract { new_columns, changed_types, ..Contract::default() };
    let evolve = contract(NewColumns::Evolve, ChangedTypes::Widen);
    check(with_contract(&former, evolve), r#"[{"a":1.5,"b":2}]"#, &[("a decimal(18,4), b integer", "1.5|2")]);
    let drop = contract(NewColumns::Drop, ChangedTypes::Widen);
    check(with_contract(&former, drop), r#"[{"a":1,"b":2,"c":{"d":[3]}}]"#, &[("a integer", "1")]);
    let freeze = contract(NewColumns::Freeze, ChangedTypes::Fail);
    check(with_contract(&former, freeze), r#"[{"a":1},{}]"#, &[("a integer", "1\n∅")]);
    check_error(
        with_contract(&former, freeze),
        r#"[{"a":1},{"b":2}]"#,
        "record 2 of page 1 has the new field `b`, and the contract lets no column `b` appear",
    );
    check_error(
        with_contract(&former, freeze),
        r#"[{"a":"x"}]"#,
        "column `a` is integer, but record 1 of page 1 has `x`: the column had this type in the last snapshot, and the \
         contract keeps it",
    );
    // Without a former snapshot every column is the first of its kind.
    check(with_contract(&[], freeze), r#"[{"a":1,"b":"x"}]"#, &[("a integer, b text", "1|x")]);
}

fn quarantine(max: u64, fields: FieldPlan, pages: &[&str]) -> Result<(Vec<Table>, Vec<String>), String> {
    let contract = Contract { bad_records: BadRecords::Quarantine { max }, ..Contract::default() };
    let mut decoder = Decoder::new(Options { contract, ..stream(fields) }).map_err(|error| error.to_string())?;
    let mut bad = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        decoder.push(page.as_bytes(), at as u64 + 1).map_err(|error| error.to_string())?;
        while let Some(record) = decoder.next_bad() {
            bad.push(format!("{}: {} {}", record.place, record.reason, record.json));
        }
    }
    assert_eq!(decoder.bad_count(), bad.len() as u64);
    Ok((finish(&mut decoder).map_err(|error| error.to_string())?, bad))
}

#[test]
fn bad_records_are_set_aside_and_the_others_kept() {
    let fields = || FieldPlan {
        columns: [("n".to_owned(), kind("integer"))].into(),
        children: vec![child(
            "lines",
            "lines",
            FieldPlan { columns: [("q".to_owned(), kind("integer"))].into(), ..FieldPlan::default() },
        )],
        ..FieldPlan::default()
    };
    let pages = [
        r#"[{"id":1,"n":1,"lines":[{"q":1}]}, {"id":2,"lines":[{"q":7},{"q":"x"}],"n":2}, 5, {"id":3,"n":"y"}]"#,
        r#"[{"id":4,"n":4,"lines":[{"q":4},{"q":5}]},{"id":5,"n":1,"n":2}]"#,
    ];
    let (tables, bad) = quarantine(4, fields(), &pages).expect("tables");
    assert_eq!(tables[0].text(), "1|1\n4|4", "{}", tables[0].schema());
    assert_eq!(tables[1].text(), "1|1|1\n4|1|4\n4|2|5");
    assert_eq!(
        bad,
        [
            r#"record 2 of page 1: column `q` is integer, but record 2 of page 1 has `x`: it is no number {"id":2,"lines":[{"q":7},{"q":"x"}],"n":2}"#,
            "record 3 of page 1: record 3 of page 1 is a number, not an object 5",
            r#"record 4 of page 1: column `n` is integer, but record 4 of page 1 has `y`: it is no number {"id":3,"n":"y"}"#,
            r#"record 2 of page 2: record 2 of page 2 has the member `n` twice {"id":5,"n":1,"n":2}"#,
        ]
    );
    let error = quarantine(3, fields(), &pages).map(|_| ()).expect_err("too many");
    assert!(error.starts_with("4 records cannot become rows; the contract allows 3. The first: column `q`"), "{error}");
}
