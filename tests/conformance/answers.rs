//! Answers that came whole and are not what they should be.

use serde_json::json;

use super::api::{Api, Style, records};
use super::case::{case, check, fails, rows, these};
use crate::support::server::{Answer, ok};

const DATA: &str = "records: data\npaging: none";
const CURSOR: &str = "records: data\npaging: { cursor: { from: next, param: after } }";
const CURSOR_FOUND: &str = "paging: { cursor: { from: next, param: after } }";

fn says(body: impl Into<Vec<u8>>) -> Api {
    Api::new(Style::Cursor, 0, 10).instead_at(0, ok(body))
}

fn cursor() -> Api {
    Api::new(Style::Cursor, 25, 10)
}

fn page_two(body: &str) -> Api {
    cursor().instead_at(1, ok(body))
}

#[test]
fn no_json() {
    let list = records(&[0, 1, 2]).to_string();
    let with_mark: Vec<u8> = [b"\xef\xbb\xbf", list.as_bytes()].concat();
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(list.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let html =
        |body: &str| Api::new(Style::Cursor, 0, 10).instead_at(0, Answer::with(ok(body), "content-type", "text/html"));
    check(&[
        case(
            "a login page",
            html("<!doctype html><html><title>Sign in</title></html>"),
            "",
            fails(&["HTML instead of JSON", "Sign in"]).requests(3),
        ),
        case(
            "XML",
            says("<?xml version=\"1.0\"?><error>no quota</error>"),
            "",
            fails(&["XML instead of JSON", "no quota"]).requests(3),
        ),
        case(
            "text",
            says("Service temporarily unavailable"),
            "",
            fails(&["text instead of JSON", "temporarily unavailable"]).requests(3),
        ),
        case(
            "garbage behind the document",
            says(format!("{list}garbage")),
            "",
            fails(&["no whole JSON document"]).requests(3),
        ),
        case("two documents", says(format!("{list}\n{list}")), "", fails(&["no whole JSON document"]).requests(3)),
        case(
            "white space around the document",
            says(format!("\n\t {list} \r\n")),
            "",
            rows(3, "single_page").requests(1),
        ),
        case("NaN", says(r#"[{"id":NaN}]"#), "", fails(&["no whole JSON document"]).requests(3)),
        case("a byte order mark", says(with_mark), "", rows(3, "single_page").requests(1)),
        case("UTF-16", says(utf16), "", fails(&["UTF-16 instead of JSON"]).requests(3)),
        case(
            "bytes that are no UTF-8",
            says(b"[{\"id\":0,\"name\":\"\xff\xfe\"}]".to_vec()),
            "",
            fails(&["no whole JSON document", "not UTF-8", "byte 17"]).requests(3),
        ),
        case(
            "nesting without end",
            says(format!("[{}1{}]", "[".repeat(5000), "]".repeat(5000))),
            "",
            fails(&["no whole JSON document"]).requests(3),
        ),
        case(
            "deep nesting in a record",
            says(format!(r#"[{{"id":0,"x":{}1{}}}]"#, "[".repeat(150), "]".repeat(150))),
            "",
            fails(&["JSON_DEPTH_MAX"]).requests(1),
        ),
        case("nothing but white space", says(" \n"), "", fails(&["empty"]).requests(3)),
        case(
            "a prefix against script inclusion",
            says(format!(")]}}',\n{list}")),
            "",
            fails(&["text instead of JSON"]).requests(3),
        ),
        case("JSON under the name of HTML", html(&list), "", rows(3, "single_page").requests(1)),
    ]);
}

#[test]
fn errors_with_a_good_status() {
    check(&[
        case(
            "an error object",
            says(r#"{"error":{"message":"quota exceeded"}}"#),
            "",
            fails(&["quota exceeded"]).requests(1),
        ),
        case("an error as text", says(r#"{"error":"invalid_auth"}"#), DATA, fails(&["invalid_auth"]).requests(1)),
        case(
            "an error beside an empty list",
            says(r#"{"data":[],"error":"quota exceeded"}"#),
            DATA,
            fails(&["quota exceeded"]).requests(1),
        ),
        case(
            "errors beside a part of the data",
            says(r#"{"data":[{"id":0}],"errors":[{"message":"shard 3 is down"}]}"#),
            DATA,
            fails(&["shard 3 is down"]).requests(1),
        ),
        case(
            "a list of errors is no table",
            says(r#"{"errors":[{"message":"boom"}]}"#),
            "",
            fails(&["boom"]).requests(1),
        ),
        case(
            "success is false",
            says(r#"{"success":false,"message":"try later","data":[]}"#),
            DATA,
            fails(&["$.success", "try later"]).requests(1),
        ),
        case("ok is false", says(r#"{"ok":false,"data":[]}"#), DATA, fails(&["$.ok"]).requests(1)),
        case(
            "no error is told",
            says(r#"{"data":[{"id":0}],"error":null,"errors":[],"success":true}"#),
            DATA,
            rows(1, "single_page").requests(1),
        ),
        case(
            "an empty error is told",
            says(r#"{"data":[{"id":0}],"error":"","errors":{},"ok":1}"#),
            DATA,
            rows(1, "single_page").requests(1),
        ),
        case(
            "a record may have an error",
            says(r#"{"id":0,"error":"printer on fire"}"#),
            "records: $\npaging: none",
            rows(1, "single_page").requests(1),
        ),
        case(
            "errors on page 2",
            page_two(r#"{"errors":[{"message":"boom"}]}"#),
            CURSOR_FOUND,
            fails(&["page 2", "boom"]).requests(2),
        ),
    ]);
}

#[test]
fn records_that_are_none() {
    check(&[
        case(
            "a record that is no object",
            says(r#"{"data":[{"id":0},7]}"#),
            DATA,
            fails(&["page 1", "record 2"]).requests(1),
        ),
        case("null among the records", says(r#"{"data":[{"id":0},null]}"#), DATA, fails(&["record 2"]).requests(1)),
        case("a list among the records", says(r#"{"data":[[1,2]]}"#), DATA, fails(&["record 1"]).requests(1)),
        case("null instead of the list", says(r#"{"data":null}"#), DATA, fails(&["$.data"]).requests(1)),
        case("text instead of the list", says(r#"{"data":"none"}"#), DATA, fails(&["$.data"]).requests(1)),
        case("another list", says(r#"{"items":[{"id":0}]}"#), DATA, fails(&["$.data", "$.items"]).requests(1)),
        case(
            "two lists to choose from",
            says(r#"{"a":[{"id":0}],"b":[{"id":1}]}"#),
            "",
            fails(&["several lists"]).requests(1),
        ),
        case("a number", says("7"), "", fails(&["no records"]).requests(1)),
        case("null", says("null"), "", fails(&["no records"]).requests(1)),
        case("true", says("true"), "records: $", fails(&["no records"]).requests(1)),
        case("text in quotes", says("\"maintenance\""), "", fails(&["no records"]).requests(1)),
        case("a member twice in a record", says(r#"{"data":[{"id":0,"id":1}]}"#), DATA, fails(&["id"]).requests(1)),
        case(
            "the list twice",
            says(r#"{"data":[{"id":0}],"data":[{"id":1}]}"#),
            DATA,
            fails(&["$.data", "twice"]).requests(1),
        ),
        case(
            "the token twice",
            says(r#"{"next":null,"data":[{"id":0}],"next":"1"}"#),
            CURSOR,
            fails(&["$.next", "twice"]).requests(1),
        ),
        case("records without members", says(r#"{"data":[{},{}]}"#), DATA, fails(&["no members"]).requests(1)),
        case("no records on page 2", page_two(r#"{"next":null}"#), CURSOR, fails(&["page 2", "$.data"]).requests(2)),
        case(
            "null records on page 2",
            page_two(r#"{"data":null,"next":null}"#),
            CURSOR,
            fails(&["page 2", "$.data"]).requests(2),
        ),
        case(
            "the list moves on page 2",
            page_two(r#"{"messages":[{"id":10}],"next":null}"#),
            CURSOR_FOUND,
            fails(&["page 2", "$.messages", "$.data"]).requests(2),
        ),
        case(
            "the list becomes an object on page 2",
            page_two(r#"{"data":{"items":[{"id":10}]},"next":null}"#),
            CURSOR,
            fails(&["page 2", "$.data"]).requests(2),
        ),
        case(
            "no list among the members on page 2",
            page_two(r#"{"status":"ok"}"#),
            CURSOR_FOUND,
            fails(&["page 2", "no records"]).requests(2),
        ),
        case(
            "members change from record to record",
            says(r#"{"data":[{"id":0},{"id":1,"x":{"y":1}},{"id":2,"x":[1]},{"id":"3"}]}"#),
            DATA,
            rows(4, "single_page").requests(1),
        ),
        case(
            "ids beyond 64 bits stay apart",
            says(r#"{"data":[{"id":1},{"id":2}],"big":123456789012345678901234567890}"#),
            DATA,
            these(vec![1, 2], "single_page").requests(1),
        ),
        case(
            "names that differ in case alone",
            says(r#"{"data":[{"id":0,"Id":1}]}"#),
            DATA,
            fails(&["id", "Id"]).requests(1),
        ),
        case(
            "the walk ends with an empty list",
            cursor().records_at(2, json!([])),
            CURSOR,
            rows(20, "no_next_link").requests(3),
        ),
    ]);
}
