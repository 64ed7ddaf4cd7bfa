//! Whole tables of APIs that others wrote, read in every way of paging that each of them has, against what the database or
//! file behind the API says of them.

#![allow(missing_docs)]

mod support;

use support::rigs::Rig;
use support::truth::assert_equals_truth;
use support::{Done, Workplace};

/// One API: a running rig, and the types of columns that its JSON does not show.
struct Api {
    rig: Rig,
    /// By table: decimals that come as text or as doubles, numbers that come as text.
    tables: &'static [(&'static str, &'static str)],
}

const JSON_SERVER: &[(&str, &str)] = &[
    ("customers", "{ CreditLimit: decimal, Rating: float }"),
    ("orders", "{ Total: decimal, OrderedAt: instant }"),
    ("order_lines", "{ Amount: decimal }"),
];

const SHOP: &[(&str, &str)] = &[
    ("customer", "{ credit_limit: decimal, created_on: date }"),
    ("purchase", "{ total: decimal, due_on: date }"),
    ("line", "{ amount: decimal, quantity: integer }"),
];

impl Api {
    fn start(program: &str, tables: &'static [(&'static str, &'static str)]) -> Self {
        Api { rig: Rig::start(program, &[]), tables }
    }

    /// A job with a stream per table: `stream` is what they have in common, with `TABLE` for the name.
    fn job(&self, stream: &str) -> String {
        let mut text = format!("job: shop\nsource:\n  base_url: {}\nstreams:\n", self.rig.url());
        for (table, columns) in self.tables {
            text.push_str(&format!("  - name: {table}\n    columns: {columns}\n"));
            for line in stream.lines() {
                text.push_str(&format!("    {}\n", line.replace("TABLE", table)));
            }
        }
        text.push_str("destination: { url: out }\n");
        text
    }

    /// Every table, read so, is what the API's own database says, with so many pages for the longest, and the walks
    /// ended for this reason.
    #[track_caller]
    fn check(&self, stream: &str, pages: u64, ended: &str) {
        let place = Workplace::new();
        let file = place.file("job.yaml", &self.job(stream));
        let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
        let mut longest = 0;
        for (table, _) in self.tables {
            let walk = &report["tables"][table]["walks"][0];
            assert_eq!(walk["ended"], ended, "{stream}\n{report}");
            longest = longest.max(walk["pages"].as_u64().expect("pages"));
        }
        assert_eq!(longest, pages, "{stream}\n{report}");
        assert_true(&self.rig, &place, self.tables.len());
    }

    /// The run ends with this code and says this, and nobody sees a table.
    #[track_caller]
    fn check_fails(&self, stream: &str, code: i32, says: &[&str]) -> Done {
        let place = Workplace::new();
        let file = place.file("job.yaml", &self.job(stream));
        let done = place.haul(&["run", &file, "--json"]).expect_code(code).expect_says(says);
        assert!(!place.path("out/shop/_latest.json").exists(), "{done:?}");
        done
    }
}

/// The published tables are what the API's own database says, all of them.
#[track_caller]
fn assert_true(rig: &Rig, place: &Workplace, tables: usize) {
    let truth = rig.get("/_truth");
    assert_eq!(truth.as_object().map_or(0, serde_json::Map::len), tables, "{truth}");
    let out = place.path("out/shop");
    assert_equals_truth(&truth, |table| format!("read_parquet('{}/{table}/current.parquet')", out.display()), None);
}

#[test]
fn json_server_by_link_page_and_offset() {
    let api = Api::start("jsonserver.mjs", JSON_SERVER);
    let first = "path: /TABLE\nparams: { _page: 1, _limit: 1000 }\n";
    api.check(&format!("{first}paging: link_header"), 60, "no_next_link");
    // Without a word about paging the Link header is followed all the same.
    api.check(first, 60, "no_next_link");
    let page = "path: /TABLE\npaging: { page: { param: _page, size: 1000, size_param: _limit";
    api.check(&format!("{page}, total_header: X-Total-Count }} }}"), 60, "total_reached");
    // Past the end there is an empty page.
    api.check(&format!("{page} }} }}"), 61, "empty_page");
    let offset = "path: /TABLE\npaging: { offset: { param: _start, size: 1000, size_param: _limit";
    api.check(&format!("{offset}, total_header: X-Total-Count }} }}"), 60, "total_reached");
    api.check(&format!("{offset}, total_header: X-Total-Count, parallel: true }} }}"), 60, "total_reached");
    api.check(&format!("{offset} }} }}"), 61, "empty_page");
    let short = offset.replace("1000", "700");
    api.check(&format!("{short}, short_page_ends: true }} }}"), 86, "short_page");
}

