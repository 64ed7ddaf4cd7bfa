//! `haul init` as somebody who knows nothing of the API uses it: it is pointed at real servers, and what it writes is checked,
//! run, and compared with what the server's own data say.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};
use support::rigs::{Rig, output_of, read};
use support::server::{Answer, Request, Server, ok, status};
use support::truth::assert_equals_truth;
use support::{Done, Workplace};

/// `haul init` with these arguments, then `haul check` and `haul run` of what it wrote. Gives both reports.
#[track_caller]
fn init_and_run(place: &Workplace, args: &[&str]) -> (Value, Value) {
    let told = place.haul(&[&["init", "--yes", "--json", "--output", "job.yaml"], args].concat()).expect_code(0).json();
    place.haul(&["check", "job.yaml"]).expect_code(0);
    let run = place.haul(&["run", "job.yaml", "--json"]).expect_code(0).json();
    (told, run)
}

/// The file without its comments.
fn code(place: &Workplace) -> String {
    let text = std::fs::read_to_string(place.path("job.yaml")).expect("a job file");
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn file(place: &Workplace) -> String {
    std::fs::read_to_string(place.path("job.yaml")).expect("a job file")
}

/// Answers piped into `haul init`, a line each.
fn answered(place: &Workplace, args: &[&str], answers: &str) -> Done {
    let mut command = place.command(&[&["init", "--output", "job.yaml"], args].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul");
    let mut stdin = child.stdin.take().expect("a pipe");
    // What is not asked for is not read.
    let _ = stdin.write_all(answers.as_bytes());
    drop(stdin);
    Done::of(child.wait_with_output().expect("it ends"))
}

#[track_caller]
fn assert_rows(run: &Value, table: &str, rows: u64) {
    assert_eq!(run["tables"][table]["rows"], rows, "{run}");
}

/// The published tables are what the server's own data say.
#[track_caller]
fn assert_true(rig: &Rig, place: &Workplace, job: &str, tables: &[(&str, &str)]) {
    let truth = rig.get("/_truth");
    for (entity, table) in tables {
        let facts = json!({ *entity: truth[entity] });
        let parquet = format!("read_parquet('{}/{table}/current.parquet')", place.path("out").join(job).display());
        assert_equals_truth(&facts, |_| parquet.clone(), None);
    }
}

// Real servers

#[test]
fn json_server_by_its_link_header_and_by_its_total() {
    let rig = Rig::start("jsonserver.mjs", &[]);
    for table in ["customers", "orders"] {
        let place = Workplace::new();
        let url = format!("{}/{table}?_page=1&_limit=500", rig.url());
        let (told, run) = init_and_run(&place, &[&url]);
        assert_eq!(told["streams"][0]["paging"]["value"], "link_header", "{told}");
        assert_eq!((&told["is_sure"], &told["streams"][0]["key"]["value"]), (&json!(true), &json!(["Id"])), "{told}");
        assert_rows(&run, table, rig.get("/_truth")[table]["count"].as_u64().expect("a count"));
    }
    // Slices have a total and no link.
    let place = Workplace::new();
    let (told, run) = init_and_run(&place, &[&format!("{}/orders?_start=0&_limit=1000", rig.url())]);
    let paging = &told["streams"][0]["paging"]["value"]["offset"];
    assert_eq!((&paging["param"], &paging["total_header"]), (&json!("_start"), &json!("x-total-count")), "{told}");
    assert_rows(&run, "orders", 20_000);
    assert!(!code(&place).contains("params:"), "what the walk sends is no parameter of the stream: {}", code(&place));
}

#[test]
fn a_list_without_a_word_about_pages_is_read_and_the_doubt_is_told() {
    let rig = Rig::start("jsonserver.mjs", &[]);
    let place = Workplace::new();
    let (told, run) = init_and_run(&place, &[&format!("{}/customers", rig.url())]);
    assert_eq!((&told["is_sure"], &told["streams"][0]["paging"]), (&json!(false), &Value::Null), "{told}");
    assert!(file(&place).contains("To be checked: 2000 is a usual page size"), "{}", file(&place));
    assert_rows(&run, "customers", 2_000);
}

#[test]
fn an_odata_v4_service_with_all_its_entity_sets() {
    let rig = Rig::start("odata4.mjs", &[]);
    let place = Workplace::new();
    let (told, _) = init_and_run(&place, &[&format!("{}/", rig.url()), "--name", "shop"]);
    let keys: Vec<&Value> =
        told["streams"].as_array().expect("streams").iter().map(|one| &one["key"]["value"]).collect();
    assert_eq!(keys, [&json!(["Id"]); 3], "{told}");
    assert!(code(&place).contains("dialect: odata"), "{}", code(&place));
    let tables = [("Customers", "customers"), ("Orders", "orders"), ("OrderLines", "order_lines")];
    assert_true(&rig, &place, "shop", &tables);

    // The same from the description of one of them, and from the address of an entity set.
    for (path, streams) in [("$metadata", &["--stream", "orders"][..]), ("Orders", &[])] {
        let place = Workplace::new();
        let url = format!("{}/{path}", rig.url());
        let (told, run) = init_and_run(&place, &[&[url.as_str()], streams].concat());
        assert_eq!(told["streams"].as_array().map(Vec::len), Some(1), "{told}");
        assert!(code(&place).contains("dialect: odata") && code(&place).contains("key: [Id]"), "{}", code(&place));
        assert_rows(&run, "orders", 20_000);
    }
    let place = Workplace::new();
    let none = ["init", &format!("{}/", rig.url()), "--yes", "--stream", "Nothing"];
    place
        .haul(&none)
        .expect_code(2)
        .expect_says(&["there is no entity set `Nothing`", "Customers, Orders, OrderLines"]);
}

#[test]
fn an_odata_v2_service_with_all_its_entity_sets() {
    let rig = Rig::start("odata2.py", &[]);
    let place = Workplace::new();
    init_and_run(&place, &[rig.url(), "--name", "shop"]);
    let tables = [("Customers", "customers"), ("Orders", "orders"), ("OrderLines", "order_lines")];
    assert_true(&rig, &place, "shop", &tables);
    assert!(code(&place).contains("paging: odata"), "{}", code(&place));
}

#[test]
fn django_and_datasette_by_their_links() {
    let django = Rig::start("django_api.py", &[]);
    for way in ["page", "cursor", "offset"] {
        let place = Workplace::new();
        let (told, run) = init_and_run(&place, &[&format!("{}/{way}/customer", django.url())]);
        assert_eq!(told["streams"][0]["paging"]["value"], json!({ "next_url": "next" }), "{told}");
        assert_rows(&run, "customer", 2_000);
        assert!(file(&place).contains("columns: { credit_limit: decimal }"), "money as text: {}", file(&place));
    }
    let datasette = Rig::start("datasette_api.py", &[]);
    let place = Workplace::new();
    let (_, run) =
        init_and_run(&place, &[&format!("{}/shop/purchase.json?_shape=objects&_size=1000", datasette.url())]);
    assert_rows(&run, "purchase", datasette.get("/_truth")["purchase"]["count"].as_u64().expect("a count"));
    // Without that parameter its records are lists, which have no names.
    let place = Workplace::new();
    let done = place.haul(&["init", "--yes", &format!("{}/shop/purchase.json", datasette.url())]).expect_code(1);
    done.expect_says(&["`$.rows` is a list of values or lists"]);
    assert_nothing_was_written(&place);
}

#[test]
fn a_graphql_endpoint_with_the_connections_that_it_describes() {
    let rig = Rig::start("graphql.mjs", &[]);
    let place = Workplace::new();
    let url = format!("{}/graphql", rig.url());
    let (told, run) = init_and_run(&place, &[&url, "--stream", "allCustomers"]);
    let paging = &told["streams"][0]["paging"]["value"];
    assert_eq!(*paging, json!({ "graphql": { "connection": "data.allCustomers" } }), "{told}");
    assert_rows(&run, "all_customers", 2_000);
}

// Scripted servers: shapes that no rig has

/// Records with these ids.
fn items(ids: impl Iterator<Item = u64>) -> Vec<Value> {
    ids.map(|id| json!({ "id": id, "name": format!("item {id}") })).collect()
}

fn number(request: &Request, name: &str, default: u64) -> u64 {
    request.param(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// An API of 25 records, ten a page, whose pages `script` cuts; all of them are read, by this way of paging.
#[track_caller]
fn check_paging(path: &str, paging: &Value, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
    let server = Server::start(move |request, _| script(request));
    let place = Workplace::new();
    let (told, run) = init_and_run(&place, &[&format!("{}{path}", server.url)]);
    assert_eq!(told["streams"][0]["paging"]["value"], *paging, "{told}");
    assert_rows(&run, "items", 25);
    let ids = format!(
        "select count(distinct id) from read_parquet('{}')",
        place.path("out/api/items/current.parquet").display()
    );
    assert_eq!(read(&ids, None)["rows"][0][0], 25);
}

fn page_of(first: u64) -> Vec<Value> {
    items((first..25).take(10))
}

#[test]
fn pages_that_are_counted() {
    check_paging("/items", &json!({ "page": { "param": "page" } }), |request| {
        ok(json!(page_of((number(request, "page", 1) - 1) * 10)).to_string())
    });
    check_paging("/items", &json!({ "page": { "param": "page", "first": 0, "total": "total" } }), |request| {
        ok(json!({ "total": 25, "data": page_of(number(request, "page", 0) * 10) }).to_string())
    });
    let echoed = json!({ "page": { "param": "pageNumber", "total_pages": "meta.totalPages" } });
    check_paging("/items", &echoed, |request| {
        let page = number(request, "pageNumber", 1);
        ok(json!({ "meta": { "pageNumber": page, "totalPages": 3 }, "data": page_of((page - 1) * 10) }).to_string())
    });
    let offset = json!({ "offset": { "param": "startAt", "size_param": "maxResults", "size": 10, "total": "total" } });
    check_paging("/items", &offset, |request| {
        let from = number(request, "startAt", 0);
        ok(json!({ "startAt": from, "maxResults": 10, "total": 25, "issues": page_of(from) }).to_string())
    });
    // Nothing tells of pages, and the API takes an offset.
    check_paging("/items", &json!({ "offset": { "param": "skip", "size_param": "limit", "size": 10 } }), |request| {
        ok(json!(page_of(number(request, "skip", 0))).to_string())
    });
}

/// Somebody copies the address of a page that is not the first.
#[test]
fn an_address_of_a_later_page_is_read_from_the_first_one() {
    let linked = |request: &Request, first: u64| {
        let page = number(request, "page", first);
        let answer = ok(json!(page_of((page - first) * 10)).to_string());
        let next = format!("</items?page={}>; rel=\"next\"", page + 1);
        if page < first + 2 { answer.with("link", &next) } else { answer }
    };
    check_paging("/items?page=3", &json!("link_header"), move |request| match number(request, "page", 1) {
        0 => status(404, "{}"),
        _ => linked(request, 1),
    });
    // Pages are counted from zero, and the address is that of the second.
    check_paging("/items?page=1", &json!("link_header"), move |request| linked(request, 0));
    check_paging("/items?page=1", &json!({ "page": { "param": "page", "first": 0 } }), |request| {
        ok(json!(page_of(number(request, "page", 0) * 10)).to_string())
    });
    // A place in the middle, and a part of the whole.
    let token = json!({ "cursor": { "from": "next_cursor", "param": "cursor" } });
    check_paging("/items?cursor=10&$top=3", &token, |request| {
        let from = number(request, "cursor", 0);
        let next = (from + 10 < 25).then(|| (from + 10).to_string());
        assert!(request.param("$top").is_none(), "{request:?}");
        ok(json!({ "data": page_of(from), "next_cursor": next }).to_string())
    });
    let offset = json!({ "offset": { "param": "offset", "size_param": "limit", "size": 10 } });
    check_paging("/items?offset=20&limit=10", &offset, |request| {
        ok(json!(page_of(number(request, "offset", 0))).to_string())
    });
}

#[test]
fn pages_behind_tokens_and_links() {
    let token = json!({ "cursor": { "from": "meta.next_cursor", "param": "cursor" } });
    check_paging("/items", &token, |request| {
        let from = number(request, "cursor", 0);
        let next = (from + 10 < 25).then(|| (from + 10).to_string());
        ok(json!({ "data": page_of(from), "meta": { "next_cursor": next } }).to_string())
    });
    // The parameter has another name than the token.
    let token = json!({ "cursor": { "from": "nextPageToken", "param": "page_token" } });
    check_paging("/items", &token, |request| {
        let from = number(request, "page_token", 0);
        let mut answer = json!({ "items": page_of(from) });
        if from + 10 < 25 {
            answer["nextPageToken"] = json!(format!("{}", from + 10));
        }
        ok(answer.to_string())
    });
    let last = json!({ "cursor": { "from_last_record": "id", "param": "starting_after", "has_more": "has_more" } });
    check_paging("/items", &last, |request| {
        let from = request.param("starting_after").map_or(0, |id| id.parse::<u64>().expect("an id") + 1);
        ok(json!({ "data": page_of(from), "has_more": from + 10 < 25 }).to_string())
    });
    check_paging("/items?limit=10", &json!({ "next_url": "links.next" }), |request| {
        let from = number(request, "from", 0);
        let next = json!({ "href": format!("?limit=10&from={}", from + 10) });
        let next = if from + 10 < 25 { next } else { Value::Null };
        ok(json!({ "links": { "next": next }, "data": page_of(from) }).to_string())
    });
}

#[test]
fn the_end_of_counted_pages_may_be_a_404() {
    let page = json!({ "page": { "param": "page" } });
    check_paging("/items", &page, |request| {
        let records = page_of((number(request, "page", 1).saturating_sub(1)).saturating_mul(10));
        if records.is_empty() { status(404, r#"{"detail":"Invalid page."}"#) } else { ok(json!(records).to_string()) }
    });
}

#[test]
fn an_odata_service_that_keeps_the_rest_to_itself_is_asked_for_its_count() {
    let skip = json!({ "odata_skip": { "size": 10 } });
    check_paging("/items", &skip, |request| {
        let top = number(request, "$top", 10).min(10) as usize;
        let records = items((number(request, "$skip", 0)..25).take(top));
        let mut answer = json!({ "@odata.context": "$metadata#items", "value": records });
        if request.param("$count").is_some() {
            answer["@odata.count"] = json!(25);
        }
        if request.path() == "/items" { ok(answer.to_string()) } else { status(404, "{}") }
    });
}

/// An offset that counts pages would leave nine of ten pages out, and the API tells no total that would show it.
#[test]
fn an_offset_that_counts_pages_is_not_believed() {
    let server = Server::start(|request, _| {
        let from = number(request, "offset", 0) * 10;
        let size = number(request, "limit", 10);
        ok(json!(items((from..2_500).take(size as usize))).to_string())
    });
    let place = Workplace::new();
    let url = format!("{}/items", server.url);
    let told = place.haul(&["init", &url, "--yes", "--json", "--output", "job.yaml"]).expect_code(0).json();
    assert_eq!((&told["streams"][0]["paging"], &told["is_sure"]), (&Value::Null, &json!(false)), "{told}");
}

#[test]
fn a_sign_of_further_pages_without_a_way_to_them_stops_the_run() {
    let server = Server::start(|_, _| ok(json!({ "total": 500, "data": page_of(0) }).to_string()));
    let place = Workplace::new();
    let url = format!("{}/items", server.url);
    let done = place.haul(&["init", &url, "--yes", "--output", "job.yaml"]).expect_code(0);
    done.expect_says(&["no way to them was found", "not everything could be found out"]);
    assert!(file(&place).contains("To be done:"), "{}", file(&place));
    assert!(server.asked().len() < 100, "{} requests", server.asked().len());
    place.haul(&["check", "job.yaml"]).expect_code(0);
    place.haul(&["run", "job.yaml"]).expect_code(1).expect_says(&["tells of further pages"]);
}

#[test]
fn tables_may_go_to_a_store_that_is_not_there_yet() {
    let server = Server::start(|_, _| ok(json!(items(1..8)).to_string()));
    let place = Workplace::new();
    let url = format!("{}/items", server.url);
    place
        .haul(&["init", &url, "--yes", "--output", "job.yaml", "--destination", "az://reports/exports"])
        .expect_code(0);
    assert!(code(&place).contains("url: \"az://reports/exports\""), "{}", code(&place));
    place.haul(&["check", "job.yaml"]).expect_code(0);
}

#[test]
fn a_signal_ends_the_questions() {
    let place = Workplace::new();
    let mut child = place.command(&["init"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul");
    let stdin = child.stdin.take();
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("Address of the API") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "nothing was asked");
    }
    support::terminate(child.id(), "-INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(stdin);
    assert_nothing_was_written(&place);
}

#[test]
fn objects_whose_members_collide_stay_whole() {
    let server =
        Server::start(|_, _| ok(r#"[{"id":1,"reactions":{"+1":3,"-1":4}},{"id":2,"reactions":{"+1":0,"-1":1}}]"#));
    let place = Workplace::new();
    let (_, run) = init_and_run(&place, &[&format!("{}/issues", server.url)]);
    assert_rows(&run, "issues", 2);
    assert!(code(&place).contains("reactions: json"), "{}", code(&place));
}

#[test]
fn what_looks_like_the_time_of_a_change_is_a_comment() {
    let body = r#"[{"id":1,"updated_at":"2024-01-02T03:04:05Z"},{"id":2,"updated_at":"2024-02-02T03:04:05Z"}]"#;
    let server = Server::start(move |_, _| ok(body));
    let place = Workplace::new();
    init_and_run(&place, &[&format!("{}/items", server.url)]);
    assert!(file(&place).contains("#   incremental: { cursor: updated_at, start: 2020-01-01 }"), "{}", file(&place));
    assert!(!code(&place).contains("incremental"), "{}", code(&place));
}

// Credentials

const TOKEN: &str = "canary-token-of-init";

/// Ten records for those who say this.
fn guarded(name: &'static str, value: &'static str, offers: &'static str) -> Server {
    Server::start(move |request, _| match request.header(name) == Some(value) {
        true => ok(json!(items(1..8)).to_string()),
        false if offers.is_empty() => status(401, r#"{"message":"who are you"}"#),
        false => status(401, "{}").with("www-authenticate", offers),
    })
}

#[test]
fn a_bearer_token_is_guessed_from_the_refusal_and_read_from_the_environment() {
    let server = guarded("authorization", "Bearer canary-token-of-init", "Bearer realm=\"shop\"");
    let url = format!("{}/items", server.url);
    let place = Workplace::new();
    place.haul(&["init", &url, "--yes"]).expect_code(2).expect_says(&["`API_TOKEN` is not set", "export API_TOKEN=…"]);
    assert_nothing_was_written(&place);

    let place = Workplace::new().env("API_TOKEN", TOKEN);
    let (_, run) = init_and_run(&place, &[&url]);
    assert_rows(&run, "items", 7);
    assert!(code(&place).contains("bearer: { token: \"${API_TOKEN}\" }"), "{}", code(&place));

    // A refused token is no reason to write anything.
    let place = Workplace::new().env("WRONG", "canary-wrong");
    place.haul(&["init", &url, "--yes", "--token-env", "WRONG"]).expect_code(1).expect_says(&["401"]);
    assert_nothing_was_written(&place);
}

#[test]
fn keys_and_passwords_by_argument() {
    let place = Workplace::new().env("SHOP_KEY", TOKEN);
    let server = guarded("x-api-key", TOKEN, "");
    let url = format!("{}/items", server.url);
    place.haul(&["init", &url, "--yes"]).expect_code(1).expect_says(&["does not say what it wants", "--header"]);
    let (_, run) =
        init_and_run(&place, &[&url, "--header", "X-Api-Key: ${SHOP_KEY}", "--header", "Accept-Language: nl"]);
    assert_rows(&run, "items", 7);
    assert!(server.asked().iter().any(|request| request.header("accept-language") == Some("nl")));

    let place = Workplace::new().env("SHOP_KEY", TOKEN);
    let server = Server::start(|request, _| match request.param("api_key").as_deref() {
        Some(TOKEN) => ok(json!(items(1..8)).to_string()),
        _ => status(403, "{}"),
    });
    let (_, run) = init_and_run(&place, &[&format!("{}/items?api_key=${{SHOP_KEY}}&lang=nl", server.url)]);
    assert_rows(&run, "items", 7);

    // `me:canary-pass`
    let place = Workplace::new().env("API_USER", "me").env("API_PASSWORD", "canary-pass");
    let server = guarded("authorization", "Basic bWU6Y2FuYXJ5LXBhc3M=", "Basic realm=\"shop\"");
    let (_, run) = init_and_run(&place, &[&format!("{}/items", server.url)]);
    assert_rows(&run, "items", 7);
}

#[test]
fn what_microsofts_services_and_windows_servers_want() {
    let authority = "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize";
    let server = guarded("x", "y", authority);
    let place = Workplace::new();
    let url = format!("{}/items", server.url);
    place
        .haul(&["init", &url, "--yes", "--output", "job.yaml"])
        .expect_code(0)
        .expect_says(&["not tried", "API_CLIENT_ID"]);
    place.haul(&["check", "job.yaml"]).expect_code(0);
    assert!(code(&place).contains("client_secret: \"${API_CLIENT_SECRET}\""), "{}", code(&place));
    assert!(code(&place).contains("entra:"), "{}", code(&place));

    let server = guarded("x", "y", "NTLM");
    let place = Workplace::new();
    let done = place.haul(&["init", &format!("{}/items", server.url), "--yes"]).expect_code(2);
    done.expect_says(&["it offers ntlm", "`API_USER` is not set"]);
    assert_nothing_was_written(&place);
}

#[test]
fn a_person_is_asked_what_an_api_wants_that_does_not_say() {
    let server = guarded("x-shop", TOKEN, "");
    let place = Workplace::new().env("SHOP_KEY", TOKEN);
    // The second kind, the header, a key that was pasted and refused, its variable, the destination, yes.
    let answers = "shop\n2\nX-Shop\ncanary-pasted\nSHOP_KEY\nout\ny\n";
    let done = answered(&place, &[&format!("{}/items", server.url)], answers).expect_code(0);
    assert!(done.stderr.contains("never the secret itself") && !done.stderr.contains("canary"), "{done:?}");
    let run = place.haul(&["run", "job.yaml", "--json"]).expect_code(0).json();
    assert_rows(&run, "items", 7);
}

#[test]
fn secrets_on_the_command_line_are_refused_and_not_repeated() {
    let server = guarded("x", "y", "");
    let place = Workplace::new();
    let url = |rest: &str| format!("{}/items{rest}", server.url);
    let user = server.url.replace("http://", "http://me:canary-1@");
    for args in [
        &["init", "--yes", &url("?api_key=canary-1")][..],
        &["init", "--yes", &url(""), "--header", "X-Api-Key: canary-1"],
        &["init", "--yes", &user],
        &["init", "--yes", &url(""), "--token-env", "canary-1"],
    ] {
        place.haul(args).expect_code(2);
    }
    assert_eq!(server.asked().len(), 0);
    assert_nothing_was_written(&place);
}

/// The API names an authorization server elsewhere, as RFC 9728 says.
fn api_with_oidc(oidc: &Rig) -> Server {
    let issuer = oidc.url().to_owned();
    Server::start(move |request, _| {
        let own = format!("http://{}", request.header("host").expect("a host"));
        match (request.path(), request.header("authorization")) {
            ("/.well-known/oauth-protected-resource", _) => ok(json!({
                "resource": own, "authorization_servers": [issuer], "scopes_supported": ["api"],
            })
            .to_string()),
            ("/items", Some(token)) if token.starts_with("Bearer ") => ok(json!(items(1..8)).to_string()),
            _ => status(401, "{}").with(
                "www-authenticate",
                &format!("Bearer resource_metadata=\"{own}/.well-known/oauth-protected-resource\""),
            ),
        }
    })
}

fn grants(oidc: &Rig) -> Value {
    oidc.get("/_stats")["grants"].clone()
}

#[test]
fn the_secret_of_a_client_goes_only_to_an_issuer_that_somebody_named() {
    let oidc = Rig::start("oidc.mjs", &[]);
    let server = api_with_oidc(&oidc);
    let url = format!("{}/items", server.url);
    let place = Workplace::new().env("APP_ID", "haul-cc").env("APP_SECRET", oidc.text("cc_secret"));
    let client = ["--client-id-env", "APP_ID", "--client-secret-env", "APP_SECRET"];
    let args = [&["init", &url, "--yes", "--output", "job.yaml"], &client[..]].concat();
    let done = place.haul(&args).expect_code(0);
    assert!(done.stderr.contains("nobody said that"), "{done:?}");
    assert_eq!(grants(&oidc), json!({}), "no secret was sent");
    place.haul(&["check", "job.yaml"]).expect_code(0);
    assert!(file(&place).contains("Not tried yet"), "{}", file(&place));

    let (_, run) = init_and_run(&place, &[&[url.as_str(), "--force", "--issuer", oidc.url()], &client[..]].concat());
    assert_rows(&run, "items", 7);
    place.assert_holds_none_of(&[&done], &[oidc.text("cc_secret")]);

    // Somebody who is asked may say so, too.
    let place = Workplace::new().env("APP_ID", "haul-cc").env("APP_SECRET", oidc.text("cc_secret"));
    let asked = answered(&place, &[&[url.as_str()], &client[..]].concat(), "shop\ny\n1\n\n\n").expect_code(0);
    assert!(asked.stderr.contains("A secret will be sent there"), "{asked:?}");
    place.haul(&["run", "job.yaml"]).expect_code(0);
}

/// An API must not make haul ask where the API itself could not be: here, the own network.
#[test]
fn an_issuer_in_a_private_network_that_only_the_api_names_is_not_asked() {
    let server = Server::start(move |request, _| match request.path() {
        "/.well-known/oauth-protected-resource" => {
            let own = format!("http://{}", request.header("host").expect("a host"));
            ok(json!({ "resource": own, "authorization_servers": ["https://10.255.255.1"] }).to_string())
        }
        _ => status(401, "{}").with("www-authenticate", "Bearer"),
    });
    let place = Workplace::new();
    let began = std::time::Instant::now();
    place.haul(&["init", &format!("{}/items", server.url), "--yes"]).expect_code(2).expect_says(&["`API_TOKEN`"]);
    // A connection to nowhere would take its twenty seconds.
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(server.asked().iter().any(|request| request.path().starts_with("/.well-known/oauth-protected")));
    assert_nothing_was_written(&place);
}

#[test]
fn a_guard_before_an_odata_service_with_an_issuer_that_is_named() {
    let oidc = Rig::start("oidc.mjs", &[]);
    let odata = Rig::start("odata4.mjs", &[]);
    let guard = Rig::start("guard.mjs", &["--upstream", odata.url(), "--oidc", oidc.url()]);
    let place = Workplace::new().env("APP_ID", "haul-cc").env("APP_SECRET", oidc.text("cc_secret"));
    let args =
        ["--issuer", oidc.url(), "--client-id-env", "APP_ID", "--client-secret-env", "APP_SECRET", "--scope", "api"];
    let url = format!("{}/", guard.url());
    let (_, run) = init_and_run(&place, &[&[url.as_str(), "--stream", "Customers"], &args[..]].concat());
    assert_rows(&run, "customers", 2_000);
}

#[test]
fn a_person_logs_in_on_the_way() {
    let oidc = Rig::start("oidc.mjs", &[]);
    let server = api_with_oidc(&oidc);
    let url = format!("{}/items", server.url);
    let place = Workplace::new().env("APP_ID", "haul-public");

    // Nobody is there: the file is written, for the login needs it.
    let silent = ["init", &url, "--yes", "--client-id-env", "APP_ID", "--output", "later.yaml"];
    place.haul(&silent).expect_code(5).expect_says(&["haul login later.yaml"]);

    let mut command = place.command(&["init", &url, "--client-id-env", "APP_ID", "--output", "job.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul");
    // The name, the issuer, the grant, no client secret, yes to the login; then the destination, and yes to the file.
    child.stdin.take().expect("a pipe").write_all(b"shop\ny\n1\nn\ny\nout\ny\n").expect("answers");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    let login = loop {
        let mut line = String::new();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "haul showed no address: {said}");
        said.push_str(&line);
        if line.trim().starts_with(oidc.url()) {
            break line.trim().to_owned();
        }
    };
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = stderr.read_to_string(&mut rest);
        rest
    });
    output_of("browser.mjs", &[&login]);
    let done = Done::of(child.wait_with_output().expect("it ends"));
    let rest = rest.join().expect("a text");
    assert_eq!(done.code, 0, "{done:?} {said} {rest}");
    let run = place.haul(&["run", "job.yaml", "--json"]).expect_code(0).json();
    assert_rows(&run, "items", 7);
    assert!(file(&place).contains("authorization_code") && file(&place).contains("offline_access"), "{}", file(&place));
}

// Questions and answers

#[test]
fn questions_are_asked_again_until_an_answer_fits() {
    let server = Server::start(|_, _| ok(json!(items(1..8)).to_string()));
    let place = Workplace::new();
    // An address, a name that is none and one that is, the destination, and yes.
    let answers = format!("{}/items\nNo Name\nshop\ntables\ny\n", server.url);
    let done = answered(&place, &[], &answers).expect_code(0);
    done.expect_says(&["exact-online", "for example `no-name`", "wrote job.yaml", "haul run job.yaml"]);
    place.haul(&["run", "job.yaml"]).expect_code(0);
    assert!(place.path("tables/shop/_latest.json").exists());

    let place = Workplace::new();
    answered(&place, &[&format!("{}/items", server.url)], "shop\nout\nn\n")
        .expect_code(1)
        .expect_says(&["nothing was written"]);
    assert_nothing_was_written(&place);
    // The answers end too early.
    answered(&place, &[&format!("{}/items", server.url)], "shop\n").expect_code(2).expect_says(&["--yes"]);
    assert_nothing_was_written(&place);
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let server = Server::start(|_, _| ok(json!(items(1..8)).to_string()));
    let place = Workplace::new();
    place.file("job.yaml", "mine");
    let url = format!("{}/items", server.url);
    let args = ["init", &url, "--yes", "--output", "job.yaml"];
    place.haul(&args).expect_code(2).expect_says(&["is there already", "--force"]);
    assert_eq!(file(&place), "mine");
    assert_eq!(server.asked().len(), 0, "nothing is asked for a file that cannot be written");
    place.haul(&[&args[..], &["--force"]].concat()).expect_code(0);
    assert!(file(&place).starts_with("# yaml-language-server: $schema="), "{}", file(&place));
}

// What goes wrong

#[track_caller]
fn assert_nothing_was_written(place: &Workplace) {
    let entries = std::fs::read_dir(place.path("")).expect("a folder");
    let names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| name == "state"), "{names:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_remedy_and_writes_nothing() {
    let server = Server::start(|request, _| match request.path() {
        "/html" => ok("<!doctype html><html><title>Sign in</title></html>").with("content-type", "text/html"),
        "/text" => ok("hello"),
        "/half" => ok(r#"[{"id":1},"#),
        "/values" => ok("[1,2,3]"),
        "/none" => status(204, ""),
        "/error" => ok(r#"{"error":{"message":"no such plan"}}"#),
        "/away" => status(302, "").with("location", "https://elsewhere.example/x"),
        "/openapi.json" => ok(r#"{"openapi":"3.1.0","info":{"title":"Shop"},"paths":{"/orders":{"get":{}}}}"#),
        "/late" => Answer::Late { wait: std::time::Duration::from_secs(30), body: b"[]".to_vec() },
        "/broken" => status(500, "{}"),
        _ => status(404, "{}"),
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let place = Workplace::new();
    let check = |url: &str, code: i32, says: &[&str]| {
        place.haul(&["init", url, "--yes", "--timeout", "1s"]).expect_code(code).expect_says(says);
        assert_nothing_was_written(&place);
    };
    let at = |path: &str| format!("{}{path}", server.url);
    check(&at("/html"), 1, &["HTML instead of JSON: ", "Sign in", "hint: haul reads JSON"]);
    check(&at("/text"), 1, &["text instead of JSON"]);
    check(&at("/half"), 1, &["no whole JSON document"]);
    check(&at("/values"), 1, &["not of objects", "hint: give the address of a list"]);
    check(&at("/none"), 1, &["the answer is empty (204"]);
    check(&at("/error"), 1, &["no such plan"]);
    check(&at("/away"), 1, &["elsewhere.example", "give that address instead"]);
    check(&at("/openapi.json"), 1, &["a description of Shop", "/orders"]);
    check(&at("/missing"), 1, &["404", "check the address"]);
    check(&at("/broken"), 75, &["500", "after 3 tries"]);
    check(&at("/late"), 75, &["no answer from", "--timeout 2m"]);
    check(&format!("http://{closed}/x"), 75, &["cannot reach", "hint: check the address"]);
    check("http://does-not-exist.invalid/x", 2, &["plain http", "--allow-http"]);
    check("https://does-not-exist.invalid/x", 75, &["cannot reach", "name resolution"]);
    check("ftp://h/x", 2, &["this is no address"]);
    check("https://", 2, &["this is no address"]);
    check("http://169.254.169.254/latest", 2, &["plain http"]);
    check("https://169.254.169.254/latest", 1, &["metadata"]);
}

// Profiles

#[test]
fn every_profile_becomes_a_job_that_is_right() {
    let place = Workplace::new();
    let listed = place.haul(&["init", "--list-profiles", "--json"]).expect_code(0).json();
    let names: Vec<&str> =
        listed.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    let text = place.haul(&["init", "--list-profiles"]).expect_code(0).stdout;
    assert!(text.lines().count() == 8 && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for name in names {
        // Where a person has to log in, that comes next.
        let code = if matches!(name, "exact-online" | "odata-oauth2") { 5 } else { 0 };
        let done = place.haul(&["init", "--profile", name, "--yes", "--json"]).expect_code(code).json();
        assert!(done["untried"].is_string(), "{done}");
        place.haul(&["check", &format!("{name}.yaml")]).expect_code(0);
    }
    place
        .haul(&["init", "--profile", "github", "--name", "No Name", "--yes"])
        .expect_code(2)
        .expect_says(&["`no-name`"]);
    place.haul(&["init", "--profile", "exact", "--yes"]).expect_code(2).expect_says(&["there is no profile `exact`"]);
    place
        .haul(&["init", "--profile", "github", "--set", "x=1", "--yes"])
        .expect_code(2)
        .expect_says(&["it has repositories"]);
}

#[test]
fn a_profile_takes_its_answers_and_is_tried() {
    let server = Server::start(|request, _| match request.param("p").as_deref() {
        None => ok(json!({ "rows": items(1..6), "more": { "next": "?p=2" } }).to_string()),
        Some(_) => ok(json!({ "rows": items(6..9), "more": { "next": null } }).to_string()),
    });
    let place = Workplace::new();
    let base = format!("base_url={}", server.url);
    let set = ["--set", &base, "--set", "path=/items", "--set", "records=rows", "--set", "next=more.next"];
    let done =
        place.haul(&[&["init", "--profile", "rest-next-link", "--yes", "--output", "job.yaml"], &set[..]].concat());
    done.expect_code(0).expect_says(&["item 1", "haul run job.yaml"]);
    let run = place.haul(&["run", "job.yaml", "--json"]).expect_code(0).json();
    assert_rows(&run, "products", 8);

    // A token that is pasted where its variable's name belongs is refused, and not repeated.
    let place = Workplace::new();
    let args = ["init", "--profile", "github", "--set", "token_env=ghp-canary", "--yes"];
    place.haul(&args).expect_code(2).expect_says(&["not its value"]);
    let answers = "my-issues\nme/one, me/two\nMY_TOKEN\nout\ny\n";
    answered(&place, &["--profile", "github"], answers).expect_code(0).expect_says(&["export MY_TOKEN=…"]);
    assert!(
        code(&place).contains("values: [me/one, me/two]") && code(&place).contains("${MY_TOKEN}"),
        "{}",
        code(&place)
    );
    place.haul(&["check", "job.yaml"]).expect_code(0);
}
