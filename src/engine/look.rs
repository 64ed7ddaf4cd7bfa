//! The first rows of a published table, as texts for people.

use arrow::array::{Array, ArrayRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::Error;
use crate::format::{self, read_parquet};
use crate::model::csv_form::CsvForm;
use crate::model::manifest::TableManifest;
use crate::store::Store;

/// Rows of texts; `None` = null.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;

/// Reads the first rows of a table. Of a remote store the whole first part is fetched.
pub(crate) async fn first_rows(
    store: &Store,
    name: &str,
    table: &TableManifest,
    count: usize,
) -> Result<TextRows, Error> {
    let Some(part) = table.parts.iter().find(|part| part.rows > 0) else { return Ok(Vec::new()) };
    let file = store.fetch(part).await?;
    tokio::task::block_in_place(|| match &table.csv {
        Some(form) => csv_rows(file, form, count),
        None => parquet_rows(file, table, count),
    })
    .map_err(|source| Error::Format { stream: name.to_owned(), doing: "reading", source })
}

fn parquet_rows(file: std::fs::File, table: &TableManifest, count: usize) -> Result<TextRows, format::Error> {
    let mut rows: TextRows = Vec::new();
    for batch in read_parquet(file, &table.columns)? {
        let batch = batch?;
        let batch = batch.slice(0, batch.num_rows().min(count - rows.len()));
        let columns: Vec<Vec<Option<String>>> = batch.columns().iter().map(cells).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|cells| cells[row].clone()).collect()));
        if rows.len() >= count {
            break;
        }
    }
    Ok(rows)
}

fn csv_rows(file: std::fs::File, form: &CsvForm, count: usize) -> Result<TextRows, format::Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(u8::try_from(form.delimiter).unwrap_or(b','))
        .has_headers(form.header)
        .from_reader(file);
    let mut rows = Vec::new();
    for record in reader.records().take(count) {
        let record = record.map_err(|error| format::Error::Io { doing: "read", source: error.into() })?;
        rows.push(record.iter().map(|cell| (cell != form.null_text).then(|| cell.to_owned())).collect());
    }
    Ok(rows)
}

/// Every cell of a column as text; `None` = null.
pub(crate) fn cells(column: &ArrayRef) -> Vec<Option<String>> {
    let options = FormatOptions::new();
    let Ok(formatter) = ArrayFormatter::try_new(column.as_ref(), &options) else { return vec![None; column.len()] };
    (0..column.len()).map(|row| (!column.is_null(row)).then(|| formatter.value(row).to_string())).collect()
}
