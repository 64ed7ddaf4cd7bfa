//! A published dataset as Power BI reads it, and what would go wrong: the share, the pointer, the manifest, every part that
//! it lists, and the names in it. In come the job's destination and perhaps a signature, out go findings with their cures.
//! Nothing is written anywhere.

mod alias;
mod finding;
mod names;
mod part;
mod share;
mod unread;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use self::alias::check_alias;
pub(crate) use self::finding::{Finding, Severity};
use self::finding::{Findings, error, note, warning};
use self::part::{PartCheck, check_part, read_all};
use self::share::Policies;
use super::run::text_of;
use crate::clock::Clock;
use crate::engine::share::newest_of;
use crate::format::YEARS;
use crate::limits::{CHECK_DOCUMENT_BYTES_MAX, CHECK_PARTS_AT_ONCE};
use crate::model::column::{Column, ColumnType};
use crate::model::destination::{Format, Profile};
use crate::model::manifest::{Manifest, Part, Pointer, TableManifest};
use crate::model::plan::{Job, Place};
use crate::store::{self, GivenSas, Policy, Reader, Store, layout, parse};

/// How a person wants the dataset read.
pub(crate) enum Asked {
    /// With haul's share that ends last; signed again with the account's key.
    Newest,
    /// With this share, in the same way.
    Share(String),
    /// With this signature.
    Sas(GivenSas),
}

/// How far the check looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Files,
    /// Values that no footer tells of, too.
    Values,
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
pub(crate) struct Checkup {
    pub job: String,
    /// Absent = none could be read.
    pub snapshot: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub tables: usize,
    pub parts: usize,
    pub bytes: u64,
    /// `share`, `folder`, or `destination` for the job's own credential.
    pub read_as: &'static str,
    /// Name of the share's policy. Absent = there is none, or the SAS has none.
    pub share: Option<String>,
    pub errors: usize,
    pub warnings: usize,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// More findings, of which only the number is told.
    pub left_out: u64,
}

/// A table of the manifest.
struct TableCheck<'m> {
    name: &'m str,
    entry: &'m TableManifest,
    format: &'m Format,
}

/// Reads the dataset of a job and tells what is wrong with it.
pub(crate) async fn check_up(job: &Job, store: &Store, asked: Asked, depth: Depth) -> Result<Checkup, store::Error> {
    let mut findings = Findings::default();
    findings.extend(host_name(store));
    let (mut reader, share) = reader_of(job, store, asked, &mut findings).await?;
    let mut read = read_dataset(&reader, &mut findings).await;
    if read.is_none() && findings.has("refused") {
        // What the files are like is worth knowing, too. A service that cannot be reached would not be reached again.
        reader = Reader::Own(store.clone());
        let mut unheard = Findings::default();
        read = read_dataset(&reader, &mut unheard).await;
    }
    let read_as = match (&job.destination.place, reader.is_anonymous()) {
        (Place::Local(_), _) => "folder",
        (Place::Remote(_), true) => "share",
        (Place::Remote(_), false) => "destination",
    };
    let (mut snapshot, mut published_at, mut tables, mut parts, mut bytes) = (None, None, 0, 0, 0);
    if let Some(manifest) = read {
        check_manifest(job, &reader, &manifest, depth, &mut findings).await;
        tables = manifest.tables.len();
        parts = manifest.parts().count();
        bytes = manifest.parts().map(|part| part.bytes).sum();
        (snapshot, published_at) = (Some(manifest.snapshot), Some(manifest.published_at));
    }
    let (findings, left_out) = findings.sorted();
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let job = job.name.clone();
    Ok(Checkup {
        job,
        snapshot,
        published_at,
        tables,
        parts,
        bytes,
        read_as,
        share,
        errors,
        warnings,
        findings,
        left_out,
    })
}

/// Host names that some of the way to a service refuse.
fn host_name(store: &Store) -> Option<Finding> {
    let (base, _) = store.reader_address()?;
    let host = url::Url::parse(&base).ok()?.host_str()?.to_owned();
    let what = format!(
        "the host name `{host}` has an underscore, which is none of DNS's: certificates and gateways refuse it"
    );
    host.contains('_').then(|| error("host_underscore", &host, what, "use an address without one"))
}

