//! Where tables go: a folder or an object store. In come finished files, out goes a published snapshot. Names are given
//! in `layout`, files become parts in `stage`, and `publish` makes all tables visible in one step.
//!
//! This room does not know rows, columns' values or where they came from.

mod error;
pub(crate) mod layout;
mod open;
mod publish;
mod ranges;
mod stage;

pub(crate) use error::Error;
pub(crate) use open::{Store, open_unrepeated};
pub(crate) use publish::Current;
pub(crate) use stage::{Spool, Spooled};
