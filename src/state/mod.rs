//! The record store: small versioned records changed by compare-and-swap. The vault and the leases live here.
//!
//! Format: SQLite table `records(key, version, value, changed_at)`, PostgreSQL table `haul_records` with the same columns,
//! or one object a record (see `objects.rs`); `value` is a JSON document of the room that owns the key prefix
//! (`credential/`, `lease/`). It does not know what a record means.

mod error;
mod folder;
pub(crate) mod lease;
mod objects;
mod observed;
mod postgres;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use error::Error;
pub(crate) use folder::make_private;
pub(crate) use observed::Observations;
pub(crate) use postgres::holds_password;
pub(crate) use store::{RecordStore, Version};
