//! Which slots of a job were served: one record for all daemons, crontabs and containers that share the record store. A
//! slot belongs to whoever moved the record past it, so each is served once.
//!
//! Format version 1, under `slots/<job>`: `{"format_version":1,"nonce":ULID,"last":instant,"serving":{"slot":instant,
//! "holder":{…}}}`, without `holder` where a run was stopped and left its slot. It holds no secret. Where it is missing, the
//! slots from now on are served.

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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Serving {
    slot: DateTime<Utc>,
    /// Absent = it was stopped and gave the slot back: whoever looks next serves it, on whatever host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

impl Serving {
    /// A slot that this process serves.
    fn ours(slot: DateTime<Utc>) -> Self {
        Serving { slot, holder: Some(Holder::current()) }
    }

    /// Whether it was given back, or its process is gone for certain.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotsSeen {
    pub last: DateTime<Utc>,
    /// A slot that was given back, or whose process is gone without having ended it. Absent = there is none that is known to be.
    pub left: Option<DateTime<Utc>>,
}

impl Slots {
    /// `name` tells the job from others, and from itself with another destination.
    pub(crate) fn new(records: &Arc<RecordStore>, name: &str) -> Self {
        Slots { records: Arc::clone(records), key: format!("slots/{name}") }
    }

    /// How far the slots are served. A job that is seen for the first time has no slots before now.
    pub(crate) async fn look(&self, now: DateTime<Utc>) -> Result<SlotsSeen, Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            if let Some((record, _)) = self.read().await? {
                let left = record.serving.filter(Serving::is_left).map(|serving| serving.slot);
                return Ok(SlotsSeen { last: record.last, left });
            }
            self.records.create(&self.key, &text(now, None)).await?;
        }
        Err(self.contended())
    }

    /// Lets all slots up to this one pass. `false` = somebody was faster.
    pub(crate) async fn pass(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        self.change(|record| (record.last < slot).then(|| (slot, record.serving.clone()))).await
    }

    /// Takes a slot to serve it. `false` = somebody was faster.
    pub(crate) async fn begin(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        let serving = Serving::ours(slot);
        self.change(|record| (record.last < slot).then(|| (slot, Some(serving.clone())))).await
    }

    /// Takes a slot that was left. `false` = somebody was faster.
    pub(crate) async fn begin_again(&self, slot: DateTime<Utc>) -> Result<bool, Error> {
        let serving = Serving::ours(slot);
        self.change(|record| {
            let is_left = record.serving.as_ref().is_some_and(|left| left.slot == slot && left.is_left());
            is_left.then(|| (record.last, Some(serving.clone())))
        })
        .await
    }

    /// The slot is served, however that ended.
    pub(crate) async fn end(&self, slot: DateTime<Utc>) -> Result<(), Error> {
        self.change(|record| {
            let is_ours = record.serving.as_ref().is_some_and(|serving| serving.slot == slot);
            is_ours.then_some((record.last, None))
        })
        .await
        .map(|_| ())
    }

    /// Gives a slot back whose run was stopped. Only so another host, or another container of this one, serves it: whether
    /// we still live, it cannot see.
    pub(crate) async fn give_back(&self, slot: DateTime<Utc>) -> Result<(), Error> {
        let ours = Serving::ours(slot);
        self.change(|record| {
            let is_ours = record.serving.as_ref() == Some(&ours);
            is_ours.then_some((record.last, Some(Serving { slot, holder: None })))
        })
        .await
        .map(|_| ())
    }

    async fn change(
        &self,
        change: impl Fn(&SlotsRecord) -> Option<(DateTime<Utc>, Option<Serving>)>,
    ) -> Result<bool, Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            let Some((record, found)) = self.read().await? else { return Ok(false) };
            let Some((last, serving)) = change(&record) else { return Ok(false) };
            if self.records.swap(&self.key, &found.version, &text(last, serving)).await? {
                return Ok(true);
            }
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

fn text(last: DateTime<Utc>, serving: Option<Serving>) -> String {
    let nonce = Ulid::generate().to_string();
    serde_json::to_string(&SlotsRecord { format_version: FORMAT_VERSION, nonce, last, serving })
        .expect("it holds only texts and numbers")
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
        assert_eq!(slots.look(at(5)).await.expect("records"), SlotsSeen { last: at(5), left: None });
        assert!(!slots.begin(at(5)).await.expect("records"), "what was before the first look is nobody's");
        assert!(slots.begin(at(6)).await.expect("records"));
        assert!(!slots.begin(at(6)).await.expect("records") && !slots.pass(at(6)).await.expect("records"));
        assert_eq!(slots.look(at(7)).await.expect("records").left, None, "this process lives");
        // Another one that died.
        let gone = Serving { slot: at(7), holder: Some(Holder { pid: u32::MAX, ..Holder::current() }) };
        assert!(slots.change(|_| Some((at(7), Some(gone.clone())))).await.expect("records"));
        assert_eq!(slots.look(at(8)).await.expect("records").left, Some(at(7)));
        assert!(slots.begin_again(at(7)).await.expect("records"));
        assert!(!slots.begin_again(at(7)).await.expect("records"));
        slots.end(at(7)).await.expect("records");
        assert_eq!(slots.look(at(8)).await.expect("records"), SlotsSeen { last: at(7), left: None });
    }

    #[tokio::test]
    async fn a_slot_that_was_given_back_is_served_by_another_container() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Arc::new(RecordStore::open_folder(&folder.path().join("state")).expect("records"));
        let slots = Slots::new(&records, "sales");
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).expect("an instant");
        slots.look(at(5)).await.expect("records");
        let elsewhere = Serving { slot: at(6), holder: Some(Holder { host: "pod-1".into(), ..Holder::current() }) };
        assert!(slots.change(|_| Some((at(6), Some(elsewhere.clone())))).await.expect("records"));
        assert_eq!(slots.look(at(7)).await.expect("records").left, None, "whether it lives is not seen from here");
        slots.give_back(at(6)).await.expect("records");
        assert_eq!(slots.look(at(7)).await.expect("records").left, None, "it is not ours to give back");
        assert!(slots.begin(at(7)).await.expect("records"));
        slots.give_back(at(7)).await.expect("records");
        assert_eq!(slots.look(at(8)).await.expect("records"), SlotsSeen { last: at(7), left: Some(at(7)) });
        assert!(slots.begin_again(at(7)).await.expect("records"));
        assert!(!slots.begin_again(at(7)).await.expect("records"));
    }
}
