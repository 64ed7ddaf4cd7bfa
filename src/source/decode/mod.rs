//! Answers that are no small JSON page. In comes a body, in memory or in a file; out goes JSON: what is packed is
//! unpacked, CSV, XML and JSON lines become an array of objects, and a document too large for memory is looked through
//! and cut into pieces where its records end.
//!
//! Blocking: it reads files. It does not know requests, columns or stores.

mod csv;
mod error;
mod json_lines;
mod nest;
mod pieces;
mod scalar;
mod scan;
#[cfg(test)]
mod tests;
mod unpack;
mod xml;

use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};

use bytes::Bytes;
use serde::Deserialize as _;

pub(super) use error::Error;
pub(super) use pieces::Pieces;
pub(super) use scan::Scanner;

use crate::limits::BODY_MEMORY_BYTES;
use crate::model::answer::{AnswerFormat, Packing};
use crate::model::json_path::JsonPath;

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 256 * 1024;

/// A document on its way to records: in memory while it is small, else in a temporary file.
#[derive(Debug)]
pub(in crate::source) enum Document {
    Memory(Cursor<Bytes>),
    File(File),
}

impl Read for Document {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Document::Memory(bytes) => bytes.read(buffer),
            Document::File(file) => file.read(buffer),
        }
    }
}

impl Seek for Document {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Document::Memory(bytes) => bytes.seek(to),
            Document::File(file) => file.seek(to),
        }
    }
}

/// A document that is being written.
type Draft = tempfile::SpooledTempFile;

fn new_draft() -> Draft {
    tempfile::spooled_tempfile(BODY_MEMORY_BYTES)
}

/// A draft that is complete, at its start.
fn finished(draft: Draft) -> Result<Document, Error> {
    Ok(match draft.into_inner() {
        tempfile::SpooledData::InMemory(bytes) => Document::Memory(Cursor::new(Bytes::from(bytes.into_inner()))),
        tempfile::SpooledData::OnDisk(mut file) => {
            file.seek(SeekFrom::Start(0))?;
            Document::File(file)
        }
    })
}

/// A body as JSON: itself where it is JSON, else an array of objects. `at` names the records of an XML document.
pub(super) fn to_json(
    body: Document,
    packing: Packing,
    format: &AnswerFormat,
    at: Option<&JsonPath>,
    bytes_max: u64,
) -> Result<Document, Error> {
    let mut unpacked = match packing {
        Packing::Nothing => vec![body],
        Packing::Gzip => vec![unpack::gzip(body, bytes_max)?],
        Packing::Zip => unpack::zip(body, bytes_max)?,
    };
    if *format == AnswerFormat::Json {
        return match unpacked.len() {
            1 => Ok(unpacked.remove(0)),
            files => Err(Error::SeveralDocuments { files }),
        };
    }
    let mut out = BufWriter::new(new_draft());
    out.write_all(b"[")?;
    let mut records = Records { out: &mut out, count: 0 };
    for mut file in unpacked {
        file.seek(SeekFrom::Start(0))?;
        let input = BufReader::with_capacity(READ_BYTES, file);
        match format {
            AnswerFormat::Json => unreachable!("JSON was handled above"),
            AnswerFormat::JsonLines => json_lines::read(input, &mut records)?,
            AnswerFormat::Csv(shape) => csv::read(input, shape, &mut records)?,
            AnswerFormat::Xml => xml::read(input, at, &mut records)?,
        }
    }
    out.write_all(b"]")?;
    finished(out.into_inner().map_err(|error| Error::Io { source: error.into_error() })?)
}

/// Proves that a value which nobody decodes is JSON; `at` is where it stands in its document.
pub(super) fn prove(input: impl Read, at: usize) -> Result<(), Error> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(input));
    match serde::de::IgnoredAny::deserialize(&mut json).and_then(|_| json.end()) {
        Ok(()) => Ok(()),
        Err(error) if error.is_io() => Err(Error::Io { source: error.into() }),
        Err(error) => Err(Error::Json { why: error.to_string(), at: at as u64 }),
    }
}

/// Records being written as one JSON array.
struct Records<'a, W: Write> {
    out: &'a mut W,
    count: u64,
}

impl<W: Write> Records<'_, W> {
    /// Adds the text of a JSON object.
    fn add(&mut self, record: &[u8]) -> Result<(), Error> {
        if self.count > 0 {
            self.out.write_all(b",")?;
        }
        self.count += 1;
        self.out.write_all(record)?;
        Ok(())
    }
}

/// Reads at most so many bytes, and tells when there are more.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than the limit")),
        }
    }
}
