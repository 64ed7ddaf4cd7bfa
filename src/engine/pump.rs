//! One slice from the API into files: a reader asks for pages, a writer on a blocking thread turns them into files, a
//! stager puts these into the store. Bounded channels between them keep memory independent of the number of rows.

use arrow::array::RecordBatch;
use tokio::sync::mpsc;

use super::context::Context;
use super::error::Error;
use super::parts::{ClosedFile, PartWriter, verify};
use crate::columns::{Decoder, Options, Warning};
use crate::format::Kind;
use crate::limits::PAGES_QUEUED_MAX;
use crate::model::column::Column;
use crate::model::manifest::Part;
use crate::model::plan::{Format, Stream};
use crate::paging::walk::{Step, Walk, WalkEnd};
use crate::source::{Endpoint, Page};
use crate::store::Spooled;
use crate::telemetry::Event;

/// A slice that was read to its end.
pub(super) struct Pumped {
    pub end: WalkEnd,
    pub files: Vec<StagedFile>,
    /// Columns after the last record; files before it may have fewer or narrower ones.
    pub columns: Vec<Column>,
    pub warnings: Vec<Warning>,
    pub next_number: u64,
}

/// A file of the slice.
pub(super) struct StagedFile {
    pub columns: Vec<Column>,
    pub place: StagedAt,
}

pub(super) enum StagedAt {
    /// In the store under its final name.
    Store(Part),
    /// On this machine as Parquet: CSV is written when the columns are final, because a CSV file cannot be converted
    /// without losing the difference between null and empty.
    Spool(Spooled),
}

/// What the reader hands to the writer. Without an `End` the walk broke off, and what was read is thrown away.
enum Fed {
    Page(u64, Box<Page>),
    End,
}

struct Written {
    columns: Vec<Column>,
    warnings: Vec<Warning>,
    rows: u64,
    next_number: u64,
}

/// Reads a slice to its end.
pub(super) async fn pump_slice(
    ctx: &Context,
    stream: &Stream,
    endpoint: &Endpoint,
    options: Options,
    is_stopped: &tokio_util::sync::CancellationToken,
) -> Result<Pumped, Error> {
    let (pages_in, pages_out) = mpsc::channel::<Fed>(PAGES_QUEUED_MAX);
    let (files_in, files_out) = mpsc::channel::<ClosedFile>(1);
    let writer = {
        let (store, name, run) = (ctx.store.clone(), stream.name.clone(), ctx.run.clone());
        let part_bytes_max = ctx.job.destination.part_bytes_max;
        tokio::task::spawn_blocking(move || {
            let parts = PartWriter::new(&store, &name, &run, Kind::Parquet, part_bytes_max, 1);
            write_pages(pages_out, &files_in, options, parts)
        })
    };
    // The sender goes with the reader: its end is the end of the writer's pages.
    let reader = read_pages(ctx, stream, endpoint, pages_in, is_stopped);
    let (end, files, written) = tokio::join!(reader, stage_files(ctx, stream, files_out), writer);
    let written = written.expect("the writer does not panic");
    // A writer or stager that stopped closes the reader's channel: their error is the cause, the reader's the echo.
    let files = files?;
    let (written, end) = match (written, end) {
        (Err(Error::Stopped), Err(error)) => return Err(error),
        (written, end) => (written?, end?),
    };
    if written.rows != end.records() {
        return Err(Error::RowsDiffer { stream: stream.name.clone(), rows: end.records(), written: written.rows });
    }
    Ok(Pumped { end, files, columns: written.columns, warnings: written.warnings, next_number: written.next_number })
}

