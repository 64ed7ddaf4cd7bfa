//! What a Parquet file breaks of the Power BI profile, by its footer and by its pages. For files that anybody may have
//! written: nothing in them is believed.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::AsArray;
use chrono::{DateTime, Datelike, NaiveDate};
use parquet::basic::{Compression, Encoding, LogicalType, TimeUnit, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use super::error::Error;
use super::read::read_parquet_columns;
use crate::limits::{MODEL_TEXT_UNITS_MAX, ROW_GROUP_BYTES, ROW_GROUP_ROWS};
use crate::model::column::{Column, ColumnType};
use crate::model::destination::Format;

/// Years that Power BI takes for dates.
pub(crate) const YEARS: std::ops::RangeInclusive<i32> = 1900..=9999;
/// Bytes behind the footer: its length and a mark.
pub(crate) const TAIL_BYTES: u64 = 8;
/// The key under which Arrow keeps its own schema.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// One thing in which a file differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breach {
    /// Format version of the footer.
    Version(i32),
    ArrowSchema,
    /// The columns of the file and those of its table.
    Columns {
        found: String,
        expected: String,
    },
    Nested {
        column: String,
    },
    /// A timestamp is said to be of UTC.
    Utc {
        column: String,
    },
    Type {
        column: String,
        found: String,
        expected: String,
    },
    Compression {
        column: String,
        found: String,
    },
    Encoding {
        column: String,
        found: String,
    },
    PageVersion {
        column: String,
    },
    Group {
        rows: u64,
        bytes: u64,
    },
    Years {
        column: String,
        from: String,
        to: String,
    },
    /// So many texts are longer than a model keeps; the longest has so many units.
    Texts {
        column: String,
        count: u64,
        longest: usize,
    },
    /// The pages cannot be read.
    Pages {
        column: String,
        why: String,
    },
}

/// The footer of a file.
pub(crate) struct Footer(ParquetMetaData);

/// Bytes of the footer that stands before these last bytes of a file.
pub(crate) fn footer_length(tail: [u8; TAIL_BYTES as usize]) -> Result<u64, Error> {
    let wrong = |source| Error::Parquet { doing: "read the footer of", source };
    let tail = FooterTail::try_new(&tail).map_err(wrong)?;
    if tail.is_encrypted_footer() {
        return Err(wrong(parquet::errors::ParquetError::General("it is encrypted".to_owned())));
    }
    Ok(tail.metadata_length() as u64)
}

impl Footer {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let read = ParquetMetaDataReader::decode_metadata(bytes);
        read.map(Footer).map_err(|source| Error::Parquet { doing: "read the footer of", source })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.0.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// What differs for Power BI in a file of a table with these columns, written in this form.
    pub(crate) fn breaches(&self, columns: &[Column], format: &Format) -> BTreeSet<Breach> {
        let mut found = BTreeSet::new();
        let facts = self.0.file_metadata();
        if facts.version() != 1 {
            found.insert(Breach::Version(facts.version()));
        }
        if facts.key_value_metadata().into_iter().flatten().any(|pair| pair.key == ARROW_SCHEMA) {
            found.insert(Breach::ArrowSchema);
        }
        for described in facts.schema_descr().columns() {
            let named = columns.iter().find(|column| column.name == described.path().parts()[0]);
            found.extend(type_breach(described, named, format));
        }
        for group in self.0.row_groups() {
            let (rows, bytes) = (unsigned(group.num_rows()), unsigned(group.total_byte_size()));
            // The writer counts before it knows how well its values encode.
            if rows > ROW_GROUP_ROWS as u64 || bytes > 2 * ROW_GROUP_BYTES as u64 {
                found.insert(Breach::Group { rows, bytes });
            }
            found.extend(group.columns().iter().flat_map(chunk_breaches));
        }
        found
    }

    /// What differs for every reader: the columns, and the years of dates by the footer's statistics.
    pub(crate) fn common_breaches(&self, columns: &[Column]) -> BTreeSet<Breach> {
        let root = self.0.file_metadata().schema_descr().root_schema();
        let found: Vec<&str> = root.get_fields().iter().map(|field| field.name()).collect();
        let expected: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut breaches = BTreeSet::new();
        if found != expected {
            breaches.insert(Breach::Columns { found: found.join(", "), expected: expected.join(", ") });
        }
        let chunks = self.0.row_groups().iter().flat_map(|group| group.columns());
        breaches.extend(chunks.filter_map(year_breach));
        breaches
    }

