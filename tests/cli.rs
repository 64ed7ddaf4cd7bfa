//! The command line as a new user meets it: wrong files, missing secrets, wrong hosts, help.

#![allow(missing_docs)]

mod support;

use support::server::{Server, ok};
use support::{Workplace, job};

#[test]
fn every_mistake_of_a_job_file_is_told_at_once_with_its_place() {
    let place = Workplace::new();
    let text = "job: Sales\nsource:\n  base_url: http://api.example.com\n  autth: anonymous\nstreams:\n  - name: items\n    path: /items\n    paging: { offset: { size: many } }\ndestination:\n  url: out\n  format: xlsx\n";
    let file = place.file("job.yaml", text);
    let done = place.haul(&["check", &file]).expect_code(2);
    done.expect_says(&[
        "job.yaml:4:3",
        "autth",
        "did you mean `auth`",
        "job.yaml:8:",
        "size",
        "job.yaml:11:11",
        "xlsx",
        "parquet",
    ]);
    let report = place.haul(&["check", &file, "--json"]).expect_code(2).json();
    assert_eq!(report["is_ok"], false);
    assert!(report["files"][0]["problems"].as_array().expect("problems").len() >= 3, "{report}");
    let run = place.haul(&["run", &file, "--json"]).expect_code(2).json();
    assert!(run["problems"].as_array().is_some_and(|problems| problems.len() >= 3), "{run}");
}

#[test]
fn a_literal_secret_is_refused_and_not_printed() {
    let place = Workplace::new();
    let text = job("https://api.example.com", "auth: { bearer: { token: canary-literal-token } }", "");
    let file = place.file("job.yaml", &text);
    let done = place.haul(&["check", &file]).expect_code(2).expect_says(&["${", "source.auth.bearer.token"]);
    assert!(!done.stderr.contains("canary-literal-token"), "{done:?}");
}

#[test]
fn a_missing_secret_names_the_variable() {
    let place = Workplace::new();
    let file = place
        .file("job.yaml", &job("https://api.example.com", "auth: { bearer: { token: \"${NO_SUCH_TOKEN}\" } }", ""));
    place.haul(&["run", &file]).expect_code(2).expect_says(&["NO_SUCH_TOKEN"]);
    place.haul(&["check", &file]).expect_code(0).expect_says(&["NO_SUCH_TOKEN"]);
    let file = place.file(
        "job.yaml",
        &job("https://api.example.com", "auth: { bearer: { token: \"${file:/no/such/file}\" } }", ""),
    );
    place.haul(&["run", &file]).expect_code(2).expect_says(&["/no/such/file"]);
}

#[test]
fn an_unknown_host_ends_soon_and_says_so() {
    let place = Workplace::new();
    let file = place.file("job.yaml", &job("https://no-such-host.invalid", "", ""));
    place.haul(&["run", &file]).expect_code(75).expect_says(&["cannot reach https://no-such-host.invalid", "base_url"]);
}

#[test]
fn a_state_folder_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let place = Workplace::new();
    let state = place.path("state");
    std::fs::create_dir(&state).expect("a folder");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let file = place.file("job.yaml", &job("https://api.example.com", "", ""));
    place.haul(&["run", &file]).expect_code(2).expect_says(&["open to other users", "chmod 700"]);
}

#[test]
fn a_job_that_needs_a_login_names_the_command() {
    let place = Workplace::new();
    let auth = "auth: { oauth2: { grant: authorization_code, client_id: x, token_url: \"https://h.invalid/t\", authorize_url: \"https://h.invalid/a\" } }";
    let file = place.file("job.yaml", &job("https://h.invalid/api", auth, ""));
    place.haul(&["run", &file]).expect_code(5).expect_says(&["haul login"]);
}

#[test]
fn missing_files_folders_and_streams_are_told() {
    let place = Workplace::new();
    place.haul(&["run", "nothing.yaml"]).expect_code(2).expect_says(&["nothing.yaml"]);
    place.haul(&["run", "."]).expect_code(2);
    let file = place.file("job.yaml", &job("https://api.example.com", "", ""));
    place.haul(&["run", &file, "--stream", "orders"]).expect_code(2).expect_says(&["orders", "items"]);
    place.haul(&["run", &file, "--set", "division=1"]).expect_code(2).expect_says(&["division"]);
    place.haul(&["run", &file, "--set", "division"]).expect_code(2);
}

