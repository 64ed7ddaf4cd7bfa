//! CSV (RFC 4180). Unless the job says otherwise, as Excel and Power Query take it without questions: UTF-8 with a byte
//! order mark, commas, CRLF.
//!
//! | value | field |
//! |---|---|
//! | null | the text for null, never in quotes |
//! | text | as it is; in quotes where it is empty, spelled like null, or has a delimiter, a quote or a line break |
//! | integer, decimal | digits, the decimal point, all places of the scale |
//! | float | as short as it reads back: `0.1`, `1e300` |
//! | boolean | `true`, `false` |
//! | date | `2024-01-31` |
//! | timestamp | `2024-01-31T12:00:00`, with the digits of the second that are not zero; UTC carries a mark for `analytics` only |

use std::io::Write;

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate};

use super::error::Error;
use super::spelling::{write_date, write_decimal, write_digits, write_float, write_micros, write_sign};
use crate::model::column::{Column, ColumnType};
use crate::model::csv_form::{CsvForm, LineEnd, Quotes, spelled_date, spelled_moment};
use crate::model::warning::{Warning, WarningKind};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A CSV file while it is written; every batch goes to the sink as one buffer.
pub(super) struct CsvWriter<W> {
    sink: W,
    buffer: Vec<u8>,
    bytes: u64,
    form: CsvForm,
    columns: Vec<CsvColumn>,
    /// The job's spelling of timestamps has all digits of the second.
    keeps_micros: bool,
}

/// A column of the file, with what was changed in its values.
struct CsvColumn {
    name: String,
    /// What follows an ISO timestamp.
    zone: &'static [u8],
    cut: u64,
    guarded: u64,
}

impl<W: Write> CsvWriter<W> {
    /// Begins the file, with its header where it has one.
    pub(super) fn open(form: &CsvForm, columns: &[Column], sink: W) -> Result<Self, Error> {
        let columns = columns.iter().map(|column| CsvColumn {
            name: column.name.clone(),
            zone: if form.utc_mark && column.kind == ColumnType::Instant { b"Z" } else { b"" },
            cut: 0,
            guarded: 0,
        });
        let mut writer = CsvWriter {
            sink,
            buffer: if form.bom { BYTE_ORDER_MARK.to_vec() } else { Vec::new() },
            bytes: 0,
            keeps_micros: form.keeps_micros(),
            form: form.clone(),
            columns: columns.collect(),
        };
        if form.header {
            for at in 0..writer.columns.len() {
                if at > 0 {
                    writer.buffer.push(form.delimiter as u8);
                }
                write_text(&writer.columns[at].name, form, &mut writer.buffer);
            }
            writer.end_line();
        }
        writer.pass_on()?;
        Ok(writer)
    }

    /// Adds the rows of a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let kind = Values::of(values).ok_or_else(|| Error::UnknownType {
                column: field.name().clone(),
                found: field.data_type().to_string(),
            })?;
            columns.push((values.nulls(), kind));
        }
        for row in 0..batch.num_rows() {
            for (at, (nulls, values)) in columns.iter().enumerate() {
                if at > 0 {
                    self.buffer.push(self.form.delimiter as u8);
                }
                if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    if columns.len() == 1 && self.form.null_text.is_empty() {
                        return Err(Error::BlankLine { column: self.columns[at].name.clone() });
                    }
                    self.buffer.extend_from_slice(self.form.null_text.as_bytes());
                } else {
                    self.write_value(at, values, row);
                }
            }
            self.end_line();
        }
        self.pass_on()
    }

    fn write_value(&mut self, at: usize, values: &Values<'_>, row: usize) {
        let (form, column, out) = (&self.form, &mut self.columns[at], &mut self.buffer);
        if let Values::Text(values) = values {
            let text = values.value(row);
            if form.guard_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
                column.guarded += 1;
                return write_text(&format!("'{text}"), form, out);
            }
            return write_text(text, form, out);
        }
        let is_quoted = form.quotes == Quotes::All;
        if is_quoted {
            out.push(b'"');
        }
        let point = form.decimal_point as u8;
        match values {
            Values::Boolean(values) => {
                let word = if values.value(row) { &form.true_text } else { &form.false_text };
                out.extend_from_slice(word.as_bytes());
            }
            Values::Integer(values) => {
                let value = values.value(row);
                write_sign(value < 0, out);
                write_digits(u128::from(value.unsigned_abs()), 1, out);
            }
            Values::Decimal(values, scale) => write_decimal(values.value(row), *scale, point, out),
            Values::Float(values) => write_float(values.value(row), point, out),
            Values::Date(values) => {
                let days = values.value(row);
                match form
                    .date_format
                    .as_ref()
                    .and_then(|format| spelled_date(format, NaiveDate::from_epoch_days(days)?))
                {
                    Some(text) => out.extend_from_slice(text.as_bytes()),
                    None => write_date(i64::from(days), out),
                }
            }
            Values::Micros(values) => {
                let micros = values.value(row);
                let spelled = form
                    .datetime_format
                    .as_ref()
                    .and_then(|format| spelled_moment(format, DateTime::from_timestamp_micros(micros)?.naive_utc()));
                match spelled {
                    Some(text) => {
                        column.cut += u64::from(!self.keeps_micros && micros % 1_000_000 != 0);
                        out.extend_from_slice(text.as_bytes());
                    }
                    None => {
                        write_micros(micros, out);
                        out.extend_from_slice(column.zone);
                    }
                }
            }
            Values::Text(_) => unreachable!("texts were written above"),
        }
        if is_quoted {
            out.push(b'"');
        }
    }

    /// Bytes given to the sink.
    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// The sink, and what was changed in values.
    pub(super) fn into_inner(self) -> (W, Vec<Warning>) {
        let mut warnings = Vec::new();
        for column in self.columns {
            let counts = [(WarningKind::FractionTruncated, column.cut), (WarningKind::FormulaGuarded, column.guarded)];
            for (kind, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                warnings.push(Warning { column: column.name.clone(), kind, count });
            }
        }
        (self.sink, warnings)
    }

    fn end_line(&mut self) {
        self.buffer.extend_from_slice(match self.form.line_end {
            LineEnd::Crlf => b"\r\n",
            LineEnd::Lf => b"\n",
        });
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
}

fn write_text(text: &str, form: &CsvForm, out: &mut Vec<u8>) {
    let delimiter = form.delimiter as u8;
    // A fold instead of `any`: without an early end the loop runs over many bytes at once.
    let is_special =
        text.bytes().fold(false, |is, byte| is | (byte == delimiter) | matches!(byte, b'"' | b'\r' | b'\n'));
    let is_quoted = is_special || form.quotes != Quotes::Needed || text.is_empty() || text == form.null_text;
    if !is_quoted {
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