    /// What differs in the first data page of every column, whose file is whole.
    pub(crate) fn page_breaches(&self, file: &File) -> BTreeSet<Breach> {
        let mut found = BTreeSet::new();
        let Some(group) = self.0.row_groups().first() else { return found };
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        for chunk in group.columns() {
            let column = chunk.column_path().string();
            match file.try_clone().map_err(|error| error.to_string()).and_then(|file| first_page(file, chunk, rows)) {
                Ok(Some(Page::DataPageV2 { .. })) => found.insert(Breach::PageVersion { column }),
                Ok(Some(Page::DataPage { encoding, .. })) if !is_allowed(encoding, chunk) => {
                    found.insert(Breach::Encoding { column, found: encoding.to_string() })
                }
                Ok(_) => false,
                Err(why) => found.insert(Breach::Pages { column, why }),
            };
        }
        found
    }
}

/// Texts that are longer than a model of Power BI keeps, in a whole file.
pub(crate) fn long_texts(file: File, columns: &[Column]) -> Result<BTreeSet<Breach>, Error> {
    let is_text = |column: &&Column| {
        matches!(column.kind, ColumnType::Text | ColumnType::Json | ColumnType::List(_) | ColumnType::Null)
    };
    let names: Vec<&str> = columns.iter().filter(is_text).map(|column| column.name.as_str()).collect();
    let mut longest = vec![(0, 0); names.len()];
    if !names.is_empty() {
        for batch in read_parquet_columns(file, &names, columns)? {
            let batch = batch?;
            for (at, name) in names.iter().enumerate() {
                let Some(texts) = batch.column_by_name(name).and_then(|values| values.as_string_opt::<i32>()) else {
                    continue;
                };
                for text in texts.iter().flatten() {
                    longest[at] = with_text(longest[at], text);
                }
            }
        }
    }
    Ok(text_breaches(names.iter().copied().zip(longest)))
}

/// How many texts are too long so far and how long the longest is, with one more.
pub(super) fn with_text((count, longest): (u64, usize), text: &str) -> (u64, usize) {
    // A text has no more units than bytes.
    if text.len() <= MODEL_TEXT_UNITS_MAX {
        return (count, longest);
    }
    let units = text.encode_utf16().count();
    if units > MODEL_TEXT_UNITS_MAX { (count + 1, longest.max(units)) } else { (count, longest) }
}

