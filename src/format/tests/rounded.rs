//! Wide decimals as doubles: what the file stores, what is counted, what comes back.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
use parquet::basic::Type;

use super::{check_read_back, encoded, encoded_with_warnings, metadata_of, parquet_of};
use crate::model::destination::{Format, Profile, WideDecimals};
use crate::model::warning::{Warning, WarningKind};

fn rounded() -> Format {
    parquet_of(Profile::Powerbi, WideDecimals::Float)
}

fn decimals(columns: &[(&str, u8, i8, &[Option<i128>])]) -> RecordBatch {
    let columns = columns.iter().map(|(name, precision, scale, values)| {
        let values = Decimal128Array::from(values.to_vec()).with_precision_and_scale(*precision, *scale);
        (*name, Arc::new(values.expect("a type")) as ArrayRef, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

#[test]
fn only_wide_decimals_become_doubles_and_what_they_lose_is_counted() {
    let long = 12_345_678_901_234_567_890;
    let batch = decimals(&[
        ("money", 18, 4, &[Some(10_i128.pow(18) - 1), None, Some(-1), Some(0)]),
        ("wide", 38, 10, &[Some(long), None, Some(-long), Some(5)]),
        ("huge", 38, 0, &[Some(10_i128.pow(38) - 1), None, Some(1 << 80), Some(7)]),
        ("short", 19, 2, &[Some(1), None, Some(-25), Some(999_999_999_999_999)]),
    ]);
    let (bytes, warnings) = encoded_with_warnings(&rounded(), std::slice::from_ref(&batch));
    let rounded_in = |column: &str, count| Warning { column: column.into(), kind: WarningKind::DecimalRounded, count };
    assert_eq!(warnings, [rounded_in("wide", 2), rounded_in("huge", 2)]);
    let metadata = metadata_of(&bytes);
    let described = metadata.file_metadata().schema_descr();
    let types: Vec<Type> = described.columns().iter().map(|column| column.physical_type()).collect();
    assert_eq!(types, [Type::INT64, Type::DOUBLE, Type::DOUBLE, Type::DOUBLE]);
    let back = decimals(&[
        ("money", 18, 4, &[Some(10_i128.pow(18) - 1), None, Some(-1), Some(0)]),
        ("wide", 38, 10, &[Some(12_345_678_901_234_567_000), None, Some(-12_345_678_901_234_567_000), Some(5)]),
        (
            "huge",
            38,
            0,
            &[
                Some(9_999_999_999_999_998 * 10_i128.pow(22)),
                None,
                Some(12_089_258_196_146_292 * 10_i128.pow(8)),
                Some(7),
            ],
        ),
        ("short", 19, 2, &[Some(1), None, Some(-25), Some(999_999_999_999_999)]),
    ]);
    check_read_back(&bytes, &back);
    // A file that is written anew from what was read has the same doubles, and nothing more is counted.
    assert_eq!(encoded(&rounded(), &[back]), bytes);
}
