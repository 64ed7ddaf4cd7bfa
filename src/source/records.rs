//! An answer opened into a page: the bytes of its records, their number, and the facts that paging needs.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::envelope::{ArrayFound, Envelope, Scalar, scalar_in_record};
use super::error::Error;
use crate::http::{Reply, excerpt};
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::paging::walk::{PageFacts, Wants};
use crate::paging::{CursorFrom, TotalAt};

/// One response's records, not yet decoded.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    body: Bytes,
    records: Range<usize>,
    /// Where the records stand.
    at: Vec<String>,
    pub facts: PageFacts,
    /// Where it came from; relative next links start here.
    pub url: Url,
}

impl Page {
    /// The records as JSON text: one array of objects, or a single object.
    pub(crate) fn records(&self) -> &[u8] {
        &self.body[self.records.clone()]
    }
}

/// Opens an answer. `before` is the page before it, from which it must not differ in where its records stand.
pub(super) fn open_page(reply: Reply, at: &RecordsAt, wants: &Wants, before: Option<&Page>) -> Result<Page, Error> {
    if reply.status == StatusCode::ACCEPTED {
        // Its body, however well it looks, is not the result (RFC 9110 section 15.3.3).
        return Err(Error::NotReady { status: reply.status, excerpt: excerpt(&reply.body) });
    }
    // A byte order mark is not JSON (RFC 8259 section 8.1), but .NET services send it.
    let body = if reply.body.starts_with(b"\xef\xbb\xbf") { reply.body.slice(3..) } else { reply.body };
    let envelope = Envelope::read(&body).map_err(|error| unreadable(&body, reply.status, &error))?;
    if let Some(twice) = &envelope.twice {
        return Err(Error::Twice { path: shown(twice) });
    }
    if let Some(error) = error_body(&envelope, at, &body) {
        return Err(error);
    }
    let located = locate(&envelope, at)?;
    let mut facts = facts_of(&envelope, wants, &reply.headers, &body, located.last);
    facts.records = located.count;
    if wants.signs_of_more {
        facts.sign_of_next = sign_of_next(&envelope);
        facts.sign_of_total = sign_of_total(&envelope, &reply.headers, located.count);
    }
    let mut page = Page { body, records: located.records, at: located.at, facts, url: reply.url };
    if page.facts.records > 0 {
        let mut hasher = DefaultHasher::new();
        hasher.write(page.records());
        page.facts.fingerprint = Some(hasher.finish());
    }
    match before.and_then(|before| moved(before, &page)) {
        Some(why) => Err(Error::Moved { why }),
        None => Ok(page),
    }
}

/// A list that moves or turns into an object is another thing than the pages before: a message, a wrapper, an error.
fn moved(before: &Page, page: &Page) -> Option<String> {
    let kind = |page: &Page| if page.records().starts_with(b"[") { "a list" } else { "an object" };
    if before.at != page.at {
        Some(format!("its records would stand at `{}`, there they stood at `{}`", shown(&page.at), shown(&before.at)))
    } else if kind(before) != kind(page) {
        Some(format!("`{}` is {}, there it was {}", shown(&page.at), kind(page), kind(before)))
    } else {
        None
    }
}

fn shown(path: &[String]) -> String {
    JsonPath::of(&path.iter().map(String::as_str).collect::<Vec<_>>()).to_string()
}

