//! A lease: the time-limited right to run one job. It saves double work; correctness does not rest on it, because a
//! publication is a compare-and-swap of its own.
//!
//! A lease whose holder is not known to be dead is taken over only when its record was observed unchanged for longer than it lives without
//! renewal, on this host's own clock. A wall clock that is wrong here or there takes nothing over.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::observed::{BootTime, Judgement, Observations, judge, patience};
use super::store::{RecordStore, Versioned};
use crate::clock::Clock;
use crate::limits::{LEASE_TRIES_MAX, RUN_LEASE};

/// A process on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub host: String,
    pub pid: u32,
    /// Start time of the process in the kernel's own count, so that a reused process id is not taken for it.
    pub started: String,
}

impl Holder {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Holder { host: host_id(), pid, started: process_start(pid).unwrap_or_default() }
    }

    /// Name of its machine.
    pub(crate) fn host_name(&self) -> &str {
        self.host.split('/').next().unwrap_or_default()
    }

    /// Whether it certainly is gone: same host and boot, and no process with that id and start time.
    pub(crate) fn is_dead(&self) -> bool {
        self.host == host_id() && process_start(self.pid).is_none_or(|started| started != self.started)
    }
}

/// Host name, boot, and where process ids count: after a restart every former holder of this host is another host's, and
/// so is a holder in another container of this machine, whose processes we cannot see.
fn host_id() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let ids = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}/{}", name.trim(), Clock.boot_id(), ids.display())
}

/// Field 22 of `/proc/PID/stat`, counted after the command's closing bracket (proc(5)). `None` = no such process, or one
/// that is over and that nobody has buried: the first process of a container often buries none.
pub(super) fn process_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18).map(str::to_owned) }
}

#[derive(Debug, Serialize, Deserialize)]
struct LeaseRecord {
    /// Absent = free.
    holder: Option<Holder>,
    /// Only grows; every taking adds one.
    epoch: u64,
    /// By the holder's wall clock, for people; nobody decides by it. It makes every renewal another value.
    until: DateTime<Utc>,
    /// How long it lives without renewal.
    #[serde(default = "run_lease_secs")]
    time_to_live_secs: u64,
}

/// Records of earlier versions do not say it.
fn run_lease_secs() -> u64 {
    RUN_LEASE.as_secs()
}

/// A lease that this process holds until `release`, or until it lapses.
pub(crate) struct Lease {
    store: Arc<RecordStore>,
    key: String,
    holder: Holder,
    epoch: u64,
    time_to_live: Duration,
    is_taken_over: bool,
}

/// Who holds it instead.
#[derive(Debug)]
pub(crate) struct Held {
    pub holder: Holder,
    /// A later attempt takes it over if its record does not change for this long.
    pub lapses_in: Duration,
}

/// What a lease is to those who want it.
enum Seen {
    Free,
    /// Its holder did not renew it for so long that it is gone.
    Lapsed,
    Held(Held),
}

/// The answer to an attempt to acquire.
pub(crate) enum Acquired {
    Lease(Lease),
    Held(Held),
}

impl Lease {
    /// Takes the lease if it is free, held by a dead process of this host, or observed unchanged for long enough. It does
    /// not wait: a lease of another host is remembered as seen, and a later attempt of any process of this host decides.
    pub(crate) async fn acquire(
        store: &Arc<RecordStore>,
        observations: &Observations,
        name: &str,
        time_to_live: Duration,
    ) -> Result<Acquired, Error> {
        let key = format!("lease/{name}");
        let holder = Holder::current();
        for _ in 0..LEASE_TRIES_MAX {
            let found = store.get(&key).await?;
            let former = found.as_ref().map(read_record).transpose()?;
            let is_taken_over = match (&found, &former) {
                (Some(found), Some(former)) => match see(found, former, observations)? {
                    Seen::Held(held) => return Ok(Acquired::Held(held)),
                    Seen::Lapsed => true,
                    Seen::Free => false,
                },
                _ => false,
            };
            let epoch = former.map_or(0, |record| record.epoch) + 1;
            let lease = Lease {
                store: Arc::clone(store),
                key: key.clone(),
                holder: holder.clone(),
                epoch,
                time_to_live,
                is_taken_over,
            };
            let taken = match &found {
                None => store.create(&key, &lease.record(Clock.now())).await?,
                Some(record) => store.swap(&key, &record.version, &lease.record(Clock.now())).await?,
            };
            if taken {
                observations.forget(&key);
                return Ok(Acquired::Lease(lease));
            }
        }
        Err(Error::Record { key, why: format!("it changed {LEASE_TRIES_MAX} times while it was to be taken") })
    }

