//! The room as its users see it: batches go in, files come out and are read back.

mod csv;
mod parquet;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use super::{Encoder, Kind};

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

pub(super) fn encoded(kind: Kind, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = Encoder::open(kind, batches[0].schema(), Vec::new()).expect("a file");
    for batch in batches {
        encoder.write(batch).expect("a batch written");
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let (bytes, facts) = encoder.finish().expect("a finished file");
    assert_eq!(facts.rows, rows as u64);
    bytes
}

pub(super) fn on_disk(bytes: &[u8]) -> (tempfile::NamedTempFile, File) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("bytes written");
    let reopened = file.reopen().expect("the file again");
    (file, reopened)
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    for kind in [Kind::Parquet, Kind::Csv] {
        let mut encoder = Encoder::open(kind, many(0, 1).schema(), Vec::new()).expect("a file");
        let error = encoder.write(&every_type()).expect_err("other columns");
        assert!(error.to_string().starts_with("a batch does not have the file's columns"), "{error}");
        assert_eq!(encoder.finish().expect("a file").1.rows, 0);
    }
}
