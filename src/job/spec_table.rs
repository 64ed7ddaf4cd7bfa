//! The part of the job file about tables: which fields become columns, under which names and types, which lists become
//! tables of their own, and what may change from run to run. Nothing here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::ColumnTypeSpec;

/// A list inside the records that becomes a table of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChildTableSpec {
    /// Name of the table: `a-z`, `0-9`, `_`, starting with a letter, at most 63 characters.
    pub name: String,
    /// Path to the list in a record, for example `lines`. Its items become rows, with the key of their record in columns named `<stream>_<key>` and their place in the list in `_position`.
    pub from: String,
    /// Fields of an item to keep, with all that is in them. Default: all.
    #[serde(default)]
    pub select: Vec<String>,
    /// Fields of an item to leave out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Names of columns by the path of their field.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Objects that become one column of JSON text instead of a column for each member.
    #[serde(default)]
    pub nested: BTreeMap<String, NestedSpec>,
    /// Lists in the items that become tables of their own.
    #[serde(default)]
    pub tables: Vec<ChildTableSpec>,
    /// Types of columns by their name in the table.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnTypeSpec>,
}

/// What becomes of an object inside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NestedSpec {
    /// A column for each member, named `object_member`. The default.
    Flatten,
    /// One column of JSON text.
    Json,
}

/// What may change from one snapshot to the next, and what becomes of records that do not fit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContractSpec {
    /// A field that the last snapshot has no column for. Default `evolve`.
    #[serde(default)]
    pub new_columns: NewColumnsSpec,
    /// A value that does not fit the type which the column has in the last snapshot. Default `widen`.
    #[serde(default)]
    pub changed_types: ChangedTypesSpec,
    /// A record that cannot become a row. Default `fail`.
    #[serde(default)]
    pub bad_records: BadRecordsSpec,
}

/// A field that the last snapshot has no column for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NewColumnsSpec {
    /// It becomes a column.
    #[default]
    Evolve,
    /// Its record is a bad one.
    Freeze,
    /// It is left out, and the report names it.
    Drop,
}

/// A value that does not fit the type which the column has in the last snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangedTypesSpec {
    /// The column takes the narrowest type that keeps all its values.
    #[default]
    Widen,
    /// Its record is a bad one.
    Fail,
}

/// A record that cannot become a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BadRecordsSpec {
    /// The stream fails; the error names the value, the record and the page.
    #[default]
    Fail,
    /// It goes to a file beside the table, with the reason; more of them than this number are an error.
    Quarantine(#[schemars(range(min = 1, max = 1000000))] u64),
}
