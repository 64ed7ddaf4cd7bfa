//! Numbers read digit by digit from their text, so that no digit is lost on the way.

use std::fmt::Write;

/// Powers of ten that fit an `i128`.
const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Digits that a decimal can hold.
const DIGITS_MAX: u32 = 38;
/// Digits that identify an IEEE double; what has more was no double when it was written.
const DOUBLE_DIGITS_MAX: u32 = 17;
/// Digits that every double gives back as they were.
const DOUBLE_DIGITS_SAFE: u32 = 15;
/// Integers up to this size are doubles without gaps.
pub(super) const DOUBLE_INTEGER_MAX: u64 = 1 << 53;
/// Exponents beyond this are equal for our purposes: no decimal and no double reaches them.
const EXPONENT_MAX: i64 = 100_000;
/// Where we stop counting an exponent: far beyond the digits that a page could hold to balance it.
const EXPONENT_READ_MAX: i64 = 1 << 40;

/// `10^exponent` for an exponent up to 38.
pub(super) fn power_of_ten(exponent: u32) -> i128 {
    POWERS[exponent as usize]
}

/// A number exactly as its text gave it: `± mantissa × 10^exponent`.
///
/// - `mantissa` has no trailing zero, and is 0 where there are more than 38 digits.
/// - Zero has no digits and exponent 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'a> {
    text: &'a str,
    negative: bool,
    mantissa: u128,
    digits: u32,
    exponent: i64,
    /// The text had places after the point that its exponent does not remove, zeros included (`1.0`, not `1.5e1`).
    pub(super) has_fraction: bool,
}

