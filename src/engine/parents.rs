//! The records of a stream that others are read for: the fields that their templates and columns need, as values.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use super::error::Error;
use super::slices::plain;
use crate::limits::SLICES_MAX;
use crate::model::column::{Column, ColumnType};
use crate::model::plan::Stream;
use crate::model::request::Body;
use crate::model::slices::{Parent, Slice};
use crate::source::fields_read;

/// The records, each an object with the fields that somebody needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParentRows {
    rows: Vec<Value>,
}

/// The fields of a stream that its children need. Empty = it has none. A field `[]` = all.
pub(super) fn fields_needed(stream: &str, streams: &[Stream]) -> BTreeSet<Vec<String>> {
    let mut needed = BTreeSet::new();
    for child in streams {
        let Some(parent) = child.parent.as_ref().filter(|parent| parent.stream == stream) else { continue };
        let texts = templates(child);
        let read = fields_read(texts.iter().map(String::as_str), &parent.name);
        // A list of records is read by filters, which name their fields in texts.
        needed.extend(if parent.batch > 1 { BTreeSet::from([Vec::new()]) } else { read });
        needed.extend(parent.fields.iter().map(|(_, field)| field.clone()));
    }
    needed
}

/// All templates of a stream.
fn templates(stream: &Stream) -> Vec<String> {
    let mut texts = Vec::new();
    let steps =
        stream.report.iter().flat_map(|report| [Some(&report.create), Some(&report.poll), report.delete.as_ref()]);
    for request in steps.flatten().chain([&stream.request]) {
        texts.push(request.path.clone());
        texts.extend(request.params.iter().chain(&request.headers).map(|(_, text)| text.clone()));
        match &request.body {
            Body::Nothing => {}
            Body::Json(document) | Body::Graphql { variables: document, .. } => collect(document, &mut texts),
            Body::Form(fields) => texts.extend(fields.iter().map(|(_, text)| text.clone())),
            Body::Text { text, .. } => texts.push(text.clone()),
        }
    }
    texts
}

fn collect(document: &Value, texts: &mut Vec<String>) {
    match document {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl ParentRows {
    /// One record that nobody has seen.
    pub(super) fn unknown() -> Self {
        ParentRows { rows: vec![Value::Object(Map::new())] }
    }

    /// Keeps the needed fields of a batch's rows.
    pub(super) fn take(
        &mut self,
        stream: &str,
        batch: &RecordBatch,
        columns: &[Column],
        needed: &BTreeSet<Vec<String>>,
    ) -> Result<(), Error> {
        if self.rows.len() + batch.num_rows() > SLICES_MAX {
            return Err(Error::TooManyParents { stream: stream.to_owned(), limit: SLICES_MAX });
        }
        let is_needed = |path: &[String]| needed.iter().any(|field| path.starts_with(field));
        let start = self.rows.len();
        self.rows.resize(start + batch.num_rows(), Value::Object(Map::new()));
        for (column, values) in columns.iter().zip(batch.columns()).filter(|(column, _)| is_needed(&column.path)) {
            for row in 0..batch.num_rows() {
                let value = value_at(values.as_ref(), row, column.kind);
                let mut place = &mut self.rows[start + row];
                for key in &column.path {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    place = &mut place[key.as_str()];
                }
                *place = value;
            }
        }
        Ok(())
    }

    /// The records as they were taken.
    pub(super) fn into_records(self) -> Vec<Value> {
        self.rows
    }

    /// One slice for every record, or every few.
    pub(super) fn slices(&self, parent: &Parent) -> Vec<Slice> {
        let size = usize::try_from(parent.batch).unwrap_or(usize::MAX).max(1);
        self.rows
            .chunks(size)
            .enumerate()
            .map(|(index, rows)| {
                let (record, label, constants) = match rows {
                    [row] if size == 1 => {
                        let field = |path: &[String]| path.iter().fold(row, |place, key| &place[key.as_str()]).clone();
                        let constants: Vec<(String, Value)> =
                            parent.fields.iter().map(|(column, path)| (column.clone(), field(path))).collect();
                        let named = constants.iter().map(|(_, value)| plain(value)).collect::<Vec<_>>().join(",");
                        (row.clone(), if named.is_empty() { all_values(row) } else { named }, constants)
                    }
                    rows => (Value::Array(rows.to_vec()), format!("batch {}", index + 1), Vec::new()),
                };
                Slice {
                    id: format!("{}={label}", parent.name),
                    parent: Some((parent.name.clone(), record)),
                    constants,
                    ..Slice::default()
                }
            })
            .collect()
    }
}

fn all_values(record: &Value) -> String {
    match record {
        Value::Object(members) => members.values().map(all_values).collect::<Vec<_>>().join(","),
        other => plain(other),
    }
}

fn value_at(values: &dyn Array, row: usize, kind: ColumnType) -> Value {
    if values.is_null(row) {
        return Value::Null;
    }
    match values.data_type() {
        DataType::Boolean => values.as_boolean().value(row).into(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => values.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => {
            let text = values.as_string::<i32>().value(row);
            let json = matches!(kind, ColumnType::Json | ColumnType::List(_))
                .then(|| serde_json::from_str(text).ok())
                .flatten();
            json.unwrap_or_else(|| text.into())
        }
        _ => {
            let format = FormatOptions::new();
            let text = ArrayFormatter::try_new(values, &format).map(|shown| shown.value(row).to_string());
            text.map_or(Value::Null, Value::from)
        }
    }
}
