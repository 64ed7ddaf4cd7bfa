//! From the text of records to typed columns.
//!
//! Comes in: what is known of a table's columns beforehand, and the JSON of one page's records after another.
//! Goes out: Arrow record batches of a fixed number of rows with the columns they have, and warnings with counts.
//! There is no tree of values in between; every number and string goes from the page's bytes into its column.
//!
//! The same records give the same batches, however they were cut into pages.
//!
//! It does not know: where pages come from, what a file is, what a job looks like.

mod added;
mod cells;
mod children;
mod convert;
mod decode;
mod digits;
mod error;
mod fixed;
mod infer;
mod keys;
mod known;
mod lane;
mod lists;
mod names;
mod number;
mod options;
mod raw_json;
mod reason;
mod shape;
mod table;
mod temporal;
#[cfg(test)]
mod tests;
mod tokens;
mod tombstones;

pub(crate) use convert::{convert, convert_stepwise, schema_of};
pub(crate) use decode::{BadRecord, Compute, Decoder};
pub(crate) use error::Error;
pub(crate) use keys::Keys;
pub(crate) use lists::{list_array, list_texts, list_type};
pub(crate) use names::name_of as column_name;
pub(crate) use options::{Options, PARENT_ROW, POSITION};
pub(crate) use reason::Reason;
pub(crate) use tombstones::GoneBatch;
