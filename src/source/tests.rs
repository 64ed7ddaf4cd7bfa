//! Answers opened into pages.

use bytes::Bytes;
use http::HeaderMap;

use super::Error;
use super::page::{Page, PageReading, Trust, open_page};
use crate::http::{Body, Reply};
use crate::limits::{PAGE_COPIED_BYTES_MAX, PAGE_SMALL_BYTES};
use crate::model::answer::{AnswerFormat, Packing};
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::paging::{CursorFrom, CursorSend, Flag, Paginator};

fn open(body: &str, at: RecordsAt, paginator: &Paginator, link: Option<&str>) -> Result<Page, Error> {
    let mut headers = HeaderMap::new();
    if let Some(link) = link {
        headers.insert("link", link.parse().expect("a header"));
    }
    let reply = Reply {
        status: http::StatusCode::OK,
        url: "https://h/p".parse().expect("a URL"),
        headers,
        body: Body::Memory(Bytes::copy_from_slice(body.as_bytes())),
    };
    let wants = paginator.wants();
    let format = AnswerFormat::Json;
    let reading = PageReading { at: &at, wants: &wants, rules: &[], format: &format, packing: Packing::Nothing };
    open_page(reply, &reading, Trust::Looked, 1 << 20)
}

fn check_records(body: &str, at: &str, expect: Option<(&str, u64)>) {
    let at = if at.is_empty() { RecordsAt::Found } else { RecordsAt::Path(at.parse().expect("a path")) };
    match (open(body, at, &Paginator::Single, None), expect) {
        (Ok(page), Some((records, count))) => {
            assert_eq!(page.facts.records, count, "{body}");
            assert_eq!(
                std::str::from_utf8(&page.pieces().expect("pieces").next_piece().expect("a piece").expect("a piece")),
                Ok(records),
                "{body}"
            );
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
fn what_is_broken_around_records_makes_the_page_unreadable_and_what_is_inside_is_left_to_the_decoder() {
    let unreadable = |body: &str, paginator: &Paginator| match open(body, RecordsAt::Found, paginator, None) {
        Ok(_) => None,
        Err(error) => Some((error.is_unreadable_page(), error.to_string())),
    };
    let check = |body: &str, says: &str| {
        let said = format!("the answer is no whole JSON document: {says} of {}", body.len());
        assert_eq!(unreadable(body, &Paginator::Single), Some((true, said)), "{body}");
    };
    check(r#"{"data":[{"id":1},{"id":2"#, "it ends in the middle at byte 25");
    check(r#"{"data":[{"id":1},{"id":"2}]}"#, "it ends in the middle at byte 29");
    check(r#"{"data":[{"id":1}{"id":2}]}"#, "a comma is expected at byte 18");
    check(r#"{"data":[{"id":1}],"next":"/2"#, "a text is not closed at byte 29");
    check(r#"{"data":[{"id":1}]}]"#, "something follows it at byte 19");
    check(r#"{"data":[{"id":[1}]}]}"#, "a bracket closes what is not open at byte 17");
    check(r#"{"data":[{"id":NaN}]}"#, "a value is expected at byte 15");
    check(r#"{"data":[{"id":1}],"next":01}"#, "invalid number at byte 27");
    let inside = r#"[{"id":1},{"id":01}]"#;
    assert_eq!(unreadable(inside, &Paginator::Single), None);
    // Where the walk goes on is asked of the last record: it must be readable.
    let last = Paginator::Cursor {
        from: CursorFrom::LastRecord(JsonPath::of(&["id"])),
        send: CursorSend::Param("after".to_owned()),
        has_more: None,
        flag: Flag::Optional,
        total: None,
    };
    let said = "the answer is no whole JSON document: invalid number at byte 17 of 20".to_owned();
    assert_eq!(unreadable(inside, &last), Some((true, said)));
}

#[test]
fn a_login_page_is_shown_by_its_words() {
    let error = open("<!DOCTYPE html><html><head><title>Sign in</title>", RecordsAt::Found, &Paginator::Single, None);
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

#[test]
fn signs_are_looked_for_where_the_jobs_own_place_says_nothing() {
    let next_url = Paginator::NextUrl { path: JsonPath::of(&["next"]) };
    let check = |body: &str, expect: Option<&str>| {
        let page = open(body, RecordsAt::Found, &next_url, None).expect("a page");
        assert_eq!(page.facts.sign_of_next.as_deref(), expect, "{body}");
    };
    check(r#"{"data":[{}],"next":"/2","has_more":true}"#, None);
    check(r#"{"data":[{}],"next":null,"has_more":true}"#, Some("$.has_more"));
}

/// Whether records of so many bytes, in an answer of so many more, are a part of it or stand alone.
fn check_taken_out(records: usize, around: usize, is_part: bool) {
    let record = format!("{{\"a\":\"{}\"}}", "x".repeat(records));
    let body = Bytes::from(format!("{{\"b\":\"{}\",\"data\":[{record}]}}", "y".repeat(around)));
    let reply = Reply {
        status: http::StatusCode::OK,
        url: "https://h/p".parse().expect("a URL"),
        headers: HeaderMap::new(),
        body: Body::Memory(body.clone()),
    };
    let (at, wants, format) = (RecordsAt::Found, Paginator::Single.wants(), AnswerFormat::Json);
    let reading = PageReading { at: &at, wants: &wants, rules: &[], format: &format, packing: Packing::Nothing };
    let page = open_page(reply, &reading, Trust::Looked, 1 << 20).expect("a page");
    let records = page.pieces().expect("pieces").next_piece().expect("a piece").expect("a piece");
    assert_eq!(body.as_ptr_range().contains(&records.as_ptr()), is_part, "{} of {}", records.len(), body.len());
}

#[test]
fn small_records_hold_little_more_memory_than_their_own() {
    check_taken_out(100, 0, false);
    check_taken_out(PAGE_COPIED_BYTES_MAX, 0, true);
    check_taken_out(PAGE_COPIED_BYTES_MAX, 2 * PAGE_COPIED_BYTES_MAX, false);
    check_taken_out(PAGE_SMALL_BYTES, 2 * PAGE_SMALL_BYTES, true);
}
