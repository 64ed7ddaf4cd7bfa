//! Everything a run needs, opened: secrets resolved, client, credential, store and record store at hand.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::credential::open_kind;
use super::error::Error;
use crate::auth::{Access, Vault, VaultKey};
use crate::clock::Clock;
use crate::http::{Client, Pace};
use crate::job::load::{Environment, SecretError, Secrets};
use crate::model::plan::Job;
use crate::secret::Secret;
use crate::source::Source;
use crate::state::RecordStore;
use crate::store::Store;
use crate::telemetry::Telemetry;

/// What the operator chose for this machine.
pub(crate) struct Settings {
    /// Folder of the record store and the vault key.
    pub state_folder: PathBuf,
    /// The vault key from the environment. Absent = the key file of the state folder.
    pub vault_key: Option<Secret>,
}

/// Why a context cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("{0}")]
    Run(#[from] Error),
}

/// One run's surroundings.
pub(crate) struct Context {
    pub job: Job,
    /// ULID: sorts by time, names parts and snapshots.
    pub run: String,
    pub started_at: DateTime<Utc>,
    pub source: Source,
    pub store: Store,
    pub records: Arc<RecordStore>,
    pub cancel: CancellationToken,
    pub telemetry: Telemetry,
}

impl Settings {
    pub(crate) fn open_records(&self) -> Result<Arc<RecordStore>, Error> {
        Ok(Arc::new(RecordStore::open_folder(&self.state_folder)?))
    }

    pub(crate) fn open_vault(&self, records: &Arc<RecordStore>) -> Result<Vault, Error> {
        let key = match &self.vault_key {
            Some(key) => VaultKey::from_text(key, "in HAUL_VAULT_KEY")?,
            None => VaultKey::from_folder(&self.state_folder)?,
        };
        Ok(Vault::new(Arc::clone(records), key))
    }
}

impl From<crate::auth::Error> for OpenError {
    fn from(error: crate::auth::Error) -> Self {
        OpenError::Run(error.into())
    }
}

impl Context {
    /// Opens what the job names. Secrets are read here and nowhere later.
    pub(crate) fn open(
        job: Job,
        settings: &Settings,
        cancel: CancellationToken,
        telemetry: Telemetry,
    ) -> Result<Self, OpenError> {
        let records = settings.open_records()?;
        let kind = open_kind(&job, settings, &records)?;
        let client =
            Client::open(&job.source.base_url, Pace::new(job.source.limits), cancel.clone()).map_err(Error::from)?;
        let store = open_store(&job)?;
        Ok(Context {
            run: Ulid::generate().to_string(),
            started_at: Clock.now(),
            source: Source::new(client, Access::new(kind)),
            store,
            records,
            cancel,
            telemetry,
            job,
        })
    }
}

/// The job's folder in its destination.
pub(crate) fn open_store(job: &Job) -> Result<Store, OpenError> {
    // The environment first: what the job file says wins.
    let mut options = Environment::store_options(&job.destination.place);
    for (name, value) in &job.destination.options {
        options.push((name.clone(), Secrets::resolve_text(value)?));
    }
    Ok(Store::open(&job.destination.place, &job.name, options).map_err(Error::from)?)
}
