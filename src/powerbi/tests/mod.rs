//! The texts of the kit, against files that people read: `HAUL_BLESS=1 cargo test --lib powerbi` writes them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::kit::Table;
use super::m::{self, Query, Variant};
use super::{FieldValue, Kit, KitError, Ranged, Reach, SignedField, TextFile, dataflow, pbids, pbip, query_files};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::csv_form::CsvForm;
use crate::model::manifest::{Manifest, ParentLink, Reference, ReferenceOrigin};

fn column(name: &str, kind: ColumnType) -> Column {
    Column { name: name.to_owned(), path: vec![name.to_owned()], kind, origin: TypeOrigin::Inferred }
}

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> Table {
    Table {
        name: name.to_owned(),
        columns: columns.iter().map(|(name, kind)| column(name, kind.parse().expect("a type"))).collect(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        parent: None,
        references: Vec::new(),
        csv: None,
        ranged: None,
    }
}

fn by_column(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(own, other)| ((*own).to_owned(), (*other).to_owned())).collect()
}

fn reference(to: &str, columns: &[(&str, &str)]) -> Reference {
    Reference { table: to.to_owned(), columns: by_column(columns), origin: ReferenceOrigin::Association }
}

fn container_share() -> Reach {
    let fixed =
        |name: &str, text: &str| SignedField { name: name.to_owned(), value: FieldValue::Fixed(text.to_owned()) };
    let parameter = |name: &str, of: &str, value: Option<&str>| SignedField {
        name: name.to_owned(),
        value: FieldValue::Parameter { name: of.to_owned(), value: value.map(str::to_owned) },
    };
    Reach::Signed {
        base: "https://contoso.blob.core.windows.net".to_owned(),
        folder: "tables/prod/sales".to_owned(),
        fields: vec![
            parameter("sv", "SasVersion", Some("2023-11-03")),
            fixed("sr", "c"),
            fixed("spr", "https"),
            parameter("si", "SasPolicy", Some("haul-sales-90d-m3v8q1x0zk")),
            parameter("sig", "SasSignature", None),
        ],
    }
}

/// What a job really has, and a table whose names no job can have: the writers must be right for any text.
fn kit() -> Kit {
    let mut orders = table(
        "orders",
        &[
            ("id", "integer"),
            ("customer_id", "integer"),
            ("amount", "decimal(18,4)"),
            ("weight", "decimal(20,6)"),
            ("ratio", "float"),
            ("is_paid", "boolean"),
            ("ordered_on", "date"),
            ("modified_at", "instant"),
            ("note", "text"),
            ("tags", "json"),
        ],
        &["id"],
    );
    orders.references = vec![reference("customers", &[("customer_id", "id")])];
    orders.ranged = Some(Ranged { column: "modified_at".to_owned(), years: 10, days: 30 });
    let mut lines = table(
        "order_lines",
        &[("order_id", "integer"), ("line", "integer"), ("customer_id", "integer"), ("price", "decimal(10,2)")],
        &["order_id", "line"],
    );
    lines.parent = Some(ParentLink { table: "orders".to_owned(), columns: by_column(&[("order_id", "id")]) });
    lines.references = vec![reference("customers", &[("customer_id", "id")])];
    let mut discounts = table("discounts", &[("order_id", "integer"), ("line", "integer"), ("percent", "float")], &[]);
    discounts.parent = Some(ParentLink {
        table: "order_lines".to_owned(),
        columns: by_column(&[("order_id", "order_id"), ("line", "line")]),
    });
    let mut rates = table(
        "rates",
        &[
            ("day", "date"),
            ("currency", "text"),
            ("rate", "decimal(12,6)"),
            ("is_official", "boolean"),
            ("at", "instant"),
        ],
        &["day", "currency"],
    );
    rates.csv = Some(CsvForm {
        delimiter: ';',
        decimal_point: ',',
        null_text: "NULL".to_owned(),
        date_format: Some("%d.%m.%Y".to_owned()),
        ..CsvForm::default()
    });
    let mut odd = table(
        "Größe \"L\" 'x'.y 🚚",
        &[
            ("each", "integer"),
            ("first name", "text"),
            ("say \"yes\"", "text"),
            ("it's", "text"),
            ("a.b", "decimal(9,2)"),
            ("column", "boolean"),
            ("#(lf)", "text"),
            ("Straße 🛣️", "text"),
            ("[x]]", "datetime"),
            ("=sum", "float"),
            ("// no comment", "date"),
        ],
        &["each"],
    );
    odd.references = vec![reference("customers", &[("each", "id")])];
    Kit {
        job: "sales".to_owned(),
        reach: container_share(),
        pointer: "_latest.json".to_owned(),
        status: "_status.json".to_owned(),
        tables: vec![
            odd,
            table("customers", &[("id", "integer"), ("name", "text"), ("parent_id", "integer")], &["id"]),
            discounts,
            lines,
            orders,
            rates,
        ],
    }
}

