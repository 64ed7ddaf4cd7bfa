//! A table is sealed when every slice was walked to its end and all its files have the same columns. Files from before
//! a column appeared or widened are rewritten here; they always stand at the front, because columns only grow.

use std::fs::File;

use super::context::Context;
use super::error::Error;
use super::parts::{ClosedFile, PartWriter};
use super::pump::{Pumped, StagedAt, stage};
use crate::columns::convert;
use crate::format::read_parquet;
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::manifest::Part;
use crate::model::plan::Stream;
use crate::model::warning::{Warning, add_warnings};
use crate::paging::walk::WalkEnd;

/// All files of a table, with one schema. Made from walks that ended, by `seal` alone.
pub(super) struct SealedTable {
    parts: Vec<Part>,
    columns: Vec<Column>,
    ends: Vec<WalkEnd>,
    warnings: Vec<Warning>,
    next_number: u64,
}

impl SealedTable {
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How every slice's walk ended.
    pub(super) fn ends(&self) -> &[WalkEnd] {
        &self.ends
    }

    /// Values that are not as they came.
    pub(super) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Number of the next file of this stream and run.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn pages(&self) -> u64 {
        self.ends.iter().map(WalkEnd::pages).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// Brings all files of a stream to its final columns and format.
pub(super) async fn seal(ctx: &Context, stream: &Stream, pumped: Pumped) -> Result<SealedTable, Error> {
    let format = &ctx.job.destination.format;
    let mut writer = PartWriter::new(
        &ctx.store,
        &stream.name,
        &ctx.run,
        format.clone(),
        ctx.job.destination.part_bytes_max,
        pumped.next_number,
    );
    let mut parts = Vec::new();
    for staged in pumped.files {
        let is_final = staged.columns == pumped.columns;
        match staged.place {
            StagedAt::Store(part) if is_final => {
                stage_all(ctx, stream, format, &mut parts, close(&mut writer)?).await?;
                parts.push(part);
            }
            place => {
                let file = open(ctx, stream, &place).await?;
                rewrite(ctx, stream, format, file, (&staged.columns, &pumped.columns), &mut writer, &mut parts).await?;
            }
        }
    }
    stage_all(ctx, stream, format, &mut parts, close(&mut writer)?).await?;
    let mut warnings = pumped.warnings;
    add_warnings(&mut warnings, std::mem::take(&mut writer.warnings));
    let next_number = writer.next_number;
    let sealed = SealedTable { parts, columns: pumped.columns, ends: pumped.ends, warnings, next_number };
    let rows = sealed.ends.iter().map(WalkEnd::records).sum();
    if sealed.rows() != rows {
        let written = sealed.rows();
        return Err(Error::RowsDiffer { stream: stream.name.clone(), rows, written });
    }
    Ok(sealed)
}

async fn open(ctx: &Context, stream: &Stream, place: &StagedAt) -> Result<File, Error> {
    match place {
        StagedAt::Store(part) => Ok(ctx.store.fetch(part).await?),
        StagedAt::Spool(spooled) => {
            spooled.reopen().map_err(|source| Error::Spool { stream: stream.name.clone(), source })
        }
    }
}

async fn rewrite(
    ctx: &Context,
    stream: &Stream,
    format: &Format,
    file: File,
    (from, to): (&[Column], &[Column]),
    writer: &mut PartWriter<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let unread = |source| Error::Format { stream: stream.name.clone(), doing: "rereading", source };
    let mut batches = read_parquet(file, from).map_err(unread)?;
    while let Some(batch) = tokio::task::block_in_place(|| batches.next()) {
        let closed = tokio::task::block_in_place(|| {
            let batch = convert(&batch.map_err(unread)?, from, to)
                .map_err(|source| Error::Columns { stream: stream.name.clone(), source })?;
            writer.write(&batch, to)
        })?;
        stage_all(ctx, stream, format, parts, closed).await?;
    }
    Ok(())
}

fn close(writer: &mut PartWriter<'_>) -> Result<Vec<ClosedFile>, Error> {
    Ok(tokio::task::block_in_place(|| writer.close())?.into_iter().collect())
}

async fn stage_all(
    ctx: &Context,
    stream: &Stream,
    format: &Format,
    parts: &mut Vec<Part>,
    closed: Vec<ClosedFile>,
) -> Result<(), Error> {
    for file in closed {
        parts.push(stage(ctx, &stream.name, file, format).await?);
    }
    Ok(())
}
