//! What a job says about the fields of a table's records: which become columns, under which names, and which become
//! tables of their own.

use std::collections::BTreeMap;

use super::column::ColumnType;

/// The name by which expressions read the record.
pub(crate) const RECORD: &str = "record";

/// Keys from the record down to a field; never empty.
pub(crate) type FieldPath = Vec<String>;

/// The fields of one table. The default takes every field as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldPlan {
    /// Fields to keep, with all that is in them. Empty = all.
    pub select: Vec<FieldPath>,
    /// Fields to leave out, with all that is in them.
    pub drop: Vec<FieldPath>,
    /// Names of columns that do not follow from their paths. Of an object: what its columns begin with.
    pub rename: Vec<(FieldPath, String)>,
    /// Objects that stay one column of JSON text.
    pub json: Vec<FieldPath>,
    /// Lists that become tables.
    pub children: Vec<ChildPlan>,
    /// Types by column name.
    pub columns: BTreeMap<String, ColumnType>,
}

/// A list inside the records whose items are rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildPlan {
    pub path: FieldPath,
    /// Name of the table; unique in the job.
    pub table: String,
    pub fields: FieldPlan,
}

/// What may change from one snapshot to the next, and what becomes of records that do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Contract {
    pub new_columns: NewColumns,
    pub changed_types: ChangedTypes,
    pub bad_records: BadRecords,
}

/// A field that the last snapshot had no column for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NewColumns {
    /// It becomes a column.
    #[default]
    Evolve,
    /// Its record is a bad one.
    Freeze,
    /// It is left out, and the report names it.
    Drop,
}

/// A value that the type of the last snapshot does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChangedTypes {
    /// The column takes the narrowest type that keeps all its values.
    #[default]
    Widen,
    /// Its record is a bad one.
    Fail,
}

/// A record that cannot become a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BadRecords {
    /// It is an error.
    #[default]
    Fail,
    /// It goes to a file beside the table; more of them than this are an error.
    Quarantine { max: u64 },
}

impl FieldPlan {
    /// The plans of all child tables, each behind the table that it is in.
    pub(crate) fn tables(&self) -> Vec<&ChildPlan> {
        let mut tables = Vec::new();
        for child in &self.children {
            tables.push(child);
            tables.extend(child.fields.tables());
        }
        tables
    }
}
