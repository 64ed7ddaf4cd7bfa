//! Pages into files, on two blocking threads: one turns the records of the slices into batches, slice after slice, the
//! other turns batches into files. Each works while the next answer is on its way, and both cores have work where the
//! API is fast.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use arrow::array::RecordBatch;
use tokio::sync::mpsc;

use super::error::Error;
use super::gates::repeats::KeyFindings;
use super::parts::{ClosedFile, PartWriter};
use super::queue::{Closed, PageQueue, Popped, QueuedPage};
use super::raw::RawWriter;
use super::resume::kept::{KeptPages, PageMark};
use super::slices::WHOLE;
use super::watch::Watch;
use crate::columns::{BadRecord, Compute, Decoder, GoneBatch, Options, Reason};
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::slices::Slice;
use crate::model::warning::Warning;
use crate::source::{Context as TemplateContext, Expressions};
use crate::store::{Spool, Spooled, Store, layout};
use crate::telemetry::{Event, Telemetry};

/// What the decoding thread works with.
pub(super) struct Decoding {
    pub store: Store,
    pub stream: String,
    pub run: String,
    pub options: Options,
    pub expressions: Arc<Expressions>,
    pub template: TemplateContext,
    pub watch: Watch,
    /// Rows of different slices are told apart, for each slice has its cursor.
    pub is_cut: bool,
    pub kept: KeptPages,
    /// Absent = the job does not want the records as they came.
    pub raw: Option<RawWriter>,
    pub telemetry: Telemetry,
    /// Columns of the key.
    pub key: Vec<String>,
}

/// What became of the pages.
pub(super) struct Decoded {
    pub tables: Vec<DecodedTable>,
    /// Records that came, those that became no row included.
    pub records: u64,
    pub filtered: u64,
    pub bad: u64,
    pub keys: KeyFindings,
    /// Records that say that they are gone: their keys and cursors.
    pub gone: Vec<GoneBatch>,
    pub watch: Watch,
}

/// One table after the last record.
pub(super) struct DecodedTable {
    pub name: String,
    pub columns: Vec<Column>,
    pub reasons: Vec<Reason>,
    pub warnings: Vec<Warning>,
    /// Columns that are text and were timestamps before.
    pub once_datetimes: Vec<String>,
    /// New fields that the contract left out.
    pub left_out: Vec<String>,
    pub rows: u64,
}

/// A batch on its way to its file.
pub(super) struct Batch {
    table: usize,
    rows: RecordBatch,
    columns: Vec<Column>,
}

/// A closed file with the number of its table.
pub(super) type TableFile = (usize, ClosedFile);

/// Pages on their way to batches.
struct Pages<'a> {
    decoder: Decoder,
    batches: &'a SyncSender<Batch>,
    quarantine: &'a mut Quarantine,
    /// Rows by table.
    rows: Vec<u64>,
    records: u64,
    scope: String,
    /// The page that comes in pieces, and its records so far.
    piece: (u64, u64),
    gone: Vec<GoneBatch>,
}

/// Records that became no row, in a file.
struct Quarantine {
    path: String,
    spool: Option<Spool>,
}

impl Decoding {
    /// Decodes the slices in their order. The file of bad records comes also where the rest fails.
    pub(super) fn decode(
        self,
        slices: mpsc::UnboundedReceiver<Arc<PageQueue>>,
        batches: &SyncSender<Batch>,
    ) -> (Result<Decoded, Error>, Option<Spooled>) {
        let mut quarantine = Quarantine { path: layout::quarantine(&self.stream, &self.run), spool: None };
        let stream = self.stream.clone();
        let decoded = self.decode_into(slices, batches, &mut quarantine);
        match quarantine.spool.map(Spool::finish).transpose() {
            Ok(file) => (decoded, file),
            Err(source) => (decoded.and(Err(Error::Spool { stream, source })), None),
        }
    }

