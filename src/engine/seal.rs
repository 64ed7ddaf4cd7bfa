//! A table is sealed when every slice was walked to its end and all its files have the same columns. Files from before
//! a column appeared or widened are rewritten here; they always stand at the front, because columns only grow.

use std::fs::File;

use super::context::Context;
use super::error::Error;
use super::parts::{ClosedFile, PartWriter};
use super::pump::{PumpedTable, StagedAt, stage};
use crate::columns::convert_stepwise;
use crate::format::read_parquet;
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::manifest::Part;
use crate::model::plan::WriteMode;
use crate::model::warning::Warning;
use crate::paging::walk::WalkEnd;

/// All files of a table, with one schema. Made from walks that ended, by `seal` alone.
pub(super) struct SealedTable {
    name: String,
    parts: Vec<Part>,
    columns: Vec<Column>,
    warnings: Vec<Warning>,
    next_number: u64,
}

impl SealedTable {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Values that the files written here do not hold as they were.
    pub(super) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Number of the next file of this table and run.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// The tables of a stream, its own first, all of whose slices were walked to their ends.
pub(super) struct SealedStream {
    pub tables: Vec<SealedTable>,
    /// How every slice's walk ended.
    pub ends: Vec<WalkEnd>,
}

impl SealedStream {
    /// Records that were walked.
    pub(super) fn records(&self) -> u64 {
        self.ends.iter().map(WalkEnd::records).sum()
    }

    pub(super) fn pages(&self) -> u64 {
        self.ends.iter().map(WalkEnd::pages).sum()
    }
}

/// Brings all files of a stream to its final columns and format. Of its records, `no_rows` became none. A table without
/// rows gets a file all the same, which tells its columns; where the former rows stay they have it already.
pub(super) async fn seal(
    ctx: &Context,
    write: WriteMode,
    tables: Vec<PumpedTable>,
    ends: Vec<WalkEnd>,
    no_rows: u64,
) -> Result<SealedStream, Error> {
    let mut sealed = SealedStream { tables: Vec::with_capacity(tables.len()), ends };
    for table in tables {
        sealed.tables.push(seal_table(ctx, write, table).await?);
    }
    let own = &sealed.tables[0];
    let rows = sealed.records() - no_rows;
    if own.rows() != rows {
        return Err(Error::RowsDiffer { stream: own.name.clone(), rows, written: own.rows() });
    }
    Ok(sealed)
}

async fn seal_table(ctx: &Context, write: WriteMode, pumped: PumpedTable) -> Result<SealedTable, Error> {
    let PumpedTable { files, decoded, next_number } = pumped;
    let (name, columns) = (decoded.name, decoded.columns);
    let format = &ctx.job.destination.format;
    let (gauged, part_bytes_max) = (ctx.job.gates_of(&name).gauged(), ctx.job.destination.part_bytes_max);
    let writer = PartWriter::new(&ctx.store, &name, &ctx.run, format.clone(), part_bytes_max, next_number);
    let mut writer = writer.gauging(&gauged);
    let mut parts = Vec::new();
    for staged in files {
        let is_final = staged.columns == columns;
        match staged.place {
            StagedAt::Store(part) if is_final => {
                stage_all(ctx, &name, format, &mut parts, close(&mut writer)?).await?;
                parts.push(part);
            }
            place => {
                let file = open(ctx, &name, &place).await?;
                let turn = Turn { from: &staged.columns, to: &columns, once_datetimes: &decoded.once_datetimes };
                rewrite(ctx, format, file, turn, &mut writer, &mut parts).await?;
            }
        }
    }
    stage_all(ctx, &name, format, &mut parts, close(&mut writer)?).await?;
    if parts.is_empty() && write == WriteMode::Replace && !columns.is_empty() {
        let file = tokio::task::block_in_place(|| writer.write_empty(&columns))?;
        parts.push(stage(ctx, &name, file, format).await?);
    }
    let PartWriter { next_number, warnings, .. } = writer;
    let sealed = SealedTable { name: name.clone(), parts, columns, warnings, next_number };
    if sealed.rows() != decoded.rows {
        return Err(Error::RowsDiffer { stream: name, rows: decoded.rows, written: sealed.rows() });
    }
    Ok(sealed)
}

/// From the columns of a file to those of its table.
struct Turn<'a> {
    from: &'a [Column],
    to: &'a [Column],
    once_datetimes: &'a [String],
}

async fn open(ctx: &Context, table: &str, place: &StagedAt) -> Result<File, Error> {
    match place {
        StagedAt::Store(part) => Ok(ctx.store.fetch(part).await?),
        StagedAt::Spool(spooled) => {
            spooled.reopen().map_err(|source| Error::Spool { stream: table.to_owned(), source })
        }
    }
}

async fn rewrite(
    ctx: &Context,
    format: &Format,
    file: File,
    Turn { from, to, once_datetimes }: Turn<'_>,
    writer: &mut PartWriter<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let table = writer.stream.to_owned();
    let unread = |source| Error::Format { stream: table.clone(), doing: "rereading", source };
    let mut batches = read_parquet(file, from).map_err(unread)?;
    while let Some(batch) = tokio::task::block_in_place(|| batches.next()) {
        let closed = tokio::task::block_in_place(|| {
            let batch = convert_stepwise(&batch.map_err(unread)?, from, to, once_datetimes)
                .map_err(|source| Error::Columns { stream: table.clone(), source })?;
            writer.write(&batch, to)
        })?;
        stage_all(ctx, &table, format, parts, closed).await?;
    }
    Ok(())
}

fn close(writer: &mut PartWriter<'_>) -> Result<Vec<ClosedFile>, Error> {
    Ok(tokio::task::block_in_place(|| writer.close())?.into_iter().collect())
}

async fn stage_all(
    ctx: &Context,
    table: &str,
    format: &Format,
    parts: &mut Vec<Part>,
    closed: Vec<ClosedFile>,
) -> Result<(), Error> {
    for file in closed {
        parts.push(stage(ctx, table, file, format).await?);
    }
    Ok(())
}
