//! The meaning of a stream's `deleted`, which may speak of another stream.

use serde_json::Value;

use super::check_request::param_json;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{JobSpec, ParamSpec, StreamSpec};
use super::spec_deletes::{DeletedRowsSpec, DeletedSpec, KeySpec};
use super::spec_table::BadRecordsSpec;
use super::value::{check_expression, check_literal, check_path};
use crate::model::column::ColumnType;
use crate::model::deletes::{DELETED_AT, DeletedRows, Deletes, DeletesTold, Feed, Sweep, Tombstone};
use crate::model::fields::FieldPath;
use crate::model::incremental::{CursorKind, Incremental};
use crate::model::plan::{Changes, Stream, WriteMode};
use crate::model::slices::FailingSlices;

/// Gives the streams what their `deleted` means.
pub(super) fn check_deletes(spec: &JobSpec, streams: &mut [Stream], problems: &mut Problems<'_>) {
    for (index, typed) in spec.streams.iter().enumerate() {
        let Some(deleted) = &typed.deleted else { continue };
        let place = format!("streams[{index}].deleted");
        check_stream(&streams[index], &place, problems);
        let told = check_told(spec, streams, index, deleted, &place, problems);
        let rows = match deleted.rows {
            DeletedRowsSpec::Remove => DeletedRows::Remove,
            DeletedRowsSpec::Mark => DeletedRows::Mark,
        };
        if rows == DeletedRows::Mark {
            add_mark(&mut streams[index], &place, problems);
        }
        streams[index].deletes = told.map(|told| Deletes { told, rows });
    }
}

/// What a stream needs for its rows to be found again.
fn check_stream(stream: &Stream, place: &str, problems: &mut Problems<'_>) {
    if stream.key.is_empty() {
        let draft = wrong("rows that are gone are found by their key, and the stream has none");
        problems.at(place, draft.hint("name the columns that identify a record under `key`"));
    } else if stream.write == WriteMode::Append {
        let draft = wrong("with `write: append` no row ever goes").hint("write `write: merge`");
        problems.at(place, draft);
    } else if stream.write == WriteMode::Replace {
        let draft = wrong("the stream is read whole and its table replaced: what is gone goes by itself");
        problems.at(place, draft.hint("leave `deleted` out, or read the stream with `incremental` or `write: merge`"));
    }
}

fn check_told(
    spec: &JobSpec,
    streams: &[Stream],
    index: usize,
    deleted: &DeletedSpec,
    place: &str,
    problems: &mut Problems<'_>,
) -> Option<DeletesTold> {
    let DeletedSpec { field, value, stream, sweep, key, when, at, allow_empty, rows: _ } = deleted;
    for (name, is_given, of, is_its) in [
        ("value", value.is_some(), "field", field.is_some()),
        ("when", when.is_some(), "stream", stream.is_some()),
        ("at", at.is_some(), "stream", stream.is_some()),
        ("allow_empty", *allow_empty, "sweep", sweep.is_some()),
        ("key", key.is_some(), "stream` or `sweep", stream.is_some() || sweep.is_some()),
    ] {
        if is_given && !is_its {
            problems.at(&format!("{place}.{name}"), wrong(format!("`{name}` belongs to `{of}`")));
        }
    }
    match (field, stream, sweep) {
        (Some(field), None, None) => {
            let tombstone = check_tombstone(&streams[index], field, value.as_ref(), place, problems);
            tombstone.map(DeletesTold::Tombstone)
        }
        (None, Some(name), None) => {
            let of = &format!("{place}.stream");
            let list = find_list(spec, index, name, of, problems)?;
            check_feed(spec, streams, (index, list), deleted, place, problems).map(DeletesTold::Feed)
        }
        (None, None, Some(name)) => {
            let of = &format!("{place}.sweep");
            let list = find_list(spec, index, name, of, problems)?;
            check_swept(&spec.streams[list], &streams[list], spec, of, problems);
            let key = check_key(&streams[index], &streams[list], deleted, place, problems);
            Some(DeletesTold::Sweep(Sweep { stream: name.clone(), key, may_be_empty: *allow_empty }))
        }
        (None, None, None) | (Some(_), _, _) | (None, Some(_), Some(_)) => {
            let draft = wrong("how records are told to be gone is said in one way").allowed("field, stream, sweep");
            problems.at(place, draft.hint("a field of the record, a stream of deleted keys, or a stream of all keys"));
            None
        }
    }
}

