//! Arrays and objects that stay JSON: their text as sent, without the blanks between its tokens.

use std::borrow::Cow;

/// The text is nested deeper than was allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// The same JSON without white space outside of strings. `text` is valid JSON.
///
/// Fails where brackets nest deeper than `depth_max`.
pub(super) fn compact(text: &str, depth_max: usize) -> Result<Cow<'_, str>, TooDeep> {
    let mut blanks = 0;
    let mut depth = 0_usize;
    outside_strings(text, |byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => blanks += 1,
            _ => {}
        }
        depth <= depth_max
    })?;
    if blanks == 0 {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() - blanks);
    let (mut in_string, mut is_escaped) = (false, false);
    out.extend(text.chars().filter(|c| {
        if in_string {
            in_string = is_escaped || *c != '"';
            is_escaped = !is_escaped && *c == '\\';
            return true;
        }
        in_string = *c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    }));
    Ok(Cow::Owned(out))
}

fn outside_strings(text: &str, mut see: impl FnMut(u8) -> bool) -> Result<(), TooDeep> {
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if !see(byte) {
            return Err(TooDeep);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(compact(text, 10).as_deref(), Ok(expect), "{text}");
    }

    #[test]
    fn blanks_go_and_strings_stay() {
        check("[]", "[]");
        check("[1,2]", "[1,2]");
        check("[ 1,\r\n\t2 ]", "[1,2]");
        check(r#"{ "a b" : "c \" d \\" , "e":[ ] }"#, r#"{"a b":"c \" d \\","e":[]}"#);
        check("[ \"ä  ö\" ]", "[\"ä  ö\"]");
    }

    #[test]
    fn depth_is_bounded() {
        assert!(compact("[[\"[[[\"]]", 2).is_ok());
        assert_eq!(compact("[[[]]]", 2), Err(TooDeep));
    }
}
