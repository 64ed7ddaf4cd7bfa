//! What a job says about the fields of records: the binary against a scripted API, read back by DuckDB.

#![allow(missing_docs)]

mod support;

use serde_json::{Value, json};
use support::one_page::OnePage;

fn orders() -> Value {
    json!([
        { "id": 1, "state": "open", "net": 10.5, "qty": 3, "who": { "name": "a", "mail": "a@x" }, "etag": "1",
          "lines": [{ "sku": "x", "n": 1, "tax": [{ "rate": 21 }, { "rate": 9 }] }, { "sku": "y", "n": 2 }] },
        { "id": 2, "state": "draft", "net": 1, "qty": 1, "who": { "name": "b", "mail": null }, "etag": "2", "lines": [] },
        { "id": 3, "state": "paid", "net": 0.25, "qty": 4, "who": null, "etag": "3", "lines": [{ "sku": "z", "n": 3 }] },
    ])
}

const ORDERS: &str = "\
key: [id]
filter: record.state != 'draft'
select: [id, state, net, qty, who.name]
rename: { who.name: customer }
add: { total: '{{ record.net * record.qty }}', source: shop, label: '{{ record.id }}-{{ record.state }}', read_at: '{{ run.started_at }}' }
tables:
  - name: order_lines
    from: lines
    columns: { n: 'decimal(18,4)' }
    tables: [{ name: order_taxes, from: tax }]
";

#[test]
fn a_job_shapes_its_tables() {
    let scene = OnePage::new(ORDERS, orders());
    let report = scene.run();
    let columns = [
        "id integer",
        "state text",
        "net decimal(18,4)",
        "qty integer",
        "customer text",
        "read_at instant",
        "source text",
        "label text",
        "total decimal(18,4)",
    ];
    assert_eq!(scene.columns("items"), columns);
    let started = report["started_at"].as_str().expect("a time");
    let rows: Vec<String> = scene
        .rows("items")
        .iter()
        .map(|row| {
            let mut cells: Vec<&str> = row.split('|').collect();
            let read_at = cells.remove(5);
            assert!(started.starts_with(&read_at.replace(' ', "T")[..19]), "{read_at} is not {started}");
            cells.join("|")
        })
        .collect();
    assert_eq!(rows, ["1|open|10.5000|3|a|shop|1-open|31.5000", "3|paid|0.2500|4|null|shop|3-paid|1.0000"]);
    assert_eq!(scene.rows("order_lines"), ["1|1|x|1.0000", "1|2|y|2.0000", "3|1|z|3.0000"]);
    assert_eq!(scene.rows("order_taxes"), ["1|1|1|21", "1|1|2|9"]);
    assert_eq!(
        scene.columns("order_taxes"),
        ["items_id integer", "order_lines_position integer", "_position integer", "rate integer"]
    );
    let manifest = scene.manifest();
    assert_eq!(manifest["tables"]["order_lines"]["key"], json!(["items_id", "_position"]));
    assert_eq!(
        manifest["tables"]["order_lines"]["parent"],
        json!({ "table": "items", "columns": { "items_id": "id" } })
    );
    assert_eq!(report["tables"]["items"]["filtered"], 1);
    assert_eq!(report["tables"]["items"]["rows"], 2);
    assert_eq!(report["tables"]["order_lines"]["rows"], 3);
    // An empty source keeps the columns of all tables.
    scene.set(json!([]));
    scene.say_also(ORDERS, "publish: { require: { '*': { empty: allow } } }\n");
    scene.run();
    assert_eq!(scene.rows("order_lines"), [""; 0]);
    assert_eq!(scene.columns("items"), columns);
    assert_eq!(scene.columns("order_lines"), ["items_id integer", "_position integer", "sku text", "n decimal(18,4)"]);
    let shown = scene.place.haul(&["preview", &scene.file]).expect_code(0);
    assert!(shown.stdout.contains("order_taxes:"), "{}", shown.stdout);
}

