//! The files of a table after a merge: those in which nothing changes stay as they are, the others are written anew
//! without the rows that are gone.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;

use crate::columns::convert;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::parts::PartWriter;
use crate::engine::pump::stage;
use crate::format::{read_parquet, read_parquet_columns};
use crate::limits::{SMALL_PART_SHARE, SMALL_PARTS_MAX};
use crate::model::column::Column;
use crate::model::deletes::DELETED_AT;
use crate::model::manifest::Part;
use crate::model::report::MergeCounts;
use crate::model::warning::Warning;

/// Rows of one file that do not stay as they are, in ascending order.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Changed {
    /// They are no longer there.
    pub gone: Vec<usize>,
    /// They get the time of the run as the mark that their record is gone.
    pub marked: Vec<usize>,
}

/// Files of one table, in their order.
pub(in crate::engine) struct MergedParts<'a> {
    ctx: &'a Context,
    table: &'a str,
    columns: &'a [Column],
    /// A column that the files of the read have and the table has not.
    dropped: Option<&'a str>,
    /// Smaller files are written anew, so that they become one. Zero = none is.
    small_bytes: u64,
    writer: PartWriter<'a>,
    parts: Vec<Part>,
    kept: u64,
    rewritten: u64,
}

impl<'a> MergedParts<'a> {
    pub(in crate::engine) fn new(
        ctx: &'a Context,
        table: &'a str,
        columns: &'a [Column],
        gauged: &'a [String],
        next_number: u64,
    ) -> Self {
        let (format, part_bytes_max) = (ctx.job.destination.format.clone(), ctx.job.destination.part_bytes_max);
        let writer = PartWriter::new(&ctx.store, table, &ctx.run, format, part_bytes_max, next_number).gauging(gauged);
        MergedParts {
            ctx,
            table,
            columns,
            dropped: None,
            small_bytes: 0,
            writer,
            parts: Vec::new(),
            kept: 0,
            rewritten: 0,
        }
    }

    /// The same, making one file of many small ones where there are too many: every run that reads something new adds
    /// one, and readers open them all.
    pub(in crate::engine) fn compacting(mut self, former: &[Part], read_rows: u64) -> Self {
        let small_bytes = self.ctx.job.destination.part_bytes_max / SMALL_PART_SHARE;
        let is_small = |part: &&Part| part.bytes < small_bytes;
        // A run that read nothing changes nothing.
        if read_rows > 0 && former.iter().filter(is_small).count() >= SMALL_PARTS_MAX {
            self.small_bytes = small_bytes;
        }
        self
    }

    /// The same without a column of the read.
    pub(in crate::engine) fn without(mut self, column: &'a str) -> Self {
        self.dropped = Some(column);
        self
    }

    /// Adds a file with the columns `from`, without the rows that are gone.
    pub(in crate::engine) async fn add(
        &mut self,
        part: &Part,
        from: &[Column],
        changed: &Changed,
    ) -> Result<(), Error> {
        if part.rows == 0 {
            return Ok(());
        }
        let is_unchanged = changed.gone.is_empty() && changed.marked.is_empty() && is_same_file(from, self.columns);
        if is_unchanged && part.bytes >= self.small_bytes {
            self.close().await?;
            self.parts.push(part.clone());
            self.kept += 1;
            return Ok(());
        }
        self.rewritten += 1;
        let kept: Vec<usize> = (0..from.len()).filter(|at| Some(from[*at].name.as_str()) != self.dropped).collect();
        let file: File = self.ctx.store.fetch(part).await?;
        let mut batches = read_parquet(file, from).map_err(|source| unread(self.table, source))?;
        let from: Vec<Column> = kept.iter().map(|at| from[*at].clone()).collect();
        let mut first = 0;
        let (mut gone, mut marked) = (changed.gone.iter().peekable(), changed.marked.iter().peekable());
        while let Some(batch) = tokio::task::block_in_place(|| batches.next()) {
            let batch = batch.map_err(|source| unread(self.table, source))?;
            let mut is_kept = vec![true; batch.num_rows()];
            while let Some(row) = gone.next_if(|row| **row < first + batch.num_rows()) {
                is_kept[row - first] = false;
            }
            let mut has_mark = Vec::new();
            while let Some(row) = marked.next_if(|row| **row < first + batch.num_rows()) {
                has_mark.resize(batch.num_rows(), false);
                has_mark[row - first] = true;
            }
            first += batch.num_rows();
            let closed = tokio::task::block_in_place(|| {
                let is_kept = BooleanArray::from(is_kept);
                let batch = batch
                    .project(&kept)
                    .and_then(|batch| filter_record_batch(&batch, &is_kept))
                    .map_err(|source| crate::columns::Error::Batch { source })
                    .and_then(|batch| convert(&batch, &from, self.columns))
                    .and_then(|batch| self.with_marks(batch, has_mark, &is_kept))
                    .map_err(|source| Error::Columns { stream: self.table.to_owned(), source })?;
                if batch.num_rows() == 0 { Ok(Vec::new()) } else { self.writer.write(&batch, self.columns) }
            })?;
            for file in closed {
                self.parts.push(stage(self.ctx, self.table, file, &self.ctx.job.destination.format).await?);
            }
        }
        Ok(())
    }

