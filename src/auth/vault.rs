//! The vault: one record per credential, changed only by compare-and-swap. How a refresh token is spent is settled in
//! `protocol` and carried out in `refresh`; here is everything else that happens to a record.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::disk::Disk;
use super::error::Error;
use super::issuer::Issuer;
use super::protocol::{Child, CredentialState, Ledger};
use super::record::{Identity, Opened, PREFIX, Record, Stamp, Summary, Tokens};
use super::refresh::Attempt;
use super::seal::VaultKey;
use crate::clock::Clock;
use crate::limits::{REFRESH_LEASE_WAITS, TOKEN_WAIT_MAX};
use crate::secret::Secret;
use crate::state::{RecordStore, Version};

/// Refresh this long before the end, so that a page under way does not meet a dead token.
const EARLY_SECS_MAX: i64 = 30;
/// How often somebody who wants to change a record looks whether a refresh is over.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// How long they wait: the longest lease.
const BUSY_WAIT_MAX: Duration = TOKEN_WAIT_MAX.saturating_mul(REFRESH_LEASE_WAITS);
/// The record that tells which folder a store of this machine belongs to.
const PLACE_KEY: &str = "vault/place";

/// One attempt at a time within this process; the record's announcement does the same between processes.
static ONE: Mutex<()> = Mutex::const_new(());

/// The vault of this machine, or the part that this machine has in a shared one.
pub(crate) struct Vault {
    store: Arc<RecordStore>,
    key: VaultKey,
    disk: Disk,
    /// Tokens of this process's last look, by credential, so that a page does not cost a look at the store.
    recent: std::sync::Mutex<HashMap<String, AccessToken>>,
    refreshes: AtomicU64,
    haste: f64,
}

/// An access token at the moment of use, with the generation that tells whether it was replaced since.
#[derive(Debug, Clone)]
pub(super) struct AccessToken {
    pub tokens: Tokens,
    pub generation: u64,
}

/// What a logout reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    AtProvider,
    /// The job names no revocation endpoint.
    HereOnly,
}

/// Another number between 0 and 1 in every process.
fn haste() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl Tokens {
    /// Whether the access token outlives the next request. `haste` (0 to 1) is how early it is replaced, and differs
    /// between processes, so that not all of them come at once.
    pub(super) fn is_good(&self, now: DateTime<Utc>, haste: f64) -> bool {
        let Some(expires_at) = self.expires_at else { return true };
        let lifetime = self.lifetime_secs.unwrap_or(i64::MAX);
        let left = (expires_at - now).num_seconds();
        // More left than it ever had: the clock was put back, and nobody knows how much is true.
        let early = (lifetime / 5).clamp(0, EARLY_SECS_MAX) as f64 * (1.0 + haste) / 2.0;
        left as f64 > early && left <= lifetime
    }
}

impl Vault {
    /// Opens the vault with what this machine keeps in its local folder.
    pub(crate) async fn open(store: Arc<RecordStore>, key: VaultKey, local_folder: &Path) -> Result<Self, Error> {
        let disk = Disk::open(local_folder)?;
        let vault = Vault {
            store,
            key,
            disk,
            recent: std::sync::Mutex::default(),
            refreshes: AtomicU64::new(0),
            haste: haste(),
        };
        if !vault.store.is_shared() {
            vault.notice_copy().await?;
        }
        Ok(vault)
    }

