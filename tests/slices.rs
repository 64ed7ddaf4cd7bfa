//! Streams in parts: lists, windows, ranges, parents and their children, bodies, GraphQL, rules about answers, and what
//! is left out. Scripted servers; the rows are read back by DuckDB.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::rigs::read;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job};

struct Ran {
    place: Workplace,
    server: Server,
    done: Done,
}

/// Runs a job with these streams against the script.
#[track_caller]
fn run(
    code: i32,
    source: &str,
    streams: &str,
    script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Ran {
    let server = Server::start(script);
    let place = Workplace::new();
    let text = job(&server.url, source, "").replace("  - name: items\n    path: /items\n", streams);
    let file = place.file("job.yaml", &text);
    let done = place.haul(&["run", &file, "--json"]).expect_code(code);
    Ran { place, server, done }
}

impl Ran {
    /// Rows of a query in which `{t}` is the file of table `t`.
    fn rows(&self, sql: &str) -> Value {
        let mut sql = sql.to_owned();
        while let Some((before, after)) = sql.clone().split_once('{') {
            let (table, rest) = after.split_once('}').expect("a closed brace");
            let file = self.place.path(&format!("out/test/{table}/current.parquet"));
            sql = format!("{before}read_parquet('{}'){rest}", file.display());
        }
        read(&sql, None)["rows"].clone()
    }

    fn targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = self.server.asked().into_iter().map(|request| request.target).collect();
        targets.sort();
        targets
    }
}

fn records(range: std::ops::Range<u64>) -> Value {
    range.map(|id| json!({ "id": id })).collect()
}

