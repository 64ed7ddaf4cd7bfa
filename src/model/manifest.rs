//! What a published dataset says of itself: the immutable manifest of a snapshot, the pointer to it, and the status of
//! the last run. These are file formats: they outlive us, so each carries a version. No host, principal or query
//! string ever stands in them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::column::{Column, ColumnType};
use super::csv_form::CsvForm;
use super::destination::{Format, ParquetForm, Profile, WideDecimals};
use super::incremental::StoredCursor;
use super::report::{LeftOutSlice, Outcome, TableOutcome, WalkReport};

/// Version of the manifest, pointer and status formats; a reader refuses a higher one.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// `_latest.json`: the single mutable name, whose change is the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub format_version: u32,
    pub job: String,
    /// `<seq>-<ulid>`.
    pub snapshot: String,
    pub sequence: u64,
    /// Path of the manifest below the job's folder.
    pub manifest: String,
    /// Run that wrote this pointer; tells an own success from somebody else's after a lost answer.
    pub run: String,
    pub published_at: DateTime<Utc>,
}

/// `_snapshots/<seq>-<ulid>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub format_version: u32,
    pub job: String,
    pub snapshot: String,
    /// Grows by one with every snapshot of the job.
    pub sequence: u64,
    pub run: String,
    pub published_at: DateTime<Utc>,
    /// Absent = the first snapshot.
    pub previous: Option<String>,
    /// The snapshot whose tables these are. Absent = a run made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// SHA-256 of the job file.
    pub config_hash: String,
    pub tables: BTreeMap<String, TableManifest>,
}

impl Manifest {
    /// The parts of all tables.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.tables.values().flat_map(|table| &table.parts)
    }

    /// The raw copies of all tables.
    pub(crate) fn raw_files(&self) -> impl Iterator<Item = &Part> {
        let runs = self.tables.values().filter_map(|table| table.raw.as_ref()).flat_map(|raw| &raw.runs);
        runs.flat_map(|run| run.files.iter().chain(&run.list))
    }
}

/// One table of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableManifest {
    pub columns: Vec<Column>,
    /// SHA-256 over names and types of the columns.
    pub schema_hash: String,
    pub key: Vec<String>,
    /// Absent = the table is a stream's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentLink>,
    /// Tables of the same snapshot whose rows the rows of this one name by their key, beside the parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    pub rows: u64,
    pub bytes: u64,
    pub format: String,
    /// Who the files are made for.
    #[serde(default)]
    pub profile: Profile,
    /// How Parquet stores decimals of more than 18 digits.
    #[serde(default, skip_serializing_if = "WideDecimals::is_exact")]
    pub wide_decimals: WideDecimals,
    /// How the files are written, where they are CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvForm>,
    /// When the walk that made these parts began. Older than `published_at` when a table kept its former parts.
    pub as_of: DateTime<Utc>,
    pub parts: Vec<Part>,
    pub walks: Vec<WalkReport>,
    /// How far the table is read, by slice or `all`; it travels with the rows that it speaks of. Empty = not incremental.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<String, StoredCursor>,
    /// Slices that are missing in the table because they failed, at most the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutSlice>,
    /// Records of the stream that became no row and stand in a file of the run instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bad_records: u64,
    /// The records that the table was made of, as they came. Absent = the job does not want them kept, or the table is one
    /// of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawCopies>,
}

/// The records that a table was made of, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawCopies {
    /// Whether they are all. Rows from before the job wanted them kept have none.
    pub is_whole: bool,
    /// Those that made the table, in their order.
    pub runs: Vec<RawRun>,
}

/// What one run read of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawRun {
    pub run: String,
    /// When it began to read.
    pub as_of: DateTime<Utc>,
    /// In their order; `rows` counts records. Empty = there was no record.
    pub files: Vec<Part>,
    /// The same of the stream that told which records are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<Part>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How the rows of a list find the record that they stood in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ParentLink {
    pub table: String,
    /// Columns of this table, each with the column of the parent's key that it repeats.
    pub columns: BTreeMap<String, String>,
}

/// How the rows of a table name rows of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub table: String,
    /// Columns of this table, each with the column of the other's key whose value it holds.
    pub columns: BTreeMap<String, String>,
    pub origin: ReferenceOrigin,
}

