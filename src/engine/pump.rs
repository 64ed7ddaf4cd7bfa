//! The slices of a stream from the API into files: readers ask for pages, a writer on a blocking thread turns them into
//! files, slice after slice, and a stager puts these into the store. Bounded queues between them keep memory independent
//! of the number of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use super::parents::ParentRows;
use super::parts::{ClosedFile, PartWriter, verify};
use super::queue::{Closed, PageQueue, Popped, Release};
use super::read::{SliceReader, page_error};
use super::slices::{Planned, WHOLE};
use super::watch::Watch;
use crate::columns::{Decoder, Options};
use crate::limits::SLICES_IN_FLIGHT_MAX;
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::incremental::{CursorScope, CursorValue};
use crate::model::manifest::Part;
use crate::model::plan::{Changes, Stream};
use crate::model::slices::{FailingSlices, Slice};
use crate::model::warning::{Warning, add_warnings};
use crate::paging::walk::{TotalProof, WalkEnd};
use crate::source::{Context as TemplateContext, Endpoint, ReportSteps};
use crate::store::Spooled;
use crate::telemetry::Event;

/// A stream whose slices were read.
pub(super) struct Pumped {
    /// Of the slices that were read whole, in order.
    pub ends: Vec<WalkEnd>,
    pub left_out: Vec<LeftOut>,
    pub files: Vec<StagedFile>,
    /// Columns after the last record; files before it may have fewer or narrower ones.
    pub columns: Vec<Column>,
    pub warnings: Vec<Warning>,
    pub next_number: u64,
    /// Greatest values of the cursor, by its scope.
    pub cursors: BTreeMap<String, CursorValue>,
    pub without_cursor: u64,
    pub parents: ParentRows,
}

/// A slice that failed, and that the job lets the table be published without.
#[derive(Debug, Clone)]
pub(super) struct LeftOut {
    pub slice: String,
    /// The cursor that it would have moved.
    pub scope: String,
    pub why: String,
}

/// A file of the stream.
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

struct Written {
    columns: Vec<Column>,
    warnings: Vec<Warning>,
    rows: u64,
    next_number: u64,
    watch: Watch,
}

/// What is read, and how.
pub(super) struct Pumping<'a> {
    pub ctx: &'a Context,
    pub stream: &'a Stream,
    pub template: &'a TemplateContext,
    pub planned: Planned,
    pub options: Options,
    /// Fields that other streams wait for.
    pub needed: BTreeSet<Vec<String>>,
    pub is_stopped: &'a CancellationToken,
    /// Why the slices stop. Absent = they do not.
    pub cause: Mutex<Option<Error>>,
}

enum SliceEnd {
    Whole(WalkEnd),
    LeftOut(LeftOut),
}

