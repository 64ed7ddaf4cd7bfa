//! Paging that haul counts itself: offsets, page numbers, a single page, and nothing stated.

use serde_json::{Value, json};

use super::api::{Api, Move, PastEnd, Style};
use super::case::{case, check, fails, rows, these};
use crate::support::server::ok;

const OFFSET: &str = "records: data\npaging: { offset: { size: 10 } }";
const OFFSET_TOTAL: &str = "records: data\npaging: { offset: { size: 10, total: total } }";
const OFFSET_MORE: &str = "records: data\npaging: { offset: { size: 10, has_more: more } }";
const OFFSET_SHORT: &str = "records: data\npaging: { offset: { size: 10, short_page_ends: true } }";
const PAGE: &str = "records: data\npaging: { page: {} }";
const PAGE_PAGES: &str = "records: data\npaging: { page: { total_pages: pages } }";
const PAGE_TOTAL: &str = "records: data\npaging: { page: { total: total } }";
const PAGE_MORE: &str = "records: data\npaging: { page: { has_more: more } }";

fn offset(rows: u64) -> Api {
    Api::new(Style::Offset, rows, 10)
}

fn page(rows: u64) -> Api {
    Api::new(Style::Page, rows, 10)
}

fn pages(lengths: &[u64]) -> Api {
    Api::of_pages(Style::Page, lengths)
}

/// Ids `0..count` without one, with another.
fn ids(count: u64, without: u64, with: u64) -> Vec<u64> {
    (0..count).filter(|id| *id != without).chain((with < u64::MAX).then_some(with)).collect()
}

