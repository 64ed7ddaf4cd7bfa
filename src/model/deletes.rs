//! Records that are gone: how a stream learns of them, and what becomes of their rows.

use serde_json::{Number, Value};

use super::fields::FieldPath;
use super::incremental::CursorKind;

/// Column of the rows that stay marked: when the run began that learnt of it. Null = the record is there.
pub(crate) const DELETED_AT: &str = "_deleted_at";

/// What a stream does about records that are gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deletes {
    pub told: DeletesTold,
    pub rows: DeletedRows,
}

/// How a stream learns which records are gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DeletesTold {
    /// The record itself says so.
    Tombstone(Tombstone),
    /// The records of another stream name keys that are gone.
    Feed(Feed),
    /// The records of another stream name all keys that are there.
    Sweep(Sweep),
}

/// A field by which a record says that it is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tombstone {
    pub field: FieldPath,
    /// The value that says so. Absent = what [`Tombstone::is_gone`] takes for yes.
    pub value: Option<Value>,
}

/// A stream of keys that are gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feed {
    pub stream: String,
    /// Columns of the feed, in the order of the stream's own key.
    pub key: Vec<String>,
    /// An expression over `record`. Absent = every record of the feed is about this stream.
    pub when: Option<String>,
    /// Field of the feed that can be compared with the stream's cursor, and how its values are read. Absent = the stream
    /// has no cursor.
    pub at: Option<(FieldPath, CursorKind)>,
}

/// A stream of the keys that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub stream: String,
    /// Columns of the sweep, in the order of the stream's own key.
    pub key: Vec<String>,
    /// Whether no key at all may be there; otherwise an empty sweep is an error.
    pub may_be_empty: bool,
}

/// What becomes of rows whose record is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DeletedRows {
    /// They go, too.
    #[default]
    Remove,
    /// They stay, with the time in [`DELETED_AT`].
    Mark,
}

impl Deletes {
    /// The stream that must be read before. Absent = the records tell themselves.
    pub(crate) fn list(&self) -> Option<&str> {
        match &self.told {
            DeletesTold::Tombstone(_) => None,
            DeletesTold::Feed(feed) => Some(&feed.stream),
            DeletesTold::Sweep(sweep) => Some(&sweep.stream),
        }
    }

    /// The stream whose cursor may only move on together with this one: a deletion that it told is told once.
    pub(crate) fn feed(&self) -> Option<&str> {
        match &self.told {
            DeletesTold::Feed(feed) => Some(&feed.stream),
            DeletesTold::Tombstone(_) | DeletesTold::Sweep(_) => None,
        }
    }

    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        match &self.told {
            DeletesTold::Tombstone(tombstone) => Some(tombstone),
            DeletesTold::Feed(_) | DeletesTold::Sweep(_) => None,
        }
    }
}

impl Tombstone {
    /// Whether the field's value says that the record is gone. Without a value of the job: yes are true, 1, an object, a
    /// list, and numbers and texts that may be a time; no are null, false, 0 and an empty text. `None` = it cannot be
    /// told, such as `N` or `active`.
    pub(crate) fn is_gone(&self, found: &Value) -> Option<bool> {
        if let Some(value) = &self.value {
            return Some(is_same(value, found));
        }
        match found {
            Value::Null => Some(false),
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            Value::Array(_) | Value::Object(_) => Some(true),
            Value::String(text) => match text.trim() {
                "" | "0" => Some(false),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if is_perhaps_time(text) => Some(true),
                _ => None,
            },
        }
    }
}

/// A date in whatever order, or seconds of some clock.
fn is_perhaps_time(text: &str) -> bool {
    let is_date = text.len() >= "1/1/2024".len() && text.starts_with(|c: char| c.is_ascii_digit());
    is_date || text.starts_with("/Date(") || text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Numbers are the same by their value, and a text that holds what the job has as a number or boolean is it: CSV and
/// XML know texts only.
fn is_same(wanted: &Value, found: &Value) -> bool {
    let number = |number: &Number| number.as_f64();
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => number(wanted) == number(found),
        (Value::Number(_) | Value::Bool(_), Value::String(text)) => {
            let written = wanted.to_string();
            written == text.trim()
        }
        (wanted, found) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Option<Value>, found: Value, expect: Option<bool>) {
        let tombstone = Tombstone { field: vec!["gone".to_owned()], value };
        assert_eq!(tombstone.is_gone(&found), expect, "{tombstone:?} {found}");
    }

    #[test]
    fn what_says_yes_and_what_says_no() {
        for gone in [
            json!(true),
            json!(1),
            json!(1_700_000_000_000_u64),
            json!({"reason": "changed"}),
            json!("true"),
            json!("1"),
            json!("2024-01-31T00:00:00Z"),
        ] {
            check(None, gone, Some(true));
        }
        for there in [json!(null), json!(false), json!(0), json!(""), json!("false"), json!("False"), json!("0")] {
            check(None, there, Some(false));
        }
        for unclear in [json!("N"), json!("active"), json!("deleted"), json!("1 - new"), json!("state 2")] {
            check(None, unclear, None);
        }
    }

    #[test]
    fn a_value_of_the_job_is_the_only_yes() {
        check(Some(json!("deleted")), json!("deleted"), Some(true));
        check(Some(json!("deleted")), json!("active"), Some(false));
        check(Some(json!("deleted")), json!(null), Some(false));
        check(Some(json!(2)), json!(2.0), Some(true));
        check(Some(json!(2)), json!("2"), Some(true));
        check(Some(json!(true)), json!("true"), Some(true));
        check(Some(json!(false)), json!(false), Some(true));
        check(Some(json!(false)), json!(null), Some(false));
    }
}