/// Who reads, and with which share.
async fn reader_of(
    job: &Job,
    store: &Store,
    asked: Asked,
    findings: &mut Findings,
) -> Result<(Reader, Option<String>), store::Error> {
    let own = || Reader::Own(store.clone());
    let Some((base, path)) = store.reader_address() else {
        if !matches!(asked, Asked::Newest) {
            // It says why there are none.
            store.shares()?;
        }
        if matches!(job.destination.place, Place::Remote(_)) {
            let what = "the files are read with the job's own credential, not as a report reads them";
            let cure = "shares are of Azure Blob; docs/POWERBI.md tells of other stores";
            findings.add(note("not_as_reader", store.shown(), what, cure));
        }
        return Ok((own(), None));
    };
    let folder = format!("{base}/{path}");
    let shares = if store.has_shares() { Some(store.shares()?) } else { None };
    let policies: Option<Vec<Policy>> = match (&shares, &asked) {
        // A key that does not open the account is no reason to leave a SAS of others alone.
        (Some(shares), Asked::Sas(_)) => shares.list_once().await.ok(),
        (Some(shares), Asked::Newest | Asked::Share(_)) => Some(shares.list().await?),
        (None, _) => None,
    };
    let sas = match (asked, &shares) {
        (Asked::Sas(sas), _) => sas,
        (Asked::Share(id), Some(shares)) => {
            let Some(policy) = policies.iter().flatten().find(|policy| policy.id == id) else {
                findings.add(share::revoked(&id));
                return Ok((own(), Some(id)));
            };
            GivenSas::from(&shares.sign_again(policy)?)
        }
        (Asked::Share(_), None) => return Err(store.shares().err().expect("the store has no shares")),
        (Asked::Newest, Some(shares)) => {
            let Some(policy) = newest_of(policies.as_deref().unwrap_or_default(), &job.name, Clock.now()) else {
                let what = "the container has no share of haul's, so no report can read it without a key";
                findings.add(error(
                    "not_shared",
                    store.shown(),
                    what,
                    "`haul share create JOBFILE`, or `--sas-file FILE` for a SAS of others",
                ));
                return Ok((own(), None));
            };
            GivenSas::from(&shares.sign_again(policy)?)
        }
        (Asked::Newest, None) => {
            let what = "the files are read with the job's own credential, not as a report reads them";
            findings.add(note("not_as_reader", store.shown(), what, "give the report's SAS: `--sas-file FILE`"));
            return Ok((own(), None));
        }
    };
    let known = policies.as_deref().map_or(Policies::Unknown, Policies::Known);
    findings.extend(share::look_at(&sas, known, &folder, Clock.now()));
    let name = sas.field("si").map(str::to_owned);
    Ok((store.read_with(sas)?, name))
}

/// The manifest that the pointer names. `None` = it cannot be read, and the findings say why.
async fn read_dataset(reader: &Reader, findings: &mut Findings) -> Option<Manifest> {
    let pointer = match read_document(reader, layout::LATEST).await {
        Ok(text) => text,
        Err(unread) => {
            findings.add(unread::of_pointer(layout::LATEST, &unread));
            return None;
        }
    };
    let unreadable = |path: &str, wrong: store::Error| {
        error(
            "document_unreadable",
            path,
            text_of(&wrong),
            wrong.hint().unwrap_or_else(|| "run the job again".to_owned()),
        )
    };
    let pointer: Pointer = match parse(layout::LATEST, &pointer) {
        Ok(pointer) => pointer,
        Err(wrong) => {
            findings.add(unreadable(layout::LATEST, wrong));
            return None;
        }
    };
    let path = pointer.manifest.as_str();
    let manifest = match read_document(reader, path).await {
        Ok(text) => text,
        Err(unread) => {
            findings.add(unread::of_document("refused", path, &unread));
            return None;
        }
    };
    match parse::<Manifest>(path, &manifest) {
        Ok(manifest) if manifest.snapshot == pointer.snapshot => Some(manifest),
        Ok(manifest) => {
            let what = format!("it is of snapshot {}, and the pointer names {}", manifest.snapshot, pointer.snapshot);
            findings.add(error("document_unreadable", path, what, "run the job again"));
            None
        }
        Err(wrong) => {
            findings.add(unreadable(path, wrong));
            None
        }
    }
}

async fn read_document(reader: &Reader, path: &str) -> Result<Vec<u8>, store::Unread> {
    let facts = reader.facts(path).await?;
    if facts.bytes > CHECK_DOCUMENT_BYTES_MAX {
        let limit = "limit CHECK_DOCUMENT_BYTES_MAX";
        let why = format!("it has {} bytes, more than {CHECK_DOCUMENT_BYTES_MAX}, {limit}", facts.bytes);
        return Err(store::Unread::Broken { why });
    }
    read_all(reader, path, 0..facts.bytes).await
}

