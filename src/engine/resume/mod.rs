//! What an unfinished run read, kept so that the next one goes on behind it. The pages stand on this machine as the
//! source sent them, because only so the next run comes to the same tables in the same way: they are decoded once more,
//! which takes seconds, and nothing of the decoder's state has to be trusted.
//!
//! Where hosts share the record store, copies go there (`copies`), and whoever goes on brings them to his own folder.
//!
//! Format 1, in the local folder: `pages/<job>-<hash of the destination>/run.json`, and `<stream>.log` beside it (see
//! `state::PageLog`), whose heads are `Line`s. All of it goes with the publication.

pub(super) mod copies;
pub(super) mod kept;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use ulid::Ulid;

use self::copies::{Copied, PageCopies};
use self::kept::{Counts, KeptPages, StreamCopy};
use super::context::{Context, Settings};
use super::error::Error;
use super::run::{RunOptions, hex, text_of};
use crate::auth::VaultKey;
use crate::clock::Clock;
use crate::job::load::Secrets;
use crate::model::plan::{Job, Resumption};
use crate::state::{PageLog, RecordStore, make_private};
use crate::store::{Current, Store};
use crate::telemetry::{Event, Telemetry};

const FORMAT: u32 = 1;
const HEAD: &str = "run.json";
/// Folder of all that is kept.
const PAGES: &str = "pages";
/// A name of this machine's folder that no other has.
const PLACE: &str = "place";

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
    is_head_written: OnceCell<()>,
    /// Absent = the pages are this machine's alone.
    copies: Option<PageCopies>,
    /// What the copies hold, by stream.
    copied: BTreeMap<String, Copied>,
    streams: Vec<String>,
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

impl UnfinishedStream {
    fn of(stream: &str, Counts { pages, records, bytes }: Counts) -> Self {
        UnfinishedStream { stream: stream.to_owned(), pages, records, bytes }
    }
}

impl Resume {
    /// Looks for an unfinished run of the job. With the job's lease held.
    pub(super) async fn begin(ctx: &Context, options: &RunOptions, current: Option<&Current>) -> Result<Self, Error> {
        let folder = folder_of(&ctx.local_folder, &ctx.job, &ctx.store);
        let streams: Vec<String> = ctx.job.streams.iter().map(|stream| stream.name.clone()).collect();
        let head = Head {
            format: FORMAT,
            run: ctx.run.clone(),
            as_of: ctx.started_at,
            fingerprint: fingerprint(ctx, options, current),
        };
        let mut resume = Resume {
            folder,
            head,
            resumed: None,
            is_off: ctx.is_taped || ctx.job.resume == Resumption::Never,
            is_head_written: OnceCell::new(),
            copies: None,
            copied: BTreeMap::new(),
            streams,
        };
        if ctx.is_taped {
            return Ok(resume);
        }
        resume.copies = copies_of(&ctx.job, &ctx.store, &ctx.records, ctx.page_key.as_ref(), &ctx.local_folder)?;
        let within = match (options.resuming, ctx.job.resume) {
            (Resuming::Never, _) | (Resuming::AsPlanned, Resumption::Never) => None,
            (Resuming::Always, _) => Some(Duration::MAX),
            (Resuming::AsPlanned, Resumption::Within(within)) => Some(within),
        };
        let here = read_head(&resume.folder);
        let mut former = here.as_ref().map(|here| here.run.clone());
        let found = match &resume.copies {
            // The hosts' common word; what only this machine knows may be long overtaken.
            Some(copies) => {
                let head = copies.head().await?;
                former = head.as_ref().map(|head| head.run.clone());
                if head.as_ref().is_some_and(|head| head.text.is_none()) {
                    let what =
                        "the pages that another host read cannot be opened: is its HAUL_VAULT_KEY ours?".to_owned();
                    ctx.telemetry.tell(Event::Warned { what });
                }
                head.and_then(|head| head_of(head.text?.as_bytes()))
            }
            None => here.clone(),
        };
        let is_good = |found: &Head| {
            found.fingerprint == resume.head.fingerprint && within.is_some_and(|within| age(found.as_of) <= within)
        };
        match found {
            Some(found) if is_good(&found) => {
                if here.as_ref() != Some(&found) {
                    remove(&resume.folder);
                }
                resume.bring_copies(&found.run, &ctx.telemetry).await?;
                if resume.streams.iter().any(|stream| resume.log_of(stream).exists()) {
                    resume.resumed = Some(found.run.clone());
                    resume.head = found;
                }
            }
            _ => {
                remove(&resume.folder);
                if let (Some(copies), Some(former)) = (&resume.copies, former) {
                    copies.remove(&former, &resume.streams).await?;
                }
            }
        }
        Ok(resume)
    }

