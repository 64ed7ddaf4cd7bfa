//! Batches into files: a file is closed when it is large enough or when the columns changed, because a file has one
//! schema from its first row to its last. Works on a blocking thread.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::error::Error;
use crate::columns::schema_of;
use crate::format::{Encoder, Kind};
use crate::model::column::Column;
use crate::store::{Spool, Spooled, Store};

/// A closed file with the columns it holds.
pub(super) struct ClosedFile {
    pub spooled: Spooled,
    pub rows: u64,
    pub columns: Vec<Column>,
    pub path: String,
}

/// Where files are made and how they are named.
pub(super) struct PartWriter<'a> {
    pub store: &'a Store,
    pub stream: &'a str,
    pub run: &'a str,
    pub kind: Kind,
    pub part_bytes_max: u64,
    /// Number of the next file; grows over all writers of one stream, so that no name is used twice.
    pub next_number: u64,
    open: Option<OpenFile>,
}

struct OpenFile {
    encoder: Encoder<Spool>,
    schema: SchemaRef,
    columns: Vec<Column>,
    path: String,
}

impl<'a> PartWriter<'a> {
    pub(super) fn new(
        store: &'a Store,
        stream: &'a str,
        run: &'a str,
        kind: Kind,
        part_bytes_max: u64,
        next_number: u64,
    ) -> Self {
        PartWriter { store, stream, run, kind, part_bytes_max, next_number, open: None }
    }

    /// Writes a batch; returns the files that this closed, in order.
    pub(super) fn write(&mut self, batch: &RecordBatch, columns: &[Column]) -> Result<Vec<ClosedFile>, Error> {
        let mut closed = Vec::new();
        if self.open.as_ref().is_some_and(|open| open.schema != batch.schema()) {
            closed.extend(self.close()?);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file(batch.schema(), columns)?,
        };
        open.encoder.write(batch).map_err(|source| self.format_error("writing", source))?;
        let is_full = open.encoder.bytes_written_estimate() >= self.part_bytes_max;
        self.open = Some(open);
        if is_full {
            closed.extend(self.close()?);
        }
        Ok(closed)
    }

    /// Closes the open file, if there is one.
    pub(super) fn close(&mut self) -> Result<Option<ClosedFile>, Error> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let (spool, encoded) = open.encoder.finish().map_err(|source| self.format_error("closing", source))?;
        let spooled = spool.finish().map_err(|source| Error::Spool { stream: self.stream.to_owned(), source })?;
        Ok(Some(ClosedFile { spooled, rows: encoded.rows, columns: open.columns, path: open.path }))
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
        let path = crate::store::layout::part(self.stream, self.run, self.next_number, self.kind.extension());
        self.next_number += 1;
        let spool = self.store.spool(&path)?;
        let encoder = Encoder::open(self.kind, std::sync::Arc::clone(&schema), spool)
            .map_err(|source| self.format_error("opening", source))?;
        Ok(OpenFile { encoder, schema, columns: columns.to_vec(), path })
    }

    fn format_error(&self, doing: &'static str, source: crate::format::Error) -> Error {
        Error::Format { stream: self.stream.to_owned(), doing, source }
    }
}

/// Reopens a closed file and proves that it holds the rows that were written to it.
pub(super) fn verify(stream: &str, file: &ClosedFile, kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::Parquet => {
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
        Kind::Csv => Ok(()),
    }
}
