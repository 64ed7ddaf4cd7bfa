//! Parts of which only some bytes are needed: a remote one is not fetched whole. Its bytes come into a temporary file, at
//! the places where they stand in the part; what was not asked for is a hole there.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;

use object_store::{GetOptions, GetRange, ObjectStore};

use super::error::Error;
use super::open::{Backend, Store, below};
use super::stage::expect_bytes;
use crate::model::manifest::Part;

/// A part, or some bytes of it.
pub(crate) struct PartFile {
    file: File,
    /// All bytes are there.
    is_whole: bool,
}

impl PartFile {
    /// The file. Bytes that were not loaded read as zeros.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Store {
    /// Opens a part with its last bytes, at least.
    pub(crate) async fn open_end(&self, part: &Part, bytes: u64) -> Result<PartFile, Error> {
        if matches!(self.backend(), Backend::Local(_)) {
            return Ok(PartFile { file: self.fetch(part).await?, is_whole: true });
        }
        let file = tempfile::tempfile().and_then(|file| file.set_len(part.bytes).map(|()| file));
        let file = file.map_err(|source| temporary("created", source))?;
        let start = part.bytes.saturating_sub(bytes);
        let mut opened = PartFile { file, is_whole: false };
        self.load(part, &mut opened, start..part.bytes).await?;
        opened.is_whole = start == 0;
        Ok(opened)
    }

    /// Adds a range of bytes.
    pub(crate) async fn load(&self, part: &Part, opened: &mut PartFile, range: Range<u64>) -> Result<(), Error> {
        let (store, prefix) = match self.backend() {
            Backend::Remote { store, prefix } if !opened.is_whole && !range.is_empty() => (store, prefix),
            Backend::Local(_) | Backend::Remote { .. } => return Ok(()),
        };
        let wrong = |source| Error::Object { path: part.path.clone(), doing: "read", source };
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let got = store.get_opts(&below(prefix, &part.path), options).await.map_err(wrong)?;
        // Another file under the same name has other offsets.
        expect_bytes(&part.path, part.bytes, got.meta.size)?;
        let mut chunks = got.into_stream();
        let mut at = range.start;
        while let Some(chunk) = futures_util::StreamExt::next(&mut chunks).await {
            let chunk = chunk.map_err(wrong)?;
            let file = &mut opened.file;
            let written = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&chunk));
            written.map_err(|source| temporary("written", source))?;
            at += chunk.len() as u64;
        }
        expect_bytes(&part.path, range.end - range.start, at - range.start)
    }
}

fn temporary(doing: &'static str, source: std::io::Error) -> Error {
    Error::File { path: std::env::temp_dir(), doing, source }
}