#[test]
fn a_csv_has_the_child_tables_too() {
    let scene = OnePage::new(
        "key: [id]\ntables: [{ name: order_lines, from: lines, drop: [tax] }]\ndrop: [who, etag]\n",
        orders(),
    );
    let job = std::fs::read_to_string(&scene.file).expect("the job") + "  format: csv\n";
    scene.place.file("job.yaml", &job);
    scene.run();
    let alias = std::fs::read_to_string(scene.place.path("out/test/order_lines/current.csv")).expect("the alias");
    assert_eq!(alias, "\u{feff}items_id,_position,sku,n\r\n1,1,x,1\r\n1,2,y,2\r\n3,1,z,3\r\n");
}

#[test]
fn lists_are_merged_with_their_records() {
    let stream = "\
params: { since: '{{ cursor }}' }
incremental: { cursor: changed, start: 0 }
key: [id]
tables: [{ name: order_lines, from: lines }]
";
    let order = |id: i64, changed: i64, lines: &[&str]| json!({ "id": id, "changed": changed, "lines": lines });
    let scene = OnePage::new(stream, json!([order(1, 1, &["a", "b"]), order(2, 2, &["c"]), order(3, 3, &[])]));
    scene.run();
    assert_eq!(scene.rows("order_lines"), ["1|1|a", "1|2|b", "2|1|c"]);
    // One order changed twice within the read, one lost its lines, one is new; an older state of 3 comes late.
    scene.set(json!([
        order(1, 5, &["old"]),
        order(2, 6, &[]),
        order(4, 7, &["n1", "n2"]),
        order(1, 8, &["new", "newer"]),
        order(3, 2, &["stale"]),
    ]));
    let report = scene.run();
    let sorted = |table: &str| {
        let mut rows = scene.rows(table);
        rows.sort();
        rows
    };
    assert_eq!(sorted("items"), ["1|8", "2|6", "3|3", "4|7"]);
    assert_eq!(sorted("order_lines"), ["1|1|new", "1|2|newer", "4|1|n1", "4|2|n2"]);
    assert_eq!(scene.columns("order_lines"), ["items_id integer", "_position integer", "value text"]);
    assert_eq!(report["tables"]["order_lines"]["merge"]["updated"], 3);
    // Nothing new: nothing changes.
    scene.set(json!([]));
    scene.run();
    assert_eq!(sorted("order_lines").len(), 4);
    // A key that becomes text takes the former rows with it.
    scene.set(json!([{ "id": "x", "changed": 9, "lines": ["t"] }, order(4, 10, &["again"])]));
    scene.run();
    assert_eq!(sorted("order_lines"), ["1|1|new", "1|2|newer", "4|1|again", "x|1|t"]);
}

#[test]
fn names_of_an_incremental_table_change_in_case_alone() {
    let stream = "params: { since: '{{ cursor }}' }\nincremental: { cursor: changed, start: 0 }\nkey: [id]\n\
                  tables: [{ name: order_lines, from: lines }]\n";
    let order = |id: i64, changed: i64| json!({ "id": id, "changed": changed, "note": "n", "lines": [id] });
    let scene = OnePage::new(stream, json!([order(1, 1), order(2, 2)]));
    scene.run();
    scene.set(json!([order(2, 3), order(3, 4)]));
    scene.say(&format!("{stream}rename: {{ note: remark }}\n"));
    scene.place.haul(&["run", &scene.file]).expect_code(2).expect_says(&[
        "table `items`: column `note` is `remark` now, and its former rows keep the old name",
        "haul run --full",
    ]);
    scene.say(&format!("{stream}columns: {{ ID: integer, Changed: integer }}\n"));
    scene.run();
    let columns = ["ID integer", "Changed integer", "note text"];
    assert_eq!((scene.columns("items"), scene.rows("items").len()), (columns.map(str::to_owned).to_vec(), 3));
    let mut rows = scene.rows("order_lines");
    rows.sort();
    assert_eq!(rows, ["1|1|1", "2|1|2", "3|1|3"]);
}

