//! Rows of a stream's lists after a merge: they go and come with the record that they stood in.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::deciding::{Decided, DecidedKeys};
use super::parts::{Changed, MergedParts, check_renamed, read_columns, united};
use super::touched::{Scan, Sought};
use super::{Former, Merged};
use crate::columns::{Keys, PARENT_ROW, column_name};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::seal::SealedTable;
use crate::model::column::Column;
use crate::model::manifest::Part;
use crate::model::plan::Stream;
use crate::model::report::MergeCounts;

/// The table with the rows of the read, and the former rows of the records that were not in it.
pub(in crate::engine) async fn merge_child(
    ctx: &Context,
    stream: &Stream,
    decided: &Decided,
    former: Former<'_>,
    read: &SealedTable,
) -> Result<Merged, Error> {
    let new: Vec<Column> = read.columns().iter().filter(|column| column.name != PARENT_ROW).cloned().collect();
    let known = former.named_columns(&new);
    check_renamed(read.name(), known, &new)?;
    let columns = united(known, &new);
    let mut counts = MergeCounts { former_rows: former.rows, read_rows: read.rows(), ..MergeCounts::default() };
    let gauged = ctx.job.gates_of(read.name()).gauged();
    let mut parts = MergedParts::new(ctx, read.name(), &columns, &gauged, read.next_number())
        .without(PARENT_ROW)
        .compacting(former.parts, read.rows());
    let keys = decided.keys.as_ref().filter(|_| former.rows > 0);
    let keys = keys.map(|keys| ChildKeys::of(stream, keys, &columns)).transpose()?;
    for part in former.parts {
        let mut changed = Changed::default();
        if let Some(keys) = &keys {
            let is_read = keys.find_gone((ctx, read.name()), part, former.columns, &mut changed, &mut counts).await?;
            counts.parts_unread += u64::from(!is_read);
        }
        parts.add(part, former.columns, &changed).await?;
    }
    let replaced: BTreeSet<u64> = decided.gone.iter().copied().collect();
    for part in read.parts() {
        let mut changed = Changed::default();
        let mut first = 0;
        for batch in read_columns(ctx, read.name(), part, &[PARENT_ROW], read.columns()).await? {
            let batch = batch?;
            changed.gone.extend(rows_of(&batch, &replaced).into_iter().map(|row| first + row));
            first += batch.num_rows();
        }
        counts.known += changed.gone.len() as u64;
        parts.add(part, read.columns(), &changed).await?;
    }
    counts.inserted = counts.read_rows - counts.known;
    let (parts, warnings) = parts.finish(&mut counts).await?;
    Ok(Merged { parts, columns, counts, warnings })
}

/// Rows whose record is no longer there.
fn rows_of(batch: &RecordBatch, replaced: &BTreeSet<u64>) -> Vec<usize> {
    let parents = batch.column(0).as_primitive::<Int64Type>().values().iter();
    let gone =
        parents.enumerate().filter(|(_, parent)| u64::try_from(**parent).is_ok_and(|row| replaced.contains(&row)));
    gone.map(|(row, _)| row).collect()
}

/// The columns by which rows of a list find their record.
struct ChildKeys<'a> {
    stream: &'a str,
    columns: Vec<Column>,
    keys: Keys,
    decided: &'a DecidedKeys,
}

impl<'a> ChildKeys<'a> {
    fn of(stream: &'a Stream, decided: &'a DecidedKeys, known: &[Column]) -> Result<Self, Error> {
        let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
        let mut columns = Vec::with_capacity(stream.key.len());
        for (key, own) in stream.key.iter().zip(&decided.columns) {
            let name = column_name(&[stream.name.clone(), key.clone()]).map_err(wrong)?;
            let known = known.iter().find(|column| column.has_name(&name));
            let known = known.ok_or_else(|| Error::NoKey { stream: stream.name.clone(), column: name })?;
            // Compared in the types of the record's own key.
            columns.push(Column { kind: own.kind, ..known.clone() });
        }
        let keys = Keys::new(columns.clone()).map_err(wrong)?;
        Ok(ChildKeys { stream: &stream.name, columns, keys, decided })
    }

    /// Finds rows of a part whose record came again, or is gone. Returns whether any had to be looked at.
    async fn find_gone(
        &self,
        (ctx, table): (&Context, &str),
        part: &Part,
        from: &[Column],
        changed: &mut Changed,
        counts: &mut MergeCounts,
    ) -> Result<bool, Error> {
        let DecidedKeys { newest, deleted, .. } = self.decided;
        let is_key = |column: &&Column| self.columns.iter().any(|key| key.has_name(&column.name));
        let wanted: Vec<&Column> = from.iter().filter(is_key).collect();
        let columns: Vec<Column> = wanted.iter().map(|column| (*column).clone()).collect();
        let scan = Scan { ctx, table, keys: &self.keys, from, wanted };
        let sought = Sought::these(newest.iter().chain(deleted).map(AsRef::as_ref));
        let look = |first: usize, batch: &RecordBatch| {
            let wrong = |source| Error::Columns { stream: self.stream.to_owned(), source };
            let rows = self.keys.of(batch, &columns).map_err(wrong)?;
            for (row, key) in rows.iter().enumerate() {
                if newest.contains(key.as_ref()) {
                    counts.updated += 1;
                } else if deleted.contains(key.as_ref()) {
                    counts.deleted += 1;
                } else {
                    continue;
                }
                changed.gone.push(first + row);
            }
            Ok(())
        };
        scan.visit(part, &sought, look).await
    }
}
