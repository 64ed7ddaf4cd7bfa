//! Several Parquet files joined into one without decoding a value.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::encode::{Encoded, Kind};
use super::error::{Error, shown};
use super::parquet::{parquet_schema, properties};
use super::read::read_parquet;

/// Joins finished files of one kind and one schema, in order, into one. Gives the sink back, flushed, not synced.
pub(crate) fn concat<W: Write + Send>(kind: Kind, inputs: Vec<File>, sink: W) -> Result<W, Error> {
    match kind {
        Kind::Parquet => {
            let Some(first) = inputs.first() else { return Ok(sink) };
            let first = first.try_clone().map_err(|source| Error::Io { doing: "reopen", source })?;
            let schema = SchemaRef::clone(read_parquet(first)?.schema());
            concat_parquet(inputs.into_iter(), &schema, sink).map(|(sink, _)| sink)
        }
        Kind::Csv => concat_csv(inputs, sink),
    }
}

/// CSV files of ours begin with the same byte order mark and header line; only the first one's are kept.
fn concat_csv<W: Write>(inputs: Vec<File>, mut sink: W) -> Result<W, Error> {
    for (at, input) in inputs.into_iter().enumerate() {
        let mut input = BufReader::new(input);
        if at > 0 {
            let mut header = Vec::new();
            // Column names hold no line break, so the header ends with the first one.
            input.read_until(b'\n', &mut header).map_err(|source| Error::Io { doing: "read", source })?;
        }
        std::io::copy(&mut input, &mut sink).map_err(|source| Error::Io { doing: "join", source })?;
    }
    sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
    Ok(sink)
}

/// Writes the row groups of the inputs, in order, into one file. All inputs are files of ours with exactly `schema`.
/// Gives the sink back, flushed, not synced.
fn concat_parquet<W: Write + Send>(
    inputs: impl Iterator<Item = File>,
    schema: &SchemaRef,
    sink: W,
) -> Result<(W, Encoded), Error> {
    let root = parquet_schema(schema)?.root_schema_ptr();
    let mut writer = SerializedFileWriter::new(sink, Arc::clone(&root), Arc::new(properties()))
        .map_err(|source| Error::Parquet { doing: "begin", source })?;
    let mut rows = 0;
    for (at, input) in inputs.enumerate() {
        let source = input.try_clone().map_err(|source| Error::Io { doing: "reopen", source })?;
        let reader = SerializedFileReader::new(source)
            .map_err(|source| Error::Parquet { doing: "read the footer of", source })?;
        let described = reader.metadata().file_metadata().schema_descr();
        if described.root_schema() != &*root {
            let found =
                parquet_to_arrow_schema(described, None).map_or_else(|error| error.to_string(), |found| shown(&found));
            return Err(Error::OtherInput { input: at + 1, expected: shown(schema), found });
        }
        for group in reader.metadata().row_groups() {
            let mut target =
                writer.next_row_group().map_err(|source| Error::Parquet { doing: "add a row group to", source })?;
            append_group(&input, group, &mut target)?;
            target.close().map_err(|source| Error::Parquet { doing: "add a row group to", source })?;
            rows += row_count(group);
        }
    }
    let mut sink = writer.into_inner().map_err(|source| Error::Parquet { doing: "complete", source })?;
    sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
    Ok((sink, Encoded { rows }))
}

fn append_group<W: Write + Send>(
    input: &File,
    group: &RowGroupMetaData,
    target: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), Error> {
    for chunk in group.columns() {
        let close = ColumnCloseResult {
            bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or(0),
            rows_written: row_count(group),
            metadata: chunk.clone(),
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        target.append_column(input, close).map_err(|source| Error::Parquet { doing: "add a column to", source })?;
    }
    Ok(())
}

fn row_count(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).expect("the reader refuses a footer with a negative count")
}
