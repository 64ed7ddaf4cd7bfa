//! Columns whose type the job or the source decided: values are brought to it, or refused.
//!
//! | type | takes, besides its own JSON values |
//! |---|---|
//! | `text` | numbers as spelled, booleans, arrays and objects as JSON |
//! | `json` | every value as the JSON it was sent as |
//! | `integer`, `decimal` | numbers in strings, with OData's suffix (`12.5M`, `1L`); every digit must fit |
//! | `float` | the same, rounded to the nearest double; overflow becomes null, and so do `INF`, `-INF` and `NaN` for Power BI |
//! | `boolean` | the strings `true` and `false` |
//! | `date` | timestamps at midnight of their own clock |
//! | `datetime` | dates, and instants as UTC's wall clock |
//! | `instant` | dates and wall clocks, taken as UTC |
//! | `list(…)` | nothing else; items take no strings for numbers |
//!
//! The empty string is null in every type but `text` and `json`.

use crate::model::column::ColumnType;

use super::digits;
use super::error::Refusal;
use super::lane::Lane;
use super::number::Number;
use super::temporal;

impl Lane {
    pub(super) fn fixed_text(&mut self, row: usize, text: &str) -> Result<(), Box<Refusal>> {
        if self.column.kind == ColumnType::Text {
            self.put_text(row, text);
            return Ok(());
        }
        if text.is_empty() {
            return Ok(());
        }
        match self.column.kind {
            ColumnType::Integer | ColumnType::Decimal { .. } | ColumnType::Float => self.number_in_text(row, text),
            ColumnType::Boolean => match text {
                "true" => self.boolean(row, true),
                "false" => self.boolean(row, false),
                _ => Err(Refusal::of(text, "only `true` and `false` are booleans")),
            },
            ColumnType::Date | ColumnType::DateTime | ColumnType::Instant => self.moment_in_text(row, text),
            ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => {
                Err(Refusal::of(text, "it is a string"))
            }
        }
    }

    pub(super) fn fixed_number(&mut self, row: usize, number: &Number<'_>) -> Result<(), Box<Refusal>> {
        match self.column.kind {
            ColumnType::Text => self.put_text(row, number.text()),
            ColumnType::Float => self.put_float(row, number.to_float()),
            ColumnType::Integer => {
                if number.to_integer().is_none() {
                    return Err(Refusal::of(number.text(), "it is no whole number of 64 bits"));
                }
                self.put_number(row, number);
            }
            ColumnType::Decimal { .. } => {
                if !digits::is_kept(self.column.kind, number) {
                    return Err(Refusal::of(number.text(), "it has more digits than the type"));
                }
                self.put_number(row, number);
            }
            ColumnType::Null
            | ColumnType::Boolean
            | ColumnType::Date
            | ColumnType::DateTime
            | ColumnType::Instant
            | ColumnType::Json
            | ColumnType::List(_) => return Err(Refusal::of(number.text(), "it is a number")),
        }
        Ok(())
    }

    pub(super) fn fixed_boolean(&mut self, row: usize, value: bool) -> Result<(), Box<Refusal>> {
        let text = if value { "true" } else { "false" };
        if self.column.kind != ColumnType::Text {
            return Err(Refusal::of(text, "it is a boolean"));
        }
        self.put_text(row, text);
        Ok(())
    }

    pub(super) fn fixed_json(&mut self, row: usize, json: &str) -> Result<(), Box<Refusal>> {
        if let ColumnType::List(items) = self.column.kind {
            self.check_items(items, json)?;
        } else if !self.keeps_objects() {
            return Err(Refusal::of(json, "it is an array or an object"));
        }
        self.put_text(row, json);
        Ok(())
    }

    fn number_in_text(&mut self, row: usize, text: &str) -> Result<(), Box<Refusal>> {
        if self.column.kind == ColumnType::Float
            && let Some(value) = not_finite(text)
        {
            self.put_not_finite(row, value);
            return Ok(());
        }
        let digits = text.strip_suffix(['M', 'm', 'L', 'l', 'D', 'd', 'F', 'f']).unwrap_or(text);
        match Number::parse(digits) {
            Some(number) => self.fixed_number(row, &number),
            None => Err(Refusal::of(text, "it is no number")),
        }
    }

    fn moment_in_text(&mut self, row: usize, text: &str) -> Result<(), Box<Refusal>> {
        let Some(mut moment) = temporal::parse(text) else {
            return Err(Refusal::of(text, "it is no date or timestamp in ISO form"));
        };
        if self.column.kind == ColumnType::Date {
            if moment.midnight_days().is_none() {
                return Err(Refusal::of(text, "it is not at midnight"));
            }
            // The day is the one that was written, whatever day it was on UTC.
            moment.utc_micros = moment.wall_micros;
        }
        self.put_moment(row, &moment);
        Ok(())
    }
}

/// What OData spells in strings, because JSON has no number for it.
fn not_finite(text: &str) -> Option<f64> {
    match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => None,
    }
}