/// Page 0 of json-server names itself as the next one.
#[test]
fn json_server_that_leads_in_a_circle_is_no_endless_walk() {
    let api = Api::start("jsonserver.mjs", JSON_SERVER);
    api.check_fails(
        "path: /TABLE\nparams: { _page: 0, _limit: 1000 }\npaging: link_header",
        1,
        &["holds exactly the records of page 1"],
    );
}

#[test]
fn django_rest_framework_by_next_page_offset_and_cursor() {
    let api = Api::start("django_api.py", SHOP);
    let asked = "records: results\nparams: { page_size: 1000 }\npaging: { next_url: next }";
    api.check(&format!("path: /page/TABLE\n{asked}"), 60, "no_next_link");
    api.check(&format!("path: /cursor/TABLE\n{asked}"), 60, "no_next_link");
    let page = "path: /page/TABLE\nrecords: results\npaging: { page: { size_param: page_size, total: count, size: ";
    api.check(&format!("{page}1000 }} }}"), 60, "total_reached");
    // More than the server gives: it lowers the size without a word.
    api.check(&format!("{page}5000 }} }}"), 60, "total_reached");
    api.check(&format!("{page}1000, parallel: true }} }}"), 60, "total_reached");
    let offset = "path: /offset/TABLE\nrecords: results\npaging: { offset: { size: ";
    api.check(&format!("{offset}1000, total: count }} }}"), 60, "total_reached");
    api.check(&format!("{offset}5000 }} }}"), 61, "empty_page");
}

/// Past its last page the framework answers 404, which could also be a page that was lost.
#[test]
fn django_rest_framework_past_the_last_page_is_an_error_without_a_total_or_a_rule() {
    let api = Api::start("django_api.py", SHOP);
    let stream = "path: /page/TABLE\nrecords: results\npaging: { page: { size_param: page_size, size: 1000 } }";
    api.check_fails(stream, 1, &["404", "Invalid page."]);
    let rule = "responses: [{ status: 404, when: \"body.detail == 'Invalid page.'\", then: end }]";
    api.check(&format!("{stream}\n{rule}"), 60, "rule");
}

/// Pages that are asked for ahead leave holes where the server gives fewer records than were asked for.
#[test]
fn django_rest_framework_with_a_size_too_large_and_pages_ahead() {
    let api = Api::start("django_api.py", SHOP);
    let stream =
        "path: /offset/TABLE\nrecords: results\npaging: { offset: { size: 5000, total: count, parallel: true } }";
    api.check(stream, 60, "total_reached");
}

/// What a job must not believe: that a page as short as the server's own limit is the last.
#[test]
fn django_rest_framework_with_a_size_too_large_and_short_pages_as_the_end() {
    let api = Api::start("django_api.py", SHOP);
    let stream = "path: /offset/TABLE\nrecords: results\npaging: { offset: { size: 5000, total: count, short_page_ends: true } }";
    api.check_fails(stream, 1, &["the API told a total of"]);
}

#[test]
fn datasette_by_next_url_token_and_link() {
    let api = Api::start("datasette_api.py", SHOP);
    let asked = "path: /shop/TABLE.json\nrecords: rows\nparams: { _shape: objects, _size: 1000 }\n";
    api.check(&format!("{asked}paging: {{ next_url: next_url }}"), 60, "no_next_link");
    api.check(&format!("{asked}paging: {{ cursor: {{ from: next, param: _next }} }}"), 60, "no_next_link");
    let list = "path: /shop/TABLE.json\nparams: { _shape: array, _size: 1000 }\npaging: link_header";
    api.check(list, 60, "no_next_link");
}

#[test]
fn datasette_by_keys_ranges_windows_and_batches() {
    let api = Api::start("datasette_api.py", SHOP);
    let asked = "path: /shop/TABLE.json\nrecords: rows\nparams: { _shape: objects, _size: 1000 }\n";
    api.check(&format!("{asked}paging: {{ keyset: {{ field: id, param: id__gt }} }}"), 61, "empty_page");

    let place = Workplace::new();
    let file =
        place.file("job.yaml", &format!("job: shop\nsource:\n  base_url: {}\n{DATASETTE_SLICES}", api.rig.url()));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["line"]["walks"][0]["slices"], 40, "{report}");
    assert_true(&api.rig, &place, 3);
}

/// Customers by ranges of ids, purchases by windows of time, lines by the ids of their purchases.
const DATASETTE_SLICES: &str = r#"  defaults: { records: rows, paging: { next_url: next_url } }
  limits: { in_flight: 4 }
