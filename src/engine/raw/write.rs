//! Records into the files of a raw copy, on the thread that decodes them.

use std::io::Write;

use tokio::sync::mpsc;
use zstd::stream::write::Encoder;

use super::{FORMAT, Head, Line};
use crate::engine::error::Error;
use crate::limits::RAW_FILE_BYTES;
use crate::model::column::Column;
use crate::model::slices::Slice;
use crate::paging::walk::WalkEnd;
use crate::store::{Spool, Spooled, Store, layout};

/// Half the size of the fastest level, and still faster than any API.
const LEVEL: i32 = 3;

/// A file whose content is final.
pub(in crate::engine) struct RawFile {
    pub spooled: Spooled,
    pub path: String,
    pub records: u64,
}

/// The raw copy of one stream of a run.
pub(in crate::engine) struct RawWriter {
    store: Store,
    stream: String,
    run: String,
    files: mpsc::Sender<RawFile>,
    open: Option<Encoder<'static, Spool>>,
    path: String,
    /// Number of the open file.
    number: u64,
    /// Records of the open file, and of those before it.
    records: (u64, u64),
    /// Where no record comes the copy is worth nothing.
    is_needless_empty: bool,
}

impl RawWriter {
    /// `is_needless_empty` = a run without records changes no table.
    pub(in crate::engine) fn new(
        store: &Store,
        stream: &str,
        run: &str,
        is_needless_empty: bool,
        files: mpsc::Sender<RawFile>,
    ) -> Self {
        RawWriter {
            store: store.clone(),
            stream: stream.to_owned(),
            run: run.to_owned(),
            files,
            open: None,
            path: String::new(),
            number: 0,
            records: (0, 0),
            is_needless_empty,
        }
    }

    /// The first line, before everything else.
    pub(in crate::engine) fn begin(&mut self, fetched: &[Column], known_until: Option<String>) -> Result<(), Error> {
        let head = Head { format_version: FORMAT, stream: self.stream.clone(), fetched: fetched.to_vec(), known_until };
        self.line(&Line::Stream(head))
    }

    /// What follows is of this slice.
    pub(in crate::engine) fn begin_slice(&mut self, slice: &Slice) -> Result<(), Error> {
        self.line(&Line::Slice(Box::new(slice.clone())))
    }

    /// A page, or a piece of it, of which so many records became rows or were set aside.
    pub(in crate::engine) fn page(&mut self, page: u64, records: &[u8], count: u64) -> Result<(), Error> {
        let is_full = self.open.as_ref().is_some_and(|file| file.get_ref().bytes() >= RAW_FILE_BYTES);
        if is_full {
            self.close()?;
        }
        self.line(&Line::Page { page, records: count, bytes: records.len() as u64 })?;
        self.records.0 += count;
        self.write(|file| {
            file.write_all(records)?;
            file.write_all(b"\n")
        })
    }

    /// The slice was read to its end.
    pub(in crate::engine) fn end_slice(&mut self, end: &WalkEnd) -> Result<(), Error> {
        self.line(&Line::End(end.clone()))
    }

    /// The slice is to be left out.
    pub(in crate::engine) fn leave_slice_out(&mut self, error: &str) -> Result<(), Error> {
        self.line(&Line::LeftOut { error: error.to_owned() })
    }

    /// Nothing more will come.
    pub(in crate::engine) fn finish(mut self) -> Result<(), Error> {
        if self.is_needless_empty && self.records == (0, 0) {
            return Ok(());
        }
        self.close()
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let spooled = file.finish().and_then(Spool::finish).map_err(|source| self.wrong(source))?;
        let file = RawFile { spooled, path: std::mem::take(&mut self.path), records: self.records.0 };
        self.records = (0, self.records.0 + self.records.1);
        // A stager that is gone has its own error.
        self.files.blocking_send(file).map_err(|_| Error::Stopped)
    }

    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).expect("it holds only plain values");
        text.push(b'\n');
        self.write(|file| file.write_all(&text))
    }

    fn write(&mut self, write: impl FnOnce(&mut Encoder<'static, Spool>) -> std::io::Result<()>) -> Result<(), Error> {
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                self.number += 1;
                self.path = layout::raw(&self.stream, &self.run, self.number);
                let spool = self.store.spool(&self.path)?;
                let made = Encoder::new(spool, LEVEL).and_then(|mut file| {
                    // What time does to a file is found when it is read.
                    file.include_checksum(true)?;
                    Ok(file)
                });
                let file = made.map_err(|source| self.wrong(source))?;
                self.open.insert(file)
            }
        };
        write(file).map_err(|source| Error::Spool { stream: self.stream.clone(), source })
    }

    fn wrong(&self, source: std::io::Error) -> Error {
        Error::Spool { stream: self.stream.clone(), source }
    }
}
