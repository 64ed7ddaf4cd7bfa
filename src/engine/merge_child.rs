//! Rows of a stream's lists after a merge: they go and come with the record that they stood in.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::context::Context;
use super::error::Error;
use super::merge::{Decided, DecidedKeys, Former, Merged};
use super::merged_parts::{MergedParts, check_renamed, read_columns, united};
use super::seal::SealedTable;
use crate::columns::{Keys, PARENT_ROW, column_name};
use crate::model::column::Column;
use crate::model::plan::Stream;
use crate::model::report::MergeCounts;

/// The table with the rows of the read, and the former rows of the records that were not in it.
pub(super) async fn merge_child(
    ctx: &Context,
    stream: &Stream,
    decided: &Decided,
    former: Former<'_>,
    read: &SealedTable,
) -> Result<Merged, Error> {
    let new: Vec<Column> = read.columns().iter().filter(|column| column.name != PARENT_ROW).cloned().collect();
    check_renamed(read.name(), former.columns, &new)?;
    let columns = united(former.columns, &new);
    let mut counts = MergeCounts { former_rows: former.rows, read_rows: read.rows(), ..MergeCounts::default() };
    let gauged = ctx.job.gates_of(read.name()).gauged();
    let mut parts = MergedParts::new(ctx, read.name(), &columns, &gauged, read.next_number()).without(PARENT_ROW);
    let keys = decided.keys.as_ref().map(|keys| ChildKeys::of(stream, keys, &columns)).transpose()?;
    for part in former.parts {
        let mut gone = Vec::new();
        if let Some(keys) = &keys {
            let batches = read_columns(ctx, read.name(), part, &keys.names(), former.columns).await?;
            gone = keys.rows_replaced(&batches, former.columns)?;
        }
        counts.updated += gone.len() as u64;
        parts.add(part, former.columns, &gone).await?;
    }
    let replaced: BTreeSet<u64> = decided.gone.iter().copied().collect();
    for part in read.parts() {
        let batches = read_columns(ctx, read.name(), part, &[PARENT_ROW], read.columns()).await?;
        let gone = rows_of(&batches, &replaced);
        counts.known += gone.len() as u64;
        parts.add(part, read.columns(), &gone).await?;
    }
    counts.inserted = counts.read_rows - counts.known;
    let (parts, warnings) = parts.finish(&mut counts).await?;
    Ok(Merged { parts, columns, counts, warnings })
}

/// Rows whose record is no longer there.
fn rows_of(batches: &[RecordBatch], replaced: &BTreeSet<u64>) -> Vec<usize> {
    let parents = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter());
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

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// Rows of a part whose record came again.
    fn rows_replaced(&self, batches: &[RecordBatch], from: &[Column]) -> Result<Vec<usize>, Error> {
        let is_key = |column: &&Column| self.columns.iter().any(|key| key.has_name(&column.name));
        let from: Vec<Column> = from.iter().filter(is_key).cloned().collect();
        let (mut gone, mut first) = (Vec::new(), 0);
        for batch in batches {
            let wrong = |source| Error::Columns { stream: self.stream.to_owned(), source };
            let rows = self.keys.of(batch, &from).map_err(wrong)?;
            let replaced = rows.iter().enumerate().filter(|(_, key)| self.decided.newest.contains(key.as_ref()));
            gone.extend(replaced.map(|(row, _)| first + row));
            first += batch.num_rows();
        }
        Ok(gone)
    }
}
