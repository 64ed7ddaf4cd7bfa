//! `haul powerbi m`, `pbip`, `dataflow` and `pbids` as somebody at a terminal meets them: what is written where, what is never lost,
//! and whose signature stands in it. What the texts mean is proved elsewhere.

#![allow(missing_docs)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::rigs::{Rig, output_of};
use support::server::{Server, ok};
use support::{Done, Workplace, job};

/// A place with a job that can be run into its folder.
struct Scene {
    place: Workplace,
    file: String,
    source: Server,
}

const RECORDS: &str =
    "[{\"id\":1,\"name\":\"one\",\"made_on\":\"2024-01-31\"},{\"id\":2,\"name\":\"two\",\"made_on\":null}]";

impl Scene {
    fn published() -> Self {
        let source = Server::start(|_, _| ok(RECORDS));
        let place = Workplace::new();
        let file = place.file("jobs/test.yaml", &job(&source.url, "", "paging: none\nkey: [id]"));
        place.haul(&["run", &file]).expect_code(0);
        Scene { place, file, source }
    }

    fn powerbi(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["powerbi", args[0], &self.file], &args[1..]].concat())
    }

    fn out(&self) -> String {
        self.place.path("kit").display().to_string()
    }

    /// What became of the files of a project.
    fn project(&self, more: &[&str]) -> Vec<(String, String)> {
        let done = self.powerbi(&[&["pbip", "--out", &self.out(), "--json"], more].concat()).expect_code(0).json();
        let files = done["files"].as_array().expect("files").iter();
        files.map(|file| (text(file, "path").to_owned(), text(file, "change").to_owned())).collect()
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value:#}"))
}

fn append(file: &Path, more: &str) {
    let former = std::fs::read_to_string(file).expect("a text");
    std::fs::write(file, former + more).expect("written");
}

/// Those that were not left as they are.
fn touched(files: &[(String, String)]) -> Vec<(&str, &str)> {
    let touched = files.iter().filter(|(_, change)| !matches!(change.as_str(), "unchanged" | "kept"));
    touched.map(|(path, change)| (path.as_str(), change.as_str())).collect()
}

#[test]
fn a_project_is_written_anew_and_loses_nothing_of_its_user() {
    let scene = Scene::published();
    assert!(scene.project(&[]).iter().all(|(_, change)| change == "created"));
    assert!(touched(&scene.project(&[])).is_empty());
    let kit = scene.place.path("kit");
    let model = kit.join("test.SemanticModel/definition");

    // What is the user's stays: their report, their own tables, and what only version control did.
    let page = std::fs::read_dir(kit.join("test.Report/definition/pages")).expect("pages");
    let page = page.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir()).expect("a page");
    append(&page.join("page.json"), "\n");
    std::fs::write(model.join("tables/mine.tmdl"), "table mine\n").expect("written");
    let items = model.join("tables/items.tmdl");
    let unix = std::fs::read_to_string(&items).expect("a text");
    std::fs::write(&items, unix.replace('\n', "\r\n")).expect("written");
    let again = scene.project(&[]);
    assert_eq!(touched(&again), [("test.SemanticModel/definition/tables/items.tmdl", "changed")]);
    assert!(again.iter().any(|(path, change)| path.ends_with("page.json") && change == "kept"));
    assert_eq!(std::fs::read_to_string(&items).expect("a text"), unix);
    assert!(model.join("tables/mine.tmdl").exists());

    // A measure in a file of haul's is not lost in silence, and nothing else is written meanwhile.
    append(&items, "\n\tmeasure Mine = 1\n");
    std::fs::remove_file(kit.join("test.pbip")).expect("removed");
    let refused = scene.powerbi(&["pbip", "--out", &scene.out()]).expect_code(2);
    refused.expect_says(&[
        "tables/items.tmdl",
        "is not as haul wrote it",
        "nothing was written",
        "--force",
        "table of your own",
    ]);
    assert!(!kit.join("test.pbip").exists());
    let forced = scene.project(&["--force"]);
    assert_eq!(std::fs::read_to_string(&items).expect("a text"), unix);
    assert!(touched(&forced).contains(&("test.pbip", "created")), "{forced:?}");

    // Another job, and a table that is gone.
    let other = scene
        .place
        .file("jobs/other.yaml", &job(&scene.source.url, "", "paging: none").replace("job: test", "job: other"));
    scene.place.haul(&["run", &other]).expect_code(0);
    let refused = scene.place.haul(&["powerbi", "pbip", &other, "--out", &scene.out()]).expect_code(2);
    refused.expect_says(&["holds the files of the job `test`"]);
    let renamed = std::fs::read_to_string(&scene.file).expect("a text").replace("name: items", "name: things");
    std::fs::write(&scene.file, renamed).expect("written");
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    let files = scene.project(&[]);
    assert!(touched(&files).contains(&("test.SemanticModel/definition/tables/items.tmdl", "removed")), "{files:?}");
    assert!(!items.exists() && model.join("tables/things.tmdl").exists());
}

