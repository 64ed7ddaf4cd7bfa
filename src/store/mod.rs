//! Where tables go: a folder or an object store. In come finished files, out goes a published snapshot. Names are given
//! in `layout`, files become parts in `stage`, and `publish` makes all tables visible in one step. `probe` proves that a
//! store can do that, `history` looks back, and `retention` and `sweep` remove what nobody needs any more. `share` lets others
//! read what a service of Azure, Amazon or Google holds, `served` by way of the daemon.
//!
//! This room does not know rows, columns' values or where they came from.

mod error;
mod foreign;
mod given;
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
mod served;
mod share;
mod signed;
mod stage;
mod sweep;

pub(crate) use error::Error;
pub(crate) use foreign::{Facts, Reader, Unread};
pub(crate) use given::{GivenSas, Spoiled};
pub(crate) use history::Snapshots;
pub(crate) use open::{Store, open_unrepeated};
pub(crate) use policies::{Policy, SHARE_DAYS_DEFAULT, SHARE_DAYS_MAX, Wanted, days_from};
pub(crate) use probe::{Probed, probe_conditions};
pub(crate) use publish::{Current, parse};
pub(crate) use reader::{sas_end, sas_version};
pub(crate) use served::{Described, LINK_VERSION, LinkKey, Pieces};
pub(crate) use share::{DELEGATED_DAYS_MAX, Former, PRESIGNED_DAYS_MAX, ShareError};
pub(crate) use signed::SignedLink;
pub(crate) use stage::{Spool, Spooled};
pub(crate) use sweep::{Notes, Removed, Sweeping, Swept};
