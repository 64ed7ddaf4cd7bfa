//! The Power BI kit: what a published dataset needs on the other side, as texts. In comes a manifest's tables with the way
//! to them, out come queries in M, a Power BI Project, a dataflow, a data source file. The same input gives the same bytes.
//!
//! This room does not know stores, jobs' files or secrets other than the one that somebody asked to be written down, and it
//! reads and writes nothing.

pub(crate) mod dataflow;
mod file;
mod ids;
mod kit;
pub(crate) mod m;
pub(crate) mod pbids;
pub(crate) mod pbip;
mod reach;
mod report;
#[cfg(test)]
mod tests;
mod tmdl;
mod types;

pub(crate) use file::{TextFile, query_files};
pub(crate) use kit::{Kit, KitError, Ranged};
pub(crate) use reach::{FieldValue, Reach, SignedField};
