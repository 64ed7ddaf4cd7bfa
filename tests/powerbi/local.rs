//! A folder of this machine: CSV in its forms, manifests of other versions, names that other makers of manifests give.

use serde_json::{Value, json};

use super::scene::{Scene, check, evaluate, expect_right, orders, rows_of, text};

/// Columns of a row that a CSV file cannot tell apart from one another are compared as the file has them.
fn shown(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    let cell = |value: &Value| match value {
        Value::String(text) => text.replace("\r\n", "\n"),
        value => value.to_string(),
    };
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

fn read(scene: &Scene, table: &str) -> Vec<Vec<Value>> {
    let seen = evaluate(&json!({ "queries": scene.queries(&[]), "evaluate": [table] }));
    assert!(!seen["files"].as_array().expect("files").is_empty(), "{seen:#}");
    rows_of(&seen["results"][table], text(&scene.manifest(), "snapshot"))
}

#[test]
fn a_folder_is_read_without_a_store() {
    let scene = Scene::in_folder("");
    let manifest = scene.manifest();
    for table in ["orders", "order_lines", "nothing", "events"] {
        super::scene::expect_same(&read(&scene, table), &scene.rows(&manifest, table, None));
    }
}

#[test]
fn csv_in_every_form_reads_as_parquet_does() {
    let parquet = Scene::in_folder("");
    let tables = ["orders", "order_lines", "customers", "nothing", "events"];
    let expect: Vec<_> = tables.iter().map(|table| shown(&read(&parquet, table))).collect();
    for form in [
        "{}",
        "{ delimiter: \";\", decimal_point: \",\", bom: false, line_end: lf }",
        "{ header: false, quotes: all, null_text: \"NULL\" }",
        "{ delimiter: \"|\", quotes: strings, true_text: \"yes\", false_text: \"no\", null_text: \"\\\\N\" }",
        "{ delimiter: \"\\t\", date_format: \"%d.%m.%Y\", datetime_format: \"%d.%m.%Y %H:%M:%S%.f\" }",
    ] {
        let scene = Scene::as_csv(form);
        expect_right(&json!({ "csv": { "queries": scene.queries(&[]) } }));
        for (table, expect) in tables.iter().zip(&expect) {
            assert_eq!(&shown(&read(&scene, table)), expect, "{table} as {form}");
        }
    }
}

/// Excel refuses every query with a name that it does not know, used or not.
#[test]
fn excel_knows_every_name_of_a_query_that_reads_csv() {
    let [csv, parquet] = [Scene::as_csv("{}"), Scene::in_folder("")];
    let alone = csv.queries(&["--self-contained"]);
    expect_right(
        &json!({ "alone": { "queries": alone, "excel": true }, "shared": { "queries": csv.queries(&[]), "excel": true } }),
    );
    let told = check(&json!({ "parquet": { "queries": parquet.queries(&["--self-contained"]), "excel": true } }));
    assert!(told["parquet"].iter().any(|what| what.contains("Parquet.Document")), "{told:?}");
}

#[test]
fn a_newer_format_is_refused_and_told() {
    let scene = Scene::in_folder("");
    let queries = scene.queries(&[]);
    for name in ["_latest.json".to_owned(), text(&json!({ "manifest": manifest_path(&scene) }), "manifest").to_owned()]
    {
        let path = scene.place.path(&format!("out/sales/{name}"));
        let right = std::fs::read_to_string(&path).expect("a file");
        let mut newer: Value = serde_json::from_str(&right).expect("JSON");
        newer["format_version"] = 2.into();
        std::fs::write(&path, newer.to_string()).expect("written");
        let seen = evaluate(&json!({ "queries": queries, "evaluate": ["orders"] }));
        let error = &seen["results"]["orders"]["error"];
        assert_eq!(error["reason"], "haul.NewerFormat", "{seen:#}");
        assert!(text(error, "message").contains("format 2"), "{error}");
        std::fs::write(&path, right).expect("written");
    }
    let mut asked = queries.clone();
    asked["lost"] = "HaulTable(\"ordres\")".into();
    let seen = evaluate(&json!({ "queries": asked, "evaluate": ["lost", "orders"] }));
    let error = &seen["results"]["lost"]["error"];
    assert_eq!(error["reason"], "haul.NoSuchTable");
    assert!(text(error, "message").contains("ordres") && text(error, "detail").contains("order_lines"), "{error}");
    assert!(seen["results"]["orders"]["rows"].is_array());
}

fn manifest_path(scene: &Scene) -> String {
    let pointer = std::fs::read(scene.place.path("out/sales/_latest.json")).expect("a pointer");
    text(&serde_json::from_slice(&pointer).expect("JSON"), "manifest").to_owned()
}

#[test]
fn a_new_column_changes_its_own_lines_alone() {
    let scene = Scene::in_folder("");
    let make = || {
        scene.place.haul(&["powerbi", "pbip", &scene.file, "--out", "report"]).expect_code(0);
        scene.place.haul(&["powerbi", "m", &scene.file, "--out", "queries"]).expect_code(0);
        scene.place.haul(&["powerbi", "dataflow", &scene.file, "--out", "flow"]).expect_code(0);
        let folders = ["report", "queries", "flow"].into_iter();
        let files = folders.flat_map(|folder| scene.place.contents(folder));
        // What haul remembers of its own files are their checksums.
        let is_kits =
            |path: &std::path::Path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with(".haul-"));
        files.filter(|(path, _)| is_kits(path)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let first = make();
    assert_eq!(make(), first, "nothing changed, and the files did");
    let mut records = orders();
    for record in records.as_array_mut().expect("records") {
        // In the middle: the fields of the records are in the order of their names.
        record["discount_code"] = json!("x");
    }
    scene.set("/orders", records);
    scene.run();
    let second = make();
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    let mut changed = Vec::new();
    for (path, before) in &first {
        let lines = |bytes: &[u8]| -> Vec<String> {
            String::from_utf8(bytes.to_vec()).expect("UTF-8").lines().map(str::to_owned).collect()
        };
        let (before, after) = (lines(before), lines(&second[path]));
        if before == after {
            continue;
        }
        changed.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        // Without the lines that came, in one or more blocks, it is the same file.
        let mut rest = before.iter().peekable();
        let new: Vec<&String> = after.iter().filter(|line| rest.next_if_eq(line).is_none()).collect();
        assert!(rest.next().is_none(), "{}: lines went: {before:#?} to {after:#?}", path.display());
        let about = new.iter().filter(|line| line.contains("discount_code")).count();
        assert!((1..=12).contains(&new.len()) && about > 0, "{}: {new:#?}", path.display());
    }
    changed.sort();
    assert_eq!(changed, ["mashup.pq", "orders.pq", "orders.tmdl"]);
}

/// Names that haul itself gives to no column: whoever makes manifests may.
const NAMES: [&str; 13] = [
    "first name",
    "say \"yes\"",
    "it's",
    "a.b",
    "each",
    "table",
    "Größe",
    "🚚 sent",
    "x]y",
    "#(lf)",
    "1st",
    "in = out",
    "a:b",
];

#[test]
fn odd_names_of_columns_and_tables_pass_every_checker() {
    let scene = Scene::in_folder("");
    let path = scene.place.path(&format!("out/sales/{}", manifest_path(&scene)));
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    let like = manifest["tables"]["customers"].clone();
    let column = like["columns"][1].clone();
    let columns: Vec<Value> = NAMES
        .iter()
        .map(|name| {
            let mut column = column.clone();
            column["name"] = (*name).into();
            column
        })
        .collect();
    for name in NAMES {
        let mut table = like.clone();
        table["columns"] = columns.clone().into();
        table["key"] = json!([NAMES[0]]);
        manifest["tables"][name] = table;
    }
    std::fs::write(&path, manifest.to_string()).expect("written");
    let document = scene.place.haul(&["powerbi", "m", &scene.file]).expect_code(0).stdout;
    let alone = scene.place.haul(&["powerbi", "m", &scene.file, "🚚 sent", "--self-contained"]).expect_code(0).stdout;
    expect_right(&json!({ "all": { "document": document }, "one": { "queries": { "one": alone } } }));
    let seen = evaluate(&json!({ "document": document, "evaluate": NAMES }));
    for name in NAMES {
        let result = &seen["results"][name];
        let names: Vec<&str> =
            result["columns"].as_array().expect("columns").iter().map(|one| text(one, "name")).collect();
        assert_eq!(names[..NAMES.len()], NAMES, "{name}");
        // The files have none of these columns.
        let rows = rows_of(result, text(&manifest, "snapshot"));
        assert!(rows.len() == 2 && rows.iter().flatten().all(Value::is_null), "{rows:?}");
    }
    scene.place.haul(&["powerbi", "pbip", &scene.file, "--out", "report"]).expect_code(0);
    let checked = super::projects::check(&scene.place.path("report"));
    assert_eq!(checked["problems"], json!([]), "{checked:#}");
    for name in NAMES {
        assert!(checked["tables"].get(name).is_some(), "{name}");
    }
}
