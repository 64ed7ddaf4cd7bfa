//! What is known of the values of a file without reading it again: what the job's gates ask about, and what its dates and
//! times span. Counted while the rows pass on their way to it.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

use crate::model::column::{Column, ColumnType};
use crate::model::destination::Format;
use crate::model::manifest::{Gauge, Range};

const DAY_SECS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// Of one file.
#[derive(Debug)]
pub(in crate::engine) struct Gauges {
    gauges: Vec<Gauge>,
    /// By the place of the column.
    spans: Vec<(usize, Span)>,
}

/// The least and the greatest value of a column so far, in days or microseconds.
#[derive(Debug)]
struct Span {
    column: String,
    nulls: u64,
    /// Absent = all are null.
    ends: Option<(i64, i64)>,
    is_date: bool,
    /// The file cuts its timestamps to so many microseconds; one keeps them.
    step: i64,
}

/// What was found.
#[derive(Debug, Default)]
pub(in crate::engine) struct Gauged {
    pub gauges: Vec<Gauge>,
    pub ranges: BTreeMap<String, Range>,
}

impl Gauges {
    /// Of a file with these columns; its gates ask about `gauged`.
    pub(in crate::engine) fn of(gauged: &[String], columns: &[Column], format: &Format) -> Self {
        let gauge = |column: &String| Gauge { column: column.clone(), nulls: 0, newest: None };
        let cuts = matches!(format, Format::Csv(form) if !form.keeps_micros());
        let span = |(at, column): (usize, &Column)| {
            let is_date = match column.kind {
                ColumnType::Date => true,
                ColumnType::DateTime | ColumnType::Instant => false,
                _ => return None,
            };
            // A job's own format spells at least whole seconds.
            let step = if cuts && !is_date { SECOND_MICROS } else { 1 };
            Some((at, Span { column: column.name.clone(), nulls: 0, ends: None, is_date, step }))
        };
        let spans = columns.iter().enumerate().filter_map(span).collect();
        Gauges { gauges: gauged.iter().map(gauge).collect(), spans }
    }

    /// Rows that go into the file. A column that they do not have is null in all of them.
    pub(in crate::engine) fn take(&mut self, batch: &RecordBatch, columns: &[Column]) {
        for (at, span) in &mut self.spans {
            let values = batch.column(*at);
            span.nulls += values.null_count() as u64;
            if let Some((least, greatest)) = ends_of(values.as_ref()) {
                let (from, to) = span.ends.unwrap_or((least, greatest));
                span.ends = Some((from.min(least), to.max(greatest)));
            }
        }
        for gauge in &mut self.gauges {
            let missing = match columns.iter().position(|column| column.has_name(&gauge.column)) {
                Some(at) => batch.column(at).null_count(),
                None => batch.num_rows(),
            };
            gauge.nulls += missing as u64;
        }
    }

    pub(in crate::engine) fn finish(self) -> Gauged {
        let Gauges { mut gauges, spans } = self;
        for gauge in &mut gauges {
            let span = spans.iter().find(|(_, span)| span.column.eq_ignore_ascii_case(&gauge.column));
            gauge.newest = span.and_then(|(_, span)| span.newest());
        }
        let ranges = spans.into_iter().filter_map(|(_, span)| Some((span.column.clone(), span.range()?)));
        Gauged { gauges, ranges: ranges.collect() }
    }
}

impl Span {
    /// The greatest value. A wall clock without a zone counts as UTC.
    fn newest(&self) -> Option<DateTime<Utc>> {
        let (_, to) = self.ends?;
        if self.is_date { DateTime::from_timestamp(to * DAY_SECS, 0) } else { DateTime::from_timestamp_micros(to) }
    }

    /// `None` = a value has a year that readers of the texts do not know.
    fn range(&self) -> Option<Range> {
        let Some((from, to)) = self.ends else { return Some(Range { from: None, to: None, nulls: self.nulls }) };
        let spelled = |value: i64| if self.is_date { spelled_day(value) } else { spelled_micros(value) };
        // The file holds what is cut.
        let [from, to] = [from, to].map(|value| value.div_euclid(self.step) * self.step);
        Some(Range { from: Some(spelled(from)?), to: Some(spelled(to)?), nulls: self.nulls })
    }
}

