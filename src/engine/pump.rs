//! The slices of a stream from the API into files: readers ask for pages, two blocking threads turn them into files,
//! slice after slice (`super::write`), and a stager puts these into the store. Bounded queues between them keep memory
//! independent of the number of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use super::gates::repeats::KeyFindings;
use super::parents::ParentRows;
use super::parts::{ClosedFile, verify};
use super::queue::{Closed, PageQueue, QueuedPage, Release};
use super::raw::{RawFile, RawPage, RawReader, RawSlice, RawWriter};
use super::read::{SliceReader, page_error};
use super::resume::kept::{Keeping, KeptPages, ResumedSlice};
use super::slices::Planned;
use super::watch::Watch;
use super::write::{DecodedTable, Decoding, Encoding, TableFile};
use crate::columns::{GoneBatch, Options};
use crate::limits::{BATCHES_QUEUED_MAX, SLICES_IN_FLIGHT_MAX};
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::gates::Verdict;
use crate::model::incremental::{CursorScope, CursorValue};
use crate::model::manifest::Part;
use crate::model::plan::{Changes, Stream, WriteMode};
use crate::model::slices::FailingSlices;
use crate::model::warning::add_warnings;
use crate::paging::walk::{TotalProof, WalkEnd};
use crate::source::{Context as TemplateContext, Endpoint, Expressions, ReportSteps};
use crate::store::{Spooled, layout};
use crate::telemetry::Event;

/// A stream whose slices were read.
pub(super) struct Pumped {
    /// Of the slices that were read whole, in order.
    pub ends: Vec<WalkEnd>,
    pub left_out: Vec<LeftOut>,
    /// The stream's own table, then those of its lists.
    pub tables: Vec<PumpedTable>,
    /// Greatest values of the cursor, by its scope.
    pub cursors: BTreeMap<String, CursorValue>,
    pub without_cursor: u64,
    pub parents: ParentRows,
    /// Records that the job's filter left out.
    pub filtered: u64,
    pub keys: KeyFindings,
    /// Records that say that they are gone.
    pub gone: Vec<GoneBatch>,
    /// The file of the records that became no row, and how many these are. Absent = all did.
    pub quarantine: Option<(Part, u64)>,
    /// The records as they came, where the job wants them kept.
    pub raw: Vec<Part>,
}

/// One table of a stream that was read.
pub(super) struct PumpedTable {
    pub files: Vec<StagedFile>,
    /// Columns and counts after the last record; files before it may have fewer or narrower columns.
    pub decoded: DecodedTable,
    pub next_number: u64,
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
    pub kept: KeptPages,
    /// Slices of an unfinished run, each until its turn.
    pub resumed: Mutex<BTreeMap<usize, ResumedSlice>>,
    /// The greatest cursor before this read. Absent = there was none.
    pub known_until: Option<CursorValue>,
}

enum SliceEnd {
    Whole(WalkEnd),
    LeftOut(LeftOut),
}

