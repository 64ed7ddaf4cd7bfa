//! What an unfinished run read, kept so that the next one goes on behind it. The pages stand on this machine as the
//! source sent them, because only so the next run comes to the same tables in the same way: they are decoded once more,
//! which takes seconds, and nothing of the decoder's state has to be trusted.
//!
//! Format 1, in the local folder: `pages/<job>-<hash of the destination>/run.json`, and `<stream>.log` beside it (see
//! `state::PageLog`), whose heads are `Line`s. All of it goes with the publication.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::Error;
use super::kept::KeptPages;
use super::run::{RunOptions, hex};
use crate::clock::Clock;
use crate::job::load::Secrets;
use crate::model::plan::{Job, Resumption};
use crate::state::make_private;
use crate::store::{Current, Store};
use crate::telemetry::Event;

const FORMAT: u32 = 1;
const HEAD: &str = "run.json";

/// What a person says about an unfinished run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Resuming {
    /// As the job says.
    #[default]
    AsPlanned,
    /// However old it is.
    Always,
    /// It is forgotten.
    Never,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// The run that began to read.
    run: String,
    /// When it did: what is relative to now is relative to this.
    as_of: DateTime<Utc>,
    /// Of everything that the pages depend on.
    fingerprint: String,
}

/// The unfinished run of a job, or the one that begins now.
pub(super) struct Resume {
    folder: PathBuf,
    head: Head,
    /// Absent = this run begins.
    resumed: Option<String>,
    is_off: bool,
    is_head_written: OnceLock<()>,
}

/// An unfinished run, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unfinished {
    pub run: String,
    pub began_at: DateTime<Utc>,
    /// Until then the next run goes on by itself. Absent = only with `--resume`.
    pub until: Option<DateTime<Utc>>,
    pub streams: Vec<UnfinishedStream>,
}

/// How far a stream of an unfinished run got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UnfinishedStream {
    pub stream: String,
    pub pages: u64,
    pub records: u64,
    pub bytes: u64,
}

impl Resume {
    /// Looks for an unfinished run of the job. With the job's lease held.
    pub(super) fn begin(ctx: &Context, options: &RunOptions, current: Option<&Current>) -> Result<Self, Error> {
        let folder = folder_of(&ctx.local_folder, &ctx.job, &ctx.store);
        let within = match (options.resuming, ctx.job.resume) {
            (Resuming::Never, _) => None,
            (Resuming::Always, _) => Some(Duration::MAX),
            (Resuming::AsPlanned, Resumption::Never) => None,
            (Resuming::AsPlanned, Resumption::Within(within)) => Some(within),
        };
        let fingerprint = fingerprint(ctx, options, current)?;
        let found = read_head(&folder);
        let is_off = ctx.is_taped || ctx.job.resume == Resumption::Never;
        if let (Some(head), Some(within)) = (&found, within)
            && !ctx.is_taped
            && head.fingerprint == fingerprint
            && age(head.as_of) <= within
        {
            let resumed = Some(head.run.clone());
            let is_head_written = OnceLock::from(());
            return Ok(Resume { folder, head: head.clone(), resumed, is_off, is_head_written });
        }
        if !ctx.is_taped {
            remove(&folder);
        }
        let head = Head { format: FORMAT, run: ctx.run.clone(), as_of: ctx.started_at, fingerprint };
        Ok(Resume { folder, head, resumed: None, is_off, is_head_written: OnceLock::new() })
    }

    /// The instant that the run speaks of as now.
    pub(super) fn as_of(&self) -> DateTime<Utc> {
        self.head.as_of
    }

    /// The run whose pages this one goes on from.
    pub(super) fn resumed(&self) -> Option<&str> {
        self.resumed.as_deref()
    }

