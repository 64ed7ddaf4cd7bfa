//! The room as its users see it: records go in, columns and values come out.

mod children;
mod errors;
mod fixed;
mod inferred;
mod known;
mod limits;
mod lists;
mod nesting;
mod oracle;
mod widening;

use arrow::array::{Array, AsArray, RecordBatch};

use super::convert::{convert, convert_array};
use super::decode::Decoder;
use super::error::Error;
use super::options::Options;
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::fields::FieldPlan;
use crate::model::warning::Warning;

/// Everything that came of some records.
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    /// Rows of cells as text; null is `∅`.
    pub(super) rows: Vec<Vec<String>>,
    pub(super) warnings: Vec<Warning>,
}

impl Table {
    /// `name type, name type`
    pub(super) fn schema(&self) -> String {
        let words: Vec<String> = self.columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        words.join(", ")
    }

    /// Cells joined by `|`, rows by line breaks.
    pub(super) fn text(&self) -> String {
        let lines: Vec<String> = self.rows.iter().map(|row| row.join("|")).collect();
        lines.join("\n")
    }
}

pub(super) fn rows_of(batch: &RecordBatch, columns: &[Column]) -> Vec<Vec<String>> {
    let texts: Vec<_> = columns
        .iter()
        .zip(batch.columns())
        .map(|(column, values)| convert_array(values, column.kind, ColumnType::Text).expect("anything becomes text"))
        .collect();
    let cell = |values: &arrow::array::ArrayRef, row: usize| {
        let values = values.as_string::<i32>();
        if values.is_null(row) { "∅".to_owned() } else { values.value(row).to_owned() }
    };
    (0..batch.num_rows()).map(|row| texts.iter().map(|values| cell(values, row)).collect()).collect()
}

/// Decodes pages and turns every batch into the final columns.
pub(super) fn decode(options: Options, pages: &[&str]) -> Result<Table, Error> {
    Ok(decode_all(options, pages)?.remove(0))
}

/// The same with the tables of lists.
pub(super) fn decode_all(options: Options, pages: &[&str]) -> Result<Vec<Table>, Error> {
    let mut decoder = Decoder::new(options)?;
    for (at, page) in pages.iter().enumerate() {
        decoder.push(page.as_bytes(), at as u64 + 1)?;
    }
    finish(&mut decoder)
}

pub(super) fn finish(decoder: &mut Decoder) -> Result<Vec<Table>, Error> {
    decoder.finish()?;
    let mut batches: Vec<Vec<_>> = (0..decoder.tables()).map(|_| Vec::new()).collect();
    while let Some((table, batch)) = decoder.next_batch() {
        let columns = decoder.columns_of(table, batch.schema_ref()).expect("a batch of this decoder").to_vec();
        batches[table].push((batch, columns));
    }
    let mut tables = Vec::new();
    for (table, batches) in batches.into_iter().enumerate() {
        let columns = decoder.columns(table).to_vec();
        let mut rows = Vec::new();
        for (batch, from) in batches {
            rows.extend(rows_of(&convert(&batch, &from, &columns)?, &columns));
        }
        tables.push(Table { columns, rows, warnings: decoder.warnings(table) });
    }
    Ok(tables)
}

/// One page, nothing known beforehand.
pub(super) fn check(records: &str, schema: &str, rows: &str) {
    check_with(Options::default(), records, schema, rows);
}

pub(super) fn check_with(options: Options, records: &str, schema: &str, rows: &str) {
    let table = decode(options, &[records]).unwrap_or_else(|error| panic!("{records}: {error}"));
    assert_eq!(table.schema(), schema, "{records}");
    assert_eq!(table.text(), rows, "{records}");
}

pub(super) fn check_error(options: Options, records: &str, expect: &str) {
    match decode(options, &[records]) {
        Ok(table) => panic!("{records}: no error, but {}", table.schema()),
        Err(error) => assert_eq!(error.to_string(), expect, "{records}"),
    }
}

pub(super) fn kind(word: &str) -> ColumnType {
    word.parse().expect("a type word")
}

/// `name type` pairs as the job declares them.
pub(super) fn declared(columns: &[(&str, &str)]) -> Options {
    let columns = columns.iter().map(|(name, word)| ((*name).to_owned(), kind(word))).collect();
    Options { fields: FieldPlan { columns, ..FieldPlan::default() }, ..Options::default() }
}

pub(super) fn column(name: &str, path: &[&str], word: &str, origin: TypeOrigin) -> Column {
    let path = path.iter().map(|key| (*key).to_owned()).collect();
    Column { name: name.to_owned(), path, kind: kind(word), origin }
}

pub(super) fn remembered(columns: &[(&str, &str)]) -> Options {
    let former = columns.iter().map(|(name, word)| column(name, &[name], word, TypeOrigin::Inferred)).collect();
    Options { former, ..Options::default() }
}
