//! The walk against scripted servers: every way of paging, every kind of credential, and what happens when a server
//! lies, stumbles or points elsewhere. The rows are read back by DuckDB.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::rigs::read;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job, terminate};

/// Records `from..to` as a JSON array.
fn records(range: std::ops::Range<u64>) -> Value {
    range.map(|id| json!({ "id": id, "name": format!("n{id}") })).collect()
}

fn ids(place: &Workplace) -> Vec<u64> {
    let file = place.path("out/test/items/current.parquet");
    let answer = read(&format!("select id from read_parquet('{}') order by id", file.display()), None);
    answer["rows"].as_array().expect("rows").iter().map(|row| row[0].as_u64().expect("an id")).collect()
}

/// Runs the job against the script and expects ids 0..25 and this reason for the end.
#[track_caller]
fn check(stream: &str, ended: &str, pages: u64, script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) {
    let server = Server::start(script);
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    let walk = &report["tables"]["items"]["walks"][0];
    assert_eq!((walk["ended"].as_str(), walk["pages"].as_u64()), (Some(ended), Some(pages)), "{report}");
    assert_eq!(report["tables"]["items"]["rows"], 25);
    assert_eq!(ids(&place), (0..25).collect::<Vec<_>>());
}

/// Page `n` of 25 records, ten a page.
fn tens(page: u64) -> std::ops::Range<u64> {
    (page * 10).min(25)..(page * 10 + 10).min(25)
}

