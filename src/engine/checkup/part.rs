//! One part of a table, as a reader gets it: its size, its bytes, what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use ring::digest::{Context, SHA256};

use super::finding::{Finding, error, warning};
use super::unread;
use super::{Depth, TableCheck};
use crate::format::{Breach, CsvContent, Footer, TAIL_BYTES, csv_content, csv_start, footer_length, long_texts};
use crate::limits::{
    CHECK_FOOTER_BYTES_MAX, CHECK_PART_BYTES_MAX, CHECK_PIECE_BYTES, FOOTER_BYTES, PART_BYTES_MAX, PART_SLACK_BYTES,
};
use crate::model::csv_form::CsvForm;
use crate::model::destination::{Format, Profile};
use crate::model::manifest::Part;
use crate::store::{Facts, Reader, Unread};

/// A part whose file is gone, or has another size, is written anew by the next run that makes its table.
const AGAIN: &str = "run the job again, with `--full` where its table is incremental";

/// Columns that a finding names.
const COLUMNS_NAMED: usize = 5;

/// What was found in a part, and when it was written.
pub(super) struct PartCheck {
    pub found: Vec<Finding>,
    /// Absent = it cannot be read.
    pub facts: Option<Facts>,
}

/// Why a part was not looked into any further.
enum Ended {
    Unread(Unread),
    Local(std::io::Error),
}

impl From<Unread> for Ended {
    fn from(unread: Unread) -> Self {
        Ended::Unread(unread)
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Ended::Local(error)
    }
}

/// Reads a part and tells what is wrong with it.
pub(super) async fn check_part(reader: &Reader, table: &TableCheck<'_>, part: &Part, depth: Depth) -> PartCheck {
    let path = part.path.as_str();
    let facts = match reader.facts(path).await {
        Ok(facts) => facts,
        Err(unread) => return PartCheck { found: vec![unread::of_part(path, &unread)], facts: None },
    };
    let mut found = Vec::new();
    if facts.bytes != part.bytes {
        let what = format!("it has {} bytes, and the manifest says {}", facts.bytes, part.bytes);
        found.push(error("part_size", path, what, format!("somebody changed it: {AGAIN}")));
        return PartCheck { found, facts: Some(facts) };
    }
    if facts.bytes > PART_BYTES_MAX + PART_SLACK_BYTES {
        let what = format!(
            "it has {} MiB, and Power Query keeps a whole part in memory: {} MiB are the most",
            facts.bytes / (1024 * 1024),
            PART_BYTES_MAX / (1024 * 1024)
        );
        found.push(error(
            "part_too_large",
            path,
            what,
            "set `destination.part_mib: 64` or less, and make the table anew",
        ));
    }
    let looked = match table.format {
        Format::Parquet(_) => check_parquet(reader, table, part, depth, &mut found).await,
        Format::Csv(form) => check_csv(reader, table, form, part, depth, &mut found).await,
    };
    match looked {
        Ok(()) => {}
        Err(Ended::Unread(unread)) => found.push(unread::of_part(path, &unread)),
        Err(Ended::Local(source)) => {
            let what = format!("it cannot be kept for looking at it: {source}");
            found.push(error("part_unread", path, what, "make room in the folder for temporary files (TMPDIR)"));
        }
    }
    PartCheck { found, facts: Some(facts) }
}

async fn check_parquet(
    reader: &Reader,
    table: &TableCheck<'_>,
    part: &Part,
    depth: Depth,
    found: &mut Vec<Finding>,
) -> Result<(), Ended> {
    let path = part.path.as_str();
    let footer = match read_footer(reader, path, part.bytes).await? {
        Ok(footer) => footer,
        Err(why) => {
            found.push(error("footer_unreadable", path, why, format!("it is no Parquet file of haul: {AGAIN}")));
            return Ok(());
        }
    };
    if footer.rows() != part.rows {
        let what = format!("its footer tells {} rows, and the manifest says {}", footer.rows(), part.rows);
        found.push(error("part_rows", path, what, format!("somebody changed it: {AGAIN}")));
    }
    let columns = &table.entry.columns;
    let mut breaches = footer.common_breaches(columns);
    let is_for_powerbi = table.entry.profile == Profile::Powerbi;
    if is_for_powerbi {
        breaches.extend(footer.breaches(columns, table.format));
    }
    if let Some(file) = whole(reader, part, found).await? {
        if is_for_powerbi {
            breaches.extend(tokio::task::block_in_place(|| footer.page_breaches(&file)));
        }
        if depth == Depth::Values {
            match tokio::task::block_in_place(|| long_texts(file, columns)) {
                Ok(texts) => breaches.extend(texts),
                Err(unreadable) => {
                    let why = super::text_of(&unreadable);
                    found.push(error("part_unread", path, format!("its values cannot be read: {why}"), AGAIN));
                }
            }
        }
    }
    found.extend(of_breaches(path, &breaches));
    Ok(())
}

