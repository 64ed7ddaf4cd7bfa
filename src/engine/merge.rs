//! What an incremental read adds to a table: rows behind those that are there, or in the place of those with the same
//! key. Files in which nothing changes stay as they are; memory grows with the keys of the new rows alone.

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;

use super::context::Context;
use super::error::Error;
use super::merged_parts::{MergedParts, check_renamed, read_columns, united};
use super::seal::SealedTable;
use super::watch::{cursor_column, cursor_values};
use crate::columns::Keys;
use crate::model::column::Column;
use crate::model::destination::{Format, Profile, WideDecimals};
use crate::model::incremental::CursorValue;
use crate::model::manifest::{Part, TableManifest};
use crate::model::plan::{Stream, WriteMode};
use crate::model::report::MergeCounts;
use crate::model::warning::Warning;

/// A table with the new rows in it.
pub(super) struct Merged {
    pub parts: Vec<Part>,
    pub columns: Vec<Column>,
    pub counts: MergeCounts,
    /// Values that the rewritten files do not hold as they were.
    pub warnings: Vec<Warning>,
}

/// The rows that a read meets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Former<'a> {
    pub columns: &'a [Column],
    pub parts: &'a [Part],
    pub rows: u64,
}

/// Refuses rows of another form: what one profile changed in its values would stand unseen beside what another keeps.
pub(super) fn check_form(ctx: &Context, stream: &Stream, former: Option<&TableManifest>) -> Result<(), Error> {
    let destination = &ctx.job.destination;
    match former {
        Some(former) if stream.write != WriteMode::Replace && !former.is_of_form(&destination.format) => {
            let former = form_words(&former.format, former.profile, former.wide_decimals);
            let wide_decimals = match &destination.format {
                Format::Parquet(form) => form.wide_decimals,
                Format::Csv(_) => WideDecimals::Exact,
            };
            let now = form_words(destination.format.extension(), destination.profile, wide_decimals);
            Err(Error::OtherForm { stream: stream.name.clone(), former, now })
        }
        Some(_) | None => Ok(()),
    }
}

/// A form in the words of the job file.
fn form_words(format: &str, profile: Profile, wide_decimals: WideDecimals) -> String {
    let decimals = if wide_decimals.is_exact() { "" } else { ", wide_decimals: float" };
    format!("format: {format}, profile: {profile}{decimals}")
}

impl<'a> Former<'a> {
    /// Those of the last snapshot; none where there is none.
    pub(super) fn of(table: Option<&'a TableManifest>) -> Self {
        table.map_or_else(Former::default, |table| Former {
            columns: &table.columns,
            parts: &table.parts,
            rows: table.rows,
        })
    }
}

/// Brings a read and the former rows of its table together.
pub(super) struct Merge<'a> {
    ctx: &'a Context,
    stream: &'a Stream,
    mode: WriteMode,
    /// The former columns first, in their order, then new ones.
    columns: Vec<Column>,
    keys: Option<Keys>,
    /// Absent = the order of arrival decides alone.
    cursor: Option<Column>,
}

/// A row of the new read: the newest of its key.
#[derive(Debug, Clone, Copy)]
struct Newest {
    part: usize,
    row: usize,
    cursor: Option<CursorValue>,
}

/// Rows of one part that are no longer there, in ascending order.
type Gone = Vec<usize>;

/// What a merge decided, for the tables of the stream's lists.
pub(super) struct Decided {
    /// Rows of the read that are no longer there, counted over all its parts; in ascending order.
    pub gone: Vec<u64>,
    /// Keys whose rows are those of the read. Absent = the read had no row, or the stream has no key.
    pub keys: Option<DecidedKeys>,
}

