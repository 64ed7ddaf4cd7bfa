//! The Power BI kit: what a published dataset needs on the other side, as texts. In comes a manifest's tables with the way
//! to them, out come queries in M, a Power BI Project, a dataflow, a data source file. The same input gives the same bytes.
//!
//! This room does not know stores, jobs' files or secrets other than the one that somebody asked to be written down, and it
//! reads and writes nothing.

mod kit;
pub(crate) mod m;
mod reach;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use kit::{Kit, KitError, Table};
pub(crate) use reach::{FieldValue, Reach, SignedField};
