//! Keys of records that are gone, as tombstones or another stream told them. Memory grows with their number.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::parts::read_columns;
use crate::columns::{GoneBatch, Keys, column_name};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::parents::ParentRows;
use crate::engine::seal::SealedTable;
use crate::engine::stream::template;
use crate::engine::watch::{cursor_column, cursor_values};
use crate::model::column::{Column, ColumnType};
use crate::model::deletes::Feed;
use crate::model::fields::RECORD;
use crate::model::incremental::{CursorKind, CursorValue, Incremental};
use crate::model::manifest::Part;
use crate::model::plan::Stream;
use crate::source::{Expressions, fields_read};

/// What a stream read, for another one of whose records it tells.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Listed {
    pub name: String,
    pub parts: Vec<Part>,
    pub columns: Vec<Column>,
    /// The cursor that earlier runs had reached: what is not later may have been told before. Absent = none had.
    pub known_until: Option<CursorValue>,
    /// Its raw copy.
    pub raw: Vec<Part>,
}

/// What a stream was told of records that are gone.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Told<'a> {
    pub gone: &'a [GoneBatch],
    /// Absent = no other stream tells.
    pub listed: Option<&'a Listed>,
}

/// The last that was told of a key.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Deletion {
    /// Absent = it is not known; then it is as new as its telling.
    cursor: Option<CursorValue>,
    /// Rows of the read that came before it.
    rows_before: u64,
    /// It is told for the first time, so a row of an earlier read with the same cursor came before it.
    is_new: bool,
}

/// Deletions by the key.
pub(in crate::engine) type Deletions = HashMap<Box<[u8]>, Deletion>;

impl Listed {
    /// What a stream's own table got in this read.
    pub(in crate::engine) fn of(read: &SealedTable, known_until: Option<CursorValue>, raw: Vec<Part>) -> Self {
        let (name, parts, columns) = (read.name().to_owned(), read.parts().to_vec(), read.columns().to_vec());
        Listed { name, parts, columns, known_until, raw }
    }

    pub(in crate::engine) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

impl Told<'_> {
    /// Whether rows of the read or former ones may be gone.
    pub(in crate::engine) fn is_something(&self) -> bool {
        !self.gone.is_empty() || self.listed.is_some()
    }
}

impl Deletion {
    /// Whether it came after a row of the same read, of which so many were before that row: the later cursor says so, or
    /// the order of arrival.
    pub(in crate::engine) fn is_after_read(&self, row: u64, cursor: Option<CursorValue>) -> bool {
        match (self.cursor, cursor) {
            (Some(own), Some(cursor)) if own != cursor => own > cursor,
            _ => self.rows_before > row,
        }
    }

    /// Whether it came after a row of an earlier read: unless that row has a later cursor, because its record came again
    /// and the deletion is read once more. Where both have the same, a record that was deleted and came again at once
    /// stays when its deletion is read once more.
    pub(in crate::engine) fn is_after_former(&self, cursor: Option<CursorValue>) -> bool {
        match (self.cursor, cursor) {
            (Some(own), Some(cursor)) => own > cursor || (own == cursor && self.is_new),
            _ => true,
        }
    }
}

fn add(deletions: &mut Deletions, key: &[u8], new: Deletion) {
    match deletions.get_mut(key) {
        None => drop(deletions.insert(key.into(), new)),
        Some(known) if new.cursor.is_some() && new.cursor < known.cursor => {}
        Some(known) => *known = new,
    }
}

/// Those that the records told themselves.
pub(in crate::engine) fn of_tombstones(stream: &Stream, keys: &Keys, gone: &[GoneBatch]) -> Result<Deletions, Error> {
    let mut deletions = Deletions::new();
    for GoneBatch { columns, records, rows_before } in gone {
        let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
        let rows = keys.of_named(records, columns, &stream.key).map_err(wrong)?;
        let cursors = stream.incremental.as_ref().and_then(|plan| {
            let at = cursor_column(plan, columns)?;
            Some(cursor_values(&plan.kind, records.column(at).as_ref(), columns[at].kind))
        });
        for (at, key) in rows.iter().enumerate() {
            let cursor = cursors.as_ref().and_then(|cursors| cursors[at]);
            add(&mut deletions, key.as_ref(), Deletion { cursor, rows_before: rows_before[at], is_new: true });
        }
    }
    Ok(deletions)
}