    /// All files, whose rows must be those of the counts, and what they do not hold as it was.
    pub(in crate::engine) async fn finish(
        mut self,
        counts: &mut MergeCounts,
    ) -> Result<(Vec<Part>, Vec<Warning>), Error> {
        self.close().await?;
        if self.parts.is_empty() && !self.columns.is_empty() {
            let file = tokio::task::block_in_place(|| self.writer.write_empty(self.columns))?;
            self.parts.push(stage(self.ctx, self.table, file, &self.ctx.job.destination.format).await?);
        }
        (counts.parts_kept, counts.parts_rewritten) = (self.kept, self.rewritten);
        let former = counts.former_rows - counts.updated - counts.deleted;
        let rows = former + counts.read_rows - counts.repeated - counts.known;
        let written = self.parts.iter().map(|part| part.rows).sum();
        if rows != written {
            return Err(Error::RowsDiffer { stream: self.table.to_owned(), rows, written });
        }
        Ok((self.parts, self.writer.warnings))
    }

    /// The rows with their marks; `has_mark` is of the rows before they were filtered, empty = none has one.
    fn with_marks(
        &self,
        batch: RecordBatch,
        has_mark: Vec<bool>,
        is_kept: &BooleanArray,
    ) -> Result<RecordBatch, crate::columns::Error> {
        if has_mark.is_empty() {
            return Ok(batch);
        }
        let wrong = |source| crate::columns::Error::Batch { source };
        let has_mark = filter(&BooleanArray::from(has_mark), is_kept).map_err(wrong)?;
        let at = self.columns.iter().position(|column| column.has_name(DELETED_AT));
        let at = at.expect("a table whose rows are marked has the column of the mark");
        let former = batch.column(at).as_primitive::<TimestampMicrosecondType>();
        let now = self.ctx.started_at.timestamp_micros();
        let marks = former.iter().zip(has_mark.as_boolean().values());
        let marks: TimestampMicrosecondArray =
            marks.map(|(former, has_mark)| if has_mark { Some(now) } else { former }).collect();
        let mut arrays = batch.columns().to_vec();
        arrays[at] = Arc::new(marks);
        RecordBatch::try_new(batch.schema(), arrays).map_err(wrong)
    }

    async fn close(&mut self) -> Result<(), Error> {
        if let Some(file) = tokio::task::block_in_place(|| self.writer.close())? {
            self.parts.push(stage(self.ctx, self.table, file, &self.ctx.job.destination.format).await?);
        }
        Ok(())
    }
}

/// Whether files of both hold the same: what a column is called, and how it is stored. Where its values came from plays
/// no part.
fn is_same_file(one: &[Column], other: &[Column]) -> bool {
    let stored = |column: &Column| (column.name.clone(), column.kind);
    one.iter().map(stored).eq(other.iter().map(stored))
}

/// Some columns of a part that was written with `columns`, in the order in which the file has them, batch by batch.
/// Names are found without regard to case.
pub(in crate::engine) async fn read_columns(
    ctx: &Context,
    table: &str,
    part: &Part,
    names: &[&str],
    columns: &[Column],
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>>, Error> {
    let file = ctx.store.fetch(part).await?;
    let is_wanted = |column: &&Column| names.iter().any(|name| column.has_name(name));
    let names: Vec<&str> = columns.iter().filter(is_wanted).map(|column| column.name.as_str()).collect();
    let batches = tokio::task::block_in_place(|| read_parquet_columns(file, &names, columns));
    let mut batches = batches.map_err(|source| unread(table, source))?;
    let next = move || tokio::task::block_in_place(|| batches.next());
    Ok(std::iter::from_fn(next).map(|batch| batch.map_err(|source| unread(table, source))))
}

fn unread(table: &str, source: crate::format::Error) -> Error {
    Error::Format { stream: table.to_owned(), doing: "rereading", source }
}

/// Refuses a field whose column has another name than before: its values would stand in two columns.
pub(in crate::engine) fn check_renamed(table: &str, former: &[Column], read: &[Column]) -> Result<(), Error> {
    for old in former.iter().filter(|old| !read.iter().any(|new| new.has_name(&old.name))) {
        if let Some(new) =
            read.iter().find(|new| new.path == old.path && !former.iter().any(|old| old.has_name(&new.name)))
        {
            let (table, was, now) = (table.to_owned(), old.name.clone(), new.name.clone());
            return Err(Error::RenamedColumn { table, was, now });
        }
    }
    Ok(())
}

/// The columns of both: the former ones first, in the types of the read, which knew them; then what is new.
pub(in crate::engine) fn united(former: &[Column], read: &[Column]) -> Vec<Column> {
    let known = former.iter().map(|old| read.iter().find(|new| new.has_name(&old.name)).unwrap_or(old));
    let new = read.iter().filter(|new| !former.iter().any(|old| old.has_name(&new.name)));
    known.chain(new).cloned().collect()
}
