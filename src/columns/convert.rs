//! Batches of earlier columns turned into later ones, along the lattice and without a loss.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Field, Float64Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};

use crate::model::column::{Column, ColumnType};

use super::cells::arrow_type;
use super::error::{Error, excerpt};
use super::lists::first_loss;
use super::number::{self, DOUBLE_INTEGER_MAX, power_of_ten};
use super::temporal;

/// The Arrow schema of these columns: all nullable, without metadata.
pub(crate) fn schema_of(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, arrow_type(column.kind), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Turns a batch with the columns `from` into one with the columns `to`, found by name without regard to case; columns that are missing in
/// `from` become nulls.
///
/// Takes every step a column can make while records arrive. A value that the new type cannot hold exactly, and a column
/// with values that is missing in `to`, are errors.
pub(crate) fn convert(batch: &RecordBatch, from: &[Column], to: &[Column]) -> Result<RecordBatch, Error> {
    if batch.num_columns() != from.len() {
        return Err(Error::OtherColumns { found: batch.num_columns(), described: from.len() });
    }
    for (column, values) in from.iter().zip(batch.columns()) {
        if values.null_count() < values.len() && !to.iter().any(|new| new.has_name(&column.name)) {
            return Err(Error::ColumnLost { column: column.name.clone() });
        }
    }
    let mut arrays = Vec::with_capacity(to.len());
    for new in to {
        arrays.push(match from.iter().position(|column| column.has_name(&new.name)) {
            Some(at) => convert_array(batch.column(at), from[at].kind, new.kind).map_err(|value| Error::Loss {
                column: new.name.clone(),
                from: from[at].kind,
                to: new.kind,
                value: excerpt(&value),
            })?,
            None => new_null_array(&arrow_type(new.kind), batch.num_rows()),
        });
    }
    let options = RecordBatchOptions::new().with_match_field_names(true).with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema_of(to), arrays, &options).map_err(|source| Error::Batch { source })
}

/// As [`convert`], for a batch of the run in which the columns became `to`: dates of the columns `once_datetimes` take
/// the step by which they came to text, as those did that came later.
pub(crate) fn convert_stepwise(
    batch: &RecordBatch,
    from: &[Column],
    to: &[Column],
    once_datetimes: &[String],
) -> Result<RecordBatch, Error> {
    let is_step = |column: &Column| column.kind == ColumnType::Date && once_datetimes.contains(&column.name);
    if !from.iter().any(is_step) {
        return convert(batch, from, to);
    }
    let kind_of = |column: &Column| if is_step(column) { ColumnType::DateTime } else { column.kind };
    let steps: Vec<Column> = from.iter().map(|column| Column { kind: kind_of(column), ..column.clone() }).collect();
    convert(&convert(batch, from, &steps)?, &steps, to)
}

/// One column's values as another type; the error is the value that would lose something.
pub(super) fn convert_array(values: &ArrayRef, from: ColumnType, to: ColumnType) -> Result<ArrayRef, String> {
    if from == to {
        return Ok(Arc::clone(values));
    }
    if values.null_count() == values.len() {
        return Ok(new_null_array(&arrow_type(to), values.len()));
    }
    match (from, to) {
        (_, ColumnType::Text) => Ok(to_text(values, from)),
        // Both are JSON texts in memory.
        (ColumnType::List(_), ColumnType::Json) => Ok(Arc::clone(values)),
        (ColumnType::List(_), ColumnType::List(items)) => match first_loss(values.as_string(), items) {
            Some(list) => Err(list.to_owned()),
            None => Ok(Arc::clone(values)),
        },
        (ColumnType::Integer, ColumnType::Decimal { precision, scale }) => {
            let units = values.as_primitive::<Int64Type>().iter().map(|value| value.map(i128::from));
            rescaled(units, 0, precision, scale)
        }
        (ColumnType::Decimal { scale: old, .. }, ColumnType::Decimal { precision, scale }) => {
            rescaled(values.as_primitive::<Decimal128Type>().iter(), old, precision, scale)
        }
        (ColumnType::Integer, ColumnType::Float) => {
            let exact = |value: i64| {
                if value.unsigned_abs() <= DOUBLE_INTEGER_MAX { Ok(value as f64) } else { Err(value.to_string()) }
            };
            let floats = values.as_primitive::<Int64Type>().iter().map(|value| value.map(exact).transpose());
            Ok(Arc::new(floats.collect::<Result<Float64Array, String>>()?))
        }
        (ColumnType::Decimal { scale, .. }, ColumnType::Float) => {
            let exact = |units: i128| {
                number::decimal_to_float(units, scale).ok_or_else(|| {
                    let mut text = String::new();
                    number::write_decimal(units, scale, &mut text);
                    text
                })
            };
            let floats = values.as_primitive::<Decimal128Type>().iter().map(|value| value.map(exact).transpose());
            Ok(Arc::new(floats.collect::<Result<Float64Array, String>>()?))
        }
        (ColumnType::Date, ColumnType::DateTime) => {
            let micros = values.as_primitive::<Date32Type>().iter().map(|day| day.map(temporal::days_to_micros));
            Ok(Arc::new(micros.collect::<TimestampMicrosecondArray>()))
        }
        // No column makes any other step while records arrive.
        _ => Err(first_value(values, from)),
    }
}