/// An error inside = there is no footer that can be read.
pub(super) async fn read_footer(reader: &Reader, path: &str, bytes: u64) -> Result<Result<Footer, String>, Unread> {
    if bytes < TAIL_BYTES {
        return Ok(Err(format!("it has {bytes} bytes, which is no Parquet file")));
    }
    let start = bytes.saturating_sub(FOOTER_BYTES);
    let mut end = reader.piece(path, start..bytes).await?;
    let tail = end[end.len() - TAIL_BYTES as usize..].try_into().expect("it has so many bytes");
    let length = match footer_length(tail) {
        Ok(length) => length,
        Err(unreadable) => return Ok(Err(super::text_of(&unreadable))),
    };
    let Some(first) = (bytes - TAIL_BYTES).checked_sub(length) else {
        return Ok(Err(format!("its footer has {length} bytes, more than the file")));
    };
    if length > CHECK_FOOTER_BYTES_MAX {
        let limit = "limit CHECK_FOOTER_BYTES_MAX";
        return Ok(Err(format!("its footer has {length} bytes, more than {CHECK_FOOTER_BYTES_MAX}, {limit}")));
    }
    if first < start {
        end = read_all(reader, path, first..bytes).await?.into();
    } else {
        end = end.slice((first - start) as usize..);
    }
    Ok(Footer::read(&end[..end.len() - TAIL_BYTES as usize]).map_err(|unreadable| super::text_of(&unreadable)))
}

/// A range in pieces, for what has a bound of its own.
pub(super) async fn read_all(reader: &Reader, path: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>, Unread> {
    let mut whole = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = (at + CHECK_PIECE_BYTES).min(range.end);
        whole.extend_from_slice(&reader.piece(path, at..end).await?);
        at = end;
    }
    Ok(whole)
}

/// The checksum of a file of so many bytes.
pub(super) async fn sha256_of(reader: &Reader, path: &str, bytes: u64) -> Result<String, Unread> {
    let mut digest = Context::new(&SHA256);
    let mut at = 0;
    while at < bytes {
        let end = (at + CHECK_PIECE_BYTES).min(bytes);
        digest.update(&reader.piece(path, at..end).await?);
        at = end;
    }
    Ok(shown(digest))
}

fn shown(digest: Context) -> String {
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The whole part in a temporary file, with its checksum proved. `None` = it is not looked into.
async fn whole(reader: &Reader, part: &Part, found: &mut Vec<Finding>) -> Result<Option<File>, Ended> {
    if part.bytes > CHECK_PART_BYTES_MAX {
        return Ok(None);
    }
    let mut file = tempfile::tempfile()?;
    let mut digest = Context::new(&SHA256);
    let mut at = 0;
    while at < part.bytes {
        let end = (at + CHECK_PIECE_BYTES).min(part.bytes);
        let piece = reader.piece(&part.path, at..end).await?;
        tokio::task::block_in_place(|| {
            digest.update(&piece);
            file.write_all(&piece)
        })?;
        at = end;
    }
    file.seek(SeekFrom::Start(0))?;
    if shown(digest) != part.sha256 {
        let what = "its bytes are not those of the manifest (SHA-256)";
        // One of the same size counts as known, and would stay.
        found.push(error(
            "part_checksum",
            &part.path,
            what,
            format!("somebody changed it: remove the file, then {AGAIN}"),
        ));
    }
    Ok(Some(file))
}

async fn check_csv(
    reader: &Reader,
    table: &TableCheck<'_>,
    form: &CsvForm,
    part: &Part,
    depth: Depth,
    found: &mut Vec<Finding>,
) -> Result<(), Ended> {
    let (path, columns) = (part.path.as_str(), &table.entry.columns);
    let Ok(start) = csv_start(form, columns) else { return Ok(()) };
    let Some(mut file) = whole(reader, part, found).await? else { return Ok(()) };
    let mut first = vec![0; start.len()];
    let is_begun = part.bytes >= start.len() as u64 && std::io::Read::read_exact(&mut file, &mut first).is_ok();
    if !is_begun || first != start {
        let mark = if form.bom { "a byte order mark and " } else { "" };
        let what = format!("it does not begin with {mark}the header of its columns");
        found.push(error("csv_start", path, what, AGAIN));
        return Ok(());
    }
    file.seek(SeekFrom::Start(0))?;
    match tokio::task::block_in_place(|| csv_content(file, form, columns)) {
        Ok(CsvContent { rows, torn, texts }) => {
            if rows != part.rows {
                let what = format!("it has {rows} rows, and the manifest says {}", part.rows);
                found.push(error("part_rows", path, what, format!("somebody changed it: {AGAIN}")));
            }
            if torn > 0 {
                let what = format!("{torn} of its rows have not {} fields", columns.len());
                found.push(error("csv_rows", path, what, AGAIN));
            }
            if depth == Depth::Values {
                found.extend(of_breaches(path, &texts));
            }
        }
        Err(unreadable) => {
            let why = super::text_of(&unreadable);
            found.push(error("part_unread", path, format!("it cannot be read: {why}"), AGAIN));
        }
    }
    Ok(())
}

/// Differences from the profile in words; what is the same of several columns is one finding.
fn of_breaches(path: &str, breaches: &BTreeSet<Breach>) -> Vec<Finding> {
    let mut of_columns: BTreeMap<(Kind, &str), Vec<&str>> = BTreeMap::new();
    let mut found = Vec::new();
    for breach in breaches {
        let (kind, detail, column) = match breach {
            Breach::Nested { column } => (Kind::Nested, "", column),
            Breach::Utc { column } => (Kind::Utc, "", column),
            Breach::Compression { column, found } => (Kind::Compression, found.as_str(), column),
            Breach::Encoding { column, found } => (Kind::Encoding, found.as_str(), column),
            Breach::PageVersion { column } => (Kind::PageVersion, "", column),
            Breach::Version(_)
            | Breach::ArrowSchema
            | Breach::Columns { .. }
            | Breach::Type { .. }
            | Breach::Group { .. }
            | Breach::Years { .. }
            | Breach::Texts { .. }
            | Breach::Pages { .. } => {
                found.extend(of_breach(path, breach));
                continue;
            }
        };
        of_columns.entry((kind, detail)).or_default().push(column);
    }
    found.extend(of_columns.iter().map(|((kind, detail), columns)| of_kind(path, *kind, detail, columns)));
    found
}

/// What several columns may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Nested,
    Utc,
    Compression,
    Encoding,
    PageVersion,
}

