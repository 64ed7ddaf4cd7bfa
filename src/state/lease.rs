//! A lease: the time-limited right to run one job. It saves double work; correctness does not rest on it, because a
//! publication is a compare-and-swap of its own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::store::RecordStore;
use crate::clock::Clock;

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

    /// Whether it certainly is gone: same host and boot, and no process with that id and start time.
    pub(crate) fn is_dead(&self) -> bool {
        self.host == host_id() && process_start(self.pid).is_none_or(|started| started != self.started)
    }
}

/// Host name and boot: after a restart every former holder of this host is another host's.
fn host_id() -> String {
    let read = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned()).unwrap_or_default();
    format!("{}/{}", read("/proc/sys/kernel/hostname"), read("/proc/sys/kernel/random/boot_id"))
}

/// Field 22 of `/proc/PID/stat`, counted after the command's closing bracket (proc(5)). `None` = no such process.
fn process_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[derive(Debug, Serialize, Deserialize)]
struct LeaseRecord {
    /// Absent = free.
    holder: Option<Holder>,
    epoch: u64,
    until: DateTime<Utc>,
}

/// A lease that this process holds until `release`, or until it lapses.
pub(crate) struct Lease {
    store: Arc<RecordStore>,
    key: String,
    holder: Holder,
    epoch: u64,
    time_to_live: Duration,
}

/// Who holds it instead.
#[derive(Debug)]
pub(crate) struct Held {
    pub holder: Holder,
}

/// The answer to an attempt to acquire.
pub(crate) enum Acquired {
    Lease(Lease),
    Held(Held),
}

impl Lease {
    /// Takes the lease if it is free, lapsed, or held by a dead process of this host.
    pub(crate) async fn acquire(
        store: &Arc<RecordStore>,
        name: &str,
        time_to_live: Duration,
    ) -> Result<Acquired, Error> {
        let key = format!("lease/{name}");
        let holder = Holder::current();
        loop {
            let now = Clock.now();
            let found = store.get(&key).await?;
            let former = found.as_ref().and_then(|record| serde_json::from_str::<LeaseRecord>(&record.value).ok());
            if let Some(LeaseRecord { holder: Some(former), until, .. }) = &former
                && *until > now
                && !former.is_dead()
            {
                return Ok(Acquired::Held(Held { holder: former.clone() }));
            }
            let epoch = former.map_or(0, |record| record.epoch) + 1;
            let lease =
                Lease { store: Arc::clone(store), key: key.clone(), holder: holder.clone(), epoch, time_to_live };
            let taken = match &found {
                None => store.create(&key, &lease.record(now)).await?,
                Some(record) => store.swap(&key, &record.version, &lease.record(now)).await?,
            };
            if taken {
                return Ok(Acquired::Lease(lease));
            }
        }
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
        self.replace_own(|now| text_of(&LeaseRecord { holder: None, epoch: self.epoch, until: now })).await?;
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
        text_of(&LeaseRecord { holder: Some(self.holder.clone()), epoch: self.epoch, until: now + self.time_to_live })
    }
}

fn text_of(record: &LeaseRecord) -> String {
    serde_json::to_string(record).expect("a lease record holds only texts and numbers")
}
