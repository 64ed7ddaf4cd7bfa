//! What the answers of ten known APIs become when the job declares no type, and what a hint makes of them where an
//! analyst wants more. The answers are written after the makers' documentation; `tests/shapes/README.md` tells which
//! need a hint. `HAUL_BLESS=1` writes what is expected anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::scene::Published;
use crate::support::Workplace;
use crate::support::server::{Answer, Request, Server, ok, status};

/// Characters of one value in the expected table.
const VALUE_CHARS_MAX: usize = 48;

fn folder(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes").join(shape)
}

fn text(shape: &str, name: &str) -> Option<String> {
    std::fs::read_to_string(folder(shape).join(name)).ok()
}

/// One `### METHOD TARGET [TEXT IN THE BODY]` of an `answers.http`, with the answer's headers and body below it.
struct Scripted {
    method: String,
    target: String,
    in_body: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Scripted {
    fn of(text: &str) -> Self {
        let (head, rest) = text.split_once('\n').expect("an answer below the request");
        let mut words = head.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().trim().to_owned();
        let (method, target, in_body) = (word(), word(), word());
        // Where a body begins at once, there are no headers.
        let (headers, body) = match rest.starts_with(['{', '[']) {
            true => ("", rest),
            false => rest.split_once("\n\n").expect("an empty line below the headers"),
        };
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Scripted { method, target, in_body, headers: headers.lines().filter_map(pair).collect(), body: body.to_owned() }
    }

    fn is_for(&self, request: &Request) -> bool {
        self.method == request.method
            && parts_of(&self.target) == parts_of(&request.target)
            && request.body.contains(&self.in_body)
    }

    fn answer(&self, base: &str) -> Answer {
        let headers = self.headers.iter();
        headers.fold(ok(self.body.replace("BASE", base)), |answer, (name, value)| {
            answer.with(name, &value.replace("BASE", base))
        })
    }
}

/// Path and decoded parameters, in no order.
fn parts_of(target: &str) -> (String, BTreeSet<(String, String)>) {
    let url = url::Url::parse("http://localhost").and_then(|url| url.join(target)).expect("a target");
    (url.path().to_owned(), url.query_pairs().into_owned().collect())
}

fn serve(shape: &str) -> Server {
    let answers = text(shape, "answers.http").expect("answers");
    let scripted: Vec<Scripted> = answers.split("### ").skip(1).map(Scripted::of).collect();
    Server::start(move |request, _| {
        let base = format!("http://{}", request.header("host").expect("a host"));
        match scripted.iter().find(|scripted| scripted.is_for(request)) {
            Some(scripted) => scripted.answer(&base),
            None => status(404, format!("{{\"none\":\"{} {}\"}}", request.method, request.target)),
        }
    })
}

/// A column a line: name, type, and the value of every row as DuckDB reads it.
fn told(published: &Published<'_>) -> String {
    let mut told = String::new();
    for table in published.tables() {
        let answer = published.query(table, "select * from {t}");
        let rows = answer["rows"].as_array().expect("rows");
        told.push_str(&format!("{table}: {} rows\n", rows.len()));
        for (at, column) in published.columns(table).iter().enumerate() {
            let (name, kind) = column.split_once(' ').expect("a name and a type");
            let values: Vec<String> = rows.iter().map(|row| shown(&row[at])).collect();
            told.push_str(&format!("  {name:<40} {kind:<14} {}\n", values.join(" | ")));
        }
    }
    told
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the tables of a job of this shape are.
#[track_caller]
fn run(shape: &str, job: &str) -> String {
    let server = serve(shape);
    let place = Workplace::new();
    let text_of_job = text(shape, job).unwrap_or_else(|| panic!("{shape} has no {job}"));
    let file = place.file("job.yaml", &text_of_job.replace("BASE", &server.url));
    place.haul(&["run", &file]).expect_code(0);
    let published = Published::of(&place, "out");
    published.read_by_all();
    told(&published).replace(&server.url, "BASE")
}

#[track_caller]
fn compare(shape: &str, expected: &str, got: &str) {
    if std::env::var_os("HAUL_BLESS").is_some() {
        std::fs::write(folder(shape).join(expected), got).expect("a file");
    }
    assert_eq!(got, text(shape, expected).unwrap_or_default(), "{shape}/{expected}");
}

/// Without any declared type: `job.yaml` gives `expected.txt`. Where there is a `hinted.yaml`, `hinted.txt` is what its
/// hints change: lines that go and lines that come.
#[track_caller]
fn check(shape: &str) {
    let declares = text(shape, "job.yaml").expect("a job").contains("columns:");
    assert!(!declares, "{shape}/job.yaml declares types");
    let plain = run(shape, "job.yaml");
    compare(shape, "expected.txt", &plain);
    if folder(shape).join("hinted.yaml").exists() {
        let hinted = run(shape, "hinted.yaml");
        let only_in = |one: &str, other: &str, mark: &str| -> String {
            let other: BTreeSet<&str> = other.lines().collect();
            one.lines().filter(|line| !other.contains(line)).map(|line| format!("{mark}{line}\n")).collect()
        };
        let changed = only_in(&plain, &hinted, "-") + &only_in(&hinted, &plain, "+");
        compare(shape, "hinted.txt", &changed);
    }
}

#[test]
fn exact_online() {
    check("exact");
}

#[test]
fn business_central() {
    check("business-central");
}

/// The one shape that is refused without a hint.
#[test]
fn github() {
    let server = serve("github");
    let place = Workplace::new();
    let job = text("github", "job.yaml").expect("a job").replace("BASE", &server.url);
    let file = place.file("job.yaml", &job);
    let done = place.haul(&["run", &file]).expect_code(1);
    done.expect_says(&["`reactions.+1`", "`reactions.-1`", "`reactions__1`"]);
    compare("github", "hinted.txt", &run("github", "hinted.yaml"));
}

#[test]
fn microsoft_graph() {
    check("graph");
}

#[test]
fn stripe() {
    check("stripe");
}

#[test]
fn xero() {
    check("xero");
}

#[test]
fn hubspot() {
    check("hubspot");
}

#[test]
fn shopify() {
    check("shopify");
}

#[test]
fn servicenow() {
    check("servicenow");
}

#[test]
fn graphql_connection() {
    check("graphql");
}