impl Pumping<'_> {
    /// Reads all slices to their ends: from the source, or from what an earlier run kept.
    pub(super) async fn pump(mut self, copy: Option<RawReader>) -> Result<Pumped, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        let keeping = self.kept.keeping();
        let halt = self.is_stopped.child_token();
        let (queues_in, queues_out) = mpsc::unbounded_channel::<Arc<PageQueue>>();
        let (files_in, files_out) = mpsc::channel::<TableFile>(1);
        let (raw_in, raw_out) = mpsc::channel::<RawFile>(1);
        let (batches_in, batches_out) = std::sync::mpsc::sync_channel(BATCHES_QUEUED_MAX);
        let names: Vec<String> = stream.table_names().into_iter().map(str::to_owned).collect();
        let encoding = Encoding {
            store: ctx.store.clone(),
            run: ctx.run.clone(),
            part_bytes_max: ctx.job.destination.part_bytes_max,
            format: ctx.job.destination.format.staging(),
            gauged: names.iter().map(|table| ctx.job.gates_of(table).gauged()).collect(),
            tables: names.clone(),
        };
        // A sender that nobody has ends the stager's work.
        let raw_in = Some(raw_in).filter(|_| ctx.job.destination.is_raw_kept && copy.is_none());
        let raw = raw_in.map(|files| self.raw_writer(files)).transpose()?;
        let decoding = Decoding { raw, ..self.decoding()? };
        let encoder = on_thread(&halt, move || encoding.encode(&batches_out, &files_in), Result::is_ok);
        let decoder =
            on_thread(&halt, move || decoding.decode(queues_out, &batches_in), |(decoded, _)| decoded.is_ok());
        // The sender goes with the readers: their end is the end of the decoder's slices.
        let readers = async {
            match copy {
                None => self.read_slices(queues_in, &halt, &keeping).await,
                Some(copy) => self.read_copy(copy, &queues_in, &halt).await,
            }
        };
        let (read, files, raw, decoded, encoded) =
            tokio::join!(readers, stage_files(ctx, &names, files_out), stage_raw(ctx, raw_out), decoder, encoder);
        let never = "a thread of a stream does not panic";
        let ((decoded, bad_records), encoded) = (decoded.expect(never), encoded.expect(never));
        let bad_records = match bad_records {
            None => None,
            Some(file) => Some(ctx.store.stage(file, &layout::quarantine(&stream.name, &ctx.run), 0).await),
        };
        // Whoever stopped halts the readers: its error is the cause, theirs the echo.
        let (files, raw) = (files?, raw?);
        let (decoded, encoded, ends) = match (encoded, decoded, read) {
            (Err(error), _, _) if !matches!(error, Error::Stopped) => return Err(error),
            (_, Err(Error::Stopped), Err(error)) => return Err(error),
            (encoded, decoded, read) => (decoded?, encoded?, read?),
        };
        let quarantine = bad_records.transpose()?.map(|file| (file, decoded.bad));
        let mut pumped = Pumped {
            ends: Vec::new(),
            left_out: Vec::new(),
            tables: Vec::new(),
            cursors: decoded.watch.cursors()?,
            without_cursor: decoded.watch.without_cursor(),
            parents: decoded.watch.parents,
            filtered: decoded.filtered,
            keys: decoded.keys,
            gone: decoded.gone,
            quarantine,
            raw,
        };
        for end in ends {
            match end {
                SliceEnd::Whole(end) => pumped.ends.push(end),
                SliceEnd::LeftOut(left_out) => pumped.left_out.push(left_out),
            }
        }
        let rows = pumped.ends.iter().map(WalkEnd::records).sum();
        if decoded.records != rows {
            return Err(Error::RowsDiffer { stream: stream.name.clone(), rows, written: decoded.records });
        }
        for ((mut decoded, files), encoded) in decoded.tables.into_iter().zip(files).zip(encoded) {
            add_warnings(&mut decoded.warnings, encoded.warnings);
            pumped.tables.push(PumpedTable { files, decoded, next_number: encoded.next_number });
        }
        Ok(pumped)
    }

    fn decoding(&mut self) -> Result<Decoding, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        let expressions = expressions(stream)?;
        Ok(Decoding {
            store: ctx.store.clone(),
            stream: stream.name.clone(),
            run: ctx.run.clone(),
            options: Options { computed: expressions.computed(), ..self.options.clone() },
            expressions,
            template: self.template.clone(),
            watch: self.watch(),
            kept: std::mem::replace(&mut self.kept, KeptPages::none()),
            raw: None,
            telemetry: ctx.telemetry.clone(),
            key: stream.key.clone(),
            is_cut: stream.incremental.as_ref().is_some_and(|it| it.scope == CursorScope::Slice),
        })
    }

    fn raw_writer(&self, files: mpsc::Sender<RawFile>) -> Result<RawWriter, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        let is_needless_empty = stream.write != WriteMode::Replace;
        let mut raw = RawWriter::new(&ctx.store, &stream.name, &ctx.run, is_needless_empty, files);
        raw.begin(&self.options.fetched, self.known_until.map(CursorValue::text))?;
        Ok(raw)
    }

    /// As `read_slices`, from what an earlier run kept.
    async fn read_copy(
        &self,
        mut copy: RawReader,
        queues: &mpsc::UnboundedSender<Arc<PageQueue>>,
        halt: &CancellationToken,
    ) -> Result<Vec<SliceEnd>, Error> {
        let mut ends = Vec::new();
        while let Some(slice) = tokio::task::block_in_place(|| copy.next_slice())? {
            let queue = PageQueue::new(slice.clone(), Release::AtOnce);
            // A writer that is gone has halted this reader.
            let _ = queues.send(Arc::clone(&queue));
            let read = queue_copy(self.ctx, &self.stream.name, &mut copy, &queue, halt).await;
            queue.close(match &read {
                Ok(RawSlice::Whole(end)) => Closed::Whole(end.clone()),
                Ok(RawSlice::LeftOut(why)) => Closed::LeftOut(why.clone()),
                Err(_) => Closed::Broken,
            });
            ends.push(match read? {
                RawSlice::Whole(end) => SliceEnd::Whole(end),
                RawSlice::LeftOut(why) => SliceEnd::LeftOut(LeftOut { slice: slice.id, scope: slice.scope, why }),
            });
        }
        Ok(ends)
    }

    fn watch(&self) -> Watch {
        let stream = self.stream;
        let watch = Watch::new(&stream.name, stream.incremental.as_ref(), self.needed.clone());
        let is_asked = self.ctx.job.gates_of(&stream.name).keys == Verdict::Hold;
        if is_asked && stream.write == WriteMode::Replace && !stream.key.is_empty() {
            watch.with_repeats(&stream.key)
        } else {
            watch
        }
    }

    /// Reads the slices side by side, as far as the source's limits go, and hands their queues over in order.
    async fn read_slices(
        &self,
        queues: mpsc::UnboundedSender<Arc<PageQueue>>,
        halt: &CancellationToken,
        keeping: &Keeping,
    ) -> Result<Vec<SliceEnd>, Error> {
        let release = if is_read_whole(self.stream) { Release::AtTheEnd } else { Release::AtOnce };
        let side_by_side = (self.ctx.job.source.limits.in_flight as usize).clamp(1, SLICES_IN_FLIGHT_MAX);
        let numbers = 0..self.planned.slices.len();
        let mut readers = stream::iter(numbers.map(|number| {
            let queue = PageQueue::new(self.planned.slices[number].clone(), release);
            // A writer that is gone has halted the readers.
            let _ = queues.send(Arc::clone(&queue));
            self.read_into(number, queue, halt, keeping)
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
        keeping: &Keeping,
    ) -> Result<SliceEnd, Error> {
        let reader = SliceReader { ctx: self.ctx, stream: self.stream, halt, keeping: keeping.clone() };
        let read = self.read_slice(number, &queue, &reader).await;
        queue.close(match &read {
            Ok(SliceEnd::Whole(end)) => Closed::Whole(end.clone()),
            Ok(SliceEnd::LeftOut(left_out)) => Closed::LeftOut(left_out.why.clone()),
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

    async fn read_slice(&self, number: usize, queue: &PageQueue, reader: &SliceReader<'_>) -> Result<SliceEnd, Error> {
        let (slice, floor) = (&self.planned.slices[number], self.planned.floors[number]);
        let resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        let read = async {
            let template = self.template.with_slice(slice);
            let Some(plan) = self.stream.report.as_ref().filter(|_| resumed.is_none()) else {
                return self.walk_slice(&template, floor, queue, reader, resumed).await;
            };
            let wrong = |source| report_error(&self.stream.name, source);
            let steps = ReportSteps { source: &self.ctx.source, stream: self.stream, plan, base: &self.ctx.job.source };
            let template = tokio::select! {
                biased;
                () = reader.halt.cancelled() => return Err(Error::Stopped),
                made = steps.make(&template) => made.map_err(wrong)?,
            };
            let read = self.walk_slice(&template, floor, queue, reader, None).await;
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
        reader: &SliceReader<'_>,
        resumed: Option<ResumedSlice>,
    ) -> Result<WalkEnd, Error> {
        let endpoint = prepare(self.ctx, self.stream, template)?;
        let is_flagged = resumed.as_ref().and_then(|resumed| resumed.end).is_some_and(|end| end.is_flagged);
        let proof = if is_flagged { TotalProof::Flagged } else { TotalProof::Required };
        match reader.read(&endpoint, floor, proof, queue, resumed).await {
            Err(Error::Walk { source, .. })
                if self.stream.changes == Changes::RepeatThenFlag && source.is_of_changes() =>
            {
                queue.clear();
                let what = format!("stream `{}` is read once more: {source}", self.stream.name);
                self.ctx.telemetry.tell(Event::Warned { what });
                reader.read(&endpoint, floor, TotalProof::Flagged, queue, None).await
            }
            first => first,
        }
    }
}

/// Whether pages of a slice may be decoded only when it was read to its end: it may be left out, or read once more.
pub(super) fn is_read_whole(stream: &Stream) -> bool {
    stream.failing_slices == FailingSlices::LeaveOut || stream.changes == Changes::RepeatThenFlag
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

/// A stream's `filter` and `add`, compiled.
pub(super) fn expressions(stream: &Stream) -> Result<Arc<Expressions>, Error> {
    let compiled = Expressions::new(stream.filter.as_deref(), &stream.added);
    compiled.map(Arc::new).map_err(|source| Error::Endpoint { stream: stream.name.clone(), source })
}

/// Work for a blocking thread; where it does not end well the readers are halted.
fn on_thread<T: Send + 'static>(
    halt: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
    is_well: fn(&T) -> bool,
) -> JoinHandle<T> {
    let guard = halt.clone().drop_guard();
    tokio::task::spawn_blocking(move || {
        let done = work();
        if is_well(&done) {
            guard.disarm();
        }
        done
    })
}

/// Hands the pages of a slice over that an earlier run kept.
async fn queue_copy(
    ctx: &Context,
    stream: &str,
    copy: &mut RawReader,
    queue: &PageQueue,
    halt: &CancellationToken,
) -> Result<RawSlice, Error> {
    loop {
        if ctx.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let (page, count, records) = match tokio::task::block_in_place(|| copy.next_page())? {
            RawPage::Records { page, count, records } => (page, count, records),
            RawPage::End(end) => return Ok(end),
        };
        let bytes = records.len() as u64;
        ctx.telemetry.tell(Event::PageRead { stream: stream.to_owned(), records: count, bytes });
        let pushed = queue.push(QueuedPage { number: page, records, mark: None }, halt).await;
        if !pushed.map_err(|source| Error::Spool { stream: stream.to_owned(), source })? {
            return Err(Error::Stopped);
        }
    }
}

/// Puts the files of the raw copy into the store as they come.
async fn stage_raw(ctx: &Context, mut files: mpsc::Receiver<RawFile>) -> Result<Vec<Part>, Error> {
    let mut staged = Vec::new();
    while let Some(RawFile { spooled, path, records }) = files.recv().await {
        staged.push(ctx.store.stage(spooled, &path, records).await?);
    }
    Ok(staged)
}

/// Puts files into the store as they come. Gives those of each table.
async fn stage_files(
    ctx: &Context,
    tables: &[String],
    mut files: mpsc::Receiver<TableFile>,
) -> Result<Vec<Vec<StagedFile>>, Error> {
    let mut staged: Vec<Vec<StagedFile>> = tables.iter().map(|_| Vec::new()).collect();
    while let Some((table, file)) = files.recv().await {
        let columns = file.columns.clone();
        let format = &ctx.job.destination.format;
        let place = match format {
            Format::Parquet(_) => StagedAt::Store(stage(ctx, &tables[table], file, format).await?),
            Format::Csv(_) => StagedAt::Spool(file.spooled),
        };
        staged[table].push(StagedFile { columns, place });
    }
    Ok(staged)
}

/// Verifies a closed file and puts it into the store.
pub(super) async fn stage(ctx: &Context, stream: &str, file: ClosedFile, format: &Format) -> Result<Part, Error> {
    tokio::task::block_in_place(|| verify(stream, &file, format))?;
    let mut part = ctx.store.stage(file.spooled, &file.path, file.rows).await?;
    (part.gauges, part.ranges) = (file.gauged.gauges, file.gauged.ranges);
    if part.path == file.path {
        part.changed_at = Some(ctx.started_at);
    }
    ctx.telemetry.tell(Event::PartStaged { stream: stream.to_owned(), rows: part.rows, bytes: part.bytes });
    Ok(part)
}
