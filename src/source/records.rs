//! Where the records of an answer stand, and the facts around them that paging needs.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::decode;
use super::envelope::{ArrayFound, Envelope, Scalar, items_of, usize_of};
use super::error::Error;
use super::signs::next_in_link_header;
use crate::http::excerpt;
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::paging::walk::{PageFacts, Wants};
use crate::paging::{CursorFrom, TotalAt};

/// Where OData tells its count: v4, v3, v2.
const ODATA_COUNTS: [&[&str]; 3] = [&["@odata.count"], &["odata.count"], &["d", "__count"]];

/// A path as messages show it.
pub(super) fn shown(path: &[String]) -> String {
    JsonPath::of(&path.iter().map(String::as_str).collect::<Vec<_>>()).to_string()
}

/// What an answer around the records says of an error. A record of its own may say what it likes.
pub(super) fn error_body(envelope: &Envelope, at: &RecordsAt, body: &Bytes) -> Option<Error> {
    let stated = match at {
        RecordsAt::Path(path) if path.members().is_empty() => return None,
        RecordsAt::Path(path) | RecordsAt::Each { list: path, .. } => path.members(),
        RecordsAt::Found => &[],
    };
    let is_named = |path: &[String], names: &[&str]| {
        path.len() == 1 && path != stated && names.iter().any(|name| path[0].eq_ignore_ascii_case(name))
    };
    let names_error = |path: &[String]| is_named(path, &["error", "errors"]);
    let told = |path: &[String], text: &[u8]| Error::Complaint { sign: shown(path), excerpt: excerpt(text) };
    for (path, scalar) in &envelope.scalars {
        if names_error(path) && scalar.flag() != Some(false) {
            match scalar {
                Scalar::Text(text) if !text.trim().is_empty() => return Some(told(path, text.as_bytes())),
                Scalar::Boolean(_) | Scalar::Number(_) => return Some(told(path, body)),
                Scalar::Text(_) | Scalar::Null => {}
            }
        }
        if is_named(path, &["success", "ok"]) && *scalar == Scalar::Boolean(false) {
            return Some(told(path, body));
        }
    }
    let lists = envelope.arrays.iter().filter(|array| array.items > 0).map(|array| (&array.path, &array.bytes));
    let has_members =
        |bytes: &Range<usize>| body[bytes.start + 1..bytes.end - 1].iter().any(|b| !b.is_ascii_whitespace());
    // Of a document in a file there are no bytes at hand.
    let words = |bytes: &Range<usize>| body.get(bytes.clone()).unwrap_or_default();
    let objects = envelope.objects.iter().filter(|(_, bytes)| has_members(bytes)).map(|(path, bytes)| (path, bytes));
    let (path, bytes) = lists.chain(objects).find(|(path, _)| names_error(path))?;
    Some(told(path, words(bytes)))
}

pub(super) fn unreadable(body: &Bytes, status: StatusCode, error: decode::Error) -> Error {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Error::Empty { status },
        Some(0xfe | 0xff) if body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") => {
            Error::NotJson { what: "UTF-16", excerpt: excerpt(body) }
        }
        Some(b'<') => {
            let start = String::from_utf8_lossy(&body[..body.len().min(512)]).to_ascii_lowercase();
            let what = if start.contains("<html") || start.contains("<!doctype html") { "HTML" } else { "XML" };
            Error::NotJson { what, excerpt: excerpt(&without_tags(body)) }
        }
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => match error {
            decode::Error::Json { why, at } => Error::Malformed { why, at: usize_of(at), bytes: body.len() },
            error => error.into(),
        },
        Some(_) => Error::NotJson { what: "text", excerpt: excerpt(body) },
    }
}

/// The words of a page without its markup: a login page's title says more than its first tags.
fn without_tags(body: &[u8]) -> Vec<u8> {
    let mut depth = 0_u32;
    let mut words = Vec::new();
    for byte in body.iter().take(8 * 1024) {
        match byte {
            b'<' => depth += 1,
            b'>' => {
                depth = depth.saturating_sub(1);
                words.push(b' ');
            }
            byte if depth == 0 => words.push(*byte),
            _ => {}
        }
    }
    words
}