impl<'a> Number<'a> {
    /// Reads `-12`, `0.50`, `1.5E-2`; leading zeros are allowed, for numbers that stood in a string. `None` = no number.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let mut at = usize::from(negative);
        let mut sum = Sum::default();
        let whole = at;
        at = sum.take_digits(bytes, at);
        if at == whole {
            return None;
        }
        let mut places = 0_i64;
        if bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = sum.take_digits(bytes, fraction);
            if at == fraction {
                return None;
            }
            places = (at - fraction) as i64;
        }
        let mut power = 0_i64;
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            (power, at) = exponent_at(bytes, at + 1)?;
        }
        if at != bytes.len() {
            return None;
        }
        let exponent = if sum.digits == 0 { 0 } else { power - places + sum.zeros };
        Some(Number {
            text,
            negative: negative && sum.digits > 0,
            mantissa: if sum.digits > DIGITS_MAX { 0 } else { sum.mantissa },
            digits: sum.digits,
            exponent,
            has_fraction: places > power,
        })
    }

    /// The text as it was given.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Digits before the point, without leading zeros.
    pub(super) fn whole_digits(&self) -> u32 {
        (i64::from(self.digits) + self.exponent).clamp(0, EXPONENT_MAX) as u32
    }

    /// Digits after the point, without trailing zeros.
    pub(super) fn fraction_digits(&self) -> u32 {
        (-self.exponent).clamp(0, EXPONENT_MAX) as u32
    }

    /// The value in units of `10^-scale`; `None` where it needs more than `precision` digits or a finer scale.
    pub(super) fn to_decimal(self, precision: u8, scale: u8) -> Option<i128> {
        let places = u32::from(scale);
        if self.fraction_digits() > places || self.whole_digits() + places > u32::from(precision) {
            return None;
        }
        let shift = u32::try_from(self.exponent + i64::from(scale)).ok()?;
        let magnitude = i128::try_from(self.mantissa).ok()?.checked_mul(*POWERS.get(shift as usize)?)?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The value as `i64`; `None` where it has places after the point or is too large.
    pub(super) fn to_integer(self) -> Option<i64> {
        i64::try_from(self.to_decimal(DIGITS_MAX as u8, 0)?).ok()
    }

    /// The nearest double; infinite where there is none.
    pub(super) fn to_float(self) -> f64 {
        self.text.parse().expect("every text that `Number::parse` takes is a number to the standard library, too")
    }

    /// Whether `decimal(38,10)` or a plain integer of 38 digits holds the value.
    pub(super) fn fits_decimal(&self) -> bool {
        let (whole, fraction) = (self.whole_digits(), self.fraction_digits());
        (fraction == 0 && whole <= DIGITS_MAX) || (fraction <= 10 && whole <= 28)
    }

    /// Whether a double stands for the value without a loss that we would answer for.
    ///
    /// An `i64` must lie where doubles have no gaps; any other number that a decimal holds must come back from the
    /// double digit by digit; what only a double can hold may have the 17 digits that servers print for doubles.
    pub(super) fn fits_float(&self) -> bool {
        if self.exponent >= 0
            && let Some(integer) = self.to_integer()
        {
            return integer.unsigned_abs() <= DOUBLE_INTEGER_MAX;
        }
        if self.digits <= DOUBLE_DIGITS_SAFE && self.exponent.abs() < 200 {
            return true;
        }
        if self.digits > DOUBLE_DIGITS_MAX {
            return false;
        }
        let double = self.to_float();
        if !double.is_finite() || double == 0.0 {
            return false;
        }
        if !self.fits_decimal() {
            return true;
        }
        let shortest = format!("{double:e}");
        let back = Number::parse(&shortest).expect("a finite double prints as a number");
        back.mantissa == self.mantissa && back.exponent == self.exponent
    }

    /// Appends the one spelling that a value has in a text column: plain digits without trailing zeros up to 38 of
    /// them, `1.5e-40` beyond, and as it was given where its digits or exponent have no end. Doubles are spelled as short as they read back.
    pub(super) fn write_to(&self, out: &mut String) {
        if !self.fits_decimal() && self.fits_float() {
            return write_float(self.to_float(), out);
        }
        self.write_exactly(out);
    }

    fn write_exactly(&self, out: &mut String) {
        if self.digits > DIGITS_MAX || self.exponent.abs() > EXPONENT_MAX {
            return out.push_str(self.text);
        }
        let sign = if self.negative { "-" } else { "" };
        let written = if self.digits == 0 {
            write!(out, "0")
        } else if self.whole_digits() > DIGITS_MAX || self.fraction_digits() > DIGITS_MAX {
            let mantissa = self.mantissa.to_string();
            let (first, rest) = mantissa.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            write!(out, "{sign}{first}{point}{rest}e{}", self.exponent + i64::from(self.digits) - 1)
        } else if self.exponent >= 0 {
            write!(out, "{sign}{}{:0<width$}", self.mantissa, "", width = self.exponent as usize)
        } else {
            let places = self.fraction_digits() as usize;
            let padded = format!("{:0>width$}", self.mantissa, width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            write!(out, "{sign}{whole}.{fraction}")
        };
        written.expect("writing to a string cannot fail");
    }
}

/// Appends a double as short as it reads back, in the spelling of [`Number::write_to`].
pub(super) fn write_float(value: f64, out: &mut String) {
    let shortest = format!("{value:e}");
    match Number::parse(&shortest) {
        Some(number) => number.write_exactly(out),
        // As OData spells it: `INF`, `-INF`, `NaN`.
        None if value.is_infinite() => out.push_str(&shortest.to_ascii_uppercase()),
        None => out.push_str(&shortest),
    }
}

/// Appends `units × 10^-scale` in the spelling of [`Number::write_to`].
pub(super) fn write_decimal(units: i128, scale: u8, out: &mut String) {
    decimal_as(units, scale, |number| number.write_to(out));
}

/// The double of `units × 10^-scale`; `None` where it would lose digits.
pub(super) fn decimal_to_float(units: i128, scale: u8) -> Option<f64> {
    decimal_as(units, scale, |number| number.fits_float().then(|| number.to_float()))
}

fn decimal_as<T>(units: i128, scale: u8, read: impl FnOnce(Number<'_>) -> T) -> T {
    let text = format!("{units}e-{scale}");
    read(Number::parse(&text).expect("an integer with an exponent is a number"))
}

/// The integer of a JSON number of at most 18 digits; `None` for everything else. The fast path of integer columns.
#[inline]
pub(super) fn short_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if digits.len() < text.len() { -value } else { value })
}

/// Units and scale of a JSON number of at most 15 digits without an exponent; the fast path of decimal columns. Fifteen,
/// because every such number also comes back from a double, which the lattice wants to know.
#[inline]
pub(super) fn short_decimal(text: &[u8]) -> Option<(i64, u32)> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 16 {
        return None;
    }
    let mut value = 0_i64;
    let mut scale = 0;
    let mut step = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + i64::from(digit);
            scale += step;
        } else if *byte == b'.' {
            step = 1;
        } else {
            return None;
        }
    }
    if step == 0 && digits.len() == 16 {
        return None;
    }
    Some((if digits.len() < text.len() { -value } else { value }, scale))
}

/// Digits summed up while they are read; trailing zeros wait, so that they never cost a digit.
#[derive(Default)]
struct Sum {
    mantissa: u128,
    digits: u32,
    zeros: i64,
}

impl Sum {
    fn take_digits(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            self.add(byte - b'0');
            at += 1;
        }
        at
    }

    fn add(&mut self, digit: u8) {
        if digit == 0 {
            self.zeros += i64::from(self.digits > 0);
            return;
        }
        let shift = self.zeros + 1;
        self.zeros = 0;
        self.digits = self.digits.saturating_add(u32::try_from(shift).unwrap_or(u32::MAX));
        if self.digits <= DIGITS_MAX {
            self.mantissa = self.mantissa * POWERS[shift as usize] as u128 + u128::from(digit);
        }
    }
}

