//! A share printed once more, replaced, widened by somebody, and read past its former end.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::scene::{Scene, is_near, place_at, text, wait_until};
use crate::support::faults::{Fault, Faults};
use crate::support::rigs::output_of;

/// What Microsoft's own library may do with the query of a share.
fn tried(scene: &Scene, share: &Value) -> Value {
    let found = output_of(
        "blob.py",
        &[
            "try",
            "--url",
            scene.azurite.url(),
            "--container",
            "reports",
            "--prefix",
            "exports/test",
            "--sas",
            text(share, "query"),
        ],
    );
    serde_json::from_str(&found).expect("JSON")
}

fn id(made: &Value) -> &str {
    text(&made["share"], "policy")
}

#[test]
fn a_share_is_shown_again_and_may_read_only() {
    let scene = Scene::start();
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    for (options, list) in [(&[][..], "AuthorizationPermissionMismatch"), (&["--list"][..], "done")] {
        let made = scene.share(&[&["create", "--days", "20"], options].concat()).expect_code(0).json();
        let again = scene.share(&["show", id(&made)]).expect_code(0).json();
        assert_eq!(made, again);
        wait_until("the share opens the files", || scene.is_read_with(&made));
        let may = tried(&scene, &made);
        let refused = "AuthorizationPermissionMismatch";
        let expect = json!({ "read": "done", "list": list, "write": refused, "overwrite": refused, "delete": refused });
        for (what, expect) in expect.as_object().expect("answers") {
            assert_eq!(&may[what], expect, "{what}: {may}");
        }
        assert_ne!(may["policies"], "done", "{may}");
    }
    let shown = scene.place.haul(&["share", "show", &scene.file, "nobody"]).expect_code(2);
    shown.expect_says(&["there is no share `nobody`", "haul share list"]);
    scene.add_policy("theirs", &[]);
    scene.share(&["show", "theirs"]).expect_code(2).expect_says(&["is not haul's"]);
    // A directory is signed as such; the emulator takes no such signature, `tests/expected/sas.json` proves what is signed.
    let folder = scene.share(&["create", "--folder", "--list"]).expect_code(0).json();
    assert!(id(&folder).starts_with("haul-test-90dlf-"), "{folder}");
    assert_eq!((&folder["resource"], &folder["depth"]), (&json!("d"), &json!(2)));
    assert!(text(&folder, "query").contains("sr=d&sdd=2&"), "{folder}");
    assert_eq!(scene.share(&["show", id(&folder)]).expect_code(0).json(), folder);
    assert_eq!(tried(&scene, &folder)["read"], "AuthorizationFailure");
}

#[test]
fn the_same_address_works_past_its_former_end() {
    let scene = Scene::start();
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    let made = scene.share(&["create", "--days", "1"]).expect_code(0).json();
    wait_until("the share opens the files", || scene.is_read_with(&made));
    // As if its time were over in a moment.
    scene.add_policy(id(&made), &["--seconds", "4"]);
    let end = scene.end_of(id(&made));
    wait_until("it is over", || !scene.is_read_with(&made));
    assert!(Utc::now() >= end, "it was refused before its end");
    scene.place.haul(&["share", "list", &scene.file]).expect_code(0).expect_says(&["ended"]);
    scene.place.haul(&["share", "show", &scene.file, id(&made)]).expect_code(0).expect_says(&["it ended at"]);
    scene.share(&["extend"]).expect_code(0);
    wait_until("the same address opens the files again", || scene.is_read_with(&made));
    assert!(Utc::now() > end);
    scene.share(&["revoke", id(&made)]).expect_code(0);
    wait_until("it opens nothing any more", || !scene.is_read_with(&made));
    assert_eq!(tried(&scene, &made)["read"], "AuthorizationFailure");
}

