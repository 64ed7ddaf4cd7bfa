//! Lists of scalars, for profiles whose readers know lists.
//!
//! - Items are nulls beside booleans, numbers or strings, never a mixture. Numbers have the type that a column of them
//!   would have; strings stay texts, dates too.
//! - Other arrays stay JSON, and so does the whole column from the first of them on.
//! - In memory a list is its JSON text, so that a column changes the type of its items without being touched.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, StringBuilder};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use jiter::{JiterResult, Peek};

use crate::model::column::{Column, ColumnType, ListItem, TypeOrigin};
use crate::model::destination::{NotFinite, ValueLimits};

use super::cells::arrow_type;
use super::convert::write_value;
use super::digits::{self, Digits};
use super::error::Refusal;
use super::lane::Lane;
use super::number::Number;
use super::tokens::Tokens;

/// The name that the Parquet format gives to the items of a list
/// (<https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists>).
const ELEMENT: &str = "element";

/// A value in a list.
enum Item<'a> {
    Null,
    Boolean(bool),
    Number(Number<'a>),
    Text(&'a str),
    /// A list or an object.
    Nested,
}

impl Lane {
    /// The type of a column of lists of `items` that meets this JSON, and what its numbers have in common then.
    pub(super) fn list_kind(&self, items: ListItem, json: &str) -> (ColumnType, Digits) {
        let (mut joined, mut digits) = (Some(items), self.digits);
        let is_list = each_item(json, |item| {
            let Some(before) = joined else { return };
            joined = match (before, item) {
                (_, Item::Null) => Some(before),
                (ListItem::Null | ListItem::Boolean, Item::Boolean(_)) => Some(ListItem::Boolean),
                (ListItem::Null | ListItem::Text, Item::Text(_)) => Some(ListItem::Text),
                (
                    ListItem::Null | ListItem::Integer | ListItem::Decimal { .. } | ListItem::Float,
                    Item::Number(number),
                ) => {
                    digits.observe(&number);
                    // Numbers that no type keeps stay as they were sent.
                    Some(digits.kind()).filter(|kind| *kind != ColumnType::Text).and_then(ListItem::of)
                }
                _ => None,
            };
        });
        (joined.filter(|_| is_list).map_or(ColumnType::Json, ColumnType::List), digits)
    }

    /// Refuses JSON that is no list of `items`.
    pub(super) fn check_items(&self, items: ListItem, json: &str) -> Result<(), Box<Refusal>> {
        let mut is_kept = true;
        let is_list = each_item(json, |item| {
            // As in a column of doubles that was declared, the nearest one is meant.
            is_kept &= matches!((items, &item), (ListItem::Float, Item::Number(_))) || is_exact(items, &item);
        });
        match (is_list, is_kept) {
            (true, true) => Ok(()),
            (true, false) => Err(Refusal::of(json, "it has an item of another type")),
            (false, _) => Err(Refusal::of(json, "it is no list of these")),
        }
    }
}

fn is_exact(items: ListItem, item: &Item<'_>) -> bool {
    match (items, item) {
        (_, Item::Null) | (ListItem::Boolean, Item::Boolean(_)) | (ListItem::Text, Item::Text(_)) => true,
        (ListItem::Integer | ListItem::Decimal { .. } | ListItem::Float, Item::Number(number)) => {
            digits::is_kept(items.kind(), number)
        }
        _ => false,
    }
}

/// The first of these texts that is no list of `items` without a loss.
pub(super) fn first_loss(texts: &StringArray, items: ListItem) -> Option<&str> {
    texts.iter().flatten().find(|text| {
        let mut is_kept = true;
        let is_list = each_item(text, |item| is_kept &= is_exact(items, &item));
        !is_list || !is_kept
    })
}

/// The Arrow type of lists.
pub(crate) fn list_type(items: ListItem) -> DataType {
    DataType::List(Arc::new(Field::new(ELEMENT, arrow_type(items.kind()), true)))
}

/// JSON texts of lists as lists. Every text is one that a column of such lists took.
pub(crate) fn list_array(texts: &StringArray, items: ListItem) -> ListArray {
    let column = Column {
        name: ELEMENT.to_owned(),
        path: vec![ELEMENT.to_owned()],
        kind: items.kind(),
        origin: TypeOrigin::Declared,
    };
    let mut lane = Lane::new(column, None);
    // What is in a list was looked at when its column took it.
    lane.limits = ValueLimits { text_units_max: usize::MAX, not_finite: NotFinite::Kept, ..lane.limits };
    let mut lengths = Vec::with_capacity(texts.len());
    let mut row = 0;
    for text in texts {
        let before = row;
        each_item(text.unwrap_or("[]"), |item| {
            let taken = match item {
                Item::Null => Ok(()),
                Item::Boolean(value) => lane.boolean(row, value),
                Item::Number(number) => lane.number(row, number.text().as_bytes()),
                Item::Text(text) => lane.text(row, text),
                Item::Nested => unreachable!("a list of scalars has none within"),
            };
            assert!(taken.is_ok(), "the column took the item before");
            row += 1;
        });
        lengths.push(row - before);
    }
    let DataType::List(field) = list_type(items) else { unreachable!("the type of lists") };
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), lane.take(row), texts.nulls().cloned())
}

