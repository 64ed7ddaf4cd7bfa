//! The files that the kit is written as: texts with a path, for Windows, too.

use super::ids;
use super::m::Query;

/// A file of a project or a folder of queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFile {
    /// With `/` between folders.
    pub path: String,
    /// UTF-8 without a mark, LF.
    pub text: String,
    /// Whether it is the user's from then on: it is written once, and not again.
    pub is_once: bool,
}

impl TextFile {
    pub(super) fn new(path: impl Into<String>, text: String) -> Self {
        TextFile { path: path.into(), text, is_once: false }
    }

    pub(super) fn once(path: impl Into<String>, text: String) -> Self {
        TextFile { is_once: true, ..Self::new(path, text) }
    }

    /// The same file in a folder.
    pub(crate) fn below(self, folder: &str) -> Self {
        TextFile { path: format!("{folder}/{}", self.path), ..self }
    }

    pub(super) fn json(path: impl Into<String>, value: &serde_json::Value) -> Self {
        Self::new(path, json_text(value))
    }
}

pub(super) fn json_text(value: &serde_json::Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).expect("it holds only texts and numbers"))
}

/// Names that are devices on Windows, whatever ending follows.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul"];

/// The name for a file, without its ending. One that a file system does not take gets a mark that tells it from others.
pub(crate) fn name_of(name: &str) -> String {
    let is_wrong = |c: char| c.is_control() || "<>:\"/\\|?*".contains(c);
    let plain: String = name.chars().map(|c| if is_wrong(c) { '_' } else { c }).collect();
    let trimmed = plain.trim_matches(['.', ' ']);
    let lower = trimmed.to_lowercase();
    let first = lower.split('.').next().unwrap_or_default();
    let is_numbered = ["com", "lpt"].iter().any(|device| {
        first.strip_prefix(device).is_some_and(|number| number.len() == 1 && number.chars().all(|c| c.is_ascii_digit()))
    });
    if trimmed == name && !trimmed.is_empty() && !DEVICES.contains(&first) && !is_numbered {
        return name.to_owned();
    }
    format!("{trimmed}_{}", &ids::short(&["file", name])[..8])
}

/// A file for each query.
pub(crate) fn query_files(queries: &[Query]) -> Vec<TextFile> {
    let file = |query: &Query| TextFile::new(format!("{}.pq", name_of(&query.name)), format!("{}\n", query.text));
    queries.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_good_on_windows() {
        let check = |name: &str, expect: &str| {
            let made = name_of(name);
            match expect.strip_suffix('*') {
                Some(start) => assert!(made.starts_with(start) && made.len() == start.len() + 8, "{name}: {made}"),
                None => assert_eq!(made, expect),
            }
        };
        check("orders", "orders");
        check("Größe 🚚", "Größe 🚚");
        check("a/b", "a_b_*");
        check("a:b", "a_b_*");
        check("con", "con_*");
        check("Nul.x", "Nul.x_*");
        check("com1", "com1_*");
        check("com10", "com10");
        check("console", "console");
        check("end.", "end_*");
        check("..", "_*");
        assert_ne!(name_of("a/b"), name_of("a:b"));
    }
}
