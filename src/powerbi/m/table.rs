//! The steps of a table's query: read, choose, type. One column a line, so that a new one is a difference of its own line;
//! `haul_snapshot` is always the last.

use super::text::{literal, name};
use crate::model::column::ColumnType;
use crate::powerbi::kit::{FUNCTION, RANGE, Ranged, SNAPSHOT, Table};
use crate::powerbi::types::{Kind, spelling};

/// Columns of the snapshot table.
pub(crate) const SNAPSHOT_COLUMNS: [(&str, Kind); 7] = [
    ("job", Kind::Text),
    ("snapshot", Kind::Text),
    ("run", Kind::Text),
    ("published_at", Kind::DateTime),
    ("last_run", Kind::Text),
    ("last_outcome", Kind::Text),
    ("last_run_at", Kind::DateTime),
];

pub(super) fn steps(table: &Table) -> Vec<(&'static str, String)> {
    let call = match &table.ranged {
        Some(Ranged { column, .. }) => {
            let [start, end] = RANGE;
            format!("{FUNCTION}({}, {}, {start}, {end})", literal(&table.name), literal(column))
        }
        None => format!("{FUNCTION}({})", literal(&table.name)),
    };
    let mut steps = vec![("Source", call)];
    let names = table.columns.iter().map(|column| literal(&column.name)).chain([literal(SNAPSHOT)]);
    steps.push(("Chosen", lines("Table.SelectColumns(Source, ", names, ", MissingField.UseNull)")));
    let spelled: Vec<String> = table
        .columns
        .iter()
        .filter_map(|column| {
            // A spelling that cannot be read back makes no kit.
            let format = spelling(table, column).ok()??;
            let (of, kind) = match column.kind {
                ColumnType::Date => ("Date", "date"),
                _ => ("DateTime", "datetime"),
            };
            let options = format!("[Format = {}, Culture = \"en-US\"]", literal(&format));
            Some(format!("{{{}, each {of}.FromText(_, {options}), type nullable {kind}}}", literal(&column.name)))
        })
        .collect();
    let mut last = "Chosen";
    if !spelled.is_empty() {
        steps.push(("Spelled", lines("Table.TransformColumns(Chosen, ", spelled.into_iter(), ")")));
        last = "Spelled";
    }
    let types = table.columns.iter().map(|column| (column.name.as_str(), Kind::of(column.kind)));
    steps.push(("Typed", typed(last, types.chain([(SNAPSHOT, Kind::Text)]))));
    steps
}

pub(super) fn snapshot_steps() -> Vec<(&'static str, String)> {
    let call = format!("{FUNCTION}({})", literal(SNAPSHOT));
    vec![("Source", call), ("Typed", typed("Source", SNAPSHOT_COLUMNS.into_iter()))]
}

fn typed<'a>(step: &str, types: impl Iterator<Item = (&'a str, Kind)>) -> String {
    let pairs = types.map(|(column, kind)| format!("{{{}, {}}}", literal(column), kind.in_m()));
    lines(&format!("Table.TransformColumnTypes({}, ", name(step)), pairs, ", \"en-US\")")
}

/// A list with an item a line, between what stands before and behind it.
fn lines(before: &str, items: impl Iterator<Item = String>, behind: &str) -> String {
    let items: Vec<String> = items.map(|item| format!("        {item}")).collect();
    format!("{before}{{\n{}\n    }}{behind}", items.join(",\n"))
}