fn exponent_at(bytes: &[u8], mut at: usize) -> Option<(i64, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
    let start = at;
    let mut power = 0_i64;
    while let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        power = (power * 10 + i64::from(byte - b'0')).min(EXPONENT_READ_MAX);
        at += 1;
    }
    (at > start).then_some((if negative { -power } else { power }, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let got = Number::parse(text).map(|number| {
            let mut out = String::new();
            number.write_to(&mut out);
            out
        });
        assert_eq!(got.as_deref(), expect, "{text}");
    }

    #[test]
    fn every_spelling_has_one_canonical_text() {
        check("0", Some("0"));
        check("-0", Some("0"));
        check("0.000", Some("0"));
        check("0e99", Some("0"));
        check("-12", Some("-12"));
        check("1.50", Some("1.5"));
        check("1e3", Some("1000"));
        check("1.5E-2", Some("0.015"));
        check("15e-1", Some("1.5"));
        check("1200", Some("1200"));
        check("007", Some("7"));
        check("12345678901234567890123456789012345678", Some("12345678901234567890123456789012345678"));
        check("0.12345678901234567890", Some("0.1234567890123456789"));
        check("1e300", Some("1e300"));
        check("0.10000000000000001", Some("0.1"));
        check("-1.25e-300", Some("-1.25e-300"));
        check("1e400", Some("1e400"));
        check("1e-400", Some("1e-400"));
        check("1e99999999999999999999", Some("1e99999999999999999999"));
        check(&format!("0.{}1e200001", "0".repeat(200_000)), Some("1"));
        check("", None);
        check("-", None);
        check("1.", None);
        check(".5", None);
        check("1e", None);
        check("1x", None);
        check("NaN", None);
    }

    #[test]
    fn integers_and_decimals_are_exact() {
        let integer = |text: &str| Number::parse(text).expect("a number").to_integer();
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("1.5"), None);
        assert_eq!(integer("1.0"), Some(1));
        let decimal =
            |text: &str, precision, scale| Number::parse(text).expect("a number").to_decimal(precision, scale);
        assert_eq!(decimal("-12.5", 18, 4), Some(-125_000));
        assert_eq!(decimal("12.50000", 18, 4), Some(125_000));
        assert_eq!(decimal("12.00001", 18, 4), None);
        assert_eq!(decimal("99999999999999.9999", 18, 4), Some(999_999_999_999_999_999));
        assert_eq!(decimal("100000000000000", 18, 4), None);
        assert_eq!(decimal("0", 4, 4), Some(0));
        assert_eq!(decimal("1e37", 38, 0), Some(power_of_ten(37)));
        assert_eq!(decimal("1e99999999999999999999", 38, 0), None);
    }

    #[test]
    fn a_double_is_taken_only_where_it_loses_nothing() {
        let fits = |text: &str| Number::parse(text).expect("a number").fits_float();
        for text in ["0", "1.5", "9007199254740992", "1e300", "-2.5e-300", "0.30000000000000004", "0.10000000000000001"]
        {
            assert!(fits(text), "{text}");
        }
        for text in ["9007199254740993", "123456789012345678", "1e400", "1e-400", "0.123456789012345678"] {
            assert!(!fits(text), "{text}");
        }
        // These fit decimal(38,10); one comes back from its double, the other does not.
        assert!(fits("123456.1234567891"));
        assert!(!fits("9007199254.7409931"));
    }

    #[test]
    fn fast_paths_agree_with_the_exact_path() {
        for text in ["0", "-0", "7", "-42", "999999999999999999", "1.5", "-0.25", "12.3400", "99999999999999.9", "1e3"]
        {
            let number = Number::parse(text).expect("a number");
            if let Some(value) = short_integer(text.as_bytes()) {
                assert_eq!(Some(value), number.to_integer(), "{text}");
            }
            if let Some((units, scale)) = short_decimal(text.as_bytes()) {
                assert_eq!(number.to_decimal(38, scale as u8), Some(i128::from(units)), "{text}");
            }
        }
        assert_eq!(short_integer(b"1234567890123456789"), None);
        assert_eq!(short_integer(b"1.5"), None);
        assert_eq!(short_decimal(b"1234567890123456"), None);
        assert_eq!(short_decimal(b"1e3"), None);
    }

    #[test]
    fn decimals_and_floats_print_as_numbers_do() {
        let mut out = String::new();
        write_decimal(-1_250_000, 4, &mut out);
        out.push(' ');
        write_decimal(5, 10, &mut out);
        out.push(' ');
        write_float(1e300, &mut out);
        out.push(' ');
        write_float(0.1, &mut out);
        assert_eq!(out, "-125 0.0000000005 1e300 0.1");
        assert_eq!(decimal_to_float(15_000, 4), Some(1.5));
        assert_eq!(decimal_to_float(i128::from(i64::MAX), 0), None);
    }
}
