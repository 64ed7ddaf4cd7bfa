//! Notices: what is told of runs and slots, to whom, how often, in which shape, and what happens when nobody takes it.

#![allow(missing_docs)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::clock::{faketime, in_hours};
use support::provider::{Class, Fault, Provider};
use support::rigs::output_of;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job, terminate};

/// A source that answers as the test says, and receivers that write down what they get.
struct Scene {
    place: Workplace,
    file: String,
    source: Server,
    answer: Arc<Mutex<Answer>>,
    receivers: Server,
}

const SLACK: &str = "/services/T01/B02/canaryslack0123456789";
const TEAMS: &str = "/workflows/0123456789abcdef/triggers/manual?api-version=2016&sig=canary-teams-signature";

impl Scene {
    fn new(notify: &str) -> Self {
        Self::with(notify, "", |_, _| ok(""))
    }

    /// With further lines for the source, and receivers that answer by a script.
    fn with(notify: &str, rest: &str, script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(Mutex::new(rows(3)));
        let served = Arc::clone(&answer);
        let source = Server::start(move |_, _| served.lock().expect("an answer").clone());
        let receivers = Server::start(script);
        let at = |path: &str| format!("{}{path}", receivers.url);
        let place = Workplace::new()
            .env("SLACK", &at(SLACK))
            .env("TEAMS", &at(TEAMS))
            .env("OPS", &at("/ops/canary-of-the-path-0123456789"))
            .env("OPS_TOKEN", "canary-token-of-ops");
        let notify = notify.replace("RECEIVERS", &receivers.url);
        let file = place.file("job.yaml", &format!("{}{rest}notify:\n{notify}", job(&source.url, "", "")));
        Scene { place, file, source, answer, receivers }
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().expect("an answer") = answer;
    }

    fn run(&self, code: i32) -> Value {
        self.place.haul(&["run", &self.file, "--json"]).expect_code(code).json()
    }

    /// A run so many hours from now.
    fn run_in(&self, hours: u64, code: i32) {
        self.place.haul_in(hours, &["run", &self.file, "--json"]).expect_code(code);
    }

    /// What came to a path, as JSON.
    fn told(&self, path: &str) -> Vec<Value> {
        let asked = self.receivers.asked().into_iter().filter(|request| request.path() == path);
        asked.map(|request| serde_json::from_str(&request.body).expect("JSON")).collect()
    }

    fn events(&self, path: &str) -> Vec<String> {
        self.told(path).iter().map(|event| event["event"].as_str().expect("an event").to_owned()).collect()
    }

