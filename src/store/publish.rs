//! Making a snapshot visible: the immutable manifest first, then one compare-and-swap of the pointer, which is the
//! commit. A crash before it leaves the old snapshot whole, a crash after it the new one.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::layout;
use super::open::{Found, Store};
use crate::limits::{STORE_RETRY_WAIT, SWAP_TRIES_MAX};
use crate::model::manifest::{ColumnList, FORMAT_VERSION, Manifest, Pointer, Status};

/// What readers see, as of a moment.
pub(crate) struct Current {
    pointer: Pointer,
    pub manifest: Manifest,
    found: Found,
}

/// Proof that a snapshot is visible.
#[derive(Debug)]
pub(crate) struct Published {
    pub snapshot: String,
}

impl Store {
    /// The published snapshot. `None` = nothing was ever published.
    pub(crate) async fn load_current(&self) -> Result<Option<Current>, Error> {
        let found = self.read(layout::LATEST).await?;
        let Found::Version { content, .. } = &found else { return Ok(None) };
        let pointer: Pointer = parse(layout::LATEST, content)?;
        let manifest = self.load_manifest(&pointer.manifest).await?;
        Ok(Some(Current { pointer, manifest, found }))
    }

    /// Publishes: manifest, then pointer. `current` is what the run started from.
    pub(crate) async fn publish(&self, current: Option<&Current>, mut manifest: Manifest) -> Result<Published, Error> {
        let sequence = current.map_or(1, |current| current.pointer.sequence + 1);
        let snapshot = layout::snapshot_id(sequence, &manifest.run);
        manifest.sequence = sequence;
        manifest.snapshot.clone_from(&snapshot);
        manifest.previous = current.map(|current| current.pointer.snapshot.clone());
        let path = layout::manifest(&snapshot);
        let text = text_of(&manifest);
        let created = self.create(&path, text.clone()).await;
        if !matches!(created, Ok(true)) {
            // Our own put, repeated by the client after a lost answer, comes back as "exists", and one that was applied
            // may be reported as a failure: what is there decides.
            let found = self.read(&path).await;
            if !matches!(found, Ok(Found::Version { content, .. }) if content == text) {
                return Err(created.err().unwrap_or(Error::Exists { path }));
            }
        }
        let pointer = Pointer {
            format_version: FORMAT_VERSION,
            job: manifest.job.clone(),
            snapshot: snapshot.clone(),
            sequence,
            manifest: path,
            run: manifest.run.clone(),
            published_at: manifest.published_at,
        };
        self.commit(&pointer, current).await?;
        Ok(Published { snapshot })
    }

    /// The single commit. Neither "yes" nor "no" of a store is taken for the truth where its client repeats requests: the
    /// pointer is read. Ours, or one that came after ours = done; unchanged = try again.
    async fn commit(&self, pointer: &Pointer, current: Option<&Current>) -> Result<(), Error> {
        let text = text_of(pointer);
        let mut expected = current.map_or(Found::Nothing, |current| current.found.clone());
        let mut last = "its pointer did not change".to_owned();
        for tries in 0..SWAP_TRIES_MAX {
            if tries > 0 {
                tokio::time::sleep(STORE_RETRY_WAIT).await;
            }
            match self.swap(layout::LATEST, &expected, text.clone()).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => last = error.to_string(),
            }
            let found = match self.read(layout::LATEST).await {
                Ok(found) => found,
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            };
            if same_content(&found, &expected) {
                expected = found;
                continue;
            }
            let other = match &found {
                Found::Nothing => None,
                Found::Version { content, .. } => Some(parse::<Pointer>(layout::LATEST, content)?),
            };
            return match &other {
                Some(other) if self.leads_to(other, pointer).await? => Ok(()),
                other => {
                    let named = |snapshot: Option<&str>| snapshot.map_or("nothing".to_owned(), |id| format!("`{id}`"));
                    Err(Error::Conflict {
                        found: named(other.as_ref().map(|other| other.snapshot.as_str())),
                        expected: named(current.map(|current| current.pointer.snapshot.as_str())),
                    })
                }
            };
        }
        Err(Error::Unknown { why: last })
    }

    /// Whether a pointer is `ours`, or came after it: somebody may have gone on from what we published before we heard of it.
    async fn leads_to(&self, pointer: &Pointer, ours: &Pointer) -> Result<bool, Error> {
        let (mut snapshot, mut sequence) = (pointer.snapshot.clone(), pointer.sequence);
        while sequence > ours.sequence {
            let manifest = self.load_manifest(&layout::manifest(&snapshot)).await;
            let manifest = manifest.map_err(|error| Error::Unknown { why: error.to_string() })?;
            let Some(previous) = manifest.previous else { return Ok(false) };
            (snapshot, sequence) = (previous, manifest.sequence - 1);
        }
        Ok(snapshot == ours.snapshot)
    }

    /// Writes the status of the last run; the next run repairs what is missed here.
    pub(crate) async fn write_status(&self, status: &Status) -> Result<(), Error> {
        self.overwrite(layout::STATUS, text_of(status)).await
    }

    /// Writes what a table's CSV files cannot say of themselves; the next run repairs what is missed here.
    pub(crate) async fn write_columns(&self, table: &str, list: &ColumnList<'_>) -> Result<(), Error> {
        self.overwrite(&layout::columns(table), text_of(list)).await
    }

    /// Whether this is what stands there of a table's columns.
    pub(crate) async fn has_columns(&self, table: &str, list: &ColumnList<'_>) -> Result<bool, Error> {
        let found = self.read(&layout::columns(table)).await?;
        Ok(matches!(found, Found::Version { content, .. } if content == text_of(list)))
    }

    pub(super) async fn load_manifest(&self, path: &str) -> Result<Manifest, Error> {
        match self.read(path).await? {
            Found::Version { content, .. } => parse(path, &content),
            Found::Nothing => Err(Error::Gone { path: path.to_owned() }),
        }
    }
}

fn same_content(a: &Found, b: &Found) -> bool {
    match (a, b) {
        (Found::Nothing, Found::Nothing) => true,
        (Found::Version { content: a, .. }, Found::Version { content: b, .. }) => a == b,
        (Found::Nothing, Found::Version { .. }) | (Found::Version { .. }, Found::Nothing) => false,
    }
}

pub(super) fn text_of<T: Serialize>(value: &T) -> Bytes {
    let mut text = serde_json::to_vec_pretty(value).expect("manifests hold only texts and numbers");
    text.push(b'\n');
    text.into()
}

/// Reads a document of the dataset; a later format than this haul knows is refused.
pub(crate) fn parse<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T, Error> {
    let wrong = |why: String| Error::Unreadable { path: path.to_owned(), why };
    #[derive(serde::Deserialize)]
    struct Versioned {
        format_version: u32,
    }
    let versioned: Versioned = serde_json::from_slice(content).map_err(|error| wrong(error.to_string()))?;
    if versioned.format_version > FORMAT_VERSION {
        let (version, known) = (versioned.format_version, FORMAT_VERSION);
        return Err(Error::Newer { path: path.to_owned(), version, known });
    }
    serde_json::from_slice(content).map_err(|error| wrong(error.to_string()))
}
