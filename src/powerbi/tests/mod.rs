//! The texts of the kit, against files that people read: `HAUL_BLESS=1 cargo test --lib powerbi` writes them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::m::{self, Query, Variant};
use super::{FieldValue, Kit, Reach, SignedField, Table};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::csv_form::CsvForm;
use crate::model::manifest::{ParentLink, Reference, ReferenceOrigin};

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
        range_column: None,
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
    orders.range_column = Some("modified_at".to_owned());
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
