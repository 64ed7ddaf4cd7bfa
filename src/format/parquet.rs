//! Parquet as every reader of the last ten years takes it, Power BI's gateways among them.

use std::io::Write;

use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::SchemaDescriptor;

use crate::limits::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};

use super::error::Error;

/// Bytes of one data page: what the Power BI profile promises.
const PAGE_BYTES: usize = 1024 * 1024;
/// Values of one data page; short pages let readers skip, and this is the number that parquet-mr writes.
const PAGE_ROWS: usize = 20_000;
/// Bytes of the distinct values of one column in a row group. A column with more repeats too little to pay.
const DICTIONARY_BYTES: usize = 256 * 1024;
/// Values between two looks at the size of a page.
const WRITE_BATCH_ROWS: usize = 1024;
/// Bytes of a minimum or maximum in the footer.
const STATISTICS_BYTES: usize = 64;
/// Name of the root of the schema; named here so that a library's taste never changes our bytes.
const SCHEMA_ROOT: &str = "schema";

/// A writer whose every option is decided here rather than by the library.
pub(super) fn open_writer<W: Write + Send>(schema: &SchemaRef, sink: W) -> Result<ArrowWriter<W>, Error> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties())
        // The Arrow schema in the footer means nothing to other readers and changes with the library.
        .with_skip_arrow_metadata(true)
        .with_schema_root(SCHEMA_ROOT.to_owned());
    ArrowWriter::try_new_with_options(sink, SchemaRef::clone(schema), options)
        .map_err(|source| Error::Parquet { doing: "begin", source })
}

/// The Parquet schema of an Arrow schema, the same that [`open_writer`] writes.
pub(super) fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor, Error> {
    ArrowSchemaConverter::new()
        .with_coerce_types(false)
        .schema_root(SCHEMA_ROOT)
        .convert(schema)
        .map_err(|source| Error::Parquet { doing: "describe the columns of", source })
}

/// The Power BI profile. Encodings are PLAIN and dictionary only, because version 1.0 falls back to PLAIN.
pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("haul".to_owned())
        .set_key_value_metadata(None)
        .set_sorting_columns(None)
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_write_page_header_statistics(false)
        .set_write_row_group_number_distinct_values(false)
        // Readers of version 1 know neither; page indexes come after the row groups and confuse none, but help none.
        .set_offset_index_disabled(true)
        .set_bloom_filter_enabled(false)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_coerce_types(false)
        .set_write_path_in_schema(true)
        .set_content_defined_chunking(None)
        .build()
}
