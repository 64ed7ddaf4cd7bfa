//! Decimals as doubles and back. A decimal that comes back as other digits has lost some.

/// The greatest power of ten that is a double without rounding.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Fifteen digits always come back from a double.
const SAFE_UNITS: u128 = 1_000_000_000_000_000;

/// The double next to `units × 10^-scale`, and whether it stands for the same digits. It always comes back as a decimal
/// of this precision and scale.
pub(super) fn of_decimal(units: i128, precision: u8, scale: u8) -> (f64, bool) {
    if units.unsigned_abs() < SAFE_UNITS
        && let Some(power) = EXACT_POWERS.get(usize::from(scale))
    {
        // Both are doubles without rounding, so their quotient is the nearest double.
        return (units as f64 / power, true);
    }
    let text = format!("{units}e-{scale}");
    let value: f64 = text.parse().expect("an integer with an exponent is a number");
    match to_decimal(value, scale) {
        Some(back) if back.unsigned_abs() < 10_u128.pow(u32::from(precision)) => (value, back == units),
        // The greatest decimals lie nearest to a double that has one digit more.
        _ => (if value > 0.0 { value.next_down() } else { value.next_up() }, false),
    }
}

/// The units of the shortest decimal that reads back as this double. `None` = they do not fit.
pub(super) fn to_decimal(value: f64, scale: u8) -> Option<i128> {
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
    let mantissa: i128 = digits.replace('.', "").parse().ok()?;
    if mantissa == 0 {
        return Some(0);
    }
    let shift = exponent + i32::from(scale) - i32::try_from(places).ok()?;
    mantissa.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(units: i128, precision: u8, scale: u8, value: f64, back: i128) {
        let (stored, is_kept) = of_decimal(units, precision, scale);
        assert_eq!(stored.to_bits(), value.to_bits(), "{units}e-{scale}");
        assert_eq!(to_decimal(stored, scale), Some(back), "{units}e-{scale}");
        assert_eq!(is_kept, back == units, "{units}e-{scale}");
        // What was rounded once is not rounded again.
        assert_eq!(of_decimal(back, precision, scale), (value, true), "{units}e-{scale}");
    }

    #[test]
    fn decimals_come_back_with_the_digits_that_a_double_has() {
        check(0, 38, 10, 0.0, 0);
        check(1, 38, 10, 1e-10, 1);
        check(-12_345, 20, 4, -1.2345, -12_345);
        check(999_999_999_999_999, 38, 10, 99_999.999_999_999_9, 999_999_999_999_999);
        check(1_234_567_890_123_456, 38, 10, 123_456.789_012_345_6, 1_234_567_890_123_456);
        check(12_345_678_901_234_567_890, 38, 10, 1_234_567_890.123_456_7, 12_345_678_901_234_567_000);
        check(-(1 << 60) - 1, 38, 0, -1.152_921_504_606_847e18, -1_152_921_504_606_847_000);
        check(10_i128.pow(37), 38, 0, 1e37, 10_i128.pow(37));
        check(10_i128.pow(30), 38, 30, 1.0, 10_i128.pow(30));
    }

    #[test]
    fn the_greatest_decimals_stay_within_their_digits() {
        let greatest = 10_i128.pow(38) - 1;
        check(greatest, 38, 0, 9.999_999_999_999_998e37, 9_999_999_999_999_998 * 10_i128.pow(22));
        check(-greatest, 38, 0, -9.999_999_999_999_998e37, -9_999_999_999_999_998 * 10_i128.pow(22));
        check(greatest, 38, 38, 0.999_999_999_999_999_9, 9_999_999_999_999_999 * 10_i128.pow(22));
        let nineteen = 10_i128.pow(19) - 1;
        check(nineteen, 19, 0, 9.999_999_999_999_998e18, 9_999_999_999_999_998 * 1000);
    }

    #[test]
    fn what_is_no_such_decimal_is_refused() {
        assert_eq!(to_decimal(0.125, 2), None);
        assert_eq!(to_decimal(1e300, 0), None);
        assert_eq!(to_decimal(f64::NAN, 4), None);
        assert_eq!(to_decimal(f64::INFINITY, 4), None);
    }
}