async fn read_pages(
    ctx: &Context,
    stream: &Stream,
    endpoint: &Endpoint,
    pages: mpsc::Sender<Fed>,
    is_stopped: &tokio_util::sync::CancellationToken,
) -> Result<WalkEnd, Error> {
    let mut walk = Walk::new(stream.paginator.clone(), endpoint.total_proof());
    let wants = stream.paginator.wants();
    let mut before: Option<Page> = None;
    loop {
        if ctx.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        if is_stopped.is_cancelled() {
            return Err(Error::Stopped);
        }
        let number = walk.pages() + 1;
        let read = ctx.source.read_page(endpoint, walk.current(), &stream.records, &wants, before.as_ref());
        // A page may wait for hours in a pause: what ends the run meanwhile, and a writer that failed, are not kept
        // waiting.
        let page = tokio::select! {
            biased;
            () = is_stopped.cancelled() => return Err(Error::Stopped),
            () = pages.closed() => return Err(Error::Stopped),
            page = read => page.map_err(|source| page_error(&stream.name, number, source))?,
        };
        let step = walk.accept(&page.facts).map_err(|source| Error::Walk { stream: stream.name.clone(), source })?;
        ctx.telemetry.tell(Event::PageRead {
            stream: stream.name.clone(),
            records: page.facts.records,
            bytes: page.records().len() as u64,
        });
        if pages.send(Fed::Page(number, Box::new(page.clone()))).await.is_err() {
            return Err(Error::Stopped);
        }
        match step {
            Step::More(_) => before = Some(page),
            Step::End(end) => {
                // A writer that is gone tells its own error.
                let _ = pages.send(Fed::End).await;
                return Ok(end);
            }
        }
    }
}

fn page_error(stream: &str, page: u64, source: crate::source::Error) -> Error {
    match source {
        crate::source::Error::Http(crate::http::Error::Interrupted)
        | crate::source::Error::GaveUp { source: crate::http::Error::Interrupted, .. } => Error::Interrupted,
        source => Error::Page { stream: stream.to_owned(), page, source },
    }
}

fn write_pages(
    mut pages: mpsc::Receiver<Fed>,
    files: &mpsc::Sender<ClosedFile>,
    options: Options,
    mut parts: PartWriter<'_>,
) -> Result<Written, Error> {
    let stream = parts.stream.to_owned();
    let wrong = |source| Error::Columns { stream: stream.clone(), source };
    let mut decoder = Decoder::new(options).map_err(wrong)?;
    let mut rows = 0;
    loop {
        let (number, page) = match pages.blocking_recv() {
            Some(Fed::Page(number, page)) => (number, page),
            Some(Fed::End) => break,
            None => return Err(Error::Stopped),
        };
        rows += decoder.push(page.records(), number).map_err(wrong)?;
        while let Some(batch) = decoder.next_batch() {
            send(files, parts.write(&batch, columns_of(&decoder, &batch))?)?;
        }
    }
    let mut rest = decoder.finish().map_err(wrong)?;
    while let Some(batch) = rest {
        send(files, parts.write(&batch, columns_of(&decoder, &batch))?)?;
        rest = decoder.next_batch();
    }
    send(files, parts.close()?)?;
    Ok(Written {
        columns: decoder.columns().to_vec(),
        warnings: decoder.warnings(),
        rows,
        next_number: parts.next_number,
    })
}

/// The columns a batch was made with; later records may have changed them since.
pub(super) fn columns_of<'a>(decoder: &'a Decoder, batch: &RecordBatch) -> &'a [Column] {
    decoder.columns_of(&batch.schema()).expect("the batch is this decoder's")
}

fn send(files: &mpsc::Sender<ClosedFile>, closed: impl IntoIterator<Item = ClosedFile>) -> Result<(), Error> {
    for file in closed {
        files.blocking_send(file).map_err(|_| Error::Stopped)?;
    }
    Ok(())
}

async fn stage_files(
    ctx: &Context,
    stream: &Stream,
    mut files: mpsc::Receiver<ClosedFile>,
) -> Result<Vec<StagedFile>, Error> {
    let mut staged = Vec::new();
    while let Some(file) = files.recv().await {
        let columns = file.columns.clone();
        let place = match ctx.job.destination.format {
            Format::Parquet => StagedAt::Store(stage(ctx, &stream.name, file, Kind::Parquet).await?),
            Format::Csv => StagedAt::Spool(file.spooled),
        };
        staged.push(StagedFile { columns, place });
    }
    Ok(staged)
}

/// Verifies a closed file and puts it into the store.
pub(super) async fn stage(ctx: &Context, stream: &str, file: ClosedFile, kind: Kind) -> Result<Part, Error> {
    tokio::task::block_in_place(|| verify(stream, &file, kind))?;
    let part = ctx.store.stage(file.spooled, &file.path, file.rows).await?;
    ctx.telemetry.tell(Event::PartStaged { stream: stream.to_owned(), rows: part.rows, bytes: part.bytes });
    Ok(part)
}
