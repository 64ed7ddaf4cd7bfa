//! The tables of a job for whoever has a signed link to them: what readers may see, to read and nothing else. A login is neither needed
//! nor enough. Nobody is told what there is without a good link.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;

use super::guard::header_of;
use super::view::TheSite;
use crate::engine::is_opened_by;
use crate::limits::DATA_TRIES_MAX;
use crate::store::{Described, Store};

/// What addresses of files begin with.
pub(super) const PATH: &str = "/data/";
/// Seconds after which a reader may try again.
const RETRY_AFTER: &str = "5";

/// The fields of the link. Absent ones are wrong ones.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    sv: String,
    #[serde(default)]
    si: String,
    #[serde(default)]
    sig: String,
}

pub(super) async fn file(
    State(site): TheSite,
    method: Method,
    Path((job, path)): Path<(String, String)>,
    Query(fields): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    // A job that is not there, or whose destination cannot be opened, has no good link.
    let Some(store) = site.web.board.seat(&job).and_then(|seat| seat.store.ok()) else { return refused() };
    let link = (fields.sv.as_str(), fields.si.as_str(), fields.sig.as_str());
    match is_opened_by(&site.web.settings, &store, &site.web.records, link).await {
        Ok(true) => {}
        Ok(false) => return refused(),
        Err(_) => return later("the links cannot be looked up"),
    }
    let Ok(permit) = Arc::clone(&site.data_reads).try_acquire_owned() else {
        return later("too many files are read at once");
    };
    for _ in 0..DATA_TRIES_MAX {
        match answer(&store, &method, &path, &headers).await {
            // It was replaced between two looks at it.
            Err(crate::store::Error::Object { source: object_store::Error::Precondition { .. }, .. }) => {}
            Ok(((status, head), Some(pieces))) => {
                // Held for as long as the file is on its way.
                let pieces = pieces.map(move |piece| {
                    let _permit = &permit;
                    piece
                });
                return (status, head, Body::from_stream(pieces)).into_response();
            }
            Ok((head, None)) => return head.into_response(),
            Err(_) => return later("the file cannot be read"),
        }
    }
    later("the file is replaced all the time")
}

type Head = (StatusCode, HeaderMap);

/// Status and headers, and the bytes where there are some.
async fn answer(
    store: &Store,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<(Head, Option<crate::store::Pieces>), crate::store::Error> {
    let Some(file) = store.describe(path).await? else {
        return Ok(((StatusCode::NOT_FOUND, HeaderMap::new()), None));
    };
    let mut head = head_of(&file, path);
    if is_known(&file, headers) {
        return Ok(((StatusCode::NOT_MODIFIED, head), None));
    }
    let (status, range) = match wanted(&file, headers) {
        Wanted::Whole => (StatusCode::OK, 0..file.bytes),
        Wanted::Part(range) => {
            let said = format!("bytes {}-{}/{}", range.start, range.end - 1, file.bytes);
            set(&mut head, header::CONTENT_RANGE, &said);
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Beyond => {
            set(&mut head, header::CONTENT_RANGE, &format!("bytes */{}", file.bytes));
            return Ok(((StatusCode::RANGE_NOT_SATISFIABLE, head), None));
        }
    };
    set(&mut head, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    if *method == Method::HEAD {
        return Ok(((status, head), None));
    }
    let pieces = store.pieces(&file, range).await?;
    Ok(((status, head), Some(pieces)))
}

fn head_of(file: &Described, path: &str) -> HeaderMap {
    let mut head = HeaderMap::new();
    let kind = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        _ => "application/vnd.apache.parquet",
    };
    set(&mut head, header::CONTENT_TYPE, kind);
    set(&mut head, header::ACCEPT_RANGES, "bytes");
    set(&mut head, header::LAST_MODIFIED, &httpdate::fmt_http_date(file.modified.into()));
    if let Some(tag) = &file.tag {
        set(&mut head, header::ETAG, tag);
    }
    head
}

fn set(head: &mut HeaderMap, name: HeaderName, value: &str) {
    // What a store spells so oddly is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        head.insert(name, value);
    }
}

/// Whether the reader has this very content.
fn is_known(file: &Described, headers: &HeaderMap) -> bool {
    let known = header_of(headers, header::IF_NONE_MATCH);
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let is_tag = |tag: &String| known.split(',').any(|known| known.trim() == "*" || weak(known) == weak(tag));
    !known.is_empty() && file.tag.as_ref().is_some_and(is_tag)
}

/// The bytes that a reader wants.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    /// There are no such bytes.
    Beyond,
}

fn wanted(file: &Described, headers: &HeaderMap) -> Wanted {
    let of_same = header_of(headers, header::IF_RANGE);
    if !of_same.is_empty() && file.tag.as_deref() != Some(of_same) {
        return Wanted::Whole;
    }
    span_of(header_of(headers, header::RANGE), file.bytes)
}

/// RFC 9110, section 14.2: a range that is not understood, or several of them, may be answered with the whole.
fn span_of(range: &str, bytes: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let range = match (first, last) {
        ("", last) => match number(last) {
            Some(0) => return Wanted::Beyond,
            Some(last) => bytes.saturating_sub(last)..bytes,
            None => return Wanted::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..bytes,
            None => return Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..bytes.min(last.saturating_add(1)),
            _ => return Wanted::Whole,
        },
    };
    if range.start >= bytes { Wanted::Beyond } else { Wanted::Part(range) }
}

fn refused() -> Response {
    let text = "this link opens nothing: it is wrong, revoked, or over\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

fn later(why: &'static str) -> Response {
    let head = [(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))];
    (StatusCode::SERVICE_UNAVAILABLE, head, format!("{why}: try again\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_wants() {
        let check =
            |range: &str, bytes: u64, expect: Wanted| assert_eq!(span_of(range, bytes), expect, "{range} of {bytes}");
        check("", 10, Wanted::Whole);
        check("bytes=0-3", 10, Wanted::Part(0..4));
        check("bytes=4-", 10, Wanted::Part(4..10));
        check("bytes=-4", 10, Wanted::Part(6..10));
        check("bytes=-40", 10, Wanted::Part(0..10));
        check("bytes=9-99", 10, Wanted::Part(9..10));
        check("bytes=9-18446744073709551615", 10, Wanted::Part(9..10));
        check("bytes=10-", 10, Wanted::Beyond);
        check("bytes=-0", 10, Wanted::Beyond);
        check("bytes=0-", 0, Wanted::Beyond);
        for odd in [
            "bytes=3-1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "bytes=a-b",
            "bytes=-",
            "lines=0-1",
            "bytes=99999999999999999999-",
        ] {
            check(odd, 10, Wanted::Whole);
        }
    }
}