    fn decode_into(
        mut self,
        mut slices: mpsc::UnboundedReceiver<Arc<PageQueue>>,
        batches: &SyncSender<Batch>,
        quarantine: &mut Quarantine,
    ) -> Result<Decoded, Error> {
        let stream = self.stream.clone();
        let wrong = |source| Error::Columns { stream: stream.clone(), source };
        let decoder = Decoder::new(std::mem::take(&mut self.options)).map_err(wrong)?;
        let rows = vec![0; decoder.tables()];
        let mut pages = Pages {
            decoder,
            batches,
            quarantine,
            rows,
            records: 0,
            scope: WHOLE.to_owned(),
            piece: (0, 0),
            gone: Vec::new(),
        };
        let mut numbers = 0..;
        while let (Some(queue), Some(number)) = (slices.blocking_recv(), numbers.next()) {
            self.begin_slice(&mut pages.decoder, &queue.slice)?;
            if let Some(raw) = &mut self.raw {
                raw.begin_slice(&queue.slice)?;
            }
            if self.is_cut {
                pages.scope.clone_from(&queue.slice.scope);
            }
            pages.piece = (0, 0);
            self.decode_slice(number, &queue, &mut pages)?;
            if self.is_cut {
                pages.decoder.cut().map_err(wrong)?;
                self.send_batches(&mut pages)?;
            }
        }
        pages.decoder.finish().map_err(wrong)?;
        self.send_batches(&mut pages)?;
        if let Some(raw) = self.raw.take() {
            raw.finish()?;
        }
        let Pages { decoder, rows, records, gone, .. } = pages;
        let table = |table: usize| DecodedTable {
            name: decoder.name(table).to_owned(),
            columns: decoder.columns(table).to_vec(),
            reasons: decoder.reasons(table),
            once_datetimes: decoder.once_datetimes(table),
            warnings: decoder.warnings(table),
            left_out: decoder.left_out(table).to_vec(),
            rows: rows[table],
        };
        let tables = (0..decoder.tables()).map(table).collect();
        let (filtered, bad) = (decoder.filtered(), decoder.bad_count());
        let keys = self.watch.take_key_findings()?;
        Ok(Decoded { tables, records, filtered, bad, keys, gone, watch: self.watch })
    }

    /// What the slice and the job's expressions add to its records.
    fn begin_slice(&self, decoder: &mut Decoder, slice: &Slice) -> Result<(), Error> {
        begin_slice(decoder, slice, &self.expressions, &self.template, &self.stream)
    }

    /// The pages that an unfinished run left, then those that come.
    fn decode_slice(&mut self, number: usize, queue: &PageQueue, pages: &mut Pages<'_>) -> Result<(), Error> {
        let stream = self.stream.clone();
        let unread = |source| Error::Spool { stream: stream.clone(), source };
        for kept in self.kept.take_slice(number) {
            let records = self.kept.records(&kept).map_err(unread)?;
            self.decode_page(kept.page, &records, pages)?;
        }
        loop {
            if queue.is_empty() {
                // While the source is slow, nothing that came waits in this process.
                let flushed = self.kept.flush();
                self.tell_unkept(flushed);
                self.copy_pages();
            }
            match queue.pop().map_err(unread)? {
                Popped::Page(QueuedPage { number: page, records, mark }) => {
                    self.decode_page(page, &records, pages)?;
                    self.keep(number, page, &records, mark.as_deref());
                    self.copy_pages();
                }
                Popped::Idle => {}
                Popped::Closed(Closed::Whole(end)) => {
                    let kept = self.kept.end_slice(number, end.is_changed());
                    self.tell_unkept(kept);
                    return self.raw.as_mut().map_or(Ok(()), |raw| raw.end_slice(&end));
                }
                Popped::Closed(Closed::LeftOut(why)) => {
                    return self.raw.as_mut().map_or(Ok(()), |raw| raw.leave_slice_out(&why));
                }
                Popped::Closed(Closed::Broken) => return Err(Error::Stopped),
            }
        }
    }

    fn decode_page(&mut self, page: u64, records: &[u8], pages: &mut Pages<'_>) -> Result<(), Error> {
        // A page that is larger than memory allows comes in pieces, one after another.
        if pages.piece.0 != page {
            pages.piece = (page, 0);
        }
        let pushed = pages.decoder.push_piece(records, page, pages.piece.1);
        while let Some(bad) = pages.decoder.next_bad() {
            self.set_aside(pages.quarantine, &bad)?;
        }
        let count = pushed.map_err(|source| Error::Columns { stream: self.stream.clone(), source })?;
        pages.piece.1 += count;
        pages.records += count;
        if let Some(raw) = &mut self.raw {
            raw.page(page, records, count)?;
        }
        self.send_batches(pages)
    }

    fn keep(&mut self, slice: usize, page: u64, records: &[u8], mark: Option<&PageMark>) {
        let kept = self.kept.keep(slice, page, records, mark);
        self.tell_unkept(kept);
    }

    /// Copies kept pages for other hosts, if it is time.
    fn copy_pages(&mut self) {
        if let Err(error) = self.kept.copy_if_due() {
            let why = super::run::text_of(&error);
            let what =
                format!("stream `{}`: its pages are copied no more, so another host begins anew: {why}", self.stream);
            self.telemetry.tell(Event::Warned { what });
        }
    }

    /// Nothing is lost but the way back: the run goes on.
    fn tell_unkept(&self, kept: std::io::Result<()>) {
        if let Err(error) = kept {
            let what =
                format!("stream `{}`: its pages are kept no more, so a killed run begins anew: {error}", self.stream);
            self.telemetry.tell(Event::Warned { what });
        }
    }

    fn send_batches(&mut self, pages: &mut Pages<'_>) -> Result<(), Error> {
        while let Some((table, rows)) = pages.decoder.next_batch() {
            let columns = columns_of(&pages.decoder, table, &rows);
            if table == 0 {
                self.watch.look(&pages.scope, &rows, columns)?;
            }
            pages.rows[table] += rows.num_rows() as u64;
            let columns = columns.to_vec();
            // An encoder that is gone has its own error.
            pages.batches.send(Batch { table, rows, columns }).map_err(|_| Error::Stopped)?;
        }
        self.keep_gone(pages)
    }

