//! How further pages may be found, by what stands around the records, in the headers, and in the address itself.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::Guess;
use super::records::plain;
use crate::source::envelope::{Envelope, Scalar};
use crate::source::signs::{next_in_link_header, plain_names, sign_of_next, sign_of_total};

/// Names of the parameter that counts pages.
const PAGE: &[&str] = &[
    "page",
    "_page",
    "pageNumber",
    "page_number",
    "pageNo",
    "page_no",
    "pageIndex",
    "currentPage",
    "page[number]",
    "p",
];
/// Names of the parameter that says how many records a page has.
const SIZE: &[&str] = &[
    "per_page",
    "perPage",
    "page_size",
    "pageSize",
    "pagesize",
    "limit",
    "_limit",
    "size",
    "count",
    "maxResults",
    "max_results",
    "take",
    "rows",
    "$top",
    "top",
    "page[size]",
    "pageLimit",
    "resultsPerPage",
];
/// Names of the parameter that counts records, with those of the size that go with them.
const OFFSET: &[(&str, &str)] = &[
    ("offset", "limit"),
    ("skip", "limit"),
    ("skip", "take"),
    ("_start", "_limit"),
    ("start", "limit"),
    ("startAt", "maxResults"),
    ("startIndex", "count"),
    ("from", "size"),
    ("$skip", "$top"),
    ("page[offset]", "page[limit]"),
];
/// Tokens of a next page by their plain names.
const TOKENS: &[&str] = &[
    "next",
    "nextpage",
    "nextpagetoken",
    "nexttoken",
    "nextcursor",
    "continuationtoken",
    "continuation",
    "endcursor",
    "paginationtoken",
    "nextkey",
    "nextmarker",
    "scrollid",
    "bookmark",
    "nextoffset",
    "nextstart",
    "pagetoken",
];
/// Parameters that take a token where its own name tells none, the usual ones first.
const TOKEN_PARAMS: &[&str] = &["cursor", "page_token", "pageToken", "after", "next", "_next", "token", "page"];
/// Parameters that are tried for one token.
const TOKEN_PARAMS_TRIED_MAX: usize = 6;
/// Names of parameters that take the key of the last record.
const LAST_PARAMS: &[&str] = &["starting_after", "after", "after_id", "since_id"];
/// A list of fewer records seldom is a page of a longer one, where nothing else says so.
const PAGE_RECORDS_MIN: u64 = 5;

/// A request and what came of it besides the body.
pub(super) struct Asked<'a> {
    pub params: &'a [(String, String)],
    pub count: u64,
    pub headers: &'a HeaderMap,
}

/// What ends a counted walk, as far as the answer tells.
#[derive(Default)]
struct Bounds {
    keys: Map<String, Value>,
    words: Vec<String>,
}

/// Whether a parameter of an address chooses a page, so that a walk sends it and not the stream.
pub(crate) fn is_page_parameter(name: &str) -> bool {
    PAGE.contains(&name) || SIZE.contains(&name) || OFFSET.iter().any(|(offset, _)| *offset == name)
}

/// Whether a parameter of an address counts pages.
pub(crate) fn counts_pages(name: &str) -> bool {
    PAGE.contains(&name)
}

/// Whether a parameter of an address counts records.
pub(crate) fn counts_records(name: &str) -> bool {
    OFFSET.iter().any(|(offset, _)| *offset == name)
}

pub(super) fn guesses(envelope: &Envelope, asked: &Asked<'_>) -> Vec<Guess> {
    let mut found = Vec::new();
    if next_in_link_header(asked.headers).is_some() {
        let why = "the answer has a `Link` header with rel=\"next\"".to_owned();
        found.push(Guess { value: json!("link_header"), why });
    }
    if let Some(place) = odata_link(envelope) {
        found.push(Guess { value: json!("odata"), why: format!("the answer has `{place}`") });
    }
    found.extend(links_and_tokens(envelope, asked));
    found.extend(next_page_header(asked));
    found.extend(last_record(envelope, asked));
    let bounds = bounds(envelope, asked);
    let is_told = !bounds.keys.is_empty() && tells_of_more(envelope, asked);
    found.extend(counted(envelope, asked, &bounds, is_told));
    found
}

/// What tells that this page is not all.
pub(super) fn sign(envelope: &Envelope, asked: &Asked<'_>) -> Option<String> {
    let link = || next_in_link_header(asked.headers).map(|_| "header Link".to_owned());
    link()
        .or_else(|| odata_link(envelope))
        .or_else(|| sign_of_next(envelope))
        .or_else(|| sign_of_total(envelope, asked.headers, asked.count))
}

