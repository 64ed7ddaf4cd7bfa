//! An answer opened into a page: the bytes of its records, their number, and the facts that paging needs.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::envelope::{ArrayFound, Envelope, Scalar, items_of, scalar_in_record};
use super::error::Error;
use crate::http::{Reply, excerpt};
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::paging::walk::{PageFacts, Wants};
use crate::paging::{CursorFrom, TotalAt};

/// Where OData tells its count: v4, v3, v2.
const ODATA_COUNTS: [&[&str]; 3] = [&["@odata.count"], &["odata.count"], &["d", "__count"]];

/// One response's records, not yet decoded.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    body: Bytes,
    records: Range<usize>,
    pub facts: PageFacts,
    /// Where it came from; relative next links start here.
    pub url: Url,
}

impl Page {
    /// The records as JSON text: one array of objects, or a single object.
    pub(crate) fn records(&self) -> &[u8] {
        &self.body[self.records.clone()]
    }

    /// The records, without a copy.
    pub(crate) fn share_records(&self) -> Bytes {
        self.body.slice(self.records.clone())
    }

    /// Notices a server that repeats itself.
    pub(crate) fn compare(&mut self, before: Option<&Page>) {
        self.facts.is_repeated = before.is_some_and(|before| before.records() == self.records());
    }
}

/// Opens an answer.
pub(super) fn open_page(reply: Reply, at: &RecordsAt, wants: &Wants) -> Result<Page, Error> {
    // A byte order mark is not JSON (RFC 8259 section 8.1), but .NET services send it.
    let body = if reply.body.starts_with(b"\xef\xbb\xbf") { reply.body.slice(3..) } else { reply.body };
    let envelope = Envelope::read(&body).map_err(|error| unreadable(&body, &error))?;
    if let Some(errors) = wants.errors.as_ref().and_then(|path| errors_at(&envelope, path)) {
        return Err(Error::Graphql { excerpt: excerpt(&body[errors]) });
    }
    let (body, (records, count, last)) = match at {
        RecordsAt::Each { list, inner } => {
            let all = each(&body, &envelope, list, inner)?;
            let whole = Envelope::read(&all).map_err(|error| unreadable(&all, &error))?;
            let located = at_path(&whole, &JsonPath::default())?;
            (all, located)
        }
        RecordsAt::Path(path) => (body, at_path(&envelope, path)?),
        RecordsAt::Found => (body, found(&envelope)?),
    };
    let mut facts = facts_of(&envelope, wants, &reply.headers, &body, last);
    facts.records = count;
    if wants.signs_of_more {
        facts.sign_of_more = sign_of_more(&envelope, count);
    }
    Ok(Page { body, records, facts, url: reply.url })
}

