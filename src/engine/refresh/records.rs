//! For which snapshot each target was refreshed last: kept in the record store, so that a run makes up for what one before it
//! could not ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::share::GivenShare;
use crate::engine::history::name_of_job;
use crate::limits::{RECORD_SWAPS_MAX, REFRESH_RUNS_MAX};
use crate::model::plan::Job;
use crate::model::refresh::{PowerBi, RefreshOn, RefreshOutcome, Target};
use crate::state::{self, RecordStore};

/// Version of the record `refresh/<job>`.
const FORMAT_VERSION: u32 = 1;

/// The record `refresh/<job>`, format version 1: `{"format_version":1,"nonce":ULID,"targets":{"WORKSPACE/ITEM":{…}}}`. It holds no
/// secret and may be deleted: the next good run refreshes everything once.
#[derive(Serialize, Deserialize)]
struct Record {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    targets: BTreeMap<String, Refreshed>,
}

/// The last refresh that Power BI took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refreshed {
    pub snapshot: String,
    pub at: DateTime<Utc>,
    /// `accepted` while nobody saw its end.
    pub outcome: RefreshOutcome,
    /// How often it was asked for this snapshot.
    pub times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whose signature its parameters hold, where haul keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<GivenShare>,
}

/// What is known of a job's targets.
pub(super) struct Memory<'m> {
    records: &'m Arc<RecordStore>,
    key: String,
    /// Of the job as it is now; others are forgotten.
    targets: Vec<String>,
}

impl<'m> Memory<'m> {
    pub(super) fn of(job: &Job, plan: &PowerBi, records: &'m Arc<RecordStore>) -> Self {
        let targets = plan.targets.iter().map(Target::key).collect();
        Memory { records, key: format!("refresh/{}", name_of_job(job)), targets }
    }

    pub(super) async fn load(&self) -> Result<BTreeMap<String, Refreshed>, state::Error> {
        match self.records.get(&self.key).await? {
            None => Ok(BTreeMap::new()),
            Some(found) => self.read(&found.value),
        }
    }

    /// Writes down that Power BI took a refresh.
    pub(super) async fn put(&self, target: &Target, refreshed: &Refreshed) -> Result<(), state::Error> {
        self.write(target, None, Some(refreshed)).await
    }

    /// Writes down how it went on, unless another run asked for one meanwhile. `to` absent = it was not refreshed after all.
    pub(super) async fn change(
        &self,
        target: &Target,
        from: &Refreshed,
        to: Option<Refreshed>,
    ) -> Result<(), state::Error> {
        self.write(target, Some(from), to.as_ref()).await
    }

    async fn write(
        &self,
        target: &Target,
        from: Option<&Refreshed>,
        to: Option<&Refreshed>,
    ) -> Result<(), state::Error> {
        for _ in 0..RECORD_SWAPS_MAX {
            let found = self.records.get(&self.key).await?;
            let mut targets = match &found {
                None => BTreeMap::new(),
                Some(found) => self.read(&found.value)?,
            };
            if from.is_some() && targets.get(&target.key()) != from {
                return Ok(());
            }
            targets.retain(|key, _| self.targets.contains(key));
            match to {
                Some(to) => drop(targets.insert(target.key(), to.clone())),
                None => drop(targets.remove(&target.key())),
            }
            let record = Record { format_version: FORMAT_VERSION, nonce: Ulid::generate().to_string(), targets };
            let value = serde_json::to_string(&record).expect("it holds only texts and numbers");
            let is_written = match &found {
                None => self.records.create(&self.key, &value).await?,
                Some(found) => self.records.swap(&self.key, &found.version, &value).await?,
            };
            if is_written {
                return Ok(());
            }
        }
        Err(state::Error::Contended { key: self.key.clone(), tries: RECORD_SWAPS_MAX })
    }

    fn read(&self, value: &str) -> Result<BTreeMap<String, Refreshed>, state::Error> {
        let wrong = |why: String| state::Error::Record { key: self.key.clone(), why };
        let record: Record = serde_json::from_str(value).map_err(|error| wrong(error.to_string()))?;
        if record.format_version != FORMAT_VERSION {
            return Err(wrong(format!("it has format version {}", record.format_version)));
        }
        Ok(record.targets)
    }
}

/// Whether a good run refreshes a target, when readers see this snapshot.
pub(super) fn is_due(target: &Target, snapshot: &str, known: Option<&Refreshed>) -> bool {
    match (target.on, known) {
        (RefreshOn::EveryRun, _) | (RefreshOn::Published, None) => true,
        (RefreshOn::Published, Some(known)) => {
            let may_help = known.outcome == RefreshOutcome::Failed && known.times < REFRESH_RUNS_MAX;
            known.snapshot != snapshot || may_help
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::refresh::{Item, RefreshWait};

    fn target(on: RefreshOn) -> Target {
        let item = Item::Dataflow { id: "i".to_owned() };
        Target { name: "n".to_owned(), workspace: "w".to_owned(), item, on, wait: RefreshWait::No }
    }

    #[tokio::test]
    async fn what_another_run_asked_for_meanwhile_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let records = Arc::new(RecordStore::open_folder(&folder.path().join("state")).unwrap());
        let target = target(RefreshOn::Published);
        let memory = Memory { records: &records, key: "refresh/test".to_owned(), targets: vec![target.key()] };
        let asked = |snapshot: &str| Refreshed {
            snapshot: snapshot.to_owned(),
            at: Clock.now(),
            outcome: RefreshOutcome::Accepted,
            times: 1,
            request_id: None,
            share: None,
        };
        let (first, second) = (asked("s1"), asked("s2"));
        let ended = |asked: &Refreshed| Some(Refreshed { outcome: RefreshOutcome::Completed, ..asked.clone() });
        memory.put(&target, &first).await.unwrap();
        memory.put(&target, &second).await.unwrap();
        memory.change(&target, &first, ended(&first)).await.unwrap();
        memory.change(&target, &first, None).await.unwrap();
        assert_eq!(memory.load().await.unwrap()[&target.key()], second);
        memory.change(&target, &second, ended(&second)).await.unwrap();
        assert_eq!(memory.load().await.unwrap().get(&target.key()), ended(&second).as_ref());
        let known = memory.load().await.unwrap()[&target.key()].clone();
        memory.change(&target, &known, None).await.unwrap();
        assert!(memory.load().await.unwrap().is_empty());
    }

    #[test]
    fn a_target_is_refreshed_once_for_a_snapshot_and_again_after_a_failure() {
        let check = |on, known: Option<(&str, RefreshOutcome, u32)>, expect: bool| {
            let known = known.map(|(snapshot, outcome, times)| Refreshed {
                snapshot: snapshot.to_owned(),
                at: Clock.now(),
                outcome,
                times,
                request_id: None,
                share: None,
            });
            assert_eq!(is_due(&target(on), "s2", known.as_ref()), expect, "{on:?} {known:?}");
        };
        use RefreshOn::{EveryRun, Published};
        use RefreshOutcome::{Accepted, Completed, Failed, Unknown};
        check(Published, None, true);
        check(Published, Some(("s1", Completed, 1)), true);
        check(Published, Some(("s2", Completed, 1)), false);
        check(Published, Some(("s2", Accepted, 1)), false);
        check(Published, Some(("s2", Unknown, 1)), false);
        check(Published, Some(("s2", Failed, 1)), true);
        check(Published, Some(("s2", Failed, REFRESH_RUNS_MAX)), false);
        check(EveryRun, Some(("s2", Completed, 1)), true);
    }
}
