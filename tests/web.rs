//! The daemon's web page, its health checks and its metrics: in a real browser, with a real authorization server, and by hand.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::daemon::{Daemon, Time};
use support::rigs::{Rig, output_of};
use support::scene::wait_until;
use support::server::{Answer, Server, ok, status};
use support::{Workplace, job};

const PAGES: usize = 40;

/// The daemon with its page.
fn start(place: &Workplace, args: &[&str]) -> Daemon {
    Daemon::start_at(place, &[&["serve", "jobs", "--json"], args].concat(), &Time::Real)
}

/// Pages that come slowly, an API that fails, one that shrinks, and one behind a login.
fn source() -> Server {
    Server::start(|request, before| match request.path() {
        "/slow/items" => {
            let page: usize = request.param("page").and_then(|page| page.parse().ok()).unwrap_or(1);
            let rows: Vec<Value> = (0..50).map(|row| json!({ "id": page * 50 + row, "amount": "12.50" })).collect();
            let next = (page < PAGES).then(|| format!("/slow/items?page={}", page + 1));
            let body = json!({ "data": rows, "next": next }).to_string().into_bytes();
            Answer::Late { wait: Duration::from_millis(100), body }
        }
        "/broken/items" => status(403, "{\"error\":\"the contract has ended\"}"),
        "/shrinking/items" => {
            let rows = if before == 0 { 2_000 } else { 300 };
            ok(json!((0..rows).map(|id| json!({ "id": id })).collect::<Vec<_>>()).to_string())
        }
        _ => ok("[{\"id\":1},{\"id\":2}]"),
    })
}

/// The same source for each job, so that none hinders the other's count of requests.
fn write_jobs(place: &Workplace, oidc: &Rig) -> Vec<Box<dyn std::any::Any>> {
    let (slow, broken, shrinking, api) = (source(), source(), source(), source());
    let guard = Rig::start("guard.mjs", &["--upstream", &api.url, "--oidc", oidc.url()]);
    let write = |name: &str, text: String, more: &str| {
        place.file(
            &format!("jobs/{name}.yaml"),
            &format!("{}{more}", text.replace("job: test", &format!("job: {name}"))),
        );
    };
    let never = "schedule: { cron: '0 0 1 1 *', timezone: Europe/Amsterdam }\n";
    let paged = "records: data\npaging: { next_url: next }\nkey: [id]\ncolumns: { amount: 'decimal(18,4)' }\n";
    write("slow", job(&format!("{}/slow", slow.url), "", paged), never);
    write(
        "broken",
        job(&format!("{}/broken", broken.url), "", ""),
        "schedule: { every: 1s, timezone: UTC, overlap: skip }\n",
    );
    write("shrinking", job(&format!("{}/shrinking", shrinking.url), "", "key: [id]\n"), "");
    let auth = format!(
        "auth:\n  oauth2:\n    issuer: {}\n    grant: authorization_code\n    client_id: haul-public\n    scopes: [openid, offline_access]\n    authorize_params: {{ prompt: consent }}\n",
        oidc.url()
    );
    write("finance", job(guard.url(), &auth, "key: [id]\n"), never);
    vec![Box::new(slow), Box::new(broken), Box::new(shrinking), Box::new(api), Box::new(guard)]
}

