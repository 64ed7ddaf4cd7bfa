//! Columns whose type follows their values: inferred ones, and remembered ones, which start where the last run ended.
//!
//! | seen | type |
//! |---|---|
//! | only nulls | `null`, published as `text` |
//! | booleans | `boolean` |
//! | numbers | see [`super::digits::Digits::kind`] |
//! | strings that are all dates | `date` |
//! | strings that are all dates or wall clocks | `datetime` |
//! | strings that are all instants | `instant` |
//! | arrays, and objects too deep to flatten | `json`; see [`super::lists`] for profiles whose readers know lists |
//! | anything else, and any mixture of rows of this table | `text` |
//!
//! A value turned into text has one spelling, whether it was a number, date or boolean in earlier batches or comes when
//! the column is text already: numbers as [`Number::write_to`] does, dates and timestamps in ISO form. Only strings are
//! never respelled: until the first batch is out, they are kept as they were sent. A date or timestamp that a batch
//! showed as such has the spelling of its column's last type before text, and what its type could not hold stays
//! counted and changed; the next run remembers the text.

use arrow::array::AsArray;

use crate::model::column::{ColumnType, ListItem, TypeOrigin};

use super::cells::Cells;
use super::convert::convert_array;
use super::digits;
use super::error::{Refusal, excerpt};
use super::lane::Lane;
use super::number::Number;
use super::reason::Turn;
use super::temporal::{self, Shape};

impl Lane {
    pub(super) fn infer_text(&mut self, row: usize, text: &str) -> Result<(), Box<Refusal>> {
        let moment = match self.column.kind {
            ColumnType::Null | ColumnType::Date | ColumnType::DateTime | ColumnType::Instant => temporal::parse(text),
            ColumnType::Boolean
            | ColumnType::Integer
            | ColumnType::Decimal { .. }
            | ColumnType::Float
            | ColumnType::Text
            | ColumnType::Json
            | ColumnType::List(_) => None,
        };
        self.turn_into(joined(self.column.kind, moment.map(|moment| moment.shape)), text)?;
        match moment {
            Some(moment) if self.column.kind != ColumnType::Text && !self.is_undecided => self.put_moment(row, &moment),
            _ => self.put_text(row, text),
        }
        Ok(())
    }

    pub(super) fn infer_number(&mut self, row: usize, number: &Number<'_>) -> Result<(), Box<Refusal>> {
        match self.column.kind {
            ColumnType::Null | ColumnType::Integer | ColumnType::Decimal { .. } | ColumnType::Float => {
                self.digits.observe(number);
                // Remembered room is never taken back, not even for a spelling.
                let is_new = self.column.origin == TypeOrigin::Inferred;
                let stays = if is_new { digits::stays } else { digits::is_kept };
                if !stays(self.column.kind, number) {
                    self.digits.observe_integers(self.magnitude_max);
                    self.turn_into(self.digits.kind(), number.text())?;
                }
            }
            ColumnType::Text => {}
            ColumnType::Boolean
            | ColumnType::Date
            | ColumnType::DateTime
            | ColumnType::Instant
            | ColumnType::Json
            | ColumnType::List(_) => self.turn_into(ColumnType::Text, number.text())?,
        }
        self.put_number(row, number);
        Ok(())
    }

    pub(super) fn infer_boolean(&mut self, row: usize, value: bool) -> Result<(), Box<Refusal>> {
        if self.column.kind == ColumnType::Null {
            self.turn_into(ColumnType::Boolean, boolean_word(value))?;
            return self.boolean(row, value);
        }
        self.turn_into(ColumnType::Text, boolean_word(value))?;
        self.put_text(row, boolean_word(value));
        Ok(())
    }

    pub(super) fn infer_json(&mut self, row: usize, json: &str) -> Result<(), Box<Refusal>> {
        match self.column.kind {
            ColumnType::Null => {
                if self.limits.has_lists {
                    return self.infer_list(row, ListItem::Null, json);
                }
                self.turn_into(ColumnType::Json, json)?;
            }
            ColumnType::List(items) => return self.infer_list(row, items, json),
            ColumnType::Json => {}
            ColumnType::Boolean
            | ColumnType::Integer
            | ColumnType::Decimal { .. }
            | ColumnType::Float
            | ColumnType::Date
            | ColumnType::DateTime
            | ColumnType::Instant
            | ColumnType::Text => self.turn_into(ColumnType::Text, json)?,
        }
        self.put_text(row, json);
        Ok(())
    }

    fn infer_list(&mut self, row: usize, items: ListItem, json: &str) -> Result<(), Box<Refusal>> {
        let (to, digits) = self.list_kind(items, json);
        self.turn_into(to, json)?;
        self.digits = digits;
        self.put_text(row, json);
        Ok(())
    }

    /// Gives undecided strings their type, now that the batch is complete.
    pub(super) fn decide(&mut self) {
        if !self.is_undecided {
            return;
        }
        self.is_undecided = false;
        let rows = self.cells.len();
        let spelled = self.cells.finish(rows);
        self.cells = Cells::with_capacity(self.column.kind, rows, 0);
        for (row, text) in spelled.as_string::<i32>().iter().enumerate() {
            let Some(text) = text else { continue };
            let moment = temporal::parse(text).expect("a column is undecided only while all its strings are moments");
            self.put_moment(row, &moment);
        }
    }

    /// Changes the column's type, which `value` asks for, and the values that wait for the next batch.
    fn turn_into(&mut self, to: ColumnType, value: &str) -> Result<(), Box<Refusal>> {
        let from = self.column.kind;
        if from == to {
            return Ok(());
        }
        if self.is_frozen {
            return Err(Refusal::of(value, "the column had this type in the last snapshot, and the contract keeps it"));
        }
        if self.is_undecided {
            self.is_undecided = is_temporal(to);
        } else if from == ColumnType::Null {
            self.is_undecided = is_temporal(to) && !self.is_written;
            self.cells = Cells::with_capacity(if self.is_undecided { ColumnType::Text } else { to }, 0, 0);
        } else {
            let rows = self.cells.len();
            let values = self.cells.finish(rows);
            let values = convert_array(&values, from, to)
                .map_err(|value| Refusal::of(&value, "earlier values of the column do not turn into the new type"))?;
            self.cells = Cells::loaded(to, &values);
        }
        self.was_datetime = from == ColumnType::DateTime;
        self.column.kind = to;
        self.turned = Some(Box::new(Turn { value: excerpt(value), from, to }));
        Ok(())
    }
}

fn boolean_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn is_temporal(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Date | ColumnType::DateTime | ColumnType::Instant)
}

/// The type for a column of `kind` that meets a string of this shape; `None` = neither date nor timestamp.
fn joined(kind: ColumnType, shape: Option<Shape>) -> ColumnType {
    match (kind, shape) {
        (ColumnType::Null | ColumnType::Date, Some(Shape::Date)) => ColumnType::Date,
        (ColumnType::Null | ColumnType::Date | ColumnType::DateTime, Some(Shape::DateTime))
        | (ColumnType::DateTime, Some(Shape::Date)) => ColumnType::DateTime,
        (ColumnType::Null | ColumnType::Instant, Some(Shape::Instant)) => ColumnType::Instant,
        _ => ColumnType::Text,
    }
}
