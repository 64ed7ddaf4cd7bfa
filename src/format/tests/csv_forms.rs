//! Every option of a CSV file, to the byte.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::{csv_of, encoded, encoded_with_warnings, every_type, on_disk, open};
use crate::format::concat;
use crate::model::csv_form::{CsvForm, LineEnd, Quotes};
use crate::model::warning::{Warning, WarningKind};

/// Without byte order mark and with short line ends, for shorter tests.
fn plain() -> CsvForm {
    CsvForm { bom: false, line_end: LineEnd::Lf, ..CsvForm::default() }
}

fn check(form: CsvForm, batch: &RecordBatch, expect: &str) {
    let bytes = encoded(&csv_of(form), std::slice::from_ref(batch));
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), expect);
}

fn texts(values: &[Option<&str>]) -> RecordBatch {
    let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("a", values, true)]).expect("a batch")
}

#[test]
fn a_file_for_a_comma_country() {
    let form = CsvForm {
        delimiter: ';',
        decimal_point: ',',
        true_text: "WAAR".to_owned(),
        false_text: "ONWAAR".to_owned(),
        date_format: Some("%d-%m-%Y".to_owned()),
        ..plain()
    };
    let expect = "id;name;open;amount;huge;wide;rate;day;at\n\
        7;\"Müller, \"\"Ä\"\"\r\nB\";WAAR;12,5000;184467440737095516150;0,0000000001;0,1;31-01-2024;2024-01-31T12:00:00\n\
        ;;;;;;;;\n\
        -9223372036854775808;\"\";ONWAAR;-0,0005;0;-1000000000000000000000000000,0000000000;-1e300;31-12-1969;2024-01-31T12:00:00.00012\n";
    check(form, &every_type(), expect);
}

#[test]
fn quotes_stand_where_the_job_wants_them() {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(StringArray::from(vec![Some("x"), None, Some("")]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("c", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-2.0)]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)));
    let batch = batch.expect("a batch");
    let quoted = |quotes| CsvForm { quotes, ..plain() };
    check(quoted(Quotes::Needed), &batch, "a,b,c\nx,true,1.5\n,,\n\"\",false,-2\n");
    check(quoted(Quotes::Strings), &batch, "\"a\",\"b\",\"c\"\n\"x\",true,1.5\n,,\n\"\",false,-2\n");
    let all = "\"a\",\"b\",\"c\"\n\"x\",\"true\",\"1.5\"\n,,\n\"\",\"false\",\"-2\"\n";
    check(quoted(Quotes::All), &batch, all);
}

#[test]
fn null_is_never_taken_for_a_text() {
    let batch = texts(&[None, Some("NULL"), Some(""), Some("null")]);
    let form = CsvForm { null_text: "NULL".to_owned(), ..plain() };
    check(form.clone(), &batch, "a\nNULL\n\"NULL\"\n\"\"\nnull\n");
    check(CsvForm { quotes: Quotes::All, ..form }, &batch, "\"a\"\nNULL\n\"NULL\"\n\"\"\n\"null\"\n");
}

#[test]
fn only_the_delimiter_of_the_file_needs_quotes() {
    let batch = texts(&[Some("a,b"), Some("a;b"), Some("a|b"), Some("a\tb")]);
    check(plain(), &batch, "a\n\"a,b\"\na;b\na|b\na\tb\n");
    check(CsvForm { delimiter: ';', ..plain() }, &batch, "a\na,b\n\"a;b\"\na|b\na\tb\n");
    check(CsvForm { delimiter: '|', ..plain() }, &batch, "a\na,b\na;b\n\"a|b\"\na\tb\n");
    check(CsvForm { delimiter: '\t', ..plain() }, &batch, "a\na,b\na;b\na|b\n\"a\tb\"\n");
}

#[test]
fn a_null_alone_in_its_row_needs_a_spelling() {
    let batch = texts(&[Some("x"), None]);
    let written = |form: CsvForm| open(&csv_of(form), &batch).write(&batch);
    let error = written(plain()).expect_err("a blank line");
    assert!(error.to_string().contains("null_text"), "{error}");
    written(CsvForm { null_text: "NULL".to_owned(), ..plain() }).expect("a word");
}