#[test]
fn a_person_sees_runs_watches_previews_connects_and_approves() {
    let (place, oidc) = (Workplace::new(), Rig::start("oidc.mjs", &[]));
    let _servers = write_jobs(&place, &oidc);
    let daemon = start(&place, &[]);
    wait_until(|| daemon.get("/").body.contains("failing"));
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    let seen = output_of("page.mjs", &["--base", &daemon.url, "--out", &pictures.to_string_lossy()]);
    println!("{seen}");
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(seen["faults"], json!([]), "of the pages and their accessibility");
    assert_eq!(seen["preview"], 50);
    assert_eq!(seen["first_row"], json!(["50", "12.5000"]));
    assert!(seen["approved"].as_str().is_some_and(|text| text.starts_with("300 rows")), "{seen}");
    assert!(seen["without_scripts"].as_u64().is_some_and(|count| count >= 1), "{seen}");
    assert!(seen["pictures"].as_u64().is_some_and(|count| count >= 30), "{seen}");
    // What a person takes from the page is what the command line writes.
    let query = place.haul(&["powerbi", "m", "jobs/finance.yaml", "items", "--self-contained"]).expect_code(0);
    assert_eq!(seen["query"].as_str().expect("a text").trim(), query.stdout.trim());
    place.haul(&["powerbi", "pbip", "jobs/finance.yaml", "--out", "project"]).expect_code(0);
    let archive = std::fs::File::open(seen["project"].as_str().expect("a path")).expect("the download");
    let mut archive = zip::ZipArchive::new(archive).expect("a zip");
    assert!(archive.len() > 10, "{} files", archive.len());
    for number in 0..archive.len() {
        let mut file = archive.by_index(number).expect("a file");
        let path = place.path(&format!("project/{}", file.name().expect("a name")));
        let mut text = String::new();
        file.read_to_string(&mut text).expect("a text");
        assert_eq!(text, std::fs::read_to_string(&path).expect("the same file"), "{path:?}");
    }
    assert_eq!(daemon.stop(), 0);
}

const TOKEN: &str = "canary-token-of-the-page";

