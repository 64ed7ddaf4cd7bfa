//! One column while records arrive: its type so far, its values since the last batch, its warnings.

use arrow::array::ArrayRef;

use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::destination::{LongText, NotFinite, ValueLimits};
use crate::model::warning::{Warning, WarningKind};

use super::cells::{Cells, put};
use super::digits::Digits;
use super::error::{Place, Refusal};
use super::number::{Number, power_of_ten, short_decimal, short_integer};
use super::reason::{Decided, Turn};
use super::shape::FieldAt;
use super::temporal::{self, Moment};

/// A column that is being filled.
///
/// - `cells` stores the Arrow type of `column.kind`, or text while `is_undecided`.
/// - A declared or fetched column never changes its type.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) column: Column,
    pub(super) cells: Cells,
    pub(super) digits: Digits,
    /// Of the integers that took the fast path.
    pub(super) magnitude_max: u64,
    /// Dates seen so far are kept as they were spelled, in case other text follows before the first batch.
    pub(super) is_undecided: bool,
    /// A batch showed values of this column in its type.
    pub(super) is_written: bool,
    /// The same field also holds objects, whose members have columns of their own.
    pub(super) is_beside_object: bool,
    /// The field that fills the column; absent until one is known.
    pub(super) home: Option<FieldAt>,
    /// Filled from outside the record; no field takes it over.
    pub(super) is_given: bool,
    /// The job adds it; no field but the one of its name fills it.
    pub(super) is_added: bool,
    /// The contract lets the type of the last snapshot not change.
    pub(super) is_frozen: bool,
    /// The column is text and was `datetime` before.
    pub(super) was_datetime: bool,
    /// The last value changed the type; taken by [`Lane::note_turn`].
    pub(super) turned: Option<Box<Turn>>,
    /// What gave the column its first type, and its present one.
    pub(super) first: Option<Box<Decided>>,
    pub(super) last: Option<Box<Decided>>,
    /// What the table's readers take.
    pub(super) limits: ValueLimits,
    counts: [u64; WarningKind::ALL.len()],
}

impl Lane {
    pub(super) fn new(column: Column, home: Option<FieldAt>) -> Self {
        Lane {
            cells: Cells::with_capacity(column.kind, 0, 0),
            digits: Digits::of(column.kind),
            magnitude_max: 0,
            is_undecided: false,
            is_written: column.kind != ColumnType::Null,
            is_beside_object: false,
            home,
            is_given: false,
            is_added: false,
            is_frozen: false,
            was_datetime: false,
            turned: None,
            first: None,
            last: None,
            limits: ValueLimits::default(),
            counts: [0; WarningKind::ALL.len()],
            column,
        }
    }

