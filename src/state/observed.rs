//! What this host saw of other hosts' leases. Their wall clocks are not asked: a lease may be taken over only when its
//! record stayed the same for a while on our own clock. The first sight is kept in a file, because the runs that look
//! are minutes apart and processes of their own.
//!
//! Format: `<local folder>/observed/<hash of the key>.json`. A file that is lost or unreadable only means waiting anew.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::folder::make_private;
use super::store::Versioned;
use crate::clock::Clock;

/// The sights of this host, in its local folder.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    folder: PathBuf,
}

/// One record as it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sight {
    /// Hash of key, version and value: the same key in another store is another record.
    record: String,
    /// What the time counts from.
    boot_id: String,
    first_seen_ms: u64,
}

/// What our own clock says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootTime {
    pub id: String,
    pub since: Duration,
}

/// What a look at another host's lease means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Not this very record, or not since this start of the machine: remember the sight.
    FirstSeen(Sight),
    /// The same as before, but not for long enough; it lacks this much.
    StillHeld(Duration),
    /// Unchanged for so long that its holder is gone.
    Lapsed,
}

impl BootTime {
    pub(super) fn now() -> Self {
        BootTime { id: Clock.boot_id(), since: Clock.boot_time() }
    }
}

/// How long a lease must stay unchanged: a quarter more than it lives without renewal, for clocks that run at other
/// speeds and a renewal on its way.
pub(super) fn patience(time_to_live: Duration) -> Duration {
    time_to_live + time_to_live / 4
}

/// Judges a record by an earlier sight of it. Pure: the clock is passed in.
pub(super) fn judge(seen: Option<&Sight>, record: &Versioned, now: &BootTime, time_to_live: Duration) -> Judgement {
    let sight = Sight {
        record: hash(&format!("{}\n{}\n{}", record.key, record.version.0, record.value)),
        boot_id: now.id.clone(),
        first_seen_ms: u64::try_from(now.since.as_millis()).unwrap_or(u64::MAX),
    };
    let Some(seen) = seen.filter(|seen| seen.record == sight.record && seen.boot_id == sight.boot_id) else {
        return Judgement::FirstSeen(sight);
    };
    // A first sight in the future is of another clock after all, whatever its id says.
    let Some(unchanged_ms) = sight.first_seen_ms.checked_sub(seen.first_seen_ms) else {
        return Judgement::FirstSeen(sight);
    };
    match patience(time_to_live).checked_sub(Duration::from_millis(unchanged_ms)) {
        Some(lacking) if !lacking.is_zero() => Judgement::StillHeld(lacking),
        _ => Judgement::Lapsed,
    }
}

impl Observations {
    /// In the local folder, which must be private.
    pub(crate) fn new(local_folder: &Path) -> Self {
        Observations { folder: local_folder.join("observed") }
    }

    /// The earlier sight of a record. `None` = there is none that can be used.
    pub(super) fn recall(&self, key: &str) -> Option<Sight> {
        serde_json::from_slice(&std::fs::read(self.file_of(key)).ok()?).ok()
    }

    /// Keeps a first sight for later processes.
    pub(super) fn remember(&self, key: &str, sight: &Sight) -> Result<(), Error> {
        make_private(&self.folder)?;
        let wrong = |source| Error::Folder { folder: self.folder.clone(), source };
        let text = serde_json::to_vec(sight).expect("a sight holds only texts and numbers");
        // In one step: another process may look at the same time.
        let mut made = tempfile::NamedTempFile::new_in(&self.folder).map_err(wrong)?;
        made.write_all(&text).map_err(wrong)?;
        made.persist(self.file_of(key)).map_err(|error| wrong(error.error))?;
        Ok(())
    }

    /// Drops the sight of a lease that is ours now.
    pub(super) fn forget(&self, key: &str) {
        // One that stays behind speaks of a record that no longer is.
        let _ = std::fs::remove_file(self.file_of(key));
    }

    fn file_of(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.json", hash(key)))
    }
}

/// 128 bits are enough to tell records apart.
fn hash(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
