//! Tables of a run as its manifest lists them and its report tells of them.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::Error;
use super::run::{hex, text_of};
use super::stream::ReadStream;
use crate::limits::SLICES_NAMED_MAX;
use crate::model::column::Column;
use crate::model::destination::{Format, WideDecimals};
use crate::model::manifest::TableManifest;
use crate::model::plan::Stream;
use crate::model::report::{LeftOutSlice, SchemaChange, TableOutcome, TableReport, WalkReport};

/// A table as the manifest of its snapshot lists it.
pub(super) fn table_manifest(ctx: &Context, stream: &Stream, read: &ReadStream) -> TableManifest {
    let format = &ctx.job.destination.format;
    TableManifest {
        columns: read.columns().to_vec(),
        schema_hash: schema_hash(read.columns()),
        key: stream.key.clone(),
        rows: read.rows(),
        bytes: read.bytes(),
        format: format.extension().to_owned(),
        profile: ctx.job.destination.profile,
        wide_decimals: match format {
            Format::Parquet(form) => form.wide_decimals,
            Format::Csv(_) => WideDecimals::Exact,
        },
        csv: match format {
            Format::Parquet(_) => None,
            Format::Csv(form) => Some((**form).clone()),
        },
        as_of: ctx.started_at,
        parts: read.parts().to_vec(),
        walks: walks(read),
        cursors: read.cursors.clone(),
        left_out: left_out(read),
    }
}

/// The walks by the reason of their end, in the order in which the reasons first came.
fn walks(read: &ReadStream) -> Vec<WalkReport> {
    let mut walks: Vec<WalkReport> = Vec::new();
    for end in read.table.ends() {
        let (ended, changed) = (end.reason(), end.is_changed());
        match walks.iter_mut().find(|walk| walk.ended == ended && walk.changed == changed) {
            Some(walk) => {
                walk.slices += 1;
                walk.pages += end.pages();
                walk.records += end.records();
            }
            None => {
                walks.push(WalkReport { slices: 1, pages: end.pages(), records: end.records(), ended, changed });
            }
        }
    }
    walks
}

fn left_out(read: &ReadStream) -> Vec<LeftOutSlice> {
    let named = read.left_out.iter().take(SLICES_NAMED_MAX);
    named.map(|left| LeftOutSlice { slice: left.slice.clone(), error: left.why.clone() }).collect()
}

/// A table that was read, as the run reports it.
pub(super) fn table_report(read: &ReadStream, former: Option<&TableManifest>) -> TableReport {
    TableReport {
        rows: read.rows(),
        bytes: read.bytes(),
        outcome: TableOutcome::Read,
        parts: read.parts().len() as u64,
        walks: walks(read),
        merge: read.merged.as_ref().map(|merged| merged.counts),
        left_out: left_out(read),
        slices_left_out: read.left_out.len() as u64,
        cursors: read.cursors.clone(),
        without_cursor: read.without_cursor,
        schema_changes: former.map(|former| schema_changes(&former.columns, read.columns())).unwrap_or_default(),
        warnings: read.warnings.clone(),
        error: None,
    }
}

pub(super) fn failed_report(error: &Error) -> TableReport {
    TableReport { outcome: TableOutcome::Failed, error: Some(text_of(error)), ..empty_report() }
}

pub(super) fn kept_report(kept: &TableManifest) -> TableReport {
    TableReport {
        rows: kept.rows,
        bytes: kept.bytes,
        outcome: TableOutcome::Kept,
        parts: kept.parts.len() as u64,
        ..empty_report()
    }
}

fn empty_report() -> TableReport {
    TableReport {
        rows: 0,
        bytes: 0,
        outcome: TableOutcome::Failed,
        parts: 0,
        walks: Vec::new(),
        merge: None,
        left_out: Vec::new(),
        slices_left_out: 0,
        cursors: BTreeMap::new(),
        without_cursor: 0,
        schema_changes: Vec::new(),
        warnings: Vec::new(),
        error: None,
    }
}

fn schema_changes(former: &[Column], now: &[Column]) -> Vec<SchemaChange> {
    let find =
        |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).map(|column| column.kind);
    let mut changes: Vec<SchemaChange> = now
        .iter()
        .filter_map(|column| match find(former, &column.name) {
            None => Some(SchemaChange::Added { column: column.name.clone(), to: column.kind }),
            Some(from) if from != column.kind => {
                Some(SchemaChange::Retyped { column: column.name.clone(), from, to: column.kind })
            }
            Some(_) => None,
        })
        .collect();
    let removed = former.iter().filter(|column| find(now, &column.name).is_none());
    changes.extend(removed.map(|column| SchemaChange::Removed { column: column.name.clone(), from: column.kind }));
    changes
}

fn schema_hash(columns: &[Column]) -> String {
    let text: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
    hex(text.join("\n").as_bytes(), 32)
}