#[test]
fn files_of_others_are_left_alone() {
    let scene = Scene::published();
    scene.place.file("kit/items.pq", "somebody's query");
    scene.powerbi(&["m", "--out", &scene.out()]).expect_code(2).expect_says(&["items.pq"]);
    assert_eq!(std::fs::read_dir(scene.place.path("kit")).expect("a folder").count(), 1);
    scene.powerbi(&["m", "--out", &scene.out(), "--force"]).expect_code(0).expect_says(&["changed  items.pq"]);
    let file = scene.place.file("x.pbids", "{}");
    scene.powerbi(&["pbids", "--out", &file]).expect_code(2).expect_says(&["is there, and is another file"]);
    scene.powerbi(&["pbids", "--out", &file, "--force"]).expect_code(0).expect_says(&["changed"]);
    scene.powerbi(&["pbids", "--out", &file]).expect_code(0).expect_says(&["unchanged"]);
    // A list that leads out of its folder removes nothing there.
    let outside = scene.place.file("outside.txt", "mine");
    let list = json!({ "format_version": 1, "job": "test", "files": { "../outside.txt": "x" } });
    scene.place.file("kit/.haul-m.json", &list.to_string());
    scene.powerbi(&["m", "--out", &scene.out(), "--force"]).expect_code(2).expect_says(&[".haul-m.json"]);
    assert!(Path::new(&outside).exists());
}

#[test]
fn one_table_is_one_query_to_paste_and_everything_one_document() {
    let scene = Scene::published();
    let one = scene.powerbi(&["m", "items", "--self-contained"]).expect_code(0);
    assert!(one.stdout.starts_with("let\n") && one.stdout.contains("HaulTable(\"items\")"), "{}", one.stdout);
    assert!(one.stdout.contains("{\"made_on\", type date}") && one.stdout.contains("File.Contents("), "{}", one.stdout);
    let all = scene.powerbi(&["m"]).expect_code(0);
    assert!(all.stdout.starts_with("section Section1;\n"), "{}", all.stdout);
    for shared in ["HaulTable", "haul_snapshot", "items"] {
        assert!(all.stdout.contains(&format!("\nshared {shared} =\n")), "{shared}: {}", all.stdout);
    }
    let document = scene.powerbi(&["m", "--json"]).expect_code(0).json();
    let names: Vec<&str> =
        document["queries"].as_array().expect("queries").iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["HaulTable", "haul_snapshot", "items"]);
}

