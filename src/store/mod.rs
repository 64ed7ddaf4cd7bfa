//! Where tables go: a folder or an object store. In come finished files, out goes a published snapshot. Names are given
//! in `layout`, files become parts in `stage`, and `publish` makes all tables visible in one step. `probe` proves that a
//! store can do that, `history` looks back, and `retention` and `sweep` remove what nobody needs any more. `share` lets others
//! read.
//!
//! This room does not know rows, columns' values or where they came from.

mod error;
mod held;
mod history;
pub(crate) mod layout;
mod open;
mod policies;
mod probe;
mod publish;
mod ranges;
mod reader;
mod retention;
mod sas;
mod share;
mod stage;
mod sweep;

pub(crate) use error::Error;
pub(crate) use history::Snapshots;
pub(crate) use open::{Store, open_unrepeated};
pub(crate) use policies::{Policy, SHARE_DAYS_DEFAULT, SHARE_DAYS_MAX};
pub(crate) use probe::{Probed, probe_conditions};
pub(crate) use publish::Current;
pub(crate) use reader::{sas_end, sas_version};
pub(crate) use sas::Sas;
pub(crate) use share::{ShareError, Shares, Wanted};
pub(crate) use stage::{Spool, Spooled};
pub(crate) use sweep::{Notes, Removed, Sweeping, Swept};
