//! The record store: small versioned records changed by compare-and-swap. The vault and the leases live here.
//!
//! Format: table `records(key, version, value, changed_at)`; `value` is a JSON document of the room that owns the key
//! prefix (`credential/`, `lease/`). It does not know what a record means.

mod error;
pub(crate) mod lease;
mod sqlite;
mod store;

pub(crate) use error::Error;
pub(crate) use store::{RecordStore, Version, Versioned};
