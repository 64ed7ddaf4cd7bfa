//! Parquet files against the Power BI profile: footers, pages, types, joined files.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::basic::{Compression, ConvertedType, Encoding, LogicalType, PageType, Repetition, TimeUnit, Type};

use super::{check_read_back, csv_as_usual, encoded, every_type, many, metadata_of, on_disk, open, pages_of, powerbi};
use crate::format::read::FooterFacts;
use crate::format::{concat, footer_facts};
use crate::limits::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};

/// What the Power BI profile promises of every file, whatever is in it.
fn check_profile(bytes: &[u8]) {
    let metadata = metadata_of(bytes);
    let file = metadata.file_metadata();
    assert_eq!(file.version(), 1);
    assert_eq!(file.created_by(), Some("haul"));
    assert!(file.key_value_metadata().is_none_or(Vec::is_empty), "{:?}", file.key_value_metadata());
    for column in file.schema_descr().columns() {
        assert_eq!(column.self_type().get_basic_info().repetition(), Repetition::OPTIONAL);
        assert_eq!(column.path().parts().len(), 1);
    }
    for group in metadata.row_groups() {
        assert!(group.num_rows() <= ROW_GROUP_ROWS as i64);
        for chunk in group.columns() {
            assert_eq!(chunk.compression(), Compression::SNAPPY);
            for encoding in chunk.encodings() {
                assert!(matches!(encoding, Encoding::PLAIN | Encoding::RLE | Encoding::RLE_DICTIONARY), "{encoding}");
            }
            assert!(chunk.statistics().is_some());
            assert!(chunk.bloom_filter_offset().is_none());
            assert!(chunk.offset_index_offset().is_none());
            assert!(chunk.column_index_offset().is_none());
        }
    }
    let (_kept, file) = on_disk(bytes);
    for (page_type, size, encoding) in pages_of(file) {
        assert!(matches!(page_type, PageType::DATA_PAGE | PageType::DICTIONARY_PAGE), "{page_type}");
        assert!(size <= 1024 * 1024 + 64 * 1024, "a page of {size} bytes");
        assert!(matches!(encoding, Encoding::PLAIN | Encoding::RLE_DICTIONARY), "{encoding}");
    }
}

#[test]
fn what_was_written_is_read_back() {
    let batch = every_type();
    check_read_back(&encoded(&powerbi(), std::slice::from_ref(&batch)), &batch);
    check_read_back(&encoded(&powerbi(), &[many(0, 1000), many(1000, 20_000)]), &many(0, 21_000));
    let empty = batch.slice(0, 0);
    check_read_back(&encoded(&powerbi(), std::slice::from_ref(&empty)), &empty);
}

#[test]
fn the_footer_is_the_profile_of_power_bi() {
    let bytes = encoded(&powerbi(), &[every_type()]);
    check_profile(&bytes);
    let metadata = metadata_of(&bytes);
    let micros = LogicalType::timestamp(false, TimeUnit::MICROS);
    let decimal = |scale, precision| Some(LogicalType::decimal(scale, precision));
    let expect = [
        ("id", Type::INT64, None),
        ("name", Type::BYTE_ARRAY, Some(LogicalType::String)),
        ("open", Type::BOOLEAN, None),
        ("amount", Type::INT64, decimal(4, 18)),
        ("huge", Type::FIXED_LEN_BYTE_ARRAY, decimal(0, 38)),
        ("wide", Type::FIXED_LEN_BYTE_ARRAY, decimal(10, 38)),
        ("rate", Type::DOUBLE, None),
        ("day", Type::INT32, Some(LogicalType::Date)),
        ("at", Type::INT64, Some(micros)),
    ];
    for (column, (name, physical, logical)) in metadata.file_metadata().schema_descr().columns().iter().zip(expect) {
        assert_eq!(column.name(), name);
        assert_eq!(column.physical_type(), physical, "{name}");
        assert_eq!(column.logical_type_ref(), logical.as_ref(), "{name}");
    }
    let name = metadata.file_metadata().schema_descr().column(1);
    assert_eq!(name.converted_type(), ConvertedType::UTF8);
}

#[test]
fn row_groups_are_bounded_by_rows() {
    let rows = ROW_GROUP_ROWS as i64;
    let bytes = encoded(&powerbi(), &[many(0, 50_000), many(50_000, rows)]);
    check_profile(&bytes);
    let groups: Vec<i64> = metadata_of(&bytes).row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [rows, 50_000]);
}

