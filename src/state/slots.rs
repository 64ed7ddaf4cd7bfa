//! Which slots of a job were served: one record for all daemons, crontabs and containers that share the record store. A
//! slot belongs to whoever moved the record past it, so each is served once.
//!
//! Format version 1, under `slots/<job>`: `{"format_version":1,"nonce":ULID,"last":instant,"serving":{"slot":instant,
//! "holder":{…}},"unended":instant,"paused":{"since":instant,"by":text}}`. It holds no secret. Where it is missing, the slots from now on are
//! served; a slot without a holder was left to whoever comes next.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::error::Error;
use super::lease::Holder;
use super::store::{RecordStore, Versioned};
use crate::limits::RECORD_SWAPS_MAX;

const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SlotsRecord {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    /// The newest slot that somebody served or let pass.
    last: DateTime<Utc>,
    /// Absent = no run of a slot is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serving: Option<Serving>,
    /// A slot whose process had not ended it when a newer one was taken: it may still be at work, or be gone without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unended: Option<DateTime<Utc>>,
    /// Absent = the job is not paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<Paused>,
}

/// Somebody wants no run to begin by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paused {
    pub since: DateTime<Utc>,
    /// Who said so: a user of a host, or the web page.
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Serving {
    slot: DateTime<Utc>,
    /// Absent = its process was stopped in order, and anybody may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

impl Serving {
    fn by_us(slot: DateTime<Utc>) -> Self {
        Serving { slot, holder: Some(Holder::current()) }
    }

    fn is_left(&self) -> bool {
        self.holder.as_ref().is_none_or(Holder::is_dead)
    }
}

/// The served slots of one job.
#[derive(Clone)]
pub(crate) struct Slots {
    records: Arc<RecordStore>,
    key: String,
}

/// How far a job's slots are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotsSeen {
    pub last: DateTime<Utc>,
    /// A slot that was left, or whose process is gone without having ended it. Absent = there is none that is known to be.
    pub left: Option<DateTime<Utc>>,
    /// The slot that is served at the moment, and the name of the machine that does. Absent = none is.
    pub serving: Option<(DateTime<Utc>, String)>,
    pub paused: Option<Paused>,
}

impl Slots {
    /// `name` tells the job from others, and from itself with another destination.
    pub(crate) fn new(records: &Arc<RecordStore>, name: &str) -> Self {
        Slots { records: Arc::clone(records), key: format!("slots/{name}") }
    }

    /// How far the slots are served. A job that is seen for the first time has no slots before now.
    pub(crate) async fn look(&self, now: DateTime<Utc>) -> Result<SlotsSeen, Error> {
        let (record, _) = self.begun(now).await?;
        let (left, serving) = match record.serving {
            Some(serving) if serving.is_left() => (Some(serving.slot), None),
            Some(Serving { slot, holder }) => {
                let host = holder.map(|holder| holder.host_name().to_owned());
                (None, Some((slot, host.unwrap_or_default())))
            }
            None => (None, None),
        };
        Ok(SlotsSeen { last: record.last, left, serving, paused: record.paused })
    }

    /// Lets all slots up to this one pass. `false` = somebody was faster.
    pub(crate) async fn pass(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        self.change(|record| {
            let is_ours = record.last < slot;
            record.last = record.last.max(slot);
            is_ours
        })
        .await
    }

    /// Takes a slot to serve it. `false` = somebody was faster.
    pub(crate) async fn begin(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        let serving = Serving::by_us(slot);
        self.change(|record| {
            let is_ours = record.last < slot;
            if is_ours {
                record.last = slot;
                if let Some(former) = record.serving.replace(serving.clone()) {
                    record.unended.get_or_insert(former.slot);
                }
            }
            is_ours
        })
        .await
    }

    /// Takes a slot that was left. `false` = somebody was faster.
    pub(crate) async fn begin_again(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        let serving = Serving::by_us(slot);
        self.change(|record| {
            let is_left = record.serving.as_ref().is_some_and(|left| left.slot == slot && left.is_left());
            if is_left {
                record.serving = Some(serving.clone());
            }
            is_left
        })
        .await
    }

    /// The slot is served, however that ended. `false` = it was not being served.
    pub(crate) async fn end(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        self.change(|record| {
            let was_overtaken = record.unended.take_if(|unended| *unended == slot).is_some();
            record.serving.take_if(|serving| serving.slot == slot).is_some() || was_overtaken
        })
        .await
    }

    /// Forgets the slot whose process is gone without a word, as the lease of the job told, and gives it.
    pub(crate) async fn take_unended(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let mut taken = None;
        self.change(|record| {
            taken = record.unended.take();
            taken.is_some()
        })
        .await?;
        Ok(taken)
    }

    /// A run that was stopped in order leaves its slot to whoever comes next, on whatever host.
    pub(crate) async fn give_back(&self, slot: DateTime<Utc>) -> Result<(), Error> {
        let ours = Serving::by_us(slot);
        self.change(|record| {
            let is_ours = record.serving.as_ref() == Some(&ours);
            if is_ours {
                record.serving = Some(Serving { slot, holder: None });
            }
            record.unended.take_if(|unended| *unended == slot).is_some() || is_ours
        })
        .await
        .map(|_| ())
    }