/// Compares with the expected file, or writes it.
fn expect(path: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expected/powerbi").join(path);
    if std::env::var_os("HAUL_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(&file, text).expect("the file is written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{path} differs; after reading it: `HAUL_BLESS=1 cargo test --lib powerbi`\n{text}");
}

#[test]
fn queries_are_those_that_people_have_read() {
    expect("m/shared.pq", &m::document(&m::queries(&kit(), Variant::Shared)));
    expect("m/self_contained.pq", &m::document(&m::queries(&kit(), Variant::SelfContained)));
    let orders = kit().table("orders").and_then(m::polling).expect("it is refreshed by ranges");
    expect("m/polling.pq", &format!("{orders}\n"));
    for (file, reach) in [
        ("m/open.pq", Reach::Open { base: "https://data.example.com".to_owned(), folder: "exports/sales".to_owned() }),
        ("m/folder.pq", Reach::Folder { path: "/srv/tables/sales".to_owned() }),
    ] {
        let of = Kit { reach, tables: Vec::new(), ..kit() };
        let Query { text, .. } = m::queries(&of, Variant::Shared).remove(0);
        expect(file, &format!("{text}\n"));
    }
}

/// All artefacts of a kit, by the path below the folder of expected files.
fn artefacts(kit: &Kit) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |folder: &str, files: Vec<TextFile>| {
        for file in files {
            let former = all.insert(format!("{folder}/{}", file.path), file.text);
            assert!(former.is_none(), "two files are called {}", file.path);
        }
    };
    add("queries", query_files(&m::queries(kit, Variant::Shared)));
    add("project", pbip::project(kit).files);
    add("dataflow", dataflow::files(kit));
    all.insert("sales.pbids".to_owned(), pbids::text(kit));
    all
}

#[test]
fn artefacts_are_those_that_people_have_read() {
    let kit = kit();
    for (path, text) in artefacts(&kit) {
        // The queries stand in `m/shared.pq` already.
        if !path.starts_with("queries/") {
            expect(&path, &text);
        }
    }
    expect("notes.txt", &format!("{}\n", pbip::project(&kit).notes.join("\n")));
}

#[test]
fn the_same_kit_gives_the_same_bytes_in_the_form_that_readers_want() {
    let all = artefacts(&kit());
    assert_eq!(all, artefacts(&kit()));
    for (path, text) in all {
        assert!(!text.starts_with('\u{feff}') && !text.contains('\r') && text.ends_with('\n'), "{path}");
        if path.ends_with(".tmdl") {
            for line in text.lines() {
                let indent = line.len() - line.trim_start_matches(['\t', ' ']).len();
                assert!(!line[..indent].contains(" \t"), "{path}: a tab behind a blank: {line:?}");
            }
        }
    }
}

#[test]
fn a_new_column_is_a_difference_of_that_column_only() {
    let before = artefacts(&kit());
    for at in [0, 3, 10] {
        let mut changed = kit();
        let orders = changed.tables.iter_mut().find(|table| table.name == "orders").expect("orders");
        orders.columns.insert(at, column("brand_new", ColumnType::Boolean));
        let after = artefacts(&changed);
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        let mut differing = Vec::new();
        for (path, text) in &after {
            let former = &before[path];
            if text == former {
                continue;
            }
            differing.push(path.as_str());
            let (added, removed) = difference(former, text);
            assert!(removed.is_empty(), "{path} loses {removed:?}");
            // The lines that name it, and of the model the lines of its description.
            let model = ["dataType: boolean", "formatString: ", "lineageTag: ", "summarizeBy: none", "annotation Summ"];
            for line in added {
                let is_its_own = line.contains("brand_new")
                    || line.is_empty()
                    || (path.ends_with(".tmdl") && model.iter().any(|start| line.trim_start().starts_with(start)));
                assert!(is_its_own, "{path} gains {line:?}");
            }
        }
        let expected =
            ["dataflow/mashup.pq", "project/sales.SemanticModel/definition/tables/orders.tmdl", "queries/orders.pq"];
        assert_eq!(differing, expected);
    }
}

