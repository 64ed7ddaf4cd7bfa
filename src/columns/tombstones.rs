//! Records that say of themselves that they are gone. They become no rows: what is kept of each is its key, its cursor
//! and its place among the rows, in a table of its own that no file ever holds.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::children::member_at;
use super::error::{Error, Place, excerpt, shown};
use super::options::{Options, TableOptions};
use super::table::Table;
use super::tokens::Tokens;
use crate::model::column::Column;
use crate::model::deletes::Tombstone;
use crate::model::fields::{Contract, FieldPlan};

/// Records that are gone, as far as they are known.
#[derive(Debug, Clone)]
pub(crate) struct GoneBatch {
    pub(crate) columns: Vec<Column>,
    pub(crate) records: RecordBatch,
    /// For each of them, how many rows of the stream came before it.
    pub(crate) rows_before: Vec<u64>,
}

/// Takes the tombstones out of the records.
#[derive(Debug)]
pub(super) struct Tombstones {
    tombstone: Tombstone,
    table: Table,
    /// Of the tombstones that are in no batch yet.
    rows_before: VecDeque<u64>,
}

impl Tombstones {
    /// `None` = the stream has none.
    pub(super) fn of(options: &Options) -> Result<Option<Self>, Error> {
        let Some(tombstone) = &options.tombstone else { return Ok(None) };
        // The fields of the rows under the same names and types, without the lists: they go with their record.
        let mut fields = FieldPlan { children: Vec::new(), ..options.fields.clone() };
        fields.drop.extend(options.fields.children.iter().map(|child| child.path.clone()));
        let table = Table::new(&TableOptions {
            fields: &fields,
            fetched: &options.fetched,
            former: &options.former,
            is_odata: options.is_odata,
            is_xml: options.is_xml,
            // What is new in a tombstone reaches no table.
            contract: Contract::default(),
            limits: options.limits,
            given: Vec::new(),
            first_child: 1,
        })?;
        Ok(Some(Tombstones { tombstone: tombstone.clone(), table, rows_before: VecDeque::new() }))
    }

    pub(super) fn set_constants(&mut self, constants: &[(String, Value)]) -> Result<(), Error> {
        self.table.set_constants(constants)
    }

    /// Whether the record says that it is gone.
    pub(super) fn is_gone(&self, record: &[u8], place: Place) -> Result<bool, Error> {
        let value = match member_at(record, &self.tombstone.field) {
            None => Value::Null,
            Some((_, text)) => serde_json::from_slice(text).map_err(|source| Error::Unread { place, source })?,
        };
        self.tombstone.is_gone(&value).ok_or_else(|| Error::UnclearTombstone {
            place,
            field: shown(&self.tombstone.field),
            value: excerpt(&value.to_string()),
        })
    }

    /// Takes the tombstone at which `tokens` stand; `rows` of the stream came before it.
    pub(super) fn take(&mut self, tokens: &mut Tokens<'_>, place: Place, rows: u64) -> Result<(), Error> {
        let start = tokens.at();
        self.table.place = place;
        self.table.record(tokens)?;
        self.table.take_row(tokens.at() - start);
        self.rows_before.push_back(rows);
        self.table.emit_full()
    }

    pub(super) fn rows(&self) -> usize {
        self.table.rows
    }

    pub(super) fn reject_rows(&mut self, mark: usize) {
        self.table.reject_rows(mark);
    }

    pub(super) fn emit_full(&mut self) -> Result<(), Error> {
        self.table.emit_full()
    }

    pub(super) fn emit_rest(&mut self) -> Result<(), Error> {
        self.table.emit_rest()
    }

    /// The next batch of tombstones.
    pub(super) fn next_batch(&mut self) -> Option<GoneBatch> {
        let records = self.table.next_batch()?;
        let columns = self.table.columns_of(&records.schema()).expect("the batch is this table's").to_vec();
        let rows_before = self.rows_before.drain(..records.num_rows()).collect();
        Some(GoneBatch { columns, records, rows_before })
    }
}
