//! Parquet files of ours, read back.

use std::fs::File;
use std::path::Path;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::limits::BATCH_ROWS;
use crate::model::column::Column;

use super::error::Error;
use super::storage::{restored, restored_schema};

/// What a finished file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FooterFacts {
    pub(crate) rows: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// As the file stores the columns.
    pub(crate) schema: SchemaRef,
}

/// The batches of a Parquet file, in order, [`BATCH_ROWS`] rows each but for the last, with the types that the columns
/// have in memory.
pub(crate) struct ParquetBatches {
    schema: SchemaRef,
    inner: ParquetRecordBatchReader,
}

impl ParquetBatches {
    pub(super) fn of(inner: ParquetRecordBatchReader, columns: &[Column]) -> Self {
        ParquetBatches { schema: restored_schema(&inner.schema(), columns), inner }
    }
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next()?.map_err(|source| Error::Batch { source });
        Some(batch.and_then(|batch| restored(&batch, &self.schema)))
    }
}

/// Opens a Parquet file of ours, written with these columns; what is not among them has the type that the file stores.
pub(crate) fn read_parquet(file: File, columns: &[Column]) -> Result<ParquetBatches, Error> {
    let metadata = load_footer(&file)?;
    let inner = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|source| Error::Parquet { doing: "read", source })?;
    Ok(ParquetBatches::of(inner, columns))
}

/// The same for reading some of its columns only, in the order of the file.
pub(crate) fn read_parquet_columns(file: File, names: &[&str], columns: &[Column]) -> Result<ParquetBatches, Error> {
    let metadata = load_footer(&file)?;
    let mask = ProjectionMask::columns(metadata.metadata().file_metadata().schema_descr(), names.iter().copied());
    let inner = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BATCH_ROWS)
        .with_projection(mask)
        .build()
        .map_err(|source| Error::Parquet { doing: "read", source })?;
    Ok(ParquetBatches::of(inner, columns))
}

/// Reopens a finished file and reads its footer.
pub(crate) fn footer_facts(path: &Path) -> Result<FooterFacts, Error> {
    let file = File::open(path).map_err(|source| Error::Io { doing: "reopen", source })?;
    let bytes = file.metadata().map_err(|source| Error::Io { doing: "measure", source })?.len();
    let metadata = load_footer(&file)?;
    let groups = metadata.metadata().row_groups();
    let rows = groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum();
    Ok(FooterFacts { rows, bytes, schema: SchemaRef::clone(metadata.schema()) })
}

pub(super) fn load_footer(file: &File) -> Result<ArrowReaderMetadata, Error> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ArrowReaderMetadata::load(file, options).map_err(|source| Error::Parquet { doing: "read the footer of", source })
}
