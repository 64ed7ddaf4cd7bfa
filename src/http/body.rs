//! Bodies are read whole and bounded, before and after decompression: a page is either all there or an error. What is
//! larger than memory allows goes to a temporary file.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;

use super::coding::decoded;
use super::deadline::{Deadline, StepLimit};
use super::error::Error;
use crate::limits::{BODY_MEMORY_BYTES, EXCERPT_CHARS_MAX};
use crate::secret::SafeUrl;

/// How much of a body is read, and the name of that limit for the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyBound {
    pub bytes_max: u64,
    pub limit: &'static str,
}

/// A whole body.
#[derive(Debug)]
pub(crate) enum Body {
    Memory(Bytes),
    /// Larger than memory allows; the file stands at its start and has no name.
    File(File),
}

impl Body {
    /// The body where it is in memory; nothing where it is a file.
    pub(crate) fn in_memory(&self) -> &[u8] {
        match self {
            Body::Memory(bytes) => bytes,
            Body::File(_) => &[],
        }
    }

    /// Bytes of the body.
    pub(super) fn len(&self) -> u64 {
        match self {
            Body::Memory(bytes) => bytes.len() as u64,
            Body::File(file) => file.metadata().map_or(0, |file| file.len()),
        }
    }
}

/// A body that is arriving.
pub(super) struct Kept<'a> {
    url: &'a SafeUrl,
    bound: BodyBound,
    /// Bytes that are announced; nothing is believed because of it.
    expected: u64,
    /// A body that came in one piece.
    whole: Option<Bytes>,
    memory: BytesMut,
    file: Option<File>,
    bytes: u64,
}

impl<'a> Kept<'a> {
    pub(super) fn new(url: &'a SafeUrl, bound: BodyBound, expected: u64) -> Self {
        Kept { url, bound, expected, whole: None, memory: BytesMut::new(), file: None, bytes: 0 }
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a piece; one that is the whole body is not copied.
    fn push_piece(&mut self, piece: Bytes) -> Result<(), Error> {
        let is_whole = self.bytes == 0 && piece.len() as u64 == self.expected && piece.len() <= BODY_MEMORY_BYTES;
        if is_whole && self.expected <= self.bound.bytes_max {
            self.bytes = self.expected;
            self.whole = Some(piece);
            return Ok(());
        }
        self.push(&piece)
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if self.memory.is_empty() && self.file.is_none() {
            let expected = usize::try_from(self.expected).unwrap_or(0).min(BODY_MEMORY_BYTES);
            self.memory.reserve(expected.max(chunk.len()));
            // More than was announced came after all.
            self.memory.extend_from_slice(&self.whole.take().unwrap_or_default());
        }
        self.bytes += chunk.len() as u64;
        let BodyBound { bytes_max, limit } = self.bound;
        if self.bytes > bytes_max {
            return Err(Error::TooLarge { url: self.url.clone(), bytes_max, limit });
        }
        let url = self.url;
        let unkept = |source| Error::Unkept { url: url.clone(), source };
        if let Some(file) = &mut self.file {
            return file.write_all(chunk).map_err(unkept);
        }
        if self.memory.len() + chunk.len() <= BODY_MEMORY_BYTES {
            self.memory.extend_from_slice(chunk);
            return Ok(());
        }
        let mut file = tempfile::tempfile().map_err(unkept)?;
        file.write_all(&self.memory).and_then(|()| file.write_all(chunk)).map_err(unkept)?;
        self.memory = BytesMut::new();
        self.file = Some(file);
        Ok(())
    }

    /// The body is whole.
    pub(super) fn finish(self) -> Result<Body, Error> {
        if let Some(whole) = self.whole {
            return Ok(Body::Memory(whole));
        }
        let Some(mut file) = self.file else { return Ok(Body::Memory(self.memory.freeze())) };
        file.seek(SeekFrom::Start(0)).map_err(|source| Error::Unkept { url: self.url.clone(), source })?;
        Ok(Body::File(file))
    }
}

/// Reads a body to its end and decompresses it as `headers` say, which are the response's. The bound holds for both forms,
/// so a compression bomb stops here too.
pub(super) async fn read_bounded(
    response: reqwest::Response,
    headers: &HeaderMap,
    url: &SafeUrl,
    bound: BodyBound,
    stall: StepLimit,
    deadline: &mut Deadline<'_>,
) -> Result<Body, Error> {
    let mut body = Kept::new(url, bound, response.content_length().unwrap_or(0).min(bound.bytes_max));
    let mut chunks = response.bytes_stream();
    loop {
        let Some(chunk) = deadline.step(stall, chunks.next()).await? else { break };
        body.push_piece(chunk.map_err(|source| Error::Broken { url: url.clone(), source: source.without_url() })?)?;
    }
    let body = body.finish()?;
    deadline.rest(pin!(decoded(body, headers, url, bound))).await?
}

/// The first words of a server's text on one line, for an error.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_CHARS_MAX * 4)]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = words.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS_MAX).collect();
    if cut.chars().count() < words.chars().count() {
        cut.push('…');
    }
    cut
}
