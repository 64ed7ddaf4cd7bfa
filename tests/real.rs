//! The main job on real servers: an authorization server that rotates refresh tokens and detects reuse, OData services
//! behind a guard that takes only its tokens, Azure's storage emulator, and DuckDB as an anonymous reader.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use support::rigs::{Rig, output_of, read};
use support::server::{Server, ok};
use support::truth::assert_equals_truth;
use support::{Done, Workplace};

/// Lifetime of an access token: short, so that one run needs several.
const ACCESS_TTL_SECS: &str = "3";

struct Service {
    oidc: Rig,
    odata: Rig,
    guard: Rig,
}

impl Service {
    fn start(program: &str, access_ttl: &str, latency_ms: &str) -> Self {
        let oidc = Rig::start("oidc.mjs", &["--access-ttl", access_ttl]);
        let odata = Rig::start(program, &[]);
        let guard =
            Rig::start("guard.mjs", &["--upstream", odata.url(), "--oidc", oidc.url(), "--latency", latency_ms]);
        Service { oidc, odata, guard }
    }

    /// The ready job file of this repository, pointed at these servers.
    fn job(&self, destination: &str) -> String {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/odata-oauth2.yaml")).expect("a job");
        let (source, _) = text.split_once("destination:").expect("a destination");
        let source = source
            .replace("https://odata.example.com/v4", self.guard.url())
            .replace("https://login.example.com", self.oidc.url())
            .replace("in_flight: 2", "in_flight: 1");
        format!("{source}destination:\n{destination}")
    }

    fn reuses(&self) -> u64 {
        self.oidc.get("/_stats")["refresh_reuse"].as_u64().expect("a count")
    }
}