#[test]
fn row_groups_and_pages_are_bounded_by_bytes() {
    let text = |id: usize| (0..3000_usize).map(|at| char::from(b'a' + ((id * 31 + at * at * 7) % 26) as u8)).collect();
    let texts: Vec<String> = (0..16_000).map(text).collect();
    let values: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(texts));
    let batch = RecordBatch::try_from_iter_with_nullable([("a", values, true)]).expect("a batch");
    let slices: Vec<RecordBatch> = (0..16).map(|at| batch.slice(at * 1000, 1000)).collect();
    let bytes = encoded(&powerbi(), &slices);
    check_profile(&bytes);
    let groups = metadata_of(&bytes);
    assert!(groups.num_row_groups() > 1 || bytes.len() < ROW_GROUP_BYTES);
    for group in groups.row_groups() {
        assert!(group.compressed_size() <= (ROW_GROUP_BYTES + ROW_GROUP_BYTES / 8) as i64);
    }
    check_read_back(&bytes, &batch);
}

#[test]
fn the_estimate_counts_what_waits() {
    let mut encoder = open(&powerbi(), &many(0, 1));
    encoder.write(&many(0, 50_000)).expect("a batch written");
    let estimate = encoder.bytes_written_estimate();
    let size = encoder.finish().expect("a file").0.len() as u64;
    assert!(estimate > size / 2 && estimate < size * 4, "{estimate} for {size}");
}

#[test]
fn a_finished_file_tells_its_facts() {
    let batch = every_type();
    let bytes = encoded(&powerbi(), &[batch.clone(), batch.clone()]);
    let (kept, _file) = on_disk(&bytes);
    let facts = footer_facts(kept.path()).expect("a footer");
    assert_eq!(facts, FooterFacts { rows: 6, bytes: bytes.len() as u64, schema: batch.schema() });
    let (kept, _file) = on_disk(&bytes[..bytes.len() - 1]);
    let error = footer_facts(kept.path()).expect_err("a cut file");
    assert_eq!(error.to_string(), "cannot read the footer of the Parquet file");
    assert!(footer_facts(std::path::Path::new("/no/such/file")).is_err());
}

#[test]
fn files_are_joined_without_decoding() {
    let rows = ROW_GROUP_ROWS as i64;
    let parts = [many(0, 10), many(10, rows + 5), many(rows + 15, 0), many(rows + 15, 7)];
    let files: Vec<_> = parts.iter().map(|part| on_disk(&encoded(&powerbi(), std::slice::from_ref(part)))).collect();
    let inputs = files.iter().map(|(kept, _)| kept.reopen().expect("the file again")).collect();
    let bytes = concat(&powerbi(), inputs, Vec::new()).expect("a joined file");
    check_profile(&bytes);
    check_read_back(&bytes, &many(0, rows + 22));
    assert_eq!(metadata_of(&bytes).num_row_groups(), 4);
    let every = on_disk(&encoded(&powerbi(), &[every_type()]));
    let bytes = concat(&powerbi(), vec![every.1], Vec::new()).expect("a joined file");
    check_profile(&bytes);
    check_read_back(&bytes, &every_type());
}

#[test]
fn csv_files_are_joined_under_one_header() {
    let files = [many(0, 3), many(3, 2)].map(|part| on_disk(&encoded(&csv_as_usual(), &[part])).1);
    let joined = concat(&csv_as_usual(), files.into(), Vec::new()).expect("a joined file");
    assert_eq!(joined, encoded(&csv_as_usual(), &[many(0, 5)]));
}

#[test]
fn files_of_other_columns_are_not_joined() {
    let files = [many(0, 1), every_type()].map(|part| on_disk(&encoded(&powerbi(), &[part])).1);
    let error = concat(&powerbi(), files.into(), Vec::new()).expect_err("other columns");
    assert!(error.to_string().starts_with("input 2 of a joined Parquet file"), "{error}");
}

#[test]
fn the_same_batches_give_the_same_bytes() {
    let batches = [many(0, 5_000), many(5_000, 5_000)];
    assert_eq!(encoded(&powerbi(), &batches), encoded(&powerbi(), &batches));
}
