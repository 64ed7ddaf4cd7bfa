//! Numbers, dates and timestamps as CSV files hold them.

use std::io::Write;

/// Microseconds of one second and of one day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

pub(super) fn write_sign(is_negative: bool, out: &mut Vec<u8>) {
    if is_negative {
        out.push(b'-');
    }
}

/// Appends a number with at least `width` digits.
pub(super) fn write_digits(value: u128, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 39];
    let mut start = digits.len();
    let mut rest = value;
    // Most numbers fit 64 bits, whose division is many times faster.
    while rest > u128::from(u64::MAX) {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

pub(super) fn write_decimal(units: i128, scale: usize, decimal_point: u8, out: &mut Vec<u8>) {
    write_sign(units < 0, out);
    let start = out.len();
    write_digits(units.unsigned_abs(), (scale + 1).min(39), out);
    if scale > 0 {
        let point = out.len() - scale;
        debug_assert!(point > start, "a digit stands before the point");
        out.insert(point, decimal_point);
    }
}

pub(super) fn write_float(value: f64, decimal_point: u8, out: &mut Vec<u8>) {
    if !value.is_finite() {
        // As OData spells it, and as DuckDB and Polars read it.
        let word: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"INF"
        } else {
            b"-INF"
        };
        return out.extend_from_slice(word);
    }
    let (start, size) = (out.len(), value.abs());
    let written =
        if size != 0.0 && !(1e-5..1e16).contains(&size) { write!(out, "{value:e}") } else { write!(out, "{value}") };
    written.expect("writing to memory cannot fail");
    if decimal_point != b'.' {
        out[start..].iter_mut().filter(|byte| **byte == b'.').for_each(|byte| *byte = decimal_point);
    }
}

/// Appends `YYYY-MM-DD` (<https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`).
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    write_sign(year < 0, out);
    write_digits(u128::from(year.unsigned_abs()), 4, out);
    write_two(b'-', month, out);
    write_two(b'-', day, out);
}

pub(super) fn write_micros(micros: i64, out: &mut Vec<u8>) {
    write_date(micros.div_euclid(DAY), out);
    let of_day = micros.rem_euclid(DAY);
    let seconds = of_day / SECOND;
    write_two(b'T', seconds / 3600, out);
    write_two(b':', seconds / 60 % 60, out);
    write_two(b':', seconds % 60, out);
    let fraction = of_day % SECOND;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    write_digits(fraction.unsigned_abs().into(), 6, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn write_two(before: u8, value: i64, out: &mut Vec<u8>) {
    let value = value as u8;
    out.extend_from_slice(&[before, b'0' + value / 10, b'0' + value % 10]);
}
