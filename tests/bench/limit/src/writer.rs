//! The table and its file, as haul makes them of the benchmark's records.

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

/// Rows of one batch: haul's `BATCH_ROWS`.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// What haul infers for a price.
pub(crate) const MONEY: DataType = DataType::Decimal128(18, 4);

/// The columns that haul infers for the records.
pub(crate) fn schema() -> SchemaRef {
    let fields = [
        ("id", DataType::Int64),
        ("guid", DataType::Utf8),
        ("customer", DataType::Utf8),
        ("email", DataType::Utf8),
        ("country", DataType::Utf8),
        ("ordered_at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("due_on", DataType::Date32),
        ("quantity", DataType::Int64),
        ("price", MONEY),
        ("discount", MONEY),
        ("is_paid", DataType::Boolean),
        ("status", DataType::Utf8),
        ("note", DataType::Utf8),
        ("address_street", DataType::Utf8),
        ("address_city", DataType::Utf8),
        ("reference", DataType::Utf8),
    ];
    Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
}

/// A writer with the properties of `src/format/parquet.rs` and the row groups of `src/limits.rs`.
pub(crate) fn open(schema: &SchemaRef, sink: File) -> Result<ArrowWriter<File>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(256 * 1024)
        .set_data_page_size_limit(1024 * 1024)
        .set_data_page_row_count_limit(20_000)
        .set_write_batch_size(1024)
        .set_max_row_group_row_count(Some(65_536))
        .set_max_row_group_bytes(Some(32 * 1024 * 1024))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64))
        .set_write_page_header_statistics(false)
        .set_offset_index_disabled(true)
        .set_bloom_filter_enabled(false)
        .set_coerce_types(false)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(sink, SchemaRef::clone(schema), options)
}
