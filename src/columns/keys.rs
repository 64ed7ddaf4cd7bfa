//! Keys of records as comparable bytes: the same values of a key give the same bytes, whatever file they come from.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::row::{RowConverter, Rows, SortField};

use crate::model::column::Column;

use super::cells::arrow_type;
use super::convert::convert;
use super::error::Error;

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
        self.converter.convert_columns(batch.columns()).map_err(|source| Error::Batch { source })
    }
}