#[test]
fn a_key_that_was_there_twice_is_updated_once() {
    let scene =
        OnePage::new("", json!([{ "id": 1, "changed": 1 }, { "id": 1, "changed": 2 }, { "id": 2, "changed": 2 }]));
    scene.run();
    scene.say("incremental: { cursor: changed, start: 0 }\nparams: { since: '{{ cursor }}' }\nkey: [id]\n");
    scene.set(json!([{ "id": 1, "changed": 3 }, { "id": 3, "changed": 3 }]));
    let merge = scene.run()["tables"]["items"]["merge"].clone();
    assert_eq!((&merge["updated"], &merge["inserted"]), (&json!(2), &json!(1)), "{merge}");
    assert_eq!(scene.rows("items").len(), 3);
}

#[test]
fn a_row_that_would_be_a_blank_line_is_refused() {
    let scene = OnePage::new("select: [a]\n", json!([{ "a": "x" }, { "a": null }]));
    let job = std::fs::read_to_string(&scene.file).expect("the job") + "  format: csv\n";
    scene.place.file("job.yaml", &job);
    scene.run_fails().expect_says(&["`a` is the only column and null in a row", "null_text"]);
    scene.place.file("job.yaml", &(job + "  csv: { null_text: 'NULL' }\n"));
    scene.run();
    let alias = std::fs::read_to_string(scene.place.path("out/test/items/current.csv")).expect("the alias");
    assert_eq!(alias, "\u{feff}a\r\nx\r\nNULL\r\n");
}

#[test]
fn a_new_list_of_an_incremental_stream_asks_for_a_full_read() {
    let stream = "params: { since: '{{ cursor }}' }\nincremental: { cursor: changed, start: 0 }\nkey: [id]\n";
    let scene = OnePage::new(stream, json!([{ "id": 1, "changed": 1, "lines": ["a"] }]));
    scene.run();
    scene.say(&format!("{stream}tables: [{{ name: order_lines, from: lines }}]\n"));
    scene.set(json!([{ "id": 2, "changed": 2, "lines": ["b"] }]));
    scene.run_fails().expect_says(&["table `order_lines` is new", "haul run --full"]);
    scene.set(json!([{ "id": 1, "changed": 1, "lines": ["a"] }, { "id": 2, "changed": 2, "lines": ["b"] }]));
    scene.place.haul(&["run", &scene.file, "--full"]).expect_code(0);
    assert_eq!(scene.rows("order_lines"), ["1|1|a", "2|1|b"]);
}

#[test]
fn a_contract_holds_against_the_last_snapshot() {
    let scene = OnePage::new("contract: { new_columns: freeze, changed_types: fail }\n", json!([{ "a": 1 }]));
    scene.run();
    scene.set(json!([{ "a": 2 }, { "a": 3, "b": 1 }]));
    scene.run_fails().expect_says(&["record 2 of page 1 has the new field `b`", "haul run --full"]);
    scene.set(json!([{ "a": 2 }, { "a": 2.5 }]));
    scene.run_fails().expect_says(&["record 2 of page 1 has `2.5`", "the contract keeps it"]);
    assert_eq!(scene.rows("items"), ["1"]);
    scene.say("contract: { new_columns: drop }\n");
    scene.set(json!([{ "a": 2.5, "b": { "c": 1 } }]));
    let report = scene.run();
    assert_eq!(report["tables"]["items"]["fields_left_out"], json!(["b.c"]));
    assert_eq!(
        report["tables"]["items"]["schema_changes"],
        json!([{ "change": "retyped", "column": "a", "from": "integer", "to": "decimal(18,4)", "because": "`2.5` in record 1 of page 1" }])
    );
    assert_eq!(scene.rows("items"), ["2.5000"]);
}

