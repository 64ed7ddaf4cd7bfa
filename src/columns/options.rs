//! What is known before the first record.

use std::collections::BTreeMap;

use super::names::name_of;
use super::{Error, names};
use crate::model::column::{Column, ColumnType};
use crate::model::deletes::Tombstone;
use crate::model::destination::ValueLimits;
use crate::model::fields::{Contract, FieldPath, FieldPlan};

/// What is known of a stream's tables before its first record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// What the job says about the fields; its types never change.
    pub(crate) fields: FieldPlan,
    /// The source's own description; these types never change, either.
    pub(crate) fetched: Vec<Column>,
    /// Columns of the last snapshot in their order. What was inferred may widen, unless the contract says otherwise.
    pub(crate) former: Vec<Column>,
    /// The same of the tables that the stream's lists become, by name.
    pub(crate) former_children: BTreeMap<String, Vec<Column>>,
    /// The records come from OData: `…@odata.…`, `__metadata` and `__deferred` are the protocol's, and left out.
    pub(crate) is_odata: bool,
    /// The records come from XML, where a list of one item is that item.
    pub(crate) is_xml: bool,
    pub(crate) contract: Contract,
    /// Name of the stream's own table, with which the columns of its key are named in child tables.
    pub(crate) name: String,
    /// Columns that identify a record.
    pub(crate) key: Vec<String>,
    /// How a record says that it is gone. Absent = none does.
    pub(crate) tombstone: Option<Tombstone>,
    /// Names of the columns that [`super::Compute`] gives.
    pub(crate) computed: Vec<String>,
    /// Child tables get the number of the stream's row as [`PARENT_ROW`].
    pub(crate) has_parent_rows: bool,
    /// What the tables' readers take.
    pub(crate) limits: ValueLimits,
}

/// Place of an item in its list, from 1.
pub(crate) const POSITION: &str = "_position";
/// Number of the row that an item's record became, from 0; only there until the table is merged.
pub(crate) const PARENT_ROW: &str = "_parent_row";

/// What one table of a stream begins with.
pub(super) struct TableOptions<'a> {
    pub(super) fields: &'a FieldPlan,
    pub(super) fetched: &'a [Column],
    pub(super) former: &'a [Column],
    pub(super) is_odata: bool,
    pub(super) is_xml: bool,
    pub(super) contract: Contract,
    pub(super) limits: ValueLimits,
    /// Columns that every row is given from outside; they stand first.
    pub(super) given: Vec<Column>,
    /// Number of the first child table; the others follow with their own children between them.
    pub(super) first_child: usize,
}

/// Column names by path.
#[derive(Debug, Default)]
pub(super) struct Names {
    rename: BTreeMap<FieldPath, String>,
}

impl Names {
    pub(super) fn of(plan: &FieldPlan) -> Self {
        Names { rename: plan.rename.iter().cloned().collect() }
    }

    /// The name of a field's column: that of the job, which for an object is what its columns begin with, or [`name_of`].
    pub(super) fn name(&self, path: &[String]) -> Result<String, Error> {
        if self.rename.is_empty() {
            return name_of(path);
        }
        for length in (1..=path.len()).rev() {
            if let Some(name) = self.rename.get(&path[..length]) {
                let path: Vec<String> = std::iter::once(name.clone()).chain(path[length..].iter().cloned()).collect();
                return name_of(&path);
            }
        }
        name_of(path)
    }
}

impl Names {
    /// A column of the source's own description keeps its name, unless the job has another one.
    pub(super) fn of_fetched(&self, column: &Column) -> Result<String, Error> {
        let is_renamed = (1..=column.path.len()).any(|length| self.rename.contains_key(&column.path[..length]));
        if is_renamed { self.name(&column.path) } else { Ok(column.name.clone()) }
    }

    /// A column of the last snapshot keeps the case of its name; the job may have renamed it since.
    pub(super) fn of_former(&self, column: &Column) -> Result<String, Error> {
        let name = self.name(&column.path)?;
        Ok(if names::folded(&name) == names::folded(&column.name) { column.name.clone() } else { name })
    }
}

/// The job's types by the folded name of their column.
pub(super) fn declared(plan: &FieldPlan) -> BTreeMap<String, (String, ColumnType)> {
    plan.columns.iter().map(|(name, kind)| (names::folded(name), (name.clone(), *kind))).collect()
}