/// `2026-11-26`, which sorts as a text.
fn spelled_day(days: i64) -> Option<String> {
    let date = NaiveDate::from_epoch_days(i32::try_from(days).ok()?)?;
    is_spelled(date).then(|| date.format("%Y-%m-%d").to_string())
}

/// `2026-11-26T10:00:00.123456`, always with all digits, so that it sorts as a text.
fn spelled_micros(micros: i64) -> Option<String> {
    let moment: NaiveDateTime = DateTime::from_timestamp_micros(micros)?.naive_utc();
    is_spelled(moment.date()).then(|| moment.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
}

fn is_spelled(date: NaiveDate) -> bool {
    (1..=9999).contains(&date.year())
}

/// The least and the greatest date or time. `None` = there is none.
fn ends_of(values: &dyn Array) -> Option<(i64, i64)> {
    match values.data_type() {
        DataType::Date32 => {
            let days = values.as_primitive::<Date32Type>();
            Some((min(days)?.into(), max(days)?.into()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>();
            Some((min(micros)?, max(micros)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, TimestampMicrosecondArray};

    use super::*;
    use crate::model::column::TypeOrigin;
    use crate::model::csv_form::CsvForm;
    use crate::model::destination::ParquetForm;

    fn range_of(kind: ColumnType, format: &Format, batches: &[ArrayRef]) -> Option<Range> {
        let columns = [Column { name: "at".into(), path: vec!["at".into()], kind, origin: TypeOrigin::Inferred }];
        let mut gauges = Gauges::of(&[], &columns, format);
        for values in batches {
            let batch = RecordBatch::try_from_iter([("at", Arc::clone(values))]).expect("a batch");
            gauges.take(&batch, &columns);
        }
        gauges.finish().ranges.remove("at")
    }

    fn spelled(from: &str, to: &str, nulls: u64) -> Option<Range> {
        Some(Range { from: Some(from.to_owned()), to: Some(to.to_owned()), nulls })
    }

    #[test]
    fn ranges_hold_every_value_of_their_file() {
        let parquet = Format::Parquet(ParquetForm::default());
        let days = |values: &[Option<i32>]| Arc::new(Date32Array::from(values.to_vec())) as ArrayRef;
        let micros = |values: &[Option<i64>]| Arc::new(TimestampMicrosecondArray::from(values.to_vec())) as ArrayRef;
        let check = |kind, batches: &[ArrayRef], expect: Option<Range>| {
            assert_eq!(range_of(kind, &parquet, batches), expect, "{kind} {batches:?}");
        };
        check(ColumnType::Date, &[days(&[Some(1), None]), days(&[Some(-1)])], spelled("1969-12-31", "1970-01-02", 1));
        check(ColumnType::Date, &[days(&[None]), days(&[None])], Some(Range { from: None, to: None, nulls: 2 }));
        check(ColumnType::Date, &[], Some(Range { from: None, to: None, nulls: 0 }));
        // Years 10000 and 0: no text that sorts, so nothing is known.
        check(ColumnType::Date, &[days(&[Some(2_932_897), Some(0)])], None);
        check(ColumnType::Date, &[days(&[Some(-719_163), Some(0)])], None);
        check(ColumnType::Date, &[days(&[Some(-719_162), Some(2_932_896)])], spelled("0001-01-01", "9999-12-31", 0));
        let first = [micros(&[Some(1), Some(-1), None])];
        for kind in [ColumnType::Instant, ColumnType::DateTime] {
            check(kind, &first, spelled("1969-12-31T23:59:59.999999", "1970-01-01T00:00:00.000001", 1));
        }
        check(ColumnType::Instant, &[micros(&[Some(i64::MAX)])], None);
        check(ColumnType::Integer, &[micros(&[Some(1)])], None);
    }

    #[test]
    fn what_a_csv_file_cuts_is_in_its_range() {
        let format = |spelling: &str| {
            Format::Csv(Box::new(CsvForm { datetime_format: Some(spelling.to_owned()), ..CsvForm::default() }))
        };
        let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, -1]));
        let check = |spelling: &str, from: &str, to: &str| {
            let found = range_of(ColumnType::Instant, &format(spelling), &[Arc::clone(&values)]);
            assert_eq!(found, spelled(from, to, 0), "{spelling}");
        };
        check("%d.%m.%Y %H:%M:%S", "1969-12-31T23:59:59.000000", "1970-01-01T00:00:01.000000");
        check("%Y-%m-%d %H:%M:%S%.f", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:01.500000");
    }
}