#[test]
fn offset_paging() {
    let total = |rows: u64, total: Value| offset(rows).member("total", total);
    check(&[
        case("rows that are no multiple of the size", offset(25), OFFSET, rows(25, "empty_page").requests(4)),
        case("exact multiple of the size", offset(30), OFFSET, rows(30, "empty_page").requests(4)),
        case("one page", offset(7), OFFSET, rows(7, "empty_page").requests(2)),
        case("an empty table", offset(0), OFFSET, rows(0, "empty_page").requests(1)),
        case("size lowered in silence", offset(25).at_most(4), OFFSET, rows(25, "empty_page").requests(8)),
        case(
            "nobody can know: size lowered, short pages end",
            offset(25).at_most(4),
            OFFSET_SHORT,
            rows(4, "short_page").requests(1),
        ),
        case("a short last page ends", offset(25), OFFSET_SHORT, rows(25, "short_page").requests(3)),
        case(
            "short pages end, but a total tells more",
            offset(25).at_most(4).member("total", json!(25)),
            "records: data\npaging: { offset: { size: 10, total: total, short_page_ends: true } }",
            fails(&["total of 25", "found 4"]).requests(1),
        ),
        case(
            "past the end the last page again",
            offset(30).past_end(PastEnd::LastPageAgain),
            OFFSET,
            fails(&["exactly the records"]).requests(4),
        ),
        case(
            "past the end the last page again, with a total",
            offset(30).past_end(PastEnd::LastPageAgain).member("total", json!(30)),
            OFFSET_TOTAL,
            rows(30, "total_reached").requests(3),
        ),
        case(
            "past the end from the start",
            offset(30).past_end(PastEnd::FromTheStart),
            OFFSET,
            fails(&["exactly the records", "page 1"]).requests(4),
        ),
        case(
            "past the end 404",
            offset(30).past_end(PastEnd::Status(404)),
            OFFSET,
            fails(&["page 4", "404", "total"]).requests(4),
        ),
        case(
            "past the end 400",
            offset(30).past_end(PastEnd::Status(400)),
            OFFSET,
            fails(&["page 4", "400", "total"]).requests(4),
        ),
        case(
            "past the end 404, with a total",
            offset(30).past_end(PastEnd::Status(404)).member("total", json!(30)),
            OFFSET_TOTAL,
            rows(30, "total_reached").requests(3),
        ),
        case(
            "a total that is too high",
            total(25, json!(30)),
            OFFSET_TOTAL,
            fails(&["total of 30", "found 25"]).requests(4),
        ),
        case(
            "a total that is too low, inside a page",
            total(25, json!(15)),
            OFFSET_TOTAL,
            fails(&["total of 15", "found 20"]).requests(2),
        ),
        case(
            "nobody can know: a total too low by whole pages",
            total(25, json!(20)),
            OFFSET_TOTAL,
            rows(20, "total_reached").requests(2),
        ),
        case(
            "a total too low by whole pages, but more is told",
            total(25, json!(20)).member("more", json!(true)),
            "records: data\npaging: { offset: { size: 10, total: total, has_more: more } }",
            fails(&["there is more, but not where"]).requests(4),
        ),
        case(
            "a total of 0 beside records",
            total(25, json!(0)),
            OFFSET_TOTAL,
            fails(&["total of 0", "found 10"]).requests(1),
        ),
        case("a total as text", total(25, json!("25")), OFFSET_TOTAL, rows(25, "total_reached").requests(3)),
        case("a total that is no number", total(25, json!("many")), OFFSET_TOTAL, rows(25, "empty_page").requests(4)),
        case(
            "a total on the first page alone",
            offset(25).member_at(0, "total", json!(25)),
            OFFSET_TOTAL,
            rows(25, "total_reached").requests(3),
        ),
        case("a total that is never told", offset(25), OFFSET_TOTAL, rows(25, "empty_page").requests(4)),
        case(
            "a total in a header",
            offset(25).header("x-total", "25"),
            "records: data\npaging: { offset: { size: 10, total_header: x-total } }",
            rows(25, "total_reached").requests(3),
        ),
        case(
            "an empty page where a total tells more",
            total(25, json!(25)).records_at(1, json!([])),
            OFFSET_TOTAL,
            fails(&["total of 25", "found 10"]).requests(2),
        ),
        case(
            "an empty page where more is told",
            offset(25).member("more", json!(true)).records_at(1, json!([])),
            OFFSET_MORE,
            fails(&["page 2", "there is more"]).requests(2),
        ),
        case(
            "nobody can know: an empty page in the middle",
            offset(25).records_at(1, json!([])),
            OFFSET,
            rows(10, "empty_page").requests(2),
        ),
        case(
            "the flag ends",
            offset(20).member_at(0, "more", json!(true)).member_at(1, "more", json!(false)),
            OFFSET_MORE,
            rows(20, "server_flag").requests(2),
        ),
        case(
            "the flag is true for ever",
            offset(20).member("more", json!(true)),
            OFFSET_MORE,
            fails(&["page 3", "there is more"]).requests(3),
        ),
        case(
            "the offset is ignored",
            offset(25).all(|_, draft| draft.records = super::api::records(&[0, 1, 2])),
            OFFSET,
            fails(&["exactly the records", "paging"]).requests(2),
        ),
        case(
            "nobody can know: a record comes in",
            offset(25).moves(Move::InsertedAfter(1)),
            OFFSET,
            these(ids(25, u64::MAX, 9), "empty_page").requests(4),
        ),
        case(
            "nobody can know: a record goes",
            offset(25).moves(Move::DeletedAfter(1)),
            OFFSET,
            these(ids(25, 10, u64::MAX), "empty_page").requests(4),
        ),
        case(
            "a record goes, the total stays",
            total(25, json!(25)).moves(Move::DeletedAfter(1)),
            OFFSET_TOTAL,
            fails(&["total of 25", "found 24"]).requests(4),
        ),
        case(
            "a record comes in, the total stays",
            total(25, json!(25)).moves(Move::InsertedAfter(1)),
            OFFSET_TOTAL,
            fails(&["total of 25", "found 26"]).requests(3),
        ),
        case(
            "a record comes in and the total tells it",
            offset(25).moves(Move::InsertedAfter(1)).all(|number, draft| {
                drop(draft.members.insert("total".into(), json!(if number < 1 { 25 } else { 26 })))
            }),
            OFFSET_TOTAL,
            fails(&["25 records first and of 26", "changed while it was read", "changes: repeat"]).requests(3),
        ),
        case(
            "a record goes and the total tells it",
            offset(25).moves(Move::DeletedAfter(1)).all(|number, draft| {
                drop(draft.members.insert("total".into(), json!(if number < 1 { 25 } else { 24 })))
            }),
            OFFSET_TOTAL,
            fails(&["25 records first and of 24", "changed while it was read", "changes: repeat"]).requests(3),
        ),
    ]);
}