#[test]
fn a_share_is_replaced() {
    let scene = Scene::start();
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    scene.share(&["rotate"]).expect_code(2).expect_says(&["no share that goes on"]);
    // That of another job is not meant.
    scene.add_policy("haul-other-90d-aaaaaaaaaa", &["--days", "80"]);
    scene.share(&["rotate"]).expect_code(2).expect_says(&["no share that goes on"]);
    let first = scene.share(&["create", "--days", "40", "--list"]).expect_code(0).json();
    assert_eq!(scene.share(&["show"]).expect_code(0).json(), first);
    let second = scene.share(&["rotate"]).expect_code(0).expect_says(&["the former one goes on"]).json();
    assert!(id(&second).starts_with("haul-test-40dl-") && id(&second) != id(&first), "{second}");
    assert_eq!(second["share"]["permissions"], "rl");
    wait_until("both open the files", || scene.is_read_with(&first) && scene.is_read_with(&second));

    scene.share(&["show"]).expect_code(2).expect_says(&["the job has 2 shares"]);
    scene.share(&["rotate"]).expect_code(2).expect_says(&["the job has 2 shares", id(&first), id(&second)]);
    scene.share(&["rotate", id(&first), "--revoke-after", "3"]).expect_code(0).expect_says(&[id(&first), "ends at"]);
    assert!(is_near(scene.end_of(id(&first)), Utc::now() + TimeDelta::days(3)));
    assert!(scene.is_read_with(&first), "it opens until then");
    // What is replaced is extended by nobody.
    scene.share(&["extend", "--days", "300"]).expect_code(0);
    assert!(is_near(scene.end_of(id(&first)), Utc::now() + TimeDelta::days(3)));
    let run = scene.place.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
    assert!(run["warnings"].to_string().contains(&format!("the share `{}` ends at", id(&first))), "{run:#}");
    assert!(is_near(scene.end_of(id(&first)), Utc::now() + TimeDelta::days(3)));
    scene.place.haul(&["share", "list", &scene.file]).expect_code(0).expect_says(&["replaced"]);

    while scene.policies()["policies"].as_object().expect("policies").len() < 5 {
        scene.share(&["create"]).expect_code(0);
    }
    let full = scene.share(&["rotate", id(&second)]).expect_code(1);
    full.expect_says(&["5 is the most", "--revoke"]);
    let third = scene.share(&["rotate", id(&second), "--revoke"]).expect_code(0).json();
    assert_eq!(scene.policies()["policies"].as_object().expect("policies").len(), 5);
    wait_until("the new one opens the files", || scene.is_read_with(&third));
    wait_until("the former one opens nothing", || !scene.is_read_with(&second));
    scene.share(&["rotate", "haul-nobody"]).expect_code(2).expect_says(&["there is no share"]);
}

#[test]
fn what_somebody_widened_is_told_everywhere() {
    let scene = Scene::start();
    let made = scene.share(&["create"]).expect_code(0).json();
    let policy = id(&made).to_owned();
    assert_eq!(made["share"]["excess"], "");
    scene.add_policy(&policy, &["--permission", "rwdl"]);
    let wider = format!("the share `{policy}` was made for `r`, and somebody changed that to `rwdl`");
    scene.place.haul(&["share", "list", &scene.file]).expect_code(0).expect_says(&["WIDER than made: wdl", &wider]);
    scene
        .place
        .haul(&["share", "show", &scene.file, &policy])
        .expect_code(0)
        .expect_says(&["read and change (rwdl)", &wider]);
    assert_eq!(scene.share(&["list"]).expect_code(0).json()["shares"][0]["excess"], "wdl");
    let run = scene.place.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
    assert!(run["warnings"].to_string().contains(&wider), "{run:#}");
    // Another one is as narrow as haul makes them.
    let other = scene.share(&["rotate", &policy, "--revoke"]).expect_code(0).json();
    assert_eq!((&other["share"]["permissions"], &other["share"]["excess"]), (&json!("r"), &json!("")));
}

#[test]
fn a_run_tells_of_a_share_that_it_cannot_extend() {
    let scene = Scene::start();
    scene.add_policy("haul-soon-90d-aaaaaaaaaa", &["--days", "9"]);
    scene.add_policy("haul-later-90d-bbbbbbbbbb", &["--days", "40"]);
    // The account lets the list be read, and not be written.
    let account = Faults::start(scene.azurite.url());
    account.plan(|asked, _| match asked.method == "PUT" && asked.target.contains("comp=acl") {
        true => Fault::Refuse(403),
        false => Fault::Pass,
    });
    let place = place_at(&scene.azurite, scene.azurite.text("key")).env("AZURE_STORAGE_ENDPOINT", &account.url);
    let file = place.file("jobs/test.yaml", &std::fs::read_to_string(&scene.file).expect("a job"));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    let told = report["warnings"].to_string();
    assert!(told.contains("could not be extended, and soon the share `haul-soon-90d-aaaaaaaaaa` ends at"), "{told}");
    assert!(!told.contains("haul-later"), "{told}");
}
