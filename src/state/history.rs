//! A job's history in the record store: one record an hour, appended to by whoever serves a slot or runs the job, and a
//! record for each of the newest runs with its whole report and its log.
//!
//! Format version 1, under `history/<job>/<date>T<hour of UTC>`: `{"format_version":1,"nonce":ULID,"entries":[…]}`, the entries as
//! in `model::history`; under `runs/<job>/<run>`: a `model::history::RunDocument`. They hold no secret and may be deleted.

use std::sync::Arc;

use chrono::{DateTime, Days, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::error::Error;
use super::store::{RecordStore, Versioned};
use crate::limits::{
    HISTORY_BYTES_AN_HOUR, HISTORY_DAYS, HISTORY_ENTRIES_AN_HOUR, RECORD_SWAPS_MAX, RUN_DOCUMENTS_MAX,
};
use crate::model::history::{Entry, HISTORY_FORMAT, RunDocument};

#[derive(Debug, Serialize, Deserialize)]
struct HourRecord {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    entries: Vec<Entry>,
}

/// The history of one job.
#[derive(Clone)]
pub(crate) struct History {
    records: Arc<RecordStore>,
    entries: String,
    runs: String,
}

impl History {
    /// `name` tells the job from others, and from itself with another destination.
    pub(crate) fn new(records: &Arc<RecordStore>, name: &str) -> Self {
        History { records: Arc::clone(records), entries: format!("history/{name}/"), runs: format!("runs/{name}/") }
    }

    /// Adds an entry. Of an hour with very many the oldest go.
    pub(crate) async fn add(&self, entry: &Entry) -> Result<(), Error> {
        self.change(entry.at, |entries| entries.push(entry.clone())).await
    }

    /// Puts an entry in the place of the one about the same run or slot.
    pub(crate) async fn amend(&self, entry: &Entry) -> Result<(), Error> {
        let amend = |entries: &mut Vec<Entry>| {
            if let Some(former) = entries.iter_mut().rev().find(|former| former.is_of_same(entry)) {
                *former = entry.clone();
            }
        };
        self.change(entry.at, amend).await
    }

    async fn change(&self, at: DateTime<Utc>, change: impl Fn(&mut Vec<Entry>)) -> Result<(), Error> {
        let key = self.hour(at);
        for _ in 0..RECORD_SWAPS_MAX {
            let found = self.records.get(&key).await?;
            let mut entries = match &found {
                None => Vec::new(),
                // What a newer haul wrote is not written over.
                Some(found) => read(found)?,
            };
            change(&mut entries);
            let too_many = entries.len().saturating_sub(HISTORY_ENTRIES_AN_HOUR);
            entries.drain(..too_many);
            let value = text_of(entries);
            let is_written = match &found {
                None => self.records.create(&key, &value).await?,
                Some(found) => self.records.swap(&key, &found.version, &value).await?,
            };
            if is_written {
                if found.is_none() {
                    self.forget(at).await?;
                }
                return Ok(());
            }
        }
        Err(Error::Contended { key, tries: RECORD_SWAPS_MAX })
    }

    /// Keeps the report and the log of a run.
    pub(crate) async fn keep(&self, run: &str, document: &RunDocument) -> Result<(), Error> {
        let value = serde_json::to_string(document).expect("it holds only texts and numbers");
        self.records.create(&format!("{}{run}", self.runs), &value).await.map(|_| ())
    }

    /// What is kept of a run; `None` = nothing, or nothing any more.
    pub(crate) async fn run(&self, run: &str) -> Result<Option<RunDocument>, Error> {
        let Some(found) = self.records.get(&format!("{}{run}", self.runs)).await? else { return Ok(None) };
        let wrong = |why: String| Error::Record { key: found.key.clone(), why };
        let document: RunDocument = serde_json::from_str(&found.value).map_err(|error| wrong(error.to_string()))?;
        match document.format_version {
            HISTORY_FORMAT => Ok(Some(document)),
            newer => Err(wrong(format!("it has format version {newer}"))),
        }
    }

    /// The runs of which something is kept, the newest first.
    pub(crate) async fn kept_runs(&self) -> Result<Vec<String>, Error> {
        let keys = self.records.keys(&self.runs).await?;
        Ok(keys.iter().rev().filter_map(|key| key.strip_prefix(&self.runs)).map(str::to_owned).collect())
    }

    /// The newest entries, the newest first.
    pub(crate) async fn newest(&self, count: usize, now: DateTime<Utc>) -> Result<Vec<Entry>, Error> {
        let mut newest = Vec::new();
        // A clock that was far ahead for a while left hours that are long not yet.
        let latest = self.hour(now + chrono::TimeDelta::days(2));
        for hour in self.records.keys(&self.entries).await?.iter().rev().filter(|hour| **hour <= latest) {
            if newest.len() >= count {
                break;
            }
            let Some(record) = self.records.get(hour).await? else { continue };
            let mut entries = read(&record)?;
            entries.sort_by_key(|entry| entry.at);
            newest.extend(entries.into_iter().rev().take(count - newest.len()));
        }
        Ok(newest)
    }

    /// What is too old goes when an hour begins; some hours more, because a job may not run in every one.
    async fn forget(&self, at: DateTime<Utc>) -> Result<(), Error> {
        let oldest = at.checked_sub_days(Days::new(HISTORY_DAYS)).map(|oldest| self.hour(oldest)).unwrap_or_default();
        for key in self.records.keys(&self.entries).await?.iter().take_while(|key| **key < oldest) {
            self.records.remove(key).await?;
        }
        let runs = self.records.keys(&self.runs).await?;
        for key in runs.iter().rev().skip(RUN_DOCUMENTS_MAX) {
            self.records.remove(key).await?;
        }
        Ok(())
    }

    fn hour(&self, at: DateTime<Utc>) -> String {
        format!("{}{}", self.entries, at.format("%Y-%m-%dT%H"))
    }
}

/// An hour as it is stored, without its oldest entries where it would be too long.
fn text_of(entries: Vec<Entry>) -> String {
    let mut record = HourRecord { format_version: HISTORY_FORMAT, nonce: Ulid::generate().to_string(), entries };
    loop {
        let text = serde_json::to_string(&record).expect("it holds only texts and numbers");
        let count = record.entries.len();
        if text.len() <= HISTORY_BYTES_AN_HOUR || count <= 1 {
            return text;
        }
        record.entries.drain(..count.div_ceil(4));
    }
}

fn read(record: &Versioned) -> Result<Vec<Entry>, Error> {
    let wrong = |why: String| Error::Record { key: record.key.clone(), why };
    let hour: HourRecord = serde_json::from_str(&record.value).map_err(|error| wrong(error.to_string()))?;
    if hour.format_version != HISTORY_FORMAT {
        return Err(wrong(format!("it has format version {}", hour.format_version)));
    }
    Ok(hour.entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::Served;

    #[test]
    fn an_hour_of_long_entries_keeps_the_newest() {
        let at = |second| DateTime::UNIX_EPOCH + chrono::Duration::seconds(second);
        let entry = |second| Entry::of_slot(at(second), at(second), Served::Failed, "x".repeat(4_000), "h".to_owned());
        let text = text_of((0..1_000).map(entry).collect());
        let record: HourRecord = serde_json::from_str(&text).unwrap();
        assert!(text.len() <= HISTORY_BYTES_AN_HOUR && record.entries.len() > 350, "{}", record.entries.len());
        assert_eq!(record.entries.last().unwrap().at, at(999));
        assert_eq!(text_of(vec![entry(1)]).len(), text_of(vec![entry(2)]).len());
    }
}
