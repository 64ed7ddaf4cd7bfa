//! Shares of a container on Azurite: what an independent reader may do with them, and what others' policies go through.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use support::rigs::{Rig, outcome_of, output_of, read};
use support::server::{Server, ok, status};
use support::{Done, Workplace, job};

/// Azure says at most 30 s.
const POLICY_WAIT: Duration = Duration::from_secs(30);

struct Scene {
    azurite: Rig,
    place: Workplace,
    file: String,
    _source: Server,
}

impl Scene {
    fn start() -> Self {
        Self::start_with("")
    }

    fn start_with(rest: &str) -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let source = Server::start(|_, _| ok("[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]"));
        let place = place_at(&azurite, azurite.text("key"));
        let text = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
        let file = place.file("jobs/test.yaml", &format!("{text}{rest}"));
        Scene { azurite, place, file, _source: source }
    }

    fn share(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["share", args[0], &self.file, "--json"], &args[1..]].concat())
    }

    fn policies(&self) -> Value {
        let text = output_of("blob.py", &["policies", "--url", self.azurite.url(), "--container", "reports"]);
        serde_json::from_str(&text).expect("JSON")
    }

    fn add_policy(&self, name: &str, more: &[&str]) {
        let url = self.azurite.url();
        let args = ["policy", "--url", url, "--container", "reports", "--name", name];
        output_of("blob.py", &[&args, more].concat());
    }

    fn end_of(&self, policy: &str) -> DateTime<Utc> {
        let listed = self.share(&["list"]).expect_code(0).json();
        let shares = listed["shares"].as_array().expect("shares");
        let share = shares.iter().find(|share| share["policy"] == policy).expect("the share");
        share["expires_at"].as_str().expect("an end").parse().expect("an instant")
    }

    /// Whether DuckDB may read with a share.
    fn is_read_with(&self, share: &Value) -> bool {
        let url = format!("{}/items/current.parquet", share["base_url"].as_str().expect("an address"));
        let sql = format!("select count(*) from '{url}'");
        outcome_of("read.py", &["--sas", share["query"].as_str().expect("a query"), &sql]).status.success()
    }
}

fn place_at(azurite: &Rig, key: &str) -> Workplace {
    Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", key)
        .env("AZURE_STORAGE_ENDPOINT", azurite.url())
        .env("AZURE_ALLOW_HTTP", "true")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value:#}"))
}

