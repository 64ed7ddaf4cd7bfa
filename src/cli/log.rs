//! Events as a log for programs: one JSON document a line, with job, run and stream.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::output::Output;
use crate::clock::Clock;
use crate::secret::mask;
use crate::telemetry::{Event, Telemetry};

/// Telemetry that writes each event on standard error.
pub(super) fn telemetry(output: Output, job: &str) -> Telemetry {
    let (job, run) = (job.to_owned(), Arc::new(OnceLock::new()));
    Telemetry::new(move |event| {
        if let Event::RunBegan { run: id } = &event {
            // A process runs once.
            let _ = run.set(id.clone());
        }
        if output.logs(event.level()) {
            let document = document(Clock.now(), &job, run.get().map(String::as_str), &event);
            output.note(Value::Object(document).to_string());
        }
    })
}

/// An event with its values as fields.
pub(super) fn document(at: DateTime<Utc>, job: &str, run: Option<&str>, event: &Event) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("at", json!(at));
    put("level", json!(event.level()));
    put("event", json!(event.kind()));
    put("job", json!(job));
    put("run", json!(run));
    put("stream", json!(event.stream()));
    match event {
        Event::Resumed { run, began_at } => {
            put("resumed", json!(run));
            put("began_at", json!(began_at));
        }
        Event::SlicesPlanned { slices, .. } => put("slices", json!(slices)),
        Event::PageRead { records, bytes, .. } => {
            put("records", json!(records));
            put("bytes", json!(bytes));
        }
        Event::PartStaged { rows, bytes, .. } => {
            put("rows", json!(rows));
            put("bytes", json!(bytes));
        }
        Event::StreamSealed { rows, pages, took, .. } => {
            put("rows", json!(rows));
            put("pages", json!(pages));
            put("seconds", json!(took.as_secs_f64()));
        }
        Event::SnapshotPublished { snapshot } => put("snapshot", json!(snapshot)),
        Event::RefreshMoved { target, step } => {
            put("target", json!(target));
            put("step", json!(step.word()));
        }
        Event::Paused { until, .. } => put("until", json!(until)),
        Event::RunBegan { .. }
        | Event::StreamBegan { .. }
        | Event::SliceRead { .. }
        | Event::StreamFailed { .. }
        | Event::Warned { .. } => {}
    }
    put("text", json!(mask(&event.text())));
    fields
}
