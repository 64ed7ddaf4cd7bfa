//! The room as its users see it: batches go in, files come out and are read back.

mod analytics;
mod csv;
mod csv_forms;
mod parquet;
mod rounded;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use ::parquet::basic::{Encoding, PageType};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};

use super::{Encoder, read_parquet};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::csv_form::CsvForm;
use crate::model::destination::{Format, ParquetForm, Profile, WideDecimals};
use crate::model::warning::Warning;

/// 2024-01-31T12:00:00.
pub(super) const MOMENT: i64 = 1_706_702_400_000_000;

/// Three rows of every type: an ordinary one, nulls, and an odd one.
pub(super) fn every_type() -> RecordBatch {
    let decimals = |values: [Option<i128>; 3], precision, scale| -> ArrayRef {
        let values = Decimal128Array::from(values.to_vec());
        Arc::new(values.with_precision_and_scale(precision, scale).expect("a valid decimal type"))
    };
    let columns: [(&str, ArrayRef); 9] = [
        ("id", Arc::new(Int64Array::from(vec![Some(7), None, Some(i64::MIN)]))),
        ("name", Arc::new(StringArray::from(vec![Some("Müller, \"Ä\"\r\nB"), None, Some("")]))),
        ("open", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("amount", decimals([Some(125_000), None, Some(-5)], 18, 4)),
        ("huge", decimals([Some(i128::from(u64::MAX) * 10), None, Some(0)], 38, 0)),
        ("wide", decimals([Some(1), None, Some(-10_i128.pow(37))], 38, 10)),
        ("rate", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1e300)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(19_753), None, Some(-1)]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(MOMENT), None, Some(MOMENT + 120)]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).expect("a batch")
}

/// `rows` rows of a number, a text that repeats and one that does not.
pub(super) fn many(start: i64, rows: i64) -> RecordBatch {
    let ids = Int64Array::from_iter_values(start..start + rows);
    let words = StringArray::from_iter_values((start..start + rows).map(|id| format!("word {}", id % 50)));
    let texts = StringArray::from_iter_values((start..start + rows).map(|id| format!("{:030}", id * 7_919)));
    let columns: [(&str, ArrayRef); 3] = [("id", Arc::new(ids)), ("word", Arc::new(words)), ("text", Arc::new(texts))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).expect("a batch")
}

/// Columns of a test's batch; a timestamp whose name begins with `utc` is an instant.
pub(super) fn columns_of(schema: &Schema) -> Vec<Column> {
    let column = |(name, kind): (&String, &DataType)| Column {
        name: name.clone(),
        path: vec![name.clone()],
        kind: match kind {
            DataType::Boolean => ColumnType::Boolean,
            DataType::Int64 => ColumnType::Integer,
            DataType::Decimal128(precision, scale) => {
                ColumnType::Decimal { precision: *precision, scale: u8::try_from(*scale).expect("a scale") }
            }
            DataType::Float64 => ColumnType::Float,
            DataType::Date32 => ColumnType::Date,
            DataType::Timestamp(..) if name.starts_with("utc") => ColumnType::Instant,
            DataType::Timestamp(..) => ColumnType::DateTime,
            _ => ColumnType::Text,
        },
        origin: TypeOrigin::Inferred,
    };
    schema.fields().iter().map(|field| column((field.name(), field.data_type()))).collect()
}

pub(super) fn parquet_of(profile: Profile, wide_decimals: WideDecimals) -> Format {
    Format::Parquet(ParquetForm { profile, wide_decimals })
}

pub(super) fn powerbi() -> Format {
    parquet_of(Profile::Powerbi, WideDecimals::Exact)
}

pub(super) fn analytics() -> Format {
    parquet_of(Profile::Analytics, WideDecimals::Exact)
}

pub(super) fn csv_as_usual() -> Format {
    Format::Csv(Box::default())
}

pub(super) fn csv_of(form: CsvForm) -> Format {
    Format::Csv(Box::new(form))
}

pub(super) fn open(format: &Format, batch: &RecordBatch) -> Encoder<Vec<u8>> {
    Encoder::open(format, &columns_of(batch.schema_ref()), batch.schema(), Vec::new()).expect("a file")
}

pub(super) fn encoded(format: &Format, batches: &[RecordBatch]) -> Vec<u8> {
    let (bytes, warnings) = encoded_with_warnings(format, batches);
    assert_eq!(warnings, []);
    bytes
}

pub(super) fn encoded_with_warnings(format: &Format, batches: &[RecordBatch]) -> (Vec<u8>, Vec<Warning>) {
    let mut encoder = open(format, &batches[0]);
    for batch in batches {
        encoder.write(batch).expect("a batch written");
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let (bytes, facts) = encoder.finish().expect("a finished file");
    assert_eq!(facts.rows, rows as u64);
    (bytes, facts.warnings)
}

pub(super) fn on_disk(bytes: &[u8]) -> (tempfile::NamedTempFile, File) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("bytes written");
    let reopened = file.reopen().expect("the file again");
    (file, reopened)
}

/// The file holds this batch, with the types that it had in memory.
pub(super) fn check_read_back(bytes: &[u8], expect: &RecordBatch) {
    let (_kept, file) = on_disk(bytes);
    let batches = read_parquet(file, &columns_of(expect.schema_ref())).expect("a Parquet file");
    let batches: Vec<RecordBatch> = batches.map(|batch| batch.expect("a batch")).collect();
    assert_eq!(concat_batches(expect.schema_ref(), &batches).expect("one batch"), *expect);
}

pub(super) fn metadata_of(bytes: &[u8]) -> ParquetMetaData {
    let (_kept, file) = on_disk(bytes);
    SerializedFileReader::new(file).expect("a Parquet file").metadata().clone()
}

/// Page types and sizes of every column chunk.
pub(super) fn pages_of(file: File) -> Vec<(PageType, usize, Encoding)> {
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let mut pages = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("a row group");
        for column in 0..group.num_columns() {
            for page in group.get_column_page_reader(column).expect("pages") {
                let page = page.expect("a page");
                pages.push((page.page_type(), page.buffer().len(), page.encoding()));
            }
        }
    }
    pages
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    for format in [powerbi(), analytics(), csv_as_usual()] {
        let mut encoder = open(&format, &many(0, 1));
        let error = encoder.write(&every_type()).expect_err("other columns");
        assert!(error.to_string().starts_with("a batch does not have the file's columns"), "{error}");
        assert_eq!(encoder.finish().expect("a file").1.rows, 0);
    }
}
