//! From record batches to files and back.
//!
//! Comes in: Arrow batches of one schema, the form of the files, and somewhere to write. Goes out: the bytes of a Parquet
//! or CSV file for the profile's readers, and what a finished file says about itself. The same batches give the same
//! bytes.
//!
//! It does not know: where batches come from, what a file is called, where it is stored.

mod concat;
mod csv;
mod csv_check;
mod double;
mod encode;
mod error;
mod groups;
mod parquet;
mod profile;
mod read;
mod spelling;
mod storage;
#[cfg(test)]
mod tests;

pub(crate) use concat::concat;
pub(crate) use csv_check::{CsvContent, csv_content, csv_start};
pub(crate) use encode::Encoder;
pub(crate) use error::Error;
pub(crate) use groups::{Groups, footer_bytes};
pub(crate) use profile::{Breach, Footer, TAIL_BYTES, YEARS, footer_length, long_texts};
pub(crate) use read::{footer_facts, read_parquet, read_parquet_columns};
