//! What goes wrong between a report and its files: the queries say it, or read on from one snapshot.

use serde_json::{Value, json};

use super::scene::{Scene, evaluate, rows_of, text, wait_until};
use crate::support::rigs::output_of;

fn request(scene: &Scene, share: &Value, tables: &[&str]) -> Value {
    json!({ "queries": scene.queries(&[]), "values": share["parameters"], "evaluate": tables })
}

#[track_caller]
fn error_of(seen: &Value, table: &str) -> (String, String, String) {
    let error = &seen["results"][table]["error"];
    assert!(error.is_object(), "no error: {seen:#}");
    let detail = error["detail"].as_str().unwrap_or_default();
    (text(error, "reason").to_owned(), text(error, "message").to_owned(), detail.to_owned())
}

#[test]
fn a_wrong_signature_is_the_engines_own_error() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let right = request(&scene, &share, &["customers"]);
    let mut wrong = right.clone();
    let signature = text(&right["values"], "SasSignature").to_lowercase();
    wrong["values"]["SasSignature"] = signature.into();
    let seen = evaluate(&wrong);
    assert_eq!(error_of(&seen, "customers").0, "credentials");
    assert_eq!(seen["requests"].as_array().map(Vec::len), Some(1), "it asks once: {seen:#}");
    assert_eq!(seen["requests"][0]["status"], 403);
    // Nothing typed in at all.
    wrong["values"]["SasSignature"] = "".into();
    assert_eq!(error_of(&evaluate(&wrong), "customers").0, "credentials");
    assert!(evaluate(&right)["results"]["customers"]["rows"].is_array());
}

#[test]
fn a_revoked_share_opens_nothing_and_another_still_does() {
    let scene = Scene::in_azure();
    let (first, second) = (scene.share(), scene.share());
    let policy = text(&first["share"], "policy");
    let mut asked = request(&scene, &first, &["customers"]);
    assert!(evaluate(&asked)["results"]["customers"]["rows"].is_array());
    scene.place.haul(&["share", "revoke", &scene.file, policy]).expect_code(0);
    wait_until("the revoked share opens nothing", || !scene.opens(&first));
    assert_eq!(error_of(&evaluate(&asked), "customers").0, "credentials");
    asked["values"] = second["parameters"].clone();
    assert!(evaluate(&asked)["results"]["customers"]["rows"].is_array());
}

#[test]
fn a_share_that_ended_opens_nothing_until_it_is_extended() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let policy = text(&share["share"], "policy");
    let asked = request(&scene, &share, &["customers"]);
    let url = scene.azure_url();
    let end = ["policy", "--url", url, "--container", "reports", "--name", policy, "--days", "-1"];
    output_of("blob.py", &end);
    wait_until("the share that ended opens nothing", || !scene.opens(&share));
    assert_eq!(error_of(&evaluate(&asked), "customers").0, "credentials");
    scene.place.haul(&["share", "extend", &scene.file]).expect_code(0);
    wait_until("the extended share opens the files", || scene.opens(&share));
    // The same queries with the same signature.
    assert!(evaluate(&asked)["results"]["customers"]["rows"].is_array());
}

#[test]
fn a_publication_between_two_reads_leaves_one_whole_snapshot() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let before = scene.manifest();
    let old = scene.rows(&before, "customers", Some(&share));
    let mut asked = request(&scene, &share, &["customers"]);
    let command = scene.place.command(&["run", &scene.file]);
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    let env: Value = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_string_lossy().into_owned(), value?.to_string_lossy().into())))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    for after in [1, 2] {
        let seen_before = scene.manifest();
        scene.set("/customers", json!([{ "id": 100 + after, "name": "new" }]));
        asked["after"] = json!([{ "request": after, "command": words, "env": env }]);
        let seen = evaluate(&asked);
        assert_ne!(scene.manifest()["snapshot"], seen_before["snapshot"], "the run in between published nothing");
        let rows = rows_of(&seen["results"]["customers"], text(&seen_before, "snapshot"));
        if after == 1 {
            assert_eq!(json!(rows), old);
        } else {
            assert_eq!(rows, [vec![json!(101), json!("new")]]);
        }
    }
    // The next refresh sees the new one.
    asked["after"] = json!([]);
    let rows = rows_of(&evaluate(&asked)["results"]["customers"], text(&scene.manifest(), "snapshot"));
    assert_eq!(rows, [vec![json!(102), json!("new")]]);
}

#[test]
fn a_part_that_is_missing_is_told_by_its_name() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let manifest = scene.manifest();
    let part = text(&manifest["tables"]["customers"]["parts"][0], "path");
    let asked = request(&scene, &share, &["customers", "orders"]);
    let delete = |name: &str| {
        let name = format!("exports/sales/{name}");
        output_of("blob.py", &["delete", "--url", scene.azure_url(), "--container", "reports", "--name", &name])
    };
    delete(part);
    let seen = evaluate(&asked);
    let (reason, message, detail) = error_of(&seen, "customers");
    assert_eq!(reason, "haul.NoSuchFile");
    assert!(message.contains(part) && message.contains("sales"), "{message}");
    assert!(detail.contains("haul powerbi check"), "{detail}");
    assert!(seen["results"]["orders"]["rows"].is_array(), "the other tables are read");
    // A dataset that was never published, or is gone.
    delete("_latest.json");
    let (reason, message, _) = error_of(&evaluate(&asked), "orders");
    assert_eq!(reason, "haul.NoSuchFile");
    assert!(message.contains("_latest.json"), "{message}");
}
