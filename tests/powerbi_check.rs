//! `haul powerbi check`: faults that were put into datasets on purpose, each found with its cure; and datasets in which
//! nothing is wrong.

#![allow(missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use support::rigs::{Rig, output_of};
use support::server::{Server, ok};
use support::{Done, Workplace, dataset, job};

/// Azure says at most 30 s.
const POLICY_WAIT: Duration = Duration::from_secs(30);

/// What `spoil.py plain` writes has these columns.
const RECORDS: &str = r#"[
    {"id":0,"name":"text","ok":true,"day":"2024-01-02","at":"2024-01-02T03:04:05.6","score":1.5},
    {"id":1,"name":"text","ok":true,"day":"2024-01-02","at":"2024-01-02T03:04:05.6","score":1.5}]"#;
const STREAM: &str = "paging: none\nkey: [id]\ncolumns: { score: float }";

/// A dataset in a local folder, with its checks.
struct Local {
    place: Workplace,
    file: String,
    _source: Server,
}

fn source() -> Server {
    Server::start(|_, _| ok(RECORDS))
}

impl Local {
    fn publish(destination: &str) -> Self {
        let (source, place) = (source(), Workplace::new());
        let text = job(&source.url, "", STREAM).replace("url: out", &format!("url: out{destination}"));
        let file = place.file("job.yaml", &text);
        place.haul(&["run", &file]).expect_code(0);
        Local { place, file, _source: source }
    }

    fn folder(&self) -> PathBuf {
        self.place.path("out/test")
    }

    fn check(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["powerbi", "check", &self.file], args].concat())
    }

    /// Changes the manifest that readers see.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        let (path, mut manifest) = dataset::manifests(&self.folder(), "_snapshots").pop().expect("a manifest");
        change(&mut manifest);
        std::fs::write(path, manifest.to_string()).expect("written");
    }

    /// The file of the only part.
    fn part(&self) -> PathBuf {
        let (_, manifest) = dataset::manifests(&self.folder(), "_snapshots").pop().expect("a manifest");
        let path = manifest["tables"]["items"]["parts"][0]["path"].as_str().expect("a path");
        self.folder().join(path)
    }

    /// Puts another file in the place of the part and of the alias, and lets the manifest say so.
    fn replace(&self, kind: &str) {
        let part = self.part();
        self.place.is_own(&part);
        let rows: u64 = output_of("spoil.py", &[kind, &part.to_string_lossy()]).trim().parse().expect("a number");
        let content = std::fs::read(&part).expect("the file");
        let alias = self.folder().join("items/current.parquet");
        self.place.is_own(&alias);
        std::fs::write(&alias, &content).expect("written");
        self.change(|manifest| {
            let part = &mut manifest["tables"]["items"]["parts"][0];
            (part["bytes"], part["rows"], part["sha256"]) =
                (content.len().into(), rows.into(), sha256(&content).into());
        });
    }
}

