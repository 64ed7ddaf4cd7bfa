//! `haul preview`: the first rows of streams, with the types a run would give them.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::PreviewArgs;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::progress::telemetry;
use super::signals::until_signalled;
use crate::engine::{Context, Preview, Purpose, cells, preview};
use crate::job::load;
use crate::model::plan::{Job, Stream};

/// Characters of one cell on a terminal.
const CELL_CHARS_MAX: usize = 40;

pub(super) async fn run(around: Surroundings, args: PreviewArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let streams = chosen(&job, args.stream.as_deref())?;
    let cancel = CancellationToken::new();
    let telemetry = telemetry(around.output, &job.name);
    let ctx = Context::open(job, &around.settings, Purpose::Run, cancel.clone(), telemetry).await?;
    let mut documents = Vec::new();
    for stream in &streams {
        let rows = args.rows as usize;
        let tables = until_signalled(around.output, &cancel, preview(&ctx, stream, None, rows as u64, rows)).await??;
        for shown in &tables {
            if around.output.is_json {
                documents.push(document(shown));
            } else {
                show(around.output, shown);
            }
        }
    }
    if around.output.is_json {
        around.output.json(&json!({ "job": ctx.job.name, "tables": documents }));
    }
    Ok(Exit::Done)
}

/// The stream of this name, or all.
pub(super) fn chosen(job: &Job, name: Option<&str>) -> Result<Vec<Stream>, Failure> {
    let Some(name) = name else { return Ok(job.streams.clone()) };
    let known: Vec<String> = job.streams.iter().map(|stream| format!("`{}`", stream.name)).collect();
    let found = job.streams.iter().find(|stream| stream.name == name).cloned();
    let unknown = || Failure::usage(format!("there is no stream `{name}`; the job has {}", known.join(", ")));
    Ok(vec![found.ok_or_else(unknown)?])
}

fn show(output: Output, preview: &Preview) {
    output.line(format!("{}:", preview.table));
    match &preview.rows {
        Some(rows) => show_rows(output, rows),
        None => output.line("  no records"),
    }
    let types: Vec<String> = preview.columns.iter().map(|column| format!("{}: {}", column.name, column.kind)).collect();
    output.line(format!("columns: {}", types.join(", ")));
    for note in &preview.notes {
        output.note(format!("{}: {note}", preview.table));
    }
}

/// A table for people; long cells are cut.
pub(super) fn show_rows(output: Output, rows: &RecordBatch) {
    let text = pretty_format_batches(&[cut(rows)]).map(|table| table.to_string());
    output.line(text.unwrap_or_else(|error| format!("  the rows cannot be shown: {error}")));
}

fn cut(rows: &RecordBatch) -> RecordBatch {
    use arrow::array::{ArrayRef, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    let (texts, fields): (Vec<ArrayRef>, Vec<Field>) = rows
        .schema()
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| {
            let cells = cells(column);
            let cut: StringArray = cells
                .into_iter()
                .map(|cell| {
                    cell.map(|cell| {
                        let plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                        match plain.char_indices().nth(CELL_CHARS_MAX) {
                            Some((end, _)) => format!("{}…", &plain[..end]),
                            None => plain,
                        }
                    })
                })
                .collect();
            (std::sync::Arc::new(cut) as ArrayRef, Field::new(field.name(), DataType::Utf8, true))
        })
        .unzip();
    RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), texts).expect("columns of equal length")
}

pub(super) fn document(preview: &Preview) -> Value {
    let columns: Vec<Value> =
        preview.columns.iter().map(|column| json!({ "name": column.name, "type": column.kind })).collect();
    let rows = preview.rows.as_ref().map(rows_of).unwrap_or_default();
    json!({ "table": preview.table, "columns": columns, "rows": rows, "notes": preview.notes })
}

/// Rows as objects of texts: numbers keep all their digits that way.
fn rows_of(batch: &RecordBatch) -> Vec<Value> {
    let mut rows = vec![Map::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        for (row, cell) in rows.iter_mut().zip(cells(column)) {
            row.insert(field.name().clone(), cell.map_or(Value::Null, Value::String));
        }
    }
    rows.into_iter().map(Value::Object).collect()
}
