//! What can be wrong with records and columns.

use std::fmt;

use crate::model::column::ColumnType;

/// Characters of a value that go into an error.
const VALUE_CHARS_MAX: usize = 60;

/// Where a record stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) page: u64,
    /// Within the page.
    pub(crate) record: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of page {}", self.record, self.page)
    }
}

/// Why records did not become columns. After any of these the decoder is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("column `{column}` is {kind}, but {place} has `{value}`: {why}")]
    Value { column: String, kind: ColumnType, value: String, why: &'static str, place: Place },
    #[error(
        "column `{column}`: {place} has a text of {units} characters, of which the readers keep {limit}: `{value}`"
    )]
    LongText { column: String, value: String, units: usize, limit: usize, place: Place },
    #[error("{place} is no valid JSON")]
    Syntax { place: Place, source: jiter::JiterError },
    #[error("{place} holds text that is not UTF-8")]
    NotUtf8 { place: Place, source: std::str::Utf8Error },
    #[error("{place} is nested deeper than {limit} levels (JSON_DEPTH_MAX)")]
    TooDeep { place: Place, limit: usize },
    #[error("the records of page {page} are neither an array of objects nor an object")]
    NoRecords { page: u64 },
    #[error("{place} is {found}, not an object")]
    NoObject { place: Place, found: &'static str },
    #[error("{place} has the member `{path}` twice")]
    DuplicateMember { place: Place, path: String },
    #[error("`{first}` and `{second}` would both become the column `{name}`")]
    SameName { name: String, first: String, second: String },
    #[error(
        "the column of `{path}` would have a name of {chars} characters; the limit is {limit} (COLUMN_NAME_CHARS_MAX)"
    )]
    LongName { path: String, chars: usize, limit: usize },
    #[error("the table has more than {limit} columns (COLUMNS_MAX); `{path}` is one too many")]
    ManyColumns { path: String, limit: usize },
    #[error("column `{column}` cannot turn from {from} into {to} at `{value}` without losing something")]
    Loss { column: String, from: ColumnType, to: ColumnType, value: String },
    #[error("column `{column}` has values, but no place in the new columns")]
    ColumnLost { column: String },
    #[error("{place} has the new field `{path}`, and the contract lets no column `{column}` appear")]
    NewColumn { place: Place, column: String, path: String },
    #[error("`{path}` of {place} is {found}, where a list of rows was expected")]
    NoList { place: Place, path: String, found: &'static str },
    #[error("{place} has no value for `{column}`, by which the rows of its lists find it")]
    NoParentKey { place: Place, column: String },
    #[error("{count} records cannot become rows; the contract allows {limit}. The first: {first}")]
    ManyBadRecords { count: u64, limit: u64, first: String },
    #[error("{place} cannot be read for the job's expressions")]
    Unread { place: Place, source: serde_json::Error },
    #[error("{place} has `{value}` in `{field}`, of which it is not known whether it says that the record is gone")]
    UnclearTombstone { place: Place, field: String, value: String },
    #[error("{place}: {why}")]
    Expression { place: Place, why: String },
    #[error("{rows} records have no value for `{column}`, which is part of the key")]
    NullKey { column: String, rows: usize },
    #[error("no record has a column `{column}`, which holds the key of records that are gone or there")]
    NoListedKey { column: String },
    #[error("column `{column}` is {found}, and the key `{key}` that it is compared with is {kind}")]
    OtherKey { column: String, found: ColumnType, key: String, kind: ColumnType },
    #[error("a batch of {found} columns was described as {described} columns")]
    OtherColumns { found: usize, described: usize },
    #[error("cannot assemble a record batch")]
    Batch { source: arrow::error::ArrowError },
}

impl Error {
    /// What of the text is content of records, as it stands there.
    pub(crate) fn contents(&self) -> Vec<String> {
        match self {
            Error::Value { value, .. }
            | Error::LongText { value, .. }
            | Error::Loss { value, .. }
            | Error::UnclearTombstone { value, .. } => vec![format!("`{value}`")],
            Error::ManyBadRecords { first, .. } => vec![first.clone()],
            Error::Expression { why, .. } => vec![why.clone()],
            Error::Syntax { .. }
            | Error::NotUtf8 { .. }
            | Error::TooDeep { .. }
            | Error::NoRecords { .. }
            | Error::NoObject { .. }
            | Error::DuplicateMember { .. }
            | Error::SameName { .. }
            | Error::LongName { .. }
            | Error::ManyColumns { .. }
            | Error::ColumnLost { .. }
            | Error::NewColumn { .. }
            | Error::NoList { .. }
            | Error::NoParentKey { .. }
            | Error::Unread { .. }
            | Error::NullKey { .. }
            | Error::NoListedKey { .. }
            | Error::OtherKey { .. }
            | Error::OtherColumns { .. }
            | Error::Batch { .. } => Vec::new(),
        }
    }
}