    fn targets(&self) -> Vec<String> {
        self.receivers.asked().into_iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    fn history(&self) -> Vec<Value> {
        let runs = self.place.haul(&["runs", &self.file, "--last", "100", "--json"]).expect_code(0).json();
        runs["history"].as_array().expect("entries").clone()
    }

    fn try_it(&self, code: i32) -> Value {
        self.place.haul(&["notify", "test", &self.file, "--json"]).expect_code(code).json()["receivers"].clone()
    }
}

fn rows(count: u64) -> Answer {
    ok(json!((0..count).map(|id| json!({ "id": id })).collect::<Vec<_>>()).to_string())
}

fn refused() -> Answer {
    status(404, r#"{"message":"<!channel> no [such](https://evil.example) thing & more"}"#)
}

const ALL: &str = "  - webhook: RECEIVERS/hook\n    on: [failed, held, login_needed, recovered, empty, missed]\n";

#[test]
fn each_event_is_told_once_until_it_is_over() {
    let scene = Scene::with(ALL, "publish: { require: { items: { empty: allow } } }\n", |_, _| ok(""));
    scene.set(rows(200));
    scene.run(0);
    scene.set(refused());
    scene.run(1);
    scene.run(1);
    assert_eq!(scene.events("/hook"), ["failed"]);
    scene.run_in(25, 1);
    assert_eq!(scene.events("/hook"), ["failed", "failed"], "and again after a day");
    scene.set(rows(201));
    scene.run(0);
    scene.run(0);
    scene.set(rows(20));
    scene.run(4);
    scene.run(4);
    assert_eq!(scene.events("/hook")[2..], ["recovered", "held"]);
    scene.set(rows(202));
    scene.run(0);
    scene.set(rows(0));
    for _ in 0..4 {
        scene.run(0);
    }
    assert_eq!(scene.events("/hook")[4..], ["recovered", "empty"]);
    let told = scene.told("/hook");
    let (again, recovered, held, empty) = (&told[1], &told[2], &told[3], &told[5]);
    assert_eq!((&again["since"], &again["runs"]), (&told[0]["at"], &json!(3)));
    assert_eq!((&recovered["since"], &recovered["runs"]), (&told[0]["at"], &json!(3)));
    assert_eq!((&recovered["outcome"], &recovered["error"]), (&json!("published"), &Value::Null));
    assert_eq!(held["held"], json!(["table `items` has 20 rows and had 201: 90 %, allowed 50 %"]));
    assert!(held["hint"].as_str().is_some_and(|hint| hint.contains("haul publish JOBFILE --approve")), "{held}");
    assert_eq!(empty["runs"], 3);
    assert_eq!(empty["text"], "test: 3 runs in a row read no row");
    // The history knows who was told what.
    let history = scene.history();
    let by_time = history.iter().rev().filter_map(|entry| entry["notices"][0]["event"].as_str());
    // The one of tomorrow stands last.
    assert_eq!(by_time.collect::<Vec<_>>(), ["failed", "recovered", "held", "recovered", "empty", "failed"]);
    assert!(history.iter().filter_map(|entry| entry["notices"].as_array()).all(|told| told.len() == 1));
    assert_eq!(history[0]["notices"], json!([{ "to": "webhook", "event": "failed" }]));
}

#[test]
fn a_webhook_gets_the_whole_event_and_headers_and_no_secret() {
    let notify = "  - webhook: ${OPS}\n    headers: { Authorization: \"Bearer ${OPS_TOKEN}\", X-Kind: job }\n";
    let scene = Scene::new(notify);
    scene.run(0);
    scene.set(refused());
    let report = scene.run(1);
    let asked = scene.receivers.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].header("content-type")), ("POST", Some("application/json")));
    assert_eq!(asked[0].header("authorization"), Some("Bearer canary-token-of-ops"));
    assert_eq!(asked[0].header("x-kind"), Some("job"));
    let told: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    let same = |name: &str| report[name].clone();
    let expect = json!({
        "format_version": 1,
        "event": "failed",
        "job": "test",
        "text": "test: failed",
        "outcome": "failed",
        "run": same("run"),
        "at": same("started_at"),
        "host": told["host"],
        "since": same("started_at"),
        "runs": 1,
        "error": same("error"),
        "hint": same("hint"),
        "failed_streams": ["items"],
        "snapshot": same("snapshot"),
        "tables": [{ "name": "items", "rows": 0, "outcome": "failed" }],
    });
    assert_eq!(told, expect);
    assert_eq!(report.get("warnings"), None);
}

#[test]
fn slack_gets_a_text_and_blocks_in_which_a_server_mentions_nobody() {
    let scene = Scene::new("  - slack: ${SLACK}\n");
    scene.set(refused());
    let report = scene.run(1);
    let told = scene.told(SLACK);
    assert_eq!(told.len(), 1);
    let host = scene.history()[0]["host"].as_str().expect("a host").to_owned();
    let escape = |text: &Value| {
        let text = text.as_str().expect("a text");
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    };
    let (error, hint) = (escape(&report["error"]), escape(&report["hint"]));
    assert!(error.contains("&lt;!channel&gt; no [such]"), "{error}");
    let at = |at: &Value| at.as_str().expect("an instant")[..19].replace('T', " ") + "Z";
    let text = |text: &str| json!({ "type": "mrkdwn", "text": text, "verbatim": true });
    let expect = json!({
        "text": format!("test: failed\n{error}"),
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "test: failed", "emoji": false } },
            { "type": "section", "text": text(&error) },
            { "type": "section", "text": text(&format!("What to do: {hint}")) },
            { "type": "section", "fields": [
                text(&format!("Since: {}", at(&report["started_at"]))),
                text("Failed: items"),
            ] },
            { "type": "section", "text": text("items: 0 rows, failed") },
            { "type": "context", "elements": [text(&format!(
                "haul, run {} on {host} at {}",
                report["run"].as_str().expect("an id"),
                at(&report["started_at"]),
            ))] },
        ],
    });
    assert_eq!(told[0], expect);
}

