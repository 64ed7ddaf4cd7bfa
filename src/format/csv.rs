//! CSV (RFC 4180) as Excel and Power Query take it without questions: UTF-8 with a byte order mark, CRLF.
//!
//! | value | field |
//! |---|---|
//! | null | nothing |
//! | text | as it is; quoted where it is empty or has a comma, a quote or a line break |
//! | integer, decimal | digits, `.`, all places of the scale |
//! | float | as short as it reads back: `0.1`, `1e300` |
//! | boolean | `true`, `false` |
//! | date | `2024-01-31` |
//! | timestamp | `2024-01-31T12:00:00`, with the digits of the second that are not zero; UTC carries no mark |

use std::io::Write;

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Schema, TimeUnit};

use super::error::Error;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const LINE_END: &[u8] = b"\r\n";
/// Microseconds of one second and of one day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A CSV file while it is written; every batch goes to the sink as one buffer.
pub(super) struct CsvWriter<W> {
    sink: W,
    buffer: Vec<u8>,
    bytes: u64,
}

impl<W: Write> CsvWriter<W> {
    /// Begins the file with its header.
    pub(super) fn open(schema: &Schema, sink: W) -> Result<Self, Error> {
        let mut writer = CsvWriter { sink, buffer: BYTE_ORDER_MARK.to_vec(), bytes: 0 };
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                writer.buffer.push(b',');
            }
            write_text(field.name(), &mut writer.buffer);
        }
        writer.buffer.extend_from_slice(LINE_END);
        writer.pass_on()?;
        Ok(writer)
    }

    /// Adds the rows of a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            columns.push(Values::of(values).ok_or_else(|| Error::UnknownType {
                column: field.name().clone(),
                found: field.data_type().to_string(),
            })?);
        }
        for row in 0..batch.num_rows() {
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    self.buffer.push(b',');
                }
                column.write(row, &mut self.buffer);
            }
            self.buffer.extend_from_slice(LINE_END);
        }
        self.pass_on()
    }

    /// Bytes given to the sink.
    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes
    }

    pub(super) fn into_inner(self) -> W {
        self.sink
    }

    fn pass_on(&mut self) -> Result<(), Error> {
        self.sink.write_all(&self.buffer).map_err(|source| Error::Io { doing: "write to", source })?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The values of one column, their type found out once per batch.
enum Values<'a> {
    Boolean(&'a BooleanArray),
    Integer(&'a Int64Array),
    Decimal(&'a Decimal128Array, usize),
    Float(&'a Float64Array),
    Date(&'a Date32Array),
    Micros(&'a TimestampMicrosecondArray),
    Text(&'a StringArray),
}

impl<'a> Values<'a> {
    fn of(values: &'a dyn Array) -> Option<Self> {
        Some(match values.data_type() {
            DataType::Boolean => Values::Boolean(values.as_boolean()),
            DataType::Int64 => Values::Integer(values.as_primitive()),
            DataType::Decimal128(_, scale) => Values::Decimal(values.as_primitive(), usize::try_from(*scale).ok()?),
            DataType::Float64 => Values::Float(values.as_primitive()),
            DataType::Date32 => Values::Date(values.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Values::Micros(values.as_primitive()),
            DataType::Utf8 => Values::Text(values.as_string()),
            _ => return None,
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Values::Boolean(values) if values.is_valid(row) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Values::Integer(values) if values.is_valid(row) => {
                let value = values.value(row);
                write_sign(value < 0, out);
                write_digits(u128::from(value.unsigned_abs()), 1, out);
            }
            Values::Decimal(values, scale) if values.is_valid(row) => write_decimal(values.value(row), *scale, out),
            Values::Float(values) if values.is_valid(row) => write_float(values.value(row), out),
            Values::Date(values) if values.is_valid(row) => write_date(i64::from(values.value(row)), out),
            Values::Micros(values) if values.is_valid(row) => write_micros(values.value(row), out),
            Values::Text(values) if values.is_valid(row) => write_text(values.value(row), out),
            // What is left is null: an empty field.
            Values::Boolean(_)
            | Values::Integer(_)
            | Values::Decimal(..)
            | Values::Float(_)
            | Values::Date(_)
            | Values::Micros(_)
            | Values::Text(_) => {}
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // A fold instead of `any`: without an early end the loop runs over many bytes at once.
    let is_special = text.bytes().fold(false, |is, byte| is | matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if !is_special && !text.is_empty() {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for (at, piece) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(piece.as_bytes());
    }
    out.push(b'"');
}

fn write_sign(is_negative: bool, out: &mut Vec<u8>) {
    if is_negative {
        out.push(b'-');
    }
}

/// Appends a number with at least `width` digits.
fn write_digits(value: u128, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 39];
    let mut start = digits.len();
    let mut rest = value;
    // Most numbers fit 64 bits, whose division is many times faster.
    while rest > u128::from(u64::MAX) {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

fn write_decimal(units: i128, scale: usize, out: &mut Vec<u8>) {
    write_sign(units < 0, out);
    let start = out.len();
    write_digits(units.unsigned_abs(), (scale + 1).min(39), out);
    if scale > 0 {
        let point = out.len() - scale;
        debug_assert!(point > start, "a digit stands before the point");
        out.insert(point, b'.');
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    let written =
        if size != 0.0 && !(1e-5..1e16).contains(&size) { write!(out, "{value:e}") } else { write!(out, "{value}") };
    written.expect("writing to memory cannot fail");
}

/// Appends `YYYY-MM-DD` (<https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`).
fn write_date(days: i64, out: &mut Vec<u8>) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    write_sign(year < 0, out);
    write_digits(u128::from(year.unsigned_abs()), 4, out);
    write_two(b'-', month, out);
    write_two(b'-', day, out);
}

fn write_micros(micros: i64, out: &mut Vec<u8>) {
    write_date(micros.div_euclid(DAY), out);
    let of_day = micros.rem_euclid(DAY);
    let seconds = of_day / SECOND;
    write_two(b'T', seconds / 3600, out);
    write_two(b':', seconds / 60 % 60, out);
    write_two(b':', seconds % 60, out);
    let fraction = of_day % SECOND;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    write_digits(fraction.unsigned_abs().into(), 6, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn write_two(before: u8, value: i64, out: &mut Vec<u8>) {
    let value = value as u8;
    out.extend_from_slice(&[before, b'0' + value / 10, b'0' + value % 10]);
}
