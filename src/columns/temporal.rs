//! Dates and timestamps read from the strings that APIs send.
//!
//! Accepted, each with a valid calendar date and nothing around it:
//! - `YYYY-MM-DD`: a date.
//! - `YYYY-MM-DDTHH:MM[:SS[.f…]]` (a blank instead of `T` is taken, too), up to nine digits of a second: a wall clock.
//! - the same with `Z`, `±HH`, `±HHMM` or `±HH:MM`: an instant.
//! - `/Date(ms)/`: a wall clock; `/Date(ms+0000)/`: an instant, the offset being only a display hint (OData v2).

use chrono::{DateTime, NaiveDate};
use std::fmt::Write;

/// Microseconds of one day.
const DAY_MICROS: i64 = 86_400_000_000;
/// Milliseconds beyond this are no date of four-digit years, and would overflow as microseconds.
const MILLIS_MAX: i64 = 400_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Date,
    DateTime,
    Instant,
}

/// A date or timestamp, on the wall clock it was written in and on UTC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) shape: Shape,
    /// Microseconds since 1970 as written, without regard to the zone.
    pub(super) wall_micros: i64,
    /// Microseconds since 1970 on UTC; the same where no zone was written.
    pub(super) utc_micros: i64,
    /// Digits finer than a microsecond were not all zero, and were cut.
    pub(super) is_cut: bool,
}

impl Moment {
    /// Days since 1970 of the date as written; `None` where the clock was not at midnight.
    pub(super) fn midnight_days(&self) -> Option<i32> {
        (self.wall_micros % DAY_MICROS == 0).then_some((self.wall_micros / DAY_MICROS) as i32)
    }
}

/// Days since 1970 of this microsecond.
pub(super) fn day_of(micros: i64) -> i64 {
    micros.div_euclid(DAY_MICROS)
}

/// Microseconds of a day's first moment.
pub(super) fn days_to_micros(days: i32) -> i64 {
    i64::from(days) * DAY_MICROS
}

/// Reads one string; `None` = neither date nor timestamp.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'/') {
        return parse_dotnet(bytes);
    }
    let days = days_at(bytes)?;
    if bytes.len() == 10 {
        let micros = days * DAY_MICROS;
        return Some(Moment { shape: Shape::Date, wall_micros: micros, utc_micros: micros, is_cut: false });
    }
    if !matches!(bytes[10], b'T' | b' ') {
        return None;
    }
    let (clock_micros, is_cut, at) = clock_at(bytes, 11)?;
    let wall_micros = days * DAY_MICROS + clock_micros;
    let Some(offset_minutes) = offset_of(&bytes[at..])? else {
        return Some(Moment { shape: Shape::DateTime, wall_micros, utc_micros: wall_micros, is_cut });
    };
    Some(Moment { shape: Shape::Instant, wall_micros, utc_micros: wall_micros - offset_minutes * 60_000_000, is_cut })
}

fn two(bytes: &[u8], at: usize, max: i64) -> Option<i64> {
    let (tens, ones) = (bytes.get(at)?.wrapping_sub(b'0'), bytes.get(at + 1)?.wrapping_sub(b'0'));
    let value = i64::from(tens) * 10 + i64::from(ones);
    (tens <= 9 && ones <= 9 && value <= max).then_some(value)
}