fn is_near(at: DateTime<Utc>, expect: DateTime<Utc>) -> bool {
    (at - expect).abs() < TimeDelta::minutes(5)
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + POLICY_WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not within {POLICY_WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_share_is_read_with_extended_and_revoked() {
    let scene = Scene::start();
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    scene.share(&["list"]).expect_code(0).expect_says(&["\"shares\": []"]);
    let made = scene.share(&["create", "--days", "10"]).expect_code(0).json();
    let policy = text(&made["share"], "policy").to_owned();
    assert!(policy.starts_with("haul-test-10d-"), "{policy}");
    assert_eq!(made["share"]["permissions"], "r");
    let (query, signature) = (text(&made, "query"), text(&made["parameters"], "SasSignature"));
    assert!(!signature.contains(['+', '/']) && !query.contains("se=") && !query.contains("sp="), "{query}");
    assert_eq!(made["parameters"]["SasPolicy"], policy.as_str());
    assert!(query.contains(&format!("sv={}", text(&made["parameters"], "SasVersion"))), "{query}");

    wait_until("the share opens the files", || scene.is_read_with(&made));
    let url = format!("{}/items/current.parquet", text(&made, "base_url"));
    let rows = read(&format!("select id, name from '{url}' order by id"), Some(query));
    assert_eq!(rows["rows"], serde_json::json!([[1, "one"], [2, "two"]]));
    let list = Url { base: scene.azurite.url(), query }.list();
    assert!(!list.is_success, "it lists names: {}", list.text);
    let other = query.replace(signature.trim_end_matches('='), &signature.trim_end_matches('=').to_lowercase());
    let mut forged = made.clone();
    forged["query"] = other.into();
    assert!(!scene.is_read_with(&forged), "any signature will do");

    assert!(is_near(scene.end_of(&policy), Utc::now() + TimeDelta::days(10)));
    scene.share(&["extend", "--days", "200"]).expect_code(0);
    assert!(is_near(scene.end_of(&policy), Utc::now() + TimeDelta::days(200)));
    // An end is never brought forward, and the address is the same.
    scene.share(&["extend"]).expect_code(0);
    assert!(is_near(scene.end_of(&policy), Utc::now() + TimeDelta::days(200)));
    assert!(scene.is_read_with(&made));

    let second = scene.share(&["create", "--list"]).expect_code(0).json();
    assert_eq!(second["share"]["permissions"], "rl");
    let listing = Url { base: scene.azurite.url(), query: text(&second, "query") };
    wait_until("the second share lists names", || listing.list().text.contains("current.parquet"));
    scene.share(&["revoke", &policy]).expect_code(0);
    wait_until("the revoked share opens nothing", || !scene.is_read_with(&made));
    assert!(scene.is_read_with(&second), "the other one still opens");
    scene.share(&["revoke", &policy]).expect_code(2).expect_says(&["has no share"]);
    assert_eq!(scene.policies()["policies"].as_object().expect("policies").len(), 1);

    // For people the same is printed in words; afterwards nothing remembers a signature.
    let told = scene.place.haul(&["share", "create", &scene.file]).expect_code(0);
    let told = told.expect_says(&["SasVersion", "SasPolicy", "SasSignature", "?sv="]);
    let printed = told.stdout.lines().find_map(|line| line.trim().strip_prefix("SasSignature")).expect("it").trim();
    assert!(!told.stderr.contains(printed));
    let later = [
        scene.place.haul(&["share", "list", &scene.file]).expect_code(0).expect_says(&["haul-test-90d-"]),
        scene.share(&["list"]).expect_code(0),
        scene.place.haul(&["share", "extend", &scene.file]).expect_code(0),
        scene.place.haul(&["run", &scene.file, "--log", "debug"]).expect_code(0),
        scene.place.haul(&["runs", "show", &scene.file]).expect_code(0),
    ];
    let key = scene.azurite.text("key");
    let secrets = [signature, text(&second["parameters"], "SasSignature"), printed, key];
    scene.place.assert_holds_none_of(&later.iter().collect::<Vec<_>>(), &secrets);
}

/// What a plain GET of the container's list says.
struct Url<'u> {
    base: &'u str,
    query: &'u str,
}

struct ListAnswer {
    is_success: bool,
    text: String,
}

impl Url<'_> {
    fn list(&self) -> ListAnswer {
        let text = get(&format!("{}/reports?restype=container&comp=list&{}", self.base, self.query));
        ListAnswer { is_success: text.starts_with("HTTP/1.1 200"), text }
    }
}

