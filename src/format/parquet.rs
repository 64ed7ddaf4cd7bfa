//! Parquet, by who reads it.
//!
//! | | `powerbi` | `analytics` | why |
//! |---|---|---|---|
//! | version, data pages | 1.0, v1 | 2.6, v2 | old gateways know no other; v2 pages keep their levels out of the compression |
//! | encodings | PLAIN, dictionary | the same, and DELTA for numbers and text without a dictionary, RLE for booleans | smaller files for readers that know them |
//! | compression | Snappy | zstd, level 3 | half the size on the wire, for processors that have the time |
//! | statistics | of column chunks | of pages, too, with their index | engines skip pages by them; Power Query does not |
//! | row groups | bounded by rows and bytes | the same | memory: an open row group is most of what a run holds |
//! | Arrow schema in the footer | no | no | it says nothing that the Parquet schema does not, and changes with the library: the same rows would give other bytes |

use std::io::Write;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};

use crate::limits::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};
use crate::model::destination::Profile;

use super::error::Error;

/// Bytes of one data page: what the Power BI profile promises, and as good for others.
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
/// Where zstd is about as fast as the rest of the way; higher levels cost a multiple for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// A writer whose every option is decided here rather than by the library.
pub(super) fn open_writer<W: Write + Send>(
    profile: Profile,
    schema: &SchemaRef,
    sink: W,
) -> Result<ArrowWriter<W>, Error> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties(profile))
        .with_skip_arrow_metadata(true)
        .with_schema_root(SCHEMA_ROOT.to_owned());
    ArrowWriter::try_new_with_options(sink, SchemaRef::clone(schema), options)
        .map_err(|source| Error::Parquet { doing: "begin", source })
}

/// The options of a profile's files.
pub(super) fn properties(profile: Profile) -> WriterProperties {
    let (version, compression, statistics, has_index) = match profile {
        // Version 1.0 falls back to PLAIN where a dictionary does not pay.
        Profile::Powerbi => (WriterVersion::PARQUET_1_0, Compression::SNAPPY, EnabledStatistics::Chunk, false),
        Profile::Analytics => {
            let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("zstd has this level");
            (WriterVersion::PARQUET_2_0, Compression::ZSTD(level), EnabledStatistics::Page, true)
        }
    };
    WriterProperties::builder()
        .set_writer_version(version)
        .set_created_by("haul".to_owned())
        .set_key_value_metadata(None)
        .set_sorting_columns(None)
        .set_compression(compression)
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_statistics_enabled(statistics)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_write_page_header_statistics(false)
        .set_write_row_group_number_distinct_values(false)
        .set_offset_index_disabled(!has_index)
        .set_bloom_filter_enabled(false)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_coerce_types(false)
        .set_write_path_in_schema(true)
        .set_content_defined_chunking(None)
        .build()
}
