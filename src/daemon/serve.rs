//! The jobs of a folder, kept until the daemon is stopped; read anew when somebody says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::folder::{Found, load_folder};
use super::keeper::Keeper;
use super::{Note, Tell};
use crate::clock::Clock;
use crate::engine::Settings;
use crate::limits::ORDERS_MAX;
use crate::model::plan::Job;
use crate::state::RecordStore;

/// What the daemon works with.
pub(crate) struct Serving {
    pub folder: PathBuf,
    pub settings: Arc<Settings>,
    pub records: Arc<RecordStore>,
    pub board: Arc<Board>,
    pub tell: Tell,
    /// For so many runs at once.
    pub room: Arc<Semaphore>,
    /// No slot is taken any more, and runs stop after their current request.
    pub is_stopped: CancellationToken,
}

/// A job that is kept.
struct Kept {
    name: String,
    config_hash: String,
    is_over: CancellationToken,
}

/// Keepers that are at work, those of jobs that were changed or taken away included: their runs come to their ends.
type Keepers = FuturesUnordered<LocalBoxFuture<'static, ()>>;

/// Keeps the folder's jobs until it is stopped and every run has come to its end. Each message means: read it anew.
pub(crate) async fn serve(serving: Serving, mut reloads: mpsc::Receiver<()>) -> std::io::Result<()> {
    let mut kept: BTreeMap<PathBuf, Kept> = BTreeMap::new();
    let mut keepers = Keepers::new();
    apply(&serving, load_folder(&serving.folder)?, &mut kept, &keepers);
    loop {
        tokio::select! {
            biased;
            () = serving.is_stopped.cancelled() => break,
            message = reloads.recv() => if message.is_none() { break },
            Some(()) = keepers.next() => continue,
        }
        match load_folder(&serving.folder) {
            Ok(found) => apply(&serving, found, &mut kept, &keepers),
            Err(error) => {
                (serving.tell)(Note::NotLoaded { file: serving.folder.clone(), is_kept: true, why: error.to_string() });
            }
        }
    }
    for job in kept.values() {
        job.is_over.cancel();
    }
    while keepers.next().await.is_some() {}
    Ok(())
}

/// Brings what is kept to what was found. A file that is broken now leaves its job as it was.
fn apply(serving: &Serving, found: Vec<Found>, kept: &mut BTreeMap<PathBuf, Kept>, keepers: &Keepers) {
    let mut jobs: BTreeMap<PathBuf, Option<Job>> = BTreeMap::new();
    let mut broken = BTreeMap::new();
    for Found { file, job } in found {
        let not_loaded = |file: &Path, is_kept, why: &str| {
            (serving.tell)(Note::NotLoaded { file: file.to_path_buf(), is_kept, why: why.to_owned() });
        };
        match job {
            Ok(job) => match name_taken(&jobs, kept, &job.name) {
                Some(other) => {
                    let why = format!("its job `{}` is also in {}", job.name, other.display());
                    not_loaded(&file, false, &why);
                    broken.insert(file, why);
                }
                None => drop(jobs.insert(file, Some(job))),
            },
            Err(error) => {
                let (is_kept, why) = (kept.contains_key(&file), error.in_full());
                not_loaded(&file, is_kept, &why);
                if is_kept {
                    jobs.insert(file.clone(), None);
                }
                broken.insert(file, why);
            }
        }
    }
    let is_gone = |file: &PathBuf, job: &Kept| match jobs.get(file) {
        None => true,
        Some(None) => false,
        Some(Some(now)) => now.config_hash != job.config_hash,
    };
    for (_, job) in kept.extract_if(.., |file, job| is_gone(file, job)) {
        job.is_over.cancel();
    }
    let now = Clock.now();
    let mut begun = Vec::new();
    for (file, job) in jobs {
        let Some(job) = job.filter(|_| !kept.contains_key(&file)) else { continue };
        match &job.schedule {
            Some(schedule) => begun.push((job.name.clone(), schedule.next_after(now))),
            None => (serving.tell)(Note::Unscheduled { file: file.clone() }),
        }
        let (name, config_hash) = (job.name.clone(), job.config_hash.clone());
        let keeper = keeper(serving, &file, Arc::new(job));
        kept.insert(file, Kept { name, config_hash, is_over: keeper.is_over.clone() });
        keepers.push(keeper.keep().boxed_local());
    }
    begun.sort();
    serving.board.loaded(broken);
    (serving.tell)(Note::Keeping { jobs: begun });
}

/// The file of this folder that has a job of this name; one that is broken now has the job that is kept.
fn name_taken<'a>(
    jobs: &'a BTreeMap<PathBuf, Option<Job>>,
    kept: &BTreeMap<PathBuf, Kept>,
    name: &str,
) -> Option<&'a Path> {
    let name_of = |file: &PathBuf, job: &'a Option<Job>| match job {
        Some(job) => job.name == name,
        None => kept.get(file).is_some_and(|kept| kept.name == name),
    };
    jobs.iter().find(|(file, job)| name_of(file, job)).map(|(file, _)| file.as_path())
}

fn keeper(serving: &Serving, file: &Path, job: Arc<Job>) -> Keeper {
    let (orders, received) = mpsc::channel(ORDERS_MAX);
    serving.board.sit(file, &job, orders);
    Keeper {
        job,
        settings: Arc::clone(&serving.settings),
        records: Arc::clone(&serving.records),
        board: Arc::clone(&serving.board),
        tell: Arc::clone(&serving.tell),
        orders: received,
        room: Arc::clone(&serving.room),
        is_over: serving.is_stopped.child_token(),
        is_stopped: serving.is_stopped.clone(),
    }
}
