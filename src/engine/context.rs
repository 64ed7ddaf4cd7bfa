//! Everything a run needs, opened: secrets resolved, client, credential, store and record store at hand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, SubsecRound, Utc};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::credential::{open_kind, open_network};
use super::error::Error;
use super::log::RunLog;
use super::place::StatePlace;
use super::quota::quota_of;
use super::share::reseal_keys;
use crate::auth::{self, Access, Kind, Vault, VaultKey, add_key, drop_former_keys};
use crate::clock::Clock;
use crate::http::{self, Client, Connections, Origin, Pace, Player, Recorder, Tape};
use crate::job::load::{Environment, SecretError, Secrets};
use crate::limits::{ATTEMPTS_MAX, GUESS_TRIES_MAX};
use crate::model::credential::{SessionToken, TokenPlace};
use crate::model::plan::{Auth, Job, KeyPlace};
use crate::secret::Secret;
use crate::source::Source;
use crate::state;
use crate::state::{Observations, RecordStore, make_private};
use crate::store::{Store, open_unrepeated};
use crate::telemetry::Telemetry;

/// What the operator chose for this machine.
pub(crate) struct Settings {
    /// Where the records are.
    pub state: StatePlace,
    /// Folder of this machine for what is not shared: the vault key, what was seen of other hosts' leases. The state
    /// folder where the state is one.
    pub local_folder: PathBuf,
    /// The vault key that the operator gives, or several while it is replaced. Absent = the key file of the local folder.
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
    pub source: Arc<Source>,
    pub store: Store,
    pub records: Arc<RecordStore>,
    pub observations: Observations,
    pub cancel: CancellationToken,
    pub telemetry: Telemetry,
    /// Of all that the telemetry is told.
    pub log: Arc<RunLog>,
    /// Folder of this machine for what is not shared.
    pub local_folder: PathBuf,
    /// Absent = no other host sees the pages of this run.
    pub page_key: Option<Arc<VaultKey>>,
    /// For the tokens of refreshes in Power BI, or why it cannot be opened: tables do without. Absent = nothing is refreshed.
    pub vault: Option<Result<Arc<Vault>, Error>>,
    /// Whether the exchange goes to a tape or comes from one.
    pub is_taped: bool,
    /// Set when the run goes on from an unfinished one.
    resumed_as_of: OnceLock<DateTime<Utc>>,
}

/// What a run is opened for.
pub(crate) enum Purpose {
    /// To read the source and publish where the job says.
    Run,
    /// To find out how the source is read, while somebody waits.
    Try,
    /// To keep the exchange on this tape; what is read is thrown away.
    Record(PathBuf),
    /// To read from a tape instead of the source, into a local folder.
    Replay(Arc<Player>),
    /// To make the tables from what earlier runs kept. Nothing is asked.
    Rebuild,
}

impl Settings {
    /// Everything in one folder of this machine.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Settings {
            state: StatePlace::Folder(folder.to_path_buf()),
            local_folder: folder.to_path_buf(),
            vault_key: None,
        }
    }

    /// Opens the records; the local folder is made private to the user.
    pub(crate) async fn open_records(&self) -> Result<Arc<RecordStore>, Error> {
        make_private(&self.local_folder)?;
        let records = match &self.state {
            StatePlace::Folder(folder) => RecordStore::open_folder(folder)?,
            StatePlace::Postgres { address, password } => {
                RecordStore::open_postgres(address, password.as_ref()).await?
            }
            StatePlace::Objects { url, options } => {
                let (store, prefix) = open_unrepeated(url, options.clone())
                    .map_err(|why| state::Error::Place { place: format!("`{url}`"), why })?;
                RecordStore::open_objects(store, prefix, url.as_str()).await?
            }
        };
        Ok(Arc::new(records))
    }

    pub(crate) async fn open_vault(&self, records: &Arc<RecordStore>) -> Result<Arc<Vault>, Error> {
        Ok(Arc::new(Vault::open(Arc::clone(records), self.key()?, &self.local_folder).await?))
    }

    /// The key for pages that other hosts may see.
    pub(super) fn page_key(&self) -> Result<Arc<VaultKey>, Error> {
        Ok(Arc::new(self.key()?))
    }

    /// The vault's key.
    pub(super) fn key(&self) -> Result<VaultKey, Error> {
        Ok(match &self.vault_key {
            Some(key) => VaultKey::from_text(key, "in HAUL_VAULT_KEY, its file or its command")?,
            None => VaultKey::from_folder(&self.local_folder)?,
        })
    }

    /// Seals all records with a new key, and tells how many there are. Can be cut off and begun again anywhere.
    pub(crate) async fn rotate_key(&self, records: &Arc<RecordStore>) -> Result<usize, Error> {
        if self.vault_key.is_none() {
            self.open_vault(records).await?;
            add_key(&self.local_folder)?;
        }
        let vault = self.open_vault(records).await?;
        if vault.key_count() < 2 {
            return Err(auth::Error::KeyNotOurs.into());
        }
        let count = vault.reseal().await?;
        reseal_keys(records, &self.key()?).await?;
        if self.vault_key.is_none() {
            drop_former_keys(&self.local_folder)?;
        }
        Ok(count)
    }
}

impl From<crate::auth::Error> for OpenError {
    fn from(error: crate::auth::Error) -> Self {
        OpenError::Run(error.into())
    }
}