#[test]
fn what_cannot_be_is_told_with_its_remedy() {
    let source = Server::start(|_, _| ok(RECORDS));
    let place = Workplace::new();
    let file = place.file("jobs/test.yaml", &job(&source.url, "", "paging: none"));
    place.haul(&["powerbi", "m", &file]).expect_code(1).expect_says(&["nothing is published in", "haul run"]);
    let scene = Scene::published();
    let refused = |args: &[&str], says: &[&str]| {
        scene.powerbi(args).expect_code(2).expect_says(says);
    };
    refused(&["m", "nothing"], &["has no table `nothing`", "items"]);
    refused(&["m", "--incremental", "items=nothing"], &["has no column `nothing`", "haul schema"]);
    refused(&["m", "--incremental", "items=name"], &["`name`", "of type text", "date"]);
    refused(&["m", "--incremental", "items"], &["TABLE=COLUMN"]);
    refused(&["m", "--address", "ftp://h/x"], &["https://"]);
    refused(&["m", "--address", "https://user:secret-word@h/x"], &["a user or a password"]);
    let done = scene.powerbi(&["m", "--incremental", "items=made_on,3,7"]).expect_code(0);
    done.expect_says(&["last 3 years", "last 7 days", "never changes", "shared RangeStart ="]);
    let ranged = ["m", "--incremental", "items=made_on", "--json"];
    let document = scene.powerbi(&ranged).expect_code(0).json();
    assert!(text(&document["polling"][0], "text").contains("\"changes\")"), "{document:#}");

    let text = job(&source.url, "", "paging: none").replace("url: out", "url: s3://bucket/tables");
    let bucket = place.file("jobs/bucket.yaml", &text);
    let place = place.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y").env("AWS_REGION", "eu-west-1");
    let refused = place.haul(&["powerbi", "m", &bucket]).expect_code(2);
    refused.expect_says(&["readers have no address for s3://bucket/tables/test", "--address URL", "haul serve"]);
    let analytics = job(&source.url, "", "paging: none").replace("url: out", "url: out\n  profile: analytics");
    let place = Workplace::new().expects_analytics();
    let analytics = place.file("jobs/test.yaml", &analytics);
    place.haul(&["run", &analytics]).expect_code(0);
    place
        .haul(&["powerbi", "m", &analytics])
        .expect_code(2)
        .expect_says(&["analytics", "destination.profile: powerbi"]);
}

