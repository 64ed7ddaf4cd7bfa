//! What nobody needs any more goes: manifests of old snapshots first, then files that no manifest names. A file goes only
//! when an earlier sweep found it unnamed long enough ago and it is as old itself: the files of a publication that is
//! going on are unnamed, too. Nothing that haul did not make is ever touched.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use serde_json::Value;

use super::error::Error;
use super::layout::{self, Made};
use super::open::{Backend, Found, Store, local};
use super::retention::{Retention, before};
use crate::limits::{STORE_REQUESTS_IN_FLIGHT, SWEEP_NOTES_MAX, SWEEP_REMOVALS_MAX};
use crate::model::manifest::Manifest;
use crate::model::plan::Keep;
use crate::model::report::SweepCounts;

/// When files were first found unnamed, by their path.
pub(crate) type Notes = BTreeMap<String, DateTime<Utc>>;

/// Whether a sweep removes what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweeping {
    Removes,
    /// It only tells what it would remove.
    Tells,
}

/// A file that goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Removed {
    pub path: String,
    pub bytes: u64,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Ids of snapshots whose manifests go, the oldest first.
    pub snapshots: Vec<String>,
    /// Files that go.
    pub files: Vec<Removed>,
    /// Unnamed files that go later.
    pub waiting: Vec<Removed>,
    /// Since when the waiting ones were found unnamed, for the next sweep.
    pub notes: Notes,
    /// The limit of one sweep was reached; the next one goes on.
    pub is_cut: bool,
}

impl Swept {
    /// The same in numbers. `None` = nothing was found.
    pub(crate) fn counts(&self) -> Option<SweepCounts> {
        let counts = SweepCounts {
            snapshots: self.snapshots.len() as u64,
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            waiting: self.waiting.len() as u64,
        };
        (counts != SweepCounts::default()).then_some(counts)
    }
}

/// What kept manifests speak of.
#[derive(Default)]
struct Named {
    paths: HashSet<String>,
    runs: HashSet<String>,
}

/// A file that is one of haul's, as it was listed.
struct Listed {
    path: String,
    bytes: u64,
    modified_at: DateTime<Utc>,
}

