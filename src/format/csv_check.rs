//! CSV files that anybody may have written, against what a table's manifest says of them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;

use super::Encoder;
use super::error::Error;
use super::profile::{Breach, text_breaches, with_text};
use crate::columns::schema_of;
use crate::model::column::{Column, ColumnType};
use crate::model::csv_form::CsvForm;
use crate::model::destination::Format;

/// What every file of a table begins with: its mark and its header.
pub(crate) fn csv_start(form: &CsvForm, columns: &[Column]) -> Result<Vec<u8>, Error> {
    let format = Format::Csv(Box::new(form.clone()));
    let encoder = Encoder::open(&format, columns, Arc::clone(&schema_of(columns)), Vec::new())?;
    Ok(encoder.finish()?.0)
}

/// What is in a file behind its header.
pub(crate) struct CsvContent {
    pub rows: u64,
    /// Records that do not have a field for every column.
    pub torn: u64,
    /// Texts that are longer than a model of Power BI keeps.
    pub texts: std::collections::BTreeSet<Breach>,
}

/// Reads a whole file, which begins as it must.
pub(crate) fn csv_content(file: File, form: &CsvForm, columns: &[Column]) -> Result<CsvContent, Error> {
    let mut file = BufReader::new(file);
    let mut start = csv_start(form, columns)?;
    let wrong = |source| Error::Io { doing: "read", source };
    file.read_exact(&mut start).map_err(wrong)?;
    let delimiter = u8::try_from(form.delimiter).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(file);
    let is_text: Vec<bool> = columns
        .iter()
        .map(|column| matches!(column.kind, ColumnType::Text | ColumnType::Json | ColumnType::List(_)))
        .collect();
    let mut longest = vec![(0, 0); columns.len()];
    let (mut rows, mut torn) = (0, 0);
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| wrong(std::io::Error::other(error)))? {
        rows += 1;
        torn += u64::from(record.len() != columns.len());
        for (at, field) in record.iter().enumerate().take(columns.len()).filter(|(at, _)| is_text[*at]) {
            longest[at] = with_text(longest[at], &String::from_utf8_lossy(field));
        }
    }
    let counted = columns.iter().map(|column| column.name.as_str()).zip(longest);
    Ok(CsvContent { rows, torn, texts: text_breaches(counted) })
}
