//! Several files joined into one without decoding a value.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use parquet::arrow::parquet_to_arrow_schema;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{SchemaDescriptor, TypePtr};

use super::csv::BYTE_ORDER_MARK;
use super::error::{Error, shown};
use super::parquet::properties;
use crate::model::csv_form::CsvForm;
use crate::model::destination::{Format, Profile};

/// Joins finished files of one form and one schema, in order, into one. Gives the sink back, flushed, not synced.
pub(crate) fn concat<W: Write + Send>(format: &Format, inputs: Vec<File>, sink: W) -> Result<W, Error> {
    match format {
        Format::Parquet(form) => concat_parquet(form.profile, inputs, sink),
        Format::Csv(form) => concat_csv(form, inputs, sink),
    }
}

/// CSV files of one form begin with the same byte order mark and header line; only the first one's are kept.
fn concat_csv<W: Write>(form: &CsvForm, inputs: Vec<File>, mut sink: W) -> Result<W, Error> {
    for (at, input) in inputs.into_iter().enumerate() {
        let mut input = BufReader::new(input);
        if at > 0 && form.header {
            let mut header = Vec::new();
            // Column names hold no line break, so the header ends with the first one.
            input.read_until(b'\n', &mut header).map_err(|source| Error::Io { doing: "read", source })?;
        } else if at > 0 && form.bom {
            let mut mark = [0; BYTE_ORDER_MARK.len()];
            input.read_exact(&mut mark).map_err(|source| Error::Io { doing: "read", source })?;
        }
        std::io::copy(&mut input, &mut sink).map_err(|source| Error::Io { doing: "join", source })?;
    }
    sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
    Ok(sink)
}

/// Writes the row groups of the inputs, in order, into one file with the schema of the first.
fn concat_parquet<W: Write + Send>(profile: Profile, inputs: Vec<File>, sink: W) -> Result<W, Error> {
    let mut sink = Some(sink);
    let mut joined: Option<(SerializedFileWriter<W>, TypePtr)> = None;
    for (at, input) in inputs.into_iter().enumerate() {
        // The files of `powerbi` have no page index.
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&input)
            .map_err(|source| Error::Parquet { doing: "read the footer of", source })?;
        let described = metadata.file_metadata().schema_descr();
        let (writer, root) = match (&mut joined, sink.take()) {
            (Some(joined), _) => joined,
            (joined @ None, Some(sink)) => {
                let root = described.root_schema_ptr();
                let writer = SerializedFileWriter::new(sink, Arc::clone(&root), Arc::new(properties(profile)))
                    .map_err(|source| Error::Parquet { doing: "begin", source })?;
                joined.insert((writer, root))
            }
            (None, None) => unreachable!("the sink goes to the writer of the first input"),
        };
        if described.root_schema() != &**root {
            let shown = |root: &TypePtr| {
                let described = SchemaDescriptor::new(Arc::clone(root));
                parquet_to_arrow_schema(&described, None).map_or_else(|error| error.to_string(), |found| shown(&found))
            };
            let (expected, found) = (shown(root), shown(&described.root_schema_ptr()));
            return Err(Error::OtherInput { input: at + 1, expected, found });
        }
        for number in 0..metadata.num_row_groups() {
            let adding = |source| Error::Parquet { doing: "add a row group to", source };
            let mut target = writer.next_row_group().map_err(adding)?;
            append_group(&input, &metadata, number, &mut target)?;
            target.close().map_err(adding)?;
        }
    }
    let mut sink = match (joined, sink) {
        (Some((writer, _)), _) => writer.into_inner().map_err(|source| Error::Parquet { doing: "complete", source })?,
        (None, sink) => sink.expect("without an input nothing took the sink"),
    };
    sink.flush().map_err(|source| Error::Io { doing: "flush", source })?;
    Ok(sink)
}

fn append_group<W: Write + Send>(
    input: &File,
    metadata: &ParquetMetaData,
    number: usize,
    target: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), Error> {
    let group = metadata.row_group(number);
    let index = metadata.page_index_for_row_group(number);
    let rows_written = u64::try_from(group.num_rows()).expect("the reader refuses a footer with a negative count");
    for (at, chunk) in group.columns().iter().enumerate() {
        let close = ColumnCloseResult {
            bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or(0),
            rows_written,
            metadata: chunk.clone(),
            bloom_filter: None,
            column_index: index.column_index(at).cloned(),
            offset_index: index.offset_index(at).cloned(),
        };
        target.append_column(input, close).map_err(|source| Error::Parquet { doing: "add a column to", source })?;
    }
    Ok(())
}
