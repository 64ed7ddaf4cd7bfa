//! CSV with a header, or without.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};

use super::scalar::write_scalar;
use super::{Error, Records};
use crate::model::answer::{CsvShape, TextEncoding};

pub(super) fn read(
    mut input: impl BufRead,
    shape: &CsvShape,
    records: &mut Records<'_, impl Write>,
) -> Result<(), Error> {
    for _ in 0..shape.skip_lines {
        input.skip_until(b'\n')?;
    }
    let start = input.fill_buf()?.trim_ascii_start();
    let head = start[..start.len().min(9)].to_ascii_lowercase();
    // A login page and an error would become a table with odd columns.
    if head.starts_with(b"<!doctype") || head.starts_with(b"<html") || head.starts_with(b"<?xml") {
        return Err(Error::Csv { why: "it is markup".to_owned() });
    }
    if head.starts_with(b"{") {
        return Err(Error::Csv { why: "it is a JSON object".to_owned() });
    }
    let mut quotes = Quotes { inner: input, count: 0 };
    match shape.encoding {
        TextEncoding::Utf8 => read_utf8(&mut quotes, shape, records)?,
        TextEncoding::Latin1 => read_utf8(Latin1 { inner: &mut quotes, rest: None }, shape, records)?,
    }
    // A field that is not closed swallows the rows behind it, up to the next quote or the end.
    if shape.has_quotes && quotes.count % 2 == 1 {
        return Err(Error::CsvQuote);
    }
    Ok(())
}

/// Counts quotes on their way.
struct Quotes<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Read for Quotes<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.count += memchr::memchr_iter(b'"', &out[..read]).count() as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Quotes<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(taken) = self.inner.fill_buf() {
            self.count += memchr::memchr_iter(b'"', &taken[..amount]).count() as u64;
        }
        self.inner.consume(amount);
    }
}

fn read_utf8(input: impl Read, shape: &CsvShape, records: &mut Records<'_, impl Write>) -> Result<(), Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(shape.delimiter)
        .has_headers(false)
        .flexible(true)
        .double_quote(true)
        .quoting(shape.has_quotes)
        .from_reader(input);
    let mut row = csv::StringRecord::new();
    let mut header: Option<Vec<Vec<u8>>> = None;
    let mut text = Vec::new();
    let wrong = |error: csv::Error| Error::Csv { why: error.to_string() };
    while reader.read_record(&mut row).map_err(wrong)? {
        let Some(names) = &header else {
            let names = names_of(&row, shape.has_header)?;
            header = Some(names);
            if !shape.has_header {
                write_row(&row, header.as_deref().unwrap_or_default(), &mut text);
                records.add(&text)?;
            }
            continue;
        };
        if row.len() != names.len() {
            let line = row.position().map_or(0, csv::Position::line) + u64::from(shape.skip_lines);
            return Err(Error::CsvFields { line, found: row.len(), expected: names.len() });
        }
        write_row(&row, names, &mut text);
        records.add(&text)?;
    }
    Ok(())
}

/// The names of the columns, each as JSON with its colon.
fn names_of(first: &csv::StringRecord, has_header: bool) -> Result<Vec<Vec<u8>>, Error> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(first.len());
    for (at, field) in first.iter().enumerate() {
        let field = if at == 0 { field.trim_start_matches('\u{feff}') } else { field };
        let name =
            if has_header && !field.trim().is_empty() { field.trim().to_owned() } else { format!("c{}", at + 1) };
        if !seen.insert(name.clone()) {
            return Err(Error::CsvHeader { name });
        }
        let mut text = serde_json::Value::from(name).to_string().into_bytes();
        text.push(b':');
        names.push(text);
    }
    Ok(names)
}

fn write_row(row: &csv::StringRecord, names: &[Vec<u8>], text: &mut Vec<u8>) {
    text.clear();
    text.push(b'{');
    for (at, (name, field)) in names.iter().zip(row).enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(name);
        write_scalar(field, text);
    }
    text.push(b'}');
}

/// Latin-1 as UTF-8: every byte is the code point of its number.
struct Latin1<R> {
    inner: R,
    /// The second byte of a character that did not fit any more.
    rest: Option<u8>,
}

impl<R: BufRead> Read for Latin1<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        if let Some(rest) = self.rest.take()
            && let Some(place) = out.first_mut()
        {
            *place = rest;
            written = 1;
        }
        let input = self.inner.fill_buf()?;
        let mut taken = 0;
        for byte in input {
            if written == out.len() {
                break;
            }
            let mut utf8 = [0; 2];
            let encoded = char::from(*byte).encode_utf8(&mut utf8).as_bytes();
            out[written] = encoded[0];
            written += 1;
            taken += 1;
            if let Some(second) = encoded.get(1) {
                if written == out.len() {
                    self.rest = Some(*second);
                    break;
                }
                out[written] = *second;
                written += 1;
            }
        }
        self.inner.consume(taken);
        Ok(written)
    }
}