    /// Who holds the lease at the moment. `None` = it may be taken.
    pub(crate) async fn look(
        store: &RecordStore,
        observations: &Observations,
        name: &str,
    ) -> Result<Option<Held>, Error> {
        let Some(found) = store.get(&format!("lease/{name}")).await? else { return Ok(None) };
        Ok(match see(&found, &read_record(&found)?, observations)? {
            Seen::Held(held) => Some(held),
            Seen::Free | Seen::Lapsed => None,
        })
    }

    /// Whether its former holder is gone without having given it back.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.is_taken_over
    }

    /// How often `renew` must be called.
    pub(crate) fn renewal_interval(&self) -> Duration {
        self.time_to_live / 3
    }

    /// Extends the lease; `false` = it was lost to another holder.
    pub(crate) async fn renew(&self) -> Result<bool, Error> {
        self.replace_own(|now| self.record(now)).await
    }

    /// Gives the lease back at once instead of letting it lapse.
    pub(crate) async fn release(self) -> Result<(), Error> {
        self.replace_own(|now| self.text(None, now)).await?;
        Ok(())
    }

    async fn replace_own(&self, value: impl Fn(DateTime<Utc>) -> String) -> Result<bool, Error> {
        let Some(found) = self.store.get(&self.key).await? else { return Ok(false) };
        let is_own = serde_json::from_str::<LeaseRecord>(&found.value)
            .is_ok_and(|record| record.epoch == self.epoch && record.holder.as_ref() == Some(&self.holder));
        if !is_own {
            return Ok(false);
        }
        self.store.swap(&self.key, &found.version, &value(Clock.now())).await
    }

    fn record(&self, now: DateTime<Utc>) -> String {
        self.text(Some(self.holder.clone()), now + self.time_to_live)
    }

    fn text(&self, holder: Option<Holder>, until: DateTime<Utc>) -> String {
        let time_to_live_secs = self.time_to_live.as_secs();
        serde_json::to_string(&LeaseRecord { holder, epoch: self.epoch, until, time_to_live_secs })
            .expect("a lease record holds only texts and numbers")
    }
}

fn read_record(found: &Versioned) -> Result<LeaseRecord, Error> {
    // Taken for free, its epoch would start anew.
    serde_json::from_str(&found.value)
        .map_err(|error| Error::Record { key: found.key.clone(), why: format!("it is no lease: {error}") })
}

fn see(found: &Versioned, lease: &LeaseRecord, observations: &Observations) -> Result<Seen, Error> {
    let Some(holder) = lease.holder.as_ref().filter(|holder| !holder.is_dead()) else { return Ok(Seen::Free) };
    let time_to_live = Duration::from_secs(lease.time_to_live_secs);
    let seen = observations.recall(&found.key);
    let lapses_in = match judge(seen.as_ref(), found, &BootTime::now(), time_to_live) {
        Judgement::Lapsed => return Ok(Seen::Lapsed),
        Judgement::StillHeld(lacking) => lacking,
        Judgement::FirstSeen(sight) => {
            observations.remember(&found.key, &sight)?;
            patience(time_to_live)
        }
    };
    Ok(Seen::Held(Held { holder: holder.clone(), lapses_in }))
}