fn unreadable(body: &Bytes, error: &jiter::JiterError) -> Error {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Error::Malformed { why: "it is empty".to_owned(), at: 0, bytes: body.len() },
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

type Located = (Range<usize>, u64, Option<Range<usize>>);

/// What stands at a place inside each item of a list, as one list. Lists there give all their items; where an item has
/// nothing there, it gives nothing.
fn each(body: &Bytes, envelope: &Envelope, list: &JsonPath, inner: &JsonPath) -> Result<Bytes, Error> {
    let (items, _, _) = at_path(envelope, list)?;
    let mut all = Vec::with_capacity(items.len());
    all.push(b'[');
    let mut add = |item: &[u8]| {
        if all.len() > 1 {
            all.push(b',');
        }
        all.extend_from_slice(item);
    };
    for item in items_of(&body[items]).map_err(|error| unreadable(body, &error))? {
        let inside = Envelope::read(item).map_err(|error| unreadable(body, &error))?;
        if let Some(array) = inside.arrays.iter().find(|array| array.path == inner.members()) {
            for record in items_of(&item[array.bytes.clone()]).map_err(|error| unreadable(body, &error))? {
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

/// Errors of GraphQL (its specification, section 7.1), which come with status 200 and perhaps half of the data.
fn errors_at(envelope: &Envelope, path: &JsonPath) -> Option<Range<usize>> {
    envelope
        .arrays
        .iter()
        .find(|array| array.path == path.members() && array.items > 0)
        .map(|errors| errors.bytes.clone())
}

fn whole(array: &ArrayFound) -> Located {
    (array.bytes.clone(), array.items, array.last_item.clone())
}

fn single(object: Range<usize>) -> Located {
    (object.clone(), 1, Some(object))
}

fn at_path(envelope: &Envelope, path: &JsonPath) -> Result<Located, Error> {
    if let Some(array) = envelope.arrays.iter().find(|array| array.path == path.members()) {
        return Ok(whole(array));
    }
    if path.members().is_empty() && envelope.is_object {
        return Ok(single(envelope.document.clone()));
    }
    if let Some((_, object)) = envelope.objects.iter().find(|(found, _)| found == path.members()) {
        return Ok(single(object.clone()));
    }
    let found = envelope.scalars.iter().any(|(found, _)| found == path.members());
    let what = if found { "is neither a list nor an object" } else { "is not there" };
    Err(Error::NoRecords { why: format!("`{path}` {what}; {}", lists(envelope)) })
}

fn lists(envelope: &Envelope) -> String {
    let names: Vec<String> = envelope
        .arrays
        .iter()
        .map(|array| {
            format!("`{}` ({})", JsonPath::of(&array.path.iter().map(String::as_str).collect::<Vec<_>>()), array.items)
        })
        .take(8)
        .collect();
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
    let last_value = wants.last_value.as_ref().zip(last.clone());
    let last_value = last_value.and_then(|(path, last)| scalar_in_record(&body[last], path)?.token());
    let cursor = wants.cursor.as_ref().and_then(|from| match from {
        CursorFrom::Body(path) => envelope.scalar(path).and_then(Scalar::token),
        CursorFrom::Header(name) => header(name).filter(|token| !token.is_empty()),
        CursorFrom::LastRecord(path) => {
            last.and_then(|last| scalar_in_record(&body[last], path)).and_then(|scalar| scalar.token())
        }
    });
    PageFacts {
        next_link: body_link.or_else(header_link),
        cursor,
        last_value,
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

/// The target of `rel="next"` (RFC 8288); several headers and several links in one are both usual.
fn next_in_link_header(headers: &HeaderMap) -> Option<String> {
    headers.get_all(http::header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let mut rest = value;
        while let Some(start) = rest.find('<') {
            let (target, after) = rest[start + 1..].split_once('>')?;
            let end = after.find(",<").or_else(|| after.find(", <")).unwrap_or(after.len());
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

/// Members that tell of further pages: a link or cursor that is set, a flag that is true, a total above the count.
fn sign_of_more(envelope: &Envelope, count: u64) -> Option<String> {
    envelope.scalars.iter().find_map(|(path, scalar)| {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '@', '.', '$'], "");
        let mut name = plain(path.last()?);
        if path.len() > 1 && matches!(name.as_str(), "href" | "uri" | "url") {
            name = plain(&path[path.len() - 2]);
        }
        let is_sign = match name.as_str() {
            "next" | "nextlink" | "nexturl" | "nexturi" | "nextpage" | "nextpagetoken" | "nexttoken" | "nextcursor"
            | "nextpageurl" | "nextpagelink" | "continuationtoken" | "endcursor" => {
                scalar.token().is_some() && *scalar != Scalar::Number("0".into())
            }
            "hasmore" | "hasnext" | "hasnextpage" | "moreresults" | "moreitemsincollection" => {
                *scalar == Scalar::Boolean(true)
            }
            "total" | "totalcount" | "totalrecords" | "totalitems" | "totalresults" | "totalelements" => {
                scalar.count().is_some_and(|total| total > count)
            }
            "totalpages" | "pagecount" | "lastpage" => scalar.count().is_some_and(|pages| pages > 1),
            _ => false,
        };
        let members: Vec<&str> = path.iter().map(String::as_str).collect();
        is_sign.then(|| format!("{}", JsonPath::of(&members)))
    })
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
        open_page(reply, &at, &paginator.wants())
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
        assert_eq!(page.facts.sign_of_more.is_some(), expect, "{body}");
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
