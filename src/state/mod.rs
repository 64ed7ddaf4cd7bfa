//! The record store: small versioned records changed by compare-and-swap. The vault, the leases and the shared counts of
//! requests live here.
//!
//! Format: SQLite table `records(key, version, value, changed_at)`, PostgreSQL table `haul_records` with the same columns,
//! or one object a record (see `objects.rs`); `value` is a JSON document of the room that owns the key prefix
//! (`credential/`, `lease/`, `quota/`, `proof/`, `sweep/`, `link/`). It does not know what a record means.

mod budget;
mod error;
mod folder;
mod history;
pub(crate) mod lease;
mod links;
mod objects;
mod observed;
mod page_log;
mod postgres;
mod quota;
mod slots;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use budget::Turn;
pub(crate) use error::Error;
pub(crate) use folder::make_private;
pub(crate) use history::History;
pub(crate) use links::{Link, LinkKind, Links, reseal_links};
pub(crate) use observed::Observations;
pub(crate) use page_log::{Frame, PageLog};
pub(crate) use postgres::holds_password;
pub(crate) use quota::Quota;
pub(crate) use slots::{Paused, Slots, SlotsSeen};
pub(crate) use store::{RecordStore, Version};
