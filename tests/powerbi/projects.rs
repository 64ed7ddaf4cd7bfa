//! Power BI Projects: files by Microsoft's schemas, the model by the rules of TMDL, references between files, the queries
//! taken back out of the model, and the measures.

use std::path::Path;

use serde_json::{Value, json};

use super::scene::{Scene, evaluate, rows_of, text};
use crate::support::rigs::output_of;

/// What the checker says of projects.
fn check_all(folders: &[String]) -> Value {
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    serde_json::from_str(&output_of("m/project.mjs", &folders)).expect("JSON")
}

pub(crate) fn check(folder: &Path) -> Value {
    let folder = folder.to_string_lossy().into_owned();
    check_all(std::slice::from_ref(&folder))[&folder].clone()
}

fn project(scene: &Scene, args: &[&str]) -> Value {
    let folder = scene.place.path("report");
    let _ = std::fs::remove_dir_all(&folder);
    scene.place.haul(&[&["powerbi", "pbip", &scene.file], args, &["--out", "report"]].concat()).expect_code(0);
    check(&folder)
}

#[test]
fn projects_pass_every_checker_and_their_queries_read_the_files() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let found = project(&scene, &[]);
    assert_eq!(found["problems"], json!([]), "{found:#}");
    let tables: Vec<&String> = found["tables"].as_object().expect("tables").keys().collect();
    assert_eq!(tables, ["customers", "events", "haul_snapshot", "nothing", "order_lines", "orders"]);
    let from_lines = json!({ "from": ["order_lines", "orders_id"], "to": ["orders", "id"], "isActive": true });
    assert_eq!(found["relationships"], json!([from_lines]));
    assert!(text(&found["measures"], "Data as of").contains("published_at"), "{found:#}");
    // The queries in the model are those of `haul powerbi m`.
    let snapshot = text(&scene.manifest(), "snapshot").to_owned();
    let rows = |queries: &Value| {
        let seen = evaluate(&json!({ "queries": queries, "values": share["parameters"], "evaluate": ["orders"] }));
        rows_of(&seen["results"]["orders"], &snapshot)
    };
    let taken_out = rows(&found["queries"]);
    assert_eq!(taken_out.len(), 3);
    assert_eq!(taken_out, rows(&scene.queries(&[])));
    let signature = text(&share["parameters"], "SasSignature");
    for (path, content) in scene.place.contents("report") {
        let has = memchr::memmem::find(&content, signature.trim_end_matches('=').as_bytes()).is_some();
        assert!(!has, "{} holds the signature", path.display());
    }
    let ranged = project(&scene, &["--incremental", "events=at,3,7", "--incremental", "orders=ordered_on"]);
    assert_eq!(ranged["problems"], json!([]), "{ranged:#}");
    let chosen = project(&scene, &["orders"]);
    assert_eq!(chosen["problems"], json!([]), "{chosen:#}");
    let public = project(&scene, &["--address", "https://data.example.com/x/sales"]);
    assert_eq!(public["problems"], json!([]), "{public:#}");
}

#[test]
fn a_dataflow_names_its_queries_and_a_data_source_file_holds_no_secret() {
    let scene = Scene::in_azure();
    let share = scene.share();
    scene.place.haul(&["powerbi", "dataflow", &scene.file, "--out", "flow"]).expect_code(0);
    let read = |name: &str| std::fs::read_to_string(scene.place.path(name)).expect("a text");
    let metadata: Value = serde_json::from_str(&read("flow/queryMetadata.json")).expect("JSON");
    let queries = metadata["queriesMetadata"].as_object().expect("queries");
    let document = read("flow/mashup.pq");
    let seen = evaluate(&json!({ "document": document, "evaluate": [] }));
    assert_eq!(seen["requests"], json!([]));
    let mut ids = std::collections::BTreeSet::new();
    for (name, said) in queries {
        assert_eq!(said["queryName"], name.as_str());
        assert!(ids.insert(text(said, "queryId").to_owned()), "{name} has the id of another query");
        assert!(document.contains(&format!("shared {name} =")), "{name} is not in the document");
    }
    assert_eq!(queries.len(), document.matches("\nshared ").count());
    scene.place.haul(&["powerbi", "pbids", &scene.file, "--out", "sales.pbids"]).expect_code(0);
    let source: Value = serde_json::from_str(&read("sales.pbids")).expect("JSON");
    assert_eq!(source["version"], "0.1");
    assert_eq!(source["connections"].as_array().map(Vec::len), Some(1));
    assert_eq!(source["connections"][0]["details"]["protocol"], "http");
    assert_eq!(source["connections"][0]["details"]["address"]["url"], share["base_url"]);
    let signature = text(&share["parameters"], "SasSignature").trim_end_matches('=').to_owned();
    assert!(!read("sales.pbids").contains(&signature) && !document.contains(&signature));
}

