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

/// The fastest level: of 100 MB of records the third took half as long again and was no smaller.
const LEVEL: i32 = 1;

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
    /// A file of so many bytes gets no further page.
    file_bytes: u64,
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
            file_bytes: RAW_FILE_BYTES,
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
        let is_full = self.open.as_ref().is_some_and(|file| file.get_ref().bytes() >= self.file_bytes);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::raw::{RawPage, RawReader, RawSlice};
    use crate::model::manifest::Part;
    use crate::model::plan::Place;

    /// Writes pages of two slices in files of so many bytes, and puts these into a store.
    async fn write(store: &Store, file_bytes: u64, pages: &[Vec<u8>]) -> Vec<Part> {
        let (files, mut written) = mpsc::channel(1);
        let raw = RawWriter { file_bytes, ..RawWriter::new(store, "items", "01JD3K9V6Q8Z0X4T2M7B5N1C0R", true, files) };
        let pages = pages.to_vec();
        let writer = tokio::task::spawn_blocking(move || {
            let mut raw = raw;
            raw.begin(&[], Some("7".to_owned())).expect("room");
            for name in ["a", "b"] {
                raw.begin_slice(&Slice { id: name.to_owned(), ..Slice::default() }).expect("room");
                for (page, records) in (1..).zip(&pages) {
                    raw.page(page, records, 1).expect("room");
                }
                let end = format!(r#"{{"ended":"single_page","pages":1,"records":{},"changed":false}}"#, pages.len());
                raw.end_slice(&serde_json::from_str(&end).expect("an end")).expect("room");
            }
            raw.finish().expect("room");
        });
        let mut parts = Vec::new();
        while let Some(RawFile { spooled, path, records }) = written.recv().await {
            parts.push(store.stage(spooled, &path, records).await.expect("staged"));
        }
        writer.await.expect("no panic");
        parts
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_come_back_from_however_many_files() {
        for (file_bytes, several) in [(1, true), (RAW_FILE_BYTES, false)] {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(&Place::Local(folder.path().to_path_buf()), "test", Vec::new()).expect("a store");
            // Some that zstd cannot make smaller, so that each fills its file; an empty one; one with line feeds.
            let noise =
                |seed: u64| (0..300_000_u64).map(move |n| ((n ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8);
            let pages = [noise(1).collect(), Vec::new(), b"[\n{}\n]".to_vec(), noise(2).collect()];
            let parts = write(&store, file_bytes, &pages).await;
            assert_eq!((parts.len() > 2, parts.iter().map(|part| part.rows).sum::<u64>()), (several, 8));
            let mut reader = RawReader::open(&store, "items", &parts).await.expect("readable");
            assert_eq!(reader.known_until(), Some("7"));
            for name in ["a", "b"] {
                assert_eq!(reader.next_slice().expect("readable").expect("a slice").id, name);
                for (number, expected) in (1..).zip(&pages) {
                    match reader.next_page().expect("readable") {
                        RawPage::Records { page, count, records } => {
                            assert_eq!((page, count, records.as_ref()), (number, 1, expected.as_slice()));
                        }
                        RawPage::End(end) => panic!("{end:?} instead of page {number}"),
                    }
                }
                let end = reader.next_page().expect("readable");
                assert!(matches!(end, RawPage::End(RawSlice::Whole(end)) if end.records() == 4));
            }
            assert_eq!(reader.next_slice().expect("readable"), None);
            // A file that is missing is noticed, wherever it stood.
            for missing in 0..parts.len() {
                let mut others = parts.clone();
                others.remove(missing);
                if others.is_empty() {
                    continue;
                }
                let read_all = async {
                    let mut reader = RawReader::open(&store, "items", &others).await?;
                    while reader.next_slice()?.is_some() {
                        while !matches!(reader.next_page()?, RawPage::End(_)) {}
                    }
                    Ok::<_, Error>(())
                };
                assert!(read_all.await.is_err(), "file {missing} of {}", parts.len());
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_no_records_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&Place::Local(folder.path().to_path_buf()), "test", Vec::new()).expect("a store");
        assert_eq!(write(&store, RAW_FILE_BYTES, &[]).await, Vec::new());
        let mut reader = RawReader::open(&store, "items", &[]).await.expect("nothing to read");
        assert!(reader.next_slice().expect("nothing to read").is_none());
    }
}