/// Those that another stream told; it was read before the first record of this one.
pub(in crate::engine) async fn of_feed(
    ctx: &Context,
    stream: &Stream,
    feed: &Feed,
    listed: &Listed,
    keys: &Keys,
) -> Result<Deletions, Error> {
    let mut deletions = Deletions::new();
    let mut condition = Condition::of(ctx, feed, listed)?;
    let at = match &feed.at {
        Some((path, kind)) if listed.rows() > 0 => Some((dated_column(feed, listed, path)?, kind)),
        Some(_) | None => None,
    };
    let own = own_incremental(ctx, feed).and_then(|plan| cursor_column(plan, &listed.columns));
    let is_own = |column: &Column| own.is_some_and(|at| listed.columns[at].name == column.name);
    let read: Vec<Column> =
        listed.columns.iter().filter(|column| is_own(column) || is_read(feed, column, &condition)).cloned().collect();
    let names: Vec<&str> = read.iter().map(|column| column.name.as_str()).collect();
    for part in listed.parts.iter().filter(|part| part.rows > 0) {
        for batch in read_columns(ctx, &listed.name, part, &names, &listed.columns).await? {
            let batch = batch?;
            let is_told = match &mut condition {
                Some(condition) => Some(condition.holds(&batch, &read)?),
                None => None,
            };
            let batch = match is_told {
                None => batch,
                Some(is_told) => arrow::compute::filter_record_batch(&batch, &is_told.into()).map_err(|source| {
                    let source = crate::columns::Error::Batch { source };
                    Error::Columns { stream: listed.name.clone(), source }
                })?,
            };
            let wrong = |source| Error::Columns { stream: listed.name.clone(), source };
            let rows = keys.of_named(&batch, &read, &feed.key).map_err(wrong)?;
            let cursors = at.as_ref().map(|(column, kind)| cursors_of(stream, listed, &batch, &read, (column, kind)));
            let cursors = cursors.transpose()?;
            let told_at = own_cursors(ctx, feed, &batch, &read);
            let is_new = |row: usize| told_at.as_ref().is_some_and(|told_at| told_at[row] > listed.known_until);
            for (row, key) in rows.iter().enumerate() {
                let cursor = cursors.as_ref().and_then(|cursors| cursors[row]);
                add(&mut deletions, key.as_ref(), Deletion { cursor, rows_before: 0, is_new: is_new(row) });
            }
        }
    }
    Ok(deletions)
}

fn own_incremental<'c>(ctx: &'c Context, feed: &Feed) -> Option<&'c Incremental> {
    let stream = ctx.job.streams.iter().find(|stream| stream.name == feed.stream)?;
    stream.incremental.as_ref()
}

/// The cursors of a feed's own records. `None` = it is read whole every time.
fn own_cursors(ctx: &Context, feed: &Feed, batch: &RecordBatch, read: &[Column]) -> Option<Vec<Option<CursorValue>>> {
    let plan = own_incremental(ctx, feed)?;
    let at = cursor_column(plan, read)?;
    Some(cursor_values(&plan.kind, batch.column(at).as_ref(), read[at].kind))
}

/// Whether a column of the feed has to be read.
fn is_read(feed: &Feed, column: &Column, condition: &Option<Condition>) -> bool {
    feed.key.iter().any(|name| column.has_name(name))
        || feed.at.as_ref().is_some_and(|(path, _)| column.path == *path || is_named(column, path))
        || condition.as_ref().is_some_and(|condition| condition.needs(column))
}