#[test]
fn a_form_of_another_page_changes_nothing() {
    let (place, server) = (Workplace::new(), source());
    place.file("jobs/one.yaml", &job(&server.url, "", "key: [id]\n"));
    let daemon = start(&place, &[]);
    wait_until(|| daemon.get("/readyz").code == 200);
    let csrf = daemon.get("/jobs/test").csrf();
    let form = format!("csrf={csrf}");
    let post = |headers: &[(&str, &str)], body: &str| daemon.ask("POST", "/jobs/test/run", headers, body).code;
    assert_eq!(post(&[], ""), 403, "without the page's own number");
    assert_eq!(post(&[], "csrf=guessed"), 403);
    assert_eq!(post(&[("origin", "https://evil.example")], &form), 403);
    assert_eq!(post(&[("origin", "null")], &form), 403);
    assert_eq!(post(&[("sec-fetch-site", "cross-site")], &form), 403);
    assert_eq!(post(&[("sec-fetch-site", "same-site")], &form), 403);
    // A name of somebody else's that leads here (DNS rebinding).
    assert_eq!(daemon.ask("GET", "/", &[("host", "evil.example")], "").code, 421);
    assert_eq!(post(&[("host", "evil.example:8733")], &form), 421);
    assert!(server.asked().is_empty(), "something ran");
    // Orchestrators ask by address.
    assert_eq!(daemon.ask("GET", "/healthz", &[("host", "10.0.0.7:8733")], "").code, 200);
    assert_eq!(post(&[("sec-fetch-site", "same-origin")], &form), 303);
    wait_until(|| !server.asked().is_empty());
    let page = daemon.get("/");
    for (name, expect) in [
        ("content-security-policy", "default-src 'none'"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert!(page.header(name).is_some_and(|value| value.starts_with(expect)), "{name}: {page:?}");
    }
    assert_eq!(daemon.get("/jobs/nobody").code, 404);
    assert_eq!(daemon.ask("POST", "/jobs/nobody/run", &[], &form).code, 404);
    assert_eq!(daemon.get("/jobs/..%2f..%2fetc").code, 404);
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[], &"x".repeat(100_000)).code, 413);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn nobody_enters_without_the_token() {
    let (place, server) = (Workplace::new(), source());
    place.file("jobs/one.yaml", &job(&server.url, "", "key: [id]\n"));
    let token = place.file("token", &format!("{TOKEN}\n"));
    place
        .haul(&["serve", "jobs", "--listen", "0.0.0.0:0"])
        .expect_code(2)
        .expect_says(&["open to everybody", "--token-file"]);
    let short = place.file("short", "123456");
    place
        .haul(&["serve", "jobs", "--listen", "127.0.0.1:0", "--token-file", &short])
        .expect_code(2)
        .expect_says(&["fewer than 16"]);
    let daemon = start(&place, &["--token-file", &token]);
    for path in ["/", "/jobs/test", "/credentials", "/metrics", "/live", "/jobs/test/powerbi", "/callback?state=x"] {
        let refused = daemon.get(path);
        assert_eq!(refused.code, 401, "{path}: {refused:?}");
        assert!(!refused.body.contains("test"), "{path} tells something: {refused:?}");
    }
    let html = [("accept", "text/html")];
    assert_eq!(daemon.ask("GET", "/jobs/test", &html, "").header("location"), Some("/login?next=%2Fjobs%2Ftest"));
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[], "csrf=x").code, 401);
    for path in ["/healthz", "/readyz", "/assets/style.css", "/login"] {
        assert_eq!(daemon.get(path).code, 200, "{path}");
    }
    let wrong = daemon.ask("POST", "/login", &[], "token=wrong&next=%2F");
    assert!(
        wrong.code == 403 && wrong.header("set-cookie").is_none() && wrong.body.contains("not the token"),
        "{wrong:?}"
    );
    let entered = daemon.ask("POST", "/login", &[], &format!("token={TOKEN}&next=https%3A%2F%2Fevil.example%2F"));
    assert_eq!((entered.code, entered.header("location")), (303, Some("/")));
    let cookie = entered.header("set-cookie").expect("a session");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let session = cookie.split(';').next().expect("a pair");
    let page = daemon.ask("GET", "/jobs/test", &[("cookie", session)], "");
    assert_eq!(page.code, 200);
    let form = format!("csrf={}", page.csrf());
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[("cookie", session)], "").code, 403);
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[("cookie", session)], &form).code, 303);
    // A program shows the token in a header, and needs no form.
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(daemon.ask("GET", "/metrics", &[("authorization", &bearer)], "").code, 200);
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[("authorization", &bearer)], "").code, 303);
    assert_eq!(daemon.ask("GET", "/metrics", &[("authorization", "Bearer canary-token-of-the-pagf")], "").code, 401);
    assert_eq!(daemon.ask("POST", "/logout", &[("cookie", session)], &form).code, 303);
    assert_eq!(daemon.ask("GET", "/jobs/test", &[("cookie", session)], "").code, 401, "a session lives after its end");
    // In a browser, the same.
    let seen = output_of("enter.mjs", &["--base", &daemon.url, "--token", TOKEN]);
    assert!(seen.contains("Jobs") && seen.contains("token"), "{seen}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn people_log_in_at_the_openid_provider() {
    let (place, oidc) =
        (Workplace::new().env("HAUL_OIDC_CLIENT_SECRET", "page-canary-secret"), Rig::start("oidc.mjs", &[]));
    place.file("jobs/one.yaml", &job("http://127.0.0.1:1", "", "key: [id]\n"));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let address = format!("127.0.0.1:{port}");
    let args = |who: &'static str| {
        let url = format!("http://{address}");
        let args = ["serve", "jobs", "--json", "--listen", &address, "--public-url", &url, "--oidc-issuer", oidc.url()];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.extend(["--oidc-client-id", "haul-page", "--oidc-allow", who].map(str::to_owned));
        args
    };
    for (who, is_let_in) in [("user@example.com", true), ("somebody.else@example.com", false)] {
        let args = args(who);
        let daemon = Daemon::start_at(&place, &args.iter().map(String::as_str).collect::<Vec<_>>(), &Time::Real);
        assert_eq!(daemon.get("/").code, 401);
        let seen = output_of("enter.mjs", &["--base", &daemon.url]);
        match is_let_in {
            true => assert!(seen.contains("user@example.com") && seen.contains("Jobs"), "{seen}"),
            false => assert!(seen.contains("is not among those who may enter"), "{seen}"),
        }
        // An answer that nobody asked for.
        let forged = daemon.get("/login/callback?code=x&state=y");
        assert!(forged.code == 403 && forged.header("set-cookie").is_none(), "{forged:?}");
        assert_eq!(daemon.stop(), 0);
    }
    place.haul(&["serve", "jobs", "--oidc-issuer", oidc.url()]).expect_code(2).expect_says(&["--oidc-allow"]);
}