streams:
  - name: customer
    path: /shop/customer.json
    params: { _shape: objects, id__gte: "{{ slice.block.start }}", id__lte: "{{ slice.block.end }}" }
    slices: [{ integers: { name: block, from: 1, until: 2001, step: 300 } }]
    columns: { credit_limit: decimal, created_on: date }
  - name: purchase
    path: /shop/purchase.json
    params: { _shape: objects, _size: 1000, ordered_at__gte: "{{ slice.year.start }}", ordered_at__lt: "{{ slice.year.end }}" }
    slices: [{ dates: { name: year, from: 2015-01-01, until: 2024-08-01, step: 1 year, format: "%Y-%m-%d %H:%M:%S" } }]
    columns: { total: decimal, due_on: date }
  - name: line
    path: /shop/line.json
    params: { _shape: objects, _size: 1000, purchase_id__in: "{{ purchases | map(attribute='id') | join(',') }}" }
    for_each: { stream: purchase, as: purchases, batch: 500 }
    columns: { amount: decimal, quantity: integer }
destination: { url: out }
"#;

/// A body that asks PostGraphile for one connection of a table; `orders` bring their customer's name with them.
const CONNECTIONS: &[(&str, &str, &str)] = &[
    (
        "customers",
        "{ creditLimit: decimal, code: text, createdOn: date }",
        "id code name remark creditLimit rating isActive createdOn",
    ),
    (
        "orders",
        "{ id: integer, total: decimal, orderedAt: instant, dueOn: date }",
        "id customerId number total orderedAt dueOn isPaid customerByCustomerId { name }",
    ),
    ("lines", "{ orderId: integer, amount: decimal }", "id orderId product quantity amount"),
];

/// One stream per connection, a thousand records a page; `further` fields are asked of the orders.
fn connections_job(url: &str, further: &str) -> String {
    let mut text = format!("job: shop\nsource:\n  base_url: {url}\nstreams:\n");
    for (table, columns, fields) in CONNECTIONS {
        let connection = format!("all{}{}", table[..1].to_uppercase(), &table[1..]);
        let further = if *table == "orders" { further } else { "" };
        let query = format!(
            "query($first: Int!, $after: Cursor) {{ {connection}(first: $first, after: $after, orderBy: PRIMARY_KEY_ASC) {{ nodes {{ {fields} {further} }} pageInfo {{ hasNextPage endCursor }} totalCount }} }}"
        );
        text.push_str(&format!(
            "  - name: {table}\n    path: /graphql\n    columns: {columns}\n    body: {{ graphql: {{ query: \"{query}\", variables: {{ first: 1000 }} }} }}\n    records: data.{connection}.nodes\n    paging: {{ graphql: {{ connection: data.{connection} }} }}\n"
        ));
    }
    text.push_str("destination: { url: out }\n");
    text
}

/// GitHub's own answers: the second page has another path than the first, and each is given once. `reactions` counts
/// `+1` and `-1`, which would be one column's name, so the object stays whole.
#[test]
fn github_as_it_was_recorded() {
    let rig = Rig::start("github.mjs", &[]);
    let place = Workplace::new().env("GITHUB_TOKEN_OF_TEST", rig.text("token"));
    let (path, query) = rig.text("path").split_once('?').expect("parameters");
    let text = format!(
        "job: shop\nsource:\n  base_url: {}\n  auth: {{ key: {{ value: \"${{GITHUB_TOKEN_OF_TEST}}\", header: Authorization, prefix: \"token \" }} }}\nstreams:\n  - name: issues\n    path: {path}\n    params: {{ {} }}\n    headers: {{ Accept: {} }}\n    columns: {{ reactions: json }}\ndestination: {{ url: out }}\n",
        rig.text("api"),
        query.replace('=', ": "),
        rig.text("accept"),
    );
    let file = place.file("job.yaml", &text);
    let done = place.haul(&["run", &file, "--json"]).expect_code(0);
    assert_eq!(done.json()["tables"]["issues"]["walks"][0]["pages"], 5, "{done:?}");
    assert_true(&rig, &place, 1);
    place.assert_holds_none_of(&[&done], &[rig.text("token")]);
}

#[test]
fn postgraphile_by_connections() {
    let rig = Rig::start("graphql.mjs", &[]);
    let place = Workplace::new();
    let file = place.file("job.yaml", &connections_job(rig.url(), ""));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["lines"]["walks"][0]["pages"], 60, "{report}");
    assert_true(&rig, &place, CONNECTIONS.len());

    // The first two come with status 200 on page 15 of 20: with no data, and with one null among good records.
    for (further, says) in
        [("share", "division by zero"), ("grade", "this order has no grade"), ("nope", "Cannot query field")]
    {
        let place = Workplace::new();
        let file = place.file("job.yaml", &connections_job(rig.url(), further));
        let done = place.haul(&["run", &file, "--json"]).expect_code(1).expect_says(&[says]);
        assert!(!place.path("out/shop/_latest.json").exists(), "{done:?}");
    }
}