/// Lines that came and lines that went, in a text that otherwise stayed: the longest common part by lines.
fn difference<'a>(before: &'a str, after: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = match a[i] == b[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < b.len() && (i == a.len() || common[i][j + 1] >= common[i + 1][j]) {
            added.push(b[j]);
            j += 1;
        } else {
            removed.push(a[i]);
            i += 1;
        }
    }
    (added, removed)
}

#[test]
fn parameters_that_somebody_filled_in_are_found_again() {
    let files = pbip::project(&kit()).files;
    let path = pbip::parameters_path("sales");
    let text = &files.iter().find(|file| file.path == path).expect("the parameters").text;
    let values = pbip::parameter_values(text);
    assert_eq!(values["SasVersion"], "2023-11-03");
    assert_eq!(values["SasSignature"], "");
    let pasted = text.replace("SasSignature = \"\"", "SasSignature = \"ab+c/d=\"").replace('\n', "\r\n");
    assert_eq!(pbip::parameter_values(&pasted)["SasSignature"], "ab+c/d=");
}

/// The error of a kit of one table, with these members of its manifest, or none.
fn refusal(table: &str, columns: &[(&str, &str)], more: serde_json::Value, range: Option<&str>) -> Option<KitError> {
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, kind)| serde_json::json!({ "name": name, "path": [name], "type": kind, "origin": "inferred" }))
        .collect();
    let mut entry = serde_json::json!({
        "columns": columns, "schema_hash": "", "key": [], "rows": 0, "bytes": 0, "format": "parquet",
        "as_of": "2026-01-01T00:00:00Z", "parts": [], "walks": [],
    });
    entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let manifest = serde_json::json!({
        "format_version": 1, "job": "sales", "snapshot": "s", "sequence": 1, "run": "r",
        "published_at": "2026-01-01T00:00:00Z", "previous": null, "config_hash": "", "tables": { table: entry },
    });
    let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
    let ranged = |column: &str| Ranged { column: column.to_owned(), years: 10, days: 30 };
    let ranges = range.map(|column| (table.to_owned(), ranged(column))).into_iter().collect();
    Kit::of(&manifest, &[], &ranges, container_share(), ["_latest.json", "_status.json"]).err()
}

#[test]
fn what_would_give_a_wrong_kit_gives_none() {
    let none = || serde_json::json!({});
    let csv = |name: &str, format: &str| {
        let mut form = serde_json::to_value(CsvForm::default()).expect("JSON");
        form[name] = format.into();
        serde_json::json!({ "format": "csv", "csv": form })
    };
    assert!(refusal("orders", &[("id", "integer"), ("at", "instant")], none(), Some("at")).is_none());
    let check = |error: Option<KitError>, says: &str| {
        let error = error.unwrap_or_else(|| panic!("a kit instead of `{says}`"));
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.hint().is_empty());
    };
    for taken in ["haul_snapshot", "haultable", "rangestart", "sassignature"] {
        check(refusal(taken, &[("id", "integer")], none(), None), "a name of haul's own");
    }
    check(refusal("orders", &[("Haul_Snapshot", "text")], none(), None), "which haul adds");
    check(refusal("orders", &[("a\nb", "text")], none(), None), "\"a\\nb\"");
    check(refusal("or\u{2028}ders", &[("a", "text")], none(), None), "no line can show");
    check(refusal("orders", &[("", "text")], none(), None), "no line can show");
    let analytics = serde_json::json!({ "profile": "analytics" });
    check(refusal("orders", &[("id", "integer")], analytics, None), "profile `analytics`");
    let day = [("day", "date")];
    assert!(refusal("orders", &day, csv("date_format", "%d.%m.%Y"), None).is_none());
    check(refusal("orders", &day, csv("date_format", "%d.%m.%Y"), Some("day")), "cannot compare");
    check(refusal("orders", &day, csv("date_format", "%Y-%j"), None), "spells dates as `%Y-%j`");
    check(refusal("orders", &[("at", "datetime")], csv("datetime_format", "%s"), None), "spells times as `%s`");
    check(refusal("orders", &day, none(), Some("other")), "no column `other`");
    check(refusal("orders", &[("id", "integer")], none(), Some("id")), "of type integer");
}
