//! A case is a line: an API, the stream's settings, and what haul must make of it. All cases of a group run side by
//! side, and every one that differs is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::Api;
use crate::support::rigs::read;
use crate::support::server::Server;
use crate::support::{Done, Workplace, job};

/// Most cases wait for a retry most of the time.
const THREADS: usize = 12;
/// A run that takes longer goes round for ever.
const RUN_WAIT_MAX: Duration = Duration::from_secs(40);

/// What a run must come to.
#[derive(Debug, Clone)]
enum Outcome {
    Published { ids: Vec<u64>, ended: &'static str },
    Failed { code: i32, words: &'static [&'static str] },
}

/// What a case must come to.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    outcome: Outcome,
    /// Said beside a success.
    warning: &'static str,
    requests: usize,
}

impl Expect {
    pub(crate) fn requests(mut self, requests: usize) -> Self {
        self.requests = requests;
        self
    }
}

/// The ids `0..count`, each once, and why the walk was over.
pub(crate) fn rows(count: u64, ended: &'static str) -> Expect {
    these((0..count).collect(), ended)
}

/// Exactly these ids in any order, repeated ones repeated.
pub(crate) fn these(mut ids: Vec<u64>, ended: &'static str) -> Expect {
    ids.sort_unstable();
    Expect { outcome: Outcome::Published { ids, ended }, warning: "", requests: 0 }
}

/// Nothing is published, and these words are said.
pub(crate) fn fails(words: &'static [&'static str]) -> Expect {
    Expect { outcome: Outcome::Failed { code: 1, words }, warning: "", requests: 0 }
}

/// As `fails`, with the exit code that says that trying again later is useful.
pub(crate) fn passes_later(words: &'static [&'static str]) -> Expect {
    Expect { outcome: Outcome::Failed { code: 75, words }, warning: "", requests: 0 }
}

/// One line of a table.
pub(crate) struct Case {
    name: &'static str,
    api: Api,
    source: &'static str,
    stream: String,
    expect: Expect,
}

pub(crate) fn case(name: &'static str, api: Api, stream: impl Into<String>, expect: Expect) -> Case {
    Case { name, api, source: "", stream: stream.into(), expect }
}

impl Case {
    /// Further lines of the job's source.
    pub(crate) fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }
}

/// What became of a case.
struct Got {
    place: Workplace,
    done: Option<Done>,
    requests: Vec<String>,
}

/// Runs all cases and fails with a table of those that came out differently.
#[track_caller]
pub(crate) fn check(cases: &[Case]) {
    let next = AtomicUsize::new(0);
    let got: Mutex<BTreeMap<usize, Got>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(number) else { break };
                    // Run first: the lock would be held over it otherwise, and the cases would stand in a queue.
                    let became = run(case);
                    got.lock().expect("a list").insert(number, became);
                }
            });
        }
    });
    let got = got.into_inner().expect("a list");
    let tables = ids_of(&got);
    let mut table = String::new();
    for (number, case) in cases.iter().enumerate() {
        let wrong = differences(&case.expect, &got[&number], tables.get(&number));
        if !wrong.is_empty() {
            let _ = writeln!(table, "\n{}\n  expected: {:?}", case.name, case.expect);
            for wrong in wrong {
                let _ = writeln!(table, "  got: {wrong}");
            }
        }
    }
    assert!(table.is_empty(), "{table}");
}

