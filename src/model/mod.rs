//! The values that every room speaks of: tables and their columns, paths into JSON, the report of a run.
//!
//! Nothing here does I/O, reads a clock or knows a library of another room.

pub(crate) mod amounts;
pub(crate) mod answer;
pub(crate) mod column;
pub(crate) mod credential;
pub(crate) mod csv_form;
pub(crate) mod deletes;
pub(crate) mod destination;
pub(crate) mod fields;
pub(crate) mod gates;
pub(crate) mod held;
pub(crate) mod history;
pub(crate) mod incremental;
pub(crate) mod json_path;
pub(crate) mod log;
pub(crate) mod manifest;
pub(crate) mod network;
pub(crate) mod notify;
pub(crate) mod plan;
pub(crate) mod quota;
pub(crate) mod refresh;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod slices;
pub(crate) mod time_format;
pub(crate) mod warning;