/// The whole answer to a plain GET.
fn get(url: &str) -> String {
    use std::io::{Read, Write};

    let url: url::Url = url.parse().expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect(address).expect("the server is there");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", address.0, address.1)
        .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn policies_of_others_stay_as_they_are_and_a_sixth_is_refused() {
    let scene = Scene::start();
    scene.add_policy("theirs <&> ä", &["--public"]);
    let before = scene.policies();
    assert_eq!(before["public"], "blob", "{before}");
    let made: Vec<String> =
        (0..4).map(|_| text(&scene.share(&["create"]).expect_code(0).json()["share"], "policy").to_owned()).collect();
    let all = scene.policies();
    assert_eq!(all["policies"].as_object().expect("policies").len(), 5);
    let full = scene.place.haul(&["share", "create", &scene.file]).expect_code(1);
    full.expect_says(&["5 is the most", "theirs <&> ä", "haul share revoke"]);
    assert_eq!(scene.policies(), all);
    scene.share(&["extend", "--days", "800"]).expect_code(0);
    scene.share(&["revoke", "theirs <&> ä"]).expect_code(2).expect_says(&["is not haul's"]);
    for policy in &made {
        scene.share(&["revoke", policy]).expect_code(0);
    }
    assert_eq!(scene.policies(), before, "what others made is changed");
}

#[test]
fn changes_at_the_same_time_lose_nothing() {
    let scene = Scene::start();
    let spawn = |_| -> Child {
        let mut command = scene.place.command(&["share", "create", &scene.file, "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts")
    };
    let children: Vec<Child> = (0..4).map(spawn).collect();
    let done: Vec<Done> =
        children.into_iter().map(|child| Done::of(child.wait_with_output().expect("it ends"))).collect();
    let found = scene.policies();
    for done in done {
        let policy = text(&done.expect_code(0).json()["share"], "policy").to_owned();
        assert!(found["policies"].get(&policy).is_some(), "`{policy}` was told of and is not there: {found:#}");
    }
}

#[test]
fn runs_extend_shares_of_which_less_than_half_is_left() {
    let receiver = Server::start(|_, _| ok(""));
    let hook =
        format!("notify:\n  - webhook: {}/hook\n    on: [credential_expires]\n    expires_within: 60d\n", receiver.url);
    let scene = Scene::start_with(&hook);
    scene.add_policy("theirs", &["--days", "3"]);
    scene.add_policy("haul-old-90d-aaaaaaaaaa", &["--days", "30"]);
    scene.add_policy("haul-young-90d-bbbbbbbbbb", &["--days", "50"]);
    scene.add_policy("haul-over-90d-cccccccccc", &["--days", "-1"]);
    let before = scene.policies();
    let report = scene.place.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
    assert_eq!(report["warnings"].as_array().map_or(0, Vec::len), 0, "{report:#}");
    let after = scene.policies();
    let now = Utc::now();
    assert!(is_near(scene.end_of("haul-old-90d-aaaaaaaaaa"), now + TimeDelta::days(90)));
    for same in ["theirs", "haul-young-90d-bbbbbbbbbb", "haul-over-90d-cccccccccc"] {
        assert_eq!(before["policies"][same], after["policies"][same], "{same}");
    }
    // What ended is told of; what others made is theirs, and the young one has more than half of its time left.
    let told: BTreeMap<String, Value> = receiver
        .asked()
        .iter()
        .map(|request| serde_json::from_str::<Value>(&request.body).expect("JSON")["credential"].clone())
        .map(|credential| (text(&credential, "name").to_owned(), credential))
        .collect();
    assert_eq!(told.keys().collect::<Vec<_>>(), ["the share `haul-over-90d-cccccccccc`"], "{told:#?}");
}

#[test]
fn what_is_wrong_is_said_plainly() {
    let scene = Scene::start();
    let at = |key: &str, text: &str| {
        let place = place_at(&scene.azurite, key);
        let file = place.file("jobs/test.yaml", text);
        (place, file)
    };
    let text = std::fs::read_to_string(&scene.file).expect("a job");
    let say = |key: &str, text: &str, code: i32, says: &[&str]| {
        let (place, file) = at(key, text);
        for verb in [&["create"][..], &["list"], &["extend"]] {
            let done = place.haul(&[&["share"], verb, &[&file]].concat()).expect_code(code).expect_says(says);
            assert!(done.stdout.is_empty(), "{done:?}");
        }
    };
    // A key of the right shape that is another one.
    say("Y2FuYXJ5LWtleS1vZi1hbm90aGVyLWFjY291bnQ=", &text, 1, &["refuses the key", "check the account's name and key"]);
    say("canary no base64!", &text, 1, &["Invalid Access Key"]);
    let elsewhere = text.replace("az://reports/", "az://nowhere/");
    say(scene.azurite.text("key"), &elsewhere, 1, &["there is no container `nowhere`"]);
    let local = text.replace("az://reports/exports", "out");
    say(scene.azurite.text("key"), &local, 2, &["is no container of Azure Blob"]);

    let place = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", scene.azurite.text("account"))
        .env("AZURE_STORAGE_SAS_TOKEN", "sv=2023-11-03&sp=rwl&sig=canary")
        .env("AZURE_STORAGE_ENDPOINT", scene.azurite.url())
        .env("AZURE_ALLOW_HTTP", "true");
    let file = place.file("job.yaml", &text);
    place.haul(&["share", "list", &file]).expect_code(2).expect_says(&["there is none", "user-delegation"]);

    let gone = Server::start(|_, _| status(503, "<Error><Code>ServerBusy</Code></Error>"));
    let place = place_at(&scene.azurite, scene.azurite.text("key")).env("AZURE_STORAGE_ENDPOINT", &gone.url);
    let file = place.file("job.yaml", &text);
    place.haul(&["share", "list", &file]).expect_code(75).expect_says(&["answered status 503"]);
    assert!(gone.asked().len() > 1, "it was tried once");
    scene.place.haul(&["share", "create", &scene.file, "--days", "0"]).expect_code(2);
}

/// A daemon for the jobs of a workplace, ended with the test.
struct Daemon {
    child: Child,
    url: String,
}

impl Daemon {
    fn start(place: &Workplace) -> Self {
        use std::io::{BufRead, BufReader};

        let mut command = place.command(&["serve", "jobs", "--json", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("haul starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let first: Value = serde_json::from_str(&lines.next().expect("a line")).expect("JSON");
        std::thread::spawn(move || lines.for_each(drop));
        let daemon = Daemon { child, url: format!("http://{}", first["address"].as_str().expect("an address")) };
        wait_until("the job is opened", || daemon.get("/jobs/test/powerbi").starts_with("HTTP/1.1 200"));
        daemon
    }

    fn get(&self, path: &str) -> String {
        get(&format!("{}{path}", self.url))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_and_the_metrics_say_when_shares_end() {
    let scene = Scene::start_with("schedule: { cron: '0 0 1 1 *', timezone: UTC }\n");
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    scene.add_policy("theirs", &["--days", "3"]);
    scene.add_policy("haul-late-90d-aaaaaaaaaa", &["--days", "70"]);
    scene.add_policy("haul-over-90d-bbbbbbbbbb", &["--days", "-2"]);
    let end = scene.end_of("haul-over-90d-bbbbbbbbbb");
    let daemon = Daemon::start(&scene.place);
    let page = daemon.get("/jobs/test/powerbi");
    let shares = page.split_once("id=\"shares\"").expect("a card").1.split("</section>").next().expect("its end");
    assert!(shares.contains("haul-late-90d-aaaaaaaaaa") && shares.contains("haul-over-90d-bbbbbbbbbb"), "{shares}");
    assert!(!shares.contains("theirs") && shares.contains(">ended<"), "{shares}");
    assert!(page.contains("haul share create") && page.contains("sr = &quot;c&quot;, si = SasPolicy"), "{page}");
    assert!(daemon.get("/jobs/test").contains("The first share ended"));
    let metric = format!("haul_share_expiry_timestamp_seconds{{job=\"test\"}} {}", end.timestamp());
    let metrics = daemon.get("/metrics");
    assert!(metrics.contains(&metric), "{metric}: {metrics}");
    // It is not asked at every look.
    scene.share(&["revoke", "haul-over-90d-bbbbbbbbbb"]).expect_code(0);
    assert!(daemon.get("/metrics").contains(&metric));
    drop(daemon);

    let other = Server::start(|request, _| match request.param("comp").as_deref() {
        Some("acl") => status(403, "").with("x-ms-error-code", "AuthorizationFailure"),
        _ => status(404, "<Error><Code>BlobNotFound</Code></Error>"),
    });
    let place = place_at(&scene.azurite, scene.azurite.text("key")).env("AZURE_STORAGE_ENDPOINT", &other.url);
    place.file("jobs/test.yaml", &std::fs::read_to_string(&scene.file).expect("a job"));
    let daemon = Daemon::start(&place);
    let page = daemon.get("/jobs/test/powerbi");
    assert!(page.contains("They cannot be read: the storage account refuses the key"), "{page}");
    assert!(!daemon.get("/metrics").contains("haul_share_expiry_timestamp_seconds{"));
    assert!(!daemon.get("/jobs/test").contains("first share"));
}