#[test]
fn prometheus_own_linter_takes_the_metrics() {
    let (place, oidc) = (Workplace::new(), Rig::start("oidc.mjs", &[]));
    let _servers = write_jobs(&place, &oidc);
    let daemon = start(&place, &[]);
    wait_until(|| daemon.get("/").body.contains("failing"));
    let csrf = format!("csrf={}", daemon.get("/").csrf());
    assert_eq!(daemon.ask("POST", "/jobs/slow/run", &[], &csrf).code, 303);
    wait_until(|| daemon.get("/metrics").body.contains("haul_slots_total{job=\"slow\",outcome=\"published\"} 1"));
    let metrics = daemon.get("/metrics");
    assert!(
        metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")),
        "{}",
        metrics.head
    );
    let lint = |text: &str| {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is not installed: run `tests/rigs/install`");
        promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        promtool.wait_with_output().expect("it ends")
    };
    let text = &metrics.body;
    let checked = lint(text);
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{}\n{text}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert!(!lint("# TYPE haul_x counter\nhaul_x 1\n").stderr.is_empty(), "the linter takes everything");
    for line in [
        "haul_records_total{job=\"slow\"} 2000",
        "haul_pages_total{job=\"slow\"} 40",
        "haul_http_attempts_total{job=\"slow\"} 40",
        "haul_job_last_run_rows{job=\"slow\"} 2000",
        "haul_job_failing{job=\"broken\"} 1",
        "haul_job_failing{job=\"slow\"} 0",
        "haul_credential_login_needed{job=\"finance\"} 1",
        "haul_jobs 4",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    for name in
        ["haul_job_last_success_age_seconds", "haul_job_next_run_timestamp_seconds", "haul_token_refreshes_total"]
    {
        assert!(text.contains(&format!("{name}{{job=\"slow\"}}")), "no {name}");
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_tab_of_power_bi_shows_what_was_chosen() {
    let (place, server) = (Workplace::new(), source());
    place.file("jobs/one.yaml", &job(&server.url, "", "key: [id]\n"));
    let daemon = start(&place, &[]);
    wait_until(|| daemon.get("/readyz").code == 200);
    let page = daemon.get("/jobs/test/powerbi");
    assert!(page.code == 200 && page.body.contains("Nothing is published yet"), "{page:?}");
    assert_eq!(daemon.get("/jobs/test/powerbi/project.zip").code, 502, "there is nothing to download");
    place.haul(&["run", "jobs/one.yaml"]).expect_code(0);

    let page = daemon.get("/jobs/test/powerbi").body;
    assert!(page.contains("File.Contents") && !page.contains("SasSignature"), "{page}");
    // By a link the queries name what somebody must fill in, and the share that there is.
    let made =
        place.haul(&["share", "create", "jobs/one.yaml", "--address", &daemon.url, "--json"]).expect_code(0).json();
    let policy = made["share"]["policy"].as_str().expect("a name");
    let signature = made["parameters"]["SasSignature"].as_str().expect("a signature");
    let linked = || daemon.get("/jobs/test/powerbi?by=link&form=self-contained&table=items").body;
    wait_until(|| linked().contains(policy));
    let page = linked().replace("&#x2f;", "/");
    assert!(page.contains(&format!("{}/data/test", daemon.url)) && page.contains("SasSignature"), "{page}");
    assert!(!page.contains(signature), "the page shows a signature");
    let unknown = daemon.get("/jobs/test/powerbi?table=none").body;
    assert!(unknown.contains("no table <code>none</code>"), "{unknown}");

    let queries = daemon.get("/jobs/test/powerbi/source.pbids?by=link");
    assert_eq!(queries.header("content-disposition"), Some("attachment; filename=\"test-source.pbids\""));
    let queries: Value = serde_json::from_str(&queries.body).expect("JSON");
    assert_eq!(queries["connections"][0]["details"]["address"]["url"], format!("{}/data/test", daemon.url));
    for path in ["nothing.zip", "..%2f..%2fetc", "project.zip/x"] {
        assert_eq!(daemon.get(&format!("/jobs/test/powerbi/{path}")).code, 404, "{path}");
    }
    assert_eq!(daemon.stop(), 0);
}