    /// Keeps of records that are gone what is needed to find their rows.
    fn keep_gone(&mut self, pages: &mut Pages<'_>) -> Result<(), Error> {
        while let Some(GoneBatch { columns, records, rows_before }) = pages.decoder.next_gone() {
            self.watch.look_at_gone(&pages.scope, &records, &columns)?;
            let cursor = self.watch.cursor_in(&columns);
            let is_key = |column: &Column| self.key.iter().any(|name| column.has_name(name));
            let kept: Vec<usize> =
                (0..columns.len()).filter(|at| Some(*at) == cursor || is_key(&columns[*at])).collect();
            let wrong = |source| {
                let source = crate::columns::Error::Batch { source };
                Error::Columns { stream: self.stream.clone(), source }
            };
            let records = records.project(&kept).map_err(wrong)?;
            let columns = kept.iter().map(|at| columns[*at].clone()).collect();
            pages.gone.push(GoneBatch { columns, records, rows_before });
        }
        Ok(())
    }

    fn set_aside(&self, quarantine: &mut Quarantine, bad: &BadRecord) -> Result<(), Error> {
        let spool = match &mut quarantine.spool {
            Some(spool) => spool,
            None => quarantine.spool.insert(self.store.spool(&quarantine.path)?),
        };
        let BadRecord { place, reason, json } = bad;
        let reason = serde_json::Value::from(reason.as_str());
        let line = format!(
            "{{\"page\":{},\"record\":{},\"reason\":{reason},\"json\":{}}}\n",
            place.page,
            place.record,
            // One line, whatever blanks the record was sent with.
            json.replace(['\n', '\r'], " "),
        );
        spool.write_all(line.as_bytes()).map_err(|source| Error::Spool { stream: self.stream.clone(), source })
    }
}

/// What a slice and the job's expressions add to the records that follow.
pub(super) fn begin_slice(
    decoder: &mut Decoder,
    slice: &Slice,
    expressions: &Arc<Expressions>,
    template: &TemplateContext,
    stream: &str,
) -> Result<(), Error> {
    let mut context = template.with_slice(slice);
    let mut constants = slice.constants.clone();
    let added = expressions.constants(&context);
    constants.extend(added.map_err(|source| Error::Endpoint { stream: stream.to_owned(), source })?);
    let wrong = |source| Error::Columns { stream: stream.to_owned(), source };
    decoder.set_constants(&constants).map_err(wrong)?;
    if expressions.reads_records() {
        let expressions = Arc::clone(expressions);
        let compute: Compute = Box::new(move |record| expressions.compute(&mut context, record));
        decoder.set_compute(compute);
    }
    Ok(())
}

/// The columns a batch was made with; later records may have changed them since.
pub(super) fn columns_of<'a>(decoder: &'a Decoder, table: usize, batch: &RecordBatch) -> &'a [Column] {
    decoder.columns_of(table, &batch.schema()).expect("the batch is this decoder's")
}

/// One table after its last batch.
pub(super) struct EncodedTable {
    /// Number of the next file.
    pub next_number: u64,
    /// Values that the files do not hold as they were.
    pub warnings: Vec<Warning>,
}

/// Where files are made.
pub(super) struct Encoding {
    pub store: Store,
    pub run: String,
    pub part_bytes_max: u64,
    /// As the files wait for the final columns.
    pub format: Format,
    /// Names of the tables, in their order.
    pub tables: Vec<String>,
    /// For each, the columns that its gates ask about.
    pub gauged: Vec<Vec<String>>,
}

impl Encoding {
    /// Writes batches until there are no more.
    pub(super) fn encode<'a>(
        &'a self,
        batches: &Receiver<Batch>,
        files: &mpsc::Sender<TableFile>,
    ) -> Result<Vec<EncodedTable>, Error> {
        let part_writer = |(table, gauged): (&'a String, &'a Vec<String>)| {
            PartWriter::new(&self.store, table, &self.run, self.format.clone(), self.part_bytes_max, 1).gauging(gauged)
        };
        let mut writers: Vec<PartWriter<'_>> = self.tables.iter().zip(&self.gauged).map(part_writer).collect();
        while let Ok(Batch { table, rows, columns }) = batches.recv() {
            for file in writers[table].write(&rows, &columns)? {
                files.blocking_send((table, file)).map_err(|_| Error::Stopped)?;
            }
        }
        for (table, writer) in writers.iter_mut().enumerate() {
            if let Some(file) = writer.close()? {
                files.blocking_send((table, file)).map_err(|_| Error::Stopped)?;
            }
        }
        let encoded = |writer| {
            let PartWriter { next_number, warnings, .. } = writer;
            EncodedTable { next_number, warnings }
        };
        Ok(writers.into_iter().map(encoded).collect())
    }
}
