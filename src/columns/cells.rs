//! The values of one column between two batches, in Arrow's builders.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use crate::model::column::ColumnType;

/// The Arrow type of a column's values in memory, whoever reads the files: what a file stores instead, the room that
/// writes and reads files decides. `Null` is text; both kinds of timestamp are UTC or wall clock without a zone.
pub(crate) fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
        ColumnType::Float => DataType::Float64,
        ColumnType::Date => DataType::Date32,
        ColumnType::DateTime | ColumnType::Instant => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => DataType::Utf8,
    }
}

/// Growing values of one storage type.
///
/// - Rows are added in order; those that were left out are filled with nulls when the next one, or the end, is known.
#[derive(Debug)]
pub(super) enum Cells {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Micros(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

macro_rules! each {
    ($cells:expr, $builder:ident => $do:expr) => {
        match $cells {
            Cells::Boolean($builder) => $do,
            Cells::Integer($builder) => $do,
            Cells::Decimal($builder) => $do,
            Cells::Float($builder) => $do,
            Cells::Date($builder) => $do,
            Cells::Micros($builder) => $do,
            Cells::Text($builder) => $do,
        }
    };
}

/// Appends a value at `row`, after nulls for the rows that were left out.
macro_rules! put {
    ($builder:expr, $row:expr, $value:expr) => {{
        let builder = $builder;
        let missing = $row - arrow::array::ArrayBuilder::len(builder);
        if missing > 0 {
            builder.append_nulls(missing);
        }
        builder.append_value($value);
    }};
}
pub(super) use put;

impl Cells {
    /// Storage for a column's type, with room for `rows` values and `bytes` of text.
    pub(super) fn with_capacity(kind: ColumnType, rows: usize, bytes: usize) -> Self {
        match kind {
            ColumnType::Boolean => Cells::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Integer => Cells::Integer(Int64Builder::with_capacity(rows)),
            ColumnType::Decimal { .. } => {
                Cells::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(arrow_type(kind)))
            }
            ColumnType::Float => Cells::Float(Float64Builder::with_capacity(rows)),
            ColumnType::Date => Cells::Date(Date32Builder::with_capacity(rows)),
            ColumnType::DateTime | ColumnType::Instant => {
                Cells::Micros(TimestampMicrosecondBuilder::with_capacity(rows))
            }
            ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => {
                Cells::Text(StringBuilder::with_capacity(rows, bytes))
            }
        }
    }

    /// Storage that goes on after the values of `array`, which has the Arrow type of `kind`.
    pub(super) fn loaded(kind: ColumnType, array: &ArrayRef) -> Self {
        let mut cells = Cells::with_capacity(kind, array.len(), 0);
        match &mut cells {
            Cells::Boolean(builder) => builder.append_array(array.as_boolean()),
            Cells::Integer(builder) => builder.append_array(array.as_primitive::<Int64Type>()),
            Cells::Decimal(builder) => builder.append_array(array.as_primitive::<Decimal128Type>()),
            Cells::Float(builder) => builder.append_array(array.as_primitive::<Float64Type>()),
            Cells::Date(builder) => builder.append_array(array.as_primitive::<Date32Type>()),
            Cells::Micros(builder) => builder.append_array(array.as_primitive::<TimestampMicrosecondType>()),
            Cells::Text(builder) => {
                builder.append_array(array.as_string::<i32>()).expect("a batch's text stays far below two gigabytes");
            }
        }
        cells
    }

    /// Rows so far; later ones are null until a value says otherwise.
    pub(super) fn len(&self) -> usize {
        each!(self, builder => arrow::array::ArrayBuilder::len(builder))
    }

    /// The values of `rows` rows, nulls filled in; leaves nothing behind.
    pub(super) fn finish(&mut self, rows: usize) -> ArrayRef {
        let missing = rows - self.len();
        each!(self, builder => {
            builder.append_nulls(missing);
            Arc::new(builder.finish())
        })
    }
}