#[test]
fn teams_gets_an_adaptive_card_that_microsofts_reader_takes_whole() {
    let scene = Scene::new("  - teams: ${TEAMS}\n    on: [failed, recovered, held]\n");
    scene.set(rows(200));
    scene.run(0);
    scene.set(refused());
    scene.run(1);
    scene.set(rows(200));
    scene.run(0);
    scene.set(rows(1));
    scene.run(4);
    let asked = scene.receivers.asked();
    assert!(asked.iter().all(|request| request.target == TEAMS), "the query is part of the address");
    let told: Vec<Value> = asked.iter().map(|request| serde_json::from_str(&request.body).expect("JSON")).collect();
    assert_eq!(told.len(), 3);
    for message in &told {
        let mut around = message.clone();
        let card = around["attachments"][0]["content"].take();
        let attachment = json!({
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": null,
        });
        assert_eq!(around, json!({ "type": "message", "attachments": [attachment] }));
        let read: Value = serde_json::from_str(&output_of("adaptive_card.mjs", &[&card.to_string()])).expect("JSON");
        assert_eq!(read["complaints"], json!([]));
        // Its defaults are left out of what it gives back, and what only Teams knows.
        assert_eq!(texts(&read["card"]["body"]), texts(&card["body"]), "something of the card is not understood");
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    }
    let said = texts(&told[0]["attachments"][0]["content"]["body"]);
    assert_eq!(said[0], "test: failed");
    assert!(
        said[1].contains("<!channel> no [such](https://evil.example) thing & more"),
        "in a run, which knows no links"
    );
    let said = texts(&told[2]["attachments"][0]["content"]["body"]);
    assert_eq!(said[0], "test: held until a person decides");
    assert!(said.contains(&"items: 1 row, held".to_owned()), "{said:?}");
}

/// Every text of a card in its order.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            let own =
                ["text", "title", "value"].iter().filter_map(|name| Some(members.get(*name)?.as_str()?.to_owned()));
            own.chain(members.values().flat_map(texts)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_dead_man_check_hears_of_good_runs_and_of_more_where_the_job_says_so() {
    let scene = Scene::new("  - ping: RECEIVERS/ping/abc?a=b\n");
    scene.run(0);
    scene.run(0);
    assert_eq!(scene.targets(), ["GET /ping/abc?a=b", "GET /ping/abc?a=b"], "published, and unchanged");
    scene.set(refused());
    scene.run(1);
    assert_eq!(scene.targets().len(), 2, "nothing after a failure");
    let scene = Scene::new("  - ping: RECEIVERS/ping/abc\n    signals: [start, success, fail]\n");
    scene.run(0);
    scene.set(refused());
    scene.run(1);
    scene.run(1);
    let expect = ["/start", "", "/start", "/fail", "/start", "/fail"].map(|below| format!("GET /ping/abc{below}"));
    assert_eq!(scene.targets(), expect);
}

#[test]
fn a_run_that_cannot_be_opened_is_written_down_and_told() {
    let scene = Scene::new(&format!("{ALL}  - ping: RECEIVERS/ping\n    signals: [fail]\n"));
    let auth = "auth: { bearer: { token: \"${NOT_THERE}\" } }\n";
    let text = std::fs::read_to_string(&scene.file).expect("a file");
    let text = text.replace("source:\n", &format!("source:\n  {auth}"));
    let file = scene.place.file("job.yaml", &format!("{text}schedule: {{ every: 1h, timezone: UTC }}\n"));
    scene.place.haul(&["run", &file]).expect_code(2).expect_says(&["`NOT_THERE` is not set"]);
    assert_eq!(scene.events("/hook"), ["failed"]);
    assert!(scene.targets().contains(&"GET /ping/fail".to_owned()));
    let told = &scene.told("/hook")[0];
    assert_eq!(told["error"], "the environment variable `NOT_THERE` is not set");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("export NOT_THERE=")), "{told}");
    assert_eq!(scene.history()[0]["outcome"], "failed");
    // A slot is served by that, so that a crontab does not fail every minute.
    scene.place.haul(&["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due"]);
    scene.place.haul_in(3, &["run", &file, "--due"]).expect_code(2);
    scene.place.haul_in(3, &["run", &file, "--due"]).expect_code(0).expect_says(&["nothing is due"]);
    let entries = scene.history();
    assert!(entries.iter().any(|entry| entry["outcome"] == "failed" && entry["slot"].is_string()), "{entries:?}");
    assert_eq!(scene.events("/hook"), ["failed", "missed"]);
    let missed = scene.told("/hook")[1].clone();
    assert!(missed["error"].as_str().is_some_and(|why| why.contains("slots from")), "{missed}");
}