impl Store {
    /// Sweeps the job's folder. `notes` are those of the sweep before; lost ones only make files wait once more.
    pub(crate) async fn sweep(
        &self,
        keep: Keep,
        now: DateTime<Utc>,
        notes: &Notes,
        sweeping: Sweeping,
    ) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        // The held first: one that is published meanwhile is among the snapshots before it leaves here.
        let mut named = self.name_held().await?;
        let current = self.load_current().await?;
        let mut retention = Retention::new(keep, now, current.as_ref().map(|current| &current.manifest));
        if let Some(current) = &current {
            named.add(&current.manifest);
        }
        let judged = self.judge_manifests(&mut retention, &mut named).await?;
        let left = judged.len().saturating_sub(SWEEP_REMOVALS_MAX);
        // The oldest first: what stays is always the end of the chain, without a gap.
        for snapshot in judged.into_iter().rev().take(SWEEP_REMOVALS_MAX) {
            if sweeping == Sweeping::Removes {
                self.remove(&layout::manifest(&snapshot)).await?;
            }
            swept.snapshots.push(snapshot);
        }
        if left > 0 {
            // The manifests that are left still name files.
            swept.is_cut = true;
            swept.notes = notes.clone();
            return Ok(swept);
        }
        let old = before(now, keep);
        let room = SWEEP_REMOVALS_MAX - swept.snapshots.len();
        for file in self.list_unnamed(&named).await? {
            let noted_at = notes.get(&file.path).copied().unwrap_or(now);
            let removed = Removed { path: file.path, bytes: file.bytes };
            let goes = noted_at <= old && file.modified_at <= old;
            if goes && swept.files.len() < room {
                swept.files.push(removed);
                continue;
            }
            swept.is_cut |= goes;
            if swept.notes.len() < SWEEP_NOTES_MAX {
                swept.notes.insert(removed.path.clone(), noted_at);
            }
            swept.waiting.push(removed);
        }
        if sweeping == Sweeping::Removes {
            let removals = swept.files.iter().map(|file| self.remove(&file.path));
            futures_util::stream::iter(removals).buffer_unordered(STORE_REQUESTS_IN_FLIGHT).try_collect::<()>().await?;
        }
        Ok(swept)
    }

    /// What the manifests of held runs speak of, in whatever form they are.
    async fn name_held(&self) -> Result<Named, Error> {
        let mut named = Named::default();
        for path in self.list_names(layout::HELD).await? {
            if let Some(Made::Held { run }) = Made::read(&path)
                && let Found::Version { content, .. } = self.read(&layout::held(run)).await?
            {
                let value: Value = serde_json::from_slice(&content)
                    .map_err(|error| Error::Unreadable { path: path.clone(), why: error.to_string() })?;
                named.runs.insert(run.to_owned());
                named.add_texts(&value);
            }
        }
        Ok(named)
    }

    /// Reads every manifest, gathers what the kept ones name, and gives the ids of the others, the newest first.
    async fn judge_manifests(&self, retention: &mut Retention, named: &mut Named) -> Result<Vec<String>, Error> {
        let names = self.list_manifests().await?;
        let loads = names.iter().map(|(_, path)| self.load_listed(path));
        let mut loads = futures_util::stream::iter(loads).buffered(STORE_REQUESTS_IN_FLIGHT);
        let mut old = Vec::new();
        while let Some(manifest) = loads.try_next().await? {
            let Some(manifest) = manifest else { continue };
            if retention.keeps(&manifest) {
                named.add(&manifest);
            } else {
                old.push(manifest.snapshot);
            }
        }
        Ok(old)
    }

    /// Parts, raw copies, files of bad records, and files that a killed run did not finish, that no manifest speaks of.
    async fn list_unnamed(&self, named: &Named) -> Result<Vec<Listed>, Error> {
        let is_unnamed = |path: &str| is_swept(path) && !named.has(path);
        let mut found = Vec::new();
        match self.backend() {
            Backend::Local(folder) => local::blocking(|| {
                local::walk(folder, layout::DEPTH_MAX, &mut |path, metadata| {
                    if !is_unnamed(&path) {
                        return Ok(());
                    }
                    let modified_at = metadata.modified()?.into();
                    found.push(Listed { path, bytes: metadata.len(), modified_at });
                    Ok(())
                })
            })?,
            Backend::Remote { store, prefix } => {
                let wrong = |source| Error::Object { path: String::new(), doing: "listed", source };
                let mut objects = store.list(Some(prefix));
                while let Some(ObjectMeta { location, size, last_modified, .. }) =
                    objects.try_next().await.map_err(wrong)?
                {
                    let Some(parts) = location.prefix_match(prefix) else { continue };
                    let path = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                    if is_unnamed(&path) {
                        found.push(Listed { path, bytes: size, modified_at: last_modified });
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Whether a file goes when nothing names it. Manifests go by a rule of their own, held ones by a person's word.
fn is_swept(path: &str) -> bool {
    match Made::read(path) {
        Some(Made::Part { .. } | Made::Quarantine { .. } | Made::Raw { .. } | Made::Temporary) => true,
        Some(Made::Manifest { .. } | Made::Held { .. }) | None => false,
    }
}

impl Named {
    fn add(&mut self, manifest: &Manifest) {
        self.runs.insert(manifest.run.clone());
        for file in manifest.parts().chain(manifest.raw_files()) {
            self.add_path(&file.path);
        }
    }

    fn add_path(&mut self, path: &str) {
        if let Some(Made::Part { run }) = Made::read(path) {
            self.runs.insert(run.to_owned());
        }
        self.paths.insert(path.to_owned());
    }

    /// The same of a manifest in whatever form: every text that could be a path is one.
    fn add_texts(&mut self, value: &Value) {
        match value {
            Value::String(text) if Made::read(text).is_some() => self.add_path(text),
            Value::Array(values) => values.iter().for_each(|value| self.add_texts(value)),
            Value::Object(members) => members.values().for_each(|value| self.add_texts(value)),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether a file is spoken of. Bad records stay as long as a part of their run does.
    fn has(&self, path: &str) -> bool {
        match Made::read(path) {
            Some(Made::Quarantine { run }) => self.runs.contains(run),
            _ => self.paths.contains(path),
        }
    }
}
