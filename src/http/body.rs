//! Bodies are read whole and bounded, before and after decompression: a page is either all there or an error.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::coding::decoded;
use super::error::Error;
use crate::limits::EXCERPT_CHARS_MAX;
use crate::secret::SafeUrl;

/// How much of a body is read, and the name of that limit for the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyBound {
    pub bytes_max: u64,
    pub limit: &'static str,
}

/// Reads a body to its end and decompresses it. The bound holds for both forms, so a compression bomb stops here too.
pub(super) async fn read_bounded(
    response: reqwest::Response,
    url: &SafeUrl,
    bound: BodyBound,
    stall_max: Duration,
) -> Result<Bytes, Error> {
    let headers = response.headers().clone();
    let expected = response.content_length().unwrap_or(0).min(bound.bytes_max);
    let mut body = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut chunks = response.bytes_stream();
    loop {
        let chunk = tokio::time::timeout(stall_max, chunks.next()).await.map_err(|_| Error::TimedOut {
            url: url.clone(),
            waited: stall_max,
            limit: "`source.network.stall_timeout`",
        })?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|source| Error::Broken { url: url.clone(), source: source.without_url() })?;
        if (body.len() + chunk.len()) as u64 > bound.bytes_max {
            return Err(Error::TooLarge { url: url.clone(), bytes_max: bound.bytes_max, limit: bound.limit });
        }
        body.extend_from_slice(&chunk);
    }
    decoded(body.freeze(), &headers, url, bound).await
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
