//! What the gates ask about values, counted while rows pass on their way to a file.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::max;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use crate::model::column::Column;
use crate::model::manifest::Gauge;

const DAY_SECS: i64 = 86_400;

/// The gauges of one file.
#[derive(Debug)]
pub(in crate::engine) struct Gauges(Vec<Gauge>);

impl Gauges {
    /// Of these columns, by name.
    pub(in crate::engine) fn of(columns: &[String]) -> Self {
        let gauge = |column: &String| Gauge { column: column.clone(), nulls: 0, newest: None };
        Gauges(columns.iter().map(gauge).collect())
    }

    /// Rows that go into the file. A column that they do not have is null in all of them.
    pub(in crate::engine) fn take(&mut self, batch: &RecordBatch, columns: &[Column]) {
        for gauge in &mut self.0 {
            let Some(at) = columns.iter().position(|column| column.has_name(&gauge.column)) else {
                gauge.nulls += batch.num_rows() as u64;
                continue;
            };
            let values = batch.column(at);
            gauge.nulls += values.null_count() as u64;
            gauge.newest = gauge.newest.max(newest_of(values.as_ref()));
        }
    }

    pub(in crate::engine) fn finish(self) -> Vec<Gauge> {
        self.0
    }
}

/// The greatest date or time. A wall clock without a zone counts as UTC.
fn newest_of(values: &dyn Array) -> Option<DateTime<Utc>> {
    match values.data_type() {
        DataType::Date32 => {
            let days = max(values.as_primitive::<Date32Type>())?;
            DateTime::from_timestamp(i64::from(days) * DAY_SECS, 0)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            DateTime::from_timestamp_micros(max(values.as_primitive::<TimestampMicrosecondType>())?)
        }
        _ => None,
    }
}