fn sha256(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The findings of a check, each as `severity code`; each must say what, where and what helps, on few columns.
fn found(done: &Done) -> Vec<String> {
    let checkup = done.json();
    let findings = checkup["findings"].as_array().expect("findings");
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    for finding in findings {
        for name in ["where", "what", "cure"] {
            assert!(!text(finding, name).is_empty(), "no `{name}` in {finding:#}");
        }
    }
    let count = |severity: &str| findings.iter().filter(|finding| finding["severity"] == severity).count();
    assert_eq!((&checkup["errors"], &checkup["warnings"]), (&json!(count("error")), &json!(count("warning"))));
    findings.iter().map(|finding| format!("{} {}", text(finding, "severity"), text(finding, "code"))).collect()
}

/// The check finds exactly this, and its cure says these words.
#[track_caller]
fn expect(done: Done, codes: &[&str], cure: &str) {
    let code = if codes.iter().all(|code| code.starts_with("note")) { 0 } else { 7 };
    let done = done.expect_code(code);
    assert_eq!(found(&done), codes, "{done:#?}");
    assert!(done.stdout.contains(cure), "no `{cure}`: {done:#?}");
}

#[test]
fn a_clean_folder_has_no_finding_in_any_form() {
    for destination in ["", "\n  format: csv", "\n  format: csv\n  csv: { delimiter: ';', bom: false, header: false }"]
    {
        let local = Local::publish(destination);
        let done = local.check(&["--json", "--deep"]).expect_code(0);
        let checkup = done.json();
        assert_eq!(found(&done), [] as [&str; 0], "{done:#?}");
        let facts = ["job", "tables", "parts", "read_as", "share"].map(|name| checkup[name].clone());
        assert_eq!(facts, [json!("test"), json!(1), json!(1), json!("folder"), Value::Null]);
        assert!(checkup["snapshot"].as_str().is_some_and(|snapshot| snapshot.starts_with("00000001-")));
        local.check(&[]).expect_code(0).expect_says(&["1 table in 1 part", "from the folder", "nothing is wrong"]);
        // The same again: the document is stable.
        assert_eq!(local.check(&["--json", "--deep"]).stdout, done.stdout);
    }
    // A file of another writer that obeys the profile is as good.
    let local = Local::publish("");
    local.replace("plain");
    expect(local.check(&["--json", "--deep"]), &[], "");
}

#[test]
fn files_outside_of_the_profile_are_found_one_by_one() {
    let check = |kind: &str, codes: &[&str], cure: &str| {
        let local = Local::publish("");
        local.replace(kind);
        expect(local.check(&["--json"]), codes, cure);
    };
    let foreign = "let no other program write there";
    check("delta", &["error encoding"], foreign);
    check("byte_stream_split", &["error encoding"], foreign);
    // Arrow writes booleans as RLE in pages and files of version 2 only.
    check("rle_boolean", &["error encoding", "error page_version", "error parquet_version"], foreign);
    check("utc", &["error timestamp_utc"], foreign);
    check("early", &["error date_out_of_range"], "writes others as null");
    check("late", &[], "");
    check("zstd", &["error compression"], foreign);
    check("version_2", &["error parquet_version"], foreign);
    check("arrow_schema", &["warning arrow_schema"], foreign);
    check("nested", &["error nested_column"], foreign);
    check("narrow", &["error column_type"], foreign);
    check("nanos", &["error column_type", "error parquet_version"], foreign);
    check("swapped", &["error columns_differ"], foreign);
    check("large_group", &["warning row_group_too_large"], foreign);
    check("too_large", &["error part_too_large"], "destination.part_mib: 64");
}

#[test]
fn texts_that_a_model_cuts_are_found_by_a_deep_look() {
    let local = Local::publish("");
    local.replace("long_text");
    expect(local.check(&["--json"]), &[], "");
    expect(local.check(&["--json", "--deep"]), &["warning text_too_long"], "long_text: fail");
    local.check(&["--deep"]).expect_code(7).expect_says(&["2 texts", "the longest of", "33000"]);
}

#[test]
fn parts_that_somebody_touched_are_found() {
    let local = Local::publish("");
    let (part, again) = (local.part(), "run the job again");
    let content = std::fs::read(&part).expect("the part");
    local.place.is_own(&part);
    std::fs::remove_file(&part).expect("removed");
    expect(local.check(&["--json"]), &["error part_missing"], again);
    std::fs::write(&part, &content[..content.len() - 1]).expect("written");
    expect(local.check(&["--json"]), &["error part_size"], again);
    // What the cure says does help.
    local.place.haul(&["run", &local.file]).expect_code(0);
    expect(local.check(&["--json"]), &[], "");

    // Another value in the first page, where the size stays.
    let part = local.part();
    local.place.is_own(&part);
    let mut other = std::fs::read(&part).expect("the part");
    let at = other.windows(4).position(|bytes| bytes == b"text").expect("a text is there as it is");
    other[at] = b'n';
    std::fs::write(&part, &other).expect("written");
    expect(local.check(&["--json"]), &["error part_checksum"], "remove the file, then run the job");
    std::fs::remove_file(&part).expect("removed");
    local.place.haul(&["run", &local.file]).expect_code(0);
    expect(local.check(&["--json"]), &[], "");

    // No Parquet at all, with the right size and checksum; and one with a row more than the manifest says.
    let local = Local::publish("");
    let part = local.part();
    local.place.is_own(&part);
    let text = vec![b'x'; std::fs::metadata(&part).expect("the part").len() as usize];
    std::fs::write(&part, &text).expect("written");
    local.change(|manifest| manifest["tables"]["items"]["parts"][0]["sha256"] = sha256(&text).into());
    expect(local.check(&["--json"]), &["error footer_unreadable"], again);
    local.replace("three_rows");
    local.change(|manifest| manifest["tables"]["items"]["parts"][0]["rows"] = 2.into());
    expect(local.check(&["--json"]), &["error part_rows"], again);
}

#[test]
fn names_that_a_model_does_not_take_are_found() {
    let column = |manifest: &mut Value, name: &str| {
        let columns = manifest["tables"]["items"]["columns"].as_array_mut().expect("columns");
        columns.push(json!({ "name": name, "path": [name], "type": "text", "origin": "declared" }));
    };
    let local = Local::publish("");
    local.replace("clash");
    local.change(|manifest| column(manifest, "NAME"));
    expect(local.check(&["--json"]), &["error name_clash"], "`rename` one of them");
    local.check(&[]).expect_code(7).expect_says(&["`name` and `NAME` differ in case alone"]);
    let local = Local::publish("");
    local.replace("odd_name");
    local.change(|manifest| column(manifest, "my name"));
    expect(local.check(&["--json"]), &["warning name_odd"], "`rename` it");
    // A table that differs from another one in case, with the same files.
    let local = Local::publish("");
    std::fs::create_dir(local.folder().join("Items")).expect("a folder");
    std::fs::copy(local.folder().join("items/current.parquet"), local.folder().join("Items/current.parquet"))
        .expect("copied");
    local.change(|manifest| {
        let tables = manifest["tables"].as_object_mut().expect("tables");
        let copy = tables["items"].clone();
        tables.insert("Items".to_owned(), copy);
    });
    expect(local.check(&["--json"]), &["error name_clash"], "another `name`");
}

#[test]
fn what_stands_beside_the_parts_is_looked_at() {
    let local = Local::publish("");
    let alias = local.folder().join("items/current.parquet");
    local.place.is_own(&alias);
    std::fs::remove_file(&alias).expect("removed");
    expect(local.check(&["--json"]), &["warning alias_missing"], "which repairs it");
    local.place.haul(&["run", &local.file]).expect_code(0);
    expect(local.check(&["--json"]), &[], "");
    // An alias from before the part, of the same size; one that is only older by the clock shows the same.
    let past = || {
        let file = std::fs::File::options().write(true).open(&alias).expect("the alias");
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3_600)).expect("its time");
    };
    past();
    expect(local.check(&["--json"]), &[], "");
    let mut other = std::fs::read(&alias).expect("the alias");
    other[10] ^= 1;
    std::fs::write(&alias, &other).expect("written");
    past();
    expect(local.check(&["--json"]), &["warning alias_stale"], "which repairs it");
    local.place.haul(&["run", &local.file]).expect_code(0);
    expect(local.check(&["--json"]), &[], "");

    // Pointer and manifest.
    let text = std::fs::read_to_string(local.folder().join("_latest.json")).expect("a pointer");
    let pointer = |text: &str| std::fs::write(local.folder().join("_latest.json"), text).expect("written");
    pointer(&text.replace("\"format_version\": 1", "\"format_version\": 2"));
    expect(local.check(&["--json"]), &["error document_unreadable"], "a newer haul wrote it");
    pointer("{");
    expect(local.check(&["--json"]), &["error document_unreadable"], "run the job again");
    pointer(&text.replace("_snapshots/", "_snapshots/x"));
    expect(local.check(&["--json"]), &["error document_missing"], "run the job again");
    std::fs::remove_file(local.folder().join("_latest.json")).expect("removed");
    expect(local.check(&["--json"]), &["error not_published"], "`haul run JOBFILE` publishes one");
    local.check(&[]).expect_code(7).expect_says(&["no dataset could be read", &format!("`haul run {}`", local.file)]);
}

