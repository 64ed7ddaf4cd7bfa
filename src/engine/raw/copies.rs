//! Which raw copies a table is made of.

use crate::model::manifest::{RawCopies, RawRun, TableManifest};
use crate::model::plan::WriteMode;

/// The copies that make a table after a run: those of its former rows, where these stay, and the run's own.
pub(in crate::engine) fn copies_of(write: WriteMode, former: Option<&TableManifest>, run: RawRun) -> RawCopies {
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
