//! Tables of a run as its manifest lists them and its report tells of them.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::Error;
use super::run::{hex, text_of};
use super::stream::{ReadStream, ReadTable};
use crate::columns::{POSITION, Reason};
use crate::limits::SLICES_NAMED_MAX;
use crate::model::column::Column;
use crate::model::csv_form::CsvForm;
use crate::model::destination::{Destination, Format, Profile, WideDecimals};
use crate::model::manifest::{ParentLink, TableManifest};
use crate::model::plan::Stream;
use crate::model::report::{LeftOutSlice, Quarantine, SchemaChange, TableOutcome, TableReport, WalkReport};

/// The form of a table's files, as a manifest says it.
pub(super) struct Form {
    pub format: String,
    pub profile: Profile,
    pub wide_decimals: WideDecimals,
    pub csv: Option<CsvForm>,
}

impl Form {
    pub(super) fn of(destination: &Destination) -> Self {
        let (wide_decimals, csv) = match &destination.format {
            Format::Parquet(form) => (form.wide_decimals, None),
            Format::Csv(form) => (WideDecimals::Exact, Some((**form).clone())),
        };
        let format = destination.format.extension().to_owned();
        Form { format, profile: destination.profile, wide_decimals, csv }
    }
}

/// The tables of a stream as the manifest of their snapshot lists them.
pub(super) fn table_manifests(ctx: &Context, stream: &Stream, read: &ReadStream) -> BTreeMap<String, TableManifest> {
    let manifest = |(number, table): (usize, &ReadTable)| {
        let (key, parent) = if number == 0 { (stream.key.clone(), None) } else { keys_of_child(stream, table) };
        let Form { format, profile, wide_decimals, csv } = Form::of(&ctx.job.destination);
        let manifest = TableManifest {
            columns: table.columns().to_vec(),
            schema_hash: schema_hash(table.columns()),
            key,
            parent,
            references: Vec::new(),
            rows: table.rows(),
            bytes: table.bytes(),
            format,
            profile,
            wide_decimals,
            csv,
            as_of: ctx.as_of(),
            parts: table.parts().to_vec(),
            walks: walks(read),
            cursors: if number == 0 { read.cursors.clone() } else { BTreeMap::new() },
            left_out: left_out(read),
            bad_records: read.quarantine.as_ref().map_or(0, |(_, records)| *records),
            raw: read.raw.clone().filter(|_| number == 0),
        };
        (table.sealed.name().to_owned(), manifest)
    };
    read.tables.iter().enumerate().map(manifest).collect()
}

/// What identifies a row of a list, and how it finds its record.
fn keys_of_child(stream: &Stream, table: &ReadTable) -> (Vec<String>, Option<ParentLink>) {
    let given = table.columns().iter().take_while(|column| column.name != POSITION);
    let mut key: Vec<String> = given.map(|column| column.name.clone()).collect();
    let columns = key.iter().cloned().zip(stream.key.iter().cloned()).collect();
    key.push(POSITION.to_owned());
    (key, Some(ParentLink { table: stream.name.clone(), columns }))
}

/// The walks by the reason of their end, in the order in which the reasons first came.
fn walks(read: &ReadStream) -> Vec<WalkReport> {
    let mut walks: Vec<WalkReport> = Vec::new();
    for end in &read.ends {
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

/// The tables of a stream that was read, as the run reports them. What is of the whole stream stands at its own table.
pub(super) fn table_reports(
    read: &ReadStream,
    former: Option<&BTreeMap<String, TableManifest>>,
) -> BTreeMap<String, TableReport> {
    let mut reports = BTreeMap::new();
    for (number, table) in read.tables.iter().enumerate() {
        let name = table.sealed.name().to_owned();
        let former = former.and_then(|tables| tables.get(&name));
        let mut report = TableReport {
            rows: table.rows(),
            bytes: table.bytes(),
            outcome: TableOutcome::Read,
            parts: table.parts().len() as u64,
            merge: table.merged.as_ref().map(|merged| merged.counts),
            schema_changes: former.map(|former| changes_of(&former.columns, table)).unwrap_or_default(),
            fields_left_out: table.fields_left_out.clone(),
            warnings: table.warnings.clone(),
            error: None,
            ..empty_report()
        };
        if number == 0 {
            report.walks = walks(read);
            report.left_out = left_out(read);
            report.slices_left_out = read.left_out.len() as u64;
            report.cursors = read.cursors.clone();
            report.without_cursor = read.without_cursor;
            report.filtered = read.filtered;
            report.resumed_pages = read.resumed_pages;
            report.quarantine = read
                .quarantine
                .as_ref()
                .map(|(file, records)| Quarantine { records: *records, path: file.path.clone() });
        }
        reports.insert(name, report);
    }
    reports
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
        filtered: 0,
        resumed_pages: 0,
        rebuilt: None,
        quarantine: None,
        fields_left_out: Vec::new(),
        left_out: Vec::new(),
        slices_left_out: 0,
        cursors: BTreeMap::new(),
        without_cursor: 0,
        schema_changes: Vec::new(),
        warnings: Vec::new(),
        error: None,
    }
}

/// Changes of a table that was read. A merge puts the former columns first: the reasons are brought into its order.
fn changes_of(former: &[Column], table: &ReadTable) -> Vec<SchemaChange> {
    let read = table.sealed.columns();
    let reason = |column: &Column| {
        let at = read.iter().position(|known| known.name == column.name);
        at.and_then(|at| table.reasons.get(at)).cloned().unwrap_or_default()
    };
    let reasons: Vec<Reason> = table.columns().iter().map(reason).collect();
    schema_changes(former, table.columns(), &reasons)
}

/// What is new, gone or of another type in `now`. `reasons` stand in the order of its columns.
pub(crate) fn schema_changes(former: &[Column], now: &[Column], reasons: &[Reason]) -> Vec<SchemaChange> {
    let find =
        |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).map(|column| column.kind);
    let because = |at: usize| {
        let (value, place) = reasons.get(at)?.changed_by()?;
        Some(format!("`{value}` in {place}"))
    };
    let change = |(at, column): (usize, &Column)| match find(former, &column.name) {
        None => Some(SchemaChange::Added { column: column.name.clone(), to: column.kind }),
        Some(from) if from != column.kind => {
            Some(SchemaChange::Retyped { column: column.name.clone(), from, to: column.kind, because: because(at) })
        }
        Some(_) => None,
    };
    let mut changes: Vec<SchemaChange> = now.iter().enumerate().filter_map(change).collect();
    let removed = former.iter().filter(|column| find(now, &column.name).is_none());
    changes.extend(removed.map(|column| SchemaChange::Removed { column: column.name.clone(), from: column.kind }));
    changes
}

fn schema_hash(columns: &[Column]) -> String {
    let text: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
    hex(text.join("\n").as_bytes(), 32)
}