#[test]
fn formulas_are_guarded_and_counted() {
    let batch = texts(&[Some("=1+1"), Some("+1"), Some("-1"), Some("@x"), Some("\tx"), Some("a=1"), Some("-1,2")]);
    let form = CsvForm { guard_formulas: true, ..plain() };
    let (bytes, warnings) = encoded_with_warnings(&csv_of(form), &[batch]);
    let expect = "a\n'=1+1\n'+1\n'-1\n'@x\n'\tx\na=1\n\"'-1,2\"\n";
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), expect);
    assert_eq!(warnings, [Warning { column: "a".to_owned(), kind: WarningKind::FormulaGuarded, count: 6 }]);
    // Numbers are no texts.
    check(CsvForm { guard_formulas: true, ..plain() }, &floats(&[-1.0]), "a\n-1\n");
}

fn floats(values: &[f64]) -> RecordBatch {
    let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("a", values, true)]).expect("a batch")
}

#[test]
fn numbers_that_are_not_finite_have_the_words_of_odata() {
    let batch = floats(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e16]);
    check(plain(), &batch, "a\nINF\n-INF\nNaN\n1e16\n");
    check(CsvForm { delimiter: ';', decimal_point: ',', ..plain() }, &floats(&[1.5e20]), "a\n1,5e20\n");
}

#[test]
fn timestamps_are_spelled_as_the_job_says() {
    let micros = |values: &[i64]| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(values.to_vec())) };
    let values = [super::MOMENT, super::MOMENT + 120, -1];
    let columns = [("at", micros(&values), true), ("utc_at", micros(&values), true)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let marked = "at,utc_at\n2024-01-31T12:00:00,2024-01-31T12:00:00Z\n\
        2024-01-31T12:00:00.00012,2024-01-31T12:00:00.00012Z\n\
        1969-12-31T23:59:59.999999,1969-12-31T23:59:59.999999Z\n";
    check(CsvForm { utc_mark: true, ..plain() }, &batch, marked);
    let spelled = |format: &str| CsvForm { datetime_format: Some(format.to_owned()), ..plain() };
    let whole = "at,utc_at\n31/01/2024 12:00:00.000000,31/01/2024 12:00:00.000000\n\
        31/01/2024 12:00:00.000120,31/01/2024 12:00:00.000120\n\
        31/12/1969 23:59:59.999999,31/12/1969 23:59:59.999999\n";
    check(spelled("%d/%m/%Y %H:%M:%S%.6f"), &batch, whole);
    let (bytes, warnings) = encoded_with_warnings(&csv_of(spelled("%Y-%m-%d %H:%M:%S")), &[batch]);
    let cut = "at,utc_at\n2024-01-31 12:00:00,2024-01-31 12:00:00\n2024-01-31 12:00:00,2024-01-31 12:00:00\n\
        1969-12-31 23:59:59,1969-12-31 23:59:59\n";
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), cut);
    let warning = |column: &str| Warning { column: column.to_owned(), kind: WarningKind::FractionTruncated, count: 2 };
    assert_eq!(warnings, [warning("at"), warning("utc_at")]);
}

#[test]
fn files_are_joined_whatever_they_begin_with() {
    for (bom, header) in [(true, true), (true, false), (false, true), (false, false)] {
        let format = csv_of(CsvForm { bom, header, ..plain() });
        let parts = [texts(&[Some("x")]), texts(&[Some("y"), Some("z")])];
        let files = parts.clone().map(|part| on_disk(&encoded(&format, &[part])).1);
        let joined = concat(&format, files.into(), Vec::new()).expect("a joined file");
        assert_eq!(joined, encoded(&format, &parts));
        let text = String::from_utf8(joined).expect("UTF-8");
        assert_eq!((text.starts_with('\u{FEFF}'), text.contains("a\n")), (bom, header));
    }
}
