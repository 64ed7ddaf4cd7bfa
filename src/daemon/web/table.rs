//! One table as readers see it: its columns, how they changed, and its first rows.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::overview::zone_of;
use super::run::change;
use super::session::Visitor;
use super::view::{Problem, TheSite, instant, page as show};
use crate::clock::Clock;
use crate::daemon::board::Books;
use crate::engine::first_rows;
use crate::limits::{PREVIEW_CELL_CHARS, PREVIEW_ROWS, SCHEMA_CHANGE_RUNS};
use crate::model::amounts::{count, size};

pub(super) async fn page(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path((job, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (seat, books) = site.open(&job)?;
    let (_, store) = site.open_store(&job)?;
    let current = store.load_current().await.map_err(|error| Problem::failed(&error))?;
    let Some((current, table)) =
        current.as_ref().and_then(|current| Some((current, current.manifest.tables.get(&name)?)))
    else {
        return Err(Problem::not_found(format!("Readers see no table “{name}” of “{job}”.")));
    };
    let place = site.previews.acquire().await;
    let rows = first_rows(&store, &name, table, PREVIEW_ROWS).await.map_err(|error| Problem::failed(&error))?;
    drop(place);
    let (now, zone) = (Clock.now(), zone_of(&seat));
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "kind": column.kind.to_string(), "is_key": table.key.contains(&column.name) }))
        .collect();
    let content = json!({
        "job": job,
        "name": name,
        "snapshot": current.manifest.snapshot,
        "published": instant(current.manifest.published_at, now, zone),
        "as_of": instant(table.as_of, now, zone),
        "rows": count(table.rows),
        "bytes": size(table.bytes),
        "files": table.parts.len(),
        "format": table.format,
        "key": table.key,
        "columns": columns,
        "first_rows": rows.iter().map(|row| row.iter().map(cell).collect()).collect::<Vec<Vec<Value>>>(),
        "changes": changes(&books, &name).await?,
    });
    let title = format!("{job}, table {name}");
    Ok(show(&site, &visitor, "table.html", &title, content))
}

/// A long cell is cut.
fn cell(text: &Option<String>) -> Value {
    let Some(text) = text else { return Value::Null };
    match text.char_indices().nth(PREVIEW_CELL_CHARS) {
        Some((end, _)) => json!(format!("{}…", &text[..end])),
        None => json!(text),
    }
}

/// How the columns changed in the newest runs.
async fn changes(books: &Books, name: &str) -> Result<Vec<Value>, Problem> {
    let failed = |error: crate::state::Error| Problem::failed(&error);
    let newest = books.history.newest(SCHEMA_CHANGE_RUNS, Clock.now()).await.map_err(failed)?;
    let mut changes = Vec::new();
    for entry in newest {
        let Some(run) = entry.run.filter(|run| run.tables.get(name).is_some_and(|table| table.schema_changes > 0))
        else {
            continue;
        };
        let Some(document) = books.history.run(&run.run).await.map_err(failed)? else { continue };
        for told in document.report["tables"][name]["schema_changes"].as_array().into_iter().flatten() {
            changes.push(json!({
                "at": entry.at.format("%Y-%m-%d %H:%MZ").to_string(),
                "run": run.run,
                "change": change(told),
            }));
        }
    }
    Ok(changes)
}
