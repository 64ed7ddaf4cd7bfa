//! What was published before: the manifests that are there, and whether a snapshot's parts still are.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use super::error::Error;
use super::layout::{self, Made};
use super::open::{Backend, Store, below};
use super::publish::Current;
use crate::limits::STORE_REQUESTS_IN_FLIGHT;
use crate::model::manifest::{Manifest, Part};

/// The snapshots of a job that are still there.
pub(crate) struct Snapshots {
    /// Highest sequence first.
    pub manifests: Vec<Manifest>,
    /// What readers see. Absent = nothing was ever published.
    pub current: Option<String>,
}

impl Snapshots {
    /// The snapshots that readers saw, back from the current one as far as manifests lead. A manifest beside them lost a
    /// race, or its run died before the commit.
    pub(crate) fn published(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut next = self.current.as_ref();
        for manifest in &self.manifests {
            if next == Some(&manifest.snapshot) {
                found.insert(manifest.snapshot.as_str());
                next = manifest.previous.as_ref();
            }
        }
        found
    }
}

impl Store {
    /// The manifests of all snapshots, newest first, and the id of the one that readers see.
    pub(crate) async fn list_snapshots(&self) -> Result<Snapshots, Error> {
        let current = self.load_current().await?.map(|current| current.manifest.snapshot);
        let names = self.list_manifests().await?;
        let loads = names.iter().map(|(_, path)| self.load_listed(path));
        let found: Vec<Option<Manifest>> =
            futures_util::stream::iter(loads).buffered(STORE_REQUESTS_IN_FLIGHT).try_collect().await?;
        Ok(Snapshots { manifests: found.into_iter().flatten().collect(), current })
    }

    /// A manifest that was listed. `None` = a sweep removed it meanwhile.
    pub(super) async fn load_listed(&self, path: &str) -> Result<Option<Manifest>, Error> {
        match self.load_manifest(path).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sequence and path of every manifest, the highest sequence first.
    pub(super) async fn list_manifests(&self) -> Result<Vec<(u64, String)>, Error> {
        let names = self.list_names(layout::SNAPSHOTS).await?;
        let mut found: Vec<(u64, String)> = names
            .iter()
            .filter_map(|name| match Made::read(name) {
                Some(Made::Manifest { snapshot, sequence }) => Some((sequence, layout::manifest(snapshot))),
                _ => None,
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// Paths of what lies in one of the job's folders.
    pub(super) async fn list_names(&self, within: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        match self.backend() {
            Backend::Local(folder) => {
                let folder = folder.join(within);
                let wrong = |source| Error::File { path: folder.clone(), doing: "listed", source };
                let entries = match std::fs::read_dir(&folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
                    Err(source) => return Err(wrong(source)),
                };
                for entry in entries {
                    names.push(entry.map_err(wrong)?.file_name().to_string_lossy().into_owned());
                }
            }
            Backend::Remote { store, prefix } => {
                let listed = store
                    .list_with_delimiter(Some(&below(prefix, within)))
                    .await
                    .map_err(|source| Error::Object { path: within.to_owned(), doing: "listed", source })?;
                names.extend(listed.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)));
            }
        }
        Ok(names.into_iter().map(|name| format!("{within}/{name}")).collect())
    }

    /// Looks whether all parts of a snapshot are there in their size; the error names the first that is not.
    pub(crate) async fn check_parts(&self, manifest: &Manifest) -> Result<(), Error> {
        let checks = manifest.parts().map(|part| self.check_part(part));
        futures_util::stream::iter(checks).buffered(STORE_REQUESTS_IN_FLIGHT).try_collect().await
    }

    /// The same of the parts that are new and were begun before this instant: a sweep that knows nothing of their run may
    /// have found them old enough. Others need no look.
    pub(crate) async fn check_old_parts(
        &self,
        current: Option<&Current>,
        manifest: &Manifest,
        begun_before: DateTime<Utc>,
    ) -> Result<(), Error> {
        let known: HashSet<&str> =
            current.iter().flat_map(|current| current.manifest.parts()).map(|part| part.path.as_str()).collect();
        let is_old = |part: &&Part| {
            let begun_at = Made::read(&part.path).and_then(Made::begun_at);
            !known.contains(part.path.as_str()) && begun_at.is_none_or(|begun_at| begun_at < begun_before)
        };
        let checks = manifest.parts().filter(is_old).map(|part| self.check_part(part));
        futures_util::stream::iter(checks).buffered(STORE_REQUESTS_IN_FLIGHT).try_collect().await
    }

    async fn check_part(&self, part: &Part) -> Result<(), Error> {
        let path = part.path.clone();
        let bytes = match self.backend() {
            Backend::Local(folder) => match std::fs::metadata(folder.join(&part.path)) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::Gone { path }),
                Err(source) => return Err(Error::File { path: folder.join(&part.path), doing: "read", source }),
            },
            Backend::Remote { store, prefix } => match store.head(&below(prefix, &part.path)).await {
                Ok(found) => found.size,
                Err(object_store::Error::NotFound { .. }) => return Err(Error::Gone { path }),
                Err(source) => return Err(Error::Object { path, doing: "read", source }),
            },
        };
        if bytes == part.bytes {
            return Ok(());
        }
        Err(Error::Differs { path, why: format!("{bytes} bytes instead of {}", part.bytes) })
    }
}