fn run(case: &Case) -> Got {
    let api = Arc::new(case.api.clone());
    let server = Server::start(move |request, before| api.answer(request, before));
    let place = Workplace::new().env("API_TOKEN", "canary-token-0123456789");
    let file = place.file("job.yaml", &job(&server.url, case.source, &case.stream));
    let mut command = place.command(&["run", &file, "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts");
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() && began.elapsed() < RUN_WAIT_MAX {
        std::thread::sleep(Duration::from_millis(20));
    }
    let is_over = child.try_wait().expect("a child").is_some();
    if !is_over {
        let _ = child.kill();
    }
    let output = child.wait_with_output().expect("it ends");
    let requests = server.asked().into_iter().map(|request| request.target).collect();
    Got { place, done: is_over.then(|| Done::of(output)), requests }
}

/// The ids of every published table, by the number of its case; read back by DuckDB in one go.
fn ids_of(got: &BTreeMap<usize, Got>) -> BTreeMap<usize, Vec<u64>> {
    let file_of = |got: &Got| got.place.path("out/test/items/current.parquet");
    let published: Vec<(usize, String)> = got
        .iter()
        .filter(|(_, got)| file_of(got).exists())
        .map(|(number, got)| (*number, file_of(got).to_string_lossy().into_owned()))
        .collect();
    if published.is_empty() {
        return BTreeMap::new();
    }
    let files: Vec<String> = published.iter().map(|(_, file)| format!("'{file}'")).collect();
    let sql = format!(
        "select filename, string_agg(id::varchar, ',') from read_parquet([{}], filename = true, union_by_name = true) \
         group by filename",
        files.join(", ")
    );
    let answer = read(&sql, None);
    let mut tables: BTreeMap<usize, Vec<u64>> = published.iter().map(|(number, _)| (*number, Vec::new())).collect();
    for row in answer["rows"].as_array().expect("rows") {
        let (number, _) = published.iter().find(|(_, file)| row[0] == file.as_str()).expect("one of the files");
        let ids = row[1].as_str().unwrap_or_default().split(',').filter_map(|id| id.parse().ok());
        let mut ids: Vec<u64> = ids.collect();
        ids.sort_unstable();
        tables.insert(*number, ids);
    }
    tables
}

fn differences(expect: &Expect, got: &Got, table: Option<&Vec<u64>>) -> Vec<String> {
    let Some(done) = &got.done else {
        return vec![format!("no end after {RUN_WAIT_MAX:?} and {} requests", got.requests.len())];
    };
    let mut wrong = Vec::new();
    let report: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
    let walk = &report["tables"]["items"]["walks"][0];
    if got.requests.len() != expect.requests {
        let last = &got.requests[got.requests.len().saturating_sub(12)..];
        wrong.push(format!("{} requests, the last ones {last:?}", got.requests.len()));
    }
    match &expect.outcome {
        Outcome::Published { ids, ended } => {
            if done.code != 0 || walk["ended"] != *ended {
                wrong.push(format!("exit code {}, ended {}: {}", done.code, walk["ended"], said(&report, done)));
            }
            // A table that never had a record has no column, and so no file.
            let is_empty = ids.is_empty() && table.is_none();
            if table != Some(ids) && !is_empty {
                wrong.push(format!("ids {table:?}"));
            }
            if !report["warnings"].to_string().contains(expect.warning) {
                wrong.push(format!("warnings {}", report["warnings"]));
            }
            if report["tables"]["items"]["rows"] != ids.len() {
                wrong.push(format!("rows told: {}", report["tables"]["items"]["rows"]));
            }
        }
        Outcome::Failed { code, words } => {
            if done.code != *code {
                let ids = table.map(Vec::len);
                wrong.push(format!("exit code {}, published {ids:?}, ended {}", done.code, walk["ended"]));
            }
            if done.code != 0 && words.iter().any(|word| !done.stdout.contains(word) && !done.stderr.contains(word)) {
                wrong.push(said(&report, done));
            }
            if done.code != 0 && (table.is_some() || got.place.path("out/test/_latest.json").exists()) {
                wrong.push("something was published".to_owned());
            }
        }
    }
    wrong
}

fn said(report: &Value, done: &Done) -> String {
    match (report["error"].as_str(), report["hint"].as_str()) {
        (Some(error), hint) => format!("{error} (hint: {})", hint.unwrap_or("none")),
        (None, _) => format!("{} {}", done.stdout, done.stderr),
    }
}