impl Pumping<'_> {
    /// Reads all slices to their ends.
    pub(super) async fn pump(self) -> Result<Pumped, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        let halt = self.is_stopped.child_token();
        let (queues_in, queues_out) = mpsc::unbounded_channel::<Arc<PageQueue>>();
        let (files_in, files_out) = mpsc::channel::<ClosedFile>(1);
        let watch = Watch::new(&stream.name, stream.incremental.as_ref(), self.needed.clone())?;
        let writer = {
            let (store, name, run, options) =
                (ctx.store.clone(), stream.name.clone(), ctx.run.clone(), self.options.clone());
            let part_bytes_max = ctx.job.destination.part_bytes_max;
            let format = ctx.job.destination.format.staging();
            let is_cut = stream.incremental.as_ref().is_some_and(|it| it.scope == CursorScope::Slice);
            let guard = halt.clone().drop_guard();
            tokio::task::spawn_blocking(move || {
                let parts = PartWriter::new(&store, &name, &run, format, part_bytes_max, 1);
                let written = write_slices(queues_out, &files_in, options, parts, watch, is_cut);
                // A writer that fails stops the readers; one that is done has none.
                if written.is_ok() {
                    guard.disarm();
                }
                written
            })
        };
        // The sender goes with the readers: their end is the end of the writer's slices.
        let readers = self.read_slices(queues_in, &halt);
        let (read, files, written) = tokio::join!(readers, stage_files(ctx, stream, files_out), writer);
        let written = written.expect("the writer does not panic");
        // A writer or stager that stopped halts the readers: their error is the cause, the readers' the echo.
        let files = files?;
        let (written, ends) = match (written, read) {
            (Err(Error::Stopped), Err(error)) => return Err(error),
            (written, read) => (written?, read?),
        };
        let mut pumped = Pumped {
            ends: Vec::new(),
            left_out: Vec::new(),
            files,
            columns: written.columns,
            warnings: written.warnings,
            next_number: written.next_number,
            cursors: written.watch.cursors()?,
            without_cursor: written.watch.without_cursor(),
            parents: written.watch.parents,
        };
        for end in ends {
            match end {
                SliceEnd::Whole(end) => pumped.ends.push(end),
                SliceEnd::LeftOut(left_out) => pumped.left_out.push(left_out),
            }
        }
        let rows = pumped.ends.iter().map(WalkEnd::records).sum();
        if written.rows != rows {
            return Err(Error::RowsDiffer { stream: stream.name.clone(), rows, written: written.rows });
        }
        Ok(pumped)
    }

    /// Reads the slices side by side, as far as the source's limits go, and hands their queues over in order.
    async fn read_slices(
        &self,
        queues: mpsc::UnboundedSender<Arc<PageQueue>>,
        halt: &CancellationToken,
    ) -> Result<Vec<SliceEnd>, Error> {
        let release = match (self.stream.failing_slices, self.stream.changes) {
            (FailingSlices::Fail, Changes::Fail) => Release::AtOnce,
            (FailingSlices::LeaveOut, _) | (_, Changes::RepeatThenFlag) => Release::AtTheEnd,
        };
        let side_by_side = (self.ctx.job.source.limits.in_flight as usize).clamp(1, SLICES_IN_FLIGHT_MAX);
        let numbers = 0..self.planned.slices.len();
        let mut readers = stream::iter(numbers.map(|number| {
            let queue = PageQueue::new(self.planned.slices[number].clone(), release);
            // A writer that is gone has halted the readers.
            let _ = queues.send(Arc::clone(&queue));
            self.read_into(number, queue, halt)
        }))
        .buffered(side_by_side);
        let mut ends = Vec::with_capacity(self.planned.slices.len());
        while let Some(read) = readers.next().await {
            match read {
                Ok(end) => ends.push(end),
                // Slices end in their order; the one that failed may not be the first to say so.
                Err(echo) => {
                    return Err(self.cause.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(echo));
                }
            }
        }
        Ok(ends)
    }

    async fn read_into(
        &self,
        number: usize,
        queue: Arc<PageQueue>,
        halt: &CancellationToken,
    ) -> Result<SliceEnd, Error> {
        let read = self.read_slice(&self.planned.slices[number], self.planned.floors[number], &queue, halt).await;
        queue.close(match &read {
            Ok(SliceEnd::Whole(_)) => Closed::Whole,
            Ok(SliceEnd::LeftOut(_)) => Closed::LeftOut,
            Err(_) => Closed::Broken,
        });
        self.ctx.telemetry.tell(Event::SliceRead { stream: self.stream.name.clone() });
        match read {
            Err(error) if !matches!(error, Error::Stopped) => {
                // The others are of no use any more.
                self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                halt.cancel();
                Err(Error::Stopped)
            }
            read => read,
        }
    }

    async fn read_slice(
        &self,
        slice: &Slice,
        floor: Option<CursorValue>,
        queue: &PageQueue,
        halt: &CancellationToken,
    ) -> Result<SliceEnd, Error> {
        let read = async {
            let template = self.template.with_slice(slice);
            let Some(plan) = &self.stream.report else {
                return self.walk_slice(&template, floor, queue, halt).await;
            };
            let wrong = |source| report_error(&self.stream.name, source);
            let steps = ReportSteps { source: &self.ctx.source, stream: self.stream, plan, base: &self.ctx.job.source };
            let template = tokio::select! {
                biased;
                () = halt.cancelled() => return Err(Error::Stopped),
                made = steps.make(&template) => made.map_err(wrong)?,
            };
            let read = self.walk_slice(&template, floor, queue, halt).await;
            if let Err(error) = steps.delete(&template).await {
                let what = format!("stream `{}`: the report could not be given back: {error}", self.stream.name);
                self.ctx.telemetry.tell(Event::Warned { what });
            }
            read
        };
        match read.await {
            Ok(end) => Ok(SliceEnd::Whole(end)),
            Err(error) if self.stream.failing_slices == FailingSlices::LeaveOut && error.is_of_slice() => {
                let why = super::run::text_of(&error);
                let what = format!("stream `{}`: slice `{}` is left out: {why}", self.stream.name, slice.id);
                self.ctx.telemetry.tell(Event::Warned { what });
                Ok(SliceEnd::LeftOut(LeftOut { slice: slice.id.clone(), scope: slice.scope.clone(), why }))
            }
            Err(error) if slice.id.is_empty() => Err(error),
            Err(error) => Err(error.in_slice(&slice.id)),
        }
    }

    /// Walks a slice; once more where the table changed meanwhile and the job says so.
    async fn walk_slice(
        &self,
        template: &TemplateContext,
        floor: Option<CursorValue>,
        queue: &PageQueue,
        halt: &CancellationToken,
    ) -> Result<WalkEnd, Error> {
        let reader = SliceReader { ctx: self.ctx, stream: self.stream, halt };
        let endpoint = prepare(self.ctx, self.stream, template)?;
        {
            let first = reader.read(&endpoint, floor, TotalProof::Required, queue).await;
            match first {
                Err(Error::Walk { source, .. })
                    if self.stream.changes == Changes::RepeatThenFlag && source.is_of_changes() =>
                {
                    queue.clear();
                    let what = format!("stream `{}` is read once more: {source}", self.stream.name);
                    self.ctx.telemetry.tell(Event::Warned { what });
                    reader.read(&endpoint, floor, TotalProof::Flagged, queue).await
                }
                first => first,
            }
        }
    }
}

