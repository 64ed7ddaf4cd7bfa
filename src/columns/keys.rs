//! Keys of records as comparable bytes: the same values of a key give the same bytes, whatever file they come from.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::row::{RowConverter, Rows, SortField};

use crate::model::column::{Column, ColumnType};

use super::cells::arrow_type;
use super::convert::{convert, convert_array};
use super::error::{Error, excerpt};

/// Turns the key columns of batches into bytes.
pub(crate) struct Keys {
    columns: Vec<Column>,
    converter: RowConverter,
}

impl Keys {
    /// For these key columns, in this order; batches may hold them in earlier types.
    pub(crate) fn new(columns: Vec<Column>) -> Result<Self, Error> {
        let fields = columns.iter().map(|column| SortField::new(arrow_type(column.kind))).collect();
        let converter = RowConverter::new(fields).map_err(|source| Error::Batch { source })?;
        Ok(Keys { columns, converter })
    }

    /// The key columns, in the types that keys are made with.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The keys of a batch that holds these columns; a null in one is an error that names it.
    pub(crate) fn of(&self, batch: &RecordBatch, from: &[Column]) -> Result<Rows, Error> {
        let mut kept = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, values) in from.iter().zip(batch.columns()) {
            if self.columns.iter().any(|key| key.has_name(&column.name)) {
                kept.push(column.clone());
                arrays.push(values.clone());
            }
        }
        let schema = super::convert::schema_of(&kept);
        let batch = RecordBatch::try_new(schema, arrays).map_err(|source| Error::Batch { source })?;
        let batch = convert(&batch, &kept, &self.columns)?;
        for (column, values) in self.columns.iter().zip(batch.columns()) {
            if values.null_count() > 0 {
                return Err(Error::NullKey { column: column.name.clone(), rows: values.null_count() });
            }
        }
        self.rows(batch.columns())
    }

    /// The keys that records of another kind name, in their columns `names`, which stand in the order of the key. Values
    /// that no key can be are errors: they would be compared in vain.
    pub(crate) fn of_named(&self, batch: &RecordBatch, from: &[Column], names: &[String]) -> Result<Rows, Error> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(names.len());
        for (key, name) in self.columns.iter().zip(names) {
            let at = from.iter().position(|column| column.has_name(name));
            let at = at.ok_or_else(|| Error::NoListedKey { column: name.clone() })?;
            let values = batch.column(at);
            if values.null_count() > 0 {
                return Err(Error::NullKey { column: name.clone(), rows: values.null_count() });
            }
            arrays.push(as_key(values, &from[at], key)?);
        }
        self.rows(&arrays)
    }

    fn rows(&self, arrays: &[ArrayRef]) -> Result<Rows, Error> {
        self.converter.convert_columns(arrays).map_err(|source| Error::Batch { source })
    }
}

/// Values of a column as values of the key. Numbers and texts of whole numbers are one; what may be spelled in several
/// ways is not compared by guess.
fn as_key(values: &ArrayRef, from: &Column, key: &Column) -> Result<ArrayRef, Error> {
    let loss = |value: String| Error::Loss { column: from.name.clone(), from: from.kind, to: key.kind, value };
    match (from.kind, key.kind) {
        (from, key) if from == key => Ok(ArrayRef::clone(values)),
        (ColumnType::Integer, ColumnType::Text | ColumnType::Decimal { .. })
        | (ColumnType::Decimal { .. }, ColumnType::Decimal { .. }) => {
            convert_array(values, from.kind, key.kind).map_err(loss)
        }
        (ColumnType::Text, ColumnType::Integer) => {
            let whole = |text: &str| text.parse().ok().filter(|number: &i64| number.to_string() == text);
            let numbers = values.as_string::<i32>().iter().map(|text| {
                let text = text.unwrap_or_default();
                whole(text).ok_or_else(|| loss(excerpt(text)))
            });
            Ok(Arc::new(numbers.collect::<Result<Int64Array, Error>>()?))
        }
        (found, kind) => Err(Error::OtherKey { column: from.name.clone(), found, key: key.name.clone(), kind }),
    }
}
