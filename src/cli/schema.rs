//! `haul schema JOB`: the tables that a job makes, with every column's type and why it has it. Reads a few pages of each
//! stream; publishes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::SchemaArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, counted};
use super::preview::chosen;
use super::progress::telemetry;
use super::signals::until_signalled;
use crate::engine::{Context, Preview, Purpose, preview, schema_changes, text_of};
use crate::job::load;
use crate::model::column::{ColumnType, TypeOrigin};
use crate::model::manifest::TableManifest;
use crate::model::report::SchemaChange;

#[derive(Serialize)]
struct SchemaReport {
    job: String,
    tables: Vec<TableSchema>,
}

#[derive(Serialize)]
struct TableSchema {
    table: String,
    columns: Vec<ColumnSchema>,
    /// Against the last snapshot.
    changes: Vec<SchemaChange>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ColumnSchema {
    name: String,
    path: Vec<String>,
    #[serde(rename = "type")]
    kind: ColumnType,
    origin: TypeOrigin,
    why: String,
}

pub(super) async fn run(around: Surroundings, args: SchemaArgs, file: PathBuf) -> Result<Exit, Failure> {
    let job = load(&file, &args.set)?;
    let streams = chosen(&job, args.stream.as_deref())?;
    let cancel = CancellationToken::new();
    let telemetry = telemetry(around.output, &job.name);
    let ctx = Context::open(job, &around.settings, Purpose::Run, cancel.clone(), telemetry).await?;
    let former =
        if args.full { None } else { until_signalled(around.output, &cancel, published(&ctx, around.output)).await? };
    let mut report = SchemaReport { job: ctx.job.name.clone(), tables: Vec::new() };
    for stream in &streams {
        let shown = preview(&ctx, stream, former.as_ref(), args.records, 0);
        for table in until_signalled(around.output, &cancel, shown).await?? {
            report.tables.push(table_schema(table, former.as_ref()));
        }
    }
    if around.output.is_json {
        around.output.json(&report);
    } else {
        report.tables.iter().for_each(|table| show(around.output, table));
    }
    Ok(Exit::Done)
}

/// The tables of the last snapshot. A destination that cannot be read is told, and counts as empty.
async fn published(ctx: &Context, output: Output) -> Option<BTreeMap<String, TableManifest>> {
    match ctx.store.load_current().await {
        Ok(current) => current.map(|current| current.manifest.tables),
        Err(error) => {
            output.note(format!(
                "the destination cannot be read, so these are the types of a first run: {}",
                text_of(&error)
            ));
            None
        }
    }
}

fn table_schema(preview: Preview, former: Option<&BTreeMap<String, TableManifest>>) -> TableSchema {
    let former = former.and_then(|tables| tables.get(&preview.table));
    let changes = former.map(|former| schema_changes(&former.columns, &preview.columns, &preview.reasons));
    let columns = preview.columns.into_iter().zip(&preview.reasons).map(|(column, reason)| ColumnSchema {
        name: column.name,
        path: column.path,
        kind: column.kind,
        origin: column.origin,
        why: reason.to_string(),
    });
    TableSchema {
        table: preview.table,
        columns: columns.collect(),
        changes: changes.unwrap_or_default(),
        notes: preview.notes,
    }
}

fn show(output: Output, table: &TableSchema) {
    output.line(format!("{}: {}", table.table, counted(table.columns.len() as u64, "column")));
    let rows = table.columns.iter().map(|column| {
        let (name, path) = (column.name.clone(), column.path.join("."));
        let field = if path == name { String::new() } else { path };
        vec![name, column.kind.to_string(), field, column.why.clone()]
    });
    let head = ["COLUMN", "TYPE", "FIELD", "WHY"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    for line in columns(&rows, &[false, false, false, false]) {
        output.line(format!("  {line}"));
    }
    for change in &table.changes {
        output.note(change.text(&table.table));
    }
    for note in &table.notes {
        output.note(format!("{}: {note}", table.table));
    }
}