/// What went wrong with a report.
fn report_error(stream: &str, source: crate::source::Error) -> Error {
    match page_error(stream, 1, source) {
        Error::Page { stream, source, .. } => Error::Report { stream, source },
        other => other,
    }
}

/// A slice's address with its templates filled in.
pub(super) fn prepare(ctx: &Context, stream: &Stream, template: &TemplateContext) -> Result<Endpoint, Error> {
    Endpoint::prepare(stream, &ctx.job.source, template)
        .map_err(|source| Error::Endpoint { stream: stream.name.clone(), source })
}

fn write_slices(
    mut queues: mpsc::UnboundedReceiver<Arc<PageQueue>>,
    files: &mpsc::Sender<ClosedFile>,
    options: Options,
    mut parts: PartWriter<'_>,
    mut watch: Watch,
    is_cut: bool,
) -> Result<Written, Error> {
    let stream = parts.stream.to_owned();
    let wrong = |source| Error::Columns { stream: stream.clone(), source };
    let mut decoder = Decoder::new(options).map_err(wrong)?;
    let mut rows = 0;
    let mut scope = WHOLE.to_owned();
    while let Some(queue) = queues.blocking_recv() {
        decoder.set_constants(&queue.slice.constants).map_err(wrong)?;
        if is_cut {
            scope.clone_from(&queue.slice.scope);
        }
        loop {
            let popped = queue.pop().map_err(|source| Error::Spool { stream: stream.clone(), source })?;
            let page = match popped {
                Popped::Page(page) => page,
                Popped::Closed(Closed::Whole | Closed::LeftOut) => break,
                Popped::Closed(Closed::Broken) => return Err(Error::Stopped),
            };
            rows += decoder.push(&page.records, page.number).map_err(wrong)?;
            take_batches(&mut decoder, files, &mut parts, &mut watch, &scope)?;
        }
        if is_cut {
            decoder.cut().map_err(wrong)?;
            take_batches(&mut decoder, files, &mut parts, &mut watch, &scope)?;
        }
    }
    let mut rest = decoder.finish().map_err(wrong)?;
    while let Some(batch) = rest {
        take(&decoder, &batch, files, &mut parts, &mut watch, &scope)?;
        rest = decoder.next_batch();
    }
    send(files, parts.close()?)?;
    let (columns, mut warnings) = (decoder.columns().to_vec(), decoder.warnings());
    add_warnings(&mut warnings, std::mem::take(&mut parts.warnings));
    Ok(Written { columns, warnings, rows, next_number: parts.next_number, watch })
}

fn take_batches(
    decoder: &mut Decoder,
    files: &mpsc::Sender<ClosedFile>,
    parts: &mut PartWriter<'_>,
    watch: &mut Watch,
    scope: &str,
) -> Result<(), Error> {
    while let Some(batch) = decoder.next_batch() {
        take(decoder, &batch, files, parts, watch, scope)?;
    }
    Ok(())
}

fn take(
    decoder: &Decoder,
    batch: &RecordBatch,
    files: &mpsc::Sender<ClosedFile>,
    parts: &mut PartWriter<'_>,
    watch: &mut Watch,
    scope: &str,
) -> Result<(), Error> {
    let columns = columns_of(decoder, batch);
    watch.look(scope, batch, columns)?;
    send(files, parts.write(batch, columns)?)
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
        let format = &ctx.job.destination.format;
        let place = match format {
            Format::Parquet(_) => StagedAt::Store(stage(ctx, &stream.name, file, format).await?),
            Format::Csv(_) => StagedAt::Spool(file.spooled),
        };
        staged.push(StagedFile { columns, place });
    }
    Ok(staged)
}

/// Verifies a closed file and puts it into the store.
pub(super) async fn stage(ctx: &Context, stream: &str, file: ClosedFile, format: &Format) -> Result<Part, Error> {
    tokio::task::block_in_place(|| verify(stream, &file, format))?;
    let part = ctx.store.stage(file.spooled, &file.path, file.rows).await?;
    ctx.telemetry.tell(Event::PartStaged { stream: stream.to_owned(), rows: part.rows, bytes: part.bytes });
    Ok(part)
}
