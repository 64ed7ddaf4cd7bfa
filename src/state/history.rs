//! A job's history in the record store: one record a day, appended to by whoever serves a slot or runs the job.
//!
//! Format version 1, under `history/<job>/<date of UTC>`: `{"format_version":1,"nonce":ULID,"entries":[…]}`, the entries as in
//! `model::history`. It holds no secret and may be deleted.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::error::Error;
use super::store::{RecordStore, Versioned};
use crate::limits::{HISTORY_BYTES_A_DAY, HISTORY_DAYS, HISTORY_ENTRIES_A_DAY, RECORD_SWAPS_MAX};
use crate::model::history::Entry;

const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct DayRecord {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    entries: Vec<Entry>,
}

/// The history of one job.
#[derive(Clone)]
pub(crate) struct History {
    records: Arc<RecordStore>,
    prefix: String,
}

impl History {
    /// `name` tells the job from others, and from itself with another destination.
    pub(crate) fn new(records: &Arc<RecordStore>, name: &str) -> Self {
        History { records: Arc::clone(records), prefix: format!("history/{name}/") }
    }

    /// Adds an entry. Of a day with very many the oldest go.
    pub(crate) async fn add(&self, entry: &Entry) -> Result<(), Error> {
        self.change(entry.at.date_naive(), |entries| entries.push(entry.clone())).await
    }

    /// Puts an entry in the place of the one about the same run or slot.
    pub(crate) async fn amend(&self, entry: &Entry) -> Result<(), Error> {
        let amend = |entries: &mut Vec<Entry>| {
            if let Some(former) = entries.iter_mut().rev().find(|former| former.is_of_same(entry)) {
                *former = entry.clone();
            }
        };
        self.change(entry.at.date_naive(), amend).await
    }

    async fn change(&self, day: NaiveDate, change: impl Fn(&mut Vec<Entry>)) -> Result<(), Error> {
        let key = self.key(day);
        for _ in 0..RECORD_SWAPS_MAX {
            let found = self.records.get(&key).await?;
            let mut entries = match &found {
                None => Vec::new(),
                // What a newer haul wrote is not written over.
                Some(found) => read(found)?,
            };
            change(&mut entries);
            let too_many = entries.len().saturating_sub(HISTORY_ENTRIES_A_DAY);
            entries.drain(..too_many);
            let value = text_of(entries);
            let is_written = match &found {
                None => self.records.create(&key, &value).await?,
                Some(found) => self.records.swap(&key, &found.version, &value).await?,
            };
            if is_written {
                if found.is_none() {
                    self.forget(day).await?;
                }
                return Ok(());
            }
        }
        Err(Error::Contended { key, tries: RECORD_SWAPS_MAX })
    }

    /// The newest entries, the newest first, of at most so many days.
    pub(crate) async fn newest(&self, count: usize, now: DateTime<Utc>) -> Result<Vec<Entry>, Error> {
        let mut newest = Vec::new();
        let mut days = self.records.list(&self.prefix).await?;
        days.retain(|day| day.key <= self.key(now.date_naive() + Days::new(1)));
        for day in days.iter().rev() {
            let mut entries = read(day)?;
            entries.sort_by_key(|entry| entry.at);
            newest.extend(entries.into_iter().rev().take(count - newest.len()));
            if newest.len() == count {
                break;
            }
        }
        Ok(newest)
    }

    /// What is too old goes when a day begins; some days more, because a job may not run on every day.
    async fn forget(&self, day: NaiveDate) -> Result<(), Error> {
        for record in self.records.list(&self.prefix).await? {
            if day.checked_sub_days(Days::new(HISTORY_DAYS)).is_some_and(|oldest| record.key < self.key(oldest)) {
                self.records.remove(&record.key).await?;
            }
        }
        Ok(())
    }

    fn key(&self, day: NaiveDate) -> String {
        format!("{}{day}", self.prefix)
    }
}

/// A day as it is stored, without its oldest entries where it would be too long.
fn text_of(entries: Vec<Entry>) -> String {
    let mut record = DayRecord { format_version: FORMAT_VERSION, nonce: Ulid::generate().to_string(), entries };
    loop {
        let text = serde_json::to_string(&record).expect("it holds only texts and numbers");
        let count = record.entries.len();
        if text.len() <= HISTORY_BYTES_A_DAY || count <= 1 {
            return text;
        }
        record.entries.drain(..count.div_ceil(4));
    }
}

fn read(record: &Versioned) -> Result<Vec<Entry>, Error> {
    let wrong = |why: String| Error::Record { key: record.key.clone(), why };
    let day: DayRecord = serde_json::from_str(&record.value).map_err(|error| wrong(error.to_string()))?;
    if day.format_version != FORMAT_VERSION {
        return Err(wrong(format!("it has format version {}", day.format_version)));
    }
    Ok(day.entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::Served;

    #[test]
    fn a_day_of_long_entries_keeps_the_newest() {
        let at = |second| DateTime::UNIX_EPOCH + chrono::Duration::seconds(second);
        let entry = |second| Entry::of_slot(at(second), at(second), Served::Failed, "x".repeat(4_000), "h".to_owned());
        let text = text_of((0..1_000).map(entry).collect());
        let record: DayRecord = serde_json::from_str(&text).unwrap();
        assert!(text.len() <= HISTORY_BYTES_A_DAY && record.entries.len() > 350, "{}", record.entries.len());
        assert_eq!(record.entries.last().unwrap().at, at(999));
        assert_eq!(text_of(vec![entry(1)]).len(), text_of(vec![entry(2)]).len());
    }
}
