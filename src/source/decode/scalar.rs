//! Texts without types, as CSV and XML have them: what is a number or a flag in JSON's own spelling becomes one.

/// Digits that a number may have; more stays text, so that none is lost.
const DIGITS_MAX: usize = 38;

/// Writes a text as JSON: empty = null, `12.50` = a number with its digits, `007` and `1e5` = texts.
pub(super) fn write_scalar(text: &str, out: &mut Vec<u8>) {
    match text {
        "" => out.extend_from_slice(b"null"),
        "true" | "false" => out.extend_from_slice(text.as_bytes()),
        text if is_number(text) => out.extend_from_slice(text.as_bytes()),
        // Writing into memory does not fail.
        text => drop(serde_json::to_writer(out, text)),
    }
}

/// A number as JSON writes it, without an exponent: what reads `1e5` as a number reads product codes as numbers.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = text.starts_with('-') && digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    is_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && text.len() <= DIGITS_MAX
        && !is_zero
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let mut out = Vec::new();
        write_scalar(text, &mut out);
        assert_eq!(String::from_utf8(out).expect("JSON"), expect, "{text}");
    }

    #[test]
    fn texts_become_what_they_spell() {
        check("", "null");
        check("12", "12");
        check("-0.50", "-0.50");
        check("0", "0");
        check("007", "\"007\"");
        check("-0", "\"-0\"");
        check("1e5", "\"1e5\"");
        check("1.", "\"1.\"");
        check(".5", "\".5\"");
        check("+1", "\"+1\"");
        check("true", "true");
        check("TRUE", "\"TRUE\"");
        check("a\"b", "\"a\\\"b\"");
        check("123456789012345678901234567890123456789", "\"123456789012345678901234567890123456789\"");
    }
}
