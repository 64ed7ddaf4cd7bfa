//! The shared count of requests: one record for everybody who uses one credential, whichever process or host it is.
//!
//! Format version 1, under `quota/<name>`: `{"format_version":1,"nonce":ULID,"budget":{"seconds":[[second,count],…],
//! "spans":[[five minutes,count],…],"last_ms":…,"held_until_ms":…}}`, numbers since 1970. It holds no secret and may be
//! deleted: the count then begins at nothing.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::budget::{Budget, Turn};
use super::error::Error;
use super::store::{RecordStore, Versioned};
use crate::clock::Clock;
use crate::limits::{QUOTA_DAY_MARGIN, QUOTA_MINUTE_MARGIN, QUOTA_RECOUNTS_MAX, QUOTA_RETRY_WAIT, QUOTA_TRIES_MAX};
use crate::model::quota::BudgetLimits;

const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct QuotaRecord {
    format_version: u32,
    /// Makes every write another value: two who count at once would otherwise write the same, and the one who lost would
    /// take the other's write for its own.
    nonce: String,
    budget: Budget,
}

/// The budget of one credential in the record store.
pub(crate) struct Quota {
    records: Arc<RecordStore>,
    key: String,
    limits: BudgetLimits,
    /// One of this process at a time: the others' swaps would be lost.
    turn: tokio::sync::Mutex<()>,
}

impl Quota {
    /// `name` is the same for everybody who shares the budget.
    pub(crate) fn new(records: Arc<RecordStore>, name: &str, limits: BudgetLimits) -> Self {
        Quota { records, key: format!("quota/{name}"), limits, turn: tokio::sync::Mutex::default() }
    }

    /// Counts a request that is sent at once, or says how long to wait. An answer that is given up counts all the same.
    pub(crate) async fn take(&self) -> Result<Turn, Error> {
        let _turn = self.turn.lock().await;
        let mut recounts = 0;
        for number in 1..=QUOTA_TRIES_MAX {
            let (found, mut budget) = self.read().await?;
            let now = Clock.now();
            let turn = budget.take(now, &self.limits);
            if turn != Turn::Taken {
                return Ok(turn);
            }
            if self.write(found, budget).await? {
                if Clock.now() - now <= self.lateness_max() {
                    return Ok(Turn::Taken);
                }
                // Sent now, it would arrive in a window in which it is not counted.
                recounts += 1;
                if recounts > QUOTA_RECOUNTS_MAX {
                    return Err(Error::Contended { key: self.key.clone(), tries: number });
                }
                continue;
            }
            tokio::time::sleep(jitter(number)).await;
        }
        Err(Error::Contended { key: self.key.clone(), tries: QUOTA_TRIES_MAX })
    }

    /// Tells everybody that the server wants no request before.
    pub(crate) async fn hold(&self, until: DateTime<Utc>) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        for number in 1..=QUOTA_TRIES_MAX {
            let (found, mut budget) = self.read().await?;
            if !budget.hold(Clock.now(), until) || self.write(found, budget).await? {
                return Ok(());
            }
            tokio::time::sleep(jitter(number)).await;
        }
        Err(Error::Contended { key: self.key.clone(), tries: QUOTA_TRIES_MAX })
    }

    async fn read(&self) -> Result<(Option<Versioned>, Budget), Error> {
        let Some(found) = self.records.get(&self.key).await? else { return Ok((None, Budget::default())) };
        let unreadable = |why: String| Error::Record { key: self.key.clone(), why };
        let record: QuotaRecord = serde_json::from_str(&found.value)
            .map_err(|error| unreadable(format!("it is no count of requests: {error}")))?;
        if record.format_version != FORMAT_VERSION {
            return Err(unreadable(format!("it has format version {}", record.format_version)));
        }
        Ok((Some(found), record.budget))
    }

    /// `false` = somebody else counted meanwhile.
    async fn write(&self, found: Option<Versioned>, budget: Budget) -> Result<bool, Error> {
        let record = QuotaRecord { format_version: FORMAT_VERSION, nonce: Ulid::generate().to_string(), budget };
        let text = serde_json::to_string(&record).expect("a count holds only texts and numbers");
        match found {
            None => self.records.create(&self.key, &text).await,
            Some(found) => self.records.swap(&self.key, &found.version, &text).await,
        }
    }

    /// Half the margin is for the store, the other half for the way to the server.
    fn lateness_max(&self) -> Duration {
        let margin = if self.limits.per_minute.is_some() { QUOTA_MINUTE_MARGIN } else { QUOTA_DAY_MARGIN };
        Duration::milliseconds(margin.as_millis() as i64 / 2)
    }
}

/// A random wait, so that those who lost against each other do not meet again.
fn jitter(number: u32) -> std::time::Duration {
    let part = (Ulid::generate().random() % 1000) as u32;
    QUOTA_RETRY_WAIT * number.min(10) * part / 1000
}
