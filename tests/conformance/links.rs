//! Paging by links that the server hands out.

use serde_json::json;

use super::api::{Api, LinkForm, Style, records};
use super::case::{case, check, fails, rows};
use crate::support::server::status;

const NEXT: &str = "records: data\npaging: { next_url: next }";
const LINK: &str = "paging: link_header";
const ODATA: &str = "paging: odata";

fn next_url(rows: u64) -> Api {
    Api::new(Style::NextUrl(LinkForm::Rooted), rows, 10)
}

fn api(style: Style, rows: u64) -> Api {
    Api::new(style, rows, 10)
}

#[test]
fn next_url_paging() {
    let form = |form| Api::new(Style::NextUrl(form), 25, 10);
    check(&[
        case("absolute links", form(LinkForm::Absolute), NEXT, rows(25, "no_next_link").requests(3)),
        case("rooted links", form(LinkForm::Rooted), NEXT, rows(25, "no_next_link").requests(3)),
        case("links of a query alone", form(LinkForm::Query), NEXT, rows(25, "no_next_link").requests(3)),
        case("links without scheme", form(LinkForm::WithoutScheme), NEXT, rows(25, "no_next_link").requests(3)),
        case("one page", next_url(7), NEXT, rows(7, "no_next_link").requests(1)),
        case("exact multiple", next_url(20), NEXT, rows(20, "no_next_link").requests(2)),
        case(
            "an empty last page",
            Api::of_pages(Style::NextUrl(LinkForm::Rooted), &[10, 10, 0]),
            NEXT,
            rows(20, "no_next_link").requests(3),
        ),
        case(
            "short and empty pages in the middle",
            Api::of_pages(Style::NextUrl(LinkForm::Rooted), &[10, 3, 0, 10]),
            NEXT,
            rows(23, "no_next_link").requests(4),
        ),
        case(
            "an empty first page that leads on",
            Api::of_pages(Style::NextUrl(LinkForm::Rooted), &[0, 10]),
            NEXT,
            rows(10, "no_next_link").requests(2),
        ),
        case("no last link at all", next_url(25).no_next_at(2), NEXT, rows(25, "no_next_link").requests(3)),
        case("an empty last link", next_url(25).next_at(2, json!("")), NEXT, rows(25, "no_next_link").requests(3)),
        case("a blank last link", next_url(25).next_at(2, json!("  ")), NEXT, rows(25, "no_next_link").requests(3)),
        case(
            "false for the last link",
            next_url(25).next_at(2, json!(false)),
            NEXT,
            rows(25, "no_next_link").requests(3),
        ),
        case("true for a link", next_url(25).next_at(1, json!(true)), NEXT, fails(&["page 2", "$.next"]).requests(2)),
        case(
            "a list for a link",
            next_url(25).next_at(0, json!(["/items?p=1"])),
            NEXT,
            fails(&["page 1", "$.next"]).requests(1),
        ),
        case(
            "an object without address",
            next_url(25).next_at(0, json!({"to": "/items?p=1"})),
            NEXT,
            fails(&["page 1", "$.next"]).requests(1),
        ),
        case(
            "an object with href",
            next_url(15).next_at(0, json!({"href": "/items?p=1"})),
            NEXT,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "an object with a null href",
            next_url(15).next_at(1, json!({"href": null})),
            NEXT,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "an empty object for the last link",
            next_url(15).next_at(1, json!({})),
            NEXT,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "no link, but more is told",
            next_url(25).member("has_more", json!(true)).no_next_at(1),
            NEXT,
            fails(&["page 2", "$.has_more"]).requests(2),
        ),
        case(
            "the job looks at the wrong place",
            next_url(25),
            "records: data\npaging: { next_url: links.next }",
            fails(&["page 1", "$.next"]).requests(1),
        ),
        case("nobody can know: a link is lost", next_url(25).no_next_at(1), NEXT, rows(20, "no_next_link").requests(2)),
        case(
            "a link to itself",
            next_url(25).next_at(1, json!("/items?p=1")),
            NEXT,
            fails(&["page 2", "round for ever"]).requests(2),
        ),
        case(
            "a link back to the first page",
            next_url(25).next_at(1, json!("/items")),
            NEXT,
            fails(&["page 3 holds exactly the records of page 1"]).requests(3),
        ),
        case(
            "a link back, spelled otherwise",
            next_url(25).next_at(1, json!("?p=1")),
            NEXT,
            fails(&["page 3 holds exactly the records of page 2"]).requests(3),
        ),
        case(
            "A-B-A",
            next_url(25).next_at(2, json!("/items?p=1")),
            NEXT,
            fails(&["page 3", "round for ever"]).requests(3),
        ),
        case(
            "the same body under a new link",
            next_url(25).records_at(1, records(&(0..10).collect::<Vec<_>>())),
            NEXT,
            fails(&["exactly the records"]).requests(2),
        ),
        case(
            "links for ever, pages A-B-A-B",
            next_url(25).all(|number, draft| {
                draft.next =
                    Some(json!(format!("/items?p=1&n={number}{}", draft.records.as_array().map_or(0, Vec::len))));
            }),
            NEXT,
            fails(&["page 3 holds exactly the records of page 2"]).requests(3),
        ),
        case(
            "empty pages for ever",
            endless(0),
            NEXT,
            fails(&["empty pages in a row", "EMPTY_PAGES_MAX"]).requests(101),
        ),
        case(
            "a link that is no address",
            next_url(25).next_at(0, json!("http://[")),
            NEXT,
            fails(&["page 2", "cannot be read as a URL"]).requests(1),
        ),
        case(
            "a link of 40 KiB",
            next_url(25).next_at(0, json!(format!("?p={}", "1".repeat(40_000)))),
            NEXT,
            fails(&["URL_BYTES_MAX"]).requests(1),
        ),
        case(
            "a late 404",
            next_url(25).instead_at(2, status(404, "gone")),
            NEXT,
            fails(&["page 3", "404"]).requests(3),
        ),
        case(
            "a late error object",
            next_url(25).at(1, |draft| {
                draft.instead = Some(crate::support::server::ok(r#"{"error":{"message":"quota exceeded"}}"#))
            }),
            NEXT,
            fails(&["page 2", "quota exceeded"]).requests(2),
        ),
    ]);
}

/// Each page leads to a new one and holds so many new records.
fn endless(rows: u64) -> Api {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    next_url(10).all(move |_, draft| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        draft.next = Some(json!(format!("/items?p=0&n={number}")));
        draft.records = records(&(number * rows..(number + 1) * rows).collect::<Vec<_>>());
    })
}

#[test]
fn link_header_paging() {
    let raw = |last: &'static str| {
        api(Style::LinkHeader, 15)
            .at(0, |draft| draft.next = None)
            .at(0, move |draft| draft.headers.push(("link".into(), last.into())))
    };
    let link = |style| api(style, 25);
    check(&[
        case("three pages", link(Style::LinkHeader), LINK, rows(25, "no_next_link").requests(3)),
        case("unstated, followed all the same", link(Style::LinkHeader), "", rows(25, "no_next_link").requests(3)),
        case(
            "an empty table",
            api(Style::LinkHeader, 0).records_at(0, json!([])),
            LINK,
            rows(0, "no_next_link").requests(1),
        ),
        case("no link at all", api(Style::LinkHeader, 5), LINK, rows(5, "no_next_link").requests(1)),
        case(
            "rel without quotes, behind others",
            raw("</items>; rel=first, </items?p=1>; title=\"a, b\"; rel=next"),
            LINK,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "many blanks between links",
            raw("</items>; rel=\"first\",   </items?p=1>; rel=\"next\""),
            LINK,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "a comma inside the address",
            raw("</items?p=0,1&x>; rel=\"prev\", </items?x=1,2&p=1>; rel=\"next\""),
            LINK,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "several relations in one",
            raw("</items?p=1>; rel=\"last next\""),
            LINK,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "a title that is not ASCII",
            raw("</items?p=1>; rel=\"next\"; title=\"nächste\""),
            LINK,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "an empty address",
            raw("<>; rel=\"next\""),
            LINK,
            fails(&["page 2 holds exactly the records of page 1"]).requests(2),
        ),
        case(
            "a loop",
            link(Style::LinkHeader).next_at(2, json!("/items?p=1")),
            LINK,
            fails(&["round for ever"]).requests(3),
        ),
    ]);
}

