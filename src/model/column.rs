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
    /// A list of scalars of one type. In memory it is the JSON text that was sent; files of profiles whose readers know
    /// lists hold it as one.
    List(ListItem),
}

/// What the items of a list are; each may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListItem {
    /// Only nulls and empty lists so far; a table never publishes it (it becomes `Text`).
    Null,
    Boolean,
    Integer,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Text,
}

impl ListItem {
    /// The type of a column with such values.
    pub(crate) fn kind(self) -> ColumnType {
        match self {
            ListItem::Null => ColumnType::Null,
            ListItem::Boolean => ColumnType::Boolean,
            ListItem::Integer => ColumnType::Integer,
            ListItem::Decimal { precision, scale } => ColumnType::Decimal { precision, scale },
            ListItem::Float => ColumnType::Float,
            ListItem::Text => ColumnType::Text,
        }
    }

    /// The reverse; `None` = lists of such values stay JSON.
    pub(crate) fn of(kind: ColumnType) -> Option<Self> {
        Some(match kind {
            ColumnType::Null => ListItem::Null,
            ColumnType::Boolean => ListItem::Boolean,
            ColumnType::Integer => ListItem::Integer,
            ColumnType::Decimal { precision, scale } => ListItem::Decimal { precision, scale },
            ColumnType::Float => ListItem::Float,
            ColumnType::Text => ListItem::Text,
            ColumnType::Date | ColumnType::DateTime | ColumnType::Instant | ColumnType::Json | ColumnType::List(_) => {
                return None;
            }
        })
    }
}

/// Digits of the decimal that money gets unless the job says otherwise: Power BI's fixed decimal has four places.
pub(crate) const MONEY: ColumnType = ColumnType::Decimal { precision: 18, scale: 4 };

/// The words a job file may use for a type, for messages and the schema.
pub(crate) const COLUMN_TYPE_WORDS: &str =
    "text, json, integer, decimal, decimal(P,S), float, boolean, date, datetime, instant, list(TYPE)";

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
            ColumnType::List(item) => write!(f, "list({})", item.kind()),
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
                    .or_else(|| list_from(word))
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

fn list_from(word: &str) -> Option<ColumnType> {
    let kind = word.strip_prefix("list(")?.strip_suffix(')')?.parse().ok()?;
    ListItem::of(kind).map(ColumnType::List)
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

impl Column {
    /// Whether the column has this name; no two columns of a table differ in case alone.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}
