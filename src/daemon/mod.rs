//! The daemon: the jobs of a folder come in, and each runs when its schedule says so, until somebody stops it. What it does
//! is told as notes; it prints nothing. A daemon shares its jobs' slots with crontabs, containers and other daemons on one
//! record store, so each slot is served once.

mod board;
mod due;
mod folder;
mod keeper;
mod serve;
mod totals;
mod web;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub(crate) use self::board::Board;
pub(crate) use self::due::{Due, due_slot, why_ahead};
pub(crate) use self::serve::{Serving, serve};
pub(crate) use self::web::{Access, Web, serve_web};
use crate::engine::Ended;
use crate::model::history::Entry;
use crate::telemetry::Event;

/// What the daemon tells.
pub(crate) enum Note {
    /// Jobs that are kept from now on, with their next slots.
    Keeping {
        jobs: Vec<(String, Option<DateTime<Utc>>)>,
    },
    /// Files of the folder that are no jobs; one that was a job is kept as it was.
    NotLoaded {
        file: PathBuf,
        is_kept: bool,
        why: String,
    },
    /// A job file without a schedule: it runs when somebody says so.
    Unscheduled {
        file: PathBuf,
    },
    /// Without a slot somebody started it by hand.
    Began {
        job: String,
        slot: Option<DateTime<Utc>>,
    },
    /// Something that happened in a run.
    Event {
        job: String,
        /// Absent = the run has no name so far.
        run: Option<String>,
        event: Event,
    },
    Ended {
        job: String,
        slot: Option<DateTime<Utc>>,
        ended: Box<Ended>,
    },
    /// A slot that no run serves.
    NotServed {
        job: String,
        entry: Box<Entry>,
    },
    /// The record store or the destination cannot be used at the moment.
    Trouble {
        job: String,
        why: String,
    },
}

/// Where notes go.
pub(crate) type Tell = Arc<dyn Fn(Note) + Send + Sync>;

/// What a person wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    RunNow,
    /// The run that is going on is to stop after its current request.
    Stop,
    /// Something was changed in the record store.
    Look,
}