fn check_tombstone(
    stream: &Stream,
    field: &str,
    value: Option<&ParamSpec>,
    place: &str,
    problems: &mut Problems<'_>,
) -> Option<Tombstone> {
    let of = format!("{place}.field");
    let path = check_path(field, &of, problems)?;
    if path.members().is_empty() {
        problems.at(&of, wrong("this is the record itself, not a field of it").hint("name a field: `IsDeleted`"));
        return None;
    }
    if let Some(ParamSpec::Text(text)) = value {
        check_literal(text, &format!("{place}.value"), problems);
    }
    let reads_record = |name: &str| {
        let mut added = stream.added.iter().filter(|(column, _)| column.eq_ignore_ascii_case(name));
        added.any(|(_, value)| value.as_str().is_some_and(|text| text.contains("record")))
    };
    if let Some(name) = stream.key.iter().find(|name| reads_record(name)) {
        let draft =
            wrong(format!("`add` makes `{name}` of the key from the record, and a record that is gone has none"));
        problems.at(&of, draft.hint("use a field of the record as key"));
    }
    Some(Tombstone { field: path.members().to_vec(), value: value.map(param_json) })
}

fn check_feed(
    spec: &JobSpec,
    streams: &[Stream],
    (index, list): (usize, usize),
    deleted: &DeletedSpec,
    place: &str,
    problems: &mut Problems<'_>,
) -> Option<Feed> {
    let (stream, feed) = (&streams[index], &streams[list]);
    if let BadRecordsSpec::Quarantine(_) = spec.streams[list].contract.bad_records {
        let draft =
            wrong(format!("a record of `{}` that is set aside is a deletion that is never told again", feed.name));
        let hint = format!("leave `contract.bad_records` of `{}` out", feed.name);
        problems.at(&format!("{place}.stream"), draft.hint(hint));
    }
    if let Some(when) = &deleted.when {
        let of = format!("{place}.when");
        if when.contains("{{") {
            let draft = wrong("a condition is one expression, without braces");
            problems.at(&of, draft.hint("for example `record.EntityType == 4`"));
        } else {
            check_expression(when, &of, problems);
        }
    }
    let at = match &deleted.at {
        Some(text) => {
            let of = format!("{place}.at");
            let path = check_path(text, &of, problems)?;
            if path.members().is_empty() {
                problems.at(&of, wrong("this is the record itself, not a field of it"));
            }
            Some(path.members().to_vec())
        }
        None => None,
    };
    Some(Feed {
        stream: feed.name.clone(),
        key: check_key(stream, feed, deleted, place, problems),
        when: deleted.when.clone(),
        at: compared(stream, feed, at, place, problems),
    })
}

/// The field of the feed that is compared with the cursor of the stream.
fn compared(
    stream: &Stream,
    feed: &Stream,
    at: Option<FieldPath>,
    place: &str,
    problems: &mut Problems<'_>,
) -> Option<(FieldPath, CursorKind)> {
    let Some(own) = &stream.incremental else {
        if at.is_some() {
            let draft = wrong("the stream has no cursor that this field could be compared with");
            problems.at(&format!("{place}.at"), draft.hint("leave `at` out, or give the stream `incremental`"));
        }
        return None;
    };
    if let Some(at) = at {
        // The feed's own cursor may be spelled in another way than the stream's.
        let others = feed.incremental.as_ref().filter(|other| other.field.members() == at);
        return Some((at, others.unwrap_or(own).kind.clone()));
    }
    let is_alike = |other: &&Incremental| match (&own.kind, &other.kind) {
        (CursorKind::Time { .. }, CursorKind::Time { .. }) => true,
        (CursorKind::Integer { .. }, CursorKind::Integer { .. }) => own.field == other.field,
        (CursorKind::Integer { .. }, CursorKind::Time { .. })
        | (CursorKind::Time { .. }, CursorKind::Integer { .. }) => false,
    };
    match feed.incremental.as_ref().filter(is_alike) {
        Some(other) => Some((other.field.members().to_vec(), other.kind.clone())),
        None => {
            let draft = wrong(format!(
                "a deletion that is read again could not be told from a record that came again: no field of `{}` is \
                 known to be comparable with the cursor `{}`",
                feed.name,
                own.field.members().join(".")
            ));
            problems.at(place, draft.hint(format!("name a field of `{}` that is: `at: …`", feed.name)));
            None
        }
    }
}

