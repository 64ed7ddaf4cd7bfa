//! Bodies are read whole and bounded: a page is either all there or an error. What is larger than memory allows goes to
//! a temporary file.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::error::Error;
use crate::limits::{BODY_MEMORY_BYTES, EXCERPT_CHARS_MAX, STALL_WAIT_MAX};
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
}

/// Reads a body to its end. The bound counts decompressed bytes, so a compression bomb stops here too.
pub(super) async fn read_bounded(response: reqwest::Response, url: &SafeUrl, bound: BodyBound) -> Result<Body, Error> {
    let expected = response.content_length().unwrap_or(0).min(bound.bytes_max);
    let mut body = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0).min(BODY_MEMORY_BYTES));
    let mut file: Option<File> = None;
    let mut read: u64 = 0;
    let unkept = |source| Error::Unkept { url: url.clone(), source };
    let mut chunks = response.bytes_stream();
    loop {
        let chunk = tokio::time::timeout(STALL_WAIT_MAX, chunks.next())
            .await
            .map_err(|_| Error::TimedOut { url: url.clone(), waited: STALL_WAIT_MAX })?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|source| Error::Broken { url: url.clone(), source: source.without_url() })?;
        read += chunk.len() as u64;
        if read > bound.bytes_max {
            return Err(Error::TooLarge { url: url.clone(), bytes_max: bound.bytes_max, limit: bound.limit });
        }
        if let Some(file) = &mut file {
            file.write_all(&chunk).map_err(unkept)?;
        } else if body.len() + chunk.len() > BODY_MEMORY_BYTES {
            let mut new = tempfile::tempfile().map_err(unkept)?;
            new.write_all(&body).and_then(|()| new.write_all(&chunk)).map_err(unkept)?;
            body = BytesMut::new();
            file = Some(new);
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    match file {
        None => Ok(Body::Memory(body.freeze())),
        Some(mut file) => {
            file.seek(SeekFrom::Start(0)).map_err(unkept)?;
            Ok(Body::File(file))
        }
    }
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