#[test]
fn a_state_that_is_away_is_told_by_every_run() {
    let scene = Scene::new(ALL);
    for before in 0..2 {
        let mut command = scene.place.command(&["run", &scene.file, "--json"]);
        command.env("HAUL_STATE", "postgres://haul@127.0.0.1:1/haul").env("HAUL_LOCAL", scene.place.path("local"));
        Done::of(command.output().expect("haul starts")).expect_code(75);
        assert_eq!(scene.events("/hook").len(), before + 1);
    }
    assert!(scene.told("/hook")[0]["error"].as_str().is_some_and(|error| error.contains("127.0.0.1")));
    assert!(scene.source.asked().is_empty());
}

#[test]
fn a_daemon_tells_as_well_also_where_the_destination_has_no_secret() {
    let scene = Scene::new(ALL);
    let text = std::fs::read_to_string(&scene.file)
        .expect("a file")
        .replace("url: out\n", "url: az://reports/x\n  options: { account_name: a, access_key: \"${NO_KEY}\" }\n");
    scene.place.file("jobs/one.yaml", &format!("{text}schedule: {{ every: 1s, timezone: UTC }}\n"));
    let mut daemon =
        scene.place.command(&["serve", "jobs", "--no-web"]).stdout(Stdio::null()).spawn().expect("haul starts");
    let is_told = until(|| !scene.events("/hook").is_empty());
    terminate(daemon.id(), "-TERM");
    assert!(daemon.wait().expect("it ends").success());
    assert!(is_told, "nobody was told");
    assert_eq!(scene.told("/hook")[0]["error"], "the environment variable `NO_KEY` is not set");
    assert!(scene.told("/hook")[0]["slot"].is_string());
    assert!(scene.source.asked().is_empty());
}

/// Whether it comes true within a minute.
fn until(is_so: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn import(place: &Workplace, file: &str, token: &str) {
    let mut command = place.command(&["credentials", "import", file]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul");
    child.stdin.take().expect("a pipe").write_all(token.as_bytes()).expect("written");
    Done::of(child.wait_with_output().expect("it ends")).expect_code(0);
}

#[test]
fn a_lost_login_is_told_with_its_credential_and_its_return() {
    let provider = Provider::start(Class::SingleUse);
    let scene = Scene::new(ALL);
    let text = std::fs::read_to_string(&scene.file).expect("a file");
    let auth: String = provider.auth().lines().map(|line| format!("  {line}\n")).collect();
    let file = scene.place.file("job.yaml", &text.replace("source:\n", &format!("source:\n{auth}")));
    import(&scene.place, &file, &provider.new_family());
    provider.fail(&[Fault::Error("invalid_grant")]);
    scene.run(5);
    scene.run(5);
    assert_eq!(scene.events("/hook"), ["login_needed"]);
    let told = &scene.told("/hook")[0];
    let credential = scene.place.haul(&["credentials", "--json"]).expect_code(0).json()[0]["id"].clone();
    let named = told["credential"]["name"].as_str().expect("a name");
    assert!(named.starts_with(credential.as_str().expect("an id")), "{told}");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("haul login JOBFILE")), "{told}");
    import(&scene.place, &file, &provider.new_family());
    scene.run(0);
    assert_eq!(scene.events("/hook"), ["login_needed", "recovered"]);
}

