//! Slices: bounded parts of a stream, each read, tried again and reported as a whole. What the job says of them stands
//! here, and the values that a planned slice has.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time_format::TimeFormat;

/// Name of the dimension that an incremental stream's windows make.
pub(crate) const WINDOW: &str = "window";

/// One direction in which a stream is cut; several make every combination.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dimension {
    /// Templates read it as `slice.<name>`.
    pub name: String,
    pub values: DimensionValues,
    /// Column of the table that keeps the value. Absent = none does.
    pub column: Option<String>,
}

/// What a dimension runs through. Bounds are templates and half-open: `from` belongs to it, `until` does not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DimensionValues {
    List(Vec<Value>),
    /// `slice.<name>.start` and `.end`; `end` is the last number inside.
    Integers {
        from: String,
        until: String,
        step: u64,
    },
    /// `slice.<name>.start` and `.end` in `format`; `end` is `until` less the granularity.
    Dates {
        from: String,
        until: String,
        step: CalendarStep,
        format: TimeFormat,
        granularity_micros: i64,
    },
}

/// A step along the calendar: months first, then the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CalendarStep {
    pub months: u32,
    pub micros: i64,
}

/// A stream read once for every record, or every few, of another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parent {
    pub stream: String,
    /// Templates read the parent's record by this name.
    pub name: String,
    /// Columns of the child's table with the parent's field that fills them.
    pub fields: Vec<(String, Vec<String>)>,
    /// Records of the parent in one slice; 1 = the name is the record, more = it is a list of them.
    pub batch: u64,
}

/// What becomes of a table when one of its slices fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FailingSlices {
    /// The table fails with it.
    #[default]
    Fail,
    /// The table is published without it, and says so.
    LeaveOut,
}

/// A planned slice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// Names it in messages and keeps its cursor; the same values give the same id. Empty = the stream has one slice.
    pub id: String,
    /// The slice without its window, whose cursor it moves.
    pub scope: String,
    /// What templates see as `slice`.
    pub values: Map<String, Value>,
    /// What templates see of the parent: its name and the record or records.
    pub parent: Option<(String, Value)>,
    /// Columns with one value for all records of the slice.
    pub constants: Vec<(String, Value)>,
    /// Where this slice's cursor stands, as templates see it. Absent = the stream has none.
    pub cursor: Option<String>,
}