    /// The pages of a stream, those that are there and those that come. `slices` tells one plan of slices from another.
    /// Where they cannot be kept the run goes on without.
    pub(super) fn pages_of(&self, ctx: &Context, stream: &str, slices: &str) -> KeptPages {
        if self.is_off && self.resumed.is_none() {
            return KeptPages::none();
        }
        let path = self.folder.join(format!("{stream}.log"));
        // A daily quota is worth more than a disk.
        let is_counted = ctx.job.source.limits.budget.per_day.is_some();
        let opened = self.write_head().and_then(|()| KeptPages::open(&path, slices, is_counted));
        opened.unwrap_or_else(|error| {
            let what = format!("stream `{stream}`: its pages cannot be kept, so a killed run begins anew: {error}");
            ctx.telemetry.tell(Event::Warned { what });
            KeptPages::none()
        })
    }

    fn write_head(&self) -> std::io::Result<()> {
        if self.is_head_written.get().is_some() {
            return Ok(());
        }
        make_private(&self.folder).map_err(std::io::Error::other)?;
        let text = serde_json::to_vec(&self.head).expect("it holds only texts and numbers");
        let file = tempfile::NamedTempFile::new_in(&self.folder)?;
        std::fs::write(file.path(), text)?;
        file.persist(self.folder.join(HEAD)).map_err(|error| error.error)?;
        let _ = self.is_head_written.set(());
        Ok(())
    }

    /// What was read of a stream is of no use.
    pub(super) fn forget_stream(&self, stream: &str) {
        let _ = std::fs::remove_file(self.folder.join(format!("{stream}.log")));
    }

    /// The run is over, and nothing of it is needed any more.
    pub(super) fn finish(self) {
        if !self.is_off || self.resumed.is_some() {
            remove(&self.folder);
        }
    }
}

/// The unfinished run of a job on this machine.
pub(crate) fn find_unfinished(local_folder: &Path, job: &Job, store: &Store) -> Option<Unfinished> {
    let folder = folder_of(local_folder, job, store);
    let head = read_head(&folder)?;
    let within = match job.resume {
        Resumption::Never => None,
        Resumption::Within(within) => chrono::TimeDelta::from_std(within).ok(),
    };
    let until = within.map(|within| head.as_of + within).filter(|until| *until > Clock.now());
    let streams = job.streams.iter().filter_map(|stream| {
        let (pages, records, bytes) = KeptPages::count(&folder.join(format!("{}.log", stream.name)))?;
        Some(UnfinishedStream { stream: stream.name.clone(), pages, records, bytes })
    });
    Some(Unfinished { run: head.run, began_at: head.as_of, until, streams: streams.collect() })
}

fn folder_of(local_folder: &Path, job: &Job, store: &Store) -> PathBuf {
    local_folder.join("pages").join(format!("{}-{}", job.name, hex(store.shown().as_bytes(), 8)))
}

/// `None` = there is no unfinished run that this haul can read.
fn read_head(folder: &Path) -> Option<Head> {
    let head: Head = serde_json::from_slice(&std::fs::read(folder.join(HEAD)).ok()?).ok()?;
    (head.format == FORMAT).then_some(head)
}

/// The head first: without it the rest is nobody's.
fn remove(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(HEAD));
    let _ = std::fs::remove_dir_all(folder);
}

/// By the wall clock; a clock that was set back makes nothing younger than now.
fn age(since: DateTime<Utc>) -> Duration {
    (Clock.now() - since).to_std().unwrap_or_default()
}

/// Of everything that decides what pages are asked for and what becomes of them: this version of haul, the job, what it
/// was called with, whom it speaks as, and the snapshot that it builds on.
fn fingerprint(ctx: &Context, options: &RunOptions, current: Option<&Current>) -> Result<String, Error> {
    let settings = serde_json::to_string(&ctx.job.settings).expect("settings are plain values");
    let words = [
        env!("CARGO_PKG_VERSION").to_owned(),
        ctx.job.config_hash.clone(),
        settings,
        format!("{:?} {:?} {:?}", options.streams, options.memory, options.backfill),
        Secrets::fingerprint(&ctx.job),
        current.map(|current| current.manifest.snapshot.clone()).unwrap_or_default(),
    ];
    let text: String = words.iter().map(|word| format!("{}:{word}\n", word.len())).collect();
    Ok(hex(text.as_bytes(), 32))
}
