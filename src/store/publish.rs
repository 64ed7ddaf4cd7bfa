//! Making a snapshot visible: the immutable manifest first, then one compare-and-swap of the pointer, which is the
//! commit. A crash before it leaves the old snapshot whole, a crash after it the new one.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::layout;
use super::open::{Found, Store};
use crate::model::manifest::{ColumnList, FORMAT_VERSION, Manifest, Pointer, Status};

/// Tries of a swap whose outcome was unknown and whose pointer turned out unchanged.
const SWAP_TRIES_MAX: usize = 5;

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

    /// The manifests of all snapshots, newest first, and the id of the one that readers see.
    pub(crate) async fn list_snapshots(&self) -> Result<(Vec<Manifest>, Option<String>), Error> {
        let current = self.load_current().await?.map(|current| current.pointer.snapshot);
        let mut names: Vec<String> =
            self.list_documents(layout::SNAPSHOTS).await?.iter().map(|name| layout::manifest(name)).collect();
        names.sort_by(|a, b| b.cmp(a));
        let mut manifests = Vec::with_capacity(names.len());
        for name in names {
            manifests.push(self.load_manifest(&name).await?);
        }
        Ok((manifests, current))
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
        if !self.create(&path, text.clone()).await? {
            // Our own put, repeated by the client after a lost answer, comes back as "exists".
            let is_own = matches!(self.read(&path).await?, Found::Version { content, .. } if content == text);
            if !is_own {
                return Err(Error::Exists { path });
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
        let expected = current.map_or(Found::Nothing, |current| current.found.clone());
        self.commit(&pointer, expected).await?;
        Ok(Published { snapshot })
    }

    /// The single commit. After an unknown outcome the pointer is read: ours = done, unchanged = try again.
    async fn commit(&self, pointer: &Pointer, mut expected: Found) -> Result<(), Error> {
        let text = text_of(pointer);
        let mut last = String::new();
        for _ in 0..SWAP_TRIES_MAX {
            let swapped = self.swap(layout::LATEST, &expected, text.clone()).await;
            if matches!(swapped, Ok(true)) {
                return Ok(());
            }
            if let Err(error) = &swapped {
                last = error.to_string();
            }
            let Ok(found) = self.read(layout::LATEST).await else { continue };
            let found_pointer = match &found {
                Found::Nothing => None,
                Found::Version { content, .. } => Some(parse::<Pointer>(layout::LATEST, content)?),
            };
            match found_pointer {
                Some(found) if found.run == pointer.run && found.snapshot == pointer.snapshot => return Ok(()),
                found_pointer if same_content(&found, &expected) => {
                    drop(found_pointer);
                    expected = found;
                }
                other => {
                    return Err(Error::Conflict {
                        found: other.map_or_else(|| "nothing".to_owned(), |pointer| pointer.snapshot),
                        expected: pointer.snapshot.clone(),
                    });
                }
            }
        }
        Err(Error::Unknown { why: last })
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

    async fn load_manifest(&self, path: &str) -> Result<Manifest, Error> {
        match self.read(path).await? {
            Found::Version { content, .. } => parse(path, &content),
            Found::Nothing => Err(Error::Unreadable { path: path.to_owned(), why: "it is not there".to_owned() }),
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

pub(super) fn parse<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T, Error> {
    let wrong = |why: String| Error::Unreadable { path: path.to_owned(), why };
    #[derive(serde::Deserialize)]
    struct Versioned {
        format_version: u32,
    }
    let versioned: Versioned = serde_json::from_slice(content).map_err(|error| wrong(error.to_string()))?;
    if versioned.format_version > FORMAT_VERSION {
        return Err(wrong(format!("it was written by a newer haul (format {})", versioned.format_version)));
    }
    serde_json::from_slice(content).map_err(|error| wrong(error.to_string()))
}
