//! What happens to an answer on its way: refusals, waits, broken connections and redirects.

use super::api::{Api, Style, records};
use super::case::{case, check, fails, passes_later, rows};
use crate::support::server::{Answer, ok, status};

const PAGE: &str = "paging: none";
const BEARER: &str = "auth: { bearer: { token: \"${API_TOKEN}\" } }";

fn list() -> Api {
    Api::new(Style::LinkHeader, 25, 25)
}

fn body() -> Vec<u8> {
    records(&(0..25).collect::<Vec<_>>()).to_string().into_bytes()
}

fn first(answer: Answer) -> Api {
    list().first(&[answer])
}

fn always(answer: Answer) -> Api {
    list().instead_at(0, answer)
}

fn wait(said: &str) -> Answer {
    status(429, "{}").with("retry-after", said)
}

/// These lines as a head, then these bytes, then the end of the connection.
fn raw(head: &str, body: &[u8]) -> Answer {
    let head = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
    Answer::Raw([head.as_bytes(), body].concat())
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A gzip file (RFC 1952) of one stored block.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    file.extend((!crc).to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

#[test]
fn refusals_that_pass() {
    let busy = || status(503, "busy");
    let whole = |requests| rows(25, "single_page").requests(requests);
    check(&[
        case("429 with seconds", first(wait("1")), PAGE, whole(2)),
        case("429 with zero", first(wait("0")), PAGE, whole(2)),
        case(
            "403 that says how long to wait, as GitHub's does",
            first(status(403, "{}").with("retry-after", "1")),
            PAGE,
            whole(2),
        ),
        case(
            "403 with nothing left of a quota, as GitHub's does",
            first(status(403, "{}").with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", "1")),
            PAGE,
            whole(2),
        ),
        case("429 with a date that is over", first(wait("Wed, 21 Oct 2015 07:28:00 GMT")), PAGE, whole(2)),
        case(
            "429 with a date by the server's clock",
            first(wait("Wed, 21 Oct 2015 07:28:01 GMT").with("date", "Wed, 21 Oct 2015 07:28:00 GMT")),
            PAGE,
            whole(2),
        ),
        case("429 with garbage", first(wait("soon")), PAGE, whole(2)),
        case("429 with a negative wait", first(wait("-5")), PAGE, whole(2)),
        case("429 without a wait", first(status(429, "")), PAGE, whole(2)),
        case(
            "429 with ten years",
            always(wait("315360000")),
            PAGE,
            passes_later(&["315360000 s", "`pause_max` is 900 s"]).requests(1),
        ),
        case(
            "429 with a date in far years",
            always(wait("Fri, 31 Dec 9999 23:59:59 GMT")),
            PAGE,
            passes_later(&["`pause_max` is 900 s"]).requests(1),
        ),
        case(
            "503 with a wait that is too long",
            always(busy().with("retry-after", "86400")),
            PAGE,
            passes_later(&["86400 s"]).requests(1),
        ),
        case("503 twice", list().first(&[busy(), busy()]), PAGE, whole(3)),
        case("500", first(status(500, "oops")), PAGE, whole(2)),
        case(
            "502 with HTML",
            first(status(502, "<html>bad gateway</html>").with("content-type", "text/html")),
            PAGE,
            whole(2),
        ),
        case("504", first(status(504, "")), PAGE, whole(2)),
        case("408", first(status(408, "")), PAGE, whole(2)),
        case("425", first(status(425, "")), PAGE, whole(2)),
    ]);
}

#[test]
fn refusals_that_stay() {
    check(&[
        case(
            "400",
            always(status(400, r#"{"message":"bad filter"}"#)),
            PAGE,
            fails(&["400", "bad filter"]).requests(1),
        ),
        case(
            "401 with a fixed token",
            always(status(401, "who are you")),
            PAGE,
            fails(&["401", "who are you", "source.auth"]).requests(1),
        )
        .source(BEARER),
        case("403", always(status(403, "not you")), PAGE, fails(&["403", "not you", "source.auth"]).requests(1))
            .source(BEARER),
        case("404", always(status(404, "not here")), PAGE, fails(&["404", "not here", "path"]).requests(1)),
        case("410", always(status(410, "gone for good")), PAGE, fails(&["410", "gone for good"]).requests(1)),
        case("422", always(status(422, "unprocessable")), PAGE, fails(&["422", "unprocessable"]).requests(1)),
        case("501", always(status(501, "not yet")), PAGE, passes_later(&["501", "not yet"]).requests(1)),
        case("a status nobody knows", always(status(299, "[]")), PAGE, rows(0, "single_page").requests(1)),
        case(
            "202 is not done yet",
            always(status(202, "[]")),
            PAGE,
            passes_later(&["not there yet", "202"]).requests(1),
        ),
        case(
            "204 without a body",
            always(raw("HTTP/1.1 204 No Content", b"")),
            PAGE,
            fails(&["is empty", "204"]).requests(1),
        ),
        case("200 without a body", always(ok("")), PAGE, fails(&["empty"]).requests(3)),
        case(
            "304 without being asked",
            always(raw("HTTP/1.1 304 Not Modified", b"")),
            PAGE,
            fails(&["304"]).requests(1),
        ),
    ]);
}

#[test]
fn broken_answers() {
    let whole = rows(25, "single_page").requests(2);
    let body = body();
    let half = &body[..body.len() / 2];
    let chunks = [chunk(half), chunk(&body[half.len()..]), chunk(b"")].concat();
    let gzipped = gzip(&body);
    let head = "HTTP/1.1 200 OK\ncontent-type: application/json";
    let compressed = |bytes: &[u8]| raw(&format!("{head}\ncontent-encoding: gzip"), bytes);
    let length = |length: usize| format!("{head}\ncontent-length: {length}");
    check(&[
        case("closed without a byte", first(Answer::Reset), PAGE, whole.clone()),
        case(
            "half of the announced length",
            first(Answer::Half { body: body.clone(), sent: half.len() }),
            PAGE,
            whole.clone(),
        ),
        case("whole, closed by the server", always(raw(head, &body)), PAGE, rows(25, "single_page").requests(1)),
        case("half, closed by the server", first(raw(head, half)), PAGE, whole.clone()),
        case("half over HTTP/1.0", first(raw("HTTP/1.0 200 OK", half)), PAGE, whole.clone()),
        case("whole over HTTP/1.0", always(raw("HTTP/1.0 200 OK", &body)), PAGE, rows(25, "single_page").requests(1)),
        case(
            "chunked",
            always(raw(&format!("{head}\ntransfer-encoding: chunked"), &chunks)),
            PAGE,
            rows(25, "single_page").requests(1),
        ),
        case(
            "chunks cut",
            first(raw(&format!("{head}\ntransfer-encoding: chunked"), &chunk(half))),
            PAGE,
            whole.clone(),
        ),
        case(
            "all chunks but the last",
            first(raw(&format!("{head}\ntransfer-encoding: chunked"), &chunks[..chunks.len() - 5])),
            PAGE,
            whole.clone(),
        ),
        case(
            "a chunk without a size",
            first(raw(&format!("{head}\ntransfer-encoding: chunked"), b"what?\r\n")),
            PAGE,
            whole.clone(),
        ),
        case("a length that is too long", first(raw(&length(body.len() + 10), &body)), PAGE, whole.clone()),
        case("a length that is too short", first(raw(&length(half.len()), &body)), PAGE, whole.clone()),
        case("gzip", always(compressed(&gzipped)), PAGE, rows(25, "single_page").requests(1)),
        case("gzip cut in the middle", first(compressed(&gzipped[..gzipped.len() / 2])), PAGE, whole.clone()),
        case("gzip cut before its end", first(compressed(&gzipped[..gzipped.len() - 4])), PAGE, whole.clone()),
        case("gzip that is none", first(compressed(&body)), PAGE, whole.clone()),
        case("no HTTP at all", first(Answer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())), PAGE, whole),
        case("half a page, always", always(ok(half)), PAGE, fails(&["no whole JSON document", "byte"]).requests(3)),
    ]);
}

#[test]
fn redirects_and_foreign_links() {
    let to = |status_code: u16, to: &str| status(status_code, "").with("location", to);
    let refused = |link: &str| {
        let api = Api::new(Style::Cursor, 25, 10).next_at(0, serde_json::json!(link));
        case(
            "",
            api,
            "records: data\npaging: { next_url: next }",
            fails(&["page 2", "refused, no request was sent"]).requests(1),
        )
        .source(BEARER)
    };
    let foreign = |code| {
        case(
            "a redirect elsewhere",
            first(to(code, "http://localhost:1/items")),
            PAGE,
            fails(&["redirects to", "not on the source's origin"]).requests(1),
        )
        .source(BEARER)
    };
    let chain = |count: usize| list().first(&vec![to(302, "/items"); count]);
    let mut cases = vec![
        case("a redirect within the origin", first(to(302, "/moved")), PAGE, rows(25, "single_page").requests(2)),
        case("a permanent redirect, relative", first(to(308, "items?x=1")), PAGE, rows(25, "single_page").requests(2)),
        case("a chain within the limit", chain(5), PAGE, rows(25, "single_page").requests(6)),
        case("a loop of redirects", chain(50), PAGE, fails(&["REDIRECTS_MAX"]).requests(6)),
        case("a redirect to nowhere", first(status(302, "")), PAGE, fails(&["302"]).requests(1)),
        case(
            "a redirect to a login page",
            list().first(&[to(302, "/login"), ok("<html><title>Sign in</title>")]),
            PAGE,
            rows(25, "single_page").requests(3),
        ),
        foreign(301),
        foreign(302),
        foreign(307),
    ];
    let links = [
        "http://localhost:{port}/items?p=1",
        "https://{host}/items?p=1",
        "http://127.0.0.1:1/items?p=1",
        "//evil.test/items",
        "\\\\evil.test\\items",
        "http://{host}@evil.test/items",
        "http://user@{host}/items?p=1",
        "http://127.0.0.1.evil.test/items",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ];
    cases.extend(links.into_iter().map(refused));
    check(&cases);
}
