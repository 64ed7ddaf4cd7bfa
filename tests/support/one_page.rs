//! A source of one page that a test changes between runs, and what a job makes of it.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::server::{Server, ok};
use super::{Done, Workplace, dataset, job};

/// A source whose one page can be changed between runs.
pub struct OnePage {
    pub place: Workplace,
    pub file: String,
    records: Arc<Mutex<Value>>,
    pub server: Server,
}

impl OnePage {
    pub fn new(stream: &str, records: Value) -> Self {
        let records = Arc::new(Mutex::new(records));
        let served = Arc::clone(&records);
        let server = Server::start(move |_, _| ok(served.lock().expect("records").to_string()));
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&server.url, "", stream));
        OnePage { place, file, records, server }
    }

    pub fn set(&self, records: Value) {
        *self.records.lock().expect("records") = records;
    }

    pub fn say(&self, stream: &str) {
        self.place.file("job.yaml", &job(&self.server.url, "", stream));
    }

    /// The job with further lines behind its destination.
    pub fn say_also(&self, stream: &str, rest: &str) {
        self.place.file("job.yaml", &format!("{}{rest}", job(&self.server.url, "", stream)));
    }

    pub fn run(&self) -> Value {
        self.place.haul(&["run", &self.file, "--json"]).expect_code(0).json()
    }

    pub fn run_fails(&self) -> Done {
        self.place.haul(&["run", &self.file]).expect_code(1)
    }

    /// Rows of a table as DuckDB reads them from the parts of the current snapshot, each as one text.
    pub fn rows(&self, table: &str) -> Vec<String> {
        dataset::rows(&self.place.path("out/test"), table)
    }

    pub fn manifest(&self) -> Value {
        let latest = self.json("out/test/_latest.json");
        self.json(&format!("out/test/{}", latest["manifest"].as_str().expect("a path")))
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.place.path(path)).expect(path)).expect("JSON")
    }

    pub fn columns(&self, table: &str) -> Vec<String> {
        let columns = self.manifest()["tables"][table]["columns"].clone();
        let word = |column: &Value| {
            format!("{} {}", column["name"].as_str().expect("a name"), column["type"].as_str().expect("a type"))
        };
        columns.as_array().expect("columns").iter().map(word).collect()
    }
}
