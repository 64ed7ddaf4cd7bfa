//! Tokens made of any bytes, and what they mean, read slowly: digits are text here, never numbers.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};

use crate::limits::POWERBI_TEXT_CHARS_MAX;
use crate::model::column::ColumnType;

/// Tokens of one input; more would only be slow.
const TOKENS_MAX: usize = 60;
/// Digits of one number.
const DIGITS_MAX: usize = 45;
const WORDS: [&str; 16] = [
    "null",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "[1, 2]",
    "\"2024-01-31\"",
    "\"2024-01-31T10:20\"",
    "1.0",
    "\"2024-01-31T10:20:30.5Z\"",
    "\"/Date(86400000)/\"",
    "\"/Date(5+0000)/\"",
    "\"1899-01-01\"",
    "-0",
    "1e400",
    "1e38",
];

/// Bytes below 128 are words, those above numbers, whose digits are the bytes that follow.
pub(super) fn tokens(data: &[u8]) -> Vec<String> {
    let mut bytes = data.iter().copied();
    let mut tokens = Vec::new();
    while let Some(byte) = bytes.next().filter(|_| tokens.len() < TOKENS_MAX) {
        if byte < 128 {
            tokens.push(WORDS[usize::from(byte) % WORDS.len()].to_owned());
            continue;
        }
        let mut digits = |count: usize| -> String {
            bytes.by_ref().take(count.min(DIGITS_MAX)).map(|digit| char::from(b'0' + digit % 10)).collect()
        };
        let sign = if byte & 1 > 0 { "-" } else { "" };
        let whole = digits(usize::from(byte >> 1 & 31) + 1);
        let whole = whole.trim_start_matches('0');
        let mut number = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
        if byte & 64 > 0 {
            let places = digits(1).parse::<usize>().unwrap_or(0) * 3 + 1;
            let places = digits(places);
            number += &format!(".{}", if places.is_empty() { "0" } else { &places });
        }
        if byte & 96 == 96 {
            let exponent = digits(2);
            let sign = if exponent.ends_with(['1', '3', '5']) { "-" } else { "" };
            number += &format!("e{sign}{}", if exponent.is_empty() { "0" } else { &exponent });
        }
        tokens.push(number);
    }
    tokens
}

pub(super) fn is_number(token: &str) -> bool {
    token.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
}

/// Sign, digits without zeros at either end, and the power of ten of the last one.
fn parts(text: &str) -> (bool, String, i64) {
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let is_negative = whole.starts_with('-');
    let digits = format!("{}{places}", whole.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return (false, String::new(), 0);
    }
    let power: i64 = power.parse().expect("an exponent of few digits");
    (is_negative, kept.to_owned(), power - places.len() as i64 + (digits.len() - kept.len()) as i64)
}

fn is_i64(text: &str) -> bool {
    let (is_negative, digits, exponent) = parts(text);
    if exponent < 0 || digits.len() as i64 + exponent > 19 {
        return false;
    }
    let whole = format!("{}{digits}{}", if is_negative { "-" } else { "" }, "0".repeat(exponent as usize));
    digits.is_empty() || whole.parse::<i64>().is_ok()
}

/// Digits before and after the point.
fn room(text: &str) -> (i64, i64) {
    let (_, digits, exponent) = parts(text);
    ((digits.len() as i64 + exponent).max(0), (-exponent).max(0))
}

fn fits_decimal(text: &str) -> bool {
    let (whole, places) = room(text);
    (places == 0 && whole <= 38) || (places <= 10 && whole <= 28)
}

fn fits_float(text: &str) -> bool {
    let (_, digits, exponent) = parts(text);
    let double: f64 = text.parse().expect("a number");
    if is_i64(text) {
        return double.abs() <= 9_007_199_254_740_992.0 && !digits.starts_with("9007199254740993");
    }
    if digits.len() <= 15 && exponent.abs() < 200 {
        return true;
    }
    let is_safe = digits.len() <= 17 && double.is_finite() && double != 0.0;
    is_safe && (!fits_decimal(text) || parts(&format!("{double:e}")) == parts(text))
}

/// The narrowest type for a set of numbers.
pub(super) fn numeric_kind(values: &[&str]) -> ColumnType {
    let rooms = values.iter().map(|value| room(value));
    let (whole, places) = rooms.fold((0, 0), |most, room| (most.0.max(room.0), most.1.max(room.1)));
    let has_places = |text: &&str| {
        let (number, power) = text.split_once('e').unwrap_or((text, "0"));
        number.split_once('.').map_or(0, |(_, places)| places.len() as i64) > power.parse::<i64>().expect("few digits")
    };
    if values.iter().all(|value| fits_decimal(value)) {
        if places == 0 && !values.iter().any(has_places) {
            let is_small = values.iter().all(|value| is_i64(value));
            return if is_small { ColumnType::Integer } else { ColumnType::Decimal { precision: 38, scale: 0 } };
        }
        if whole <= 14 && places <= 4 {
            return ColumnType::Decimal { precision: 18, scale: 4 };
        }
        if whole <= 28 && places <= 10 {
            return ColumnType::Decimal { precision: 38, scale: 10 };
        }
    }
    if values.iter().all(|value| fits_float(value)) { ColumnType::Float } else { ColumnType::Text }
}

/// The cell is what its token says.
///
/// Of dates only null is told from not null here: what they mean has a reference of its own in `tests/property.rs`.
pub(super) fn check(cells: &ArrayRef, row: usize, kind: ColumnType, token: &str, all: &[&str]) {
    if cells.is_null(row) {
        let is_unseen = token == "\"1899-01-01\"";
        return assert!(token == "null" || is_unseen, "{token} became null among {all:?}");
    }
    assert_ne!(token, "null", "null became a value among {all:?}");
    match kind {
        ColumnType::Boolean => assert_eq!(cells.as_boolean().value(row).to_string(), token),
        ColumnType::Integer => same(&cells.as_primitive::<Int64Type>().value(row).to_string(), token, all),
        ColumnType::Decimal { scale, .. } => {
            same(&format!("{}e-{scale}", cells.as_primitive::<Decimal128Type>().value(row)), token, all);
        }
        ColumnType::Float => {
            let double = cells.as_primitive::<Float64Type>().value(row);
            assert_eq!(double, token.parse::<f64>().expect("a number"), "{token} among {all:?}");
        }
        ColumnType::Date => assert!(cells.as_primitive::<Date32Type>().value(row) >= 0),
        ColumnType::DateTime | ColumnType::Instant => {
            assert!(cells.as_primitive::<TimestampMicrosecondType>().value(row) >= 0);
        }
        ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => {
            let text = cells.as_string::<i32>().value(row);
            assert!(text.len() <= POWERBI_TEXT_CHARS_MAX);
            if !is_number(token) {
                let plain = token.trim_matches('"').replace(", ", ",");
                let is_moment = plain.len() >= 10 && text.len() >= 10;
                assert!(text == plain || is_moment, "{token} became {text} among {all:?}");
            } else if fits_float(token) && !fits_decimal(token) {
                // A double as short as it reads back.
                assert_eq!(text.parse::<f64>().ok(), token.parse::<f64>().ok(), "{token} among {all:?}");
            } else {
                same(text, token, all);
            }
        }
    }
}

fn same(found: &str, token: &str, all: &[&str]) {
    assert_eq!(parts(found), parts(token), "{token} among {all:?}");
}
