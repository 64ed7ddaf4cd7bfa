//! The files of a raw copy back into pages, one page in memory at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Read, empty};

use bytes::Bytes;
use zstd::stream::read::Decoder;

use super::{FORMAT, Head, Line};
use crate::engine::error::Error;
use crate::limits::{RAW_LINE_BYTES_MAX, WALK_BYTES_MAX};
use crate::model::column::Column;
use crate::model::manifest::Part;
use crate::model::slices::Slice;
use crate::paging::walk::WalkEnd;
use crate::store::Store;

type Source = BufReader<Box<dyn Read + Send>>;

/// The raw copy of one stream of a run.
pub(in crate::engine) struct RawReader {
    stream: String,
    /// The first file, for messages.
    path: String,
    source: Source,
    head: Head,
    /// Records of the slice so far.
    records: u64,
}

/// What comes next in a slice.
pub(in crate::engine) enum RawPage {
    /// A page, or a piece of it.
    Records {
        page: u64,
        count: u64,
        records: Bytes,
    },
    End(RawSlice),
}

/// How a slice ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum RawSlice {
    Whole(WalkEnd),
    LeftOut(String),
}

impl RawReader {
    /// Opens the files of a run. None at all = a run without records.
    pub(in crate::engine) async fn open(store: &Store, stream: &str, files: &[Part]) -> Result<Self, Error> {
        let mut chained: Box<dyn Read + Send> = Box::new(empty());
        for file in files {
            let file: File = store.fetch(file).await?;
            let opened = Decoder::new(file).map_err(|source| Error::Spool { stream: stream.to_owned(), source })?;
            let chain: Chain<_, _> = chained.chain(opened);
            chained = Box::new(chain);
        }
        let path = files.first().map(|file| file.path.clone()).unwrap_or_default();
        let source = BufReader::new(chained);
        let mut reader = RawReader { stream: stream.to_owned(), path, source, head: Head::default(), records: 0 };
        if files.is_empty() {
            return Ok(reader);
        }
        match tokio::task::block_in_place(|| reader.line())? {
            Some(Line::Stream(head)) if head.format_version > FORMAT => {
                Err(reader.wrong(format!("it is of format {}, and this haul knows {FORMAT}", head.format_version)))
            }
            Some(Line::Stream(head)) => Ok(RawReader { head, ..reader }),
            Some(_) | None => Err(reader.wrong("it does not begin with a stream".to_owned())),
        }
    }

    /// Columns with types that the source described.
    pub(in crate::engine) fn fetched(&self) -> &[Column] {
        &self.head.fetched
    }

    /// The greatest cursor before the read.
    pub(in crate::engine) fn known_until(&self) -> Option<&str> {
        self.head.known_until.as_deref()
    }

    /// The next slice; `None` = there is none. The one before was read to its end.
    pub(in crate::engine) fn next_slice(&mut self) -> Result<Option<Slice>, Error> {
        match self.line()? {
            None => Ok(None),
            Some(Line::Slice(slice)) => {
                self.records = 0;
                Ok(Some(*slice))
            }
            Some(_) => Err(self.wrong("what follows a slice is none".to_owned())),
        }
    }

    /// What comes next in the slice.
    pub(in crate::engine) fn next_page(&mut self) -> Result<RawPage, Error> {
        match self.line()? {
            Some(Line::Page { page, records, bytes }) => {
                self.records += records;
                Ok(RawPage::Records { page, count: records, records: self.records(bytes)? })
            }
            // A file in the middle is missing.
            Some(Line::End(end)) if end.records() != self.records => {
                Err(self.wrong(format!("it holds {} records of a slice of {}", self.records, end.records())))
            }
            Some(Line::End(end)) => Ok(RawPage::End(RawSlice::Whole(end))),
            Some(Line::LeftOut { error }) => Ok(RawPage::End(RawSlice::LeftOut(error))),
            Some(Line::Stream(_) | Line::Slice(_)) | None => Err(self.wrong("a slice has no end".to_owned())),
        }
    }

    fn records(&mut self, bytes: u64) -> Result<Bytes, Error> {
        if bytes > WALK_BYTES_MAX {
            return Err(self.wrong(format!("a page of {bytes} bytes")));
        }
        // A length that is none takes no memory that the file does not fill.
        let mut records = Vec::new();
        let read = (&mut self.source).take(bytes + 1).read_to_end(&mut records);
        read.map_err(|error| self.wrong(error.to_string()))?;
        if records.len() as u64 != bytes + 1 || records.pop() != Some(b'\n') {
            return Err(self.wrong("a page is cut".to_owned()));
        }
        Ok(records.into())
    }

    fn line(&mut self) -> Result<Option<Line>, Error> {
        let mut text = Vec::new();
        let read = (&mut self.source).take(RAW_LINE_BYTES_MAX).read_until(b'\n', &mut text);
        read.map_err(|error| self.wrong(error.to_string()))?;
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&text).map(Some).map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, why: String) -> Error {
        Error::RawUnreadable { stream: self.stream.clone(), path: self.path.clone(), why }
    }
}