/// The next link of OData, of every version; some servers write it as an object.
fn odata_link(envelope: &Envelope) -> Option<String> {
    let paths = [&["@odata.nextLink"][..], &["odata.nextLink"], &["d", "__next"], &["d", "__next", "uri"]];
    let mut set = paths.into_iter().filter(|path| scalar_at(envelope, path).and_then(Scalar::token).is_some());
    set.next().map(|path| path.join("."))
}

/// For an entity set without next link: its service may keep the rest to itself, which its count tells.
pub(crate) fn of_odata(count: u64) -> Vec<Guess> {
    if count < PAGE_RECORDS_MIN {
        return Vec::new();
    }
    let why = "the service sends no next link, but its count tells of more".to_owned();
    vec![Guess { value: json!({ "odata_skip": { "size": count } }), why }]
}

fn tells_of_more(envelope: &Envelope, asked: &Asked<'_>) -> bool {
    sign_of_next(envelope).is_some() || sign_of_total(envelope, asked.headers, asked.count).is_some()
}

/// Guesses for a list that tells nothing of further pages: many APIs give their first page so, in silence.
pub(crate) fn without_signs(count: u64) -> Vec<Guess> {
    if count < PAGE_RECORDS_MIN {
        return Vec::new();
    }
    let why = |what: &str| format!("nothing in the answer tells of pages, but the API takes {what}");
    let mut found = vec![page_of("page", 1, None, &Bounds::default(), why("`page`"))];
    for (offset, size) in [("offset", "limit"), ("skip", "limit"), ("_start", "_limit")] {
        let words = why(&format!("`{offset}` and `{size}`"));
        found.push(offset_of(offset, size, count, &Bounds::default(), words));
    }
    found
}

fn links_and_tokens(envelope: &Envelope, asked: &Asked<'_>) -> Vec<Guess> {
    let has_more = place(envelope, Place::HasMore);
    let mut found = Vec::new();
    for (name, path, scalar) in plain_names(envelope) {
        let parent = path.len().checked_sub(2).map(|at| path[at].to_ascii_lowercase());
        let is_after_next = name == "after" && parent.as_deref() == Some("next");
        let is_next = TOKENS.contains(&name.as_str())
            || matches!(name.as_str(), "nextlink" | "nexturl" | "nexturi" | "nextpageurl" | "nextpagelink")
            || is_after_next;
        let Some(token) = scalar.token().filter(|_| is_next && !is_odata(path)) else { continue };
        if *scalar == Scalar::Number("0".into()) {
            continue;
        }
        let is_address =
            path.last().is_some_and(|last| matches!(last.as_str(), "href" | "uri" | "url")) && path.len() > 1;
        let path = if is_address && !name.ends_with("url") { &path[..path.len() - 1] } else { path };
        let shown = plain(path);
        if is_link(&token) {
            found.push(Guess {
                value: json!({ "next_url": shown }),
                why: format!("`{shown}` holds the next page's address"),
            });
            continue;
        }
        for param in token_params(path.last().map_or("", String::as_str), &token, asked) {
            let mut cursor = Map::from_iter([("from".to_owned(), json!(shown)), ("param".to_owned(), json!(param))]);
            if let Some(path) = &has_more {
                cursor.insert("has_more".to_owned(), json!(path));
            }
            let why = format!("`{shown}` holds a token, which is sent as `{param}`");
            found.push(Guess { value: json!({ "cursor": cursor }), why });
        }
    }
    found
}

fn is_odata(path: &[String]) -> bool {
    path.iter().any(|name| name.ends_with("odata.nextLink") || name == "__next")
}

fn is_link(text: &str) -> bool {
    ["http://", "https://", "/", "?"].iter().any(|start| text.starts_with(start))
}