impl Context {
    /// The instant that the run speaks of as now: that of the run it goes on from, or its own.
    pub(crate) fn as_of(&self) -> DateTime<Utc> {
        self.resumed_as_of.get().copied().unwrap_or(self.started_at)
    }

    /// What the parts that this run writes say of their age.
    pub(super) fn changed_at(&self) -> DateTime<Utc> {
        self.started_at.trunc_subsecs(0)
    }

    /// The run goes on from one that began then.
    pub(super) fn resume_as_of(&self, as_of: DateTime<Utc>) {
        let _ = self.resumed_as_of.set(as_of);
    }

    /// The surroundings in which an earlier run began, with another place for its tables.
    pub(super) fn at_round(&self, run: &str, as_of: DateTime<Utc>, store: Store) -> Self {
        Context {
            job: self.job.clone(),
            run: run.to_owned(),
            started_at: as_of,
            source: Arc::clone(&self.source),
            store,
            records: Arc::clone(&self.records),
            observations: self.observations.clone(),
            cancel: self.cancel.clone(),
            telemetry: self.telemetry.clone(),
            log: Arc::clone(&self.log),
            local_folder: self.local_folder.clone(),
            page_key: None,
            vault: None,
            is_taped: self.is_taped,
            resumed_as_of: OnceLock::new(),
        }
    }

    /// Opens what the job names. Secrets are read here and nowhere later.
    pub(crate) async fn open(
        job: Job,
        settings: &Settings,
        purpose: Purpose,
        cancel: CancellationToken,
        telemetry: Telemetry,
    ) -> Result<Self, OpenError> {
        let records = settings.open_records().await?;
        let log = Arc::new(RunLog::default());
        let telemetry = log.watch(telemetry);
        let mut started_at = Clock.now();
        let tries_max = if matches!(purpose, Purpose::Try) { GUESS_TRIES_MAX } else { ATTEMPTS_MAX };
        let (kind, quota, tape) = match purpose {
            Purpose::Run | Purpose::Try => {
                (open_kind(&job, settings, &records).await?, quota_of(&job, &records), Tape::Off)
            }
            Purpose::Rebuild => (Kind::Anonymous, None, Tape::Off),
            Purpose::Record(path) => {
                let kind = open_kind(&job, settings, &records).await?;
                let recorder = Recorder::create(&path, hidden_params(&job.source.auth), started_at);
                let recorder = Arc::new(recorder.map_err(http::Error::from).map_err(Error::from)?);
                (kind, quota_of(&job, &records), Tape::Recording(recorder))
            }
            Purpose::Replay(player) => {
                // Windows and templates ask for the same as then.
                started_at = player.started_at().unwrap_or(started_at);
                // What stands on the tape in the place of a key in the body.
                let kind = match &job.source.auth {
                    Auth::Key { place: KeyPlace::Body(path), .. } => {
                        Kind::Body { path: path.clone(), value: Secret::new(http::HIDDEN.to_owned()) }
                    }
                    _ => Kind::Anonymous,
                };
                (kind, None, Tape::Playing(player))
            }
        };
        let is_taped = !matches!(tape, Tape::Off);
        let connections = match job.source.auth {
            Auth::Windows(_) => Connections::One,
            _ => Connections::Many,
        };
        let origin = Origin::of(&job.source.base_url).with_guests(&job.source.allow_origins);
        let (network, pace) = (open_network(&job)?, Pace::new(&job.source.limits, quota, telemetry.clone()));
        let client = Client::open(&job.source.base_url, origin, &network, pace, connections, tape, cancel.clone())
            .map_err(Error::from)?;
        let store = open_store(&job)?;
        Ok(Context {
            run: Ulid::generate().to_string(),
            started_at,
            source: Arc::new(
                Source::new(client, Access::new(kind), job.source.network.page_bytes_max).with_tries(tries_max),
            ),
            store,
            observations: Observations::new(&settings.local_folder),
            cancel,
            telemetry,
            log,
            local_folder: settings.local_folder.clone(),
            page_key: if records.is_shared() && !is_taped { Some(settings.page_key()?) } else { None },
            vault: match job.powerbi {
                Some(_) if !is_taped => Some(settings.open_vault(&records).await),
                Some(_) | None => None,
            },
            is_taped,
            resumed_as_of: OnceLock::new(),
            records,
            job,
        })
    }
}

/// Query parameters that carry the credential.
fn hidden_params(auth: &Auth) -> Vec<String> {
    match auth {
        Auth::Key { place: KeyPlace::Param(name), .. } => vec![name.clone()],
        Auth::Session(session) => match &session.carries {
            SessionToken::Body { place: TokenPlace::Param(name), .. } => vec![name.clone()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The job's folder in its destination.
pub(crate) fn open_store(job: &Job) -> Result<Store, OpenError> {
    Ok(Store::open(&job.destination.place, &job.name, store_options(job)?).map_err(Error::from)?)
}

/// The options of the job's destination with their secrets at hand.
pub(super) fn store_options(job: &Job) -> Result<Vec<(String, String)>, SecretError> {
    // The environment first: what the job file says wins.
    let mut options = Environment::store_options(&job.destination.place);
    for (name, value) in &job.destination.options {
        options.push((name.clone(), Secrets::resolve_text(value)?));
    }
    Ok(options)
}
