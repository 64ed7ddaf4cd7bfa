//! One run: its report, its tables and its log.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::overview::{entry_of, took, zone_of};
use super::session::Visitor;
use super::view::{Problem, TheSite, page as show};
use crate::clock::Clock;
use crate::model::amounts::{count, counted, size};
use crate::model::history::RunDocument;
use crate::model::log::LogLine;

pub(super) async fn page(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path((job, run)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (seat, books) = site.open(&job)?;
    let found = books.history.run(&run).await.map_err(|error| Problem::failed(&error))?;
    let Some(document) = found else {
        return Err(Problem::not_found(format!("Nothing is kept of run {run}: only of the newest runs it is.")));
    };
    let entry = entry_of(&document.entry, Clock.now(), zone_of(&seat));
    let title = format!("{job}, run {run}");
    let content = json!({
        "job": job,
        "run": run,
        "entry": entry,
        "hint": document.report["hint"],
        "resumed": document.report["resumed"],
        "snapshot": document.report["snapshot"],
        "destination": document.report["destination"],
        "source": source(&document.report["source"]),
        "warnings": document.report["warnings"],
        "held": document.report["held"],
        "tables": tables(&document),
        "refreshes": document.report["refreshes"].as_array().into_iter().flatten().map(refresh).collect::<Vec<_>>(),
        "log": document.log.iter().map(line).collect::<Vec<_>>(),
        "log_left_out": (document.log_left_out > 0).then(|| counted(document.log_left_out, "line")),
        "report": serde_json::to_string_pretty(&document.report).unwrap_or_default(),
    });
    Ok(show(&site, &visitor, "run.html", &title, content))
}

/// A line of a log.
pub(super) fn line(line: &LogLine) -> Value {
    json!({
        "iso": line.at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "at": line.at.format("%H:%M:%S").to_string(),
        "level": line.level.word(),
        "stream": line.stream,
        "text": line.text,
    })
}

fn source(report: &Value) -> Vec<Value> {
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let mut shown = vec![
        json!({ "name": "Requests", "value": count(number("attempts")) }),
        json!({ "name": "Retries", "value": count(number("retries")) }),
        json!({ "name": "Bytes of answers", "value": size(number("bytes")) }),
        json!({ "name": "Tokens bought", "value": count(number("refreshes")) }),
    ];
    if number("paused_seconds") > 0 {
        shown.push(
            json!({ "name": "Waited for quotas", "value": crate::model::amounts::span(number("paused_seconds")) }),
        );
    }
    shown
}

fn tables(document: &RunDocument) -> Vec<Value> {
    let Some(tables) = document.report["tables"].as_object() else { return Vec::new() };
    let table = |(name, table): (&String, &Value)| {
        let number = |name: &str| table[name].as_u64().unwrap_or_default();
        let pages = table["walks"].as_array().into_iter().flatten();
        let pages: u64 = pages.filter_map(|walk| walk["pages"].as_u64()).sum();
        json!({
            "name": name,
            "outcome": table["outcome"],
            "class": match table["outcome"].as_str() {
                Some("published" | "unchanged") => "good",
                Some("failed") => "bad",
                Some("held") => "wait",
                _ => "idle",
            },
            "rows": count(number("rows")),
            "bytes": size(number("bytes")),
            "pages": count(pages),
            "took": document.stream_seconds.get(name).map(|seconds| took(*seconds)),
            "error": table["error"],
            "changes": table["schema_changes"].as_array().into_iter().flatten().map(change).collect::<Vec<_>>(),
            "warnings": table["warnings"],
        })
    };
    tables.iter().map(table).collect()
}

/// A refresh in Power BI as a run's report tells it.
fn refresh(refresh: &Value) -> Value {
    let outcome = refresh["outcome"].as_str().unwrap_or_default();
    json!({
        "target": refresh["target"],
        "outcome": outcome.replace('_', " "),
        "class": match outcome {
            "completed" => "good",
            "accepted" => "idle",
            "failed" | "refused" => "bad",
            _ => "wait",
        },
        "error": refresh["error"],
        "hint": refresh["hint"],
        "request_id": refresh["request_id"],
    })
}

/// A schema change as a run's report tells it.
pub(super) fn change(change: &Value) -> Value {
    let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let told = match change["change"].as_str() {
        Some("added") => format!("new, {}", text("to")),
        Some("removed") => format!("gone, was {}", text("from")),
        _ => format!("was {}, is {}", text("from"), text("to")),
    };
    json!({ "column": change["column"], "text": told, "because": change["because"] })
}