/// Parameters that may take a token: those of the address, the token's own name without `next`, the usual ones.
fn token_params(name: &str, token: &str, asked: &Asked<'_>) -> Vec<String> {
    let without = name.strip_prefix("next").unwrap_or(name).trim_start_matches(['_', '-']);
    let mut own = without.to_owned();
    if name.starts_with("next") && !name.starts_with("next_") {
        own = without
            .chars()
            .next()
            .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + &without[1..]);
    }
    let mut params: Vec<String> = Vec::new();
    let of_address = asked.params.iter().map(|(name, _)| name.as_str());
    let is_usual = |name: &&str| TOKEN_PARAMS.contains(name) || **name == own;
    params.extend(of_address.filter(is_usual).map(str::to_owned));
    if token.parse::<u64>().is_ok() && name.to_ascii_lowercase().contains("page") {
        params.push("page".to_owned());
    }
    params.extend(Some(own).filter(|own| !own.is_empty() && own != "endCursor"));
    params.extend(TOKEN_PARAMS.iter().map(|name| (*name).to_owned()));
    let mut seen = std::collections::BTreeSet::new();
    params.retain(|name| seen.insert(name.clone()));
    params.truncate(TOKEN_PARAMS_TRIED_MAX);
    params
}

/// GitLab's and others' number of the next page in a header.
fn next_page_header(asked: &Asked<'_>) -> Option<Guess> {
    let next = asked.headers.get("x-next-page")?.to_str().ok()?.trim();
    next.parse::<u64>().ok()?;
    let value = json!({ "cursor": { "from_header": "x-next-page", "param": page_param(asked).unwrap_or("page") } });
    Some(Guess { value, why: "the header X-Next-Page holds the number of the next page".to_owned() })
}

/// A flag that there is more, and no place that says where: the last record's key is asked behind, as Stripe does.
fn last_record(envelope: &Envelope, asked: &Asked<'_>) -> Vec<Guess> {
    let Some(flag) = place(envelope, Place::HasMore) else { return Vec::new() };
    let is_told =
        plain_names(envelope).any(|(name, _, scalar)| TOKENS.contains(&name.as_str()) && scalar.token().is_some());
    if is_told || asked.count == 0 {
        return Vec::new();
    }
    let guess = |param: &&str| Guess {
        value: json!({ "cursor": { "from_last_record": "id", "param": param, "has_more": flag } }),
        why: format!("`{flag}` tells of more; `{param}` takes the `id` of the last record"),
    };
    LAST_PARAMS.iter().map(guess).collect()
}

/// Pages that haul counts itself.
fn counted(envelope: &Envelope, asked: &Asked<'_>, bounds: &Bounds, is_told: bool) -> Vec<Guess> {
    let mut found = Vec::new();
    let size = size_param(asked);
    let told =
        |what: String| if bounds.words.is_empty() { what } else { format!("{what}; {}", bounds.words.join(", ")) };
    if let Some(param) = page_param(asked) {
        let value: u64 = param_of(asked, param).and_then(|value| value.parse().ok()).unwrap_or(1);
        let words = told(format!("the address has the parameter `{param}`"));
        found.push(page_of(param, value.min(1), size, bounds, words));
    }
    if let Some((param, usual)) = offset_param(asked) {
        let words = told(format!("the address has the parameter `{param}`"));
        let (size_param, size) = size.unwrap_or((usual, asked.count.max(1)));
        found.push(offset_of(param, size_param, size, bounds, words));
    }
    if !is_told || !found.is_empty() {
        return found;
    }
    let echoed = |name: &str| {
        plain_names(envelope)
            .any(|(_, path, scalar)| path.last().is_some_and(|last| last == name) && scalar.count().is_some())
    };
    let mut offsets: Vec<&(&str, &str)> = OFFSET.iter().collect();
    // Names that the answer itself uses come first.
    offsets.sort_by_key(|(offset, size)| (!echoed(offset), !echoed(size)));
    let mut pages: Vec<&&str> = PAGE.iter().collect();
    pages.sort_by_key(|name| !echoed(name));
    let is_offset_first = offsets.first().is_some_and(|(offset, _)| echoed(offset));
    let words = |what: String, is_echoed: bool| {
        told(if is_echoed { format!("the answer itself speaks of {what}") } else { format!("the API takes {what}") })
    };
    let pages = pages.into_iter().flat_map(|name| {
        let words = words(format!("`{name}`"), echoed(name));
        [1, 0].map(|first| page_of(name, first, size, bounds, words.clone()))
    });
    let offsets = offsets.into_iter().map(|(offset, usual)| {
        let (size_param, size) = size.unwrap_or((usual, asked.count.max(1)));
        offset_of(offset, size_param, size, bounds, words(format!("`{offset}` and `{size_param}`"), echoed(offset)))
    });
    match is_offset_first {
        true => found.extend(offsets.chain(pages)),
        false => found.extend(pages.chain(offsets)),
    }
    found
}

