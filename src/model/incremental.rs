//! Incremental reading: how far earlier runs got, and from where the next one reads.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json_path::JsonPath;
use super::slices::CalendarStep;
use super::time_format::TimeFormat;

/// How a stream is read incrementally, as the job says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Incremental {
    /// Field of a record; the greatest value of its column is the cursor.
    pub field: JsonPath,
    pub kind: CursorKind,
    /// Where the first run begins.
    pub start: CursorValue,
    /// Windows along the cursor: each becomes a slice with `slice.window.start` and `.end`. Absent = one open end.
    pub window: Option<CalendarStep>,
    /// What the end of a window is less than its bound, for APIs whose bounds are inclusive.
    pub granularity_micros: i64,
    /// A cursor older than this is of no use: everything is read. Absent = the API forgets nothing.
    pub retention_micros: Option<i64>,
    pub order: FeedOrder,
    pub missing: MissingCursor,
    pub scope: CursorScope,
}

/// What the values of a cursor are, with the overlap that is read again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CursorKind {
    Integer { lookback: u64 },
    Time { format: TimeFormat, lookback_micros: i64 },
}

/// A cursor's value. Values of one stream are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CursorValue {
    Integer(i64),
    Time(DateTime<Utc>),
}

/// Whether the API gives records in the order of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FeedOrder {
    #[default]
    Any,
    /// The walk is over at the first page whose last record is older than the cursor.
    NewestFirst,
}

/// What happens to records without a value for the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MissingCursor {
    #[default]
    Keep,
    Fail,
}

/// Whether every slice has a cursor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CursorScope {
    #[default]
    Stream,
    Slice,
}

/// A cursor as the manifest keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCursor {
    /// Digits, or an instant in RFC 3339, UTC.
    pub value: String,
    /// When the run that set it began.
    pub set_at: DateTime<Utc>,
}

impl CursorValue {
    /// As a manifest and `haul state` show it.
    pub(crate) fn text(self) -> String {
        match self {
            CursorValue::Integer(number) => number.to_string(),
            CursorValue::Time(instant) => instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        }
    }
}

impl CursorKind {
    /// A value from a manifest, an option of the command line, or the job. `None` = it is of another kind.
    pub(crate) fn read(&self, text: &str) -> Option<CursorValue> {
        match self {
            CursorKind::Integer { .. } => text.trim().parse().ok().map(CursorValue::Integer),
            CursorKind::Time { format, .. } => {
                format.read_iso(text.trim()).or_else(|| format.read(text)).map(CursorValue::Time)
            }
        }
    }

    /// As the API wants it.
    pub(crate) fn write(&self, value: CursorValue) -> String {
        match (self, value) {
            (CursorKind::Time { format, .. }, CursorValue::Time(instant)) => format.write(instant),
            (_, value) => value.text(),
        }
    }

    /// The value less the overlap, never before `start`.
    pub(crate) fn looked_back(&self, value: CursorValue, start: CursorValue) -> CursorValue {
        let back = match (self, value) {
            (CursorKind::Integer { lookback }, CursorValue::Integer(number)) => {
                CursorValue::Integer(number.saturating_sub_unsigned(*lookback))
            }
            (CursorKind::Time { lookback_micros, .. }, CursorValue::Time(instant)) => {
                let back = instant.checked_sub_signed(chrono::TimeDelta::microseconds(*lookback_micros));
                CursorValue::Time(back.unwrap_or(instant))
            }
            (_, value) => value,
        };
        back.max(start)
    }
}