fn rescaled(
    values: impl Iterator<Item = Option<i128>>,
    old_scale: u8,
    precision: u8,
    scale: u8,
) -> Result<ArrayRef, String> {
    let (up, down) = (u32::from(scale.saturating_sub(old_scale)), u32::from(old_scale.saturating_sub(scale)));
    let rescale = |units: i128| {
        let exact = if units % power_of_ten(down) == 0 { units / power_of_ten(down) } else { return Err(units) };
        let scaled = exact.checked_mul(power_of_ten(up)).ok_or(units)?;
        if scaled.abs() < power_of_ten(u32::from(precision)) { Ok(scaled) } else { Err(units) }
    };
    let decimals: Result<Decimal128Array, i128> = values.map(|value| value.map(rescale).transpose()).collect();
    let decimals = decimals.map_err(|units| {
        let mut text = String::new();
        number::write_decimal(units, old_scale, &mut text);
        text
    })?;
    Ok(Arc::new(decimals.with_data_type(arrow_type(ColumnType::Decimal { precision, scale }))))
}

/// Every value in the one spelling that it has in a text column.
fn to_text(values: &ArrayRef, from: ColumnType) -> ArrayRef {
    if matches!(from, ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_)) {
        return Arc::clone(values);
    }
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 16);
    let mut text = String::new();
    for row in 0..values.len() {
        if values.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write_value(values, from, row, &mut text);
        builder.append_value(&text);
    }
    Arc::new(builder.finish())
}

fn first_value(values: &ArrayRef, from: ColumnType) -> String {
    let row = (0..values.len()).find(|row| values.is_valid(*row)).expect("a column of nulls converts to every type");
    let mut text = String::new();
    write_value(values, from, row, &mut text);
    text
}

pub(super) fn write_value(values: &ArrayRef, kind: ColumnType, row: usize, out: &mut String) {
    match kind {
        ColumnType::Boolean => out.push_str(if values.as_boolean().value(row) { "true" } else { "false" }),
        ColumnType::Integer => out.push_str(&values.as_primitive::<Int64Type>().value(row).to_string()),
        ColumnType::Decimal { scale, .. } => {
            number::write_decimal(values.as_primitive::<Decimal128Type>().value(row), scale, out);
        }
        ColumnType::Float => number::write_float(values.as_primitive::<Float64Type>().value(row), out),
        ColumnType::Date => temporal::write_date(values.as_primitive::<Date32Type>().value(row), out),
        ColumnType::DateTime => {
            temporal::write_micros(values.as_primitive::<TimestampMicrosecondType>().value(row), "", out);
        }
        ColumnType::Instant => {
            temporal::write_micros(values.as_primitive::<TimestampMicrosecondType>().value(row), "Z", out);
        }
        ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => {
            out.push_str(values.as_string::<i32>().value(row))
        }
    }
}
