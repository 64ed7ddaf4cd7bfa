//! Content codings (RFC 9110 section 8.4): a whole compressed body becomes a whole plain one, within bounds.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, BufReader};

use super::body::{Body, BodyBound, Kept, excerpt};
use super::error::Error;
use crate::limits::{CODINGS_MAX, INFLATION_FREE_BYTES, INFLATION_MAX};
use crate::secret::SafeUrl;

/// What we ask for.
pub(super) const ACCEPTED: &str = "gzip, br, zstd, deflate";
/// Decompressed between two looks at the bounds.
const STEP_BYTES: usize = 64 * 1024;
/// Decompressed before other tasks of this thread get their turn.
const TURN_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Deflate => "deflate",
        }
    }
}

/// The codings in the order in which they were applied. A name that we do not know is told as the error.
fn codings_of(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in String::from_utf8_lossy(value.as_bytes()).split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                "deflate" => codings.push(Coding::Deflate),
                other => return Err(excerpt(other.as_bytes())),
            }
        }
    }
    Ok(codings)
}

/// Undoes the codings that the headers name. A body that ends inside a coding is an error, and so is one that grows
/// beyond all measure: INFLATION_MAX bounds all codings together, so that a bomb inside a bomb gains nothing.
pub(super) async fn decoded(body: Body, headers: &HeaderMap, url: &SafeUrl, bound: BodyBound) -> Result<Body, Error> {
    let codings = codings_of(headers).map_err(|coding| Error::UnknownCoding { url: url.clone(), coding })?;
    if codings.len() > CODINGS_MAX {
        return Err(Error::ManyCodings { url: url.clone(), count: codings.len() });
    }
    let received = body.len();
    // An answer without a body, such as 204, may still name a coding.
    if received == 0 {
        return Ok(body);
    }
    let mut plain = body;
    for coding in codings.into_iter().rev() {
        plain = undo(coding, plain, received, url, bound).await?;
    }
    Ok(plain)
}

async fn undo(coding: Coding, body: Body, received: u64, url: &SafeUrl, bound: BodyBound) -> Result<Body, Error> {
    let packed: Box<dyn AsyncBufRead + Send + Unpin> = match body {
        Body::Memory(bytes) => Box::new(std::io::Cursor::new(bytes)),
        Body::File(file) => Box::new(BufReader::with_capacity(STEP_BYTES, tokio::fs::File::from_std(file))),
    };
    let mut decoder: Box<dyn AsyncRead + Send + Unpin> = match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(packed);
            // One after another is one body (RFC 1952 section 2.2).
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Coding::Brotli => Box::new(BrotliDecoder::new(packed)),
        Coding::Zstd => {
            let mut decoder = ZstdDecoder::new(packed);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Coding::Deflate => Box::new(ZlibDecoder::new(packed)),
    };
    let mut plain = Kept::new(url, bound, STEP_BYTES as u64);
    let mut step = vec![0; STEP_BYTES];
    let mut turn = 0;
    loop {
        let read = decoder.read(&mut step).await.map_err(|source| Error::Undecodable {
            url: url.clone(),
            coding: coding.name(),
            source,
        })?;
        if read == 0 {
            return plain.finish();
        }
        plain.push(&step[..read])?;
        if plain.bytes() > INFLATION_FREE_BYTES && plain.bytes() / INFLATION_MAX > received {
            return Err(Error::Inflated { url: url.clone(), received });
        }
        turn += read;
        if turn > TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};

    use super::*;

    const TEXT: &[u8] = br#"[{"id":1,"name":"one"},{"id":2,"name":"two"}]"#;

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn packed(coding: Coding, plain: &[u8]) -> Vec<u8> {
        let mut encoder: Pin<Box<dyn AsyncRead>> = match coding {
            Coding::Gzip => Box::pin(GzipEncoder::new(plain)),
            Coding::Brotli => Box::pin(BrotliEncoder::new(plain)),
            Coding::Zstd => Box::pin(ZstdEncoder::new(plain)),
            Coding::Deflate => Box::pin(ZlibEncoder::new(plain)),
        };
        let mut bytes = Vec::new();
        wait(encoder.read_to_end(&mut bytes)).unwrap();
        bytes
    }

    fn unpacked(body: &[u8], coding: &str) -> Result<Vec<u8>, Error> {
        let mut headers = HeaderMap::new();
        for value in coding.split('|') {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        let url = SafeUrl::new("http://h/".parse().unwrap());
        let bound = BodyBound { bytes_max: 4 * 1024 * 1024, limit: "TEST" };
        let body = Body::Memory(bytes::Bytes::copy_from_slice(body));
        Ok(wait(decoded(body, &headers, &url, bound))?.in_memory().to_vec())
    }

    fn check(body: &[u8], coding: &str, expect: Result<&[u8], &str>) {
        match (unpacked(body, coding), expect) {
            (Ok(plain), Ok(expect)) => assert_eq!(plain, expect, "{coding}"),
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{coding}: {error}"),
            (got, _) => panic!("{coding}: {got:?}"),
        }
    }

    #[test]
    fn every_coding_is_undone_and_lists_from_their_end() {
        let gzip = packed(Coding::Gzip, TEXT);
        check(TEXT, "identity", Ok(TEXT));
        check(&gzip, "gzip", Ok(TEXT));
        check(&gzip, " X-GZip , identity,", Ok(TEXT));
        check(&packed(Coding::Brotli, TEXT), "br", Ok(TEXT));
        check(&packed(Coding::Zstd, TEXT), "zstd", Ok(TEXT));
        check(&packed(Coding::Deflate, TEXT), "deflate", Ok(TEXT));
        check(&packed(Coding::Brotli, &gzip), "gzip, br", Ok(TEXT));
        check(&packed(Coding::Brotli, &gzip), "gzip|br", Ok(TEXT));
        check(&[gzip.as_slice(), &gzip].concat(), "gzip", Ok(&[TEXT, TEXT].concat()));
        check(b"", "gzip", Ok(b""));
        check(TEXT, "compress", Err("in the coding `compress`"));
        check(&gzip, "gzip, gzip, gzip", Err("3 codings, limit CODINGS_MAX"));
        check(TEXT, "gzip", Err("gzip"));
        check(&gzip, "br", Err("br"));
    }

    #[test]
    fn a_cut_body_is_an_error_wherever_it_is_cut() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Deflate] {
            let body = packed(coding, &TEXT.repeat(50));
            for kept in 1..body.len() {
                assert!(unpacked(&body[..kept], coding.name()).is_err(), "{coding:?} cut at {kept} of {}", body.len());
            }
        }
    }

    #[test]
    fn bombs_end_at_the_bound_or_at_the_ratio() {
        let zeros = |mebibytes: usize| vec![0; mebibytes * 1024 * 1024];
        check(&packed(Coding::Gzip, &zeros(5)), "gzip", Err("limit TEST"));
        check(&packed(Coding::Brotli, &zeros(3)), "br", Err("limit INFLATION_MAX"));
        check(&packed(Coding::Zstd, &zeros(3)), "zstd", Err("limit INFLATION_MAX"));
        let twice = packed(Coding::Gzip, &packed(Coding::Gzip, &zeros(3)));
        check(&twice, "gzip, gzip", Err("limit INFLATION_MAX"));
        // Up to a mebibyte nothing is a bomb.
        check(&packed(Coding::Brotli, &zeros(1)), "br", Ok(&zeros(1)));
    }
}
