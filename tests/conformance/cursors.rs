//! Paging by tokens: of the answer's body, of a header, of the last record.

use serde_json::{Value, json};

use super::api::{Api, Style, records};
use super::case::{case, check, fails, rows, these};

const CURSOR: &str = "records: data\npaging: { cursor: { from: next, param: after } }";
const CURSOR_MORE: &str = "records: data\npaging: { cursor: { from: next, param: after, has_more: more } }";
const CURSOR_HEADER: &str = "paging: { cursor: { from_header: x-next, header: x-after } }";
const LAST: &str = "paging: { cursor: { from_last_record: id, param: after } }";

fn api(style: Style, rows: u64) -> Api {
    Api::new(style, rows, 10)
}

#[test]
fn cursor_paging() {
    let cursor = |rows| api(Style::Cursor, rows);
    let more = |rows| {
        cursor(rows).all(|_, draft| {
            let more = draft.next.as_ref().is_some_and(|next| !next.is_null());
            draft.members.insert("more".into(), json!(more));
        })
    };
    check(&[
        case("body to parameter", cursor(25), CURSOR, rows(25, "no_next_link").requests(3)),
        case("header to header", api(Style::CursorHeader, 25), CURSOR_HEADER, rows(25, "no_next_link").requests(3)),
        case("last record", api(Style::LastRecord, 25), LAST, rows(25, "empty_page").requests(4)),
        case("last record, exact multiple", api(Style::LastRecord, 20), LAST, rows(20, "empty_page").requests(3)),
        case(
            "last record, size lowered",
            api(Style::LastRecord, 25).at_most(7),
            LAST,
            rows(25, "empty_page").requests(5),
        ),
        case("one page", cursor(5), CURSOR, rows(5, "no_next_link").requests(1)),
        case("empty text ends", cursor(25).next_at(2, json!("")), CURSOR, rows(25, "no_next_link").requests(3)),
        case("false ends", cursor(25).next_at(2, json!(false)), CURSOR, rows(25, "no_next_link").requests(3)),
        case(
            "0 for the end leads to the start",
            cursor(25).next_at(2, json!(0)),
            CURSOR,
            fails(&["exactly the records"]).requests(4),
        ),
        case("true is no token", cursor(25).next_at(0, json!(true)), CURSOR, fails(&["page 1", "$.next"]).requests(1)),
        case(
            "an object is no token",
            cursor(25).next_at(0, json!({"after": 1})),
            CURSOR,
            fails(&["page 1", "$.next"]).requests(1),
        ),
        case(
            "a token with odd signs",
            cursor(15).next_at(0, json!("a+b&c=d/é%20")),
            CURSOR,
            fails(&["exactly the records"]).requests(2),
        ),
        case(
            "the flag ends before the token",
            more(25).next_at(2, json!("9")),
            CURSOR_MORE,
            rows(25, "server_flag").requests(3),
        ),
        case("flag and token agree", more(25), CURSOR_MORE, rows(25, "server_flag").requests(3)),
        case(
            "the flag as text",
            cursor(10).next_at(0, json!("1")).member("more", json!("false")),
            CURSOR_MORE,
            rows(10, "server_flag").requests(1),
        ),
        case(
            "a null flag is none",
            cursor(25).member("more", Value::Null),
            CURSOR_MORE,
            rows(25, "no_next_link").requests(3),
        ),
        case(
            "more without a token",
            more(25).at(1, |draft| draft.next = None),
            CURSOR_MORE,
            fails(&["page 2", "there is more, but not where"]).requests(2),
        ),
        case(
            "a token repeats",
            cursor(25).next_at(1, json!("1")),
            CURSOR,
            fails(&["page 2", "round for ever"]).requests(2),
        ),
        case("A-B-A", cursor(35).next_at(2, json!("1")), CURSOR, fails(&["page 3", "round for ever"]).requests(3)),
        case(
            "a token that the server ignores",
            cursor(25).all(|number, draft| {
                draft.records = records(&(0..10).collect::<Vec<_>>());
                draft.next = Some(json!(number + 1));
            }),
            CURSOR,
            fails(&["exactly the records"]).requests(2),
        ),
        case(
            "the job looks at the wrong place",
            cursor(25),
            "records: data\npaging: { cursor: { from: meta.next, param: after } }",
            fails(&["page 1", "$.next"]).requests(1),
        ),
        case(
            "the last record has no token",
            api(Style::LastRecord, 25),
            "paging: { cursor: { from_last_record: key, param: after } }",
            fails(&["page 1", "last record", "$.key"]).requests(1),
        ),
        case(
            "the last record's token is null",
            api(Style::LastRecord, 25).records_at(1, json!([{"id": 10}, {"id": null}])),
            LAST,
            fails(&["page 2", "last record"]).requests(2),
        ),
        case(
            "the server repeats the last record",
            api(Style::LastRecord, 0)
                .records_at(0, records(&[0, 1, 2]))
                .records_at(1, records(&[2, 3]))
                .records_at(2, records(&[3])),
            LAST,
            fails(&["round for ever"]).requests(3),
        ),
        case(
            "a header token that is not text",
            api(Style::CursorHeader, 25).next_at(1, json!("é")),
            CURSOR_HEADER,
            fails(&["x-next"]).requests(2),
        ),
        case(
            "nobody can know: a record comes twice",
            cursor(20).records_at(1, records(&[9, 10, 11])),
            CURSOR,
            these(vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11], "no_next_link").requests(2),
        ),
    ]);
}