#[test]
fn children_are_read_for_every_parent_and_keep_its_key() {
    let streams = "  - { name: divisions, path: /divisions, records: rows, paging: none, key: [code] }
  - { name: orders, path: \"/{{ division.code }}/orders\", for_each: { stream: divisions, as: division }, paging: none, key: [division, id] }
  - { name: lines, path: \"/{{ order.division }}/orders/{{ order.id }}/lines\", for_each: { stream: orders, as: order }, paging: none }
";
    let ran = run(0, "", streams, |request, _| match request.path() {
        "/divisions" => ok(json!({ "rows": [{ "code": "a b" }, { "code": "c/d" }, { "code": "e" }] }).to_string()),
        "/e/orders" => ok("[]"),
        path if path.ends_with("/orders") => ok(records(0..2).to_string()),
        path => ok(json!([{ "line": 1, "from": path }]).to_string()),
    });
    assert_eq!(
        ran.rows("select division, id from {orders} order by all"),
        json!([["a b", 0], ["a b", 1], ["c/d", 0], ["c/d", 1]])
    );
    assert_eq!(
        ran.rows("select order_division, order_id, \"from\" from {lines} order by all"),
        json!([
            ["a b", 0, "/a%20b/orders/0/lines"],
            ["a b", 1, "/a%20b/orders/1/lines"],
            ["c/d", 0, "/c%2Fd/orders/0/lines"],
            ["c/d", 1, "/c%2Fd/orders/1/lines"]
        ])
    );
    assert_eq!(ran.done.json()["tables"]["orders"]["walks"][0]["slices"], 3);
}

#[test]
fn keys_go_in_batches() {
    let streams = "  - { name: orders, path: /orders, paging: none }
  - { name: lines, path: /lines, params: { ids: \"{{ orders | map(attribute='id') | join(',') }}\" }, for_each: { stream: orders, as: orders, batch: 4 }, paging: none }
";
    let ran = run(0, "", streams, |request, _| match request.param("ids") {
        None => ok(records(0..10).to_string()),
        Some(ids) => ok(Value::from_iter(ids.split(',').map(|id| json!({ "order": id }))).to_string()),
    });
    assert_eq!(ran.rows("select count(*), count(distinct \"order\") from {lines}"), json!([[10, 10]]));
    assert_eq!(ran.server.asked().len(), 4);
}

#[test]
fn lists_windows_and_ranges_make_every_combination() {
    let streams = "  - name: sales
    path: /sales
    params: { region: \"{{ slice.region }}\", from: \"{{ slice.month.start }}\", to: \"{{ slice.month.end }}\" }
    slices:
      - list: { name: region, values: [eu, us], column: region }
      - dates: { name: month, from: 2024-01-01, until: 2024-03-15, step: 1 month, format: date, granularity: 1d, column: month }
    paging: none
  - name: blocks
    path: /blocks
    params: { from: \"{{ slice.block.start }}\", to: \"{{ slice.block.end }}\" }
    slices: [{ integers: { name: block, from: 0, until: 25, step: 10 } }]
    paging: none
";
    let ran = run(0, "", streams, |request, _| match request.path() {
        "/sales" => ok(json!([{ "to": request.param("to") }]).to_string()),
        _ => {
            let number = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok()).expect("a number");
            ok(records(number("from")..number("to") + 1).to_string())
        }
    });
    assert_eq!(
        ran.rows("select region, month::varchar, \"to\"::varchar from {sales} order by all"),
        json!([
            ["eu", "2024-01-01", "2024-01-31"],
            ["eu", "2024-02-01", "2024-02-29"],
            ["eu", "2024-03-01", "2024-03-14"],
            ["us", "2024-01-01", "2024-01-31"],
            ["us", "2024-02-01", "2024-02-29"],
            ["us", "2024-03-01", "2024-03-14"]
        ])
    );
    assert_eq!(ran.rows("select count(*), count(distinct id), max(id) from {blocks}"), json!([[25, 25, 24]]));
}

/// Slices that come late must not change the order of the rows.
#[test]
fn slices_read_side_by_side_are_written_in_order() {
    let source = "limits: { in_flight: 8 }\n";
    let streams = "  - name: items
    path: /items
    params: { block: \"{{ slice.block }}\" }
    slices: [{ list: { name: block, values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] } }]
    records: rows
    paging: { next_url: next }
";
    let ran = run(0, source, streams, |request, _| {
        let number = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (block, page) = (number("block"), number("p"));
        let next = if page < 9 { json!(format!("/items?block={block}&p={}", page + 1)) } else { Value::Null };
        let rows: Value = (0..5).map(|row| json!({ "id": block * 1000 + page * 10 + row })).collect();
        let body = json!({ "rows": rows, "next": next }).to_string().into_bytes();
        Answer::Late { wait: Duration::from_millis((12 - block) % 5 * 3), body }
    });
    let table = "out/test/items/current.parquet";
    let rows = read(
        &format!(
            "select count(*), bool_and(id > before) from (select id, lag(id, 1, -1) over (order by file_row_number) as before from read_parquet('{}', file_row_number=true))",
            ran.place.path(table).display()
        ),
        None,
    );
    assert_eq!(rows["rows"][0], json!([600, true]));
}

#[test]
fn graphql_connections_are_walked_and_their_errors_are_errors() {
    let streams = "  - name: orders
    path: /graphql
    body: { graphql: { query: \"query($first: Int!, $after: String) { orders(first: $first, after: $after) { totalCount edges { node { id } } pageInfo { hasNextPage endCursor } } }\", variables: { first: 10 } } }
    records: data.orders.edges[*].node
    paging: { graphql: { connection: data.orders } }
";
    let script = |request: &Request, before: usize| {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!((request.method.as_str(), request.header("content-type")), ("POST", Some("application/json")));
        let first = body["variables"]["first"].as_u64().expect("a number");
        let from = body["variables"]["after"].as_str().map_or(0, |after| after.parse().expect("a cursor"));
        let until = (from + first).min(25);
        let edges: Value = (from..until).map(|id| json!({ "node": { "id": id }, "cursor": id })).collect();
        let page = json!({ "hasNextPage": until < 25, "endCursor": until.to_string() });
        let data = json!({ "data": { "orders": { "totalCount": 25, "edges": edges, "pageInfo": page } } });
        if before == 1 {
            return ok(json!({ "errors": [{ "message": "too busy" }], "data": null }).to_string());
        }
        ok(data.to_string())
    };
    let retried =
        format!("{streams}    responses: [{{ when: \"body.errors[0].message == 'too busy'\", then: retry }}]\n");
    let ran = run(0, "", &retried, script);
    assert_eq!(ran.rows("select count(*), sum(id) from {orders}"), json!([[25, 300]]));
    assert_eq!(ran.done.json()["tables"]["orders"]["walks"][0]["ended"], "server_flag");
    run(1, "", streams, script).done.expect_says(&["tells of an error", "too busy"]);
}

#[test]
fn bodies_and_keysets_carry_the_page() {
    let streams = "  - name: search
    path: /search
    body: { json: { query: { year: \"{{ 2000 + 24 }}\" }, page: { size: 10 } } }
    records: rows
    paging: { offset: { in_body: true, param: page.from, size_param: page.size, size: 10, total: total } }
  - name: form
    path: /form
    body: { form: { what: all } }
    records: rows
    paging: { cursor: { from: next, body: after } }
  - name: keyset
    path: /keyset
    params: { $filter: \"x eq 1\" }
    paging: { keyset: { field: id, param: $filter, condition: \"id gt {{ last }}\" } }
";
    let ran = run(0, "", streams, |request, _| match request.path() {
        "/search" => {
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            assert_eq!(body["query"]["year"], 2024);
            let from = body["page"]["from"].as_u64().expect("a number");
            ok(json!({ "total": 25, "rows": records(from..(from + 10).min(25)) }).to_string())
        }
        "/form" => {
            let fields: std::collections::BTreeMap<String, String> =
                url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
            assert_eq!(fields["what"], "all");
            let from = fields.get("after").map_or(0, |after| after.parse().expect("a number"));
            let next = if from < 20 { json!((from + 10).to_string()) } else { Value::Null };
            ok(json!({ "next": next, "rows": records(from..(from + 10).min(25)) }).to_string())
        }
        _ => {
            let filter = request.param("$filter").expect("a filter");
            let from = match filter.strip_prefix("(x eq 1) and id gt ") {
                Some(last) => last.parse::<u64>().expect("a number") + 1,
                None => 0,
            };
            ok(records(from..(from + 10).min(25)).to_string())
        }
    });
    for table in ["search", "form", "keyset"] {
        assert_eq!(ran.rows(&format!("select count(*), sum(id) from {{{table}}}")), json!([[25, 300]]), "{table}");
    }
}

#[test]
fn a_slice_that_fails_is_left_out_where_the_job_says_so() {
    let streams = |more: &str| {
        format!(
            "  - {{ name: items, path: \"/items/{{{{ slice.n }}}}\", slices: [{{ list: {{ name: n, values: [1, 2, 3] }} }}], paging: none{more} }}\n"
        )
    };
    let script = |request: &Request, _: usize| match request.path() {
        "/items/2" => status(403, "{\"error\":\"no rights\"}"),
        path => ok(json!([{ "from": path }]).to_string()),
    };
    run(1, "", &streams(""), script).done.expect_says(&["slice `n=2`", "403", "no rights"]);
    let ran = run(0, "", &streams(", failed_slices: leave_out"), script);
    assert_eq!(ran.rows("select \"from\" from {items}"), json!([["/items/1"], ["/items/3"]]));
    let table = &ran.done.json()["tables"]["items"];
    assert_eq!((&table["slices_left_out"], &table["left_out"][0]["slice"]), (&json!(1), &json!("n=2")));
    let rules = run(0, "", &streams(", responses: [{ status: 403, then: empty }]"), script);
    assert_eq!(rules.rows("select count(*) from {items}"), json!([[2]]));
}

#[test]
fn a_rule_can_mean_the_end_and_only_behind_the_first_page() {
    let stream = "  - { name: items, path: /items, paging: { page: {} }, responses: [{ status: 404, then: end }] }\n";
    let script = |from: u64| {
        move |request: &Request, _: usize| {
            let page: u64 = request.param("page").and_then(|page| page.parse().ok()).expect("a page");
            if page >= from { status(404, "{}") } else { ok(records(page * 10..page * 10 + 10).to_string()) }
        }
    };
    let ran = run(0, "", stream, script(4));
    assert_eq!(ran.rows("select count(*) from {items}"), json!([[30]]));
    assert_eq!(ran.done.json()["tables"]["items"]["walks"][0]["ended"], "rule");
    run(1, "", stream, script(1)).done.expect_says(&["only a later page"]);
}

#[test]
fn pages_are_read_ahead_and_a_wrong_guess_costs_nothing_but_requests() {
    let stream = "  - { name: items, path: /items, records: rows, paging: { offset: { size: 10, total: total, parallel: true } } }\n";
    let answer = |short: bool| {
        move |request: &Request, _: usize| {
            let offset: u64 = request.param("offset").and_then(|text| text.parse().ok()).expect("an offset");
            // A server that lowers the page size in silence.
            let size = if short { 7 } else { 10 };
            ok(json!({ "total": 95, "rows": records(offset..(offset + size).min(95)) }).to_string())
        }
    };
    let ran = run(0, "limits: { in_flight: 8 }\n", stream, answer(false));
    assert_eq!(ran.rows("select count(*), count(distinct id) from {items}"), json!([[95, 95]]));
    assert_eq!(ran.targets().len(), 10);
    let ran = run(0, "limits: { in_flight: 8 }\n", stream, answer(true));
    assert_eq!(ran.rows("select count(*), count(distinct id) from {items}"), json!([[95, 95]]));
}

#[test]
fn a_table_that_changes_while_it_is_read_is_noticed_read_again_and_flagged() {
    let stream = |more: &str| {
        format!(
            "  - {{ name: items, path: /items, records: rows, paging: {{ offset: {{ size: 10, total: total }} }}{more} }}\n"
        )
    };
    // A row goes away while the first pages are read: the count stays right, and a row is missing.
    let script = |changes: usize| {
        move |request: &Request, before: usize| {
            let offset: u64 = request.param("offset").and_then(|text| text.parse().ok()).expect("an offset");
            let gone = u64::try_from(before.min(changes)).expect("a number");
            let all: Vec<Value> = (gone..30).map(|id| json!({ "id": id })).collect();
            let page: Vec<&Value> = all.iter().skip(offset as usize).take(10).collect();
            ok(json!({ "total": all.len(), "rows": page }).to_string())
        }
    };
    run(1, "", &stream(""), script(1)).done.expect_says(&["changed while it was read", "changes: repeat"]);
    let again = run(0, "", &stream(", changes: repeat"), script(1));
    assert_eq!(again.rows("select count(*), min(id) from {items}"), json!([[29, 1]]));
    assert_eq!(again.done.json()["tables"]["items"]["walks"][0].get("changed"), None);
    let flagged = run(0, "", &stream(", changes: repeat"), script(100));
    assert_eq!(flagged.done.json()["tables"]["items"]["walks"][0]["changed"], true);
}

#[test]
fn a_table_that_fails_keeps_its_rows_and_the_others_are_published_where_the_job_says_so() {
    let streams = "  - { name: good, path: /good, paging: none }\n  - { name: bad, path: /bad, paging: none }\n";
    let server = Server::start(|request, before| match request.path() {
        "/bad" if before >= 2 => status(404, "{}"),
        _ => ok(records(0..(before as u64 + 1)).to_string()),
    });
    let place = Workplace::new();
    let text = job(&server.url, "", "").replace("  - name: items\n    path: /items\n", streams);
    let file = place.file("job.yaml", &format!("{text}publish: {{ tables: independent }}\n"));
    place.haul(&["run", &file, "--json"]).expect_code(0);
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["bad"]["outcome"], "kept");
    assert!(report["tables"]["bad"]["error"].as_str().is_some_and(|error| error.contains("404")), "{report}");
    assert_eq!(report["tables"]["good"]["outcome"], "published");
}

#[test]
fn a_report_is_asked_for_waited_for_fetched_without_the_credential_and_given_back() {
    let files = Server::start(|_, _| ok(records(0..25).to_string()));
    let url = files.url.clone();
    let script = move |request: &Request, before: usize| match (request.method.as_str(), request.path()) {
        ("POST", "/reports") => status(202, r#"{"id":"r 1"}"#),
        ("GET", "/reports/r%201") if before < 3 => ok(r#"{"state":"running"}"#),
        ("GET", "/reports/r%201") => ok(json!({ "state": "done", "url": format!("{url}/f?sig=1") }).to_string()),
        ("DELETE", "/reports/r%201") => status(204, ""),
        other => panic!("unexpected {other:?}"),
    };
    let stream = "  - name: items
    path: /none
    paging: none
    report:
      create: { path: /reports, body: { json: { what: all } } }
      poll: { path: \"/reports/{{ report.create.id }}\" }
      every: 1s
      done: body.state == 'done'
      failed: body.state == 'failed'
      download_url: \"{{ report.poll.url }}\"
      delete: { path: \"/reports/{{ report.create.id }}\" }
";
    let server = Server::start(script);
    let place = Workplace::new().env("TOKEN", "canary-of-the-report");
    let source = format!("auth: {{ bearer: {{ token: \"${{TOKEN}}\" }} }}\nallow_origins: [\"{}\"]\n", files.url);
    let text = job(&server.url, &source, "").replace("  - name: items\n    path: /items\n", stream);
    let file = place.file("job.yaml", &text);
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["items"]["rows"], 25);
    let methods: Vec<String> = server.asked().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET", "GET", "DELETE"]);
    assert!(server.asked().iter().all(|request| request.header("authorization").is_some()));
    let fetched = files.asked();
    assert_eq!((fetched.len(), fetched[0].header("authorization")), (1, None));
    // Without the permission nothing is asked there.
    let file = place
        .file("strict.yaml", &text.replace(&format!("allow_origins: [\"{}\"]\n", files.url), "allow_origins: []\n"));
    place.haul(&["run", &file]).expect_code(1).expect_says(&["not on the source's origin"]);
    assert_eq!(files.asked().len(), 1);
}

#[test]
fn answers_in_every_form_become_tables() {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("packed");
        encoder.finish().expect("packed")
    };
    let streams = "  - { name: lines, path: /lines, format: json_lines, paging: none }
  - { name: packed, path: /packed, format: json_lines, compression: gzip, paging: none }
  - { name: table, path: /table, format: { csv: { delimiter: \";\", skip_lines: 1 } }, paging: none }
  - { name: xml, path: /xml, format: xml, records: items.item, paging: none, key: [id],
      tables: [{ name: tags, from: tags.tag }] }
  - { name: pages, path: /pages, format: { csv: {} }, paging: { page: {} } }
";
    let ran = run(0, "", streams, move |request, _| match request.path() {
        "/lines" => ok("{\"id\":1,\"amount\":1.50}\n{\"id\":2,\"amount\":2.25}\n"),
        "/packed" => ok(gzip("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n")),
        "/table" => ok("Report of today\nid;amount;day\n1;1.50;2024-01-31\n2;;2024-02-29\n"),
        "/xml" => ok("<r><items><item id=\"1\"><name>a</name><tags><tag>x</tag><tag>y</tag></tags></item>\
            <item id=\"2\"><tags><tag>z</tag></tags></item></items></r>"),
        _ => match request.param("page").as_deref() {
            Some("1") => ok("id\n1\n2\n"),
            Some("2") => ok("id\n3\n"),
            _ => ok("id\n"),
        },
    });
    assert_eq!(ran.rows("select sum(id), sum(amount)::varchar from {lines}"), json!([[3, "3.7500"]]));
    assert_eq!(ran.rows("select count(*) from {packed}"), json!([[3]]));
    assert_eq!(
        ran.rows("select id, amount::varchar, day::varchar from {table} order by id"),
        json!([[1, "1.5000", "2024-01-31"], [2, null, "2024-02-29"]])
    );
    assert_eq!(ran.rows("select id, name from {xml} order by id"), json!([[1, "a"], [2, null]]));
    assert_eq!(ran.rows("select * from {tags} order by all"), json!([[1, 1, "x"], [1, 2, "y"], [2, 1, "z"]]));
    assert_eq!(ran.rows("select sum(id) from {pages}"), json!([[6]]));
}

/// Larger than what is kept in memory: 40 MB over the wire and then from a file, with its next link behind the records.
#[test]
fn a_document_larger_than_memory_is_read_from_a_file() {
    let stream = "  - { name: items, path: /items, records: data.rows, paging: { next_url: next } }\n";
    let page = |first: u64, next: Value| {
        let noise = "x]}\\\"".repeat(40);
        let rows: Vec<String> =
            (first..first + 100_000).map(|id| format!("{{\"id\": {id}, \"noise\": \"{noise}\"}}")).collect();
        format!("{{\"data\":{{\"rows\":[{}]}},\"next\":{next}}}", rows.join(",\n"))
    };
    let ran = run(0, "", stream, move |request, before| match (request.path(), before) {
        // A body that breaks off in the middle is asked for again, and no row comes twice.
        ("/items", 0) => {
            let body = page(0, json!("/more"));
            ok(&body.as_bytes()[..body.len() / 2])
        }
        ("/items", _) => ok(page(0, json!("/more"))),
        _ => ok(page(100_000, Value::Null)),
    });
    assert_eq!(
        ran.rows("select count(*), count(distinct id), sum(id), min(length(noise)) from {items}"),
        json!([[200_000, 200_000, 19_999_900_000_u64, 160]])
    );
}

#[test]
fn a_slice_that_fails_stops_the_others_and_a_budget_has_a_name() {
    let source = "limits: { in_flight: 4 }\n";
    let stream = "  - name: items
    path: /items
    params: { n: \"{{ slice.n }}\" }
    slices: [{ list: { name: n, values: [1, 2, 3] } }]
    records: rows
    paging: { next_url: next }
";
    // The first slice never ends by itself.
    let ran = run(1, source, stream, |request, _| match request.param("n").as_deref() {
        Some("3") => status(403, "{}"),
        n => {
            let page: u64 = request.param("p").and_then(|page| page.parse().ok()).unwrap_or(0);
            let next = format!("/items?n={}&p={}", n.expect("a slice"), page + 1);
            let body = json!({ "rows": [{ "id": page }], "next": next }).to_string().into_bytes();
            Answer::Late { wait: Duration::from_millis(5), body }
        }
    });
    ran.done.expect_says(&["slice `n=3`", "403"]);
    assert!(ran.server.asked().len() < 200, "the other slices went on");
    let endless = |request: &Request, _: usize| {
        let page: u64 = request.param("p").and_then(|page| page.parse().ok()).unwrap_or(0);
        ok(json!({ "rows": [{ "id": page }], "next": format!("/items?p={}", page + 1) }).to_string())
    };
    let stream = "  - { name: items, path: /items, records: rows, paging: { next_url: next }, budget: { pages: 7 } }\n";
    let ran = run(1, "", stream, endless);
    assert_eq!(ran.server.asked().len(), 7);
    ran.done.expect_says(&["7 pages and no end, limit `budget.pages`"]);
    let stream = stream.replace("pages: 7", "time: 1s");
    run(1, "", &stream, endless).done.expect_says(&["limit `budget.time`"]);
}
