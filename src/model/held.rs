//! A run that is whole and whose tables a gate holds back: what would be published, and why it is not. A file format: it
//! outlives us, so it carries a version.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::manifest::TableManifest;

/// `_held/<run>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldRun {
    pub format_version: u32,
    pub job: String,
    pub run: String,
    pub held_at: DateTime<Utc>,
    /// SHA-256 of the job file.
    pub config_hash: String,
    /// What the gates found; never empty.
    pub why: Vec<String>,
    /// The tables that would take the place of the former ones.
    pub tables: BTreeMap<String, TableManifest>,
    /// Parts of the former tables; while these are what readers see, the held ones can take their place. A table that is
    /// missing here was not there.
    pub former: BTreeMap<String, Vec<String>>,
}

impl HeldRun {
    /// The first table that is no longer what the run started from.
    pub(crate) fn overtaken(&self, current: &BTreeMap<String, TableManifest>) -> Option<&str> {
        let is_former = |name: &str| {
            let now = current.get(name).map(paths_of);
            now.as_ref() == self.former.get(name)
        };
        self.tables.keys().map(String::as_str).find(|name| !is_former(name))
    }
}

/// Paths of a table's parts, in their order.
pub(crate) fn paths_of(table: &TableManifest) -> Vec<String> {
    table.parts.iter().map(|part| part.path.clone()).collect()
}
