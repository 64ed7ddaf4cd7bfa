//! What a job says about records that are gone.

use serde_json::{Value, json};

use super::{check, job};
use crate::model::column::ColumnType;
use crate::model::deletes::{DELETED_AT, DeletedRows, DeletesTold};
use crate::model::incremental::CursorKind;
use crate::model::plan::Stream;

/// A job of two streams: `orders` with these words, and `gone` with those.
fn text_of(orders: &str, gone: &str) -> String {
    format!(
        "job: demo\nsource: {{ base_url: https://api.example.com/v1 }}\nstreams:\n  - {{ name: orders, path: /orders, {orders} }}\n  \
         - {{ name: gone, path: /gone{gone} }}\ndestination: {{ url: ./out }}\n"
    )
}

const MERGED: &str = "key: [id], incremental: { cursor: changed, start: 2024-01-01 }";
const FEED: &str = ", incremental: { cursor: at, start: 2024-01-01 }";

fn orders(deleted: &str, gone: &str) -> Stream {
    job(&text_of(&format!("{MERGED}, deleted: {{ {deleted} }}"), gone)).streams.swap_remove(0)
}

fn told(deleted: &str, gone: &str) -> DeletesTold {
    orders(deleted, gone).deletes.expect("deletes").told
}

#[test]
fn the_three_forms_mean_what_they_say() {
    let DeletesTold::Tombstone(tombstone) = told("field: '[\"@removed\"]'", "") else { panic!("no tombstone") };
    assert_eq!((tombstone.field, tombstone.value), (vec!["@removed".to_owned()], None::<Value>));
    let DeletesTold::Tombstone(tombstone) = told("field: state.kind, value: 3", "") else { panic!("no tombstone") };
    assert_eq!((tombstone.field.len(), tombstone.value), (2, Some(json!(3))));
    let DeletesTold::Feed(feed) = told("stream: gone, key: EntityKey, when: record.kind == 4", FEED) else {
        panic!("no feed")
    };
    assert_eq!((feed.key, feed.when.as_deref()), (vec!["EntityKey".to_owned()], Some("record.kind == 4")));
    let (at, kind) = feed.at.expect("a time");
    assert!(at == ["at"] && matches!(kind, CursorKind::Time { .. }));
    let DeletesTold::Sweep(sweep) = told("sweep: gone", "") else { panic!("no sweep") };
    assert_eq!((sweep.key, sweep.may_be_empty), (vec!["id".to_owned()], false));
    assert_eq!(orders("sweep: gone", "").deletes.expect("deletes").rows, DeletedRows::Remove);
}

#[test]
fn marks_are_a_column_from_the_beginning() {
    let stream = orders("field: gone, rows: mark", "");
    assert_eq!(stream.deletes.expect("deletes").rows, DeletedRows::Mark);
    assert_eq!(stream.added, [(DELETED_AT.to_owned(), Value::Null)]);
    assert_eq!(stream.fields.columns[DELETED_AT], ColumnType::Instant);
}

#[test]
fn combinations_without_meaning_are_told_with_the_reason() {
    let of = |orders: &str, gone: &str, path: &str, says: &str| {
        check(&text_of(orders, gone), &[(format!("streams[0].{path}").as_str(), says)]);
    };
    let merged = |deleted: &str, gone: &str, path: &str, says: &str| {
        of(&format!("{MERGED}, deleted: {{ {deleted} }}"), gone, path, says);
    };
    of("deleted: { field: gone }", "", "deleted", "found by their key");
    of("key: [id], deleted: { field: gone }", "", "deleted", "what is gone goes by itself");
    of(
        "key: [id], write: append, incremental: { cursor: n, start: 0 }, deleted: { field: gone }",
        "",
        "deleted",
        "no row ever goes",
    );
    merged("rows: remove", "", "deleted", "field, stream, sweep");
    merged("field: gone, sweep: gone", "", "deleted", "said in one way");
    merged("field: $", "", "deleted.field", "the record itself");
    merged("field: gone, when: 'true'", "", "deleted.when", "belongs to `stream`");
    merged("field: gone, allow_empty: true", "", "deleted.allow_empty", "belongs to `sweep`");
    merged("field: gone, key: id", "", "deleted.key", "belongs to `stream` or `sweep`");
    merged("sweep: gone, value: 1", "", "deleted.value", "belongs to `field`");
    merged("sweep: gnoe", "", "deleted.sweep", "did you mean `gone`");
    merged("stream: orders", "", "deleted.stream", "in a circle");
    merged(
        "sweep: gone",
        ", key: [x], write: merge, for_each: { stream: orders, as: order }",
        "deleted.sweep",
        "in a circle",
    );
    merged("sweep: gone, key: [a, b]", "", "deleted.key", "1 column, and this one 2 columns");
    merged("stream: gone, when: '{{ record.a }}'", FEED, "deleted.when", "without braces");
    merged("stream: gone, when: record.a ==", FEED, "deleted.when", "cannot be read");
    of(
        "key: [id], add: { id: '{{ record.a }}' }, incremental: { cursor: n, start: 0 }, deleted: { field: gone }",
        "",
        "deleted.field",
        "a record that is gone has none",
    );
    of(
        &format!("{MERGED}, add: {{ _deleted_at: x }}, deleted: {{ field: gone, rows: mark }}"),
        "",
        "deleted.rows",
        "the column of the mark",
    );
}

#[test]
fn a_feed_must_tell_when() {
    let of = |deleted: &str, gone: &str, path: &str, says: &str| {
        let text = text_of(&format!("{MERGED}, deleted: {{ {deleted} }}"), gone);
        check(&text, &[(format!("streams[0].{path}").as_str(), says)]);
    };
    of("stream: gone", "", "deleted", "a field of `gone`");
    of("stream: gone", ", incremental: { cursor: n, start: 0 }", "deleted", "comparable with the cursor `changed`");
    let DeletesTold::Feed(feed) = told("stream: gone, at: when", ", incremental: { cursor: n, start: 0 }") else {
        panic!("no feed")
    };
    assert_eq!(feed.at.expect("a time").0, ["when"]);
    of(
        "stream: gone",
        &format!("{FEED}, contract: {{ bad_records: {{ quarantine: 5 }} }}"),
        "deleted.stream",
        "never told again",
    );
    // A stream that is read whole every time needs no comparison.
    let text = text_of("key: [id], write: merge, deleted: { stream: gone }", FEED);
    assert!(
        matches!(&job(&text).streams[0].deletes.as_ref().unwrap().told, DeletesTold::Feed(feed) if feed.at.is_none())
    );
    let text = text_of("key: [id], write: merge, deleted: { stream: gone, at: x }", FEED);
    check(&text, &[("streams[0].deleted.at", "no cursor")]);
}

#[test]
fn a_sweep_names_all_keys() {
    let of = |gone: &str, says: &str| {
        let text = text_of(&format!("{MERGED}, deleted: {{ sweep: gone }}"), gone);
        check(&text, &[("streams[0].deleted.sweep", says)]);
    };
    of(FEED, "names new keys only");
    of(", key: [id], write: merge", "no longer there");
    of(", failed_slices: leave_out", "leave out slices");
    of(", changes: repeat", "while it was read");
    of(", contract: { bad_records: { quarantine: 5 } }", "set records aside");
}
