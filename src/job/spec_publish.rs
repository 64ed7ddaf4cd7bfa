//! The part of the job file about publication: aliases, what belongs together, and what the tables must be like. Nothing
//! here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How tables are published.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishSpec {
    /// Also keep one file per table under the fixed name `current`. Default true.
    #[serde(default = "yes")]
    pub alias: bool,
    /// Whether a table that fails holds back the others. Default `together`.
    #[serde(default)]
    pub tables: TablesSpec,
    /// What stays of former snapshots for readers and for `haul rollback`; the rest is removed after a later publication.
    #[serde(default)]
    pub keep: KeepSpec,
    /// What tables must be like to be published, by their name; `"*"` speaks of all. A run whose tables are not is held: `haul runs` shows it, `haul publish` approves or discards it.
    #[serde(default)]
    pub require: BTreeMap<String, RequireSpec>,
}

fn yes() -> bool {
    true
}

impl Default for PublishSpec {
    fn default() -> Self {
        PublishSpec { alias: true, tables: TablesSpec::Together, keep: KeepSpec::default(), require: BTreeMap::new() }
    }
}

/// What stays of former snapshots: one stays while either holds for it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepSpec {
    /// The last snapshots, the current one counted. Default 5.
    #[schemars(range(min = 1, max = 1000))]
    pub snapshots: Option<usize>,
    /// Snapshots that were replaced less than so many hours ago; files that no snapshot names stay for as long, too. Longer than the longest run and than the longest refresh of a reader. Default 48.
    #[schemars(range(min = 1, max = 8760))]
    pub hours: Option<u64>,
}

/// How tables belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TablesSpec {
    /// All are published, or none.
    #[default]
    Together,
    /// A table that fails or is held keeps its former rows, and the others are published.
    Independent,
}

/// What a table must be like to be published.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequireSpec {
    /// Fewest rows. Default 0.
    pub rows_min: Option<u64>,
    /// Largest share of the last snapshot's rows that may be missing, for example `30%`. Default `50%`; tables that had fewer than 100 rows may lose any.
    pub rows_drop_max: Option<String>,
    /// A table without rows that had some. Default `hold`.
    pub empty: Option<VerdictSpec>,
    /// Rows with the same `key` or with a null in it, in a table that is replaced. Default `hold`.
    pub keys: Option<VerdictSpec>,
    /// Largest share of null values by column, for example `customer_id: 1%`.
    #[serde(default)]
    pub nulls_max: BTreeMap<String, String>,
    /// How old the newest value of a column may be.
    pub newest: Option<NewestSpec>,
    /// Columns that are new, gone or of another type than in the last snapshot. Default `allow`.
    pub schema_changes: Option<VerdictSpec>,
    /// Slices left out by `failed_slices: leave_out`, and walks of a table that changed meanwhile. Default `allow`, because the job allowed them.
    pub unfinished: Option<VerdictSpec>,
}

/// What comes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerdictSpec {
    /// The run is held until a person decides.
    Hold,
    /// The table is published all the same.
    Allow,
}

/// How old the newest value of a column may be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewestSpec {
    /// A column of dates or times.
    pub column: String,
    /// For example `36h` or `2d`.
    pub within: String,
}