async fn check_manifest(job: &Job, reader: &Reader, manifest: &Manifest, depth: Depth, findings: &mut Findings) {
    findings.extend(names::look_at(manifest));
    for (name, entry) in &manifest.tables {
        let Some(format) = entry.form() else {
            let what = format!("its files have the format `{}`, which this haul does not know", entry.format);
            findings.add(error("format_unknown", name, what, "use the haul that wrote it, or a newer one"));
            continue;
        };
        let table = TableCheck { name, entry, format: &format };
        findings.extend(of_table(&table));
        let checks: Vec<PartCheck> = stream::iter(&entry.parts)
            .map(|part| check_part(reader, &table, part, depth))
            .buffered(CHECK_PARTS_AT_ONCE)
            .collect()
            .await;
        // Who touched a part says nothing of the alias.
        let good = checks.iter().filter(|check| check.found.is_empty());
        let written = good.filter_map(|check| check.facts?.modified).max();
        findings.extend(checks.into_iter().flat_map(|check| check.found));
        findings.extend(check_columns(reader, &table).await);
        if job.alias && !entry.parts.is_empty() {
            findings.extend(check_alias(reader, &table, written).await);
        }
    }
}

/// What the manifest alone says of a table.
fn of_table(table: &TableCheck<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if table.entry.parts.is_empty() {
        let what = "it has neither rows nor known columns, so there is no file to read";
        found.push(warning("table_empty", table.name, what, "declare its `columns`"));
    }
    let is_parquet = matches!(table.format, Format::Parquet(_));
    if is_parquet && table.entry.profile != Profile::Powerbi {
        let what = format!(
            "its files are made for the profile `{}`, whose encodings older gateways refuse",
            table.entry.profile
        );
        found.push(error(
            "other_profile",
            table.name,
            what,
            "set `destination.profile: powerbi`, and run with `--full`",
        ));
    }
    // Footers of Parquet tell more exactly; CSV files have none.
    if !is_parquet {
        found.extend(table.entry.parts.iter().flat_map(|part| years_of(part, &table.entry.columns)));
    }
    found
}

fn years_of(part: &Part, columns: &[Column]) -> Vec<Finding> {
    let is_good = |text: &String| {
        let date = text.get(..10).and_then(|date| date.parse::<NaiveDate>().ok());
        date.is_some_and(|date| YEARS.contains(&date.year()))
    };
    let finding = |(column, range): (&String, &crate::model::manifest::Range)| {
        let (from, to) = (range.from.as_ref()?, range.to.as_ref()?);
        (!is_good(from) || !is_good(to)).then(|| years(&part.path, column, &format!("from {from} to {to}")))
    };
    // Where the ends were written down and one is missing, it has no spelling: a year below 1 or above 9999.
    let is_beyond = |column: &&Column| {
        matches!(column.kind, ColumnType::Date | ColumnType::DateTime | ColumnType::Instant)
            && part.changed_at.is_some()
            && !part.ranges.contains_key(&column.name)
    };
    let beyond = columns
        .iter()
        .filter(is_beyond)
        .map(|column| years(&part.path, &column.name, "of years below 1 or above 9999"));
    part.ranges.iter().filter_map(finding).chain(beyond).collect()
}

fn years(path: &str, column: &str, dates: &str) -> Finding {
    let what = format!("column `{column}` has dates {dates}: Power BI knows the years 1900 to 9999");
    let cure = format!(
        "`destination.profile: powerbi` writes others as null; or keep them as text, `columns: {{ {column}: text }}`"
    );
    error("date_out_of_range", path, what, cure)
}

/// The list of a CSV table's columns, for readers that do not read manifests.
async fn check_columns(reader: &Reader, table: &TableCheck<'_>) -> Option<Finding> {
    let list = table.entry.column_list()?;
    let path = layout::columns(table.name);
    let expected = serde_json::to_value(&list).ok()?;
    match read_document(reader, &path).await {
        Ok(text) if serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|found| found == expected) => None,
        Ok(_) => {
            let what = "it lists other columns, or another form, than the manifest";
            Some(warning("columns_list_differs", &path, what, "run the job again, which repairs it"))
        }
        Err(store::Unread::Missing) => {
            Some(warning("columns_list_differs", &path, "it is not there", "run the job again, which repairs it"))
        }
        Err(unread) => Some(unread::of_document("part_refused", &path, &unread)),
    }
}