/// The same, the other way. Numbers and strings have one spelling, which need not be the one that was sent.
pub(crate) fn list_texts(lists: &ListArray) -> StringArray {
    let kind = match lists.value_type() {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int64 => ColumnType::Integer,
        DataType::Decimal128(precision, scale) => ColumnType::Decimal { precision, scale: scale as u8 },
        DataType::Float64 => ColumnType::Float,
        _ => ColumnType::Text,
    };
    let mut builder = StringBuilder::with_capacity(lists.len(), lists.values().len() * 8);
    let mut text = String::new();
    for list in lists.iter() {
        let Some(list) = list else {
            builder.append_null();
            continue;
        };
        text.clear();
        write_list(&list, kind, &mut text);
        builder.append_value(&text);
    }
    builder.finish()
}

fn write_list(items: &ArrayRef, kind: ColumnType, out: &mut String) {
    out.push('[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(',');
        }
        if items.is_null(row) {
            out.push_str("null");
        } else if kind == ColumnType::Text {
            let text = items.as_string::<i32>().value(row);
            out.push_str(&serde_json::to_string(text).expect("a text is JSON"));
        } else {
            write_value(items, kind, row, out);
        }
    }
    out.push(']');
}

/// Shows every item of a list. `false` = the JSON is none, or a string in it is no text: what stays JSON may hold half a
/// character (`"\ud800"`).
fn each_item(json: &str, see: impl FnMut(Item<'_>)) -> bool {
    json.starts_with('[') && read_items(json, see).is_ok()
}

fn read_items(json: &str, mut see: impl FnMut(Item<'_>)) -> JiterResult<()> {
    let mut tokens = Tokens::new(json.as_bytes());
    tokens.peek()?;
    let mut next = tokens.known_array()?;
    while let Some(peek) = next {
        match peek {
            Peek::Null => {
                tokens.known_null()?;
                see(Item::Null);
            }
            Peek::True | Peek::False => see(Item::Boolean(tokens.known_bool(peek)?)),
            Peek::String => see(Item::Text(tokens.known_str()?)),
            Peek::Array | Peek::Object => {
                tokens.known_skip(peek)?;
                see(Item::Nested);
            }
            _ => {
                let text = std::str::from_utf8(tokens.known_number_bytes(peek)?).expect("numbers are ASCII");
                see(Item::Number(Number::parse(text).expect("the tokenizer knows what a number is")));
            }
        }
        next = tokens.array_step()?;
    }
    Ok(())
}