#[test]
fn signatures_stand_in_files_only_where_they_are_wanted() {
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
    let source = Server::start(|_, _| ok(RECORDS));
    let place = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
        .env("AZURE_STORAGE_ENDPOINT", azurite.url())
        .env("AZURE_ALLOW_HTTP", "true");
    let file = place
        .file("jobs/test.yaml", &job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports"));
    place.haul(&["run", &file]).expect_code(0);
    let scene = Scene { place, file, source };

    // Without a share the parameters wait; a signature cannot be asked for.
    let bare = scene.powerbi(&["m", "--json"]).expect_code(0).json();
    assert_eq!(bare["unfilled"], json!(["SasPolicy", "SasSignature"]));
    scene
        .powerbi(&["m", "--with-signature"])
        .expect_code(2)
        .expect_says(&["no share to sign for", "haul share create"]);
    let make = |days: &str| {
        let made = scene.place.haul(&["share", "create", &scene.file, "--days", days, "--json"]).expect_code(0).json();
        let parameters = &made["parameters"];
        (text(parameters, "SasPolicy").to_owned(), text(parameters, "SasSignature").to_owned())
    };
    let (short, short_signature) = make("10");
    let (long, long_signature) = make("90");
    let query = |args: &[&str], name: &str| {
        let document = scene.powerbi(&[&["m", "--json"], args].concat()).expect_code(0).json();
        let queries = document["queries"].as_array().expect("queries");
        let query = queries.iter().find(|query| query["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        text(query, "text").to_owned()
    };
    // The one that ends last, and its signature is the one that was shown once.
    assert!(query(&[], "SasPolicy").starts_with(&format!("\"{long}\"")));
    assert!(query(&[], "SasSignature").starts_with("\"\""));
    assert!(query(&["--with-signature"], "SasSignature").starts_with(&format!("\"{long_signature}\"")));
    let named = ["--share", &short, "--with-signature"];
    assert!(query(&named, "SasSignature").starts_with(&format!("\"{short_signature}\"")));
    scene
        .powerbi(&["m", "--share", "haul-nobody-90d-x"])
        .expect_code(2)
        .expect_says(&["has no share", "haul share list"]);
    let function = query(&[], "HaulTable");
    assert!(function.contains(&format!("\"{}\"", azurite.url())), "{function}");
    assert!(function.contains("\"reports/exports/test/\" & path") && function.contains("sr = \"c\""), "{function}");
    assert!(!function.contains("spr"), "the emulator speaks http: {function}");
    // A share says by its name what it opens.
    scene.powerbi(&["m", "--folder"]).expect_code(2).expect_says(&["the whole container", "--folder"]);
    let made = scene.place.haul(&["share", "create", &scene.file, "--folder", "--days", "5", "--json"]).expect_code(0);
    let named = ["--share", text(&made.json()["parameters"], "SasPolicy")].map(str::to_owned);
    let folder = query(&named.each_ref().map(String::as_str), "HaulTable");
    assert!(folder.contains("sr = \"d\", sdd = \"2\""), "{folder}");

    // What somebody pasted into a project stays there, as long as it is of the same share.
    let signature_in_project = || {
        let path = scene.place.path("kit").join("test.SemanticModel/definition/expressions.tmdl");
        let text = std::fs::read_to_string(&path).expect("a text");
        let line =
            text.lines().find(|line| line.starts_with("expression SasSignature")).expect("the parameter").to_owned();
        (path, text, line)
    };
    scene.project(&[]);
    let (path, text, line) = signature_in_project();
    assert!(line.contains("= \"\" meta"), "{line}");
    std::fs::write(&path, text.replace(&line, &line.replace("\"\" meta", "\"cGFzdGVk\" meta"))).expect("written");
    assert!(touched(&scene.project(&[])).is_empty());
    assert!(signature_in_project().2.contains("\"cGFzdGVk\""));
    let (longer, _) = make("200");
    let kept = scene.powerbi(&["pbip", "--out", &scene.out()]).expect_code(0);
    kept.expect_says(&["keeps the signature", &format!("it is of `{long}`"), &format!("--share {longer}")]);
    assert!(signature_in_project().2.contains("\"cGFzdGVk\""));
    scene.place.haul(&["share", "revoke", &scene.file, &longer]).expect_code(0);
    scene.project(&["--share", &short]);
    assert!(signature_in_project().2.contains("= \"\" meta"), "a signature of another share stays");
    let told = scene.powerbi(&["pbip", "--out", &scene.out(), "--with-signature"]).expect_code(0);
    let told = told.expect_says(&["keep it out of repositories", "open `test.pbip`"]);
    assert!(!told.stdout.contains(&long_signature) && !told.stderr.contains(&long_signature), "{told:?}");
    assert!(signature_in_project().2.contains(&long_signature));

    // A data source file never holds one, and a link's is dropped unless it is wanted.
    let pbids = scene.place.path("x.pbids").display().to_string();
    let link = format!("{}/reports/exports/test?sv=2023-11-03&sr=c&si={long}&sig={long_signature}", azurite.url());
    scene.powerbi(&["pbids", "--out", &pbids, "--address", &link]).expect_code(0);
    let data_source = std::fs::read_to_string(&pbids).expect("a text");
    assert!(data_source.contains("reports/exports/test") && !data_source.contains("sig"), "{data_source}");
    let file = scene.place.file("link.txt", &format!("{link}\n"));
    assert!(query(&["--address-file", &file], "SasSignature").starts_with("\"\""));
    let spoiled = scene.place.file("spoiled.txt", "no address at all: secret-word");
    let refused = scene.powerbi(&["m", "--address-file", &spoiled]).expect_code(2).expect_says(&["holds no address"]);
    assert!(!refused.stderr.contains("secret-word"), "{refused:?}");
    assert!(
        query(&["--address-file", &file, "--with-signature"], "SasSignature")
            .starts_with(&format!("\"{long_signature}\""))
    );
}