#[test]
fn a_token_that_ends_soon_is_told_once_a_day() {
    let provider = Provider::start(Class::SingleUse);
    let scene = Scene::new("  - webhook: RECEIVERS/hook\n");
    let text = std::fs::read_to_string(&scene.file).expect("a file");
    let auth = provider.auth().replace("window: 60s,", "window: 60s, idle: 30d,");
    let auth: String = auth.lines().map(|line| format!("  {line}\n")).collect();
    let file = scene.place.file("job.yaml", &text.replace("source:\n", &format!("source:\n{auth}")));
    import(&scene.place, &file, &provider.new_family());
    scene.run(0);
    assert!(scene.told("/hook").is_empty());
    // The login server is away for weeks, and then it is too late.
    provider.fail(&vec![Fault::FailBefore(503); 100]);
    for hours in [22 * 24, 24 * 24, 24 * 24 + 1, 25 * 24] {
        scene.run_in(hours, 75);
    }
    let events = scene.events("/hook");
    assert_eq!(events, ["failed", "failed", "credential_expires", "failed", "credential_expires"]);
    let told = &scene.told("/hook")[2];
    assert!(
        told["credential"]["name"].as_str().is_some_and(|name| name.starts_with("the refresh token for")),
        "{told}"
    );
    let void_at =
        scene.place.haul(&["credentials", "--json"]).expect_code(0).json()[0]["refresh_token_void_at"].clone();
    assert_eq!(told["credential"]["expires_at"], void_at);
}

#[test]
fn a_sas_that_ends_soon_is_told_without_its_signature() {
    let store = Server::start(|_, _| status(403, "<Error><Code>AuthenticationFailed</Code></Error>"));
    let scene = Scene::new("  - webhook: RECEIVERS/hook\n    on: [credential_expires]\n    expires_within: 30d\n");
    let end = chrono::Utc::now() + chrono::Duration::days(20);
    let sas = format!("sv=2022-11-02&sp=rwl&se={}&sig=canary-signature%3D", end.format("%Y-%m-%dT%H:%M:%SZ"));
    let text = std::fs::read_to_string(&scene.file).expect("a file").replace(
        "url: out\n",
        &format!(
            "url: az://reports/x\n  options: {{ account_name: a, sas_token: \"${{SAS}}\", endpoint: \"{}\", allow_http: \"true\" }}\n",
            store.url
        ),
    );
    let file = scene.place.file("job.yaml", &text);
    let run = || {
        let mut command = scene.place.command(&["run", &file]);
        Done::of(command.env("SAS", &sas).output().expect("haul starts"))
    };
    let done = [run(), run()];
    assert!(done.iter().all(|done| done.code == 1 && !done.stderr.contains("canary")), "{done:?}");
    let told = scene.told("/hook");
    assert_eq!(told.len(), 1, "once a day: {told:?}");
    let expect =
        json!({ "name": "the SAS of the destination", "expires_at": end.format("%Y-%m-%dT%H:%M:%SZ").to_string() });
    assert_eq!(told[0]["credential"], expect);
    assert!(!told[0].to_string().contains("canary"));
}

/// A call whose clock runs ten times as fast, so that half a minute takes three seconds.
fn fast(place: &Workplace, args: &[&str]) -> Done {
    let mut command = place.command(args);
    command.env("LD_PRELOAD", faketime()).env("FAKETIME", "+0 x10").env("NO_FAKE_STAT", "1");
    Done::of(command.output().expect("haul starts"))
}