    /// A store of this machine that came from another folder is a copy: the original may go on, and spend what both
    /// have. Whoever's token must not be spent twice is held until a person decides.
    async fn notice_copy(&self) -> Result<(), Error> {
        loop {
            let place = self.disk.place();
            match self.store.get(PLACE_KEY).await? {
                None => {
                    if self.store.create(PLACE_KEY, place).await? {
                        return Ok(());
                    }
                }
                Some(found) if found.value == place => return Ok(()),
                Some(found) => {
                    for stored in self.store.list(PREFIX).await? {
                        let record = Record::from_text(&stored.key, &stored.value)?;
                        self.disk.remember(record.id(), record.generation() + 1);
                    }
                    if self.store.swap(PLACE_KEY, &found.version, place).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// How many vault keys there are; more than one while they are rotated.
    pub(crate) fn key_count(&self) -> usize {
        self.key.count()
    }

    pub(super) fn haste(&self) -> f64 {
        self.haste
    }

    pub(super) fn key(&self) -> &VaultKey {
        &self.key
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Token answers that this process stored.
    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes.load(Ordering::Relaxed)
    }

    pub(super) fn count_refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// All credentials, without their values.
    pub(crate) async fn list(&self) -> Result<Vec<Summary>, Error> {
        let records = self.store.list(PREFIX).await?;
        records.iter().map(|found| Ok(Record::from_text(&found.key, &found.value)?.summary())).collect()
    }

    /// One credential, without its values. `None` = nothing is stored.
    pub(crate) async fn summary(&self, issuer: &Issuer) -> Result<Option<Summary>, Error> {
        Ok(self.load(&issuer.identity()).await?.map(|(_, record)| record.summary()))
    }

    /// Whether tokens are stored and no login is asked for.
    pub(crate) async fn is_logged_in(&self, issuer: &Issuer) -> Result<bool, Error> {
        let Some((_, record)) = self.load(&issuer.identity()).await? else { return Ok(false) };
        let ledger = record.open(&self.key)?;
        Ok(ledger.current.is_some() && ledger.state != CredentialState::Reauth)
    }

    /// A token that is good now. `refused` is the generation that the API just answered 401 to.
    pub(super) async fn token(
        self: &Arc<Self>,
        issuer: &Arc<Issuer>,
        refused: Option<u64>,
    ) -> Result<AccessToken, Error> {
        let id = issuer.identity().id;
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = recent().get(&id)
            && refused.is_none_or(|refused| token.generation > refused)
            && token.tokens.is_good(Clock.now(), self.haste)
        {
            return Ok(token.clone());
        }
        let (vault, issuer) = (Arc::clone(self), Arc::clone(issuer));
        // A task of its own: a run that is stopped drops its requests, and must not drop a token on its way.
        let attempt = tokio::spawn(async move {
            let _one = ONE.lock().await;
            Attempt::new(&vault, &issuer, refused).run().await
        });
        let token = match attempt.await {
            Ok(token) => token?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Error::Stopped),
            },
        };
        recent().insert(id, token.clone());
        Ok(token)
    }

    /// Makes sure of a good token, or of a new one.
    pub(crate) async fn test(self: &Arc<Self>, issuer: &Arc<Issuer>, is_new: bool) -> Result<(), Error> {
        let generation = self.load(&issuer.identity()).await?.map(|(_, record)| record.generation());
        self.token(issuer, generation.filter(|_| is_new)).await?;
        Ok(())
    }

    /// Stores the tokens of a login.
    pub(super) async fn store_login(
        &self,
        identity: &Identity,
        tokens: Tokens,
        idle: Option<Duration>,
    ) -> Result<(), Error> {
        self.start_anew(identity, tokens, idle, "login").await
    }

    /// Stores a refresh token that was got elsewhere. Nobody else may use it from now on.
    pub(crate) async fn import(&self, issuer: &Issuer, refresh: Secret) -> Result<(), Error> {
        let tokens = Tokens {
            access: Secret::new(String::new()),
            refresh: Some(refresh),
            // Over: the first use buys an access token.
            expires_at: Some(DateTime::UNIX_EPOCH),
            lifetime_secs: None,
        };
        self.start_anew(&issuer.identity(), tokens, issuer.rotation().idle, "imported").await
    }

    async fn start_anew(
        &self,
        identity: &Identity,
        tokens: Tokens,
        idle: Option<Duration>,
        what: &str,
    ) -> Result<(), Error> {
        let mut child = Child { tokens, parent: None, epoch: 0 };
        loop {
            let (version, record, ledger) = match self.load(identity).await? {
                Some((version, record)) => {
                    // Sealed with a key that is gone: what cannot be opened is given up, which is what a login is for.
                    let ledger = record.open(&self.key).unwrap_or_else(|_| record.emptied());
                    (Some(version), record, ledger)
                }
                None => (None, Record::new(identity), Ledger::new()),
            };
            child.epoch = ledger.epoch + 1;
            // On the disk first: a login costs a person's time.
            self.disk.spill(&identity.id, &child, &self.key)?;
            let stamp = Stamp { at: Clock.now(), lease: Duration::ZERO, idle, what };
            let record = record.with(&ledger.logged_in(child.clone()), &self.key, &stamp);
            let stored = self.replace(identity, version.as_ref(), &record).await;
            if !matches!(stored, Err(Error::Store(_))) {
                self.disk.forget_all(&identity.id);
            }
            match stored {
                Ok(true) => {
                    self.disk.remember(&identity.id, record.generation());
                    return Ok(());
                }
                Ok(false) => {}
                Err(Error::Store(source)) => {
                    return Err(Error::Spilled { origin: identity.bound_to.clone(), source });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on with what is here, although a newer token may be elsewhere. `false` = there is no record.
    pub(crate) async fn take_over(&self, issuer: &Issuer) -> Result<bool, Error> {
        let identity = issuer.identity();
        loop {
            let (version, record, ledger) = self.opened(&identity).await?;
            if version.is_none() {
                return Ok(false);
            }
            let is_login_needed = ledger.state == CredentialState::Reauth;
            let generation = ledger.generation;
            if is_login_needed
                || self.change(&identity, version.as_ref(), &record, &ledger.taken_over(), "taken over").await?
            {
                self.disk.remember(&identity.id, generation);
                return Ok(!is_login_needed);
            }
        }
    }

    /// Revokes the tokens where the provider can, and forgets them. `Ok(None)` = there was nothing.
    pub(crate) async fn logout(&self, issuer: &Issuer) -> Result<Option<Revoked>, Error> {
        let identity = issuer.identity();
        loop {
            let (version, record, ledger) = self.settled(&identity).await?;
            let Some(current) = &ledger.current else { return Ok(None) };
            let revoked = if issuer.revoke(&current.tokens).await? { Revoked::AtProvider } else { Revoked::HereOnly };
            if self.change(&identity, version.as_ref(), &record, &ledger.logged_out(), "logout").await? {
                self.disk.forget_all(&identity.id);
                return Ok(Some(revoked));
            }
        }
    }

    /// Seals every record with the newest key, and tells how many there were. Whoever has only a former key cannot open
    /// them from then on.
    pub(crate) async fn reseal(&self) -> Result<usize, Error> {
        if self.disk.has_spilled()? {
            return Err(Error::SpilledBefore);
        }
        let mut count = 0;
        for stored in self.store.list(PREFIX).await? {
            let identity = Record::from_text(&stored.key, &stored.value)?.identity();
            loop {
                let (version, record, ledger) = self.settled(&identity).await?;
                if record.is_sealed_by_newest(&self.key)
                    || self.change(&identity, version.as_ref(), &record, &ledger, "sealed with a new key").await?
                {
                    break;
                }
            }
            count += 1;
        }
        Ok(count)
    }

    /// Whether this host has seen a newer generation of the record; remembers this one where it is the newest.
    pub(super) fn is_behind(&self, record: &Record) -> bool {
        let seen = self.disk.seen(record.id());
        if record.generation() > seen {
            self.disk.remember(record.id(), record.generation());
        }
        record.generation() < seen
    }

    async fn opened(&self, identity: &Identity) -> Result<(Option<Version>, Record, Opened), Error> {
        Ok(match self.load(identity).await? {
            Some((version, record)) => {
                let ledger = record.open(&self.key)?;
                (Some(version), record, ledger)
            }
            None => (None, Record::new(identity), Ledger::new()),
        })
    }

    /// The record once nobody refreshes it.
    async fn settled(&self, identity: &Identity) -> Result<(Option<Version>, Record, Opened), Error> {
        let since = Clock.boot_time();
        loop {
            let (version, record, ledger) = self.opened(identity).await?;
            let is_busy = ledger.intent.as_ref().is_some_and(|intent| !intent.holder.holder.is_dead());
            if !is_busy {
                return Ok((version, record, ledger));
            }
            if Clock.boot_time().saturating_sub(since) > BUSY_WAIT_MAX {
                return Err(Error::Busy { origin: identity.bound_to.clone() });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn change(
        &self,
        identity: &Identity,
        version: Option<&Version>,
        former: &Record,
        ledger: &Opened,
        what: &str,
    ) -> Result<bool, Error> {
        let stamp = Stamp { at: Clock.now(), lease: Duration::ZERO, idle: None, what };
        self.replace(identity, version, &former.with(ledger, &self.key, &stamp)).await
    }

    pub(super) async fn load(&self, identity: &Identity) -> Result<Option<(Version, Record)>, Error> {
        let Some(found) = self.store.get(&identity.key()).await? else { return Ok(None) };
        let record = Record::from_text(&found.key, &found.value)?;
        Ok(Some((found.version, record)))
    }

    /// Writes the record durably; `false` = somebody changed it since.
    pub(super) async fn replace(
        &self,
        identity: &Identity,
        version: Option<&Version>,
        record: &Record,
    ) -> Result<bool, Error> {
        Ok(match version {
            None => self.store.create(&identity.key(), &record.text()).await?,
            Some(version) => self.store.swap(&identity.key(), version, &record.text()).await?,
        })
    }
}
