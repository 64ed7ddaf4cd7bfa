//! What a published table holds, part by part as the manifest lists them.

use std::collections::BTreeMap;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

pub(crate) type Row = BTreeMap<String, Value>;

pub(crate) fn manifest(folder: &Path) -> Value {
    let parse = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.join(name)).expect("a file")).expect("JSON")
    };
    let pointer = parse("_latest.json");
    parse(pointer["manifest"].as_str().expect("a path"))
}

/// All rows of a table; times are microseconds.
pub(crate) fn rows(folder: &Path, table: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for part in manifest(folder)["tables"][table]["parts"].as_array().expect("parts") {
        let file = std::fs::File::open(folder.join(part["path"].as_str().expect("a path"))).expect("a part");
        let reader = SerializedFileReader::new(file).expect("Parquet");
        let before = rows.len();
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            let value = |field: &Field| match field {
                Field::Null => Value::Null,
                Field::Long(number) | Field::TimestampMicros(number) => json!(number),
                Field::Bool(flag) => json!(flag),
                Field::Str(text) => json!(text),
                other => panic!("an unknown field {other:?}"),
            };
            rows.push(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect());
        }
        assert_eq!(part["rows"], json!(rows.len() - before), "{part}");
    }
    rows
}

/// Values of one column, sorted as texts.
pub(crate) fn column(folder: &Path, table: &str, name: &str) -> Vec<String> {
    let mut values: Vec<String> = rows(folder, table).iter().map(|row| row[name].to_string()).collect();
    values.sort();
    values
}
