//! Where the records of an unknown answer stand: the list that is named as records are, or else the longest one.

use serde_json::json;

use super::Guess;
use crate::source::envelope::{ArrayFound, Envelope};
use crate::source::error::Error;
use crate::source::records::shown;

/// Names of lists that hold records wherever they are seen, the surest first.
const USUAL: &[&str] = &[
    "value", "results", "data", "items", "records", "rows", "content", "entries", "nodes", "objects", "list",
    "elements", "hits", "entities",
];
/// Names of lists that stand beside records and may be longer than these.
const BESIDE: &[&str] = &[
    "links",
    "_links",
    "errors",
    "warnings",
    "messages",
    "facets",
    "included",
    "aggregations",
    "meta",
    "actions",
    "sort",
    "columns",
    "fields",
    "filters",
];

pub(super) struct Found {
    /// Absent = the answer itself is the list.
    pub at: Option<Guess>,
    pub count: u64,
    pub notes: Vec<String>,
}

pub(super) fn find(envelope: &Envelope) -> Result<Found, Error> {
    let mut lists: Vec<&ArrayFound> =
        envelope.arrays.iter().filter(|array| array.is_of_objects && !is_beside(array)).collect();
    // Of equal lists the first: the sort is stable.
    lists.sort_by_key(|array| (array.items == 0, usual_place(array), array.path.len(), std::cmp::Reverse(array.items)));
    let of_values = envelope.arrays.iter().find(|array| !array.is_of_objects && array.items > 0 && !is_beside(array));
    let Some(best) = lists.first() else { return single(envelope) };
    if let Some(array) = of_values.filter(|_| best.items == 0) {
        let what = if array.path.is_empty() { "the answer".to_owned() } else { format!("`{}`", shown(&array.path)) };
        return Err(Error::NoRecords { why: format!("{what} is a list of values or lists, not of objects") });
    }
    let mut notes = Vec::new();
    if best.items == 0 {
        notes.push("the list is empty: nothing can be said of its columns".to_owned());
    }
    if best.path.is_empty() {
        return Ok(Found { at: None, count: best.items, notes });
    }
    let others: Vec<String> =
        lists[1..].iter().take(8).map(|array| format!("`{}` ({})", shown(&array.path), array.items)).collect();
    let place = plain(&best.path);
    let mut why = format!("the list of {} objects stands there", best.items);
    if !others.is_empty() {
        why.push_str(&format!("; other lists: {}", others.join(", ")));
    }
    Ok(Found { at: Some(Guess { value: json!(place), why }), count: best.items, notes })
}

/// An answer without a list of objects: one object is one record, anything else is none.
fn single(envelope: &Envelope) -> Result<Found, Error> {
    let of_scalars = envelope.arrays.iter().find(|array| !array.is_of_objects && array.items > 0 && !is_beside(array));
    if let Some(array) = of_scalars {
        let what = if array.path.is_empty() { "the answer".to_owned() } else { format!("`{}`", shown(&array.path)) };
        if array.path.is_empty() || envelope.scalars.len() < 2 {
            return Err(Error::NoRecords { why: format!("{what} is a list of values, not of objects") });
        }
    }
    if !envelope.is_object || envelope.scalars.is_empty() && envelope.objects.is_empty() {
        return Err(Error::NoRecords { why: "it is neither a list nor an object with members".to_owned() });
    }
    let why = "the answer has no list of objects, so the whole of it is one record".to_owned();
    let notes = vec!["the answer is one object, not a list: is this the address of a single record?".to_owned()];
    Ok(Found { at: Some(Guess { value: json!("$"), why }), count: 1, notes })
}

fn is_beside(array: &ArrayFound) -> bool {
    array.path.iter().any(|name| BESIDE.contains(&name.to_ascii_lowercase().as_str()))
}

fn usual_place(array: &ArrayFound) -> usize {
    let Some(name) = array.path.last() else { return 0 };
    let name = name.to_ascii_lowercase();
    USUAL.iter().position(|usual| *usual == name).unwrap_or(USUAL.len())
}

/// A path as people write it: `data.items`, and in brackets only where a name needs them.
pub(super) fn plain(path: &[String]) -> String {
    let text = shown(path);
    let is_plain = path.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    if is_plain { text.trim_start_matches("$.").to_owned() } else { text }
}