pub(super) struct DecidedKeys {
    /// The columns of the key, in the types that the keys were made with.
    pub columns: Vec<Column>,
    pub newest: HashSet<Box<[u8]>>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        stream: &'a Stream,
        mode: WriteMode,
        former: Former<'_>,
        read: &SealedTable,
    ) -> Result<Self, Error> {
        check_renamed(read.name(), former.columns, read.columns())?;
        let columns = united(former.columns, read.columns());
        let named = |name: &str| columns.iter().find(|column| column.has_name(name)).cloned();
        let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
        // A read without records knows no column, and changes nothing.
        let keys = if stream.key.is_empty() || read.rows() == 0 {
            None
        } else {
            let mut key = Vec::with_capacity(stream.key.len());
            for name in &stream.key {
                let column =
                    named(name).ok_or_else(|| Error::NoKey { stream: stream.name.clone(), column: name.clone() })?;
                if ctx.job.destination.format.rounds(column.kind) {
                    return Err(Error::RoundedKey {
                        stream: stream.name.clone(),
                        column: column.name,
                        kind: column.kind,
                    });
                }
                key.push(column);
            }
            Some(Keys::new(key).map_err(wrong)?)
        };
        let cursor = stream.incremental.as_ref().and_then(|plan| cursor_column(plan, &columns));
        let cursor = cursor.map(|at| columns[at].clone());
        Ok(Merge { ctx, stream, mode, columns, keys, cursor })
    }

    /// The table with the new rows in it.
    pub(super) async fn merge(self, former: Former<'_>, read: &SealedTable) -> Result<(Merged, Decided), Error> {
        let mut counts = MergeCounts { former_rows: former.rows, read_rows: read.rows(), ..MergeCounts::default() };
        let (mut gone_new, mut gone_former) =
            (vec![Gone::new(); read.parts().len()], vec![Gone::new(); former.parts.len()]);
        let mut decided = Decided { gone: Vec::new(), keys: None };
        let mut inserted = read.rows();
        if let Some(keys) = &self.keys {
            let mut newest = self.newest(keys, read, &mut gone_new).await?;
            counts.repeated = gone_new.iter().map(|gone| gone.len() as u64).sum();
            let met = self.meet(keys, former, &mut newest, &mut gone_former, &mut gone_new).await?;
            inserted = newest.len() as u64 - met;
            let newest = newest.into_keys().collect();
            decided.keys = Some(DecidedKeys { columns: keys.columns().to_vec(), newest });
        }
        let mut first = 0;
        for (part, gone) in read.parts().iter().zip(&gone_new) {
            decided.gone.extend(gone.iter().map(|row| first + *row as u64));
            first += part.rows;
        }
        let sum = |gone: &[Gone]| gone.iter().map(|gone| gone.len() as u64).sum::<u64>();
        counts.updated = sum(&gone_former);
        counts.known = sum(&gone_new) - counts.repeated;
        counts.inserted = inserted;
        let gauged = self.ctx.job.gates_of(read.name()).gauged();
        let mut parts = MergedParts::new(self.ctx, read.name(), &self.columns, &gauged, read.next_number());
        let former = former.parts.iter().zip(&gone_former).map(|(part, gone)| (part, former.columns, gone));
        let new = read.parts().iter().zip(&gone_new).map(|(part, gone)| (part, read.columns(), gone));
        for (part, from, gone) in former.chain(new) {
            parts.add(part, from, gone).await?;
        }
        let (parts, warnings) = parts.finish(&mut counts).await?;
        Ok((Merged { parts, columns: self.columns, counts, warnings }, decided))
    }

    /// The newest row of every key of the read; the others of it are gone.
    async fn newest(
        &self,
        keys: &Keys,
        read: &SealedTable,
        gone: &mut [Gone],
    ) -> Result<HashMap<Box<[u8]>, Newest>, Error> {
        let mut newest: HashMap<Box<[u8]>, Newest> = HashMap::new();
        for (part, of) in read.parts().iter().enumerate() {
            let mut first = 0;
            for batch in self.key_batches(of, read.columns()).await? {
                let (rows, cursors) = self.keys_of(keys, &batch, read.columns())?;
                for (at, key) in rows.iter().enumerate() {
                    let row = Newest { part, row: first + at, cursor: cursors.get(at).copied().flatten() };
                    match newest.get_mut(key.as_ref()) {
                        None => {
                            newest.insert(key.as_ref().into(), row);
                        }
                        // Of the same cursor, the later one.
                        Some(known) if row.cursor >= known.cursor => {
                            gone[known.part].push(known.row);
                            *known = row;
                        }
                        Some(_) => gone[part].push(row.row),
                    }
                }
                first += batch.num_rows();
            }
        }
        gone.iter_mut().for_each(|gone| gone.sort_unstable());
        Ok(newest)
    }

    /// Compares the former rows with the new ones; one of each pair is gone. Returns how many keys of the new rows that
    /// remain were there before.
    async fn meet(
        &self,
        keys: &Keys,
        former: Former<'_>,
        newest: &mut HashMap<Box<[u8]>, Newest>,
        gone_former: &mut [Gone],
        gone_new: &mut [Gone],
    ) -> Result<u64, Error> {
        // A table that was replaced before may have a key more than once.
        let mut met = HashSet::new();
        for (part, of) in former.parts.iter().enumerate() {
            let mut first = 0;
            for batch in self.key_batches(of, former.columns).await? {
                let (rows, cursors) = self.keys_of(keys, &batch, former.columns)?;
                for (at, key) in rows.iter().enumerate() {
                    let Some(new) = newest.get(key.as_ref()).copied() else { continue };
                    let is_newer = match self.mode {
                        WriteMode::Append => false,
                        WriteMode::Merge | WriteMode::Replace => new.cursor >= cursors.get(at).copied().flatten(),
                    };
                    if is_newer {
                        gone_former[part].push(first + at);
                        met.insert((new.part, new.row));
                    } else {
                        gone_new[new.part].push(new.row);
                        newest.remove(key.as_ref());
                    }
                }
                first += batch.num_rows();
            }
        }
        gone_new.iter_mut().for_each(|gone| gone.sort_unstable());
        Ok(met.len() as u64)
    }

    /// The key and cursor columns of a part.
    async fn key_batches(&self, part: &Part, columns: &[Column]) -> Result<Vec<RecordBatch>, Error> {
        let wanted: Vec<&str> = self.key_columns(columns).map(|column| column.name.as_str()).collect();
        read_columns(self.ctx, &self.stream.name, part, &wanted, columns).await
    }

    fn key_columns<'c>(&self, columns: &'c [Column]) -> impl Iterator<Item = &'c Column> {
        let mut names: Vec<String> = self.stream.key.clone();
        names.extend(self.cursor.iter().map(|cursor| cursor.name.clone()));
        columns.iter().filter(move |column| names.iter().any(|name| column.has_name(name)))
    }

    fn keys_of(
        &self,
        keys: &Keys,
        batch: &RecordBatch,
        columns: &[Column],
    ) -> Result<(arrow::row::Rows, Vec<Option<CursorValue>>), Error> {
        let columns: Vec<Column> = self.key_columns(columns).cloned().collect();
        let wrong = |source| Error::Columns { stream: self.stream.name.clone(), source };
        let rows = keys.of(batch, &columns).map_err(wrong)?;
        let cursors = match (&self.stream.incremental, &self.cursor) {
            (Some(incremental), Some(cursor)) => {
                let at = columns.iter().position(|column| column.has_name(&cursor.name));
                at.map(|at| cursor_values(&incremental.kind, batch.column(at).as_ref(), columns[at].kind))
                    .unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Ok((rows, cursors))
    }
}
