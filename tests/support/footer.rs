//! What the Power BI profile promises of a Parquet file, read from its footer and its page headers. Every file that a
//! test leaves in its workplace goes through here.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, Type};

const MIB: usize = 1024 * 1024;
const ROW_GROUP_ROWS: i64 = 65_536;
const PART_BYTES: u64 = 64 * MIB as u64;
/// A part is closed by an estimate between two batches, and what waits in the row group is compressed only then.
const PART_SLACK_BYTES: u64 = 4 * MIB as u64;
const PAGE_BYTES: usize = MIB;
/// The writer looks at the size of a page after 1,024 short values or one long one, so a page may be larger by as much:
/// a text of 32,000 characters has up to 125 KiB.
const PAGE_SLACK_BYTES: usize = 160 * 1024;

/// Whether a file claims to be Parquet: by its name, or by its first and last bytes.
pub fn is_parquet(path: &Path, content: &[u8]) -> bool {
    let has_marks = content.len() > 8 && content.starts_with(b"PAR1") && content.ends_with(b"PAR1");
    has_marks || path.extension().is_some_and(|extension| extension == "parquet")
}

/// Everything in which the file differs from the profile; empty = nothing.
pub fn breaches(path: &Path) -> Vec<String> {
    let reader = match File::open(path)
        .map_err(|error| error.to_string())
        .and_then(|file| SerializedFileReader::new(file).map_err(|error| error.to_string()))
    {
        Ok(reader) => reader,
        Err(error) => return vec![format!("it cannot be opened: {error}")],
    };
    let mut found = Vec::new();
    check_file(&reader, path, &mut found);
    check_columns(reader.metadata().file_metadata().schema_descr().root_schema(), &mut found);
    for column in reader.metadata().file_metadata().schema_descr().columns() {
        check_type(column, &mut found);
    }
    for at in 0..reader.num_row_groups() {
        match reader.get_row_group(at) {
            Ok(group) => check_row_group(group.as_ref(), at, &mut found),
            Err(error) => found.push(format!("row group {at} cannot be read: {error}")),
        }
    }
    found
}

fn check_file(reader: &SerializedFileReader<File>, path: &Path, found: &mut Vec<String>) {
    let facts = reader.metadata().file_metadata();
    if facts.version() != 1 {
        found.push(format!("the format version is {}, not 1", facts.version()));
    }
    if facts.created_by() != Some("haul") {
        found.push(format!("it was created by {:?}", facts.created_by()));
    }
    for pair in facts.key_value_metadata().into_iter().flatten() {
        found.push(format!("the footer has metadata `{}`", pair.key));
    }
    // The alias holds all parts of its table; parts stand in `data`.
    let is_part = path.parent().is_some_and(|folder| folder.ends_with("data"));
    let bytes = path.metadata().map_or(0, |facts| facts.len());
    if is_part && bytes > PART_BYTES + PART_SLACK_BYTES {
        found.push(format!("the part has {bytes} bytes"));
    }
}

fn check_columns(root: &Type, found: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for field in root.get_fields() {
        let name = field.name();
        let is_identifier = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_identifier {
            found.push(format!("`{name}` is no name of `[A-Za-z_][A-Za-z0-9_]*`"));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            found.push(format!("`{name}` stands twice but for case"));
        }
        if !field.is_primitive() {
            found.push(format!("`{name}` is nested"));
        }
        if field.get_basic_info().repetition() != Repetition::OPTIONAL {
            found.push(format!("`{name}` is {}, not optional", field.get_basic_info().repetition()));
        }
    }
}

fn check_type(column: &ColumnDescriptor, found: &mut Vec<String>) {
    let is_allowed = match (column.physical_type(), column.logical_type_ref()) {
        (Physical::INT64 | Physical::BOOLEAN | Physical::DOUBLE, None) => true,
        (Physical::BYTE_ARRAY, Some(LogicalType::String)) => true,
        (Physical::INT32, Some(LogicalType::Date)) => true,
        (Physical::INT64, Some(LogicalType::Timestamp(stamp))) => {
            stamp.unit == TimeUnit::MICROS && !stamp.is_adjusted_to_u_t_c
        }
        // As narrow as the precision allows, and never a BYTE_ARRAY, which few readers take.
        (physical, Some(LogicalType::Decimal(decimal))) => match decimal.precision {
            1..=9 => physical == Physical::INT32,
            10..=18 => physical == Physical::INT64,
            _ => physical == Physical::FIXED_LEN_BYTE_ARRAY && decimal.precision <= 38,
        },
        _ => false,
    };
    if !is_allowed {
        let (physical, logical) = (column.physical_type(), column.logical_type_ref());
        found.push(format!("`{}` is {physical} {logical:?}", column.name()));
    }
}

fn check_row_group(group: &dyn RowGroupReader, at: usize, found: &mut Vec<String>) {
    let facts = group.metadata();
    if facts.num_rows() > ROW_GROUP_ROWS {
        found.push(format!("row group {at} has {} rows", facts.num_rows()));
    }
    for (column, chunk) in facts.columns().iter().enumerate() {
        let name = chunk.column_descr().name().to_owned();
        if chunk.compression() != Compression::SNAPPY {
            found.push(format!("`{name}` is compressed by {}", chunk.compression()));
        }
        match group.get_column_page_reader(column) {
            Ok(pages) => check_pages(pages, &name, found),
            Err(error) => found.push(format!("the pages of `{name}` cannot be read: {error}")),
        }
    }
}

fn check_pages(mut pages: Box<dyn PageReader>, name: &str, found: &mut Vec<String>) {
    loop {
        let page = match pages.get_next_page() {
            Ok(Some(page)) => page,
            Ok(None) => return,
            Err(error) => return found.push(format!("a page of `{name}` cannot be read: {error}")),
        };
        match &page {
            Page::DataPageV2 { .. } => found.push(format!("`{name}` has a data page of version 2")),
            Page::DictionaryPage { .. } => {}
            Page::DataPage { def_level_encoding, rep_level_encoding, .. } => {
                if (*def_level_encoding, *rep_level_encoding) != (Encoding::RLE, Encoding::RLE) {
                    found.push(format!("levels of `{name}` are {def_level_encoding} and {rep_level_encoding}"));
                }
            }
        }
        if !is_plain_or_dictionary(page.encoding()) {
            found.push(format!("`{name}` has a page of {}", page.encoding()));
        }
        let bytes = page.buffer().len();
        if bytes > PAGE_BYTES + PAGE_SLACK_BYTES {
            found.push(format!("`{name}` has a page of {bytes} bytes"));
        }
    }
}

#[allow(deprecated)]
fn is_plain_or_dictionary(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY)
}
