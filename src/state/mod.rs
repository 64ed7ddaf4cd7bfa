//! The record store: small versioned records changed by compare-and-swap, on SQLite. The vault and the leases live here.
//!
//! Format: table `records(key, version, value, changed_at)`; `value` is a JSON document of the room that owns the key
//! prefix (`credential/`, `lease/`). It does not know what a record means.

pub(crate) mod lease;
mod sqlite;

pub(crate) use sqlite::{Error, RecordStore, Versioned};