#[test]
fn a_receiver_that_is_slow_broken_or_gone_fails_no_run_and_is_told_later() {
    let is_down = Arc::new(Mutex::new(true));
    let down = Arc::clone(&is_down);
    let scene = Scene::with(
        "  - webhook: RECEIVERS/broken\n    on: [failed, recovered]\n  - webhook: RECEIVERS/slow\n  - ping: RECEIVERS/ping\n    signals: [fail]\n  - slack: ${SLACK}\n  - webhook: http://127.0.0.1:1/gone\n",
        "",
        move |request, _| match (request.path(), *down.lock().expect("a flag")) {
            ("/broken", true) => status(500, "it is broken"),
            ("/slow", true) => Answer::Late { wait: Duration::from_secs(40), body: Vec::new() },
            ("/ping/fail", _) => status(404, "no such check"),
            (path, true) if path.starts_with("/services") => status(403, format!("no service at {path}")),
            _ => ok(""),
        },
    );
    scene.set(refused());
    let began = Instant::now();
    let done = fast(&scene.place, &["run", &scene.file, "--json"]).expect_code(1);
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "a run waited for its notices for {took:?} on a clock of ten times the speed"
    );
    assert!(done.stderr.contains("a receiver of notices does not answer; waiting for at most 30s"), "{done:?}");
    let report = done.json();
    let warnings: Vec<&str> =
        report["warnings"].as_array().expect("warnings").iter().map(|text| text.as_str().expect("a text")).collect();
    let expect = [
        "webhook was not told `failed`: it answered 500 Internal Server Error: it is broken",
        "webhook 2 was not told `failed`: no answer within 10s",
        "the dead-man check of ping was not told: it answered 404 Not Found: no such check",
        "slack was not told `failed`: it answered 403 Forbidden: no service at ***",
        "webhook 3 was not told `failed`: it cannot be reached: ",
    ];
    assert_eq!(warnings.len(), expect.len(), "{warnings:#?}");
    for (warning, expect) in warnings.iter().zip(expect) {
        assert!(warning.starts_with(expect), "{warning}");
        assert!(!warning.contains("http") && !warning.contains("canary"), "{warning}");
    }
    let notices = scene.history()[0]["notices"].clone();
    assert_eq!(notices[1], json!({ "to": "webhook 2", "event": "failed", "error": "no answer within 10s" }));
    assert!(!notices.to_string().contains("http://"), "{notices}");
    scene.place.haul(&["runs", &scene.file]).expect_code(0).expect_says(&["; not told: webhook, webhook 2, ping, "]);
    // It still fails, and nobody knows: now they do.
    *is_down.lock().expect("a flag") = false;
    let before = scene.events("/broken").len();
    let report = scene.run(1);
    assert_eq!(scene.events("/broken").len(), before + 1);
    assert_eq!(report["warnings"].as_array().expect("warnings").len(), 2, "{report}");
    scene.run(1);
    assert_eq!(scene.events("/broken").len(), before + 1);
}

#[test]
fn nothing_leaves_for_another_address_than_the_jobs() {
    let elsewhere = Server::start(|_, _| ok(""));
    let to = format!("{}/taken", elsewhere.url);
    let scene = Scene::with("  - webhook: RECEIVERS/hook\n  - ping: RECEIVERS/ping\n", "", move |_, _| {
        status(307, "").with("location", &to)
    });
    scene.set(refused());
    let report = scene.run(1);
    assert_eq!(report["warnings"], json!(["webhook was not told `failed`: it redirects to another address: refused"]));
    assert!(elsewhere.asked().is_empty());
    // The address of the secret is guarded when it is known.
    let place = Workplace::new().env("PLAIN", "http://ops.example.com/canary").env("NO", "canary is no address");
    let notify = "notify: [{ slack: \"${PLAIN}\" }, { teams: \"${NO}\" }, { slack: \"${NOT_SET}\" }]\n";
    let file = place.file("job.yaml", &format!("{}{notify}", job("http://127.0.0.1:1", "", "")));
    place.haul(&["notify", "test", &file]).expect_code(1).expect_says(&[
        "slack    failed: its address cannot be used: plain http would show what is told to the network",
        "teams    failed: its address cannot be used: this is no address",
        "slack 2  failed: the environment variable `NOT_SET` is not set",
        "hint: slack: use https",
    ]);
    place.haul(&["check", &file]).expect_code(0).expect_says(&["`NOT_SET` is not set (wanted by `notify[2].slack`)"]);
}

