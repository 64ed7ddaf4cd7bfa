//! One file while it is written.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;

use super::csv::CsvWriter;
use super::error::{Error, shown};
use super::parquet::open_writer;

/// The kinds of files we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Parquet,
    Csv,
}

impl Kind {
    /// Ending of a file of this kind, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Kind::Parquet => "parquet",
            Kind::Csv => "csv",
        }
    }
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) rows: u64,
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
    Parquet(Box<ArrowWriter<W>>),
    Csv(CsvWriter<W>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a file; a CSV file gets its header at once.
    pub(crate) fn open(kind: Kind, schema: SchemaRef, sink: W) -> Result<Self, Error> {
        let form = match kind {
            Kind::Parquet => Form::Parquet(Box::new(open_writer(&schema, sink)?)),
            Kind::Csv => Form::Csv(CsvWriter::open(&schema, sink)?),
        };
        Ok(Encoder { form, schema, rows: 0 })
    }

    /// Adds the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(Error::OtherSchema { expected: shown(&self.schema), found: shown(batch.schema_ref()) });
        }
        match &mut self.form {
            Form::Parquet(writer) => {
                writer.write(batch).map_err(|source| Error::Parquet { doing: "add a batch to", source })?;
            }
            Form::Csv(writer) => writer.write(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes that the file would have about now, those that wait in an unfinished row group included.
    pub(crate) fn bytes_written_estimate(&self) -> u64 {
        match &self.form {
            Form::Parquet(writer) => (writer.bytes_written() + writer.in_progress_size()) as u64,
            Form::Csv(writer) => writer.bytes_written(),
        }
    }

    /// Completes the file and gives the sink back; it was flushed, not synced.
    pub(crate) fn finish(self) -> Result<(W, Encoded), Error> {
        let mut sink = match self.form {
            Form::Parquet(writer) => {
                writer.into_inner().map_err(|source| Error::Parquet { doing: "complete", source })?
            }
            Form::Csv(writer) => writer.into_inner(),
        };
        sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
        Ok((sink, Encoded { rows: self.rows }))
    }
}