/// Where a reference is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReferenceOrigin {
    /// The stream is read once for each record of the other.
    ForEach,
    /// The `$metadata` of an OData service says so.
    Association,
}

impl TableManifest {
    /// The form of the files. `None` = this version of haul knows no such format.
    pub(crate) fn form(&self) -> Option<Format> {
        match (self.format.as_str(), &self.csv) {
            ("parquet", _) => {
                let form = ParquetForm { profile: self.profile, wide_decimals: self.wide_decimals };
                Some(Format::Parquet(form))
            }
            ("csv", Some(form)) => Some(Format::Csv(Box::new(form.clone()))),
            _ => None,
        }
    }

    /// Whether rows of this form can stand in the same table.
    pub(crate) fn is_of_form(&self, format: &Format) -> bool {
        self.format == format.extension()
            && match format {
                Format::Parquet(ParquetForm { profile, wide_decimals }) => {
                    self.profile == *profile && self.wide_decimals == *wide_decimals
                }
                Format::Csv(form) => self.csv.as_ref() == Some(&**form),
            }
    }
}

impl TableManifest {
    /// Whether readers see the same rows and columns, the next run begins at the same place, and the tables can be made from
    /// raw copies or not. When a table was read, in how many pages, where its types were known from, and which copies these
    /// are is no part of it.
    pub(crate) fn has_content_of(&self, other: &TableManifest) -> bool {
        let is_changed = |table: &TableManifest| table.walks.iter().any(|walk| walk.changed);
        let is_same_column = |(a, b): (&Column, &Column)| a.name == b.name && a.path == b.path && a.kind == b.kind;
        let has_same_columns = self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(is_same_column)
            && is_changed(self) == is_changed(other)
            && self.raw.as_ref().map(|raw| raw.is_whole) == other.raw.as_ref().map(|raw| raw.is_whole);
        let alike = TableManifest {
            as_of: self.as_of,
            walks: self.walks.clone(),
            columns: self.columns.clone(),
            raw: self.raw.clone(),
            ..other.clone()
        };
        has_same_columns && *self == alike
    }
}

/// `<table>/columns.json`: what a CSV file cannot say of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ColumnList<'a> {
    pub format_version: u32,
    pub columns: Vec<ListedColumn<'a>>,
    pub key: &'a [String],
    pub csv: &'a CsvForm,
}

/// A column's name and type, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ListedColumn<'a> {
    pub name: &'a str,
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

impl TableManifest {
    /// The list of a CSV table's columns. `None` = its files are Parquet and hold their types themselves.
    pub(crate) fn column_list(&self) -> Option<ColumnList<'_>> {
        let columns = self.columns.iter().map(|column| ListedColumn { name: &column.name, kind: column.kind });
        let csv = self.csv.as_ref()?;
        Some(ColumnList { format_version: FORMAT_VERSION, columns: columns.collect(), key: &self.key, csv })
    }
}

/// One immutable file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Relative to the job's folder.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// When the run began that wrote it. Absent = a part from before haul wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// What the columns of dates and times span, by column. Absent = not known: such a part may hold any value. It is so where
    /// a value is of a year before 1 or after 9999.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<String, Range>,
    /// What the job's gates ask about. A part from before the job asked has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gauges: Vec<Gauge>,
}

/// What a column of dates or times spans in a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    /// The least and the greatest value, in a spelling that sorts as text: `2026-11-26`, or `2026-11-26T10:00:00.123456` with
    /// all six digits and without a zone, instants by the clock of UTC. Absent = all values are null. Never narrower than
    /// the file's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub nulls: u64,
}

/// What is counted of a column while a part is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gauge {
    pub column: String,
    pub nulls: u64,
    /// The greatest value. Absent = there is none, or the column holds neither dates nor times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
}

/// `_status.json`: the last run of the job, for reports that show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub format_version: u32,
    pub job: String,
    pub run: String,
    pub outcome: Outcome,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    /// Snapshot that readers see after this run. Absent = nothing was ever published.
    pub snapshot: Option<String>,
    pub tables: BTreeMap<String, StatusTable>,
}

/// A table's line in the status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusTable {
    pub rows: u64,
    pub outcome: TableOutcome,
}