#[test]
fn csv_files_and_their_lists_of_columns_are_looked_at() {
    let local = Local::publish("\n  format: csv");
    let (part, list) = (local.part(), local.folder().join("items/columns.json"));
    let alias = local.folder().join("items/current.csv");
    let content = std::fs::read_to_string(&part).expect("the part");
    let write = |content: &str| {
        std::fs::write(&part, content).expect("written");
        std::fs::write(&alias, content).expect("written");
        local.change(|manifest| {
            let part = &mut manifest["tables"]["items"]["parts"][0];
            (part["bytes"], part["sha256"]) = (content.len().into(), sha256(content.as_bytes()).into());
        });
    };
    write(content.trim_start_matches('\u{feff}'));
    expect(local.check(&["--json"]), &["error csv_start"], "run the job again");
    write(&content.replacen("name", "nome", 1));
    expect(local.check(&["--json"]), &["error csv_start"], "run the job again");
    write(&format!("{content}2,text\r\n"));
    expect(local.check(&["--json"]), &["error csv_rows", "error part_rows"], "run the job again");
    write(&content.replace("text", &"y".repeat(40_000)));
    expect(local.check(&["--json"]), &[], "");
    expect(local.check(&["--json", "--deep"]), &["warning text_too_long"], "long_text: fail");
    write(&content);
    let day = |range: Option<Value>| {
        local.change(|manifest| {
            let ranges = manifest["tables"]["items"]["parts"][0]["ranges"].as_object_mut().expect("ranges");
            ranges.remove("day");
            ranges.extend(range.clone().map(|range| ("day".to_owned(), range)));
        });
    };
    day(Some(json!({ "from": "0850-01-02", "to": "2024-01-02", "nulls": 0 })));
    expect(local.check(&["--json"]), &["error date_out_of_range"], "columns: { day: text }");
    // An end that no text can spell is not written down.
    day(None);
    expect(local.check(&["--json"]), &["error date_out_of_range"], "columns: { day: text }");
    day(Some(json!({ "from": "2024-01-02", "to": "2024-01-02", "nulls": 0 })));
    let text = std::fs::read_to_string(&list).expect("a list");
    std::fs::write(&list, text.replace("\"integer\"", "\"text\"")).expect("written");
    expect(local.check(&["--json"]), &["warning columns_list_differs"], "which repairs it");
    std::fs::remove_file(&list).expect("removed");
    expect(local.check(&["--json"]), &["warning columns_list_differs"], "which repairs it");
}

