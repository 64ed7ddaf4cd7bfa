//! Runs that a gate holds back, kept beside the snapshots until a person decides.

use super::error::Error;
use super::layout::{self, Made};
use super::open::{Found, Store};
use super::publish::{parse, text_of};
use crate::model::held::HeldRun;

impl Store {
    /// Keeps what a run would publish.
    pub(crate) async fn hold(&self, held: &HeldRun) -> Result<(), Error> {
        self.overwrite(&layout::held(&held.run), text_of(held)).await
    }

    /// All held runs, the newest first.
    pub(crate) async fn list_held(&self) -> Result<Vec<HeldRun>, Error> {
        let mut paths = self.list_names(layout::HELD).await?;
        paths.sort_by(|a, b| b.cmp(a));
        let mut held = Vec::with_capacity(paths.len());
        for path in paths {
            if let Some(Made::Held { run }) = Made::read(&path) {
                // Another process may decide meanwhile.
                held.extend(self.load_held(run).await?);
            }
        }
        Ok(held)
    }

    /// A held run. `None` = there is none with this id.
    pub(crate) async fn load_held(&self, run: &str) -> Result<Option<HeldRun>, Error> {
        let path = layout::held(run);
        match self.read(&path).await? {
            Found::Nothing => Ok(None),
            Found::Version { content, .. } => Ok(Some(parse(&path, &content)?)),
        }
    }

    /// Forgets a held run. Its parts are nobody's from now on.
    pub(crate) async fn discard_held(&self, run: &str) -> Result<(), Error> {
        self.remove(&layout::held(run)).await
    }
}
