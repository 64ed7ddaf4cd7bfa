//! Names, values and expressions as TMDL spells them (<https://learn.microsoft.com/analysis-services/tmdl/tmdl-overview>), and
//! names as DAX does.

/// A name of an object: in quotes unless it is a plain word.
pub(super) fn name(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}

/// A text as the value of a property.
pub(super) fn value(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-. ,:#0/".contains(c));
    if is_plain && text.trim() == text { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// An expression of several lines behind `=`, `depth` tabs from the left. Lines without anything stay so.
pub(super) fn expression(text: &str, depth: usize) -> String {
    let tabs = "\t".repeat(depth);
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{tabs}{line}") });
    lines.collect::<Vec<_>>().join("\n")
}

/// A table in DAX.
pub(super) fn dax_table(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

/// A column in DAX.
pub(super) fn dax_column(table: &str, column: &str) -> String {
    format!("{}[{}]", dax_table(table), column.replace(']', "]]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_quoted_where_they_must_be() {
        let check = |text: &str, as_name: &str, as_value: &str| {
            assert_eq!(name(text), as_name);
            assert_eq!(value(text), as_value);
        };
        check("orders", "orders", "orders");
        check("first name", "'first name'", "first name");
        check("it's", "'it''s'", "\"it's\"");
        check("a.b", "'a.b'", "a.b");
        check("say \"yes\"", "'say \"yes\"'", "\"say \"\"yes\"\"\"");
        check("=sum", "'=sum'", "\"=sum\"");
        check(" x", "' x'", "\" x\"");
        check("Größe", "'Größe'", "Größe");
        check("", "''", "\"\"");
        assert_eq!(dax_column("it's", "[x]]"), "'it''s'[[x]]]]]");
        assert_eq!(expression("let\n\n    x\n", 2), "\t\tlet\n\n\t\t    x");
    }
}
