//! What the writer notes of the records that pass: how far the cursor got, and the fields that other streams wait for.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};

use super::error::Error;
use super::gates::repeats::{KeyFindings, Repeats};
use super::parents::ParentRows;
use crate::columns::column_name;
use crate::model::column::{Column, ColumnType};
use crate::model::incremental::{CursorKind, CursorValue, Incremental, MissingCursor};
use crate::model::time_format::{Spelling, TimeFormat};

/// Notes of one stream.
#[derive(Debug, Default)]
pub(super) struct Watch {
    stream: String,
    /// Absent = the stream has no cursor.
    cursor: Option<CursorWatch>,
    needed: BTreeSet<Vec<String>>,
    /// Absent = nobody asks which keys come twice.
    repeats: Option<Repeats>,
    pub parents: ParentRows,
}

#[derive(Debug)]
struct CursorWatch {
    plan: Incremental,
    column: String,
    /// Greatest values by the scope they were seen in.
    greatest: BTreeMap<String, CursorValue>,
    rows: u64,
    without: u64,
}

impl Watch {
    pub(super) fn new(stream: &str, incremental: Option<&Incremental>, needed: BTreeSet<Vec<String>>) -> Self {
        let cursor = incremental.map(|plan| {
            let column = plan.field.members().join("_");
            CursorWatch { plan: plan.clone(), column, greatest: BTreeMap::new(), rows: 0, without: 0 }
        });
        Watch { stream: stream.to_owned(), cursor, needed, repeats: None, parents: ParentRows::default() }
    }

    /// The same, looking for keys that come twice.
    pub(super) fn with_repeats(mut self, key: &[String]) -> Self {
        self.repeats = Some(Repeats::of(key));
        self
    }

    /// Looks at a batch whose rows are of one scope of the cursor.
    pub(super) fn look(&mut self, scope: &str, batch: &RecordBatch, columns: &[Column]) -> Result<(), Error> {
        if !self.needed.is_empty() {
            self.parents.take(&self.stream, batch, columns, &self.needed)?;
        }
        if let Some(repeats) = &mut self.repeats {
            repeats.take(batch, columns).map_err(|source| Error::Spool { stream: self.stream.clone(), source })?;
        }
        match &mut self.cursor {
            None => Ok(()),
            Some(cursor) => cursor.look(&self.stream, scope, batch, columns),
        }
    }

    /// Looks at records that say that they are gone. They may lack a cursor; what they have moves it on.
    pub(super) fn look_at_gone(&mut self, scope: &str, batch: &RecordBatch, columns: &[Column]) -> Result<(), Error> {
        match &mut self.cursor {
            None => Ok(()),
            Some(cursor) => cursor.note(&self.stream, scope, batch, columns).map(|_| ()),
        }
    }

    /// The columns of a record that is gone of which more must be known than its key.
    pub(super) fn cursor_in(&self, columns: &[Column]) -> Option<usize> {
        self.cursor.as_ref().and_then(|cursor| cursor_column(&cursor.plan, columns))
    }

    /// The greatest values seen, by scope. Records without one are an error where the job says so.
    pub(super) fn cursors(&self) -> Result<BTreeMap<String, CursorValue>, Error> {
        let Some(cursor) = &self.cursor else { return Ok(BTreeMap::new()) };
        let (stream, column) = (self.stream.clone(), cursor.column.clone());
        if cursor.rows > 0 && cursor.without == cursor.rows {
            return Err(Error::NoCursor { stream, column, rows: cursor.rows });
        }
        if cursor.without > 0 && cursor.plan.missing == MissingCursor::Fail {
            return Err(Error::CursorMissing { stream, column, without: cursor.without, rows: cursor.rows });
        }
        Ok(cursor.greatest.clone())
    }

    /// What was found in the keys; nothing where nobody asks.
    pub(super) fn take_key_findings(&mut self) -> Result<KeyFindings, Error> {
        let found = self.repeats.take().map(Repeats::finish).transpose();
        found.map(Option::unwrap_or_default).map_err(|source| Error::Spool { stream: self.stream.clone(), source })
    }

