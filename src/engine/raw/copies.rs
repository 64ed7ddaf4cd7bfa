//! Which raw copies a table is made of.

use chrono::{DateTime, Utc};

use crate::model::manifest::{Part, RawCopies, RawRun, TableManifest};
use crate::model::plan::WriteMode;

/// What a run kept of a stream.
pub(in crate::engine) struct Kept<'a> {
    pub run: &'a str,
    pub as_of: DateTime<Utc>,
    pub files: Vec<Part>,
    /// Of the stream that told which records are gone.
    pub list: &'a [Part],
}

/// The copies that make a table after a run: those of its former rows, where these stay, and the run's own.
pub(in crate::engine) fn copies_of(write: WriteMode, former: Option<&TableManifest>, kept: Kept<'_>) -> RawCopies {
    let run = RawRun { run: kept.run.to_owned(), as_of: kept.as_of, files: kept.files, list: kept.list.to_vec() };
    let former = former.filter(|_| write != WriteMode::Replace);
    let mut copies = match former {
        None => RawCopies { is_whole: true, runs: Vec::new() },
        Some(former) => former.raw.clone().unwrap_or(RawCopies { is_whole: former.rows == 0, runs: Vec::new() }),
    };
    if write == WriteMode::Replace || !run.files.is_empty() || !run.list.is_empty() {
        copies.runs.push(run);
    }
    copies
}
