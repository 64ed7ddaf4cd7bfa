//! Gates: a run whose tables are not what the job requires is held, shown, and approved or discarded by a person. And
//! tables that did not change are not written again.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::one_page::OnePage;
use support::server::{Server, ok, status};
use support::{Done, Workplace, job};

fn rows(count: u64) -> Value {
    json!((0..count).map(|id| json!({ "id": id, "name": format!("n{id}"), "at": "2026-01-01" })).collect::<Vec<_>>())
}

fn haul(scene: &OnePage, args: &[&str], code: i32) -> Done {
    let mut all = vec![args[0], scene.file.as_str()];
    all.extend(&args[1..]);
    scene.place.haul(&all).expect_code(code)
}

fn held_runs(scene: &OnePage) -> Vec<String> {
    let listed = haul(scene, &["runs", "--json"], 0).json();
    listed["held"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|held| held["run"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn a_table_that_lost_its_rows_is_held_until_a_person_approves() {
    let scene = OnePage::new("", rows(200));
    scene.run();
    scene.set(rows(20));
    let held = haul(&scene, &["run", "--json"], 4);
    let report = held.json();
    assert_eq!(report["outcome"], "held");
    assert_eq!(report["tables"]["items"]["outcome"], "held");
    assert_eq!(report["held"], json!(["table `items` has 20 rows and had 200: 90 %, allowed 50 %"]));
    assert_eq!(scene.rows("items").len(), 200, "readers see the former rows");
    let run = report["run"].as_str().expect("an id").to_owned();
    assert_eq!(held_runs(&scene), [run.as_str()]);
    haul(&scene, &["runs"], 0).expect_says(&[&run, "allowed 50 %", "20 rows", "--approve RUN"]);
    let approved = haul(&scene, &["publish", "--approve", &run, "--json"], 0).json();
    assert_eq!(approved["outcome"], "published");
    assert_eq!(scene.rows("items").len(), 20);
    assert_eq!(scene.manifest()["sequence"], 2);
    assert!(held_runs(&scene).is_empty());
    haul(&scene, &["publish", "--approve", &run], 2).expect_says(&["no run `", "is held"]);
    // The alias shows what was approved.
    let alias = std::fs::metadata(scene.place.path("out/test/items/current.parquet")).expect("an alias").len();
    assert_eq!(scene.manifest()["tables"]["items"]["parts"][0]["bytes"], alias);
    // From now on this is what there was.
    assert_eq!(scene.run()["outcome"], "unchanged");
}

#[test]
fn a_held_run_is_discarded_or_overtaken() {
    let scene = OnePage::new("", rows(200));
    scene.run();
    scene.set(json!([]));
    haul(&scene, &["run"], 4)
        .expect_says(&["held: table `items` is empty and had 200 rows", "readers still see 00000001-"]);
    haul(&scene, &["publish", "--discard"], 0).expect_says(&["is discarded"]);
    assert!(held_runs(&scene).is_empty());
    haul(&scene, &["publish", "--discard"], 2).expect_says(&["no run of this job is held"]);
    haul(&scene, &["publish", "--approve", "../../../etc/passwd"], 2).expect_says(&["is held"]);
    haul(&scene, &["publish"], 2);
    // A second run that is held takes the place of the first, a run that publishes that of both.
    haul(&scene, &["run"], 4);
    let first = held_runs(&scene);
    scene.set(rows(1));
    haul(&scene, &["run"], 4);
    let second = held_runs(&scene);
    assert!(second.len() == 1 && second != first);
    let kept = std::fs::read(scene.place.path(&format!("out/test/_held/{}.json", second[0]))).expect("a held run");
    scene.set(rows(201));
    assert_eq!(scene.run()["outcome"], "published");
    assert!(held_runs(&scene).is_empty());
    // Its rows are older than what readers see: nobody can bring them back.
    std::fs::write(scene.place.path(&format!("out/test/_held/{}.json", second[0])), kept).expect("written");
    haul(&scene, &["publish", "--approve"], 2)
        .expect_says(&["table `items` was published since it was held", "discard it"]);
    assert_eq!(scene.rows("items").len(), 201);
}

#[test]
fn every_gate_of_the_job_holds() {
    let scene = OnePage::new("key: [id]\n", rows(3));
    let check = |require: &str, records: Value, says: &[&str]| {
        scene.say_also("key: [id]\n", &format!("publish:\n  require:\n    {require}\n"));
        scene.set(records);
        haul(&scene, &["run"], 4).expect_says(says);
    };
    let row = |id: Value, name: Value| json!({ "id": id, "name": name, "at": "2026-01-01" });
    check("items: { rows_min: 4 }", rows(3), &["has 3 rows, at least 4 are required"]);
    check("'*': { rows_min: 4 }", rows(3), &["has 3 rows, at least 4 are required"]);
    check(
        "'*': {}",
        json!([row(json!(1), json!("a")), row(json!(1), json!("b"))]),
        &["1 row whose key (`id`) another row has"],
    );
    check("items: { keys: hold }", json!([row(json!(null), json!("a"))]), &["1 row without a value in the key (`id`)"]);
    check("items: {}", json!([{ "name": "a" }]), &["1 row without a value in the key"]);
    let nulls = json!([row(json!(1), json!(null)), row(json!(2), json!("b")), row(json!(3), json!("c"))]);
    check(
        "items: { nulls_max: { name: 30% } }",
        nulls.clone(),
        &["no value for `name` in 1 of 3 rows: 33.3 %, allowed 30 %"],
    );
    check("items: { newest: { column: at, within: 2d } }", rows(3), &["nothing newer than 2026-01-01 00:00Z in `at`"]);
    check("items: { newest: { column: name, within: 2d } }", rows(3), &["no date or time in `name`"]);
    assert!(!scene.place.path("out/test/_latest.json").exists(), "nothing was ever published");
    // What is allowed passes.
    let double = json!([row(json!(1), json!("a")), row(json!(1), json!("b"))]);
    scene.set(double);
    scene.say_also("key: [id]\n", "publish: { require: { items: { keys: allow, nulls_max: { name: 0% }, newest: { column: at, within: 3650d } } } }\n");
    scene.run();
    assert_eq!(scene.rows("items").len(), 2);
    scene.set(json!([{ "id": 1, "name": "a", "at": "2026-01-01", "extra": 1 }]));
    scene.say_also("key: [id]\n", "publish: { require: { items: { schema_changes: hold } } }\n");
    haul(&scene, &["run"], 4).expect_says(&["other columns than before: `extra`"]);
    scene.set(json!([]));
    scene.say_also("key: [id]\n", "publish: { require: { items: { empty: allow } } }\n");
    assert_eq!(scene.run()["tables"]["items"]["rows"], 0);
}

#[test]
fn gates_that_cannot_be_meant_are_told_together() {
    let scene = OnePage::new("", rows(1));
    scene.say_also(
        "write: append\n",
        "publish:\n  require:\n    itms: { rows_min: 1 }\n    items: { rows_drop_max: 120%, keys: hold, nulls_max: { a: some }, newest: { column: at, within: soon } }\n",
    );
    haul(&scene, &["check"], 2).expect_says(&[
        "the job has no table `itms`",
        "did you mean `items`?",
        "`120%` is no share",
        "`some` is no share",
        "`soon` is no span of time",
        "the keys of `items` are not counted",
    ]);
}

#[test]
fn gates_look_at_the_whole_table_of_a_merge_and_at_csv() {
    for format in ["parquet", "csv"] {
        let scene = OnePage::new("", json!([]));
        let stream = "key: [id]\nwrite: merge\n";
        let rest =
            format!("  format: {format}\npublish: {{ require: {{ items: {{ nulls_max: {{ name: 10% }} }} }} }}\n");
        scene.say_also(stream, &rest);
        let row = |id: u64, name: Value| json!({ "id": id, "name": name });
        scene.set(json!((0..9).map(|id| row(id, json!("n"))).collect::<Vec<_>>()));
        if format == "csv" {
            // Rows stay where they are Parquet only; a CSV is replaced.
            scene.say_also("key: [id]\n", &rest);
        }
        scene.run();
        if format == "parquet" {
            scene.set(json!([row(10, json!(null))]));
            assert_eq!(scene.run()["tables"]["items"]["rows"], 10);
            scene.set(json!([row(11, json!(null))]));
            haul(&scene, &["run"], 4).expect_says(&["in 2 of 11 rows: 18.2 %, allowed 10 %"]);
        } else {
            scene.set(json!([row(1, json!(null)), row(2, json!("b"))]));
            haul(&scene, &["run"], 4).expect_says(&["in 1 of 2 rows: 50 %, allowed 10 %"]);
        }
    }
}

#[test]
fn a_table_that_is_held_does_not_hold_the_independent_ones() {
    let place = Workplace::new();
    let server = Server::start(move |request, number| match (request.path(), number) {
        ("/a", _) => ok(json!([{ "id": number }]).to_string()),
        ("/b", 0..=3) => ok(rows(if number < 2 { 150 } else { 10 }).to_string()),
        _ => status(500, ""),
    });
    let text = job(&server.url, "", "")
        .replace("path: /items", "path: /b")
        .replace("name: items", "name: b")
        .replace("destination:", "  - name: a\n    path: /a\ndestination:");
    let file = place.file("job.yaml", &format!("{text}publish: {{ tables: independent }}\n"));
    place.haul(&["run", &file]).expect_code(0);
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["outcome"], "published");
    assert_eq!(
        (&report["tables"]["a"]["outcome"], &report["tables"]["b"]["outcome"]),
        (&json!("published"), &json!("held"))
    );
    let approved = place.haul(&["publish", &file, "--approve", "--json"]).expect_code(0).json();
    assert_eq!(approved["run"], report["run"]);
    let snapshots = place.haul(&["snapshots", &file, "--json"]).expect_code(0).json();
    let current = &snapshots["snapshots"][0]["tables"];
    assert_eq!((&current["a"]["rows"], &current["b"]["rows"]), (&json!(1), &json!(10)));
}

#[test]
fn what_did_not_change_is_not_written_again() {
    for format in ["parquet", "csv"] {
        let scene = OnePage::new("", rows(5));
        scene.say_also("", &format!("  format: {format}\n"));
        assert_eq!(scene.run()["outcome"], "published");
        let files = |scene: &OnePage| -> BTreeSet<_> {
            scene
                .place
                .contents("out")
                .into_iter()
                .map(|(path, _)| path)
                .filter(|path| !path.ends_with("_status.json"))
                .collect()
        };
        let before = files(&scene);
        let again = scene.run();
        assert_eq!(
            (&again["outcome"], &again["tables"]["items"]["outcome"]),
            (&json!("unchanged"), &json!("unchanged"))
        );
        assert_eq!(again["snapshot"], format!("{:08}-{}", 1, scene.manifest()["run"].as_str().expect("a run")));
        assert_eq!(files(&scene), before);
        haul(&scene, &["run"], 0).expect_says(&["nothing changed: 00000001-"]);
        let status = scene.json("out/test/_status.json");
        assert_eq!(status["outcome"], "unchanged");
        // An alias that a killed run did not write is written by the next.
        let alias = scene.place.path(&format!("out/test/items/current.{format}"));
        let shown = std::fs::read(&alias).expect("an alias");
        std::fs::remove_file(&alias).expect("removed");
        assert_eq!(scene.run()["outcome"], "unchanged");
        assert_eq!(std::fs::read(&alias).expect("an alias"), shown);
        // A part that is gone is no reason to publish nothing.
        let part = scene.manifest()["tables"]["items"]["parts"][0]["path"].as_str().expect("a path").to_owned();
        std::fs::remove_file(scene.place.path("out/test").join(part)).expect("removed");
        assert_eq!(scene.run()["outcome"], "published");
        scene.set(rows(6));
        assert_eq!(scene.run()["outcome"], "published");
        assert_eq!(scene.manifest()["sequence"], 3);
    }
}
