//! What is written beside a guess as a comment: what was seen, what was not found, and what a person should check.

use arrow::array::{Array, StringArray};

use crate::engine::preview::Preview;
use crate::job::draft::{Draft, StreamDraft};
use crate::model::column::ColumnType;
use crate::source::guess::Records;

/// Columns that a comment names with their types.
const COLUMNS_NAMED_MAX: usize = 60;
/// Guesses that a comment names.
const REFUTED_NAMED_MAX: usize = 4;
/// Sizes that APIs give to a page unasked; a list of just so many records may be a first page.
const PAGE_SIZES: &[u64] = &[10, 15, 20, 25, 30, 40, 50, 60, 75, 100, 200, 250, 256, 300, 400, 500];

/// No guess about paging held. Gives what is told to people, and whether there is nothing more to be found.
pub(super) fn paging(
    stream: &mut StreamDraft,
    records: &Records,
    refuted: &[String],
    was_silent: bool,
) -> (String, bool) {
    if let Some(sign) = &records.sign {
        let told = format!("the answer tells of further pages (`{sign}`), but no way to them was found");
        stream.paging_notes.push(format!(
            "To be done: {told}. A run stops with an error until it is said. Other ways: `haul init` shows them; see \
             docs/JOBS.md, Paging. Tried in vain:"
        ));
        stream.paging_notes.extend(refuted.iter().take(REFUTED_NAMED_MAX).map(|why| format!("  {why}")));
        return (told, false);
    }
    let count = records.count;
    let is_round = PAGE_SIZES.contains(&count) || count >= 1_000 && count.is_multiple_of(500);
    if is_round {
        stream.paging_notes.push(format!(
            "To be checked: {count} is a usual page size, and nothing in the answer tells whether there is more{}. If there \
             is:\n  paging: {{ page: {{ param: page }} }}",
            if was_silent { "; the usual parameters change nothing" } else { "" }
        ));
        return (
            format!("all {count} records came in one answer, or the API keeps the rest to itself: check it"),
            false,
        );
    }
    let records = if count == 1 { "record".to_owned() } else { format!("{count} records") };
    stream.paging_notes.push(format!(
        "No paging is stated: the {records} came in one answer. When the API begins to tell of further pages, runs stop \
         with an error."
    ));
    (format!("nothing tells of further pages: the {records} came in one answer"), true)
}

/// What the first rows suggest beyond what is written.
pub(super) fn note(draft: &mut Draft, at: usize, shown: &Preview) {
    let is_odata = draft.is_odata;
    let stream = &mut draft.streams[at];
    let cursor = shown.columns.iter().find(|column| {
        is_change_time(&column.name)
            && matches!(column.kind, ColumnType::Instant | ColumnType::DateTime | ColumnType::Date)
    });
    if let Some(column) = cursor {
        let field = column.path.join(".");
        let asked = if is_odata {
            format!("  params: {{ $filter: \"{} ge {{{{ cursor }}}}\" }}", column.path.join("/"))
        } else {
            "  params: { updated_since: \"{{ cursor }}\" }   # as the API's documentation names it".to_owned()
        };
        stream.notes.push(format!(
            "`{}` looks like the time of the last change. To read only what changed since the last run, if the API can be \
             asked so and the column is true to its name:\n  incremental: {{ cursor: {field}, start: 2020-01-01 }}\n{asked}",
            column.name
        ));
    }
    if let Some(rows) = &shown.rows {
        for (column, values) in shown.columns.iter().zip(rows.columns()) {
            if column.kind == ColumnType::Text && are_decimals(values.as_any().downcast_ref()) {
                stream.notes.push(format!(
                    "`{0}` holds numbers with decimals as text; to read them as exact numbers:\n  columns: {{ {0}: decimal }}",
                    column.name
                ));
            }
        }
    }
    let named: Vec<String> =
        shown.columns.iter().take(COLUMNS_NAMED_MAX).map(|column| format!("{} {}", column.name, column.kind)).collect();
    if !named.is_empty() {
        let more = shown.columns.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        stream.notes.push(format!("Columns, as the first rows show them: {}{more}.", named.join(", ")));
    }
}

fn is_change_time(name: &str) -> bool {
    let plain = name.to_ascii_lowercase().replace(['_', '-'], "");
    ["updated", "modified", "changed", "lastchange", "modification"].iter().any(|word| plain.contains(word))
}

/// Whether all values are texts of decimals with a point, and there is one.
fn are_decimals(values: Option<&StringArray>) -> bool {
    let Some(values) = values else { return false };
    let is_decimal = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let parts = digits.split_once('.');
        let is_number =
            |part: &str| !part.is_empty() && part.len() < 20 && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.is_some_and(|(whole, fraction)| is_number(whole) && is_number(fraction))
    };
    values.null_count() < values.len() && values.iter().flatten().all(is_decimal)
}

/// A stream that was not tried.
pub(crate) fn untried(stream: &mut StreamDraft, why: &str) {
    stream.paging_notes.push(format!("Not tried: {why}."));
}