/// The records of an answer.
pub(super) struct Located {
    pub at: Vec<String>,
    pub records: Range<usize>,
    pub count: u64,
    /// Absent = there are none.
    pub last: Option<Range<usize>>,
}

/// What stands at a place inside each item of a list, as one list. Lists there give all their items; where an item has
/// nothing there, it gives nothing.
pub(super) fn each(
    body: &Bytes,
    status: StatusCode,
    envelope: &Envelope,
    list: &JsonPath,
    inner: &JsonPath,
) -> Result<Bytes, Error> {
    let items = at_path(envelope, list)?.records;
    let mut all = Vec::with_capacity(items.len());
    all.push(b'[');
    let mut add = |item: &[u8]| {
        if all.len() > 1 {
            all.push(b',');
        }
        all.extend_from_slice(item);
    };
    for item in items_of(&body[items]).map_err(|error| unreadable(body, status, error))? {
        let inside = Envelope::read(item).map_err(|error| unreadable(body, status, error))?;
        if let Some(array) = inside.arrays.iter().find(|array| array.path == inner.members()) {
            for record in items_of(&item[array.bytes.clone()]).map_err(|error| unreadable(body, status, error))? {
                add(record);
            }
        } else if inner.members().is_empty() {
            add(item);
        } else if let Some((_, object)) = inside.objects.iter().find(|(found, _)| found == inner.members()) {
            add(&item[object.clone()]);
        }
    }
    all.push(b']');
    Ok(all.into())
}

fn whole(array: &ArrayFound) -> Located {
    Located { at: array.path.clone(), records: array.bytes.clone(), count: array.items, last: array.last_item.clone() }
}

fn single(at: &JsonPath, object: Range<usize>) -> Located {
    Located { at: at.members().to_vec(), records: object.clone(), count: 1, last: Some(object) }
}

pub(super) fn at_path(envelope: &Envelope, path: &JsonPath) -> Result<Located, Error> {
    if let Some(array) = envelope.arrays.iter().find(|array| array.path == path.members()) {
        return Ok(whole(array));
    }
    if path.members().is_empty() && envelope.is_object {
        return Ok(single(path, envelope.document.clone()));
    }
    if let Some((_, object)) = envelope.objects.iter().find(|(found, _)| found == path.members()) {
        return Ok(single(path, object.clone()));
    }
    let found = envelope.scalars.iter().any(|(found, _)| found == path.members());
    let what = if found { "is neither a list nor an object" } else { "is not there" };
    Err(Error::NoRecords { why: format!("`{path}` {what}; {}", lists(envelope)) })
}

fn lists(envelope: &Envelope) -> String {
    let names: Vec<String> =
        envelope.arrays.iter().map(|array| format!("`{}` ({})", shown(&array.path), array.items)).take(8).collect();
    if names.is_empty() {
        "the answer has no lists".to_owned()
    } else {
        format!("lists in the answer: {}", names.join(", "))
    }
}

/// The document itself; OData's `value`, `d.results` and `d`; else the only list of objects outside deeper objects.
pub(super) fn found(envelope: &Envelope) -> Result<Located, Error> {
    let usual: [&[&str]; 4] = [&[], &["value"], &["d", "results"], &["d"]];
    for path in usual {
        if let Some(array) = envelope.arrays.iter().find(|array| array.path == path) {
            return Ok(whole(array));
        }
    }
    let mut top = envelope.arrays.iter().filter(|array| array.path.len() == 1 && array.is_of_objects);
    match (top.next(), top.next()) {
        (Some(array), None) => Ok(whole(array)),
        (Some(_), Some(_)) => {
            Err(Error::NoRecords { why: format!("several lists could be meant; {}", lists(envelope)) })
        }
        (None, _) => {
            Err(Error::NoRecords { why: format!("no list stands where one is expected; {}", lists(envelope)) })
        }
    }
}