#[test]
fn notices_take_the_jobs_way_through_the_network() {
    let proxy = Server::start(|request, _| {
        let is_items = request.path().ends_with("/items");
        if is_items { status(404, "") } else { ok("") }
    });
    let place = Workplace::new();
    let source = format!("allow_http: true\nnetwork: {{ proxy: \"{}\" }}\n", proxy.url);
    let notify = "notify: [{ webhook: http://ops.example.com/hook, allow_http: true }]\n";
    let file = place.file("job.yaml", &format!("{}{notify}", job("http://api.example.com", &source, "")));
    let report = place.haul(&["run", &file, "--json"]).expect_code(1).json();
    assert_eq!(report.get("warnings"), None, "{report}");
    let targets: Vec<String> = proxy.asked().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://api.example.com/items", "http://ops.example.com/hook"]);
}

#[test]
fn a_command_gets_the_event_and_is_ended_when_it_hangs() {
    let scene = Scene::new("");
    let script = |name: &str, text: &str| {
        let file = scene.place.file(name, &format!("#!/bin/sh\n{text}"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        file
    };
    let said = scene.place.path("said").display().to_string();
    let mail = script(
        "mail",
        &format!("{{ cat; echo; echo \"$HAUL_JOB $HAUL_EVENT $1 $2 $3 [$HAUL_VAULT_KEY_COMMAND]\"; }} > {said}\n"),
    );
    let hang = script("hang", &format!("sleep 1000 & echo $! > {said}.pid; echo on my way >&2; wait\n"));
    let broken = script("broken", "echo the mail server says no >&2\nexit 3\n");
    let text = job(&scene.source.url, "", "");
    let notify = format!(
        "notify:\n  - command: [{mail}, --to, \"ops; rm -rf $HOME\", \"a b\"]\n  - command: [{hang}]\n  - command: [{broken}]\n  - command: [./none]\n"
    );
    let file = scene.place.file("job.yaml", &format!("{text}{notify}"));
    scene.set(refused());
    let mut command = scene.place.command(&["run", &file, "--json"]);
    command.env("LD_PRELOAD", faketime()).env("FAKETIME", "+0 x10").env("NO_FAKE_STAT", "1");
    let key = "echo AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let done = Done::of(command.env("HAUL_VAULT_KEY_COMMAND", key).output().expect("haul starts")).expect_code(1);
    let report = done.json();
    let heard = std::fs::read_to_string(&said).expect("it was told");
    let (event, environment) = heard.split_once('\n').expect("two lines");
    let event: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!((&event["event"], &event["run"]), (&json!("failed"), &report["run"]));
    assert_eq!(environment.trim(), "test failed --to ops; rm -rf $HOME a b []");
    let warnings = report["warnings"].as_array().expect("warnings");
    let expect = [
        "command 2 was not told `failed`: it was not done within 30s and was ended",
        "command 3 was not told `failed`: it failed (exit status: 3): the mail server says no",
        "command 4 was not told `failed`: it cannot be started: No such file",
    ];
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    for (warning, expect) in warnings.iter().zip(expect) {
        assert!(warning.as_str().is_some_and(|warning| warning.starts_with(expect)), "{warning}");
    }
    let pid = std::fs::read_to_string(format!("{said}.pid")).expect("it began");
    let stat = format!("/proc/{}/stat", pid.trim());
    let is_over = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    assert!(until(is_over), "what the command started goes on");
}

#[test]
fn no_content_of_records_is_told() {
    let scene = Scene::new("  - webhook: RECEIVERS/hook\n");
    let check = |stream: &str, records: Value, shown: &str, expect: &str| {
        let text =
            format!("{}notify: [{{ webhook: {}/hook }}]\n", job(&scene.source.url, "", stream), scene.receivers.url);
        scene.place.file("job.yaml", &text.replace("job: test", &format!("job: test{}", scene.told("/hook").len())));
        scene.set(ok(records.to_string()));
        let report = scene.run(1);
        assert!(report["error"].as_str().is_some_and(|error| error.contains(shown)), "{report}");
        let told = scene.told("/hook").pop().expect("it was told");
        assert!(told["error"].as_str().is_some_and(|error| error.contains(expect)), "{told}");
        assert!(!told.to_string().contains(shown), "{told}");
    };
    let people = json!([{ "id": "Jane Doe" }]);
    check("columns: { id: integer }\n", people.clone(), "Jane Doe", "but record 1 of page 1 has …");
    check(
        "columns: { id: integer }\ncontract: { bad_records: { quarantine: 1 } }\n",
        json!([{ "id": "Jane Doe" }, { "id": "John Doe" }]),
        "Jane Doe",
        "cannot become rows",
    );
}

#[test]
fn receivers_can_be_tried() {
    let scene = Scene::with(
        "  - teams: ${TEAMS}\n  - slack: ${SLACK}\n  - webhook: RECEIVERS/hook\n  - ping: RECEIVERS/ping\n",
        "",
        |request, _| if request.path() == "/hook" { status(400, "no") } else { ok("") },
    );
    let sent = |to: &str| json!({ "to": to, "outcome": "sent" });
    let failed =
        json!({ "to": "webhook", "outcome": "failed", "error": "it answered 400 Bad Request: no", "hint": null });
    assert_eq!(scene.try_it(1), json!([sent("teams"), sent("slack"), failed, sent("ping")]));
    assert_eq!(scene.told(SLACK)[0]["text"], "test: a test of notices");
    assert_eq!(scene.told("/hook")[0]["event"], "test");
    // It changes nothing.
    assert!(scene.history().is_empty() && scene.source.asked().is_empty());
    let file = scene.place.file("none.yaml", &job("http://127.0.0.1:1", "", ""));
    scene.place.haul(&["notify", "test", &file]).expect_code(2).expect_says(&["has no `notify`", "for example"]);
}

#[test]
fn what_is_wrong_with_receivers_is_said_where_it_stands() {
    let place = Workplace::new();
    let check = |receiver: &str, says: &[&str]| {
        let file = place.file("job.yaml", &format!("{}notify: [{receiver}]\n", job("http://127.0.0.1:1", "", "")));
        place.haul(&["check", &file]).expect_code(2).expect_says(says);
    };
    check("{ on: [failed] }", &["notify[0]", "no kind", "one of teams, slack"]);
    check("{ teams: \"${A}\", slack: \"${B}\" }", &["several kinds", "an entry of its own"]);
    check("{ slack: https://hooks.slack.com/services/x }", &["notify[0].slack", "must be a reference"]);
    check("{ webhook: http://ops.example.com/x }", &["notify[0].webhook", "plain http", "allow_http: true"]);
    check("{ webhook: \"https://ops.example.com/${X}\" }", &["a reference stands inside a text"]);
    check("{ webhook: \"https://u:p@ops.example.com\" }", &["must not hold a user"]);
    check("{ webhook: \"https://a.example\", headers: { Authorization: Bearer x } }", &["must be a reference"]);
    check("{ webhook: \"https://a.example\", headers: { X: \"${A} b\" } }", &["a reference at its end only"]);
    check("{ webhook: \"https://a.example\", headers: { Host: b } }", &["not for job files"]);
    check("{ webhook: \"https://a.example\", on: [faild] }", &["notify[0].on[0]", "did you mean `failed`?"]);
    check("{ webhook: \"https://a.example\", on: [] }", &["nothing is ever told"]);
    check("{ webhook: \"https://a.example\", signals: [fail] }", &["says nothing for `webhook`"]);
    check(
        "{ webhook: \"https://a.example\", repeat_interval: soon, empty_after: 0 }",
        &["repeat_interval", "empty_after"],
    );
    check("{ ping: \"https://a.example\", on: [failed] }", &["`on` says nothing for `ping`", "signals"]);
    check("{ command: [] }", &["names no program"]);
    check("{ command: [mail, \"${TOKEN}\"] }", &["notify[0].command[1]", "cannot hold a reference"]);
    check("{ command: mail }", &["write a list"]);
    check("{ webhok: \"https://a.example\" }", &["did you mean `webhook`?"]);
}

#[test]
fn hosts_on_one_clock_and_state_tell_things_once() {
    let scene = Scene::new(ALL);
    scene.set(refused());
    scene.run(1);
    // Another process, an hour later, reads what the first one told from the record store.
    let mut command = scene.place.command(&["run", &scene.file]);
    in_hours(&mut command, 1);
    assert_eq!(command.output().expect("haul starts").status.code(), Some(1));
    assert_eq!(scene.events("/hook"), ["failed"]);
    assert_eq!(scene.history().len(), 2);
}