pub(super) fn text_breaches<'c>(counted: impl Iterator<Item = (&'c str, (u64, usize))>) -> BTreeSet<Breach> {
    let breach = |(column, (count, longest)): (&str, (u64, usize))| {
        (count > 0).then(|| Breach::Texts { column: column.to_owned(), count, longest })
    };
    counted.filter_map(breach).collect()
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn first_page(file: File, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Option<Page>, String> {
    let mut pages = SerializedPageReader::new(Arc::new(file), chunk, rows, None).map_err(|error| error.to_string())?;
    // A chunk has one dictionary at most, and it stands first.
    for _ in 0..2 {
        match pages.get_next_page().map_err(|error| error.to_string())? {
            Some(Page::DictionaryPage { .. }) => {}
            page => return Ok(page),
        }
    }
    Ok(None)
}

/// `named` = the column of the table with this name.
fn type_breach(described: &ColumnDescriptor, named: Option<&Column>, format: &Format) -> Option<Breach> {
    let column = described.path().string();
    if described.path().parts().len() > 1 || described.max_rep_level() > 0 {
        return Some(Breach::Nested { column: described.path().parts()[0].clone() });
    }
    let expected = named?.kind;
    let (physical, logical) = (described.physical_type(), described.logical_type_ref());
    if let (Physical::INT64, Some(LogicalType::Timestamp(stamp))) = (physical, logical)
        && stamp.is_adjusted_to_u_t_c
    {
        return Some(Breach::Utc { column });
    }
    let is_right = match expected {
        ColumnType::Boolean => physical == Physical::BOOLEAN,
        ColumnType::Integer => {
            let is_plain = match logical {
                None => true,
                Some(LogicalType::Integer(int)) => int.bit_width == 64 && int.is_signed,
                Some(_) => false,
            };
            physical == Physical::INT64 && is_plain
        }
        ColumnType::Float => physical == Physical::DOUBLE,
        ColumnType::Decimal { .. } if format.rounds(expected) => physical == Physical::DOUBLE,
        ColumnType::Decimal { precision, scale } => {
            let is_as_narrow = match precision {
                1..=9 => physical == Physical::INT32,
                10..=18 => physical == Physical::INT64,
                _ => physical == Physical::FIXED_LEN_BYTE_ARRAY,
            };
            is_as_narrow
                && matches!(logical, Some(LogicalType::Decimal(decimal))
                    if decimal.precision == i32::from(precision) && decimal.scale == i32::from(scale))
        }
        ColumnType::Date => physical == Physical::INT32 && matches!(logical, Some(LogicalType::Date)),
        ColumnType::DateTime | ColumnType::Instant => {
            physical == Physical::INT64
                && matches!(logical, Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::MICROS)
        }
        ColumnType::Text | ColumnType::Json | ColumnType::List(_) | ColumnType::Null => {
            physical == Physical::BYTE_ARRAY && matches!(logical, Some(LogicalType::String))
        }
    };
    let spelled = logical.map(|logical| format!(" as {logical:?}")).unwrap_or_default();
    (!is_right).then(|| Breach::Type { column, found: format!("{physical}{spelled}"), expected: expected.to_string() })
}

fn is_allowed(encoding: Encoding, chunk: &ColumnChunkMetaData) -> bool {
    match encoding {
        Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => true,
        #[allow(deprecated)]
        Encoding::BIT_PACKED => true,
        // Of levels, which every column has. Older gateways do not know it for the values of booleans.
        Encoding::RLE => chunk.column_type() != Physical::BOOLEAN,
        _ => false,
    }
}

fn chunk_breaches(chunk: &ColumnChunkMetaData) -> Vec<Breach> {
    let column = chunk.column_path().string();
    let mut found = Vec::new();
    if !matches!(chunk.compression(), Compression::SNAPPY | Compression::UNCOMPRESSED) {
        found.push(Breach::Compression { column: column.clone(), found: chunk.compression().to_string() });
    }
    let of_pages: Vec<Encoding> = match (chunk.page_encoding_stats_mask(), chunk.page_encoding_stats()) {
        (Some(mask), _) => mask.encodings().collect(),
        (None, Some(stats)) => stats.iter().map(|stats| stats.encoding).collect(),
        (None, None) => Vec::new(),
    };
    // Among all encodings of a chunk are those of its levels.
    let others = chunk.encodings().filter(|encoding| *encoding != Encoding::RLE);
    let foreign = others.chain(of_pages).filter(|encoding| !is_allowed(*encoding, chunk));
    found.extend(foreign.map(|encoding| Breach::Encoding { column: column.clone(), found: encoding.to_string() }));
    found
}

fn year_breach(chunk: &ColumnChunkMetaData) -> Option<Breach> {
    let (logical, ends) = (chunk.column_descr().logical_type_ref()?, chunk.statistics()?);
    let (from, to) = match (logical, ends) {
        (LogicalType::Date, Statistics::Int32(ends)) => (day(*ends.min_opt()?), day(*ends.max_opt()?)),
        (LogicalType::Timestamp(stamp), Statistics::Int64(ends)) => {
            let moment = |value: i64| match stamp.unit {
                TimeUnit::MILLIS => DateTime::from_timestamp_millis(value).map(|moment| moment.date_naive()),
                TimeUnit::MICROS => DateTime::from_timestamp_micros(value).map(|moment| moment.date_naive()),
                TimeUnit::NANOS => Some(DateTime::from_timestamp_nanos(value).date_naive()),
            };
            (moment(*ends.min_opt()?), moment(*ends.max_opt()?))
        }
        _ => return None,
    };
    let is_good = |date: Option<NaiveDate>| date.is_some_and(|date| YEARS.contains(&date.year()));
    let shown = |date: Option<NaiveDate>| {
        date.map_or_else(|| "a date beyond all calendars".to_owned(), |date| date.to_string())
    };
    let column = chunk.column_path().string();
    (!is_good(from) || !is_good(to)).then(|| Breach::Years { column, from: shown(from), to: shown(to) })
}

fn day(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(days)
}