#[test]
fn files_for_other_readers_are_told_of_once() {
    let (source, place) = (source(), Workplace::new().expects_analytics());
    let text = job(&source.url, "", STREAM).replace("url: out", "url: out\n  profile: analytics");
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    let done = place.haul(&["powerbi", "check", &file, "--json"]);
    expect(done, &["error other_profile"], "destination.profile: powerbi");
}

#[test]
fn the_output_fits_a_terminal_and_says_the_same_once() {
    let local = Local::publish("");
    local.replace("zstd");
    let done = local.check(&[]).expect_code(7);
    let wide = |line: &&str| line.chars().count() > 80 && line.split_whitespace().count() > 1;
    let lines: Vec<&str> = done.stdout.lines().filter(wide).collect();
    assert!(lines.is_empty(), "too wide:\n{}", lines.join("\n"));
    assert!(done.stderr.is_empty(), "{done:#?}");
    done.expect_says(&[
        "error compression",
        "columns `at`, `day`, `id`, `name`, `ok` and 1 more",
        "ZSTD",
        "cure: ",
        "1 error, 0 warnings",
    ]);
}

/// A dataset on Azurite.
struct Remote {
    azurite: Rig,
    place: Workplace,
    file: String,
    _source: Server,
}

impl Remote {
    fn publish() -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let source = source();
        let place = Self::place(&azurite).env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"));
        let text = job(&source.url, "", STREAM).replace("url: out", "url: az://reports/exports");
        let file = place.file("job.yaml", &text);
        place.haul(&["run", &file]).expect_code(0);
        Remote { azurite, place, file, _source: source }
    }

    fn place(azurite: &Rig) -> Workplace {
        Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ENDPOINT", azurite.url())
            .env("AZURE_ALLOW_HTTP", "true")
    }

    fn check(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["powerbi", "check", &self.file, "--json"], args].concat())
    }

    fn share(&self, args: &[&str]) -> Value {
        self.place.haul(&[&["share", args[0], &self.file, "--json"], &args[1..]].concat()).expect_code(0).json()
    }

    /// A file with a SAS in it.
    fn sas_file(&self, sas: &str) -> String {
        self.place.file("sas.txt", sas)
    }

    fn sas(&self, args: &[&str]) -> String {
        let sas = ["sas", "--url", self.azurite.url(), "--container", "reports"];
        output_of("blob.py", &[&sas, args].concat()).trim().to_owned()
    }

    fn policy(&self, name: &str, more: &[&str]) {
        let args = ["policy", "--url", self.azurite.url(), "--container", "reports", "--name", name];
        output_of("blob.py", &[&args, more].concat());
    }

    /// Until the service knows what was changed.
    #[track_caller]
    fn until(&self, args: &[&str], codes: &[&str], cure: &str) {
        let end = Instant::now() + POLICY_WAIT;
        loop {
            let done = self.check(args);
            if found(&done) == codes || Instant::now() > end {
                return expect(done, codes, cure);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The blobs below the job's folder, as files.
    fn blobs(&self, to: &Path) {
        let to = to.to_string_lossy().into_owned();
        output_of("blob.py", &["get", "--url", self.azurite.url(), "--container", "reports", "--to", &to]);
    }

    fn put(&self, blob: &str, file: &Path) {
        let from = file.to_string_lossy().into_owned();
        let args = ["put", "--url", self.azurite.url(), "--container", "reports", "--name", blob, "--from", &from];
        output_of("blob.py", &args);
    }
}

#[test]
fn a_shared_dataset_is_read_as_a_report_reads_it() {
    let remote = Remote::publish();
    expect(remote.check(&[]), &["error not_shared"], "haul share create JOBFILE");
    let made = remote.share(&["create"]);
    let policy = made["share"]["policy"].as_str().expect("a policy");
    let (query, signature) = (made["query"].as_str().expect("a query"), &made["parameters"]["SasSignature"]);
    let signature = signature.as_str().expect("a signature");
    remote.until(&[], &[], "\"read_as\": \"share\"");
    let checkup = remote.check(&[]).json();
    assert_eq!((&checkup["share"], &checkup["parts"]), (&json!(policy), &json!(1)));
    expect(remote.check(&["--share", policy, "--deep"]), &[], policy);
    // The SAS from a file, as a query, as an address, as it was printed; and from standard input.
    for text in [
        query.to_owned(),
        format!("{}/items/current.parquet?{query}", made["base_url"].as_str().expect("it")),
        made.to_string(),
    ] {
        expect(remote.check(&["--sas-file", &remote.sas_file(&text)]), &[], policy);
    }
    let mut command = remote.place.command(&["powerbi", "check", &remote.file, "--sas-file", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("haul starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("its input"), query.as_bytes()).expect("written");
    Done::of(child.wait_with_output().expect("it ends")).expect_code(0).expect_says(&["nothing is wrong", policy]);

    // Without the key its end is not known, and that is no fault.
    let anonymous = Remote::place(&remote.azurite).env("AZURE_STORAGE_SAS_TOKEN", &remote.sas(&[]));
    let job = anonymous.file("job.yaml", &std::fs::read_to_string(&remote.file).expect("the job"));
    let file = anonymous.file("sas.txt", query);
    let done = anonymous.haul(&["powerbi", "check", &job, "--json", "--sas-file", &file]);
    expect(done, &["note share_end_unknown"], "haul share list");
    expect(anonymous.haul(&["powerbi", "check", &job, "--json"]), &["note not_as_reader"], "--sas-file");

    // A signature of which a character is another one, and what pasting does to it.
    let turned = |letter: char| {
        if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    // Not its last character, of which some bits must be zero.
    let wrong: String = signature[..20].chars().map(turned).collect();
    let wrong = query.replace(&signature[..20], &wrong);
    let wrong = remote.check(&["--sas-file", &remote.sas_file(&wrong)]);
    let said = wrong.stdout.clone() + &wrong.stderr;
    expect(wrong, &["error refused"], "signature is wrong, or the share has ended");
    let cut = query.replace(&signature[..4], "");
    expect(
        remote.check(&["--sas-file", &remote.sas_file(&cut)]),
        &["error refused", "error signature_spoiled"],
        "paste",
    );
    let elsewhere = format!("https://contoso.blob.core.windows.net/reports?{query}");
    expect(
        remote.check(&["--sas-file", &remote.sas_file(&elsewhere)]),
        &["error sas_of_other_place"],
        "this job's container",
    );
    let none = remote.check(&["--sas-file", &remote.sas_file("sv=2023-11-03")]).expect_code(2);
    none.expect_says(&["has no signature", "sv=…&sig=…"]);
    remote.check(&["--sas-file", "nowhere.txt"]).expect_code(2).expect_says(&["`nowhere.txt` cannot be read"]);
    assert!(!said.contains(&signature[..20]) && !said.contains(&signature[..20].to_uppercase()));

    remote.share(&["revoke", policy]);
    remote.until(
        &["--sas-file", &remote.sas_file(query)],
        &["error refused", "error share_revoked"],
        "put it into the report",
    );
    expect(remote.check(&["--share", policy]), &["error share_revoked"], "put it into the report");
}

#[test]
fn shares_that_ended_or_allow_too_much_are_found() {
    let remote = Remote::publish();
    let extend = "haul share extend JOBFILE";
    remote.policy("haul-test-90d-aaaaaaaaaa", &["--days", "-1", "--permission", "r"]);
    remote.until(&[], &["error refused", "error share_expired"], extend);
    // What the cure says does help.
    remote.share(&["extend"]);
    remote.until(&[], &[], "haul-test-90d-aaaaaaaaaa");
    remote.policy("haul-test-90d-aaaaaaaaaa", &["--days", "2", "--permission", "r"]);
    remote.until(&[], &["warning share_ends_soon"], extend);
    remote.policy("haul-test-90d-aaaaaaaaaa", &["--days", "400", "--permission", "rwdl"]);
    remote.until(&[], &["warning share_too_wide"], "haul share revoke");
    remote.check(&[]).expect_says(&["also list"].map(|_| "whoever has it may also write, delete"));
    remote.policy("haul-test-90d-aaaaaaaaaa", &["--days", "400", "--permission", "l"]);
    remote.until(&[], &["error refused", "error share_cannot_read"], "haul share create");

    let sas = |args: &[&str]| remote.sas_file(&remote.sas(args));
    let check =
        |args: &[&str], codes: &[&str], cure: &str| expect(remote.check(&["--sas-file", &sas(args)]), codes, cure);
    check(&["--hours", "2000"], &[], "");
    check(&["--hours", "-1"], &["error refused", "error share_expired"], "haul share create");
    check(&["--hours", "2000", "--permission", "racwdl"], &["warning share_too_wide"], "add, create, write, delete");
    check(
        &["--hours", "2000", "--from-hours", "100"],
        &["error refused", "error share_not_begun"],
        "without a beginning",
    );
    check(&["--hours", "2000", "--account"], &["warning share_of_account"], "haul share create");
    check(
        &["--hours", "2000", "--account", "--permission", "rwl"],
        &["warning share_of_account", "warning share_too_wide"],
        "",
    );
}

#[test]
fn parts_that_are_missing_or_foreign_in_a_container_are_found() {
    let remote = Remote::publish();
    remote.share(&["create"]);
    remote.until(&[], &[], "");
    let copy = remote.place.path("copy");
    std::fs::create_dir(&copy).expect("a folder");
    remote.blobs(&copy);
    let folder = copy.join("exports/test");
    let (path, mut manifest) = dataset::manifests(&folder, "_snapshots").pop().expect("a manifest");
    let part = manifest["tables"]["items"]["parts"][0]["path"].as_str().expect("a path").to_owned();
    let blob = format!("exports/test/{part}");
    output_of("blob.py", &["remove", "--url", remote.azurite.url(), "--container", "reports", "--name", &blob]);
    expect(remote.check(&[]), &["error part_missing"], "run the job again");
    // A cut part.
    let content = std::fs::read(folder.join(&part)).expect("the part");
    let cut = remote.place.file("cut.bin", "");
    std::fs::write(&cut, &content[..content.len() / 2]).expect("written");
    remote.put(&blob, Path::new(&cut));
    expect(remote.check(&[]), &["error part_size"], "run the job again");
    // A foreign one, which the manifest knows.
    let foreign = remote.place.path("foreign.bin");
    remote.place.is_own(&foreign);
    output_of("spoil.py", &["delta", &foreign.to_string_lossy()]);
    let content = std::fs::read(&foreign).expect("the file");
    remote.put(&blob, &foreign);
    remote.put("exports/test/items/current.parquet", &foreign);
    let entry = &mut manifest["tables"]["items"]["parts"][0];
    (entry["bytes"], entry["sha256"]) = (content.len().into(), sha256(&content).into());
    std::fs::write(&path, manifest.to_string()).expect("written");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    remote.put(&format!("exports/test/_snapshots/{name}"), &path);
    expect(remote.check(&[]), &["error encoding"], "let no other program write there");
}

#[test]
fn the_address_itself_is_looked_at() {
    // Nobody answers there; what the SAS and the name of the host are like is told all the same.
    let check = |endpoint: &str, codes: &[&str], cure: &str| {
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", "contoso")
            .env("AZURE_STORAGE_SAS_TOKEN", "sv=2023-11-03&sp=r&sig=eHh4")
            .env("AZURE_STORAGE_ENDPOINT", endpoint);
        let text = job("http://127.0.0.1:1", "", STREAM).replace("url: out", "url: az://reports/exports");
        let file = place.file("job.yaml", &text);
        let sas = "sv=2023-11-03&sr=c&sp=r&se=2999-01-01T00:00:00Z&sig=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE%3D";
        let sas = place.file("sas.txt", sas);
        expect(place.haul(&["powerbi", "check", &file, "--json", "--sas-file", &sas]), codes, cure);
    };
    check("https://localhost:1", &["error unreachable", "warning share_allows_http"], "check the address, the proxy");
    let underscore = ["error host_underscore", "error unreachable", "warning share_allows_http"];
    check("https://my_host.invalid:1", &underscore, "use an address without one");
}

#[test]
fn every_answer_of_the_service_has_its_cure() {
    let answers = |status: u16, code: &'static str| {
        Server::start(move |_, _| support::server::status(status, "").with("x-ms-error-code", code))
    };
    let check = |status: u16, code: &'static str, codes: &[&str], cure: &str| {
        let service = answers(status, code);
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", "contoso")
            .env("AZURE_STORAGE_SAS_TOKEN", "sv=2023-11-03&sp=r&sig=eHh4")
            .env("AZURE_STORAGE_ENDPOINT", &service.url)
            .env("AZURE_ALLOW_HTTP", "true");
        let text = job("http://127.0.0.1:1", "", STREAM).replace("url: out", "url: az://reports/exports");
        let file = place.file("job.yaml", &text);
        let signature = "canaryQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let sas = place.file("sas.txt", &format!("sv=2023-11-03&sr=c&sp=r&se=2999-01-01T00:00:00Z&sig={signature}"));
        let done = place.haul(&["powerbi", "check", &file, "--json", "--sas-file", &sas]);
        let asked = service.asked();
        assert!(asked[0].target.contains("&sig=canary"), "{}", asked[0].target);
        assert!(asked[0].header("authorization").is_none(), "an anonymous reader has nothing but its signature");
        expect(done, codes, cure);
    };
    check(403, "AuthenticationFailed", &["error refused"], "take the signature once more");
    check(403, "AuthorizationPermissionMismatch", &["error refused"], "does not allow to read this");
    check(403, "AuthorizationSourceIPMismatch", &["error refused"], "make one without a range");
    check(401, "NoAuthenticationInformation", &["error refused"], "the signature did not arrive");
    check(409, "PublicAccessNotPermitted", &["error refused"], "the signature did not arrive");
    check(409, "BlobArchived", &["error refused"], "bring it back");
    check(403, "SomethingNew", &["error refused"], "who may read there");
    check(404, "ContainerNotFound", &["error not_published"], "publishes one");
    check(503, "ServerBusy", &["error unreachable"], "try again later");
}

#[test]
fn what_cannot_be_checked_is_said() {
    let local = Local::publish("");
    local.check(&["--share", "haul-x"]).expect_code(2).expect_says(&["is no container of Azure Blob"]);
    let sas = local.place.file("sas.txt", "sv=1&sig=x");
    local.check(&["--sas-file", &sas]).expect_code(2).expect_says(&["is no container of Azure Blob"]);
    local.check(&["--share", "x", "--sas-file", &sas]).expect_code(2);
    let help = local.place.haul(&["powerbi", "check", "--help"]).expect_code(0);
    help.expect_says(&[
        "Exit codes: 0 nothing is wrong, 7 something was found",
        "--sas-file",
        "haul powerbi check jobs/",
    ]);
}

#[test]
fn the_manual_lists_every_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = std::fs::read_to_string(root.join("docs/OPERATING.md")).expect("the manual");
    let (_, table) = manual.split_once("| code | severity | what is wrong |").expect("the table");
    let mut codes = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(root.join("src/engine/checkup")).expect("the room") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a text");
        let code = text.split("\nmod tests {").next().expect("the code");
        // What opens a finding, however it is broken into lines.
        let words = code.split_whitespace().collect::<Vec<_>>().join(" ").replace("( \"", "(\"");
        for opening in ["error(\"", "warning(\"", "note(\"", "of_document(\"", "=> (\""] {
            let literals = words.split(opening).skip(1).filter_map(|after| after.split('"').next());
            codes.extend(literals.map(str::to_owned));
        }
    }
    assert!(codes.len() > 40, "there are {}", codes.len());
    let missing: Vec<&String> = codes.iter().filter(|code| !table.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
