//! Which numeric type keeps every number of a column.

use crate::model::column::{ColumnType, MONEY};

use super::number::{DOUBLE_INTEGER_MAX, Number};

/// Room of [`MONEY`] and of the wide decimal: digits before and after the point.
const MONEY_ROOM: (u32, u32) = (14, 4);
const WIDE_ROOM: (u32, u32) = (28, 10);
/// Fractions with at most this many digits, whole numbers included, are `decimal(38,10)`.
const WIDE: ColumnType = ColumnType::Decimal { precision: 38, scale: 10 };
/// Whole numbers beyond 64 bits.
const HUGE: ColumnType = ColumnType::Decimal { precision: 38, scale: 0 };

/// What the numbers of one column have in common. The type that follows depends on the set of numbers only, never on
/// their order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    whole_max: u32,
    fraction_max: u32,
    has_fraction: bool,
    /// A whole number lay beyond `i64`.
    has_huge: bool,
    /// No decimal that we use holds some number.
    has_beyond_decimal: bool,
    all_fit_float: bool,
}

impl Digits {
    /// Of a column that starts as `kind`: the room that its type promised is never taken back.
    pub(super) fn of(kind: ColumnType) -> Self {
        let kind = if let ColumnType::List(item) = kind { item.kind() } else { kind };
        let none = Digits {
            whole_max: 0,
            fraction_max: 0,
            has_fraction: false,
            has_huge: false,
            has_beyond_decimal: false,
            all_fit_float: true,
        };
        match kind {
            ColumnType::Decimal { precision, scale } => Digits {
                whole_max: u32::from(precision - scale),
                fraction_max: u32::from(scale),
                has_fraction: scale > 0,
                has_huge: scale == 0,
                ..none
            },
            ColumnType::Float => Digits { has_fraction: true, has_beyond_decimal: true, ..none },
            ColumnType::Null
            | ColumnType::Boolean
            | ColumnType::Integer
            | ColumnType::Date
            | ColumnType::DateTime
            | ColumnType::Instant
            | ColumnType::Text
            | ColumnType::Json
            | ColumnType::List(_) => none,
        }
    }

    /// Takes a number into account.
    pub(super) fn observe(&mut self, number: &Number<'_>) {
        self.whole_max = self.whole_max.max(number.whole_digits());
        self.fraction_max = self.fraction_max.max(number.fraction_digits());
        self.has_fraction |= number.has_fraction;
        self.has_huge |= number.fraction_digits() == 0 && number.to_integer().is_none();
        self.has_beyond_decimal |= !number.fits_decimal();
        self.all_fit_float = self.all_fit_float && number.fits_float();
    }

    /// Takes the largest of many integers into account at once.
    pub(super) fn observe_integers(&mut self, magnitude_max: u64) {
        self.whole_max = self.whole_max.max(magnitude_max.checked_ilog10().map_or(0, |log| log + 1));
        self.all_fit_float &= magnitude_max <= DOUBLE_INTEGER_MAX;
    }

    /// The narrowest type for all numbers seen:
    /// 1. `integer` where all are `i64` written without places after the point;
    /// 2. [`MONEY`] up to 14 digits before and 4 after the point;
    /// 3. `decimal(38,0)` for longer whole numbers;
    /// 4. `decimal(38,10)` up to 28 digits before and 10 after the point;
    /// 5. `float` where no number loses anything that way;
    /// 6. `text`.
    pub(super) fn kind(&self) -> ColumnType {
        let has_room = |(whole, fraction)| self.whole_max <= whole && self.fraction_max <= fraction;
        if !self.has_beyond_decimal {
            if !self.has_fraction && self.fraction_max == 0 {
                return if self.has_huge { HUGE } else { ColumnType::Integer };
            }
            if has_room(MONEY_ROOM) {
                return MONEY;
            }
            if has_room(WIDE_ROOM) {
                return WIDE;
            }
        }
        if self.all_fit_float { ColumnType::Float } else { ColumnType::Text }
    }
}

/// Whether a column of this type takes the number as it is.
pub(super) fn is_kept(kind: ColumnType, number: &Number<'_>) -> bool {
    match kind {
        ColumnType::Integer => !number.has_fraction && number.to_integer().is_some(),
        ColumnType::Decimal { precision, scale } => number.to_decimal(precision, scale).is_some(),
        ColumnType::Float => number.fits_float(),
        ColumnType::Text => true,
        ColumnType::Null
        | ColumnType::Boolean
        | ColumnType::Date
        | ColumnType::DateTime
        | ColumnType::Instant
        | ColumnType::Json
        | ColumnType::List(_) => false,
    }
}

/// Whether a column whose type follows its numbers alone stays as it is. As [`is_kept`], but a number written with places
/// after the point, if only `.0`, is none of `decimal(38,0)`'s: else the type would depend on which number came first.
pub(super) fn stays(kind: ColumnType, number: &Number<'_>) -> bool {
    is_kept(kind, number) && !(kind == HUGE && number.has_fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(numbers: &[&str], expect: &str) {
        for turn in 0..numbers.len() {
            let mut digits = Digits::of(ColumnType::Null);
            for at in 0..numbers.len() {
                let text = numbers[(at + turn) % numbers.len()];
                digits.observe(&Number::parse(text).expect("a number"));
            }
            assert_eq!(digits.kind().to_string(), expect, "{numbers:?} from {turn}");
        }
    }

    #[test]
    fn the_type_keeps_every_number() {
        check(&["0"], "integer");
        check(&["1", "-5", "9223372036854775807"], "integer");
        check(&["1e3", "1.5e1"], "integer");
        check(&["1.0"], "decimal(18,4)");
        check(&["1", "0.25"], "decimal(18,4)");
        check(&["99999999999999.9999", "-1"], "decimal(18,4)");
        check(&["100000000000000", "0.25"], "decimal(38,10)");
        check(&["0.00001"], "decimal(38,10)");
        check(&["9223372036854775808"], "decimal(38,0)");
        check(&["99999999999999999999999999999999999999", "1"], "decimal(38,0)");
        check(&["99999999999999999999", "0.5"], "decimal(38,10)");
        check(&["0.00000000001"], "float");
        check(&["1e300", "0.1", "7"], "float");
        check(&["0.30000000000000004", "1.5"], "float");
        check(&["1e20", "1e-20"], "float");
        check(&["9007199254740993", "0.00000000001"], "text");
        check(&["0.123456789012345678901"], "text");
        check(&["1e400"], "text");
        check(&["1e38", "1"], "float");
        check(&["123456789012345678901234567890123456789"], "text");
        check(&["99999999999999999999999999999999999999", "0.5"], "text");
    }

    #[test]
    fn a_remembered_room_is_never_taken_back() {
        let mut digits = Digits::of(ColumnType::Decimal { precision: 10, scale: 2 });
        digits.observe(&Number::parse("0.125").expect("a number"));
        assert_eq!(digits.kind(), MONEY);
        let mut digits = Digits::of(ColumnType::Float);
        digits.observe(&Number::parse("9007199254740993").expect("a number"));
        assert_eq!(digits.kind(), ColumnType::Text);
    }
}
