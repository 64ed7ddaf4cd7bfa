//! Which columns identify a record, as far as the first rows tell.

use std::collections::HashSet;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::json;

use crate::engine::preview::Preview;
use crate::job::draft::{Said, StreamDraft};
use crate::model::column::ColumnType;

/// Rows from which on it says something that no value stands twice.
const ROWS_TELLING: usize = 2;

/// Writes a key where one column has another value in every row and is named as keys are.
pub(super) fn settle(stream: &mut StreamDraft, shown: &Preview) {
    if stream.key.is_some() {
        return;
    }
    let Some(rows) = &shown.rows else { return };
    let candidates =
        shown.columns.iter().enumerate().filter(|(_, column)| {
            matches!(column.kind, ColumnType::Integer | ColumnType::Text) && column.path.len() == 1
        });
    let mut named: Vec<(usize, usize)> =
        candidates.filter_map(|(at, column)| Some((rank(&column.name, &stream.name)?, at))).collect();
    named.sort_unstable();
    let unique = named.iter().map(|(_, at)| *at).find(|at| is_unique(rows, *at));
    match unique {
        Some(at) if rows.num_rows() >= ROWS_TELLING => {
            let why = format!("`{}` has a value of its own in each of the first {} rows.", shown.columns[at].name, rows.num_rows());
            stream.key = Some(Said::new(json!([shown.columns[at].name]), why));
        }
        Some(at) => stream.notes.push(format!(
            "A key was not found in so few rows; perhaps\n  key: [{}]",
            crate::job::draft::flow(&json!(shown.columns[at].name))
        )),
        None => stream.notes.push(
            "No column named like a key has a value of its own in every row. If several together identify a record:\n  key: [one, two]"
                .to_owned(),
        ),
    }
}

/// How much a name looks like that of a key; `None` = not at all.
fn rank(name: &str, stream: &str) -> Option<usize> {
    let plain = name.to_ascii_lowercase().replace(['_', '-'], "");
    let stream = stream.replace('_', "");
    let one = stream.strip_suffix('s').unwrap_or(&stream);
    let usual = ["id", "uuid", "guid", "key", "code", "number", "no", "name"];
    if let Some(at) = usual[..4].iter().position(|usual| *usual == plain) {
        return Some(at);
    }
    if plain == format!("{one}id") || plain == format!("{stream}id") {
        return Some(4);
    }
    if plain.ends_with("uuid") || plain.ends_with("guid") {
        return Some(5);
    }
    if plain.ends_with("id") && (name.ends_with("_id") || name.ends_with("Id") || name.ends_with("ID")) {
        return Some(6);
    }
    usual[4..7].iter().position(|usual| *usual == plain || plain == format!("{one}{usual}")).map(|at| 7 + at)
}

fn is_unique(rows: &RecordBatch, at: usize) -> bool {
    let column = rows.column(at);
    let options = FormatOptions::new();
    let Ok(formatter) = ArrayFormatter::try_new(column.as_ref(), &options) else { return false };
    let mut seen = HashSet::new();
    (0..column.len()).all(|row| !column.is_null(row) && seen.insert(formatter.value(row).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_more_or_less_like_keys() {
        let order = ["id", "uuid", "order_id", "row_guid", "customer_id", "code"];
        let ranks: Vec<_> = order.iter().map(|name| rank(name, "orders").expect("a key")).collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
        for name in ["paid", "title", "valid", "total", "name"] {
            assert_eq!(rank(name, "orders"), None, "{name}");
        }
    }
}