/// A stream that must name every key: whatever may leave out one of its records would remove a row.
fn check_swept(typed: &StreamSpec, sweep: &Stream, spec: &JobSpec, of: &str, problems: &mut Problems<'_>) {
    let name = &sweep.name;
    let is_read_for_changed = sweep.parent.as_ref().is_some_and(|parent| {
        spec.streams.iter().any(|stream| stream.name == parent.stream && stream.incremental.is_some())
    });
    let why = if sweep.incremental.is_some() {
        "is incremental: it names new keys only"
    } else if sweep.write != WriteMode::Replace {
        "keeps former rows: it would name keys that are no longer there"
    } else if is_read_for_changed {
        "is read for changed records only: it does not name all keys"
    } else if sweep.failing_slices == FailingSlices::LeaveOut {
        "may leave out slices, and their rows would go"
    } else if sweep.changes == Changes::RepeatThenFlag {
        "may be published although it changed while it was read, and rows could go that are there"
    } else if matches!(typed.contract.bad_records, BadRecordsSpec::Quarantine(_)) {
        "may set records aside, and their rows would go"
    } else {
        return;
    };
    let draft = wrong(format!("`{name}` cannot be a sweep: it {why}"));
    problems
        .at(of, draft.hint("a sweep is a plain stream, read whole every time, whose records are all that there are"));
}

fn find_list(spec: &JobSpec, index: usize, name: &str, of: &str, problems: &mut Problems<'_>) -> Option<usize> {
    let Some(list) = spec.streams.iter().position(|stream| stream.name == name) else {
        let near = did_you_mean(name, spec.streams.iter().map(|stream| stream.name.as_str()));
        problems.at(of, wrong(format!("there is no stream `{name}`")).maybe_hint(near));
        return None;
    };
    if waits_for(spec, list, index) {
        problems.at(of, wrong("the streams wait for each other in a circle"));
        return None;
    }
    Some(list)
}

/// Whether a stream is another one or waits for it, by way of `for_each` and `deleted`.
fn waits_for(spec: &JobSpec, stream: usize, other: usize) -> bool {
    let mut waiting = vec![stream];
    let mut at = 0;
    while let Some(stream) = waiting.get(at).copied() {
        if stream == other {
            return true;
        }
        let StreamSpec { for_each, deleted, .. } = &spec.streams[stream];
        let parent = for_each.iter().map(|parent| &parent.stream);
        let lists = deleted.iter().flat_map(|deleted| deleted.stream.iter().chain(&deleted.sweep));
        for name in parent.chain(lists) {
            let before = spec.streams.iter().position(|stream| stream.name == *name);
            waiting.extend(before.filter(|before| !waiting.contains(before)));
        }
        at += 1;
    }
    false
}

/// The columns of the other stream that hold this one's key.
fn check_key(
    stream: &Stream,
    list: &Stream,
    deleted: &DeletedSpec,
    place: &str,
    problems: &mut Problems<'_>,
) -> Vec<String> {
    let key = match &deleted.key {
        None => stream.key.clone(),
        Some(KeySpec::One(column)) => vec![column.clone()],
        Some(KeySpec::Several(columns)) => columns.clone(),
    };
    let of = format!("{place}.key");
    if key.len() != stream.key.len() && !stream.key.is_empty() {
        let draft =
            wrong(format!("the stream's key has {}, and this one {}", counted(stream.key.len()), counted(key.len())));
        let own = stream.key.join(", ");
        problems.at(&of, draft.hint(format!("name the columns of `{}` that hold {own}, in this order", list.name)));
    }
    if key.iter().any(|column| column.trim().is_empty()) {
        problems.at(&of, wrong("a column of the key has no name"));
    }
    key
}

fn counted(columns: usize) -> String {
    if columns == 1 { "1 column".to_owned() } else { format!("{columns} columns") }
}

/// Rows that stay are told apart by a column that every row has from the beginning: no file is written anew for it.
fn add_mark(stream: &mut Stream, place: &str, problems: &mut Problems<'_>) {
    let is_taken = stream.added.iter().any(|(column, _)| column.eq_ignore_ascii_case(DELETED_AT))
        || stream.fields.rename.iter().any(|(_, column)| column.eq_ignore_ascii_case(DELETED_AT));
    if is_taken {
        let draft = wrong(format!("`{DELETED_AT}` is the column of the mark")).hint("give yours another name");
        problems.at(&format!("{place}.rows"), draft);
    }
    stream.added.push((DELETED_AT.to_owned(), Value::Null));
    stream.fields.columns.insert(DELETED_AT.to_owned(), ColumnType::Instant);
}
