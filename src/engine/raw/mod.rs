//! The records of a stream as they came, kept beside its tables where the job wants it, and tables made from them without
//! asking the source.
//!
//! Format 1: the files of a run, one behind the other, are zstd; in it stand lines of JSON (`Line`), and behind a line that
//! announces records these, and a line feed. No host, no query and no header is in them: only what became rows.

mod copies;
mod read;
mod rebuild;
mod write;

use serde::{Deserialize, Serialize};

pub(super) use self::copies::copies_of;
pub(super) use self::read::{RawPage, RawReader, RawSlice};
pub(super) use self::rebuild::rebuild;
pub(super) use self::write::{RawFile, RawWriter};
use crate::model::column::Column;
use crate::model::slices::Slice;
use crate::paging::walk::WalkEnd;

/// Version of the format; a reader refuses a higher one.
const FORMAT: u32 = 1;

/// A line between the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Stream(Head),
    /// What follows is of this slice.
    Slice(Box<Slice>),
    /// So many bytes of records follow: JSON text of one list of objects, or of a single object. A large page has several.
    Page {
        page: u64,
        records: u64,
        bytes: u64,
    },
    /// The slice was read to its end.
    End(WalkEnd),
    /// The job let the table be published without the slice.
    LeftOut {
        error: String,
    },
}

/// The first line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Head {
    format_version: u32,
    stream: String,
    /// Columns with types that the source described.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fetched: Vec<Column>,
    /// The greatest cursor before this read. Absent = there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_until: Option<String>,
}