/// A mistake: the file (a part of its path), what is replaced by what, and a word of what the checker says.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    (".pbip", "\"artifacts\"", "\"artefacts\"", "must have required property"),
    (".pbip", "sales.Report", "sale.Report", "is no folder"),
    (".pbip", "pbipProperties/1.0.0", "pbipProperties/9.0.0", "not at hand"),
    ("definition.pbir", "../sales.SemanticModel", "../other.SemanticModel", "is no folder"),
    ("definition.pbir", "byPath", "byRoad", "must NOT have additional properties"),
    ("definition.pbism", "\"version\"", "\"versions\"", "must have required property"),
    ("SemanticModel/.platform", "\"SemanticModel\"", "\"Report\"", "not SemanticModel"),
    ("pages.json", "pageOrder", "pagesOrder", "must NOT have additional properties"),
    ("page.json", "FitToPage", "FitToPaper", "must be equal to one of the allowed values"),
    ("page.json", "\"height\": 720", "\"height\": \"720\"", "must be number"),
    ("visual.json", "\"Property\": \"", "\"Property\": \"No ", "which is not there"),
    ("visual.json", "\"queryRef\"", "\"queryReference\"", "must have required property"),
    ("version.json", "1.0.0\"\n}", "1.0\"\n}", "must match pattern"),
    ("database.tmdl", "compatibilityLevel: 1567", "compatibilityLevel: high", "is no value"),
    ("model.tmdl", "ref table orders", "ref table ordres", "names nothing"),
    ("model.tmdl", "ref table orders\n", "", "nothing refers to table"),
    ("model.tmdl", "\tculture", "\t\tculture", "tabs where"),
    ("model.tmdl", "culture: en-US", "culturally: en-US", "has no property"),
    ("relationships.tmdl", "toColumn: orders.id", "toColumn: orders.no", "is not there"),
    ("relationships.tmdl", "orders.id", "orders", "names no column"),
    ("tables/orders.tmdl", "dataType: int64", "dataType: int46", "is no value"),
    ("tables/orders.tmdl", "dataType: int64", "dataType: string", "in the query"),
    ("tables/orders.tmdl", "sourceColumn: total", "sourceColumn: totals", "has no column"),
    ("tables/orders.tmdl", "\tcolumn total\n", "\tcolumn to tal\n", "stands behind the name"),
    ("tables/orders.tmdl", "\tcolumn total\n", "\tcolumn note\n", "is there twice"),
    ("tables/orders.tmdl", "\tcolumn total\n", "  column total\n", "blanks instead of tabs"),
    ("tables/orders.tmdl", "\tpartition orders = m", "\tpartition orders = sql", "is no value"),
    ("tables/orders.tmdl", "HaulTable", "HaulTabel", "Cannot find the name"),
    ("tables/orders.tmdl", "\t\t\t\tlet", "\t\t\tlet", "missing"),
    ("tables/orders.tmdl", "lineageTag: ", "lineageTag: x", "is no value"),
    ("tables/haul_snapshot.tmdl", "MAX('haul_snapshot'", "MAX('haul_snapshots'", "there is no table"),
    ("tables/haul_snapshot.tmdl", "[published_at])", "[publishd_at])", "has no column"),
    ("tables/haul_snapshot.tmdl", "[published_at])", "[published_at]", "is not closed"),
    ("tables/haul_snapshot.tmdl", "DATEDIFF(", "DATEDIF(", "no function"),
    ("expressions.tmdl", "IsParameterQuery=true", "IsParameterQuery=yes", "Cannot find the name"),
    ("expressions.tmdl", "expression SasPolicy", "expression SasVersion", "is there twice"),
    ("expressions.tmdl", "expression SasPolicy", "expresion SasPolicy", "cannot stand here"),
];

#[test]
fn mistakes_in_projects_are_found() {
    let scene = Scene::in_azure();
    scene.share();
    let found = project(&scene, &[]);
    assert_eq!(found["problems"], json!([]), "{found:#}");
    let report = scene.place.path("report");
    let files = scene.place.contents("report");
    // A copy of the project for each mistake, in which one file is another, or none.
    let copy = |name: &str, of: &str, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>| -> String {
        let copied = scene.place.path(&format!("wrong/{name}"));
        let (wrong, _) = files.iter().find(|(path, _)| path.to_string_lossy().ends_with(of)).expect(of);
        for (path, content) in &files {
            let content = if path == wrong { change(content) } else { Some(content.clone()) };
            let to = copied.join(path.strip_prefix(&report).expect("below it"));
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            if let Some(content) = content {
                std::fs::write(to, content).expect("written");
            }
        }
        copied.to_string_lossy().into_owned()
    };
    let mut wrong: Vec<(String, String, &str)> = Vec::new();
    for (at, (of, from, to, says)) in MISTAKES.iter().enumerate() {
        let change = |right: &[u8]| {
            let right = std::str::from_utf8(right).expect("UTF-8");
            assert!(right.contains(from), "{of}: `{from}` is not there:\n{right}");
            Some(right.replacen(from, to, 1).into_bytes())
        };
        wrong.push((copy(&at.to_string(), of, &change), format!("{of}, `{from}` as `{to}`"), says));
    }
    let marked = copy("mark", "model.tmdl", &|right| Some([&[0xef, 0xbb, 0xbf][..], right].concat()));
    wrong.push((marked, "a byte order mark".to_owned(), "byte order mark"));
    let returns = copy("returns", "model.tmdl", &|right| Some([right, &b"\r\n"[..]].concat()));
    wrong.push((returns, "carriage returns".to_owned(), "carriage returns"));
    let latin = copy("latin", "model.tmdl", &|right| Some([right, &b"\xe4\n"[..]].concat()));
    wrong.push((latin, "not UTF-8".to_owned(), "is not UTF-8"));
    let missing = copy("missing", "expressions.tmdl", &|_| None);
    wrong.push((missing, "no shared queries".to_owned(), "Cannot find the name 'HaulTable'"));
    let folders: Vec<String> = wrong.iter().map(|(folder, _, _)| folder.clone()).collect();
    let told = check_all(&folders);
    for (folder, what, says) in wrong {
        let told = told[&folder]["problems"].as_array().expect("a list");
        assert!(told.iter().any(|one| one.as_str().is_some_and(|one| one.contains(says))), "{what}: {told:#?}");
    }
}
