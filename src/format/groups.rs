//! Row groups of Parquet files of ours: between which values a column's lie in each, and where they stand, so that what
//! cannot hold a value is not read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::error::Error;
use super::read::{ParquetBatches, load_footer};
use super::storage::{restored, restored_schema};
use crate::limits::BATCH_ROWS;
use crate::model::column::Column;

/// Length of the footer and the magic number behind it.
const TRAILER_BYTES: u64 = 8;

/// The row groups of a file. Columns are named as the file spells them.
pub(crate) struct Groups<'a> {
    metadata: ArrowReaderMetadata,
    columns: &'a [Column],
}

/// Smallest and greatest values of some columns in one row group, as batches of one row with the types in memory. A text
/// may be shorter than the value that it bounds.
pub(crate) struct Bounds {
    pub(crate) smallest: RecordBatch,
    pub(crate) greatest: RecordBatch,
}

/// How many bytes at its end the footer of a file takes, whose last bytes must be there.
pub(crate) fn footer_bytes(mut file: &File) -> Result<u64, Error> {
    let wrong = |source| Error::Io { doing: "read the end of", source };
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.seek(SeekFrom::End(-(TRAILER_BYTES as i64))).map_err(wrong)?;
    file.read_exact(&mut trailer).map_err(wrong)?;
    let [a, b, c, d, ..] = trailer;
    Ok(u64::from(u32::from_le_bytes([a, b, c, d])) + TRAILER_BYTES)
}

impl<'a> Groups<'a> {
    /// Of a file that was written with these columns and whose footer is there.
    pub(crate) fn of(file: &File, columns: &'a [Column]) -> Result<Self, Error> {
        Ok(Groups { metadata: load_footer(file)?, columns })
    }

    /// How many rows each has.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.metadata.metadata().row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
    }

    /// Between which values the columns lie, group by group, in the order of the file. `None` = it is not known.
    pub(crate) fn bounds(&self, names: &[&str]) -> Result<Vec<Option<Bounds>>, Error> {
        let metadata = self.metadata.metadata();
        let (stored, parquet) = (self.metadata.schema(), metadata.file_metadata().schema_descr());
        let wrong = |source| Error::Parquet { doing: "read the statistics of", source };
        let mut fields: Vec<Field> = Vec::with_capacity(names.len());
        let (mut smallest, mut greatest): (Vec<ArrayRef>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for field in stored.fields().iter().filter(|field| names.contains(&field.name().as_str())) {
            let converter = StatisticsConverter::try_new(field.name(), stored, parquet).map_err(wrong)?;
            smallest.push(converter.row_group_mins(metadata.row_groups()).map_err(wrong)?);
            greatest.push(converter.row_group_maxes(metadata.row_groups()).map_err(wrong)?);
            fields.push(field.as_ref().clone());
        }
        let stored = Arc::new(Schema::new(fields));
        let in_memory = restored_schema(&stored, self.columns);
        let batch_of = |arrays: Vec<ArrayRef>| {
            let batch = RecordBatch::try_new(Arc::clone(&stored), arrays);
            restored(&batch.map_err(|source| Error::Batch { source })?, &in_memory)
        };
        let (smallest, greatest) = (batch_of(smallest)?, batch_of(greatest)?);
        let is_known = |batch: &RecordBatch, group: usize| batch.columns().iter().all(|values| values.is_valid(group));
        let bounds = |group: usize| {
            (is_known(&smallest, group) && is_known(&greatest, group))
                .then(|| Bounds { smallest: smallest.slice(group, 1), greatest: greatest.slice(group, 1) })
        };
        Ok((0..metadata.num_row_groups()).map(bounds).collect())
    }

    /// Where the columns of a group stand in the file.
    pub(crate) fn ranges(&self, names: &[&str], group: usize) -> Vec<Range<u64>> {
        let columns = self.metadata.metadata().row_group(group).columns().iter();
        let wanted = columns.filter(|column| names.contains(&column.column_path().string().as_str()));
        wanted.map(|column| column.byte_range()).map(|(start, bytes)| start..start + bytes).collect()
    }

    /// The columns of a group, in the order of the file. Their bytes must be there.
    pub(crate) fn read(&self, file: &File, names: &[&str], group: usize) -> Result<ParquetBatches, Error> {
        let file = file.try_clone().map_err(|source| Error::Io { doing: "open", source })?;
        let parquet = self.metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::columns(parquet, names.iter().copied());
        let inner = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .build()
            .map_err(|source| Error::Parquet { doing: "read", source })?;
        Ok(ParquetBatches::of(inner, self.columns))
    }
}
