//! What an incremental read adds to a table: rows behind those that are there, or in the place of those with the same
//! key; and which rows go because their record is gone. Files in which nothing changes stay as they are, and those that
//! can hold none of the keys are not even read; memory grows with the keys of the new and the deleted rows alone.

pub(super) mod child;
pub(super) mod deciding;
pub(super) mod deletes;
pub(super) mod key_sweep;
pub(super) mod parts;
pub(super) mod touched;

use std::collections::HashSet;

use arrow::array::RecordBatch;

use self::deciding::{Decided, DecidedKeys, Deciding, Newest, Share, Updated, is_marked, marks_of};
use self::deletes::{Deletions, Told, of_feed, of_tombstones};
use self::key_sweep::{keys_there, passes_of};
use self::parts::{Changed, MergedParts, check_renamed, united};
use self::touched::{Scan, Sought};
use super::context::Context;
use super::error::Error;
use super::seal::SealedTable;
use super::watch::{cursor_column, cursor_values};
use crate::columns::Keys;
use crate::model::column::Column;
use crate::model::deletes::{DELETED_AT, DeletedRows, DeletesTold, Sweep};
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

    /// The columns under whose names rows were written, if there are any.
    pub(super) fn named_columns(&self, read: &[Column]) -> &'a [Column] {
        // A read without records knows no column: those that are remembered stay.
        if self.parts.is_empty() && !read.is_empty() { &[] } else { self.columns }
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
    told: Told<'a>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        stream: &'a Stream,
        mode: WriteMode,
        former: Former<'_>,
        read: &SealedTable,
        told: Told<'a>,
    ) -> Result<Self, Error> {
        let known = former.named_columns(read.columns());
        check_renamed(read.name(), known, read.columns())?;
        let columns = united(known, read.columns());
        let named = |name: &str| columns.iter().find(|column| column.has_name(name)).cloned();
        let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
        // A read without records knows no column, and changes nothing but by what is gone.
        let is_touched = read.rows() > 0 || (former.rows > 0 && told.is_something());
        let keys = if stream.key.is_empty() || !is_touched {
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
        Ok(Merge { ctx, stream, mode, columns, keys, cursor, told })
    }

    /// The table with the new rows in it.
    pub(super) async fn merge(self, former: Former<'_>, read: &SealedTable) -> Result<(Merged, Decided), Error> {
        let mut counts = MergeCounts { former_rows: former.rows, read_rows: read.rows(), ..MergeCounts::default() };
        let mut deciding = Deciding::new(read.parts().len(), former.parts.len());
        let mut decided = Decided { gone: Vec::new(), keys: None };
        counts.inserted = read.rows();
        if let Some(keys) = &self.keys {
            deciding.deletions = self.deletions(keys).await?;
            counts.deletions = deciding.deletions.len() as u64;
            // Where there is no former row nobody asks for all keys at once.
            let mut share = Some(if former.rows == 0 { Share::of(read.rows()) } else { Share::whole() });
            counts.inserted = 0;
            while let Some(now) = share {
                counts.inserted += deciding.newest.len() as u64;
                deciding.mark_new();
                deciding.newest.clear();
                self.find_newest(keys, read, &now, &mut deciding).await?;
                self.settle(read, &mut deciding);
                share = now.next();
            }
            counts.repeated = deciding.rows_gone();
            let updated = self.meet(keys, former, &mut deciding).await?;
            if let Some(sweep) = self.sweep() {
                self.sweep_former(keys, sweep, former, &mut deciding).await?;
            }
            counts.known = deciding.rows_gone() - counts.repeated;
            counts.updated = updated.rows;
            counts.inserted += deciding.newest.len() as u64 - updated.keys;
            deciding.mark_new();
            let newest = std::mem::take(&mut deciding.newest).into_keys().collect();
            let deleted = std::mem::take(&mut deciding.deleted);
            decided.keys = Some(DecidedKeys { columns: keys.columns().to_vec(), newest, deleted });
        }
        deciding.sort();
        let sum = |of: &[Changed], count: fn(&Changed) -> usize| of.iter().map(count).sum::<usize>() as u64;
        counts.deleted = sum(&deciding.former, |changed| changed.gone.len()) - counts.updated;
        counts.marked =
            sum(&deciding.former, |changed| changed.marked.len()) + sum(&deciding.new, |changed| changed.marked.len());
        let mut first = 0;
        for (part, changed) in read.parts().iter().zip(&deciding.new) {
            decided.gone.extend(changed.gone.iter().map(|row| first + *row as u64));
            first += part.rows;
        }
        counts.parts_unread = deciding.unread.len() as u64;
        let gauged = self.ctx.job.gates_of(read.name()).gauged();
        let mut parts = MergedParts::new(self.ctx, read.name(), &self.columns, &gauged, read.next_number())
            .compacting(former.parts, read.rows());
        let former = former.parts.iter().zip(&deciding.former).map(|(part, changed)| (part, former.columns, changed));
        let new = read.parts().iter().zip(&deciding.new).map(|(part, changed)| (part, read.columns(), changed));
        for (part, from, changed) in former.chain(new) {
            parts.add(part, from, changed).await?;
        }
        let (parts, warnings) = parts.finish(&mut counts).await?;
        Ok((Merged { parts, columns: self.columns, counts, warnings }, decided))
    }

    /// What was told of records that are gone, by key.
    async fn deletions(&self, keys: &Keys) -> Result<Deletions, Error> {
        match self.stream.deletes.as_ref().map(|deletes| &deletes.told) {
            Some(DeletesTold::Tombstone(_)) => of_tombstones(self.stream, keys, self.told.gone),
            Some(DeletesTold::Feed(feed)) => {
                let listed = self.told.listed.expect("a stream with a feed waits for it");
                of_feed(self.ctx, self.stream, feed, listed, keys).await
            }
            Some(DeletesTold::Sweep(_)) | None => Ok(Deletions::new()),
        }
    }

    fn sweep(&self) -> Option<&Sweep> {
        match self.stream.deletes.as_ref().map(|deletes| &deletes.told) {
            Some(DeletesTold::Sweep(sweep)) => Some(sweep),
            Some(DeletesTold::Tombstone(_) | DeletesTold::Feed(_)) | None => None,
        }
    }

    fn rows_deleted(&self) -> DeletedRows {
        self.stream.deletes.as_ref().map_or(DeletedRows::Remove, |deletes| deletes.rows)
    }

    /// The newest row of every key of the read; the others of it are gone.
    async fn find_newest(
        &self,
        keys: &Keys,
        read: &SealedTable,
        share: &Share,
        deciding: &mut Deciding,
    ) -> Result<(), Error> {
        let Deciding { newest, new, .. } = deciding;
        let scan = self.scan(keys, read.columns());
        for (part, of) in read.parts().iter().enumerate() {
            let look = |first: usize, batch: &RecordBatch| {
                let (rows, cursors) = self.keys_of(keys, batch, &scan.wanted)?;
                for (at, key) in rows.iter().enumerate().filter(|(_, key)| share.holds(key.as_ref())) {
                    let cursor = cursors.get(at).copied().flatten();
                    let row = Newest { part, row: first + at, cursor, is_marked: false };
                    match newest.get_mut(key.as_ref()) {
                        None => {
                            newest.insert(key.as_ref().into(), row);
                        }
                        // Of the same cursor, the later one.
                        Some(known) if row.cursor >= known.cursor => {
                            new[known.part].gone.push(known.row);
                            *known = row;
                        }
                        Some(_) => new[part].gone.push(row.row),
                    }
                }
                Ok(())
            };
            scan.visit(of, &Sought::All, look).await?;
        }
        Ok(())
    }

    /// Compares the rows of the read with what was told in the same run of the same keys; the later of both holds.
    fn settle(&self, read: &SealedTable, deciding: &mut Deciding) {
        let firsts: Vec<u64> =
            read.parts().iter().scan(0, |first, part| Some(std::mem::replace(first, *first + part.rows))).collect();
        let Deciding { newest, deletions, new, .. } = deciding;
        let rows_deleted = self.rows_deleted();
        deletions.retain(|key, deletion| {
            let Some(row) = newest.get_mut(key) else { return true };
            if !deletion.is_after_read(firsts[row.part] + row.row as u64, row.cursor) {
                return false;
            }
            match rows_deleted {
                DeletedRows::Mark => row.is_marked = true,
                DeletedRows::Remove => {
                    new[row.part].gone.push(row.row);
                    newest.remove(key);
                }
            }
            true
        });
    }

    /// Compares the former rows with the new ones and with what is gone. Returns what is in the place of others now.
    async fn meet(&self, keys: &Keys, former: Former<'_>, deciding: &mut Deciding) -> Result<Updated, Error> {
        if former.rows == 0 {
            return Ok(Updated::default());
        }
        let touched: Vec<Box<[u8]>> = deciding.newest.keys().chain(deciding.deletions.keys()).cloned().collect();
        let sought = Sought::these(touched.iter().map(AsRef::as_ref));
        let scan = self.scan(keys, former.columns);
        // A table that was replaced before may have a key more than once.
        let mut met = HashSet::new();
        let mut updated = Updated::default();
        for (part, of) in former.parts.iter().enumerate() {
            let is_read = scan.visit(of, &sought, |first, batch| {
                let (rows, cursors) = self.keys_of(keys, batch, &scan.wanted)?;
                let marks = marks_of(batch, &scan.wanted);
                for (at, key) in rows.iter().enumerate() {
                    let cursor = cursors.get(at).copied().flatten();
                    if let Some(new) = deciding.newest.get(key.as_ref()).copied() {
                        let is_newer = match self.mode {
                            WriteMode::Append => false,
                            WriteMode::Merge | WriteMode::Replace => new.cursor >= cursor,
                        };
                        if is_newer {
                            deciding.former[part].gone.push(first + at);
                            met.insert((new.part, new.row));
                            updated.rows += 1;
                            continue;
                        }
                        deciding.new[new.part].gone.push(new.row);
                        deciding.newest.remove(key.as_ref());
                        deciding.outdone.insert(key.as_ref().into());
                    }
                    let deletion = deciding.deletions.get(key.as_ref());
                    if deletion.is_some_and(|deletion| deletion.is_after_former(cursor)) {
                        self.delete(deciding, (part, first + at), key.as_ref(), is_marked(marks, at));
                    }
                }
                Ok(())
            });
            if !is_read.await? {
                deciding.unread.insert(part);
            }
        }
        updated.keys = met.len() as u64;
        Ok(updated)
    }

    /// Former rows whose key no sweep named. What came in this read is there, whatever the sweep before it said.
    async fn sweep_former(
        &self,
        keys: &Keys,
        sweep: &Sweep,
        former: Former<'_>,
        deciding: &mut Deciding,
    ) -> Result<(), Error> {
        let listed = self.told.listed.expect("a stream with a sweep waits for it");
        if listed.rows() == 0 && former.rows > 0 && !sweep.may_be_empty {
            return Err(Error::EmptySweep { stream: self.stream.name.clone(), sweep: listed.name.clone() });
        }
        let scan = self.scan(keys, former.columns);
        for pass in 0..passes_of(listed) {
            let there = keys_there(self.ctx, sweep, listed, keys, pass).await?;
            for (part, of) in former.parts.iter().enumerate() {
                let is_read = scan.visit(of, &Sought::All, |first, batch| {
                    let (rows, _) = self.keys_of(keys, batch, &scan.wanted)?;
                    let marks = marks_of(batch, &scan.wanted);
                    for (at, key) in rows.iter().enumerate() {
                        let is_read =
                            || deciding.newest.contains_key(key.as_ref()) || deciding.outdone.contains(key.as_ref());
                        if there.misses(key.as_ref()) && !is_read() {
                            self.delete(deciding, (part, first + at), key.as_ref(), is_marked(marks, at));
                        }
                    }
                    Ok(())
                });
                if is_read.await? {
                    deciding.unread.remove(&part);
                }
            }
        }
        Ok(())
    }

    /// A former row goes, or gets its mark; one that has it keeps it.
    fn delete(&self, deciding: &mut Deciding, (part, row): (usize, usize), key: &[u8], is_marked: bool) {
        match self.rows_deleted() {
            DeletedRows::Remove => {
                deciding.former[part].gone.push(row);
                deciding.deleted.insert(key.into());
            }
            DeletedRows::Mark if is_marked => {}
            DeletedRows::Mark => deciding.former[part].marked.push(row),
        }
    }

    fn scan<'s>(&'s self, keys: &'s Keys, from: &'s [Column]) -> Scan<'s> {
        Scan { ctx: self.ctx, table: &self.stream.name, keys, from, wanted: self.wanted(from).collect() }
    }

    /// The columns of the key, of the cursor, and of the mark.
    fn wanted<'c>(&self, columns: &'c [Column]) -> impl Iterator<Item = &'c Column> {
        let mut names: Vec<String> = self.stream.key.clone();
        names.extend(self.cursor.iter().map(|cursor| cursor.name.clone()));
        names.extend((self.rows_deleted() == DeletedRows::Mark).then(|| DELETED_AT.to_owned()));
        columns.iter().filter(move |column| names.iter().any(|name| column.has_name(name)))
    }

    fn keys_of(
        &self,
        keys: &Keys,
        batch: &RecordBatch,
        columns: &[&Column],
    ) -> Result<(arrow::row::Rows, Vec<Option<CursorValue>>), Error> {
        let columns: Vec<Column> = columns.iter().map(|column| (*column).clone()).collect();
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