#[test]
fn settings_reach_templates_and_can_be_changed() {
    let server = Server::start(|request, _| ok(format!("[{{\"asked\":\"{}\"}}]", request.target)));
    let place = Workplace::new();
    let text = format!(
        "job: test\nsettings: {{ division: 7, region: eu }}\nsource: {{ base_url: {} }}\nstreams:\n  - name: items\n    path: /{{{{ settings.division }}}}/items\n    params: {{ region: \"{{{{ settings.region }}}}\", none: \"\" }}\ndestination: {{ url: out }}\n",
        server.url
    );
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    place.haul(&["run", &file, "--set", "division=8", "--set", "region=a b"]).expect_code(0);
    let asked: Vec<String> = server.asked().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/7/items?region=eu", "/8/items?region=a%20b"]);
    let file = place.file("job.yaml", &text.replace("settings.division", "settings.divison"));
    place.haul(&["run", &file]).expect_code(2).expect_says(&["divison"]);
}

#[test]
fn preview_shows_rows_and_types_and_guesses_paging() {
    let server =
        Server::start(|_, _| ok(r#"{"data":[{"id":1,"amount":1.50,"at":"2024-01-31"},{"id":2}],"next":"/items?p=2"}"#));
    let place = Workplace::new();
    let file = place.file("job.yaml", &job(&server.url, "", "records: data"));
    let done = place.haul(&["preview", &file]).expect_code(0);
    let done = done.expect_says(&["amount: decimal(18,4)", "at: date", "2024-01-31", "next_url"]);
    assert!(!done.stdout.is_empty());
    let json = place.haul(&["preview", &file, "items", "--rows", "1", "--json"]).expect_code(0).json();
    assert_eq!(json["tables"][0]["rows"].as_array().expect("rows").len(), 1);
    assert!(!place.path("out").exists(), "a preview publishes nothing");
}

#[test]
fn snapshots_are_listed_and_a_single_stream_keeps_the_others() {
    let server = Server::start(|_, number| ok(format!(r#"[{{"id":{number}}}]"#)));
    let place = Workplace::new();
    let text = format!(
        "job: test\nsource: {{ base_url: {} }}\nstreams:\n  - {{ name: a, path: /a }}\n  - {{ name: b, path: /b }}\ndestination: {{ url: out }}\n",
        server.url
    );
    let file = place.file("job.yaml", &text);
    place.haul(&["run", &file]).expect_code(0);
    let report = place.haul(&["run", &file, "--stream", "b", "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["a"]["outcome"], "kept");
    assert_eq!(report["tables"]["b"]["outcome"], "published");
    assert_eq!(server.asked().len(), 3);
    let listed = place.haul(&["snapshots", &file, "--json"]).expect_code(0).json();
    let snapshots = listed["snapshots"].as_array().expect("snapshots");
    assert_eq!(snapshots.len(), 2);
    assert_eq!(snapshots[0]["is_current"], true);
    assert_eq!(snapshots[0]["snapshot"], report["snapshot"]);
    assert_eq!(snapshots[1]["is_current"], false);
}

#[test]
fn help_names_exit_codes_and_examples_and_the_manual_is_complete() {
    let place = Workplace::new();
    place.haul(&["--help"]).expect_code(0).expect_says(&["Exit codes", "75", "login is needed"]);
    place.haul(&["run", "--help"]).expect_code(0).expect_says(&["Examples"]);
    place.haul(&["--version"]).expect_code(0).expect_says(&[env!("CARGO_PKG_VERSION")]);
    place.haul(&["frobnicate"]).expect_code(2);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(place.haul(&["completions", shell]).expect_code(0).stdout.contains("haul"));
    }
    let man = place.path("man");
    place.haul(&["man", "--dir", &man.to_string_lossy()]).expect_code(0);
    for page in ["haul.1", "haul-run.1", "haul-login.1", "haul-demo.1"] {
        let text = std::fs::read_to_string(man.join(page)).expect("a page");
        assert!(text.starts_with(".ie") || text.contains(".TH"), "{page}");
    }
    let schema = place.haul(&["schema"]).expect_code(0).stdout;
    assert_eq!(
        schema,
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/job.schema.json")).expect("a schema")
    );
}