/// The last record of a page, where paging asks for something inside it. `at` is where it stands.
pub(super) fn last_record(wants: &Wants, record: &[u8], at: usize) -> Result<Option<Envelope>, decode::Error> {
    if wants.last_value.is_none() && !matches!(wants.cursor, Some(CursorFrom::LastRecord(_))) {
        return Ok(None);
    }
    match Envelope::read(record) {
        Ok(record) => Ok(Some(record)),
        Err(decode::Error::Json { why, at: inside }) => Err(decode::Error::Json { why, at: at as u64 + inside }),
        Err(error) => Err(error),
    }
}

pub(super) fn facts_of(
    envelope: &Envelope,
    wants: &Wants,
    headers: &HeaderMap,
    body: &Bytes,
    last: Option<&Envelope>,
) -> PageFacts {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).map(str::to_owned);
    let body_link = wants.next_links.iter().find_map(|path| link_at(envelope, path));
    let header_link = || if wants.link_header { next_in_link_header(headers) } else { None };
    let in_last = |path: &JsonPath| last.and_then(|last| last.scalar(path)).and_then(Scalar::token);
    let cursor = wants.cursor.as_ref().and_then(|from| match from {
        CursorFrom::Body(path) => envelope.scalar(path).and_then(Scalar::token),
        CursorFrom::Header(name) => header(name).filter(|token| !token.is_empty()),
        CursorFrom::LastRecord(path) => in_last(path),
    });
    let unreadable_next = match &wants.cursor {
        Some(CursorFrom::Body(path)) => unreadable_at(envelope, body, path),
        Some(CursorFrom::Header(name)) => {
            headers.get(name).filter(|value| value.to_str().is_err()).map(|_| format!("header `{name}`"))
        }
        Some(CursorFrom::LastRecord(_)) => None,
        None if body_link.is_none() => wants.next_links.iter().find_map(|path| unreadable_at(envelope, body, path)),
        None => None,
    };
    PageFacts {
        unreadable_next,
        next_link: body_link.or_else(header_link),
        cursor,
        last_value: wants.last_value.as_ref().and_then(in_last),
        total: wants.totals.iter().find_map(|at| match at {
            TotalAt::Odata => {
                ODATA_COUNTS.iter().find_map(|path| envelope.scalar(&JsonPath::of(path)).and_then(Scalar::count))
            }
            TotalAt::Body(path) => envelope.scalar(path).and_then(Scalar::count),
            TotalAt::Header(name) => header(name).and_then(|total| total.parse().ok()),
        }),
        total_pages: wants.total_pages.as_ref().and_then(|path| envelope.scalar(path)).and_then(Scalar::count),
        has_more: wants.has_more.as_ref().and_then(|path| envelope.scalar(path)).and_then(Scalar::flag),
        ..PageFacts::default()
    }
}

/// A link as text, or as an object with the address inside: HAL writes `{"href": …}`, OData v2 servers `{"uri": …}`.
fn link_at(envelope: &Envelope, path: &JsonPath) -> Option<String> {
    if let Some(scalar) = envelope.scalar(path) {
        return scalar.token();
    }
    ["href", "uri", "url"].iter().find_map(|inner| {
        let members: Vec<&str> = path.members().iter().map(String::as_str).chain([*inner]).collect();
        envelope.scalar(&JsonPath::of(&members)).and_then(Scalar::token)
    })
}

/// A place that holds neither a link or token nor one of the usual ways to say that there is none.
fn unreadable_at(envelope: &Envelope, body: &Bytes, path: &JsonPath) -> Option<String> {
    let is_list = envelope.arrays.iter().any(|array| array.path == path.members() && array.items > 0);
    let is_true = envelope.scalar(path) == Some(&Scalar::Boolean(true));
    let is_object =
        || envelope.objects.iter().any(|(at, bytes)| at == path.members() && !is_no_link(&body[bytes.clone()]));
    (is_list || is_true || is_object()).then(|| format!("`{path}`"))
}

/// An object that says that there is no link: it has no members, or an address that is null or empty.
fn is_no_link(object: &[u8]) -> bool {
    let Ok(inside) = Envelope::read(object) else { return false };
    let is_empty = inside.scalars.is_empty() && inside.arrays.is_empty() && inside.objects.is_empty();
    is_empty || ["href", "uri", "url"].iter().any(|name| inside.scalar(&JsonPath::of(&[*name])).is_some())
}
