//! Shares that no service keeps for us: links that the daemon answers, and signatures that nobody can take back, of which only is known
//! when they end. One record each.
//!
//! Format version 1, under `link/<job>/<id>`: `{"format_version":1,"nonce":ULID,"link":{…}}`, the link as in [`Link`]. The key of one that the
//! daemon answers is sealed with the vault's key. Removing the record revokes it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::error::Error;
use super::store::{RecordStore, Versioned};
use crate::limits::RECORD_SWAPS_MAX;

const FORMAT_VERSION: u32 = 1;
/// What the keys of all such records begin with.
const PREFIX: &str = "link/";

/// Who answers to a link, and what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkKind {
    /// The daemon; it can be extended and revoked.
    Served,
    /// Azure, by a user delegation key.
    Delegated,
    /// Amazon or Google, a file at a time.
    Presigned,
}

/// A share.
///
/// - `key` is there for [`LinkKind::Served`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub id: String,
    pub kind: LinkKind,
    /// As in stored access policies.
    pub permissions: String,
    pub made_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Another one took its place: it is not extended any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ending: bool,
    /// The sealed key. Absent = nobody of ours answers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkRecord {
    format_version: u32,
    /// Makes every write another value, as the record store asks for.
    nonce: String,
    link: Link,
}

/// The links of one job.
#[derive(Clone)]
pub(crate) struct Links {
    records: Arc<RecordStore>,
    prefix: String,
}

impl Links {
    /// `name` tells the job from others, and from itself with another destination.
    pub(crate) fn new(records: &Arc<RecordStore>, name: &str) -> Self {
        Links { records: Arc::clone(records), prefix: format!("{PREFIX}{name}/") }
    }

    /// The name of a link's record, to which its key is sealed.
    pub(crate) fn record(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// `false` = there is one of this name.
    pub(crate) async fn add(&self, link: &Link) -> Result<bool, Error> {
        self.records.create(&self.record(&link.id), &text_of(link)).await
    }

    /// The link of this name.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<Link>, Error> {
        if !is_name(id) {
            return Ok(None);
        }
        let found = self.records.get(&self.record(id)).await?;
        found.map(|found| read(&found)).transpose()
    }

    /// All of them, by name.
    pub(crate) async fn list(&self) -> Result<Vec<Link>, Error> {
        self.records.list(&self.prefix).await?.iter().map(read).collect()
    }

    /// Changes a link; `None` = there is none. `change` says whether it changed anything.
    pub(crate) async fn change(&self, id: &str, change: impl Fn(&mut Link) -> bool) -> Result<Option<Link>, Error> {
        change_record(&self.records, &self.record(id), change).await
    }

    /// Removes a link; `false` = there is none.
    pub(crate) async fn remove(&self, id: &str) -> Result<bool, Error> {
        if !is_name(id) {
            return Ok(false);
        }
        // Also one that cannot be read.
        let is_there = self.records.get(&self.record(id)).await?.is_some();
        self.records.remove(&self.record(id)).await?;
        Ok(is_there)
    }
}

/// Seals the keys of all links of all jobs anew; tells how many there are. `seal` is told the record's name and the sealed key.
pub(crate) async fn reseal_links(
    records: &RecordStore,
    seal: impl Fn(&str, &str) -> Option<String>,
) -> Result<usize, Error> {
    let mut count = 0;
    for found in records.list(PREFIX).await? {
        let changed = change_record(records, &found.key, |link| {
            let sealed = link.key.as_deref().and_then(|sealed| seal(&found.key, sealed));
            let is_changed = sealed.is_some();
            link.key = sealed.or(link.key.take());
            is_changed
        });
        count += usize::from(changed.await?.is_some_and(|link| link.key.is_some()));
    }
    Ok(count)
}

async fn change_record(
    records: &RecordStore,
    key: &str,
    change: impl Fn(&mut Link) -> bool,
) -> Result<Option<Link>, Error> {
    for _ in 0..RECORD_SWAPS_MAX {
        let Some(found) = records.get(key).await? else { return Ok(None) };
        let mut link = read(&found)?;
        if !change(&mut link) || records.swap(key, &found.version, &text_of(&link)).await? {
            return Ok(Some(link));
        }
    }
    Err(Error::Contended { key: key.to_owned(), tries: RECORD_SWAPS_MAX })
}

/// Nothing else is a name, whoever says it.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn text_of(link: &Link) -> String {
    let record = LinkRecord { format_version: FORMAT_VERSION, nonce: Ulid::generate().to_string(), link: link.clone() };
    serde_json::to_string(&record).expect("it holds only texts and instants")
}

fn read(found: &Versioned) -> Result<Link, Error> {
    let unreadable = |why: String| Error::Record { key: found.key.clone(), why };
    let record: LinkRecord =
        serde_json::from_str(&found.value).map_err(|error| unreadable(format!("it is no link: {error}")))?;
    match record.format_version {
        FORMAT_VERSION => Ok(record.link),
        other => Err(unreadable(format!("it has format version {other}"))),
    }
}
