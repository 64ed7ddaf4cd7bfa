//! Where the tables of a job go, who reads them there, and the form of their files.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::POWERBI_TEXT_CHARS_MAX;
use crate::model::column::ColumnType;
use crate::model::csv_form::CsvForm;
use crate::model::plan::{Place, TextSource};

#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub place: Place,
    pub profile: Profile,
    pub format: Format,
    pub limits: ValueLimits,
    /// Options by their object_store name.
    pub options: BTreeMap<String, TextSource>,
    pub part_bytes_max: u64,
    /// Whether the records are also kept as they came.
    pub is_raw_kept: bool,
}

/// Who reads the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    /// Power BI, with every gateway and version of it.
    #[default]
    Powerbi,
    /// Engines of today: DuckDB, Polars, Spark, Arrow.
    Analytics,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::Powerbi => "powerbi",
            Profile::Analytics => "analytics",
        })
    }
}

/// How decimals of more than 18 digits are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WideDecimals {
    /// As DECIMAL, with all digits.
    #[default]
    Exact,
    /// As DOUBLE; digits that get lost are counted.
    Float,
}

impl WideDecimals {
    pub(crate) fn is_exact(&self) -> bool {
        *self == WideDecimals::Exact
    }
}

/// The form of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet(ParquetForm),
    Csv(Box<CsvForm>),
}

/// Digits of a decimal that Parquet stores in 64 bits.
const NARROW_DIGITS: u8 = 18;

/// The form of Parquet files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ParquetForm {
    pub profile: Profile,
    pub wide_decimals: WideDecimals,
}

impl Format {
    /// Ending of a file of this format, without the dot.
    pub(crate) fn extension(&self) -> &'static str {
        match self {
            Format::Parquet(_) => "parquet",
            Format::Csv(_) => "csv",
        }
    }

    /// Whether values of this type may lose digits in a file.
    pub(crate) fn rounds(&self, kind: ColumnType) -> bool {
        match (self, kind) {
            (Format::Parquet(form), ColumnType::Decimal { precision, .. }) => {
                precision > NARROW_DIGITS && form.wide_decimals == WideDecimals::Float
            }
            _ => false,
        }
    }

    /// The form of files that wait for a table's final columns: Parquet as it will be, or, where CSV will be made of
    /// them, Parquet that keeps every value as it is.
    pub(crate) fn staging(&self) -> Format {
        match self {
            Format::Parquet(form) => Format::Parquet(*form),
            Format::Csv(_) => Format::Parquet(ParquetForm::default()),
        }
    }
}

/// What values a profile's readers take. What lies beyond is changed and counted, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueLimits {
    /// Of a text, counted as UTF-16 does, which is what Power BI counts; `usize::MAX` = there is none.
    pub text_units_max: usize,
    pub long_text: LongText,
    /// Days since 1970 from which and up to which dates are shown.
    pub day_first: i64,
    pub day_last: i64,
    pub not_finite: NotFinite,
    /// Whether lists of scalars are values of their own rather than JSON text.
    pub has_lists: bool,
}

/// What becomes of a text that is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LongText {
    #[default]
    Truncate,
    Fail,
}

/// What becomes of `INF`, `-INF` and `NaN` that a source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotFinite {
    Null,
    Kept,
}

/// 1900-01-01 in days since 1970-01-01; Power Query shows nothing earlier.
const POWERBI_DAY_FIRST: i64 = -25_567;
/// 9999-12-31 in days since 1970-01-01.
const POWERBI_DAY_LAST: i64 = 2_932_896;
/// Whole days that a timestamp in microseconds holds on both sides of 1970.
const TIMESTAMP_DAYS: i64 = i64::MAX / 86_400_000_000;

impl ValueLimits {
    pub(crate) fn of(profile: Profile, long_text: LongText) -> Self {
        match profile {
            Profile::Powerbi => ValueLimits {
                text_units_max: POWERBI_TEXT_CHARS_MAX,
                long_text,
                day_first: POWERBI_DAY_FIRST,
                day_last: POWERBI_DAY_LAST,
                not_finite: NotFinite::Null,
                has_lists: false,
            },
            Profile::Analytics => ValueLimits {
                text_units_max: usize::MAX,
                long_text,
                day_first: -TIMESTAMP_DAYS,
                day_last: TIMESTAMP_DAYS - 1,
                not_finite: NotFinite::Kept,
                has_lists: true,
            },
        }
    }

    /// Whether readers show this day, in days since 1970.
    pub(crate) fn shows_day(&self, day: i64) -> bool {
        (self.day_first..=self.day_last).contains(&day)
    }

    /// Where a text is cut, in bytes; `None` = it is short enough.
    #[inline]
    pub(crate) fn cut_of(&self, text: &str) -> Option<usize> {
        // No text has more units than bytes.
        if text.len() <= self.text_units_max { None } else { self.cut_of_long(text) }
    }

    #[cold]
    fn cut_of_long(&self, text: &str) -> Option<usize> {
        let mut units = 0;
        for (at, character) in text.char_indices() {
            units += character.len_utf16();
            if units > self.text_units_max {
                return Some(at);
            }
        }
        None
    }
}

impl Default for ValueLimits {
    fn default() -> Self {
        ValueLimits::of(Profile::Powerbi, LongText::Truncate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_counted_as_utf_16() {
        let limits = ValueLimits { text_units_max: 4, ..ValueLimits::default() };
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(limits.cut_of(text).map(|end| &text[..end]), expect, "{text}");
        };
        check("", None);
        check("abcd", None);
        check("abcde", Some("abcd"));
        check("äöüß", None);
        check("äöüßa", Some("äöüß"));
        check("😀😀", None);
        check("😀😀a", Some("😀😀"));
        check("abc😀", Some("abc"));
        assert_eq!(ValueLimits::of(Profile::Analytics, LongText::Truncate).cut_of(&"a".repeat(100_000)), None);
    }

    #[test]
    fn the_days_of_power_bi_are_those_of_its_years() {
        let day = |text: &str| text.parse::<chrono::NaiveDate>().unwrap().to_epoch_days().into();
        let limits = ValueLimits::default();
        assert!(!limits.shows_day(day("1899-12-31")));
        assert!(limits.shows_day(day("1900-01-01")) && limits.shows_day(day("9999-12-31")));
        assert!(!limits.shows_day(day("+10000-01-01")) && !limits.shows_day(day("0000-01-01")));
        let limits = ValueLimits::of(Profile::Analytics, LongText::Truncate);
        assert!(limits.shows_day(day("0000-01-01")) && limits.shows_day(day("+10000-01-01")));
        assert!(!limits.shows_day(i64::from(i32::MAX)));
    }
}
