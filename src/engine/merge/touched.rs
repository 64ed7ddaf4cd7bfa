//! The keys of former rows, read from those groups of rows alone that may hold what is looked for: the footer of a file
//! says between which values the key of each group lies.

use arrow::array::RecordBatch;

use crate::columns::{self, Keys};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::format::{Groups, footer_bytes};
use crate::limits::FOOTER_BYTES;
use crate::model::column::{Column, ColumnType};
use crate::model::manifest::Part;

/// Keys that are looked for.
#[derive(Debug, Clone)]
pub(in crate::engine) enum Sought<'a> {
    All,
    /// In ascending order.
    These(Vec<&'a [u8]>),
}

impl<'a> Sought<'a> {
    pub(in crate::engine) fn these(keys: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut keys: Vec<&[u8]> = keys.collect();
        keys.sort_unstable();
        Sought::These(keys)
    }
}

/// Where keys are looked for.
pub(in crate::engine) struct Scan<'a> {
    pub ctx: &'a Context,
    pub table: &'a str,
    pub keys: &'a Keys,
    /// What the parts were written with.
    pub from: &'a [Column],
    /// Columns that are read, those of the key among them.
    pub wanted: Vec<&'a Column>,
}

impl Scan<'_> {
    /// Visits the wanted columns of the groups of a part that may hold one of the keys, each batch with the number of its
    /// first row. Returns whether any was read.
    pub(in crate::engine) async fn visit(
        &self,
        part: &Part,
        sought: &Sought<'_>,
        mut look: impl FnMut(usize, &RecordBatch) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        if part.rows == 0 || matches!(sought, Sought::These(keys) if keys.is_empty()) {
            return Ok(false);
        }
        let store = &self.ctx.store;
        let mut opened = store.open_end(part, FOOTER_BYTES).await?;
        let footer = footer_bytes(opened.file()).map_err(|source| self.unread(source))?;
        if footer > FOOTER_BYTES {
            store.load(part, &mut opened, part.bytes.saturating_sub(footer)..part.bytes).await?;
        }
        let names: Vec<&str> = self.wanted.iter().map(|column| column.name.as_str()).collect();
        let groups = Groups::of(opened.file(), self.from).map_err(|source| self.unread(source))?;
        let may_hold = self.groups_that_may_hold(&groups, sought)?;
        let (mut first, mut is_read) = (0, false);
        for (group, (rows, may_hold)) in groups.rows().zip(may_hold).enumerate() {
            if may_hold {
                is_read = true;
                for range in groups.ranges(&names, group) {
                    store.load(part, &mut opened, range).await?;
                }
                tokio::task::block_in_place(|| -> Result<(), Error> {
                    let mut before = first;
                    for batch in groups.read(opened.file(), &names, group).map_err(|source| self.unread(source))? {
                        let batch = batch.map_err(|source| self.unread(source))?;
                        look(before, &batch)?;
                        before += batch.num_rows();
                    }
                    Ok(())
                })?;
            }
            first += rows;
        }
        Ok(is_read)
    }

    /// Group by group, by the key's smallest and greatest values in the order of its columns: no key of the group lies
    /// outside of them.
    fn groups_that_may_hold(&self, groups: &Groups<'_>, sought: &Sought<'_>) -> Result<Vec<bool>, Error> {
        let key: Vec<&Column> =
            self.wanted.iter().copied().filter(|column| self.kind_in_key(column).is_some()).collect();
        let is_bounded = |column: &&Column| is_ordered(column.kind) && self.kind_in_key(column) == Some(column.kind);
        let sought = match sought {
            Sought::These(sought) if key.iter().all(is_bounded) => sought,
            Sought::These(_) | Sought::All => return Ok(groups.rows().map(|_| true).collect()),
        };
        let names: Vec<&str> = key.iter().map(|column| column.name.as_str()).collect();
        let own: Vec<Column> = key.into_iter().cloned().collect();
        let wrong = |source: columns::Error| Error::Columns { stream: self.table.to_owned(), source };
        let mut may_hold = Vec::new();
        for bounds in groups.bounds(&names).map_err(|source| self.unread(source))? {
            may_hold.push(match bounds {
                None => true,
                Some(bounds) => {
                    let smallest = self.keys.of(&bounds.smallest, &own).map_err(wrong)?;
                    let greatest = self.keys.of(&bounds.greatest, &own).map_err(wrong)?;
                    let (smallest, greatest) = (smallest.row(0), greatest.row(0));
                    let next = sought.partition_point(|key| *key < smallest.as_ref());
                    sought.get(next).is_some_and(|key| *key <= greatest.as_ref())
                }
            });
        }
        Ok(may_hold)
    }

    /// The type with which keys are made of this column. `None` = it is not of the key.
    fn kind_in_key(&self, column: &Column) -> Option<ColumnType> {
        self.keys.columns().iter().find(|key| key.has_name(&column.name)).map(|key| key.kind)
    }

    fn unread(&self, source: crate::format::Error) -> Error {
        Error::Format { stream: self.table.to_owned(), doing: "rereading", source }
    }
}

/// Whether a file's statistics have the order of the key's bytes. Those of doubles leave out what is no number, and say
/// nothing of the sign of zero.
fn is_ordered(kind: ColumnType) -> bool {
    match kind {
        ColumnType::Boolean
        | ColumnType::Integer
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::DateTime
        | ColumnType::Instant
        | ColumnType::Text => true,
        ColumnType::Null | ColumnType::Float | ColumnType::Json | ColumnType::List(_) => false,
    }
}
