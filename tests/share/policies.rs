//! Stored access policies: what an independent reader may do with their signatures, and what others' policies go through.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use chrono::{TimeDelta, Utc};
use serde_json::Value;

use crate::scene::{Daemon, Scene, Url, is_near, place_at, text, wait_until};
use crate::support::rigs::read;
use crate::support::server::{Server, ok, status};
use crate::support::{Done, Workplace};

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
    scene.share(&["revoke", &policy]).expect_code(2).expect_says(&["there is no share"]);
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

    let place = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", scene.azurite.text("account"))
        .env("AZURE_STORAGE_SAS_TOKEN", "sv=2023-11-03&sp=rwl&sig=canary")
        .env("AZURE_STORAGE_ENDPOINT", scene.azurite.url())
        .env("AZURE_ALLOW_HTTP", "true");
    let file = place.file("job.yaml", &text);
    place.haul(&["share", "create", &file]).expect_code(2).expect_says(&["there is neither", "user-delegation"]);

    let gone = Server::start(|_, _| status(503, "<Error><Code>ServerBusy</Code></Error>"));
    let place = place_at(&scene.azurite, scene.azurite.text("key")).env("AZURE_STORAGE_ENDPOINT", &gone.url);
    let file = place.file("job.yaml", &text);
    place.haul(&["share", "list", &file]).expect_code(75).expect_says(&["answered status 503"]);
    assert!(gone.asked().len() > 1, "it was tried once");
    scene.place.haul(&["share", "create", &scene.file, "--days", "0"]).expect_code(2);
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
    assert!(
        page.contains("haul share create") && page.contains("sr = &quot;c&quot;") && page.contains("si = SasPolicy"),
        "{page}"
    );
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
    assert!(page.contains("The shares cannot be read: the storage account refuses the key"), "{page}");
    assert!(!daemon.get("/metrics").contains("haul_share_expiry_timestamp_seconds{"));
    assert!(!daemon.get("/jobs/test").contains("first share"));
}
