//! Each form in which deletions are told, by the answers of known APIs, and what must never empty a table.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::scene::{column, manifest, rows};
use crate::support::server::{Answer, Request, Server, ok, status};
use crate::support::{Done, Workplace, job};

/// A source whose answers a test changes between runs, by path.
struct Scene {
    place: Workplace,
    server: Server,
    answers: Arc<Mutex<Vec<(&'static str, Answer)>>>,
    file: String,
}

impl Scene {
    /// With further lines for the stream `items`, and further streams and sections behind it.
    fn new(stream: &str, more: &str) -> Self {
        let answers: Arc<Mutex<Vec<(&'static str, Answer)>>> = Arc::default();
        let server = {
            let answers = Arc::clone(&answers);
            Server::start(move |request: &Request, _| {
                let answers = answers.lock().expect("answers");
                let found = answers.iter().find(|(path, _)| *path == request.path());
                found.map_or_else(|| status(404, "nothing here"), |(_, answer)| answer.clone())
            })
        };
        let place = Workplace::new();
        let text = job(&server.url, "", stream).replace("destination:", &format!("{more}destination:"));
        let file = place.file("job.yaml", &text);
        Scene { place, server, answers, file }
    }

    fn answer(&self, path: &'static str, body: Value) {
        self.answer_as(path, ok(body.to_string()));
    }

    fn answer_as(&self, path: &'static str, answer: Answer) {
        let mut answers = self.answers.lock().expect("answers");
        answers.retain(|(other, _)| *other != path);
        answers.push((path, answer));
    }

    fn run(&self, more: &[&str]) -> Done {
        self.place.haul(&[&["run", self.file.as_str()], more].concat())
    }

    /// A run that is well, and what it tells of the merge of `items`.
    #[track_caller]
    fn merged(&self) -> Value {
        self.run(&["--json"]).expect_code(0).json()["tables"]["items"]["merge"].clone()
    }

    fn ids(&self) -> Vec<String> {
        column(&self.place.path("out/test"), "items", "id")
    }
}

const INCREMENTAL: &str = "paging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }\n";

#[test]
fn records_tell_themselves_as_known_apis_do() {
    // The job's words, what stands in a record that is gone, and what in one that is there.
    for (deleted, gone, there) in [
        ("field: '[\"@removed\"]'", json!({ "@removed": { "reason": "deleted" } }), json!({})),
        ("field: archived", json!({ "archived": true }), json!({ "archived": false })),
        ("field: IsDeleted", json!({ "IsDeleted": true, "word": "x" }), json!({ "IsDeleted": false })),
        ("field: deleted_at", json!({ "deleted_at": "2024-01-31T00:00:00Z" }), json!({ "deleted_at": null })),
        ("field: state.kind, value: DEL", json!({ "state": { "kind": "DEL" } }), json!({ "state": { "kind": "NEW" } })),
        ("field: live, value: false", json!({ "live": false }), json!({ "live": true })),
        ("field: flag, value: N", json!({ "flag": "N" }), json!({ "flag": "Y" })),
    ] {
        let scene = Scene::new(&format!("{INCREMENTAL}filter: record.word is defined\ndeleted: {{ {deleted} }}"), "");
        let with = |base: Value, more: &Value| {
            let mut record = base;
            record.as_object_mut().expect("a record").extend(more.as_object().expect("members").clone());
            record
        };
        let live = |id: i64, n: i64| with(json!({ "id": id, "n": n, "word": "w" }), &there);
        // The third is gone before anybody saw it, and lacks all but its key.
        scene.answer("/items", json!([live(1, 1), live(2, 2), with(json!({ "id": 3, "n": 3 }), &gone)]));
        let counts = scene.merged();
        assert_eq!((&counts["deletions"], &counts["deleted"]), (&json!(1), &json!(0)), "{deleted}");
        assert_eq!(scene.ids(), ["1", "2"], "{deleted}");
        scene.answer("/items", json!([with(json!({ "id": 1, "n": 4 }), &gone), live(4, 5)]));
        let counts = scene.merged();
        assert_eq!((&counts["deleted"], &counts["inserted"]), (&json!(1), &json!(1)), "{deleted}: {counts}");
        assert_eq!(scene.ids(), ["2", "4"], "{deleted}");
        // It moved the cursor on, and nothing of it became a column.
        let names: Vec<String> = rows(&scene.place.path("out/test"), "items")[0].keys().cloned().collect();
        assert!(!names.iter().any(|name| name.contains("removed")), "{names:?}");
        // It comes again, and is there again; the older tombstone that is read once more does not matter.
        scene.answer("/items", json!([with(json!({ "id": 1, "n": 4 }), &gone), live(1, 6)]));
        scene.merged();
        assert_eq!(scene.ids(), ["1", "2", "4"], "{deleted}");
        scene.answer("/items", json!([live(1, 6), with(json!({ "id": 1, "n": 4 }), &gone)]));
        scene.merged();
        assert_eq!(scene.ids(), ["1", "2", "4"], "{deleted}");
    }
}

#[test]
fn a_tombstone_without_a_cursor_is_as_new_as_its_place() {
    let scene = Scene::new(&format!("{INCREMENTAL}deleted: {{ field: gone }}"), "");
    scene.answer("/items", json!([{ "id": 1, "n": 1 }, { "id": 2, "n": 2 }, { "id": 3, "n": 3 }]));
    scene.merged();
    scene.answer("/items", json!([{ "id": 1, "gone": true }, { "id": 2, "gone": true }, { "id": 2, "n": 4 }, { "id": 3, "n": 5 }, { "id": 3, "gone": true }]));
    scene.merged();
    assert_eq!(scene.ids(), ["2"]);
}

#[test]
fn what_does_not_say_yes_or_no_and_what_has_no_key_is_an_error() {
    let scene = Scene::new(&format!("{INCREMENTAL}deleted: {{ field: gone }}"), "");
    scene.answer("/items", json!([{ "id": 1, "n": 1, "gone": "N" }]));
    scene.run(&[]).expect_code(1).expect_says(&["record 1 of page 1 has `\"N\"` in `gone`", "value:"]);
    scene.answer("/items", json!([{ "id": 1, "n": 1 }, { "n": 2, "gone": true }]));
    scene.run(&[]).expect_code(1).expect_says(&["`id`", "key"]);
    scene.answer("/items", json!([{ "id": 1, "n": 1 }, { "id": "one", "n": 2, "gone": true }]));
    scene.run(&[]).expect_code(1).expect_says(&["`id`", "`one`"]);
}

/// Parts of the key may come from the job: the value of a slice, a constant, a name of its own.
#[test]
fn a_tombstone_has_the_key_that_rows_have() {
    let stream = "paging: none\nkey: [company, region, no]\nslices: [{ list: { name: region, values: [eu, us], column: region } }]\n\
                  params: { region: \"{{ slice.region }}\", since: \"{{ cursor }}\" }\nadd: { company: north, twice: \"{{ record.n * 2 }}\" }\n\
                  rename: { Number: no }\nselect: [Number, n]\nincremental: { cursor: n, start: 0 }\ndeleted: { field: gone }";
    let server = Server::start(|request, _| {
        let is_first = request.param("since").as_deref() == Some("0");
        ok(match (is_first, request.param("region").as_deref()) {
            (true, Some("eu")) => r#"[{"Number":1,"n":1},{"Number":2,"n":1}]"#,
            (true, _) => r#"[{"Number":1,"n":1},{"Number":2,"n":2}]"#,
            (false, Some("eu")) => r#"[{"Number":1,"n":3,"gone":true}]"#,
            (false, _) => r#"[{"Number":2,"gone":true}]"#,
        })
    });
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", stream));
    for _ in 0..2 {
        place.haul(&["run", &file]).expect_code(0);
    }
    let folder = place.path("out/test");
    assert_eq!(column(&folder, "items", "region"), ["\"eu\"", "\"us\""]);
    assert_eq!(column(&folder, "items", "no"), ["1", "2"]);
    assert_eq!(rows(&folder, "items").iter().find(|row| row["region"] == "eu").expect("a row")["no"], 2);
}

#[test]
fn the_report_tells_and_the_rows_of_lists_go_with_their_record() {
    let tables = "tables: [{ name: lines, from: lines }]\ndeleted: { field: gone }";
    let scene = Scene::new(&format!("{INCREMENTAL}{tables}"), "");
    let record = |id: i64, n: i64| json!({ "id": id, "n": n, "lines": [{ "q": id }, { "q": id * 10 }] });
    scene.answer("/items", json!([record(1, 1), record(2, 2), record(3, 3)]));
    scene.merged();
    scene.answer("/items", json!([record(3, 4), { "id": 2, "n": 5, "gone": true, "lines": [{ "q": 7 }] }]));
    scene.run(&[]).expect_code(0).expect_says(&[
        "table `items`: 1 row read",
        "1 deleted",
        "table `lines`",
        "2 deleted",
    ]);
    assert_eq!(column(&scene.place.path("out/test"), "lines", "q"), ["1", "10", "3", "30"]);
    // Nothing but deletions in a read. An empty table would be held.
    let text =
        std::fs::read_to_string(&scene.file).expect("a job") + "publish: { require: { '*': { empty: allow } } }\n";
    scene.place.file("job.yaml", &text);
    scene.answer("/items", json!([{ "id": 1, "n": 6, "gone": true }, { "id": 3, "n": 6, "gone": true }]));
    scene.merged();
    assert_eq!((scene.ids().len(), column(&scene.place.path("out/test"), "lines", "q").len()), (0, 0));
    scene.answer("/items", json!([record(9, 9)]));
    scene.merged();
    assert_eq!(scene.ids(), ["9"]);
}

#[test]
fn marked_rows_stay_as_they_were_with_the_time_of_the_run() {
    let tables = "tables: [{ name: lines, from: lines }]\ndeleted: { field: gone, rows: mark }";
    let scene = Scene::new(&format!("{INCREMENTAL}{tables}"), "");
    let record = |id: i64, n: i64| json!({ "id": id, "n": n, "word": "old", "lines": [{ "q": id }] });
    let marks = || -> Vec<(i64, bool)> {
        let mut marks: Vec<(i64, bool)> = rows(&scene.place.path("out/test"), "items")
            .iter()
            .map(|row| (row["id"].as_i64().expect("a number"), !row["_deleted_at"].is_null()))
            .collect();
        marks.sort_unstable();
        marks
    };
    scene.answer("/items", json!([record(1, 1), record(2, 2)]));
    scene.merged();
    scene
        .answer("/items", json!([{ "id": 1, "n": 3, "word": "new", "gone": true }, { "id": 8, "n": 3, "gone": true }]));
    let counts = scene.merged();
    assert_eq!((&counts["marked"], &counts["deleted"], &counts["former_rows"]), (&json!(1), &json!(0), &json!(2)));
    assert_eq!(marks(), [(1, true), (2, false)]);
    let first = rows(&scene.place.path("out/test"), "items");
    let marked = first.iter().find(|row| row["id"] == 1).expect("a row");
    assert_eq!((&marked["word"], &marked["n"]), (&json!("old"), &json!(1)));
    assert_eq!(column(&scene.place.path("out/test"), "lines", "q"), ["1", "2"]);
    // Once more: the mark stays, and no file is written for it.
    let counts = scene.merged();
    assert_eq!((&counts["marked"], &counts["parts_rewritten"]), (&json!(0), &json!(0)), "{counts}");
    assert_eq!(rows(&scene.place.path("out/test"), "items"), first);
    // It comes again.
    scene.answer("/items", json!([record(1, 4)]));
    scene.merged();
    assert_eq!(marks(), [(1, false), (2, false)]);
    scene.answer("/items", json!([{ "id": 2, "n": 5, "gone": true }]));
    scene.run(&[]).expect_code(0).expect_says(&["1 marked as deleted"]);
}

/// Exact Online's way: one feed for all tables, with the kind of the table in every record.
const FEED: &str = "  - { name: deleted, path: /deleted, paging: none, params: { since: \"{{ cursor }}\" }, key: [ID], incremental: { cursor: Timestamp, start: 0 } }\n";

fn feed_scene() -> Scene {
    let stream = "paging: none\nkey: [id]\nincremental: { cursor: Timestamp, start: 0 }\ndeleted: { stream: deleted, key: EntityKey, when: record.EntityType == 4 }";
    Scene::new(stream, FEED)
}

fn item(id: &str, stamp: i64) -> Value {
    json!({ "id": id, "Timestamp": stamp })
}

fn deletion(id: i64, key: &str, kind: i64, stamp: i64) -> Value {
    json!({ "ID": id, "EntityKey": key, "EntityType": kind, "Timestamp": stamp })
}

#[test]
fn a_feed_deletes_what_it_is_about_and_a_record_that_came_again_stays() {
    let scene = feed_scene();
    scene.answer("/deleted", json!([deletion(1, "z", 4, 1)]));
    scene.answer("/items", json!([item("a", 1), item("b", 2), item("c", 3)]));
    scene.merged();
    assert_eq!(scene.ids().len(), 3);
    // The feed is read before the first record.
    let asked: Vec<String> = scene.server.asked().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(asked, ["/deleted", "/items"]);
    // Of another table; and one of ours that was deleted and came again.
    scene.answer("/deleted", json!([deletion(2, "a", 7, 4), deletion(3, "b", 4, 5), deletion(4, "c", 4, 6)]));
    scene.answer("/items", json!([item("c", 7)]));
    let counts = scene.merged();
    assert_eq!((&counts["deletions"], &counts["deleted"], &counts["updated"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(scene.ids(), ["\"a\"", "\"c\""]);
    // The deletion is read again without the record: it stays.
    scene.answer("/items", json!([]));
    assert_eq!(scene.merged()["deleted"], 0);
    let from = scene.run(&["--from", "0", "--json"]).expect_code(0).json();
    assert_eq!(from["tables"]["items"]["merge"]["deleted"], 0);
    assert_eq!(scene.ids(), ["\"a\"", "\"c\""]);
    // The feed is a table like others.
    assert_eq!(column(&scene.place.path("out/test"), "deleted", "ID").len(), 4);
}

#[test]
fn a_deletion_is_not_lost_when_its_table_fails() {
    let scene = feed_scene();
    let text = std::fs::read_to_string(&scene.file).expect("a job") + "publish: { tables: independent }\n";
    scene.place.file("job.yaml", &text);
    scene.answer("/deleted", json!([]));
    scene.answer("/items", json!([item("a", 1), item("b", 2)]));
    scene.merged();
    scene.answer("/deleted", json!([deletion(1, "a", 4, 3)]));
    scene.answer_as("/items", status(403, "no"));
    let report = scene.run(&["--json"]).json();
    assert_ne!(report["tables"]["deleted"]["outcome"], "published", "{report}");
    assert_eq!(scene.ids().len(), 2);
    scene.answer("/items", json!([item("b", 2)]));
    assert_eq!(scene.merged()["deleted"], 1);
    assert_eq!(scene.ids(), ["\"b\""]);
}

#[test]
fn a_feed_and_its_tables_are_read_together() {
    let scene = feed_scene();
    scene.answer("/deleted", json!([]));
    scene.answer("/items", json!([item("a", 1), item("b", 2)]));
    scene.merged();
    for stream in ["items", "deleted"] {
        let before = scene.server.asked().len();
        scene.run(&["--stream", stream]).expect_code(0);
        assert_eq!(scene.server.asked().len() - before, 2, "{stream}");
    }
    // A range is of the streams that are named.
    scene.answer("/deleted", json!([deletion(1, "z", 4, 7)]));
    scene.merged();
    scene.run(&["--stream", "items", "--from", "1"]).expect_code(0);
    let asked = scene.server.asked();
    let feed = asked.iter().rev().find(|request| request.path() == "/deleted").expect("a request");
    assert_eq!(feed.param("since").as_deref(), Some("7"));
    // A feed that fails fails its table.
    scene.answer_as("/deleted", status(403, "no"));
    scene.run(&[]).expect_code(1).expect_says(&["stream `deleted`"]);
    assert_eq!(scene.ids().len(), 2);
}

#[test]
fn a_condition_on_a_field_that_is_not_there_is_an_error() {
    let scene = feed_scene();
    scene.answer("/items", json!([item("a", 1)]));
    scene.answer("/deleted", json!([{ "ID": 1, "EntityKey": "a", "Kind": 4, "Timestamp": 3 }]));
    scene.run(&[]).expect_code(1).expect_says(&["`EntityType`", "`when`"]);
    scene.answer("/deleted", json!([{ "ID": 1, "Key": "a", "EntityType": 4, "Timestamp": 3 }]));
    scene.run(&[]).expect_code(1).expect_says(&["`EntityKey`", "`deleted.key`"]);
    // A text and a date are not compared by guess.
    scene.answer("/deleted", json!([deletion(1, "2024-01-31", 4, 3)]));
    scene.run(&[]).expect_code(1).expect_says(&["`EntityKey` is date", "EntityKey: text"]);
}

const SWEEP: &str = "  - { name: keys, path: /keys, paging: none }\n";

#[test]
fn rows_that_a_sweep_does_not_name_go_and_none_goes_by_an_empty_or_failed_one() {
    let deleted = "deleted: { sweep: keys, key: Key }";
    let scene = Scene::new(&format!("{INCREMENTAL}{deleted}"), SWEEP);
    let keys = |keys: &[i64]| json!(keys.iter().map(|key| json!({ "Key": key })).collect::<Vec<Value>>());
    scene.answer("/items", json!([{ "id": 1, "n": 1 }, { "id": 2, "n": 2 }, { "id": 3, "n": 3 }]));
    // A first run has nothing to lose.
    scene.answer("/keys", json!([]));
    scene.merged();
    assert_eq!(scene.ids(), ["1", "2", "3"]);
    let snapshot = |scene: &Scene| manifest(&scene.place.path("out/test"))["snapshot"].clone();
    let before = snapshot(&scene);
    scene.answer("/items", json!([{ "id": 4, "n": 4 }]));
    let empty = scene.run(&[]).expect_code(1);
    empty.expect_says(&["its sweep `keys` names no key at all", "allow_empty: true", "nothing was published"]);
    for answer in
        [status(403, "no"), status(404, "no"), ok("{\"error\":\"no\"}"), ok("[{\"Key\":null}]"), ok("[{\"Key\":")]
    {
        scene.answer_as("/keys", answer);
        assert_ne!(scene.run(&[]).code, 0);
    }
    assert_eq!(snapshot(&scene), before);
    // What came in this read is there, whatever the sweep before it said.
    scene.answer("/keys", keys(&[1, 3]));
    let counts = scene.merged();
    assert_eq!((&counts["deleted"], &counts["inserted"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(scene.ids(), ["1", "3", "4"]);
    scene.answer("/items", json!([]));
    scene.answer("/keys", keys(&[3, 4, 5]));
    assert_eq!(scene.merged()["deleted"], 1);
    assert_eq!(scene.ids(), ["3", "4"]);
    // The job may say that nothing may be there.
    let text =
        std::fs::read_to_string(&scene.file).expect("a job").replace("key: Key }", "key: Key, allow_empty: true }")
            + "publish: { require: { '*': { empty: allow } } }\n";
    scene.place.file("job.yaml", &text);
    scene.answer("/keys", json!([]));
    assert_eq!(scene.merged()["deleted"], 2);
    assert!(scene.ids().is_empty());
}

#[test]
fn a_failed_sweep_keeps_its_table_where_tables_are_independent() {
    let scene = Scene::new(&format!("{INCREMENTAL}deleted: {{ sweep: keys, key: Key }}"), SWEEP);
    let text = std::fs::read_to_string(&scene.file).expect("a job") + "publish: { tables: independent }\n";
    scene.place.file("job.yaml", &text);
    scene.answer("/items", json!([{ "id": 1, "n": 1 }]));
    scene.answer("/keys", json!([{ "Key": 1 }]));
    scene.merged();
    scene.answer("/items", json!([{ "id": 2, "n": 2 }]));
    scene.answer_as("/keys", status(403, "no"));
    assert_ne!(scene.run(&[]).code, 0);
    assert_eq!(scene.ids(), ["1"]);
    scene.answer("/keys", json!([{ "Key": 2 }]));
    scene.merged();
    assert_eq!(scene.ids(), ["2"]);
}

#[test]
fn marks_of_a_sweep_are_set_once() {
    let scene = Scene::new(&format!("{INCREMENTAL}deleted: {{ sweep: keys, key: Key, rows: mark }}"), SWEEP);
    scene.answer("/items", json!([{ "id": 1, "n": 1 }, { "id": 2, "n": 2 }]));
    scene.answer("/keys", json!([{ "Key": 1 }, { "Key": 2 }]));
    scene.merged();
    scene.answer("/items", json!([]));
    scene.answer("/keys", json!([{ "Key": 2 }]));
    assert_eq!(scene.merged()["marked"], 1);
    let first = rows(&scene.place.path("out/test"), "items");
    let counts = scene.merged();
    assert_eq!((&counts["marked"], &counts["parts_rewritten"]), (&json!(0), &json!(0)));
    assert_eq!(rows(&scene.place.path("out/test"), "items"), first);
}
