//! A path to one place in a JSON document: the singular queries of RFC 9535 that name object members, with the
//! leading `$.` optional, so that `data.items` and `$['@odata.nextLink']` both read naturally in a job file.

use std::fmt;
use std::str::FromStr;

/// Member names from the outermost inwards; empty = the document itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct JsonPath {
    members: Vec<String>,
}

impl JsonPath {
    /// The path with exactly these member names.
    pub(crate) fn of(members: &[&str]) -> Self {
        JsonPath { members: members.iter().map(|m| (*m).to_owned()).collect() }
    }

    /// Member names from the outermost inwards.
    pub(crate) fn members(&self) -> &[String] {
        &self.members
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is no path: {why}; write member names as `data.items` or `$['@odata.nextLink']`")
        };
        let mut members = Vec::new();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong("it is empty"));
        }
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            if let Some(after) = rest.strip_prefix('.') {
                rest = after;
            }
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let quote = after
                    .chars()
                    .next()
                    .filter(|q| *q == '\'' || *q == '"')
                    .ok_or_else(|| wrong("only quoted names stand in brackets"))?;
                let after = &after[1..];
                let end = after.find(quote).ok_or_else(|| wrong("a quote is not closed"))?;
                members.push(after[..end].to_owned());
                rest = after[end + 1..].strip_prefix(']').ok_or_else(|| wrong("a bracket is not closed"))?;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(wrong("a name is missing"));
                }
                members.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    return Err(wrong("it ends with a dot"));
                }
                rest = after;
            }
        }
        Ok(JsonPath { members })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for member in &self.members {
            if member.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                write!(f, ".{member}")?;
            } else {
                write!(f, "['{member}']")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&[&str]>) {
        match (text.parse::<JsonPath>(), expect) {
            (Ok(path), Some(members)) => assert_eq!(path, JsonPath::of(members), "{text}"),
            (Err(_), None) => {}
            (got, expect) => panic!("{text}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn paths_are_read_in_every_spelling() {
        check("$", Some(&[]));
        check("value", Some(&["value"]));
        check("$.d.results", Some(&["d", "results"]));
        check("d.results", Some(&["d", "results"]));
        check("$['@odata.nextLink']", Some(&["@odata.nextLink"]));
        check("a[\"b.c\"].d", Some(&["a", "b.c", "d"]));
        check("", None);
        check("a.", None);
        check("a..b", None);
        check("a[0]", None);
        check("a['b", None);
    }

    #[test]
    fn display_reads_back() {
        let path = JsonPath::of(&["a", "@odata.nextLink"]);
        assert_eq!(path.to_string().parse::<JsonPath>(), Ok(path));
    }
}