fn page_of(param: &str, first: u64, size: Option<(&str, u64)>, bounds: &Bounds, why: String) -> Guess {
    let mut page = Map::new();
    page.insert("param".to_owned(), json!(param));
    if first != 1 {
        page.insert("first".to_owned(), json!(first));
    }
    if let Some((name, size)) = size {
        page.insert("size_param".to_owned(), json!(name));
        page.insert("size".to_owned(), json!(size));
    }
    page.extend(bounds.keys.clone());
    Guess { value: json!({ "page": page }), why }
}

fn offset_of(param: &str, size_param: &str, size: u64, bounds: &Bounds, why: String) -> Guess {
    let mut offset = Map::new();
    offset.insert("param".to_owned(), json!(param));
    offset.insert("size_param".to_owned(), json!(size_param));
    offset.insert("size".to_owned(), json!(size));
    // The number of pages is a word of `page` alone.
    offset.extend(bounds.keys.clone().into_iter().filter(|(name, _)| name != "total_pages"));
    Guess { value: json!({ "offset": offset }), why }
}

/// Members around the records that speak of further pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Total,
    TotalPages,
    HasMore,
}

fn place(envelope: &Envelope, what: Place) -> Option<String> {
    let is_it = |name: &str, scalar: &Scalar| match what {
        Place::Total => {
            let names = ["total", "totalcount", "totalrecords", "totalitems", "totalresults", "totalelements", "count"];
            names.contains(&name) && scalar.count().is_some()
        }
        Place::TotalPages => {
            ["totalpages", "pagecount", "lastpage", "pages", "numpages"].contains(&name) && scalar.count().is_some()
        }
        Place::HasMore => {
            let names = ["hasmore", "hasnext", "hasnextpage", "moreresults", "moreitemsincollection"];
            names.contains(&name) && scalar.flag().is_some()
        }
    };
    plain_names(envelope).find(|(name, _, scalar)| is_it(name, scalar)).map(|(_, path, _)| plain(path))
}

fn bounds(envelope: &Envelope, asked: &Asked<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    let mut add = |key: &str, place: String, what: &str| {
        bounds.words.push(format!("`{place}` holds {what}"));
        bounds.keys.insert(key.to_owned(), json!(place));
    };
    let has_more = place(envelope, Place::HasMore);
    // A `count` may be that of the page.
    let number = |path: &String| {
        let found = plain_names(envelope).find(|(_, at, _)| plain(at) == *path)?;
        found.2.count()
    };
    let total = place(envelope, Place::Total).filter(|path| number(path).is_some_and(|total| total > asked.count));
    let pages = place(envelope, Place::TotalPages);
    if let Some(place) = total {
        add("total", place, "the number of all records");
    } else if let Some(header) = total_header(asked) {
        add("total_header", header.to_owned(), "the number of all records");
    }
    if let Some(place) = pages {
        add("total_pages", place, "the number of pages");
    }
    if let Some(place) = has_more {
        add("has_more", place, "whether there are more");
    }
    bounds
}

fn total_header<'a>(asked: &Asked<'a>) -> Option<&'static str> {
    let is_above = |name: &&&str| {
        let value = asked.headers.get(**name).and_then(|value| value.to_str().ok());
        value.and_then(|text| text.trim().parse::<u64>().ok()).is_some_and(|total| total > asked.count)
    };
    ["x-total-count", "x-total"].iter().find(is_above).copied()
}

fn param_of<'a>(asked: &Asked<'a>, name: &str) -> Option<&'a str> {
    asked.params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn page_param(asked: &Asked<'_>) -> Option<&'static str> {
    PAGE.iter().find(|name| param_of(asked, name).is_some_and(|value| value.parse::<u64>().is_ok())).copied()
}

fn offset_param(asked: &Asked<'_>) -> Option<(&'static str, &'static str)> {
    let is_sent = |name: &str| param_of(asked, name).is_some_and(|value| value.parse::<u64>().is_ok());
    OFFSET.iter().find(|(name, _)| is_sent(name)).copied()
}

fn size_param(asked: &Asked<'_>) -> Option<(&'static str, u64)> {
    let size = |name: &&&'static str| param_of(asked, name)?.parse::<u64>().ok().filter(|size| *size > 0);
    SIZE.iter().find_map(|name| Some((*name, size(&name)?)))
}

fn scalar_at<'e>(envelope: &'e Envelope, path: &[&str]) -> Option<&'e Scalar> {
    envelope.scalars.iter().find(|(found, _)| found == path).map(|(_, scalar)| scalar)
}