    /// From now on no run begins by itself. `false` = that was so already.
    pub(crate) async fn pause(&self, paused: &Paused) -> Result<bool, Error> {
        self.begun(paused.since).await?;
        self.change(|record| {
            let is_new = record.paused.is_none();
            record.paused.get_or_insert_with(|| paused.clone());
            is_new
        })
        .await
    }

    /// Runs begin by themselves again, also where a clock that was ahead has the slots to come for served. `false` = they did.
    pub(crate) async fn resume(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        self.change(|record| {
            let is_ahead = record.last > now;
            record.last = record.last.min(now);
            record.paused.take().is_some() || is_ahead
        })
        .await
    }

    /// Changes the record if `change` says so.
    async fn change(&self, mut change: impl FnMut(&mut SlotsRecord) -> bool) -> Result<bool, Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            let Some((mut record, found)) = self.read().await? else { return Ok(false) };
            if !change(&mut record) {
                return Ok(false);
            }
            record.nonce = Ulid::generate().to_string();
            if self.records.swap(&self.key, &found.version, &text(&record)).await? {
                return Ok(true);
            }
        }
        Err(self.contended())
    }

    /// The record, made where there is none.
    async fn begun(&self, now: DateTime<Utc>) -> Result<(SlotsRecord, Versioned), Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            if let Some(found) = self.read().await? {
                return Ok(found);
            }
            let nonce = Ulid::generate().to_string();
            let first = SlotsRecord {
                format_version: FORMAT_VERSION,
                nonce,
                last: now,
                serving: None,
                unended: None,
                paused: None,
            };
            self.records.create(&self.key, &text(&first)).await?;
        }
        Err(self.contended())
    }

    async fn read(&self) -> Result<Option<(SlotsRecord, Versioned)>, Error> {
        let Some(found) = self.records.get(&self.key).await? else { return Ok(None) };
        let wrong = |why: String| Error::Record { key: self.key.clone(), why };
        let record: SlotsRecord = serde_json::from_str(&found.value).map_err(|error| wrong(error.to_string()))?;
        if record.format_version != FORMAT_VERSION {
            return Err(wrong(format!("it has format version {}", record.format_version)));
        }
        Ok(Some((record, found)))
    }

    fn contended(&self) -> Error {
        Error::Contended { key: self.key.clone(), tries: RECORD_SWAPS_MAX }
    }
}

fn text(record: &SlotsRecord) -> String {
    serde_json::to_string(record).expect("it holds only texts and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_belongs_to_one_and_what_a_dead_process_left_to_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Arc::new(RecordStore::open_folder(&folder.path().join("state")).expect("records"));
        let slots = Slots::new(&records, "sales");
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).expect("an instant");
        let seen = async |hour| slots.look(at(hour)).await.expect("records");
        let nothing = |last| SlotsSeen { last, left: None, serving: None, paused: None };
        assert_eq!(seen(5).await, nothing(at(5)));
        assert!(!slots.begin(at(5)).await.expect("records"), "what was before the first look is nobody's");
        assert!(slots.begin(at(6)).await.expect("records"));
        assert!(!slots.begin(at(6)).await.expect("records") && !slots.pass(at(6)).await.expect("records"));
        assert_eq!(seen(7).await.left, None, "this process lives");
        assert_eq!(seen(7).await.serving.expect("a slot").0, at(6));
        // Another one that died.
        let gone = Serving { slot: at(7), holder: Some(Holder { pid: u32::MAX, ..Holder::current() }) };
        let leave = |record: &mut SlotsRecord| {
            (record.last, record.serving) = (at(7), Some(gone.clone()));
            true
        };
        assert!(slots.change(leave).await.expect("records"));
        assert_eq!(seen(8).await.left, Some(at(7)));
        assert!(slots.begin_again(at(7)).await.expect("records"));
        assert!(!slots.begin_again(at(7)).await.expect("records"));
        // Given back, it is anybody's; what somebody else took meanwhile is not ours to give.
        slots.give_back(at(7)).await.expect("records");
        assert_eq!(seen(8).await.left, Some(at(7)));
        assert!(slots.begin_again(at(7)).await.expect("records"));
        slots.give_back(at(6)).await.expect("records");
        assert_eq!(seen(8).await.left, None);
        slots.end(at(7)).await.expect("records");
        assert_eq!(seen(8).await, nothing(at(7)));
        let paused = Paused { since: at(8), by: "somebody".to_owned() };
        assert!(slots.pause(&paused).await.expect("records"));
        assert!(!slots.pause(&Paused { since: at(9), by: "another".to_owned() }).await.expect("records"));
        assert_eq!(seen(9).await.paused, Some(paused));
        let resume = async |hour| slots.resume(at(hour)).await.expect("records");
        assert!(resume(9).await && !resume(9).await);
        assert_eq!(seen(9).await, nothing(at(7)));
        // A clock that was ahead is put right.
        assert!(resume(3).await && !resume(3).await);
        assert_eq!(seen(9).await, nothing(at(3)));
    }
}