/// Days since 1970 of the `YYYY-MM-DD` at the start.
#[inline]
fn days_at(bytes: &[u8]) -> Option<i64> {
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = two(bytes, 0, 99)? * 100 + two(bytes, 2, 99)?;
    let (month, day) = (two(bytes, 5, 12)?, two(bytes, 8, 31)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if month == 0 || day == 0 || day > month_days {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// Days since 1970-01-01 of a proleptic Gregorian date (<https://howardhinnant.github.io/date_algorithms.html>).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Microseconds of the `HH:MM[:SS[.f…]]` at `at`, whether digits were cut, and where it ends.
fn clock_at(bytes: &[u8], at: usize) -> Option<(i64, bool, usize)> {
    let hour = two(bytes, at, 23)?;
    if bytes.get(at + 2) != Some(&b':') {
        return None;
    }
    let minutes = hour * 60 + two(bytes, at + 3, 59)?;
    let mut end = at + 5;
    if bytes.get(end) != Some(&b':') {
        return Some((minutes * 60_000_000, false, end));
    }
    let seconds = minutes * 60 + two(bytes, end + 1, 59)?;
    end += 3;
    if bytes.get(end) != Some(&b'.') {
        return Some((seconds * 1_000_000, false, end));
    }
    let start = end + 1;
    end = start;
    let (mut micros, mut unit, mut is_cut) = (0, 100_000, false);
    while let Some(byte) = bytes.get(end).filter(|byte| byte.is_ascii_digit()) {
        micros += i64::from(byte - b'0') * unit;
        is_cut |= unit == 0 && *byte != b'0';
        unit /= 10;
        end += 1;
    }
    (1..=9).contains(&(end - start)).then_some((seconds * 1_000_000 + micros, is_cut, end))
}

/// Minutes east of UTC. The outer `None` = no zone can be read there, the inner one = nothing is there.
#[allow(clippy::option_option)]
fn offset_of(rest: &[u8]) -> Option<Option<i64>> {
    let sign = match rest {
        [] => return Some(None),
        b"Z" => return Some(Some(0)),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let hours = two(rest, 1, 18)?;
    let minutes = match rest.len() {
        3 => 0,
        5 => two(rest, 3, 59)?,
        6 if rest[3] == b':' => two(rest, 4, 59)?,
        _ => return None,
    };
    Some(Some(sign * (hours * 60 + minutes)))
}

fn parse_dotnet(bytes: &[u8]) -> Option<Moment> {
    let inner = bytes.strip_prefix(b"/Date(")?.strip_suffix(b")/")?;
    let negative = inner.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut millis = 0_i64;
    while let Some(byte) = inner.get(at).filter(|byte| byte.is_ascii_digit()) {
        millis = millis * 10 + i64::from(byte - b'0');
        if millis > MILLIS_MAX {
            return None;
        }
        at += 1;
    }
    if at == start {
        return None;
    }
    let shape = match &inner[at..] {
        [] => Shape::DateTime,
        [b'+' | b'-', offset @ ..] if (1..=5).contains(&offset.len()) && offset.iter().all(u8::is_ascii_digit) => {
            Shape::Instant
        }
        _ => return None,
    };
    let micros = if negative { -millis } else { millis } * 1000;
    Some(Moment { shape, wall_micros: micros, utc_micros: micros, is_cut: false })
}

/// Appends `YYYY-MM-DD`.
pub(super) fn write_date(days: i32, out: &mut String) {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => write!(out, "{}", date.format("%Y-%m-%d")).expect("writing to a string cannot fail"),
        None => out.push_str(&days.to_string()),
    }
}

/// Appends `YYYY-MM-DDTHH:MM:SS` with the digits of the second that are not zero, then `zone`.
pub(super) fn write_micros(micros: i64, zone: &str, out: &mut String) {
    let Some(moment) = DateTime::from_timestamp_micros(micros) else {
        return out.push_str(&micros.to_string());
    };
    write!(out, "{}", moment.format("%Y-%m-%dT%H:%M:%S")).expect("writing to a string cannot fail");
    let fraction = micros.rem_euclid(1_000_000);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push_str(zone);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(Shape, &str)>) {
        let got = parse(text).map(|moment| {
            let mut out = String::new();
            match moment.shape {
                Shape::Date => write_date(moment.midnight_days().expect("a date is at midnight"), &mut out),
                Shape::DateTime => write_micros(moment.utc_micros, "", &mut out),
                Shape::Instant => write_micros(moment.utc_micros, "Z", &mut out),
            }
            (moment.shape, out)
        });
        assert_eq!(got, expect.map(|(shape, text)| (shape, text.to_owned())), "{text}");
    }

    #[test]
    fn dates_are_strict() {
        check("2024-01-31", Some((Shape::Date, "2024-01-31")));
        check("2024-02-29", Some((Shape::Date, "2024-02-29")));
        check("1969-12-31", Some((Shape::Date, "1969-12-31")));
        check("0001-01-01", Some((Shape::Date, "0001-01-01")));
        check("9999-12-31", Some((Shape::Date, "9999-12-31")));
        for text in ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "2024-1-31", "20240131", ""]
        {
            check(text, None);
        }
        for text in ["2024-01-31 ", " 2024-01-31", "2024-01-3x", "2024/01/31", "12:30:00", "ä24-01-31"] {
            check(text, None);
        }
    }

    #[test]
    fn wall_clocks_and_instants_are_kept_apart() {
        check("2024-01-31T10:20", Some((Shape::DateTime, "2024-01-31T10:20:00")));
        check("2024-01-31T10:20:30", Some((Shape::DateTime, "2024-01-31T10:20:30")));
        check("2024-01-31 10:20:30.5", Some((Shape::DateTime, "2024-01-31T10:20:30.5")));
        check("2024-01-31T10:20:30Z", Some((Shape::Instant, "2024-01-31T10:20:30Z")));
        check("2024-01-31T00:20:30.123456+02:00", Some((Shape::Instant, "2024-01-30T22:20:30.123456Z")));
        check("2024-01-31T10:20:30-0530", Some((Shape::Instant, "2024-01-31T15:50:30Z")));
        check("2024-01-31T10:20:30+01", Some((Shape::Instant, "2024-01-31T09:20:30Z")));
        for text in ["2024-01-31T24:00:00", "2024-01-31T10:60", "2024-01-31T10:20:60", "2024-01-31T10", "2024-01-31T"] {
            check(text, None);
        }
        for text in
            ["2024-01-31T10:20:30.", "2024-01-31T10:20:30z", "2024-01-31T10:20:30+1", "2024-01-31T10:20:30+19:00"]
        {
            check(text, None);
        }
    }

    #[test]
    fn ticks_are_cut_and_said_so() {
        let cut = |text: &str| parse(text).map(|moment| moment.is_cut);
        assert_eq!(cut("2024-01-31T10:20:30.1234567Z"), Some(true));
        assert_eq!(cut("2024-01-31T10:20:30.1234560Z"), Some(false));
        assert_eq!(cut("2024-01-31T10:20:30.123456789"), Some(true));
        assert_eq!(cut("2024-01-31T10:20:30.1234567891"), None);
    }

    #[test]
    fn dotnet_dates_are_read() {
        check("/Date(0)/", Some((Shape::DateTime, "1970-01-01T00:00:00")));
        check("/Date(-86400000)/", Some((Shape::DateTime, "1969-12-31T00:00:00")));
        check("/Date(1706695230123+0000)/", Some((Shape::Instant, "2024-01-31T10:00:30.123Z")));
        check("/Date(1706695230123-0060)/", Some((Shape::Instant, "2024-01-31T10:00:30.123Z")));
        for text in ["/Date()/", "/Date(1+)/", "/Date(x)/", "/Date(1)", "/Date(99999999999999999999)/"] {
            check(text, None);
        }
    }
}