fn is_named(column: &Column, path: &[String]) -> bool {
    column_name(path).is_ok_and(|name| column.has_name(&name))
}

/// The column of the field by which deletions are compared with rows.
fn dated_column<'a>(feed: &Feed, listed: &'a Listed, path: &[String]) -> Result<&'a Column, Error> {
    let by_path = listed.columns.iter().find(|column| column.path == path);
    by_path.or_else(|| listed.columns.iter().find(|column| is_named(column, path))).ok_or_else(|| Error::NoFeedField {
        stream: feed.stream.clone(),
        field: path.join("."),
        word: "at",
    })
}

fn cursors_of(
    stream: &Stream,
    listed: &Listed,
    batch: &RecordBatch,
    read: &[Column],
    (column, kind): (&Column, &CursorKind),
) -> Result<Vec<Option<CursorValue>>, Error> {
    let at = read.iter().position(|known| known.name == column.name).expect("the column is among those that are read");
    let cursors = cursor_values(kind, batch.column(at).as_ref(), column.kind);
    if cursors.iter().any(Option::is_none) {
        let (stream, column, kind) = (stream.name.clone(), column.name.clone(), column.kind);
        return Err(Error::UndatedDeletion { stream, feed: listed.name.clone(), column, kind });
    }
    Ok(cursors)
}

/// The job's condition on the records of a feed.
struct Condition {
    stream: String,
    expressions: Expressions,
    context: crate::source::Context,
    /// Fields that it reads. A field `[]` = all.
    needed: BTreeSet<Vec<String>>,
}

impl Condition {
    /// `None` = there is none.
    fn of(ctx: &Context, feed: &Feed, listed: &Listed) -> Result<Option<Self>, Error> {
        let Some(when) = &feed.when else { return Ok(None) };
        let wrong = |source| Error::Endpoint { stream: feed.stream.clone(), source };
        let expressions = Expressions::new(Some(when), &[]).map_err(wrong)?;
        let needed = fields_read([format!("{{{{ {when} }}}}").as_str()], RECORD);
        let condition = Condition { stream: feed.stream.clone(), expressions, context: template(ctx), needed };
        // A field that no record has is a slip, by which every deletion would be passed over.
        let is_missing = |path: &&Vec<String>| !listed.columns.iter().any(|column| column.path.starts_with(path));
        match condition.needed.iter().find(is_missing).filter(|_| listed.rows() > 0) {
            Some(path) => Err(Error::NoFeedField { stream: feed.stream.clone(), field: path.join("."), word: "when" }),
            None => Ok(Some(condition)),
        }
    }

    fn needs(&self, column: &Column) -> bool {
        self.needed.iter().any(|path| column.path.starts_with(path))
    }

    /// For each row, whether it is told.
    fn holds(&mut self, batch: &RecordBatch, columns: &[Column]) -> Result<Vec<bool>, Error> {
        let wrong = |source| {
            let source = crate::columns::Error::Batch { source };
            Error::Columns { stream: self.stream.clone(), source }
        };
        // Conditions compare numbers with numbers.
        let number = |(values, column): (&ArrayRef, &Column)| match column.kind {
            ColumnType::Decimal { .. } => cast(values, &DataType::Float64),
            _ => Ok(ArrayRef::clone(values)),
        };
        let arrays = batch.columns().iter().zip(columns).map(number).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let named = columns.iter().zip(arrays).map(|(column, values)| (column.name.as_str(), values, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).map_err(wrong)?;
        let mut records = ParentRows::default();
        records.take(&self.stream, &batch, columns, &self.needed)?;
        let mut holds = Vec::with_capacity(batch.num_rows());
        for record in records.into_records() {
            let told = self.expressions.compute(&mut self.context, &record);
            let told = told.map_err(|why| Error::Condition { stream: self.stream.clone(), why })?;
            holds.push(told.is_some());
        }
        Ok(holds)
    }
}
