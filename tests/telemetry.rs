//! What a run tells while it goes on and afterwards: a log in JSON, traces of OpenTelemetry.

#![allow(missing_docs)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::server::{Server, ok, status};
use support::{Workplace, job};

fn source() -> Server {
    Server::start(|request, _| match request.path() {
        "/broken" => status(404, "{}"),
        _ => ok("[{\"id\":1},{\"id\":2}]"),
    })
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

#[test]
fn a_log_names_job_run_and_stream_on_every_line() {
    let (place, server) = (Workplace::new(), source());
    let file = place.file("job.yaml", &job(&server.url, "", "key: [id]\n"));
    let done = place.haul(&["run", &file, "--json", "--log", "info"]).expect_code(0);
    let (report, log) = (done.json(), lines(&done.stderr));
    let kinds: Vec<&str> = log.iter().map(|line| line["event"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["run_began", "stream_began", "slice_read", "stream_sealed", "snapshot_published"]);
    for line in &log {
        assert_eq!(
            (&line["job"], &line["run"], &line["level"]),
            (&json!("test"), &report["run"], &json!("info")),
            "{line}"
        );
        assert!(line["at"].is_string() && line["text"].is_string(), "{line}");
    }
    assert_eq!((&log[3]["stream"], &log[3]["rows"], &log[3]["pages"]), (&json!("items"), &json!(2), &json!(1)));
    // Every page at debug, and at error only what somebody must look at.
    let debug = lines(
        &place
            .haul(&["run", &file, "--log", "debug"])
            .expect_code(0)
            .stderr
            .lines()
            .filter(|line| line.starts_with('{'))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    assert!(
        debug.iter().any(|line| line["event"] == "page_read" && line["records"] == 2 && line["level"] == "debug"),
        "{debug:?}"
    );
    let broken = place.file("broken.yaml", &job(&server.url, "", "").replace("/items", "/broken"));
    let failed = place.haul(&["run", &broken, "--json", "--log", "error"]).expect_code(1);
    let log = lines(&failed.stderr);
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((&log[0]["event"], &log[0]["stream"]), (&json!("stream_failed"), &json!("items")));
    // The same lines are kept with the run.
    let shown =
        place.haul(&["runs", "show", &file, report["run"].as_str().expect("a run"), "--json"]).expect_code(0).json();
    assert_eq!(shown["log"].as_array().expect("lines").len(), 5, "{shown}");
    assert_eq!(shown["report"]["tables"]["items"]["rows"], 2);
    place.haul(&["runs", "show", &broken]).expect_code(0).expect_says(&["failed", "404", "items: failed"]);
    place.haul(&["runs", "show", &file, "01JD3K9V6Q8Z0X4T2M7B5N1C0R"]).expect_code(2).expect_says(&["nothing is kept"]);
}

#[test]
fn a_collector_gets_a_span_for_the_run_and_each_stream() {
    let (server, collector) = (source(), Server::start(|_, _| ok("{}")));
    let place = Workplace::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary%20key")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let text = job(&server.url, "", "key: [id]\n")
        .replace("destination:", "  - name: broken\n    path: /broken\ndestination:");
    let file = place.file("job.yaml", &text);
    let report = place.haul(&["run", &file, "--json"]).expect_code(1).json();
    let asked = collector.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!((asked[0].method.as_str(), asked[0].path()), ("POST", "/v1/traces"));
    assert_eq!(asked[0].header("api-key"), Some("canary key"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    // The protocol's own definition reads it, strictly.
    let read: Value = serde_json::from_str(&filtered("otlp.py", &asked[0].body)).expect("JSON");
    let spans = read["spans"].as_array().expect("spans");
    let named =
        |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no span {name}: {read}"));
    let (run, items, broken) = (named("run test"), named("stream items"), named("stream broken"));
    assert_eq!((spans.len(), &read["resource"]["service.name"]), (3, &json!("haul")));
    assert_eq!(read["resource"]["deployment.environment.name"], "test");
    assert_eq!(
        (&run["attributes"]["haul.run"], &run["attributes"]["haul.outcome"]),
        (&report["run"], &json!("failed"))
    );
    assert_eq!((&run["status"], &items["status"], &broken["status"]), (&json!(2), &json!(0), &json!(2)));
    for span in [items, broken] {
        assert_eq!((&span["parent"], &span["trace"]), (&run["id"], &run["trace"]));
        let time = |span: &Value, name: &str| span[name].as_u64().expect("a time");
        assert!(time(run, "start") <= time(span, "start") && time(span, "start") <= time(span, "end"), "{span}");
    }
    // A collector that is away fails no run, and is told of.
    let place = Workplace::new().env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces");
    let file = place.file("job.yaml", &job(&server.url, "", "key: [id]\n"));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert!(report["warnings"][0].as_str().is_some_and(|text| text.contains("collector of traces")), "{report}");
}

/// Runs a rig as a filter.
fn filtered(program: &str, input: &str) -> String {
    let rigs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs");
    let mut child = Command::new(rigs.join(".venv/bin/python"))
        .arg(rigs.join(program))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the rigs are not installed: run `tests/rigs/install`");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} refuses {input}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
