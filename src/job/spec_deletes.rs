//! The part of the job file about records that are gone. Nothing here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::ParamSpec;

/// How a stream learns of records that are gone: one of `field`, `stream` and `sweep`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletedSpec {
    /// A field by which a record says that it is gone, for example `IsDeleted`, `archived` or `["@removed"]`. Beside it such a record needs the key only.
    pub field: Option<String>,
    /// The value of `field` that says so. Default: true, 1, an object, or a time.
    pub value: Option<ParamSpec>,
    /// Another stream of the job whose records name keys that are gone. It is read first, and stays a table of its own.
    pub stream: Option<String>,
    /// Another stream of the job whose records name all keys that are there; rows with other keys are gone. It is read first and whole, and stays a table of its own.
    pub sweep: Option<String>,
    /// Columns of the other stream that hold the key, in the order of this stream's `key`. Default: those of the same names.
    pub key: Option<KeySpec>,
    /// Take only those records of `stream` for which this expression holds, for example `record.EntityType == 4`.
    pub when: Option<String>,
    /// Field of `stream` whose values can be compared with this stream's cursor: a record with a later cursor came again and stays. Default: the cursor of `stream`, where both are times or have the same name.
    pub at: Option<String>,
    /// Let a sweep without a key remove all rows. Default false: it is an error.
    #[serde(default)]
    pub allow_empty: bool,
    /// What becomes of the rows. Default `remove`.
    #[serde(default)]
    pub rows: DeletedRowsSpec,
}

/// One column or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum KeySpec {
    One(String),
    Several(Vec<String>),
}

/// What becomes of rows whose record is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeletedRowsSpec {
    /// They go, with the rows of their lists.
    #[default]
    Remove,
    /// They stay, with the time of the run in the column `_deleted_at`, which is null in all others.
    Mark,
}