/// What an answer around the records says of an error. A record of its own may say what it likes.
fn error_body(envelope: &Envelope, at: &RecordsAt, body: &Bytes) -> Option<Error> {
    let stated = match at {
        RecordsAt::Path(path) if path.members().is_empty() => return None,
        RecordsAt::Path(path) => path.members(),
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
    let objects = envelope.objects.iter().filter(|(_, bytes)| has_members(bytes)).map(|(path, bytes)| (path, bytes));
    let (path, bytes) = lists.chain(objects).find(|(path, _)| names_error(path))?;
    Some(told(path, &body[bytes.clone()]))
}

fn unreadable(body: &Bytes, status: StatusCode, error: &jiter::JiterError) -> Error {
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
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            Error::Malformed { why: error.error_type.to_string(), at: error.index, bytes: body.len() }
        }
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
struct Located {
    at: Vec<String>,
    records: Range<usize>,
    count: u64,
    /// Absent = there are none.
    last: Option<Range<usize>>,
}

fn locate(envelope: &Envelope, at: &RecordsAt) -> Result<Located, Error> {
    match at {
        RecordsAt::Path(path) => at_path(envelope, path),
        RecordsAt::Found => found(envelope),
    }
}

fn whole(array: &ArrayFound) -> Located {
    Located { at: array.path.clone(), records: array.bytes.clone(), count: array.items, last: array.last_item.clone() }
}

fn single(at: &JsonPath, object: Range<usize>) -> Located {
    Located { at: at.members().to_vec(), records: object.clone(), count: 1, last: Some(object) }
}

fn at_path(envelope: &Envelope, path: &JsonPath) -> Result<Located, Error> {
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
fn found(envelope: &Envelope) -> Result<Located, Error> {
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

fn facts_of(
    envelope: &Envelope,
    wants: &Wants,
    headers: &HeaderMap,
    body: &Bytes,
    last: Option<Range<usize>>,
) -> PageFacts {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).map(str::to_owned);
    let body_link = wants.next_links.iter().find_map(|path| link_at(envelope, path));
    let header_link = || if wants.link_header { next_in_link_header(headers) } else { None };
    let cursor = wants.cursor.as_ref().and_then(|from| match from {
        CursorFrom::Body(path) => envelope.scalar(path).and_then(Scalar::token),
        CursorFrom::Header(name) => header(name).filter(|token| !token.is_empty()),
        CursorFrom::LastRecord(path) => {
            last.and_then(|last| scalar_in_record(&body[last], path)).and_then(|scalar| scalar.token())
        }
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
        total: wants.totals.iter().find_map(|at| match at {
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

/// The target of `rel="next"` (RFC 8288); several headers and several links in one are both usual.
fn next_in_link_header(headers: &HeaderMap) -> Option<String> {
    headers.get_all(http::header::LINK).iter().find_map(|value| {
        // A title may hold what is no ASCII; the address next to it counts all the same.
        let value = String::from_utf8_lossy(value.as_bytes());
        let mut rest = value.as_ref();
        while let Some(start) = rest.find('<') {
            let (target, after) = rest[start + 1..].split_once('>')?;
            let mut is_quoted = false;
            let is_end = |sign: char| {
                is_quoted ^= sign == '"';
                sign == ',' && !is_quoted
            };
            let end = after.find(is_end).unwrap_or(after.len());
            if after[..end].split(';').any(is_rel_next) {
                return Some(target.to_owned());
            }
            rest = &after[end..];
        }
        None
    })
}

fn is_rel_next(param: &str) -> bool {
    param.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// Scalars outside the records by their plain name: `next_page`, `nextPage` and `@odata.nextPage` differ in taste alone.
fn plain_names(envelope: &Envelope) -> impl Iterator<Item = (String, &[String], &Scalar)> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '@', '.', '$'], "");
    envelope.scalars.iter().filter_map(move |(path, scalar)| {
        let name = plain(path.last()?);
        let is_address = path.len() > 1 && matches!(name.as_str(), "href" | "uri" | "url");
        Some((if is_address { plain(&path[path.len() - 2]) } else { name }, path.as_slice(), scalar))
    })
}

/// A member that says that there is a next page: a link or token that is set, a flag that is true.
fn sign_of_next(envelope: &Envelope) -> Option<String> {
    let (_, path, _) = plain_names(envelope).find(|(name, _, scalar)| match name.as_str() {
        "next" | "nextlink" | "nexturl" | "nexturi" | "nextpage" | "nextpagetoken" | "nexttoken" | "nextcursor"
        | "nextpageurl" | "nextpagelink" | "continuationtoken" => {
            scalar.token().is_some() && **scalar != Scalar::Number("0".into())
        }
        "hasmore" | "hasnext" | "hasnextpage" | "moreresults" | "moreitemsincollection" => scalar.flag() == Some(true),
        _ => false,
    })?;
    Some(shown(path))
}

/// A total above the count, a number of pages, an end cursor; in the answer or in the usual headers.
fn sign_of_total(envelope: &Envelope, headers: &HeaderMap, count: u64) -> Option<String> {
    let in_body = plain_names(envelope).find(|(name, _, scalar)| match name.as_str() {
        "endcursor" => scalar.token().is_some(),
        "total" | "totalcount" | "totalrecords" | "totalitems" | "totalresults" | "totalelements" => {
            scalar.count().is_some_and(|total| total > count)
        }
        "totalpages" | "pagecount" | "lastpage" => scalar.count().is_some_and(|pages| pages > 1),
        _ => false,
    });
    let number = |name: &str| -> Option<u64> {
        let text = headers.get(name)?.to_str().ok()?;
        // `Content-Range: items 0-24/3573`, but not of bytes.
        if text.starts_with("bytes") {
            return None;
        }
        text.rsplit('/').next()?.trim().parse().ok()
    };
    let in_headers = || {
        let totals = ["x-total-count", "x-total", "content-range"].into_iter();
        let mut found = totals.filter(|name| number(name).is_some_and(|total| total > count));
        let mut pages = ["x-total-pages", "x-next-page"].into_iter();
        found.next().or_else(|| pages.find(|name| number(name).is_some_and(|page| page > 1)))
    };
    in_body.map(|(_, path, _)| shown(path)).or_else(|| in_headers().map(|name| format!("header {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::Paginator;

    fn open(body: &str, at: RecordsAt, paginator: &Paginator, link: Option<&str>) -> Result<Page, Error> {
        let mut headers = HeaderMap::new();
        if let Some(link) = link {
            headers.insert("link", link.parse().expect("a header"));
        }
        let reply = Reply {
            status: http::StatusCode::OK,
            url: "https://h/p".parse().expect("a URL"),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        open_page(reply, &at, &paginator.wants(), None)
    }

    fn check_records(body: &str, at: &str, expect: Option<(&str, u64)>) {
        let at = if at.is_empty() { RecordsAt::Found } else { RecordsAt::Path(at.parse().expect("a path")) };
        match (open(body, at, &Paginator::Single, None), expect) {
            (Ok(page), Some((records, count))) => {
                assert_eq!(std::str::from_utf8(page.records()), Ok(records), "{body}");
                assert_eq!(page.facts.records, count, "{body}");
            }
            (Err(_), None) => {}
            (got, _) => panic!("{body}: {got:?}"),
        }
    }

    #[test]
    fn records_are_found_where_they_stand() {
        check_records(r#"[{"a":1},{"a":2}]"#, "", Some((r#"[{"a":1},{"a":2}]"#, 2)));
        check_records("\u{feff}[]", "", Some(("[]", 0)));
        check_records(r#"{"value":[{"a":1}],"x":[{}]}"#, "", Some((r#"[{"a":1}]"#, 1)));
        check_records(r#"{"d":{"results":[{}],"__next":null}}"#, "", Some(("[{}]", 1)));
        check_records(r#"{"d":[{}]}"#, "", Some(("[{}]", 1)));
        check_records(r#"{"n":1,"orders":[{}], "tags":["x"]}"#, "", Some(("[{}]", 1)));
        check_records(r#"{"a":[{}],"b":[{}]}"#, "", None);
        check_records(r#"{"error":"x"}"#, "", None);
        check_records(r#"{"data":{"items":[{}, {}]}}"#, "data.items", Some(("[{}, {}]", 2)));
        check_records(r#"{"id":7}"#, "$", Some((r#"{"id":7}"#, 1)));
        check_records(r#"{"d":{"id":7}}"#, "d", Some((r#"{"id":7}"#, 1)));
        check_records(r#"{"data":null}"#, "data", None);
        check_records(r#"{"data":[{}]"#, "data", None);
        check_records("<html><title>Sign in</title>", "", None);
        check_records("", "", None);
    }

    #[test]
    fn a_login_page_is_shown_by_its_words() {
        let error =
            open("<!DOCTYPE html><html><head><title>Sign in</title>", RecordsAt::Found, &Paginator::Single, None);
        assert_eq!(error.expect_err("no JSON").to_string(), "the answer is HTML instead of JSON: Sign in");
    }

    fn check_next(paginator: Paginator, body: &str, link: Option<&str>, expect: Option<&str>) {
        let page = open(body, RecordsAt::Found, &paginator, link).expect("a page");
        assert_eq!(page.facts.next_link.as_deref(), expect, "{body} {link:?}");
    }

    #[test]
    fn next_links_are_read_in_their_spellings() {
        check_next(Paginator::Odata, r#"{"value":[],"@odata.nextLink":"a?b"}"#, None, Some("a?b"));
        check_next(Paginator::Odata, r#"{"d":{"results":[],"__next":"u"}}"#, None, Some("u"));
        check_next(Paginator::Odata, r#"{"d":{"results":[],"__next":{"uri":"u"}}}"#, None, Some("u"));
        check_next(Paginator::Odata, r#"{"value":[],"@odata.nextLink":""}"#, None, None);
        let hal = Paginator::NextUrl { path: JsonPath::of(&["_links", "next"]) };
        check_next(hal, r#"{"items":[],"_links":{"next":{"href":"/p2"}}}"#, None, Some("/p2"));
        let link = |text| check_next(Paginator::LinkHeader, "[]", Some(text), Some("https://h/x?a=1,2&b=;"));
        link(r#"<https://h/x?a=1,2&b=;>; rel="next""#);
        link(r#"<https://h/0>; rel="prev", <https://h/x?a=1,2&b=;>; title="p;2"; rel=next"#);
        link(r#"<https://h/x?a=1,2&b=;>; REL="last next",<https://h/9>; rel="first""#);
        check_next(Paginator::LinkHeader, "[]", Some(r#"<https://h/9>; rel="last""#), None);
    }

    fn check_sign(body: &str, expect: bool) {
        let page = open(body, RecordsAt::Found, &Paginator::Unstated, None).expect("a page");
        assert_eq!(page.facts.sign_of_next.or(page.facts.sign_of_total).is_some(), expect, "{body}");
    }

    #[test]
    fn signs_of_further_pages_are_noticed() {
        check_sign(r#"{"data":[{}],"next":"x"}"#, true);
        check_sign(r#"{"data":[{}],"next":null}"#, false);
        check_sign(r#"{"data":[{}],"meta":{"total":2}}"#, true);
        check_sign(r#"{"data":[{}],"meta":{"total":1}}"#, false);
        check_sign(r#"{"data":[{}],"has_more":true}"#, true);
        check_sign(r#"{"data":[{}],"_links":{"next":{"href":"/2"}}}"#, true);
        check_sign(r#"{"data":[{}],"name":"x"}"#, false);
    }
}