const FOREIGN: &str = "haul does not write such files: let no other program write there, and run the job again";

fn of_kind(path: &str, kind: Kind, detail: &str, columns: &[&str]) -> Finding {
    let named: Vec<String> = columns.iter().take(COLUMNS_NAMED).map(|column| format!("`{column}`")).collect();
    let more = columns.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (noun, is, has) = if columns.len() == 1 { ("column", "is", "has") } else { ("columns", "are", "have") };
    let which = format!("{noun} {}{more}", named.join(", "));
    let (code, what) = match kind {
        Kind::Nested => ("nested_column", format!("{which} {is} nested, which no flat table takes")),
        Kind::Utc => (
            "timestamp_utc",
            format!("{which} {is} adjusted to UTC: Power BI Desktop shifts such times by its own zone"),
        ),
        Kind::Compression => ("compression", format!("{which} {is} compressed with {detail}: gateways know Snappy")),
        Kind::Encoding => ("encoding", format!("{which} {has} the encoding {detail}: older gateways fail on it")),
        Kind::PageVersion => {
            ("page_version", format!("{which} {has} data pages of version 2: older gateways fail on them"))
        }
    };
    error(code, path, what, FOREIGN)
}

/// `None` = it is one that columns may have in common.
fn of_breach(path: &str, breach: &Breach) -> Option<Finding> {
    Some(match breach {
        Breach::Version(version) => {
            error("parquet_version", path, format!("the file's format version is {version}, not 1"), FOREIGN)
        }
        Breach::ArrowSchema => warning("arrow_schema", path, "the footer holds a schema of Arrow's own", FOREIGN),
        Breach::Columns { found, expected } => {
            let what = format!("its columns are {found}; the manifest says {expected}");
            error("columns_differ", path, what, FOREIGN)
        }
        Breach::Type { column, found, expected } => {
            let what = format!("column `{column}` is stored as {found}, which is no {expected} of the profile");
            error("column_type", path, what, FOREIGN)
        }
        Breach::Group { rows, bytes } => {
            let what = format!("a row group has {rows} rows in {bytes} bytes, which takes much memory");
            warning("row_group_too_large", path, what, FOREIGN)
        }
        Breach::Years { column, from, to } => super::years(path, column, &format!("from {from} to {to}")),
        Breach::Texts { column, count, longest } => {
            let what = format!(
                "column `{column}` has {count} texts of more than 32,766 characters, the longest of {longest}: a model \
                 cuts them in silence"
            );
            let cure =
                "`destination.profile: powerbi` cuts and counts them; `drop` the field, or set `long_text: fail`";
            warning("text_too_long", path, what, cure)
        }
        Breach::Pages { column, why } => {
            error("part_unread", path, format!("the pages of column `{column}` cannot be read: {why}"), AGAIN)
        }
        Breach::Nested { .. }
        | Breach::Utc { .. }
        | Breach::Compression { .. }
        | Breach::Encoding { .. }
        | Breach::PageVersion { .. } => return None,
    })
}