#[test]
fn page_paging() {
    check(&[
        case("three pages", page(25), PAGE, rows(25, "empty_page").requests(4)),
        case("exact multiple", page(20), PAGE, rows(20, "empty_page").requests(3)),
        case("a short page in the middle", pages(&[10, 3, 10]), PAGE, rows(23, "empty_page").requests(4)),
        case(
            "the number of pages is told",
            page(25).member("pages", json!(3)),
            PAGE_PAGES,
            rows(25, "total_reached").requests(3),
        ),
        case(
            "the number of pages on the first page alone",
            page(25).member_at(0, "pages", json!(3)).past_end(PastEnd::Status(404)),
            PAGE_PAGES,
            rows(25, "total_reached").requests(3),
        ),
        case(
            "the number of pages as text",
            page(25).member("pages", json!("3")),
            PAGE_PAGES,
            rows(25, "total_reached").requests(3),
        ),
        case(
            "the number of pages is 0 for an empty table",
            page(0).member("pages", json!(0)),
            PAGE_PAGES,
            rows(0, "empty_page").requests(1),
        ),
        case(
            "more pages are told than there are",
            page(25).member("pages", json!(5)),
            PAGE_PAGES,
            rows(25, "empty_page").requests(5),
        ),
        case(
            "nobody can know: fewer pages are told",
            page(25).member("pages", json!(2)),
            PAGE_PAGES,
            rows(20, "total_reached").requests(2),
        ),
        case(
            "an empty page before the last one that is told",
            pages(&[10, 0, 10]).member("pages", json!(3)),
            PAGE_PAGES,
            rows(20, "total_reached").requests(3),
        ),
        case(
            "an empty page while more is told",
            pages(&[10, 0, 10]).all(|number, draft| drop(draft.members.insert("more".into(), json!(number < 2)))),
            PAGE_MORE,
            rows(20, "server_flag").requests(3),
        ),
        case(
            "an empty page where a total tells more",
            pages(&[10, 0, 10]).member("total", json!(20)),
            PAGE_TOTAL,
            fails(&["total of 20", "found 10"]).requests(2),
        ),
        case(
            "nobody can know: an empty page in the middle",
            pages(&[10, 0, 10]),
            PAGE,
            rows(10, "empty_page").requests(2),
        ),
        case(
            "more for ever",
            page(20).member("more", json!(true)),
            PAGE_MORE,
            fails(&["EMPTY_PAGES_MAX"]).requests(103),
        ),
        case(
            "past the end the last page again",
            page(20).past_end(PastEnd::LastPageAgain),
            PAGE,
            fails(&["exactly the records", "total_pages"]).requests(3),
        ),
        case(
            "past the end from the start",
            page(20).past_end(PastEnd::FromTheStart),
            PAGE,
            fails(&["exactly the records", "page 1"]).requests(3),
        ),
        case(
            "past the end 404",
            page(20).past_end(PastEnd::Status(404)),
            PAGE,
            fails(&["page 3", "404", "total_pages"]).requests(3),
        ),
        case(
            "a total that is right",
            page(20).member("total", json!(20)),
            PAGE_TOTAL,
            rows(20, "total_reached").requests(2),
        ),
        case(
            "a total that is too high",
            page(20).member("total", json!(21)),
            PAGE_TOTAL,
            fails(&["total of 21", "found 20"]).requests(3),
        ),
        case(
            "the flag as 1 and 0",
            page(20).member_at(0, "more", json!(1)).member_at(1, "more", json!(0)),
            PAGE_MORE,
            rows(20, "server_flag").requests(2),
        ),
        case("the flag is never told", page(20), PAGE_MORE, rows(20, "empty_page").requests(3)),
    ]);
}

#[test]
fn one_page_and_nothing_stated() {
    let bare = |body: &str| Api::new(Style::Offset, 0, 10).instead_at(0, ok(body));
    let one = |extra: &str| bare(&format!(r#"{{"data":[{{"id":0}},{{"id":1}}],{extra}}}"#));
    check(&[
        case(
            "paging none takes one page whatever it says",
            one(r#""next":"/p2","total":9"#),
            "records: data\npaging: none",
            rows(2, "single_page").requests(1),
        ),
        case("nothing stated, nothing told", one(r#""x":1"#), "", rows(2, "single_page").requests(1)),
        case(
            "a link elsewhere",
            one(r#""links":{"next":"/p2"}"#),
            "",
            fails(&["$.links.next", "paging: none"]).requests(1),
        ),
        case("a token", one(r#""meta":{"next_cursor":"abc"}"#), "", fails(&["$.meta.next_cursor"]).requests(1)),
        case("a flag", one(r#""has_more":true"#), "", fails(&["$.has_more"]).requests(1)),
        case("a flag as text", one(r#""hasMore":"true""#), "", fails(&["$.hasMore"]).requests(1)),
        case("a total above the count", one(r#""total_count":3"#), "", fails(&["$.total_count"]).requests(1)),
        case("a total that is the count", one(r#""total_count":2"#), "", rows(2, "single_page").requests(1)),
        case("a number of pages", one(r#""page":{"totalPages":2}"#), "", fails(&["$.page.totalPages"]).requests(1)),
        case(
            "a total in a header",
            one(r#""x":1"#)
                .at(0, |draft| draft.instead = draft.instead.clone().map(|answer| answer.with("x-total-count", "3"))),
            "",
            fails(&["x-total-count"]).requests(1),
        ),
        case(
            "a range in a header",
            one(r#""x":1"#).at(0, |draft| {
                draft.instead = draft.instead.clone().map(|answer| answer.with("content-range", "items 0-1/3"))
            }),
            "",
            fails(&["content-range"]).requests(1),
        ),
        case(
            "the last range in a header",
            one(r#""x":1"#).at(0, |draft| {
                draft.instead = draft.instead.clone().map(|answer| answer.with("content-range", "items 0-1/2"))
            }),
            "",
            rows(2, "single_page").requests(1),
        ),
        case(
            "a page number in a header",
            one(r#""x":1"#)
                .at(0, |draft| draft.instead = draft.instead.clone().map(|answer| answer.with("x-next-page", "2"))),
            "",
            fails(&["x-next-page"]).requests(1),
        ),
    ]);
}
