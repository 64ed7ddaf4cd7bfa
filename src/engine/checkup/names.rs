//! The names of tables and columns, as a model of Power BI takes them. Pure.

use std::collections::BTreeMap;

use super::finding::{Finding, error, warning};
use crate::model::manifest::Manifest;

pub(super) fn look_at(manifest: &Manifest) -> Vec<Finding> {
    let mut found = Vec::new();
    for (one, other) in clashes(manifest.tables.keys()) {
        let what = format!("the tables `{one}` and `{other}` differ in case alone, and a model takes one of them");
        found.push(error("name_clash", &other, what, "give one stream another `name`"));
    }
    for (table, entry) in &manifest.tables {
        let columns = entry.columns.iter().map(|column| &column.name);
        for (one, other) in clashes(columns.clone()) {
            let what = format!("the columns `{one}` and `{other}` differ in case alone, and a model takes one of them");
            found.push(error("name_clash", table, what, format!("`rename` one of them, or `drop` it: `{other}`")));
        }
        for name in columns.chain([table]).filter(|name| !is_plain(name)) {
            let what = format!("the name `{}` is not of letters, digits and _", name.escape_debug());
            found.push(warning("name_odd", table, what, "`rename` it, for every formula has to put it in quotes"));
        }
    }
    found
}

/// Names that differ in case alone, each with the first such.
fn clashes<'n>(names: impl Iterator<Item = &'n String>) -> Vec<(String, String)> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    let mut found = Vec::new();
    for name in names {
        match seen.get(&name.to_lowercase()) {
            Some(first) => found.push(((*first).clone(), name.clone())),
            None => drop(seen.insert(name.to_lowercase(), name)),
        }
    }
    found
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
