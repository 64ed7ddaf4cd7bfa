//! The shares of containers, looked at seldom: whoever loads a page or reads the metrics does not ask the account each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use crate::engine::{Shared, all_shares_of, text_of, without_replaced};
use crate::limits::{SHARES_KEPT, SHARES_PAGE_WAIT_MAX};
use crate::state::RecordStore;
use crate::store::Store;

/// Haul's shares of a job's tables, of every kind; empty = none. The error says why they cannot be read.
pub(super) type Found = Result<Vec<Shared>, String>;

/// What was found lately, by the identity of the store.
pub(super) struct SharesSeen {
    records: Arc<RecordStore>,
    seen: Mutex<HashMap<String, (Instant, Found)>>,
}

impl SharesSeen {
    pub(super) fn new(records: &Arc<RecordStore>) -> Self {
        SharesSeen { records: Arc::clone(records), seen: Mutex::default() }
    }

    pub(super) async fn of(&self, store: &Store) -> Found {
        let identity = store.identity();
        // Those of a folder stand in the records alone, which answer at once.
        if !store.is_local()
            && let Some(found) = self.lately(&identity)
        {
            return found;
        }
        let found = match tokio::time::timeout(SHARES_PAGE_WAIT_MAX, all_shares_of(store, &self.records)).await {
            Ok(Ok(found)) => Ok(without_replaced(found)),
            Ok(Err(error)) => Err(text_of(&error)),
            Err(_) => Err(format!("the storage account does not answer within {SHARES_PAGE_WAIT_MAX:?}")),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (at, _)| at.elapsed() < SHARES_KEPT);
        seen.insert(identity, (Instant::now(), found.clone()));
        found
    }

    /// When the first share of each store ends, in the order of the stores.
    pub(super) async fn first_ends(&self, stores: &[Option<&Store>]) -> Vec<Option<DateTime<Utc>>> {
        let first = async |store: &Option<&Store>| first_end(&self.of((*store)?).await.ok()?);
        join_all(stores.iter().map(first)).await
    }

    fn lately(&self, identity: &str) -> Option<Found> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) = seen.get(identity)?;
        (at.elapsed() < SHARES_KEPT).then(|| found.clone())
    }
}

/// When the first of these shares ends.
pub(super) fn first_end(shares: &[Shared]) -> Option<DateTime<Utc>> {
    shares.iter().filter_map(|share| share.terms.expires_at()).min()
}
