//! One file while it is written.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;

use super::csv::CsvWriter;
use super::error::{Error, shown};
use super::parquet::open_writer;
use super::storage::Storage;
use crate::model::column::Column;
use crate::model::destination::Format;
use crate::model::warning::Warning;

/// What a finished file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) rows: u64,
    /// Values that the file does not hold as they were in memory.
    pub(crate) warnings: Vec<Warning>,
}

/// Writes batches of one schema into one file.
///
/// - Every batch has exactly the schema that the file was opened with.
/// - The file is whole only after [`Encoder::finish`].
pub(crate) struct Encoder<W: Write + Send> {
    form: Form<W>,
    schema: SchemaRef,
    rows: u64,
}

enum Form<W: Write + Send> {
    Parquet { writer: Box<ArrowWriter<W>>, storage: Storage, lost: Vec<u64> },
    Csv(Box<CsvWriter<W>>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a file; a CSV file gets its header at once. `columns` are those of `schema`, in its order.
    pub(crate) fn open(format: &Format, columns: &[Column], schema: SchemaRef, sink: W) -> Result<Self, Error> {
        let form = match format {
            Format::Parquet(form) => {
                let storage = Storage::of(*form, columns, &schema);
                let writer = Box::new(open_writer(form.profile, storage.schema(), sink)?);
                Form::Parquet { writer, lost: vec![0; columns.len()], storage }
            }
            Format::Csv(form) => Form::Csv(Box::new(CsvWriter::open(form, columns, sink)?)),
        };
        Ok(Encoder { form, schema, rows: 0 })
    }

    /// Adds the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(Error::OtherSchema { expected: shown(&self.schema), found: shown(batch.schema_ref()) });
        }
        match &mut self.form {
            Form::Parquet { writer, storage, lost } => {
                let batch = storage.stored(batch, lost)?;
                writer.write(&batch).map_err(|source| Error::Parquet { doing: "add a batch to", source })?;
            }
            Form::Csv(writer) => writer.write(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes that the file would have about now, those that wait in an unfinished row group included.
    pub(crate) fn bytes_written_estimate(&self) -> u64 {
        match &self.form {
            Form::Parquet { writer, .. } => (writer.bytes_written() + writer.in_progress_size()) as u64,
            Form::Csv(writer) => writer.bytes_written(),
        }
    }

    /// Completes the file and gives the sink back; it was flushed, not synced.
    pub(crate) fn finish(self) -> Result<(W, Encoded), Error> {
        let (mut sink, warnings) = match self.form {
            Form::Parquet { writer, storage, lost } => {
                let sink = writer.into_inner().map_err(|source| Error::Parquet { doing: "complete", source })?;
                (sink, storage.warnings(&lost).collect())
            }
            Form::Csv(writer) => writer.into_inner(),
        };
        sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
        Ok((sink, Encoded { rows: self.rows, warnings }))
    }
}
