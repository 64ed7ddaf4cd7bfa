//! Batches into files: a file is closed when it is large enough or when the columns changed, because a file has one
//! schema from its first row to its last. Works on a blocking thread.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::error::Error;
use super::gates::gauges::{Gauged, Gauges};
use crate::columns::schema_of;
use crate::format::Encoder;
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::warning::{Warning, add_warnings};
use crate::store::{Spool, Spooled, Store};

/// A timestamp with all its digits, its mark, quotes and a delimiter; no other field but a text is longer, other than
/// decimals, which take 16 bytes in memory.
const CSV_FIELD_BYTES: u64 = 32;

/// A closed file with the columns it holds.
pub(super) struct ClosedFile {
    pub spooled: Spooled,
    pub rows: u64,
    pub columns: Vec<Column>,
    pub path: String,
    pub gauged: Gauged,
}

/// Where files are made and how they are named.
pub(super) struct PartWriter<'a> {
    pub store: &'a Store,
    pub stream: &'a str,
    pub run: &'a str,
    pub format: Format,
    pub part_bytes_max: u64,
    /// Columns that the job's gates ask about.
    gauged: &'a [String],
    /// Number of the next file; grows over all writers of one stream, so that no name is used twice.
    pub next_number: u64,
    /// Values that the closed files do not hold as they came.
    pub warnings: Vec<Warning>,
    open: Option<OpenFile>,
}

struct OpenFile {
    encoder: Encoder<Spool>,
    schema: SchemaRef,
    columns: Vec<Column>,
    path: String,
    gauges: Gauges,
}

impl<'a> PartWriter<'a> {
    pub(super) fn new(
        store: &'a Store,
        stream: &'a str,
        run: &'a str,
        format: Format,
        part_bytes_max: u64,
        next_number: u64,
    ) -> Self {
        PartWriter {
            store,
            stream,
            run,
            format,
            part_bytes_max,
            gauged: &[],
            next_number,
            warnings: Vec::new(),
            open: None,
        }
    }

    /// The same for final files: what the gates of its table ask about is counted.
    pub(super) fn gauging(mut self, gauged: &'a [String]) -> Self {
        self.gauged = gauged;
        self
    }

    /// Writes a batch; returns the files that this closed, in order.
    pub(super) fn write(&mut self, batch: &RecordBatch, columns: &[Column]) -> Result<Vec<ClosedFile>, Error> {
        let mut closed = Vec::new();
        let bytes = bytes_at_most(batch, &self.format);
        if bytes > self.part_bytes_max && batch.num_rows() > 1 {
            let half = batch.num_rows() / 2;
            closed.extend(self.write(&batch.slice(0, half), columns)?);
            closed.extend(self.write(&batch.slice(half, batch.num_rows() - half), columns)?);
            return Ok(closed);
        }
        let is_too_much = |open: &OpenFile| open.encoder.bytes_written_estimate() + bytes > self.part_bytes_max;
        let is_other = |open: &OpenFile| open.schema != batch.schema() || !is_stored_alike(&open.columns, columns);
        if self.open.as_ref().is_some_and(|open| is_other(open) || is_too_much(open)) {
            closed.extend(self.close()?);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file(batch.schema(), columns)?,
        };
        open.gauges.take(batch, columns);
        open.encoder.write(batch).map_err(|source| self.format_error("writing", source))?;
        self.open = Some(open);
        Ok(closed)
    }

    /// Closes the open file, if there is one.
    pub(super) fn close(&mut self) -> Result<Option<ClosedFile>, Error> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let (spool, encoded) = open.encoder.finish().map_err(|source| self.format_error("closing", source))?;
        let spooled = spool.finish().map_err(|source| Error::Spool { stream: self.stream.to_owned(), source })?;
        add_warnings(&mut self.warnings, encoded.warnings);
        Ok(Some(ClosedFile {
            spooled,
            rows: encoded.rows,
            columns: open.columns,
            path: open.path,
            gauged: open.gauges.finish(),
        }))
    }

    /// A file without rows, which tells the columns of an empty table.
    pub(super) fn write_empty(&mut self, columns: &[Column]) -> Result<ClosedFile, Error> {
        debug_assert!(self.open.is_none(), "an empty file stands alone");
        self.open = Some(self.open_file(schema_of(columns), columns)?);
        Ok(self.close()?.expect("a file is open"))
    }

    fn open_file(&mut self, schema: SchemaRef, columns: &[Column]) -> Result<OpenFile, Error> {
        if columns.is_empty() {
            return Err(Error::NoColumns { stream: self.stream.to_owned() });
        }
        let path = crate::store::layout::part(self.stream, self.run, self.next_number, self.format.extension());
        self.next_number += 1;
        let spool = self.store.spool(&path)?;
        let encoder = Encoder::open(&self.format, columns, std::sync::Arc::clone(&schema), spool)
            .map_err(|source| self.format_error("opening", source))?;
        let gauges = Gauges::of(self.gauged, columns, &self.format);
        Ok(OpenFile { encoder, schema, columns: columns.to_vec(), path, gauges })
    }

    fn format_error(&self, doing: &'static str, source: crate::format::Error) -> Error {
        Error::Format { stream: self.stream.to_owned(), doing, source }
    }
}

/// Whether one file can hold both: types that are alike in memory may be stored in different ways.
fn is_stored_alike(one: &[Column], other: &[Column]) -> bool {
    one.iter().map(|column| column.kind).eq(other.iter().map(|column| column.kind))
}

/// Bytes that a batch takes in a file, at most. They follow from its values and not from the buffers that these share, so
/// that the same rows give the same files.
fn bytes_at_most(batch: &RecordBatch, format: &Format) -> u64 {
    let bytes = |values: &dyn Array| values.to_data().get_slice_memory_size().unwrap_or(0) as u64;
    let in_memory = batch.columns().iter().map(|values| bytes(values.as_ref())).sum();
    match format {
        Format::Parquet(_) => in_memory,
        // Every byte of a text may be a quote.
        Format::Csv(_) => 2 * in_memory + (batch.num_rows() * batch.num_columns()) as u64 * CSV_FIELD_BYTES,
    }
}

/// Reopens a closed file and proves that it holds the rows that were written to it.
pub(super) fn verify(stream: &str, file: &ClosedFile, format: &Format) -> Result<(), Error> {
    match format {
        Format::Parquet(_) => {
            let facts = crate::format::footer_facts(file.spooled.path()).map_err(|source| Error::Format {
                stream: stream.to_owned(),
                doing: "verifying",
                source,
            })?;
            if facts.rows != file.rows {
                return Err(Error::RowsDiffer { stream: stream.to_owned(), rows: file.rows, written: facts.rows });
            }
            Ok(())
        }
        // CSV has no footer; its size and checksum are proved by the store.
        Format::Csv(_) => Ok(()),
    }
}