/// A value that a column does not take; the decoder adds where it stood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) value: String,
    pub(super) why: &'static str,
    /// Of a text that is too long, as UTF-16 counts it; 0 = that is not why.
    pub(super) long_units: usize,
}

impl Refusal {
    pub(super) fn of(value: &str, why: &'static str) -> Box<Self> {
        Box::new(Refusal { value: excerpt(value), why, long_units: 0 })
    }

    /// Of a text that is longer than its readers keep.
    #[cold]
    pub(super) fn of_long(text: &str) -> Box<Self> {
        Box::new(Refusal { value: excerpt(text), why: "", long_units: text.encode_utf16().count() })
    }
}

/// The beginning of a value, for a message.
pub(super) fn excerpt(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// A path as messages show it.
pub(super) fn shown(path: &[String]) -> String {
    path.join(".")
}

impl Error {
    /// Whether it is about one record, so that the others can be taken without it.
    pub(crate) fn is_of_record(&self) -> bool {
        match self {
            Error::Value { .. }
            | Error::LongText { .. }
            | Error::NotUtf8 { .. }
            | Error::TooDeep { .. }
            | Error::NoObject { .. }
            | Error::DuplicateMember { .. }
            | Error::NewColumn { .. }
            | Error::NoList { .. }
            | Error::NoParentKey { .. }
            | Error::Unread { .. }
            | Error::UnclearTombstone { .. }
            | Error::Expression { .. } => true,
            Error::Syntax { .. }
            | Error::NoRecords { .. }
            | Error::SameName { .. }
            | Error::LongName { .. }
            | Error::ManyColumns { .. }
            | Error::Loss { .. }
            | Error::ColumnLost { .. }
            | Error::ManyBadRecords { .. }
            | Error::NullKey { .. }
            | Error::NoListedKey { .. }
            | Error::OtherKey { .. }
            | Error::OtherColumns { .. }
            | Error::Batch { .. } => false,
        }
    }

    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Value { column, .. } => {
                Some(format!("declare another type under the stream's `columns`, for example `{column}: text`"))
            }
            Error::LongText { .. } => Some(
                "`long_text: truncate` under `destination` cuts such texts and counts them; `profile: analytics` keeps \
                 them whole"
                    .to_owned(),
            ),
            Error::SameName { first, .. } => {
                Some(format!("give one of them another name, for example `rename: {{ \"{first}\": other }}`, or leave it out under `drop`"))
            }
            Error::LongName { path, .. } => Some(format!("give it a shorter name: `rename: {{ \"{path}\": short }}`")),
            Error::ManyColumns { .. } => {
                Some("name the fields that you need under `select`, or keep objects with changing keys whole: `nested: { <field>: json }`".to_owned())
            }
            Error::NewColumn { path, .. } => Some(format!(
                "`haul run --full` takes the columns anew; `drop: [\"{path}\"]` leaves the field out for good"
            )),
            Error::ManyBadRecords { .. } => {
                Some("look into the quarantine file of the run, then declare wider types or raise the limit".to_owned())
            }
            Error::NoParentKey { .. } => Some("name columns under the stream's `key` that every record has".to_owned()),
            Error::NullKey { .. } => {
                Some("rows are merged by their key: name columns under `key` that every record has".to_owned())
            }
            Error::UnclearTombstone { .. } => {
                Some("name the value that says so: `deleted: { field: …, value: … }`".to_owned())
            }
            Error::NoListedKey { .. } => Some("`deleted.key` names columns; `haul preview` shows them".to_owned()),
            Error::OtherKey { column, kind, .. } => {
                Some(format!("declare the type where the column comes from: `columns: {{ {column}: {kind} }}`"))
            }
            Error::Loss { .. } => Some("`haul run --full` reads the table anew, with types of its own".to_owned()),
            _ => None,
        }
    }
}