fn number(request: &Request, name: &str) -> u64 {
    request.param(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[test]
fn next_url_absolute_and_relative() {
    check("records: data\npaging: { next_url: links.next }", "no_next_link", 3, |request, _| {
        let page = number(request, "p");
        let next = match page {
            0 => json!(format!("http://{}/items?p=1", request.header("host").expect("a host"))),
            1 => json!("?p=2"),
            _ => Value::Null,
        };
        ok(json!({ "data": records(tens(page)), "links": { "next": next } }).to_string())
    });
}

#[test]
fn link_header() {
    check("paging: link_header", "no_next_link", 3, |request, _| {
        let page = number(request, "p");
        let answer = ok(records(tens(page)).to_string());
        if page < 2 {
            answer.with("link", &format!("</items?p={}>; rel=\"next\", </items>; rel=\"first\"", page + 1))
        } else {
            answer
        }
    });
}

#[test]
fn unstated_paging_follows_the_link_header() {
    check("", "no_next_link", 3, |request, _| {
        let page = number(request, "p");
        let answer = ok(records(tens(page)).to_string());
        if page < 2 { answer.with("link", &format!("<?p={}>; rel=next", page + 1)) } else { answer }
    });
}

#[test]
fn odata_v4_next_links_and_count() {
    check("paging: odata", "no_next_link", 3, |request, _| {
        let page = number(request, "$skiptoken");
        let mut body = json!({ "@odata.context": "x", "@odata.count": 25, "value": records(tens(page)) });
        if page < 2 {
            body["@odata.nextLink"] = json!(format!("items?$skiptoken={}", page + 1));
        }
        ok(body.to_string())
    });
}

#[test]
fn odata_v2_next_links() {
    check("paging: odata", "no_next_link", 3, |request, _| {
        let page = number(request, "$skiptoken");
        let mut body = json!({ "d": { "__count": "25", "results": records(tens(page)) } });
        if page < 2 {
            body["d"]["__next"] =
                json!(format!("http://{}/items?$skiptoken={}", request.header("host").expect("a host"), page + 1));
        }
        ok(body.to_string())
    });
}

#[test]
fn offset_ends_at_the_empty_page_and_not_at_a_short_one() {
    check("paging: { offset: { size: 10 } }", "empty_page", 5, |request, before| {
        let offset = number(request, "offset");
        // The second page is shorter than asked for, and more follows.
        let size = if before == 1 { 4 } else { 10 };
        ok(records(offset..(offset + size).min(25)).to_string())
    });
}

#[test]
fn offset_ends_at_the_total() {
    check(
        "records: rows\npaging: { offset: { size: 10, param: skip, size_param: take, total: total } }",
        "total_reached",
        3,
        |request, _| {
            let offset = number(request, "skip");
            ok(json!({ "total": 25, "rows": records(offset..(offset + number(request, "take")).min(25)) }).to_string())
        },
    );
}

#[test]
fn page_numbers_end_at_the_number_of_pages() {
    check(
        "records: rows\npaging: { page: { size_param: size, size: 10, total_pages: pages } }",
        "total_reached",
        3,
        |request, _| ok(json!({ "pages": 3, "rows": records(tens(number(request, "page") - 1)) }).to_string()),
    );
}

#[test]
fn cursor_from_the_body_the_header_and_the_last_record() {
    check("records: rows\npaging: { cursor: { from: next, param: after } }", "no_next_link", 3, |request, _| {
        let page = number(request, "after");
        ok(json!({ "next": if page < 2 { json!(page + 1) } else { Value::Null }, "rows": records(tens(page)) })
            .to_string())
    });
    check("paging: { cursor: { from_header: x-next, header: x-after } }", "no_next_link", 3, |request, _| {
        let page: u64 = request.header("x-after").and_then(|after| after.parse().ok()).unwrap_or(0);
        let answer = ok(records(tens(page)).to_string());
        if page < 2 { answer.with("x-next", &(page + 1).to_string()) } else { answer }
    });
    check("paging: { cursor: { from_last_record: id, param: after } }", "empty_page", 4, |request, _| {
        let from = request.param("after").map_or(0, |after| after.parse::<u64>().expect("a number") + 1);
        ok(records(from..(from + 10).min(25)).to_string())
    });
}

/// Runs a job that must fail and returns what was said.
#[track_caller]
fn fails(code: i32, stream: &str, script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Done {
    let server = Server::start(script);
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    let done = place.haul(&["run", &file]).expect_code(code);
    assert!(!place.path("out/test/_latest.json").exists(), "something was published: {done:?}");
    done
}

#[test]
fn signs_of_further_pages_without_stated_paging_are_an_error() {
    fails(1, "records: data", |_, _| ok(r#"{"data":[{"id":1}],"next":"abc"}"#))
        .expect_says(&["$.next", "paging: none"]);
}

#[test]
fn loops_and_repeats_are_errors() {
    let stream = "records: data\npaging: { next_url: next }";
    fails(1, stream, |request, _| {
        let page = number(request, "p");
        ok(json!({ "data": records(page..page + 1), "next": format!("/items?p={}", (page + 1) % 3) }).to_string())
    })
    .expect_says(&["page 4 holds exactly the records of page 1"]);
    fails(1, "paging: { page: {} }", |_, _| ok(records(0..10).to_string())).expect_says(&["exactly the records"]);
}

#[test]
fn a_total_that_lies_is_an_error() {
    fails(1, "records: rows\npaging: { offset: { size: 10, total: total } }", |request, _| {
        let offset = number(request, "offset");
        ok(json!({ "total": 30, "rows": records(offset..(offset + 10).min(25)) }).to_string())
    })
    .expect_says(&["total of 30", "found 25"]);
}

#[test]
fn stumbles_are_tried_again() {
    let script = |request: &Request, before: usize| {
        let page = number(request, "p");
        let next = if page < 2 { json!(format!("/items?p={}", page + 1)) } else { Value::Null };
        let body = json!({ "data": records(tens(page)), "next": next }).to_string();
        match before {
            0 => status(429, "{}").with("retry-after", "0"),
            1 => status(503, "busy"),
            2 => Answer::Reset,
            4 => Answer::Half { sent: body.len() / 2, body: body.into_bytes() },
            // A good status and half a document: HTTP calls it a success.
            6 => ok(&body.as_bytes()[..body.len() / 2]),
            _ => ok(body),
        }
    };
    check("records: data\npaging: { next_url: next }", "no_next_link", 3, script);
}

#[test]
fn a_next_link_to_another_origin_is_refused_and_no_credential_goes_there() {
    let foreign = Server::start(|_, _| ok("[]"));
    let link = format!("{}/items?p=1", foreign.url);
    let server = Server::start(move |_, _| ok(json!({ "data": records(0..10), "next": link }).to_string()));
    let place = Workplace::new().env("API_TOKEN", "canary-bearer-1234567890");
    let file = place.file(
        "job.yaml",
        &job(&server.url, "auth: { bearer: { token: \"${API_TOKEN}\" } }", "records: data\npaging: { next_url: next }"),
    );
    let done = place.haul(&["run", &file]).expect_code(1).expect_says(&["not on the source's origin", "refused"]);
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer canary-bearer-1234567890"));
    assert_eq!(foreign.asked().len(), 0, "the foreign server was asked");
    place.assert_holds_none_of(&[&done], &["canary-bearer-1234567890"]);
}

#[test]
fn a_redirect_to_another_origin_is_refused() {
    let foreign = Server::start(|_, _| ok("[]"));
    let to = format!("{}/items", foreign.url);
    fails(1, "", move |_, _| status(302, "").with("location", &to)).expect_says(&["redirects to"]);
    assert_eq!(foreign.asked().len(), 0);
}

#[test]
fn a_redirect_within_the_origin_is_followed() {
    check("paging: none", "single_page", 1, |request, _| match request.path() {
        "/items" => status(307, "").with("location", "/moved"),
        _ => ok(records(0..25).to_string()),
    });
}

#[test]
fn a_missing_endpoint_html_and_an_error_body_say_what_they_are() {
    fails(1, "", |_, _| status(404, r#"{"error":"no such thing"}"#)).expect_says(&["404", "no such thing", "path"]);
    fails(1, "", |_, _| ok("<!doctype html><html><head><title>Sign in</title>").with("content-type", "text/html"))
        .expect_says(&["HTML instead of JSON", "Sign in"]);
    fails(1, "", |_, _| ok(r#"{"error":{"message":"quota exceeded"}}"#))
        .expect_says(&["tells of an error", "quota exceeded"]);
    fails(1, "records: data", |_, _| ok(r#"{"data":null}"#)).expect_says(&["$.data"]);
}

#[test]
fn an_outage_is_a_temporary_failure() {
    // A wait longer than the cap ends the run instead of holding it.
    fails(75, "", |_, _| status(429, "{}").with("retry-after", "86400")).expect_says(&["86400 s"]);
}

/// What the source sees of a credential.
#[track_caller]
fn sent(auth: &str) -> Request {
    let server = Server::start(|_, _| ok(records(0..1).to_string()));
    let place = Workplace::new().env("SECRET", "canary:päss&word+1").env("USERNAME_OF_API", "üser");
    let file = place.file("job.yaml", &job(&server.url, auth, ""));
    let done = place.haul(&["run", &file, "--json"]).expect_code(0);
    place.assert_holds_none_of(&[&done], &["canary:p"]);
    server.asked().remove(0)
}

#[test]
fn every_kind_of_credential_arrives_as_it_should() {
    use base64::Engine as _;
    let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    assert_eq!(sent("").header("authorization"), None);
    let key = sent("auth: { key: { value: \"${SECRET}\" } }");
    assert_eq!(key.header("authorization"), Some(basic(":canary:päss&word+1").as_str()));
    let param = sent("auth: { key: { value: \"${SECRET}\", param: api_key } }");
    assert_eq!(param.param("api_key").as_deref(), Some("canary:päss&word+1"));
    let pair = sent("auth: { basic: { username: \"${USERNAME_OF_API}\", password: \"${SECRET}\" } }");
    assert_eq!(pair.header("authorization"), Some(basic("üser:canary:päss&word+1").as_str()));
    let header = |auth: &str, name: &str, expect: &str| {
        let server = Server::start(|_, _| ok(records(0..1).to_string()));
        let place = Workplace::new().env("SECRET", "canary-plain-key");
        let file = place.file("job.yaml", &job(&server.url, auth, ""));
        let done = place.haul(&["run", &file]).expect_code(0);
        place.assert_holds_none_of(&[&done], &["canary-plain-key"]);
        assert_eq!(server.asked()[0].header(name), Some(expect));
    };
    header("auth: { key: { value: \"${SECRET}\", header: x-api-key } }", "x-api-key", "canary-plain-key");
    header(
        "auth: { key: { value: \"${SECRET}\", header: authorization, prefix: \"Token \" } }",
        "authorization",
        "Token canary-plain-key",
    );
    header("auth: { key: { value: \"${SECRET}\", cookie: sid } }", "cookie", "sid=canary-plain-key");
    header("auth: { bearer: { token: \"${SECRET}\" } }", "authorization", "Bearer canary-plain-key");
}

/// A slow endless source, so that a signal meets the middle of a walk.
fn endless() -> Server {
    Server::start(|request, _| {
        let page = number(request, "p");
        let body = json!({ "data": records(page..page + 1), "next": format!("/items?p={}", page + 1) });
        Answer::Late { wait: Duration::from_millis(20), body: body.to_string().into_bytes() }
    })
}

#[track_caller]
fn interrupted(signal: &str, code: i32) {
    let place = Workplace::new();
    let first = Server::start(|_, _| ok(json!({ "data": records(0..25), "next": null }).to_string()));
    let stream = "records: data\npaging: { next_url: next }";
    let file = place.file("job.yaml", &job(&first.url, "", stream));
    place.haul(&["run", &file]).expect_code(0);
    let before = place.contents("out/test/items");
    let latest = std::fs::read(place.path("out/test/_latest.json")).expect("a pointer");
    let server = endless();
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    let mut command = place.command(&["run", &file]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("haul starts");
    while server.asked().len() < 5 {
        std::thread::sleep(Duration::from_millis(10));
    }
    terminate(child.id(), signal);
    let done = Done::of(child.wait_with_output().expect("it ends")).expect_code(code);
    assert!(done.stderr.contains("readers still see 00000001-"), "{done:?}");
    assert_eq!(place.contents("out/test/items"), before, "files were left behind or changed");
    assert_eq!(std::fs::read(place.path("out/test/_latest.json")).expect("a pointer"), latest);
}

#[test]
fn ctrl_c_and_sigterm_leave_the_former_snapshot() {
    interrupted("-INT", 130);
    interrupted("-TERM", 143);
}

#[test]
fn a_second_run_at_the_same_time_is_skipped() {
    let place = Workplace::new();
    let server = endless();
    let file = place.file("job.yaml", &job(&server.url, "", "records: data\npaging: { next_url: next }"));
    let child = place.command(&["run", &file]).stderr(std::process::Stdio::null()).spawn().expect("haul starts");
    while server.asked().len() < 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let skipped = place.haul(&["run", &file, "--json"]).expect_code(6).json();
    assert_eq!(skipped["outcome"], "skipped");
    // Killed without a chance to release: the lease of a dead process does not hold the next run.
    terminate(child.id(), "-KILL");
    let mut child = child;
    child.wait().expect("it ends");
    let server = Server::start(|_, _| ok(json!({ "data": records(0..25), "next": null }).to_string()));
    let file = place.file("job.yaml", &job(&server.url, "", "records: data\npaging: { next_url: next }"));
    place.haul(&["run", &file]).expect_code(0);
    assert_eq!(ids(&place).len(), 25);
}

#[test]
fn a_full_disk_is_told_and_harms_nothing() {
    let place = Workplace::new();
    let server = Server::start(|request, _| {
        let page = number(request, "p");
        let data: Vec<Value> = (0..2000_u64)
            .map(|row| {
                let noise = (page * 2000 + row).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                json!({ "id": row, "noise": format!("{noise:x}{:x}", noise.wrapping_mul(noise | 1)).repeat(4) })
            })
            .collect();
        ok(json!({ "data": data, "next": format!("/items?p={}", page + 1) }).to_string())
    });
    let file = place.file("job.yaml", &job(&server.url, "", "records: data\npaging: { next_url: next }"));
    let out = place.path("out");
    std::fs::create_dir(&out).expect("a folder");
    // A file system of one megabyte of its own, in a namespace that ends with the process.
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs '{}' && exec '{}' run '{file}'",
        out.display(),
        env!("CARGO_BIN_EXE_haul")
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(place.path(""));
    command.env("HAUL_STATE", place.path("state")).env("TMPDIR", place.path(""));
    let done = Done::of(command.output().expect("unshare runs (package util-linux)")).expect_code(1);
    done.expect_says(&["the disk is full", "nothing was published"]);
}

#[test]
fn types_change_in_the_middle_without_loss() {
    let server = Server::start(|request, _| {
        let page = number(request, "p");
        let data: Vec<Value> = (0..10_000_u64)
            .map(|row| {
                let id = page * 10_000 + row;
                match page {
                    0..=2 => json!({ "id": id, "amount": 1, "code": "2024-01-31" }),
                    3 => json!({ "id": id, "amount": 1.25, "code": "2024-01-31", "late": true }),
                    _ => json!({ "id": id, "amount": "n/a", "code": "x" }),
                }
            })
            .collect();
        ok(json!({ "data": data, "next": if page < 4 { json!(format!("/items?p={}", page + 1)) } else { Value::Null } }).to_string())
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", "records: data\npaging: { next_url: next }"));
    place.haul(&["run", &file]).expect_code(0);
    let table = place.path("out/test/items/current.parquet");
    let sql = format!(
        "select count(*), count(distinct id), count(*) filter (amount = '1'), count(*) filter (amount = '1.25'), \
         count(*) filter (amount = 'n/a'), count(*) filter (code = '2024-01-31'), count(late) from read_parquet('{}')",
        table.display()
    );
    assert_eq!(read(&sql, None)["rows"][0], json!([50_000, 50_000, 30_000, 10_000, 10_000, 40_000, 10_000]));
}