/// Logs in the way a person does, with a program that fills in the forms.
fn log_in(place: &Workplace, file: &str) -> Done {
    let mut command = place.command(&["login", file, "--no-browser"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut url = String::new();
    while !url.trim().starts_with("http") {
        url.clear();
        assert!(stderr.read_line(&mut url).expect("a line") > 0, "haul showed no address");
    }
    output_of("browser.mjs", &[url.trim()]);
    Done::of(child.wait_with_output().expect("it ends"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn table_name(entity: &str) -> &'static str {
    match entity {
        "Customers" => "customers",
        "Orders" => "orders",
        "OrderLines" => "order_lines",
        other => panic!("unknown entity {other}"),
    }
}

#[test]
fn rotating_tokens_odata_to_azure_read_anonymously() {
    let service = Service::start("odata4.mjs", ACCESS_TTL_SECS, "150");
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
    let place = Workplace::new()
        .env("AZURE_KEY_OF_TEST", azurite.text("key"))
        .env("AZURE_ACCOUNT_OF_TEST", azurite.text("account"));
    let azure = format!(
        "  url: az://reports/exports\n  options:\n    account_name: ${{AZURE_ACCOUNT_OF_TEST}}\n    access_key: ${{AZURE_KEY_OF_TEST}}\n    endpoint: {}\n    allow_http: \"true\"\n",
        azurite.url()
    );
    let file = place.file("sales.yaml", &service.job(&azure));
    place.haul(&["run", &file]).expect_code(5).expect_says(&["haul login"]);
    let login = log_in(&place, &file).expect_code(0);

    let run = place.haul(&["run", &file, "--json"]).expect_code(0);
    let report = run.json();
    assert_eq!(report["outcome"], "published");
    assert!(report["source"]["refreshes"].as_u64().expect("a count") >= 3, "{report}");
    assert!(report["tables"]["order_lines"]["walks"][0]["pages"].as_u64().expect("pages") >= 50, "{report}");
    assert_eq!(service.reuses(), 0, "a refresh token was used twice");

    let sas = output_of("blob.py", &["sas", "--url", azurite.url(), "--container", "reports"]);
    let truth = service.odata.get("/_truth");
    let base = format!("{}/reports/exports/sales", azurite.url());
    assert_equals_truth(
        &truth,
        |entity| format!("read_parquet('{base}/{}/current.parquet')", table_name(entity)),
        Some(&sas),
    );
    assert_types(&format!("read_parquet('{base}/orders/current.parquet')"), &sas);

    // Another process goes on with the chain, after the access token is over.
    let second = place.haul(&["run", &file, "--json"]).expect_code(0);
    assert!(second.json()["source"]["refreshes"].as_u64().expect("a count") >= 1);
    assert_eq!(service.reuses(), 0, "a refresh token was used twice");

    local_and_csv_give_the_same_rows(&service, &place, &base, &sas);
    // What lies in the workplace at the end is held against the profile of Power BI.
    let copy = place.path("copy").display().to_string();
    output_of("blob.py", &["get", "--url", azurite.url(), "--container", "reports", "--to", &copy]);
    assert!(place.path("copy/exports/sales/orders/current.parquet").exists(), "nothing was copied");

    let logout = place.haul(&["logout", &file]).expect_code(0).expect_says(&["revoked"]);
    let after = place.haul(&["run", &file]).expect_code(5);
    place.assert_holds_none_of(&[&login, &run, &second, &logout, &after], &[azurite.text("key")]);
}

/// Types of the orders as the service declares them, seen by the reader.
fn assert_types(table: &str, sas: &str) {
    let described = read(&format!("select * from {table} limit 0"), Some(sas));
    let kinds: Vec<String> = described["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| format!("{} {}", plain(&column["name"]), plain(&column["type"])))
        .collect();
    for expected in ["Id BIGINT", "Total DECIMAL(18,4)", "OrderedAt TIMESTAMP", "IsPaid BOOLEAN"] {
        assert!(kinds.iter().any(|kind| kind == expected), "{expected} is not among {kinds:?}");
    }
    assert!(kinds.iter().any(|kind| kind.ends_with(" DATE")), "{kinds:?}");
}

fn local_and_csv_give_the_same_rows(service: &Service, place: &Workplace, base: &str, sas: &str) {
    for format in ["parquet", "csv"] {
        let file =
            place.file(&format!("{format}.yaml"), &service.job(&format!("  url: {format}\n  format: {format}\n")));
        place.haul(&["run", &file]).expect_code(0);
        for table in ["customers", "orders", "order_lines"] {
            let path = place.path(&format!("{format}/sales/{table}/current.{format}"));
            let remote = format!("read_parquet('{base}/{table}/current.parquet')");
            let local = match format {
                "parquet" => format!("read_parquet('{}')", path.display()),
                _ => csv_reader(&path.to_string_lossy(), &remote, sas),
            };
            let sql = format!(
                "select (select count(*) from {local}), (select count(*) from {remote}), \
                 (select count(*) from (select * from {remote} except select * from {local})), \
                 (select count(*) from (select * from {local} except select * from {remote}))"
            );
            let counts = read(&sql, Some(sas))["rows"][0].clone();
            assert_eq!(counts[0], counts[1], "{table} as {format}");
            assert_eq!((&counts[2], &counts[3]), (&json!(0), &json!(0)), "{table} as {format}: {counts}");
        }
    }
}

/// DuckDB's reader for our CSV, with the types of the same table in Parquet; an empty field is null, `""` is a text.
fn csv_reader(path: &str, remote: &str, sas: &str) -> String {
    let described = read(&format!("select * from {remote} limit 0"), Some(sas));
    let columns: Vec<String> = described["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| format!("'{}': '{}'", plain(&column["name"]), plain(&column["type"])))
        .collect();
    format!(
        "read_csv('{path}', header=true, delim=',', quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, columns={{{}}})",
        columns.join(", ")
    )
}

#[test]
fn an_s3_bucket_takes_snapshot_after_snapshot() {
    let s3 = Rig::start("s3.py", &[]);
    let source = Server::start(|_, before| {
        ok(if before == 0 { r#"[{"id":1,"name":"a"}]"# } else { r#"[{"id":1,"name":"a"},{"id":2,"name":null}]"# })
    });
    let place = Workplace::new().env("S3_ID_OF_TEST", "tester").env("S3_SECRET_OF_TEST", "canary-s3-secret");
    let options = format!(
        "{{ endpoint: \"{}\", region: us-east-1, allow_http: \"true\", access_key_id: \"${{S3_ID_OF_TEST}}\", secret_access_key: \"${{S3_SECRET_OF_TEST}}\" }}",
        s3.url()
    );
    let text = support::job(&source.url, "", "")
        .replace("  url: out\n", &format!("  url: s3://haul/exports\n  options: {options}\n"));
    let file = place.file("job.yaml", &text);
    let first = place.haul(&["run", &file, "--json"]).expect_code(0);
    let second = place.haul(&["run", &file, "--json"]).expect_code(0);
    let fetch = |key: &str| {
        let to = place.path("fetched");
        output_of(
            "s3.py",
            &["--url", s3.url(), "--get", &format!("exports/test/{key}"), "--to", &to.to_string_lossy()],
        );
        to
    };
    let pointer = std::fs::read_to_string(fetch("_latest.json")).expect("a pointer");
    let pointer: Value = serde_json::from_str(&pointer).expect("JSON");
    assert_eq!(pointer["snapshot"], second.json()["snapshot"]);
    assert_eq!(pointer["sequence"], 2);
    let alias = fetch("items/current.parquet");
    let rows = read(&format!("select id, name from read_parquet('{}')", alias.display()), None);
    assert_eq!(rows["rows"], json!([[1, "a"], [2, null]]));
    place.assert_holds_none_of(&[&first, &second], &["canary-s3-secret"]);
}

#[test]
fn a_refused_login_ends_with_its_reason() {
    let oidc = Rig::start("oidc.mjs", &["--refuse-login"]);
    let place = Workplace::new();
    let auth = format!(
        "auth: {{ oauth2: {{ grant: authorization_code, client_id: haul-public, authorize_url: {0}/auth, token_url: {0}/token, scopes: [openid] }} }}",
        oidc.url()
    );
    let file = place.file("job.yaml", &support::job(oidc.url(), &auth, ""));
    log_in(&place, &file).expect_code(5);
    let credentials = place.haul(&["credentials", "--json"]).expect_code(0).json();
    assert_eq!(credentials, json!([]), "nothing is stored of a refused login");
}

#[test]
fn a_login_can_be_pasted() {
    let oidc = Rig::start("oidc.mjs", &[]);
    let place = Workplace::new();
    let auth = format!(
        "auth: {{ oauth2: {{ grant: authorization_code, client_id: haul-public, authorize_url: {0}/auth, token_url: {0}/token, scopes: [openid, offline_access], authorize_params: {{ prompt: consent }} }} }}",
        oidc.url()
    );
    let file = place.file("job.yaml", &support::job(oidc.url(), &auth, ""));
    let mut command = place.command(&["login", &file, "--paste"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("haul starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut url = String::new();
    while !url.trim().starts_with("http") {
        url.clear();
        assert!(stderr.read_line(&mut url).expect("a line") > 0, "haul showed no address");
    }
    let redirect = output_of("browser.mjs", &[url.trim(), "--paste"]);
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), format!("{redirect}\n").as_bytes())
        .expect("pasted");
    Done::of(child.wait_with_output().expect("it ends")).expect_code(0);
    let credentials = place.haul(&["credentials", "--json"]).expect_code(0).json();
    assert_eq!(credentials[0]["has_refresh_token"], true);
}

#[test]
fn client_credentials_read_an_odata_v2_service() {
    let service = Service::start("odata2.py", "600", "0");
    let place = Workplace::new().env("CC_SECRET", service.oidc.text("cc_secret"));
    let text = format!(
        "job: v2\nsource:\n  base_url: {}\n  dialect: odata\n  auth:\n    oauth2:\n      grant: client_credentials\n      client_id: haul-cc\n      client_secret: ${{CC_SECRET}}\n      token_url: {}/token\n      scopes: [api]\nstreams:\n  - {{ name: customers, path: /Customers, params: {{ $format: json }} }}\n  - {{ name: orders, path: /Orders, params: {{ $format: json }} }}\n  - {{ name: order_lines, path: /OrderLines, params: {{ $format: json }} }}\ndestination: {{ url: out }}\n",
        service.guard.url(),
        service.oidc.url()
    );
    let file = place.file("v2.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    let truth = service.odata.get("/_truth");
    let out = place.path("out/v2");
    assert_equals_truth(
        &truth,
        |entity| format!("read_parquet('{}/{}/current.parquet')", out.display(), table_name(entity)),
        None,
    );
}