#[test]
fn odata_paging() {
    let v4 = |rows| api(Style::OdataV4, rows);
    check(&[
        case("v4", v4(25), ODATA, rows(25, "no_next_link").requests(3)),
        case("v3", api(Style::OdataV3, 25), ODATA, rows(25, "no_next_link").requests(3)),
        case("v2", api(Style::OdataV2, 25), ODATA, rows(25, "no_next_link").requests(3)),
        case("unstated v4", v4(25), "", rows(25, "no_next_link").requests(3)),
        case("unstated v2", api(Style::OdataV2, 25), "", rows(25, "no_next_link").requests(3)),
        case(
            "v2 with the link in an object",
            api(Style::OdataV2, 15).next_at(0, json!({"uri": "items?$skiptoken=1"})),
            ODATA,
            rows(15, "no_next_link").requests(2),
        ),
        case(
            "a count that is right",
            v4(25).member("@odata.count", json!(25)),
            ODATA,
            rows(25, "no_next_link").requests(3),
        ),
        case(
            "a count on the first page alone",
            v4(25).member_at(0, "@odata.count", json!(25)),
            ODATA,
            rows(25, "no_next_link").requests(3),
        ),
        case(
            "a count that is too high",
            v4(25).member("@odata.count", json!(30)),
            ODATA,
            fails(&["total of 30", "found 25"]).requests(3),
        ),
        case(
            "a count that is too low",
            v4(25).member("@odata.count", json!(20)),
            ODATA,
            fails(&["total of 20", "found 25"]).requests(3),
        ),
        case(
            "a v2 count as text, too high",
            api(Style::OdataV2, 25).member("__count", json!("26")),
            ODATA,
            fails(&["total of 26", "found 25"]).requests(3),
        ),
        case(
            "a lost link where a count is told",
            v4(25).member("@odata.count", json!(25)).no_next_at(1),
            ODATA,
            fails(&["total of 25", "found 20"]).requests(2),
        ),
        case(
            "a part is asked for",
            v4(10).member("@odata.count", json!(25)),
            "params: { $top: 10 }\npaging: odata",
            rows(10, "no_next_link").requests(1),
        ),
        case(
            "the same token again",
            v4(25).next_at(2, json!("items?$skiptoken=2")),
            ODATA,
            fails(&["round for ever"]).requests(3),
        ),
        case(
            "an error in the middle of v4",
            v4(25).at(1, |draft| {
                draft.instead = Some(crate::support::server::ok(r#"{"error":{"code":"x","message":"out of memory"}}"#))
            }),
            ODATA,
            fails(&["page 2", "out of memory"]).requests(2),
        ),
    ]);
}
