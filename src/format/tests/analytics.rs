//! Parquet files against the profile of analytical engines: footers, pages, page index, instants, joined files.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};
use parquet::basic::{Compression, LogicalType, PageType, Repetition, TimeUnit, Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use super::{
    MOMENT, analytics, check_read_back, encoded, every_type, many, metadata_of, on_disk, pages_of, parquet_of, powerbi,
};
use crate::format::concat;
use crate::limits::ROW_GROUP_ROWS;
use crate::model::destination::{Profile, WideDecimals};

/// What the profile promises of every file, whatever is in it.
fn check_profile(bytes: &[u8]) {
    let (_kept, file) = on_disk(bytes);
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&file)
        .expect("a Parquet file with a page index");
    let described = metadata.file_metadata();
    assert_eq!((described.version(), described.created_by()), (2, Some("haul")));
    assert!(described.key_value_metadata().is_none_or(Vec::is_empty), "{:?}", described.key_value_metadata());
    for column in described.schema_descr().columns() {
        assert_eq!(column.self_type().get_basic_info().repetition(), Repetition::OPTIONAL);
    }
    for (number, group) in metadata.row_groups().iter().enumerate() {
        assert!(group.num_rows() <= ROW_GROUP_ROWS as i64);
        let index = metadata.page_index_for_row_group(number);
        for (at, chunk) in group.columns().iter().enumerate() {
            // A footer does not tell the level.
            assert!(matches!(chunk.compression(), Compression::ZSTD(_)), "{}", chunk.compression());
            assert!(chunk.statistics().is_some() && chunk.bloom_filter_offset().is_none());
            assert!(index.column_index(at).is_some(), "column {at} of row group {number}");
            let pages = index.page_locations(at).expect("places of pages");
            assert!(!pages.is_empty());
            // The places are those of this file, not of the one that a joined row group came from.
            let range = chunk.byte_range();
            let (start, end) = (range.0 as i64, (range.0 + range.1) as i64);
            assert!(pages.iter().all(|page| (start..end).contains(&page.offset)));
        }
    }
    for (page_type, size, _) in pages_of(file) {
        assert!(matches!(page_type, PageType::DATA_PAGE_V2 | PageType::DICTIONARY_PAGE), "{page_type}");
        assert!(size <= 1024 * 1024 + 64 * 1024, "a page of {size} bytes");
    }
}

fn instants() -> RecordBatch {
    let micros = |values: [Option<i64>; 3]| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(values.to_vec())) };
    // The last ones lie far outside of the years that Power BI shows.
    let columns = [
        ("at", micros([Some(MOMENT), None, Some(-100_000_000_000_000_000)])),
        ("utc_at", micros([Some(MOMENT), None, Some(300_000_000_000_000_000)])),
        ("rate", Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(f64::NEG_INFINITY)])) as ArrayRef),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).expect("a batch")
}

#[test]
fn the_footer_is_the_profile_of_analytical_engines() {
    for batch in [every_type(), instants(), many(0, 60_000)] {
        let bytes = encoded(&analytics(), std::slice::from_ref(&batch));
        check_profile(&bytes);
        check_read_back(&bytes, &batch);
        assert_eq!(bytes, encoded(&analytics(), &[batch]));
    }
}

#[test]
fn only_instants_are_adjusted_to_utc_and_only_here() {
    let timestamp = |is_adjusted| Some(LogicalType::timestamp(is_adjusted, TimeUnit::MICROS));
    for (format, expect) in [(powerbi(), [false, false]), (analytics(), [false, true])] {
        let bytes = encoded(&format, &[instants()]);
        let metadata = metadata_of(&bytes);
        let described = metadata.file_metadata().schema_descr();
        for (at, is_adjusted) in expect.into_iter().enumerate() {
            let column = described.column(at);
            assert_eq!(column.physical_type(), Type::INT64);
            assert_eq!(column.logical_type_ref(), timestamp(is_adjusted).as_ref(), "{}", column.name());
        }
        check_read_back(&bytes, &instants());
    }
}

#[test]
fn joined_files_keep_their_page_index() {
    let rows = ROW_GROUP_ROWS as i64;
    let parts = [many(0, 10), many(10, rows + 5), many(rows + 15, 0), many(rows + 15, 30_000)];
    let files = parts.map(|part| on_disk(&encoded(&analytics(), &[part])).1);
    let bytes = concat(&analytics(), files.into(), Vec::new()).expect("a joined file");
    check_profile(&bytes);
    check_read_back(&bytes, &many(0, rows + 30_015));
}

#[test]
fn files_of_other_profiles_are_not_joined() {
    let mixed = [powerbi(), analytics()].map(|format| on_disk(&encoded(&format, &[instants()])).1);
    let error = concat(&analytics(), mixed.into(), Vec::new()).expect_err("other types");
    assert!(error.to_string().starts_with("input 2 of a joined Parquet file"), "{error}");
    let rounded = parquet_of(Profile::Powerbi, WideDecimals::Float);
    let wide = every_type().project(&[5]).expect("a column");
    let mixed = [powerbi(), rounded].map(|format| on_disk(&encoded_any(&format, &wide)).1);
    assert!(concat(&powerbi(), mixed.into(), Vec::new()).is_err());
}

fn encoded_any(format: &crate::model::destination::Format, batch: &RecordBatch) -> Vec<u8> {
    super::encoded_with_warnings(format, std::slice::from_ref(batch)).0
}
