//! The queries as texts: right ones pass every checker, and each kind of mistake is found by one.

use serde_json::{Value, json};

use super::scene::{Scene, check, expect_right, queries_in, text};

#[test]
fn every_generated_query_passes_the_checkers() {
    let scene = Scene::in_azure();
    scene.share();
    let base = scene.azure_url();
    let incremental = ["--incremental", "events=at", "--incremental", "orders=ordered_on,3,7"];
    let document = scene.place.haul(&["powerbi", "m", &scene.file]).expect_code(0).stdout;
    let ranged = scene.place.haul(&[&["powerbi", "m", &scene.file], &incremental[..]].concat()).expect_code(0).stdout;
    let one = scene.place.haul(&["powerbi", "m", &scene.file, "orders", "--self-contained"]).expect_code(0).stdout;
    let public = scene.place.haul(&["powerbi", "m", &scene.file, "--address", "https://data.example.com/x/sales"]);
    let public = public.expect_code(0).stdout;
    scene.place.haul(&["powerbi", "dataflow", &scene.file, "--out", "flow"]).expect_code(0);
    let flow = std::fs::read_to_string(scene.place.path("flow/mashup.pq")).expect("a text");
    let link =
        "https://data.example.com/x/sales?sv=2024-11-04&skoid=o&sktid=t&skt=s&ske=e&sks=b&skv=v&sr=d&sdd=2&sig=abc";
    let link = scene.place.file("link", link);
    let delegated = scene.place.haul(&["powerbi", "m", &scene.file, "--address-file", &link]).expect_code(0).stdout;
    let of_folder = ["share", "create", &scene.file, "--folder", "--days", "5", "--json"];
    let of_folder = scene.place.haul(&of_folder).expect_code(0).json();
    let mut polled = scene.queries(&incremental);
    polled["polled"] = queries_in(&scene.place.path("queries/polling"))["events"].clone();
    expect_right(&json!({
        "polled": { "queries": polled, "base": base },
        "shared": { "document": document, "base": base },
        "files": { "queries": scene.queries(&[]), "base": base },
        "self-contained": { "queries": scene.queries(&["--self-contained"]), "base": base },
        "ranges": { "document": ranged, "base": base },
        "pasted": { "queries": { "orders": one }, "base": base },
        "public": { "document": public, "base": "https://data.example.com" },
        "delegated": { "document": delegated, "base": "https://data.example.com" },
        "dataflow": { "document": flow, "base": base },
        "folder share": { "queries": scene.queries(&["--share", text(&of_folder["share"], "policy")]), "base": base },
    }));
    let local = Scene::in_folder("");
    expect_right(&json!({ "folder": { "queries": local.queries(&[]) } }));
}

#[test]
fn no_signature_stands_in_a_text_unless_it_was_asked_for() {
    let scene = Scene::in_azure();
    let share = scene.share();
    let signature = text(&share["parameters"], "SasSignature");
    let plain = scene.queries(&[]);
    assert!(!plain.to_string().contains(signature.trim_end_matches('=')), "{plain}");
    let signed = scene.queries(&["--with-signature"]);
    assert!(text(&signed, "SasSignature").contains(signature), "{signed}");
    let told = check(&json!({ "signed": { "queries": signed } }));
    assert!(told["signed"].iter().any(|what| what.contains("holds a signature")), "{told:?}");
}

/// A mistake: the query, what is replaced in it by what, and a word of what the checkers say.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("orders", "Table.SelectColumns", "Table.SelectColums", "Cannot find the name"),
    ("orders", "HaulTable", "HaulTabel", "Cannot find the name"),
    ("orders", "in\n    Typed", "in\n    Typd", "Cannot find the name"),
    ("orders", "\"id\",", "\"id\"", "comma"),
    ("orders", "\"en-US\")", "\"en-US)", "nterminated"),
    ("orders", "\"en-US\")", "\"en-US\"", "parenthesis"),
    ("orders", "MissingField.UseNull", "MissingField.Null", "Cannot find the name"),
    ("orders", "Int64.Type", "Int46.Type", "Cannot find the name"),
    ("orders", "Chosen =", "Source =", "Duplicate"),
    ("orders", "HaulTable(\"orders\")", "HaulTable()", "arguments"),
    ("HaulTable", "ManualStatusHandling", "ManualStatusHandeling", "has no option"),
    ("HaulTable", "RelativePath", "RelativPath", "has no option"),
    ("HaulTable", "{404}", "{404, 403}", "cannot be handled"),
    ("HaulTable", "Encoding = 65001", "Encodng = 65001", "has no option"),
    ("HaulTable", "Parquet.Document(", "Parquet.Docment(", "Cannot find the name"),
    ("HaulTable", "Binary.Buffer(Response)", "Response", "Binary.Buffer"),
    ("HaulTable", "Record.HasFields", "Record.HasField", "Cannot find the name"),
    ("HaulTable", "as table =>", "as tabel =>", ""),
    ("SasSignature", "\"\"", "\"ZmFrZWZha2VmYWtlZmFrZWZha2VmYWtlZmFrZWZha2U=\"", "holds a signature"),
];

#[test]
fn mistakes_are_found() {
    let scene = Scene::in_azure();
    let right = scene.queries(&[]);
    let base =
        text(&right, "HaulTable").split('"').find(|word| word.starts_with("http")).expect("an address").to_owned();
    let mut documents = serde_json::Map::new();
    let mut wrong = |name: String, query: &str, changed: String| {
        let mut queries = right.clone();
        assert_ne!(text(&right, query), changed, "{name} changes nothing");
        queries[query] = changed.into();
        documents.insert(name, json!({ "queries": queries, "base": base }));
    };
    for (at, (query, from, to, _)) in MISTAKES.iter().enumerate() {
        wrong(at.to_string(), query, text(&right, query).replacen(from, to, 1));
    }
    let function = text(&right, "HaulTable");
    let literal = format!("\"{base}\"");
    wrong("built".to_owned(), "HaulTable", function.replace(&literal, &format!("\"{base}\" & \"\"")));
    wrong("parameter".to_owned(), "HaulTable", function.replace(&literal, "SasVersion"));
    wrong("query in the address".to_owned(), "HaulTable", function.replace(&literal, &format!("\"{base}?x=1\"")));
    let second = "Web.Contents(\"https://other.example.com\", [RelativePath = \"x\"])";
    wrong("second address".to_owned(), "customers", second.to_owned());
    wrong("handed on".to_owned(), "customers", "List.Transform({\"https://x.example.com\"}, Web.Contents)".to_owned());
    wrong("mark".to_owned(), "customers", format!("\u{feff}{}", text(&right, "customers")));
    let told = check(&Value::Object(documents));
    for (at, (query, from, to, says)) in MISTAKES.iter().enumerate() {
        let told = &told[&at.to_string()];
        assert!(told.iter().any(|what| what.contains(says)), "{query}, `{from}` as `{to}`: {told:#?}");
    }
    for (name, says) in [
        ("built", "no text literal"),
        ("parameter", "no text literal"),
        ("query in the address", "has a query"),
        ("second address", "2 addresses"),
        ("handed on", "without being called"),
        ("mark", "byte order mark"),
    ] {
        assert!(told[name].iter().any(|what| what.contains(says)), "{name}: {:#?}", told[name]);
    }
}
