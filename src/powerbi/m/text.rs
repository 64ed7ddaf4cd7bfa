//! Texts and names as M spells them (<https://learn.microsoft.com/powerquery-m/m-spec-lexical-structure>).

/// Words of the language, and names of its types, which could be taken for something else where a type may stand.
const WORDS: &[&str] = &[
    "_",
    "action",
    "and",
    "any",
    "anynonnull",
    "as",
    "binary",
    "date",
    "datetime",
    "datetimezone",
    "duration",
    "each",
    "else",
    "error",
    "false",
    "function",
    "if",
    "in",
    "is",
    "let",
    "list",
    "logical",
    "meta",
    "none",
    "not",
    "null",
    "nullable",
    "number",
    "optional",
    "or",
    "otherwise",
    "record",
    "section",
    "shared",
    "table",
    "text",
    "then",
    "time",
    "true",
    "try",
    "type",
];

/// A text literal.
pub(crate) fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut before = '\0';
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\"\""),
            // `#(` begins an escape.
            '(' if before == '#' => quoted.push_str("(#)("),
            '\n' => quoted.push_str("#(lf)"),
            '\r' => quoted.push_str("#(cr)"),
            '\t' => quoted.push_str("#(tab)"),
            // Line ends of Unicode, and what no editor shows.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                quoted.push_str(&format!("#({:04X})", u32::from(c)));
            }
            c => quoted.push(c),
        }
        before = c;
    }
    quoted.push('"');
    quoted
}

/// A name of a query, a step or a field.
pub(crate) fn name(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&name);
    if is_plain { name.to_owned() } else { format!("#{}", literal(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_line_and_keep_what_they_say() {
        let check = |text: &str, expect: &str| assert_eq!(literal(text), expect, "{text:?}");
        check("", "\"\"");
        check("say \"yes\"", "\"say \"\"yes\"\"\"");
        check("a#b", "\"a#b\"");
        check("#(lf)", "\"#(#)(lf)\"");
        check("##(", "\"##(#)(\"");
        check("a\r\n\tb", "\"a#(cr)#(lf)#(tab)b\"");
        check("\u{1}\u{2028}", "\"#(0001)#(2028)\"");
        check("Größe 🚚", "\"Größe 🚚\"");
    }

    #[test]
    fn names_are_quoted_where_they_could_be_something_else() {
        let check = |text: &str, expect: &str| assert_eq!(name(text), expect, "{text:?}");
        check("orders", "orders");
        check("_2024", "_2024");
        check("each", "#\"each\"");
        check("table", "#\"table\"");
        check("_", "#\"_\"");
        check("2024", "#\"2024\"");
        check("a.b", "#\"a.b\"");
        check("first name", "#\"first name\"");
        check("say \"yes\"", "#\"say \"\"yes\"\"\"");
        check("Größe", "#\"Größe\"");
        check("", "#\"\"");
    }
}
