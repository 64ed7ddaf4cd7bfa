//! Every mistake that is told about a job file, with its place and the remedy.

use std::path::Path;

use super::{SHORTEST, check, job, read, shown, with, with_source, with_stream};
use crate::model::json_path::JsonPath;
use crate::model::plan::{Auth, KeyPlace, Place};
use crate::paging::{Bounds, CursorFrom, CursorSend, Flag, Paginator, Reading, SentIn};

/// Text that people read, against its file in `tests/expected`.
fn check_expected(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(name);
    if std::env::var_os("HAUL_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "after reading it: `HAUL_BLESS=1 cargo test --lib job::`");
}

#[test]
fn twelve_mistakes_are_told_at_once() {
    let text = r#"job: Sales Report
sourceUrl: https://api.example.com
source:
  base_url: http://api.example.com/v1?key=1
  autth: anonymous
  oauth2: { grant: device }
  paging: odata
  allow_http: no
  limits: { per_second: 0, in_flight: }
  defaults:
    headers: { Authorization: Bearer canary }
    params: { version: 1.10, page: "${PAGE}" }
streams:
  - name: orders
    path: /{{ settings.division
    Key: [id, ID]
    paging: { curser: { from: next } }
    columns: { amount: money }
  - name: orders
    path: /orders
    path: /orders2
    key: [id, ID]
    paging: { cursor: { from: next..token, header: Cookie, param: c } }
destination:
  url: abfss://reports@account.dfs.core.windows.net/x
  format: xlsx
  part_mib: 1 GB
"#;
    let problems = read(text, &[("division", "1")]).unwrap_err();
    let shown = shown(&problems);
    assert!(!shown.contains("canary"), "{shown}");
    check_expected("job_problems.txt", &shown);
    let json = serde_json::to_value(problems.iter().find(|problem| problem.path == "source.autth")).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["file", "line", "column", "path", "message", "found", "allowed", "hint"]);
}

#[test]
fn unknown_keys_are_told_with_the_place_where_they_belong() {
    check(&with_source("autth: anonymous"), &[("source.autth", "did you mean `auth`?")]);
    check(&with_source("allowHttp: true"), &[("source.allowHttp", "did you mean `allow_http`?")]);
    check(&with_source("paging: odata"), &[("source.paging", "`paging` belongs to a stream or to `source.defaults`")]);
    check(&with_source("perSecond: 5"), &[("source.perSecond", "`per_second` belongs to `source.limits`")]);
    check(&with_source("basic: {}"), &[("source.basic", "`basic` is a kind of `auth`: write `auth: { basic: … }`")]);
    check(&with_stream("auth: anonymous"), &[("streams[0].auth", "`auth` belongs to `source`")]);
    check(&with_stream("next_url: a"), &[("streams[0].next_url", "`next_url` is a kind of `paging`")]);
    check(&with_stream("kye: [id]"), &[("streams[0].kye", "did you mean `key`?")]);
    check(&with_stream("zzz: 1"), &[("streams[0].zzz", "allowed: name, path, params")]);
    check(&with_stream("'a.b': 1"), &[("streams[0]['a.b']", "unknown key `a.b` in `streams[0]`")]);
}

#[test]
fn shapes_are_told_in_words() {
    let needs = |text: &str, place: &str, what: &str| check(text, &[(place, what)]);
    check("job: demo", &[("", "the job needs `source`"), ("", "needs `streams`"), ("", "needs `destination`")]);
    needs(&with("path: /orders", "records: x"), "streams[0]", "`streams[0]` needs `path`");
    needs(&with("[{ name: orders, path: /orders }]", "[]"), "streams", "at least one");
    needs(&with("[{ name: orders, path: /orders }]", "{ name: a, path: b }"), "streams", "expected a list");
    needs("- 1", "", "the job is a list, expected a group of keys");
    needs(&with_stream("params:"), "streams[0].params", "`params` is empty");
    needs(&with_stream("records:"), "streams[0].records", "give it a value, or remove the key");
    needs(&with_stream("key: id"), "streams[0].key", "write a list: `key: [ … ]`");
    needs(&with_stream("headers: { X-A: 5 }"), "streams[0].headers.X-A", "put the value in quotes");
    needs(&with_stream("params: { v: 1.10 }"), "streams[0].params.v", "`1.10` reads as the number 1.1");
    needs(&with_stream("params: { v: [1] }"), "streams[0].params.v", "a list, expected a text, a number");
    needs(&with_source("allow_http: yes"), "source.allow_http", "write `true`");
    needs(&with_source("limits: { per_second: '5' }"), "source.limits.per_second", "remove the quotes");
    needs(&with_source("limits: { in_flight: 1000 }"), "source.limits.in_flight", "allowed: 1 to 256");
    needs(&with_source("dialect: oData4"), "source.dialect", "did you mean `odata`?");
    needs(&with_source("auth: oauth2"), "source.auth", "`oauth2` needs details: write `auth: { oauth2: … }`");
    needs(&with_source("auth: { anonymous: {} }"), "source.auth", "`anonymous` stands alone");
    needs(&with_source("auth: { ntlm: {} }"), "source.auth", "allowed: anonymous, key, basic, bearer, oauth2");
    needs(&with_source("auth: { key: { value: '${K}' }, basic: {} }"), "source.auth", "exactly one of its kinds");
    needs(&with_stream("paging: { nextUrl: a }"), "streams[0].paging", "did you mean `next_url`?");
    needs(&with_stream("paging: { offset: {} }"), "streams[0].paging.offset", "needs `size`");
    let twice = SHORTEST.replace("job: demo", "job: demo\njob: demo2");
    needs(
        &twice,
        "job",
        "jobs/x.yaml:2:1: key `job` stands here a second time\n  at: job\n  hint: the first is in line 1, column 1",
    );
    needs("a: [1", "", "this is no YAML that haul reads");
    needs(&with_source("auth: { bearer: { token: ${X} } }"), "", "put a reference in quotes");
}

#[test]
fn limits_fit_together() {
    let told = |limits: &str, place: &str, what: &str| {
        let place = format!("source.limits.{place}");
        check(&with_source(&format!("limits: {{ {limits} }}")), &[(&place, what)]);
    };
    told("per_day: 0", "per_day", "allowed: 1 to 100000000");
    told("per_day: 5, pause_max: 90", "pause_max", "put the value in quotes");
    told("per_day: 5, pause_max: soon", "pause_max", "allowed: a whole number and a unit: 30s, 10m, 12h, 30d");
    told("per_day: 5, day_resets: '24:00'", "day_resets", "allowed: rolling, or a time as `\"00:00\"`");
    told("per_day: 5, day_resets: '0:00'", "day_resets", "is no time of a day");
    told("per_minute: 5, day_resets: '00:00'", "day_resets", "add `per_day`");
    told("per_day: 5, timezone: UTC", "timezone", "any 24 hours have no zone");
    told("per_day: 5, day_resets: '00:00', timezone: Europe/Amsterdm", "timezone", "did you mean `Europe/Amsterdam`?");
    told("per_day: 5, shared_as: My API", "shared_as", "cannot be the name of a budget");
    told("per_second: 5, shared_as: api", "shared_as", "add `per_minute` or `per_day`");
    told("headers: { remaining: 'a b' }", "headers.remaining", "cannot be a header's name");
    told("headers: { left: X-Left }", "headers.left", "allowed: remaining, reset");
}

#[test]
fn secrets_are_references_and_never_repeated() {
    let canaries = ["canary-1-secret", "8675309123", "canary-u:canary-p", "sig=canary"];
    let refuse = |text: &str, path: &str| {
        let problems = read(text, &[]).unwrap_err();
        let told = format!("{}{}", shown(&problems), serde_json::to_string(&problems).unwrap());
        assert!(problems.iter().any(|problem| problem.path == path), "{text}\n{told}");
        assert!(canaries.iter().all(|canary| !told.contains(canary)), "{told}");
        told
    };
    for value in ["canary-1-secret", "8675309123", "[canary-1-secret]", "{ canary-1-secret: 1 }", "'${canary-1-secret'"]
    {
        let told =
            refuse(&with_source(&format!("auth: {{ bearer: {{ token: {value} }} }}")), "source.auth.bearer.token");
        assert!(told.contains("write `${TOKEN}`"), "{told}");
    }
    refuse(&with_source("auth: canary-1-secret"), "source.auth");
    refuse(&with_source("auth: { bearer: canary-1-secret }"), "source.auth.bearer");
    refuse(&with_source("auth: { key: { value: canary-1-secret, header: X-Key } }"), "source.auth.key.value");
    refuse(&with_source("auth: { basic: { username: u, password: 8675309123 } }"), "source.auth.basic.password");
    for url in
        ["https://canary-u:canary-p@h.example", "canary-u:canary-p@h.example", "http://canary-u:canary-p@h/?sig=canary"]
    {
        refuse(&with("https://api.example.com/v1", &format!("\"{url}\"")), "source.base_url");
        refuse(&with("./out", &format!("\"{}\"", url.replace("http", "s3"))), "destination.url");
    }
    let options = [
        ("access_key", "canary-1-secret"),
        ("sas_token", "sig=canary"),
        ("client_secret", "8675309123"),
        ("endpoint", "https://canary-u:canary-p@h.example"),
        ("proxy_url", "https://h.example/?sig=canary"),
    ];
    for (name, value) in options {
        let text = with("url: ./out", &format!("url: az://c/p, options: {{ {name}: \"{value}\" }}"));
        refuse(&text, &format!("destination.options.{name}"));
        refuse(&text.replace('"', ""), &format!("destination.options.{name}"));
    }
}

#[test]
fn a_reference_elsewhere_is_refused() {
    let hint = "changed with `--set name=value`";
    check(&with_stream("params: { a: \"${A}\" }"), &[("streams[0].params.a", hint)]);
    check(&with_stream("headers: { X-A: \"a ${A}\" }"), &[("streams[0].headers.X-A", hint)]);
    check(&with("path: /orders", "path: \"/${A}\""), &[("streams[0].path", hint)]);
    check(&with("job: demo", "job: demo\nsettings: { a: \"${A}\" }"), &[("settings.a", hint)]);
    check(
        &with_source("auth: { basic: { username: \"a${A}\", password: \"${P}\" } }"),
        &[("source.auth.basic.username", hint)],
    );
    check(
        &with("https://api.example.com/v1", "\"${URL}\""),
        &[("source.base_url", "neither a reference nor a template")],
    );
    check(&with("./out", "\"${OUT}/x\""), &[("destination.url", "neither a reference nor a template")]);
}

#[test]
fn names_are_plain_and_unique() {
    let job_name = |name: &str, says: &str| check(&with("job: demo", &format!("job: {name}")), &[("job", says)]);
    job_name("Sales", "`Sales` cannot be a job's name");
    job_name("_x", "a-z, 0-9, - and _");
    job_name("../x", "`../x`");
    job_name("con", "`con`");
    job_name(&"a".repeat(65), "at most 64");
    assert_eq!(job(&with("job: demo", "job: exact-online_2")).name, "exact-online_2");
    let stream =
        |name: &str, says: &str| check(&with("name: orders", &format!("name: {name}")), &[("streams[0].name", says)]);
    stream("Orders", "hint: write `orders`");
    stream("sales-orders", "hint: write `sales_orders`");
    stream("_orders", "haul's own files");
    stream("nul", "Windows");
    stream("1st", "starting with a letter");
    stream(&"a".repeat(64), "at most 63");
    check(
        &with(
            "[{ name: orders, path: /orders }]",
            "[{ name: a, path: a }, { name: b, path: b }, { name: a, path: c }]",
        ),
        &[("streams[2].name", "the first is `streams[0]`")],
    );
}

#[test]
fn addresses_are_guarded() {
    let base = |url: &str, says: &str| {
        check(&with("https://api.example.com/v1", &format!("\"{url}\"")), &[("source.base_url", says)])
    };
    base("http://api.example.com", "use https");
    base("http://127.0.0.1.example.com", "use https");
    base("ftp://api.example.com", "allowed: https, http");
    base("api.example.com", "write a whole address");
    base("https://h/?a=1", "`source.defaults.params`");
    base("https://h/#a", "fragment");
    let good = |url: &str, expect: &str| {
        assert_eq!(job(&with("https://api.example.com/v1", &format!("\"{url}\""))).source.base_url.as_str(), expect);
    };
    good("http://127.9.9.9:1/a", "http://127.9.9.9:1/a/");
    good("http://[::1]/a/", "http://[::1]/a/");
    good("http://localhost", "http://localhost/");
    job(&with("base_url: https://api.example.com/v1", "base_url: http://erp.lan, allow_http: true"));
    let oauth2 = |rest: &str| with_source(&format!("auth: {{ oauth2: {{ client_id: c, {rest} }} }}"));
    let path = "source.auth.oauth2";
    check(&oauth2("grant: authorization_code, token_url: https://h/t"), &[(path, "needs an `authorize_url`")]);
    check(&oauth2("grant: client_credentials, token_url: https://h/t"), &[(path, "needs a `client_secret`")]);
    check(
        &oauth2("grant: authorization_code, token_url: http://h/t, authorize_url: 'https://h/a#b'"),
        &[("source.auth.oauth2.token_url", "https"), ("source.auth.oauth2.authorize_url", "fragment")],
    );
    check(
        &oauth2("grant: authorization_code, token_url: https://h/t, authorizeUrl: https://h/a"),
        &[("source.auth.oauth2.authorizeUrl", "did you mean `authorize_url`?")],
    );
    check(
        &oauth2(
            "grant: client_credentials, client_secret: '${S}', token_url: https://h/t, redirect_port: 1, redirect_url: https://h",
        ),
        &[(path, "one of redirect_port, redirect_url")],
    );
}

#[test]
fn keys_and_headers_have_one_place() {
    let key = |rest: &str| with_source(&format!("auth: {{ key: {{ value: '${{K}}'{rest} }} }}"));
    assert!(matches!(job(&key("")).source.auth, Auth::Key { place: KeyPlace::Basic, .. }));
    check(&key(", header: A, param: b"), &[("source.auth.key", "one of header, param, cookie")]);
    check(&key(", header: 'a b'"), &[("source.auth.key.header", "cannot be a header's name")]);
    check(&key(", param: ''"), &[("source.auth.key.param", "no name")]);
    for name in ["Authorization", "cookie", "HOST", "Content-Length"] {
        let path = format!("streams[0].headers.{name}");
        check(&with_stream(&format!("headers: {{ {name}: x }}")), &[(&path, "credentials belong under `source.auth`")]);
    }
    check(&with_stream("headers: { A: x, a: y }"), &[("streams[0].headers.a", "twice")]);
}

#[test]
fn paths_templates_keys_and_columns_are_read() {
    let two = "streams: [{ name: a, path: a }, { name: b, path: b }]";
    let defaults = with_source("defaults: { records: a.., params: { 'f[x]': '{{ a' } }");
    check(
        &defaults.replace("streams: [{ name: orders, path: /orders }]", two),
        &[("source.defaults.records", "is no path"), ("source.defaults.params['f[x]']", "the template cannot be read")],
    );
    check(&with("path: /orders", "path: '/{{ a }'"), &[("streams[0].path", "template")]);
    check(&with("path: /orders", "path: https://other/x"), &[("streams[0].path", "another host is another job")]);
    check(&with_stream("key: [id, '', ID]"), &[("streams[0].key[1]", "no name"), ("streams[0].key[2]", "`ID` twice")]);
    let column = |kind: &str, says: &str| {
        check(&with_stream(&format!("columns: {{ a: '{kind}' }}")), &[("streams[0].columns.a", says)]);
    };
    column("string", "hint: write `text`");
    column("Money", "hint: write `decimal(18,4)`");
    column("decimal(40,2)", "1 to 38 digits");
    column("decimal(4,5)", "1 to 38 digits");
    column("intger", "did you mean `integer`?");
    column("blob", "allowed: text, json, integer");
}

#[test]
fn paging_is_complete() {
    let cursor = |rest: &str| with_stream(&format!("paging: {{ cursor: {{ {rest} }} }}"));
    let path = "streams[0].paging.cursor";
    check(&cursor("from: a"), &[(path, "is sent to exactly one place, none is named")]);
    check(&cursor("from: a, from_header: b, param: c"), &[(path, "is found at exactly one place, 2 are named")]);
    check(&cursor("from: a, header: Cookie"), &[("streams[0].paging.cursor.header", "not for job files")]);
    check(&cursor("from: a., param: c"), &[("streams[0].paging.cursor.from", "ends with a dot")]);
    check(&with_stream("paging: { next_url: '' }"), &[("streams[0].paging.next_url", "it is empty")]);
    check(
        &with_stream("paging: { offset: { size: 5, total: a, total_header: b } }"),
        &[("streams[0].paging.offset", "one place")],
    );
    check(
        &with_stream("paging: { page: { short_page_ends: true } }"),
        &[("streams[0].paging.page", "`size` is missing")],
    );
    let paginator = |text: &str| job(text).streams.remove(0).paginator;
    assert_eq!(
        paginator(&cursor("from_last_record: id, param: after")),
        Paginator::Cursor {
            from: CursorFrom::LastRecord(JsonPath::of(&["id"])),
            send: CursorSend::Param("after".into()),
            has_more: None,
            flag: Flag::Optional,
            total: None,
        }
    );
    assert_eq!(
        paginator(&with_stream("paging: { page: {} }")),
        Paginator::Page {
            param: "page".into(),
            first: 1,
            size: None,
            total_pages: None,
            sent_in: SentIn::Query,
            reading: Reading::InTurn,
            bounds: Bounds::default(),
        }
    );
}

#[test]
fn destinations_are_known() {
    let place = |url: &str| job(&with("./out", url)).destination.place;
    assert_eq!(place("/data/out"), Place::Local("/data/out".into()));
    assert_eq!(place("file:///data/out"), Place::Local("/data/out".into()));
    assert_eq!(place("out/a:b"), Place::Local("/base/out/a:b".into()));
    assert_eq!(place("az://c/p"), Place::Remote("az://c/p".parse().unwrap()));
    let wrong = |url: &str, says: &str| check(&with("./out", &format!("\"{url}\"")), &[("destination.url", says)]);
    wrong("", "is empty");
    wrong("~/out", "a shell knows `~`");
    wrong("abfss://c@a.dfs.core.windows.net/x", "`abfss` is no store that haul writes to");
    wrong("az://c@a.blob.core.windows.net/x", "holds a query, fragment, user or password");
    wrong("abfs://c/x", "write `az://container/prefix`");
    wrong("https://a.blob.core.windows.net/c", "account_name");
    wrong("az:c/p", "container or bucket is missing");
    wrong("az://c/p?sig=x", "a SAS as `destination.options`");
    wrong("file://host/out", "no folder of this machine");
    let option = |url: &str, name: &str, says: &str| {
        let text = with("url: ./out", &format!("url: {url}, options: {{ {name}: '${{X}}' }}"));
        check(&text, &[(&format!("destination.options.{name}"), says)]);
    };
    option("az://c", "acount_name", "did you mean `account_name`?");
    option("s3://c", "aws_secret_acces_key", "did you mean `secret_access_key`?");
    option("gs://c", "region", "allowed: service_account");
    option("out", "endpoint", "a folder has no options");
    for name in ["account_name", "azure_storage_account_name", "use_emulator", "fabric_token_service_url"] {
        job(&with("url: ./out", &format!("url: az://c, options: {{ {name}: 'true' }}")));
    }
}

#[test]
fn a_windows_user_needs_a_usable_centre_and_service_name() {
    let of = |lines: &str| with_source(&format!("auth: {{ windows: {{ username: 'D\\u', {lines} }} }}"));
    check(&of("password: hunter2hunter2"), &[("source.auth.windows.password", "")]);
    check(&of("password: \"${PW}\", kdc: 'http://dc1'"), &[("source.auth.windows.kdc", "host or host:port")]);
    check(&of("password: \"${PW}\", spn: reports"), &[("source.auth.windows.spn", "HTTP/host.example.com")]);
    check(&of("password: \"${PW}\", scheme: kerberos"), &[("source.auth.windows.scheme", "negotiate")]);
}

#[test]
fn names_that_a_template_will_not_find_are_told() {
    let path = |text: &str| with("path: /orders", &format!("path: \"/orders/{{{{ {text} }}}}\""));
    check(&path("setings.x"), &[("streams[0].path", "did you mean `settings`")]);
    check(&path("settings.x"), &[("streams[0].path", "`settings.x`, which is not there")]);
    check(&path("run.started"), &[("streams[0].path", "did you mean `started_at`")]);
    check(&path("cursor"), &[("streams[0].path", "a stream with `incremental` has one")]);
    check(&path("slice.month"), &[("streams[0].path", "with `slices`")]);
    check(&path("run.id"), &[]);
    check(
        &with_stream("slices: [{ list: { name: region, values: [eu] } }], params: { r: \"{{ slice.regoin }}\" }"),
        &[("streams[0].params.r", "did you mean `region`")],
    );
}

#[test]
fn mistakes_in_slices_and_cursors_are_told() {
    let stream = |more: &str, at: &str, says: &str| check(&with_stream(more), &[(at, says)]);
    stream("slices: [{ list: { name: a, values: [1, 1] } }]", "streams[0].slices[0].list.values[1]", "twice");
    stream(
        "slices: [{ dates: { name: a, from: soon, step: 1 month } }]",
        "streams[0].slices[0].dates.from",
        "no instant",
    );
    stream(
        "slices: [{ dates: { name: a, from: 2024-01-01, step: monthly } }]",
        "streams[0].slices[0].dates.step",
        "no span of time",
    );
    stream(
        "slices: [{ dates: { name: a, from: 2024-01-01, step: 1d, timezone: Europe/Amsterdm } }]",
        "streams[0].slices[0].dates.timezone",
        "Europe/Amsterdam",
    );
    stream("for_each: { stream: nobody, as: x }", "streams[0].for_each.stream", "no stream `nobody`");
    stream("for_each: { stream: orders, as: x }", "streams[0].for_each.stream", "circle");
    stream("incremental: { cursor: n, start: 0, window: 1d }", "streams[0].incremental.window", "cursors of time");
    stream("write: merge", "streams[0].write", "the stream has none");
    stream("write: replace, incremental: { cursor: n, start: 0 }", "streams[0].write", "append, merge");
    stream("body: { text: { content: x } }, method: GET", "streams[0].method", "a GET carries no body");
    stream("responses: [{ then: empty }]", "streams[0].responses[0]", "every answer");
    stream("responses: [{ status: 401, then: empty }]", "streams[0].responses[0].status", "credential");
    stream("responses: [{ when: \"body.\", then: fail }]", "streams[0].responses[0].when", "cannot be read");
    stream("paging: { cursor: { from: n, body: a } }", "streams[0].paging", "a `body` of json");
    stream("paging: { offset: { size: 5, parallel: true } }", "streams[0].paging.offset.parallel", "how many pages");
}