    /// Brings the logs to this machine that another one wrote last.
    async fn bring_copies(&mut self, run: &str, telemetry: &Telemetry) -> Result<(), Error> {
        let Some(copies) = &self.copies else { return Ok(()) };
        for stream in &self.streams {
            let Some((copied, _)) = copies.copied(run, stream).await? else { continue };
            let file = self.log_of(stream);
            let is_here = std::fs::metadata(&file).is_ok_and(|found| found.len() >= copied.bytes);
            if copies.is_ours(&copied) && is_here {
                self.copied.insert(stream.clone(), copied);
                continue;
            }
            let wrong = |source| Error::Spool { stream: stream.clone(), source };
            let _ = std::fs::remove_file(&file);
            match copies.take_over(run, stream).await? {
                Some((copied, log)) => {
                    make_private(&self.folder)?;
                    PageLog::restore(&file, &log).map_err(wrong)?;
                    self.copied.insert(stream.clone(), copied);
                }
                None => {
                    let what = format!("stream `{stream}`: of the pages that another host read some are missing");
                    telemetry.tell(Event::Warned { what });
                    copies.remove_stream(run, stream).await?;
                }
            }
        }
        Ok(())
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
    pub(super) async fn pages_of(&self, ctx: &Context, stream: &str, slices: &str) -> KeptPages {
        if self.is_off && self.resumed.is_none() {
            return KeptPages::none();
        }
        let opened = self.open(ctx, stream, slices).await;
        opened.unwrap_or_else(|error| {
            let why = text_of(&error);
            let what = format!("stream `{stream}`: its pages cannot be kept, so a killed run begins anew: {why}");
            ctx.telemetry.tell(Event::Warned { what });
            KeptPages::none()
        })
    }

    async fn open(&self, ctx: &Context, stream: &str, slices: &str) -> Result<KeptPages, Error> {
        self.is_head_written.get_or_try_init(async || self.write_head()).await?;
        // A daily quota is worth more than a disk.
        let is_counted = ctx.job.source.limits.budget.per_day.is_some();
        let kept = KeptPages::open(&self.log_of(stream), slices, is_counted)
            .map_err(|source| Error::Spool { stream: stream.to_owned(), source })?;
        let Some(copies) = &self.copies else { return Ok(kept) };
        let mut copied = self.copied.get(stream).cloned().unwrap_or_default();
        if kept.is_new() && copied != Copied::default() {
            // Of other slices, or torn at its beginning.
            copies.remove_stream(&self.head.run, stream).await?;
            copied = Copied::default();
        }
        Ok(kept.with_copy(StreamCopy::new(copies.clone(), &self.head.run, stream, copied)))
    }

    fn log_of(&self, stream: &str) -> PathBuf {
        self.folder.join(format!("{stream}.log"))
    }

    fn write_head(&self) -> Result<(), Error> {
        make_private(&self.folder)?;
        let text = serde_json::to_string(&self.head).expect("it holds only texts and numbers");
        let wrong = |source| Error::Kept { source };
        let file = tempfile::NamedTempFile::new_in(&self.folder).map_err(wrong)?;
        std::fs::write(file.path(), &text).map_err(wrong)?;
        file.persist(self.folder.join(HEAD)).map_err(|error| wrong(error.error))?;
        if let Some(copies) = &self.copies {
            copies.announce(&self.head.run, &text);
        }
        Ok(())
    }

    /// What was read of a stream is of no use.
    pub(super) async fn forget_stream(&self, stream: &str) {
        let _ = std::fs::remove_file(self.log_of(stream));
        if let Some(copies) = &self.copies {
            // What cannot be removed now is found unfit when somebody goes on with it.
            let _ = copies.remove_stream(&self.head.run, stream).await;
        }
    }

    /// The run is over, and nothing of it is needed any more.
    pub(super) async fn finish(&self) -> Result<(), Error> {
        if self.is_off && self.resumed.is_none() {
            return Ok(());
        }
        remove(&self.folder);
        match &self.copies {
            Some(copies) if copies.is_begun() || self.resumed.is_some() => {
                copies.remove(&self.head.run, &self.streams).await
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The copies of a job's pages. `None` = the record store is this machine's.
fn copies_of(
    job: &Job,
    store: &Store,
    records: &Arc<RecordStore>,
    key: Option<&Arc<VaultKey>>,
    local_folder: &Path,
) -> Result<Option<PageCopies>, Error> {
    let Some(key) = key.filter(|_| records.is_shared()) else { return Ok(None) };
    let wrong = |source| Error::Kept { source };
    let pages = local_folder.join(PAGES);
    make_private(&pages)?;
    let file = pages.join(PLACE);
    if !file.exists() {
        std::fs::write(&file, Ulid::generate().to_string()).map_err(wrong)?;
    }
    let place = std::fs::read_to_string(&file).map_err(wrong)?;
    let name = name_of(job, store);
    Ok(Some(PageCopies::new(Arc::clone(records), Arc::clone(key), &name, &place)))
}

/// The unfinished run of a job, of any host that shares the record store.
pub(crate) async fn find_unfinished(
    settings: &Settings,
    records: &Arc<RecordStore>,
    job: &Job,
    store: &Store,
) -> Result<Option<Unfinished>, Error> {
    let key = if records.is_shared() { Some(settings.page_key()?) } else { None };
    let copies = copies_of(job, store, records, key.as_ref(), &settings.local_folder)?;
    let folder = folder_of(&settings.local_folder, job, store);
    let here = read_head(&folder);
    let head = match &copies {
        Some(copies) => copies.head().await?.and_then(|head| head_of(head.text?.as_bytes())),
        None => here.clone(),
    };
    let Some(head) = head else { return Ok(None) };
    let within = match job.resume {
        Resumption::Never => None,
        Resumption::Within(within) => chrono::TimeDelta::from_std(within).ok(),
    };
    let until = within.map(|within| head.as_of + within).filter(|until| *until > Clock.now());
    let mut streams = Vec::new();
    for stream in &job.streams {
        let stream = stream.name.as_str();
        let is_here = here.as_ref() == Some(&head);
        let mut counts = if is_here { KeptPages::count(&folder.join(format!("{stream}.log"))) } else { None };
        if let (Some(copies), None) = (&copies, counts) {
            counts = copies.copied(&head.run, stream).await?.map(|(copied, _)| copied.counts);
        }
        streams.extend(counts.map(|counts| UnfinishedStream::of(stream, counts)));
    }
    Ok(Some(Unfinished { run: head.run, began_at: head.as_of, until, streams }))
}

fn folder_of(local_folder: &Path, job: &Job, store: &Store) -> PathBuf {
    local_folder.join(PAGES).join(name_of(job, store))
}

/// A job writing elsewhere is another one.
pub(super) fn name_of(job: &Job, store: &Store) -> String {
    name_at(job, store.shown())
}

/// The same by what the store shows of itself.
pub(super) fn name_at(job: &Job, shown: &str) -> String {
    name_shown(&job.name, shown)
}

/// The same by the name of the job.
pub(super) fn name_shown(job: &str, shown: &str) -> String {
    format!("{job}-{}", hex(shown.as_bytes(), 8))
}

/// `None` = there is no unfinished run that this haul can read.
fn read_head(folder: &Path) -> Option<Head> {
    head_of(&std::fs::read(folder.join(HEAD)).ok()?)
}

fn head_of(text: &[u8]) -> Option<Head> {
    let head: Head = serde_json::from_slice(text).ok()?;
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
fn fingerprint(ctx: &Context, options: &RunOptions, current: Option<&Current>) -> String {
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
    hex(text.as_bytes(), 32)
}
