//! The only room where the hands meet: a checked job comes in, a report goes out. It reads every stream whole, turns
//! pages into parts, seals the tables and publishes them together. The order of steps is kept by types: no `SealedTable`
//! without a `WalkEnd`, no publication without every table sealed and the lease of the job held.

mod alias;
mod checkup;
mod context;
mod credential;
mod cursors;
mod described;
mod error;
mod follow;
mod gates;
pub(crate) mod guide;
mod history;
mod kit;
mod leased;
mod log;
mod look;
mod merge;
mod notify;
mod outlook;
mod parents;
mod parts;
mod place;
mod preview;
mod publication;
mod pump;
mod queue;
mod quota;
mod raw;
mod read;
mod references;
mod refresh;
mod resume;
mod rollback;
mod run;
mod seal;
mod share;
mod slices;
mod stream;
mod sweep;
mod tables;
mod trace;
mod watch;
mod watchdog;
mod write;

pub(crate) use checkup::{Asked, Checkup, Depth, Finding, Severity, check_up};
pub(crate) use context::{Context, OpenError, Purpose, Settings, open_store};
pub(crate) use credential::{issuer_of, open_issuer};
pub(crate) use cursors::{CursorChange, Cursors, change_cursors, load_cursors};
pub(crate) use error::{Class, Error};
pub(crate) use gates::held::{Decision, decide};
pub(crate) use history::{history_at, history_of, host_name, slots_of};
pub(crate) use kit::{KitFailure, KitWishes, LoadedKit, load_kit};
pub(crate) use leased::{Meeting, going_on};
pub(crate) use log::line_of;
pub(crate) use look::{cells, first_rows};
pub(crate) use notify::{Chronicle, NotTold, leave_unopened, test_receivers};
pub(crate) use outlook::{Outlook, StreamOutlook};
pub(crate) use place::{Said, StatePlace};
pub(crate) use preview::{Preview, preview};
pub(crate) use refresh::refresh_now;
pub(crate) use resume::{Resuming, Unfinished, UnfinishedStream, find_unfinished};
pub(crate) use rollback::{RolledBack, roll_back};
pub(crate) use run::{Ended, Memory, Reads, RunOptions, run_job, text_of};
pub(crate) use share::{
    Served, ShareKind, Shared, all_shares_of, delegate, is_opened_by, links_of, presign, widened, without_replaced,
};
pub(crate) use slices::Backfill;
pub(crate) use sweep::sweep;
pub(crate) use tables::schema_changes;