    /// Records that had no value for the cursor.
    pub(super) fn without_cursor(&self) -> u64 {
        self.cursor.as_ref().map_or(0, |cursor| cursor.without)
    }
}

impl CursorWatch {
    fn look(&mut self, stream: &str, scope: &str, batch: &RecordBatch, columns: &[Column]) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.without += self.note(stream, scope, batch, columns)?;
        Ok(())
    }

    /// Moves the cursor on; gives how many rows have none.
    fn note(&mut self, stream: &str, scope: &str, batch: &RecordBatch, columns: &[Column]) -> Result<u64, Error> {
        let Some(at) = cursor_column(&self.plan, columns) else { return Ok(batch.num_rows() as u64) };
        let values = batch.column(at);
        let mut greatest: Option<CursorValue> = None;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = value_at(&self.plan.kind, values.as_ref(), row, columns[at].kind);
            let value = value.ok_or_else(|| Error::CursorUnreadable {
                stream: stream.to_owned(),
                column: self.column.clone(),
                kind: columns[at].kind,
            })?;
            greatest = greatest.max(Some(value));
        }
        if let Some(value) = greatest {
            let known = self.greatest.entry(scope.to_owned()).or_insert(value);
            *known = (*known).max(value);
        }
        Ok(values.null_count() as u64)
    }
}

/// Which of the columns the cursor is: that of its field, whatever the job named it, or the one with this name.
pub(super) fn cursor_column(plan: &Incremental, columns: &[Column]) -> Option<usize> {
    let field = plan.field.members();
    let by_field = columns.iter().position(|column| column.path == field);
    by_field.or_else(|| {
        let name = column_name(field).ok()?;
        columns.iter().position(|column| column.has_name(&name))
    })
}

/// The cursor of every row. `None` = it has none, or none that can be read.
pub(super) fn cursor_values(kind: &CursorKind, values: &dyn Array, column: ColumnType) -> Vec<Option<CursorValue>> {
    (0..values.len()).map(|row| if values.is_null(row) { None } else { value_at(kind, values, row, column) }).collect()
}

fn value_at(kind: &CursorKind, values: &dyn Array, row: usize, column: ColumnType) -> Option<CursorValue> {
    match (kind, values.data_type()) {
        (CursorKind::Integer { .. }, DataType::Int64) => {
            Some(CursorValue::Integer(values.as_primitive::<Int64Type>().value(row)))
        }
        (CursorKind::Time { format, .. }, DataType::Int64) => {
            let number = values.as_primitive::<Int64Type>().value(row);
            let instant = match format.spelling {
                Spelling::Unix => DateTime::from_timestamp(number, 0),
                Spelling::UnixMillis => DateTime::from_timestamp_millis(number),
                Spelling::Iso | Spelling::Date | Spelling::ODataV2 | Spelling::Strftime(_) => {
                    format.read(&number.to_string())
                }
            };
            instant.map(CursorValue::Time)
        }
        (CursorKind::Time { format, .. }, DataType::Timestamp(..)) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            let instant = DateTime::from_timestamp_micros(micros)?;
            of_wall_clock(instant, column, format).map(CursorValue::Time)
        }
        (CursorKind::Time { format, .. }, DataType::Date32) => {
            let days = values.as_primitive::<Date32Type>().value(row);
            let instant = DateTime::from_timestamp(i64::from(days) * 86_400, 0)?;
            of_wall_clock(instant, ColumnType::DateTime, format).map(CursorValue::Time)
        }
        (kind, DataType::Utf8) => kind.read(values.as_string::<i32>().value(row)),
        (kind, _) => {
            let format = FormatOptions::new();
            kind.read(&ArrayFormatter::try_new(values, &format).ok()?.value(row).to_string())
        }
    }
}

/// An instant as it is; a wall clock in the zone of the cursor.
fn of_wall_clock(instant: DateTime<Utc>, column: ColumnType, format: &TimeFormat) -> Option<DateTime<Utc>> {
    if column == ColumnType::Instant { Some(instant) } else { format.at(instant.naive_utc()) }
}