#[test]
fn bad_records_go_to_a_file() {
    let stream = "columns: { a: integer }\ncontract: { bad_records: { quarantine: 2 } }\n";
    let scene = OnePage::new(stream, json!([{ "a": 1 }, { "a": "x", "b": "line\nbreak" }, 7, { "a": 4 }]));
    let report = scene.run();
    assert_eq!(scene.rows("items"), ["1", "4"]);
    let quarantine = &report["tables"]["items"]["quarantine"];
    assert_eq!(quarantine["records"], 2);
    assert_eq!(scene.manifest()["tables"]["items"]["bad_records"], 2);
    let file = scene.place.path("out/test").join(quarantine["path"].as_str().expect("a path"));
    let lines: Vec<Value> = std::fs::read_to_string(&file)
        .expect("the file")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["json"], json!({ "a": "x", "b": "line\nbreak" }));
    assert_eq!(lines[0]["record"], 2);
    assert!(lines[0]["reason"].as_str().expect("a reason").contains("`x`: it is no number"));
    assert_eq!(lines[1]["json"], 7);
    // More than the contract allows: nothing is published, and the file is there to look into.
    scene.set(json!([{ "a": "x" }, { "a": "y" }, { "a": "z" }]));
    let done = scene.run_fails().expect_says(&["3 records cannot become rows; the contract allows 2", "quarantine"]);
    let left = std::fs::read_dir(file.parent().expect("a folder")).expect("the folder").count();
    assert_eq!(left, 2, "{done:?}");
    assert_eq!(scene.rows("items"), ["1", "4"]);
}

#[test]
fn the_schema_of_a_job_is_shown_with_its_reasons() {
    let scene = OnePage::new(ORDERS, orders());
    scene.run();
    scene.set(json!([{ "id": "A7", "state": "open", "net": 1, "qty": 2, "who": { "name": 5 }, "lines": [{ "extra": true }] }]));
    let shown = scene.place.haul(&["schema", &scene.file]).expect_code(0);
    for text in [
        "as in the last snapshot; integer became text by `A7` in record 1 of page 1",
        "who.name",
        "declared in the job",
        "from its values: `true` in record 1 of page 1",
    ] {
        assert!(shown.stdout.contains(text), "{text} is not in {}", shown.stdout);
    }
    assert!(shown.stderr.contains("table `order_lines`: new column `extra` (boolean)"), "{}", shown.stderr);
    let schema = scene.place.haul(&["schema", &scene.file, "--json", "--full"]).expect_code(0).json();
    assert_eq!(schema["tables"][0]["columns"][0]["why"], "from its values: `A7` in record 1 of page 1");
    assert_eq!(schema["tables"][1]["changes"], json!([]));
    // Nothing was published by it, and without a job it is the schema of job files.
    assert_eq!(scene.columns("items")[0], "id integer");
    assert!(
        scene.place.haul(&["schema"]).expect_code(0).stdout.contains("JSON Schema")
            || scene.place.haul(&["schema"]).stdout.contains("$schema")
    );
}

#[test]
fn expressions_that_fail_name_the_record() {
    let scene = OnePage::new("add: { n: '{{ record.a + 1 }}' }\n", json!([{ "a": 1 }, { "a": "x" }]));
    scene.run_fails().expect_says(&["record 2 of page 1", "add.n"]);
    scene.say("filter: recrod.a > 1\n");
    scene.place.haul(&["check", &scene.file]).expect_code(2).expect_says(&["streams[0].filter", "recrod"]);
    scene.say("filter: 'record.a >'\n");
    scene.place.haul(&["check", &scene.file]).expect_code(2).expect_says(&["the expression cannot be read"]);
    scene.say("add: { a: 5 }\n");
    scene.run_fails().expect_says(&["`a` of the job and `a`", "would both become"]);
}

#[test]
fn mistakes_about_fields_are_told_together() {
    let scene = OnePage::new(
        "\
select: [a, '']
drop: [a]
rename: { b: 1st }
nested: { c: keep }
tables: [{ name: items, from: lines }, { name: Bad, from: x }]
contract: { new_columns: allow }
",
        json!([]),
    );
    scene.place.haul(&["check", &scene.file]).expect_code(2).expect_says(&[
        "streams[0].select[1]",
        "`a` is kept under `select` and left out under `drop`",
        "`1st` cannot be a column's name",
        "streams[0].nested.c",
        "a second table is named `items`",
        "`Bad` cannot be a table's name",
        "streams[0].contract.new_columns",
        "name the columns that identify a record under the stream's `key`",
    ]);
}
