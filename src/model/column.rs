//! Columns of a table: what a value means, apart from how JSON spelled it and how a file stores it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the values of a column are. The word in a job file, a manifest and a message is its `Display`.
///
/// - `Decimal` keeps `1 <= precision <= 38` and `scale <= precision`.
/// - `Instant` is a point on the UTC time line, `DateTime` a wall clock without zone; both in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ColumnType {
    /// Only nulls so far; a table never publishes it (it becomes `Text`).
    Null,
    Boolean,
    Integer,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Date,
    DateTime,
    Instant,
    Text,
    /// Text that holds the JSON of an array or object as the API sent it.
    Json,
}

/// Digits of the decimal that money gets unless the job says otherwise: Power BI's fixed decimal has four places.
pub(crate) const MONEY: ColumnType = ColumnType::Decimal { precision: 18, scale: 4 };

/// The words a job file may use for a type, for messages and the schema.
pub(crate) const COLUMN_TYPE_WORDS: &str =
    "text, json, integer, decimal, decimal(P,S), float, boolean, date, datetime, instant";

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Null => f.write_str("null"),
            ColumnType::Boolean => f.write_str("boolean"),
            ColumnType::Integer => f.write_str("integer"),
            ColumnType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnType::Float => f.write_str("float"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::DateTime => f.write_str("datetime"),
            ColumnType::Instant => f.write_str("instant"),
            ColumnType::Text => f.write_str("text"),
            ColumnType::Json => f.write_str("json"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let word = word.trim();
        Ok(match word {
            "text" => ColumnType::Text,
            "json" => ColumnType::Json,
            "integer" => ColumnType::Integer,
            "decimal" => MONEY,
            "float" => ColumnType::Float,
            "boolean" => ColumnType::Boolean,
            "date" => ColumnType::Date,
            "datetime" => ColumnType::DateTime,
            "instant" => ColumnType::Instant,
            _ => {
                return decimal_from(word)
                    .ok_or_else(|| format!("`{word}` is no column type; allowed: {COLUMN_TYPE_WORDS}"));
            }
        })
    }
}

fn decimal_from(word: &str) -> Option<ColumnType> {
    let (precision, scale) = word.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: u8 = scale.trim().parse().ok()?;
    ((1..=38).contains(&precision) && scale <= precision).then_some(ColumnType::Decimal { precision, scale })
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// Who decided a column's type; earlier in this list wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TypeOrigin {
    /// The job file.
    Declared,
    /// The source's own description (OData `$metadata`).
    Fetched,
    /// The last published snapshot.
    Remembered,
    /// The values seen.
    Inferred,
    /// Nobody: no value was seen, so the column is text until one is.
    Unseen,
}

/// One column of a table.
///
/// - `name` is `[A-Za-z_][A-Za-z0-9_]*` and unique in its table without regard to case.
/// - `path` is where the value stands in a record, outermost key first; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub name: String,
    pub path: Vec<String>,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    pub origin: TypeOrigin,
}