    /// Whether the job or the source said what the column is.
    #[inline]
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.column.origin, TypeOrigin::Declared | TypeOrigin::Fetched)
    }

    /// Whether every value, scalars included, is kept as the JSON it was sent as.
    #[inline]
    pub(super) fn keeps_json(&self) -> bool {
        self.column.kind == ColumnType::Json && self.is_fixed()
    }

    /// Whether an object stays one value instead of becoming columns of its members.
    pub(super) fn keeps_objects(&self) -> bool {
        self.is_fixed() && matches!(self.column.kind, ColumnType::Json | ColumnType::Text)
    }

    /// Whether readers see the column. A field that was only ever null or an object has no column of its own.
    pub(super) fn is_shown(&self) -> bool {
        !(self.is_beside_object && self.column.kind == ColumnType::Null)
    }

    /// A JSON string at `row`.
    #[inline]
    pub(super) fn text(&mut self, row: usize, text: &str) -> Result<(), Box<Refusal>> {
        self.check_length(text)?;
        if self.column.kind == ColumnType::Text {
            self.put_text(row, text);
            return Ok(());
        }
        if self.is_fixed() { self.fixed_text(row, text) } else { self.infer_text(row, text) }
    }

    /// A JSON number at `row`.
    #[inline]
    pub(super) fn number(&mut self, row: usize, text: &[u8]) -> Result<(), Box<Refusal>> {
        match &mut self.cells {
            Cells::Integer(builder) => {
                if let Some(value) = short_integer(text) {
                    self.magnitude_max = self.magnitude_max.max(value.unsigned_abs());
                    put!(builder, row, value);
                    return Ok(());
                }
            }
            Cells::Decimal(builder) => {
                if let Some((units, places)) = short_decimal(text)
                    && let ColumnType::Decimal { precision, scale } = self.column.kind
                    && let Some(shift) = u32::from(scale).checked_sub(places).filter(|shift| *shift <= 18)
                {
                    let units = i128::from(units) * power_of_ten(shift);
                    if units.abs() < power_of_ten(u32::from(precision)) {
                        put!(builder, row, units);
                        return Ok(());
                    }
                }
            }
            Cells::Boolean(_) | Cells::Float(_) | Cells::Date(_) | Cells::Micros(_) | Cells::Text(_) => {}
        }
        let text = std::str::from_utf8(text).expect("the tokenizer takes ASCII only as a number");
        let number = Number::parse(text).expect("the tokenizer knows what a number is");
        if self.is_fixed() { self.fixed_number(row, &number) } else { self.infer_number(row, &number) }
    }

    /// A JSON boolean at `row`.
    #[inline]
    pub(super) fn boolean(&mut self, row: usize, value: bool) -> Result<(), Box<Refusal>> {
        if let Cells::Boolean(builder) = &mut self.cells {
            put!(builder, row, value);
            return Ok(());
        }
        if self.is_fixed() { self.fixed_boolean(row, value) } else { self.infer_boolean(row, value) }
    }

    /// A value that stays JSON at `row`.
    pub(super) fn json(&mut self, row: usize, json: &str) -> Result<(), Box<Refusal>> {
        self.check_length(json)?;
        if self.is_fixed() { self.fixed_json(row, json) } else { self.infer_json(row, json) }
    }

    /// Keeps what changed the type, with the place where it stood.
    #[cold]
    pub(super) fn note_turn(&mut self, place: Place) {
        let Some(turn) = self.turned.take() else { return };
        let decided = Box::new(Decided { turn: *turn, place });
        if self.first.is_none() && decided.turn.from == ColumnType::Null {
            self.first = Some(decided);
        } else {
            self.last = Some(decided);
        }
    }

    /// Counts a change of one value.
    pub(super) fn warn(&mut self, kind: WarningKind) {
        self.counts[kind as usize] += 1;
    }

    /// Changes so far, in the order of [`WarningKind`].
    pub(super) fn warnings(&self) -> impl Iterator<Item = Warning> + '_ {
        WarningKind::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0).map(|(kind, count)| Warning {
            column: self.column.name.clone(),
            kind,
            count,
        })
    }

    /// Refuses what is too long where the job does not want it cut.
    #[inline]
    fn check_length(&self, text: &str) -> Result<(), Box<Refusal>> {
        if self.limits.long_text == LongText::Fail && self.limits.cut_of(text).is_some() {
            return Err(Refusal::of_long(text));
        }
        Ok(())
    }

    /// Adds text to a column that stores text, cut to what the table's readers keep.
    #[inline]
    pub(super) fn put_text(&mut self, row: usize, text: &str) {
        let mut kept = text;
        if let Some(end) = self.limits.cut_of(text) {
            kept = &text[..end];
            self.warn(WarningKind::TextTruncated);
        }
        let Cells::Text(builder) = &mut self.cells else { unreachable!("a column of text stores text") };
        put!(builder, row, kept);
    }

    /// Adds a number to a column whose type keeps it.
    pub(super) fn put_number(&mut self, row: usize, number: &Number<'_>) {
        match &mut self.cells {
            Cells::Integer(builder) => {
                put!(builder, row, number.to_integer().expect("the column's type keeps the number"));
            }
            Cells::Decimal(builder) => {
                let ColumnType::Decimal { precision, scale } = self.column.kind else {
                    unreachable!("decimals are stored for decimal columns only")
                };
                put!(builder, row, number.to_decimal(precision, scale).expect("the column's type keeps the number"));
            }
            Cells::Float(_) => self.put_float(row, number.to_float()),
            Cells::Text(_) => {
                let mut text = String::new();
                number.write_to(&mut text);
                self.put_text(row, &text);
            }
            Cells::Boolean(_) | Cells::Date(_) | Cells::Micros(_) => {
                unreachable!("no number is put where none is kept")
            }
        }
    }

    /// Adds a double; one that is not finite stays null.
    pub(super) fn put_float(&mut self, row: usize, value: f64) {
        if !value.is_finite() {
            return self.warn(WarningKind::FloatNotFinite);
        }
        let Cells::Float(builder) = &mut self.cells else { unreachable!("a column of doubles stores doubles") };
        put!(builder, row, value);
    }

    /// Adds what a source sent as `INF`, `-INF` or `NaN`.
    pub(super) fn put_not_finite(&mut self, row: usize, value: f64) {
        match (self.limits.not_finite, &mut self.cells) {
            (NotFinite::Kept, Cells::Float(builder)) => put!(builder, row, value),
            _ => self.warn(WarningKind::FloatNotFinite),
        }
    }

    /// Adds a date or timestamp to a column of one of these types; what the table's readers do not show stays null.
    pub(super) fn put_moment(&mut self, row: usize, moment: &Moment) {
        if moment.is_cut {
            self.warn(WarningKind::FractionTruncated);
        }
        if !self.limits.shows_day(temporal::day_of(moment.utc_micros)) {
            return self.warn(WarningKind::DateOutOfRange);
        }
        match &mut self.cells {
            Cells::Micros(builder) => put!(builder, row, moment.utc_micros),
            Cells::Date(builder) => {
                put!(builder, row, moment.midnight_days().expect("only moments at midnight come to a date column"));
            }
            Cells::Boolean(_) | Cells::Integer(_) | Cells::Decimal(_) | Cells::Float(_) | Cells::Text(_) => {
                unreachable!("no moment is put where none is kept")
            }
        }
    }

    /// The values since the last batch as an array of `rows` rows.
    pub(super) fn take(&mut self, rows: usize) -> ArrayRef {
        self.decide();
        self.is_written |= self.column.kind != ColumnType::Null;
        let filled = self.cells.len();
        let bytes = match &self.cells {
            Cells::Text(builder) => builder.values_slice().len(),
            _ => 0,
        };
        // The next batch will need about as much room as this one did.
        let next = Cells::with_capacity(self.column.kind, filled, bytes);
        std::mem::replace(&mut self.cells, next).finish(rows)
    }
}
