//! The vault: one record per credential, changed only by compare-and-swap. A refresh is announced durably before the
//! refresh token is spent, and its answer is stored durably before anything uses it; whoever finds an announcement of
//! a dead process sends the same token again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::error::Error;
use super::grant::Granted;
use super::issuer::Issuer;
use super::record::{CredentialState, Identity, Record, Summary, Tokens};
use super::seal::VaultKey;
use crate::clock::Clock;
use crate::limits::{REFRESH_LEASE, REFRESH_REPLAYS_MAX, RETRY_WAIT_MIN};
use crate::secret::Secret;
use crate::state::lease::Holder;
use crate::state::{RecordStore, Version, Versioned};

/// How often a waiter looks whether another process finished its refresh.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// Refresh this long before the end, so that a page under way does not meet a dead token.
const EARLY_SECS_MAX: i64 = 30;

/// The vault of this machine.
pub(crate) struct Vault {
    store: Arc<RecordStore>,
    key: VaultKey,
    /// One refresh at a time within this process; the record's announcement does the same between processes.
    refreshing: Mutex<()>,
    refreshes: AtomicU64,
}

/// An access token at the moment of use, with the generation that tells whether it was replaced since.
pub(super) struct AccessToken {
    pub value: Secret,
    pub generation: u64,
}

impl Vault {
    pub(crate) fn new(store: Arc<RecordStore>, key: VaultKey) -> Self {
        Vault { store, key, refreshing: Mutex::new(()), refreshes: AtomicU64::new(0) }
    }

    /// Token answers that this process stored.
    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes.load(Ordering::Relaxed)
    }

    /// All credentials, without their values.
    pub(crate) async fn list(&self) -> Result<Vec<Summary>, Error> {
        let records = self.store.list("credential/").await?;
        records.iter().map(|found| Ok(Record::from_text(&found.key, &found.value)?.summary())).collect()
    }

    /// Whether tokens are stored and no login is asked for.
    pub(crate) async fn is_logged_in(&self, issuer: &Issuer) -> Result<bool, Error> {
        let found = self.load(&issuer.identity()).await?;
        Ok(found.is_some_and(|(_, record)| record.current.is_some() && record.state != CredentialState::Reauth))
    }

    /// A token that is good now. `refused` is the generation that the API just answered 401 to.
    pub(super) async fn token(&self, issuer: &Issuer, refused: Option<u64>) -> Result<AccessToken, Error> {
        let identity = issuer.identity();
        if let Some((_, record)) = self.load(&identity).await?
            && let Some(token) = self.usable(&record, refused)?
        {
            return Ok(token);
        }
        let _one = self.refreshing.lock().await;
        let patience = tokio::time::Instant::now() + REFRESH_LEASE * 2;
        loop {
            let found = self.load(&identity).await?;
            let (version, record) = match found {
                Some((found, record)) => (Some(found.version), record),
                None => (None, Record::new(&identity)),
            };
            // Looked at again: somebody may have refreshed while we waited.
            if let Some(token) = self.usable(&record, refused)? {
                return Ok(token);
            }
            if is_announced_by_another(&record) {
                if tokio::time::Instant::now() > patience {
                    return Err(Error::Busy { origin: identity.bound_to });
                }
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            }
            let former = self.spendable(issuer, &record)?;
            let until = Clock.now() + REFRESH_LEASE;
            let announced = record.with_intent(Holder::current(), until);
            if !self.replace(&identity, version, &announced).await? {
                continue;
            }
            return self.refresh(issuer, &identity, announced, former).await;
        }
    }

    /// Stores the tokens of a login.
    pub(super) async fn store_login(&self, identity: &Identity, tokens: &Tokens) -> Result<(), Error> {
        loop {
            let found = self.load(identity).await?;
            let (version, record) = match found {
                Some((found, record)) => (Some(found.version), record),
                None => (None, Record::new(identity)),
            };
            let record = record.with_tokens(tokens, None, &self.key).noted(Clock.now(), "login");
            if self.replace(identity, version, &record).await? {
                return Ok(());
            }
        }
    }

    /// Revokes the tokens where the provider can, and forgets them. `Ok(None)` = there was nothing.
    pub(crate) async fn logout(&self, issuer: &Issuer) -> Result<Option<Revoked>, Error> {
        let identity = issuer.identity();
        loop {
            let Some((found, record)) = self.load(&identity).await? else { return Ok(None) };
            let Some(tokens) = record.tokens(&self.key)? else { return Ok(None) };
            let revoked = if issuer.revoke(&tokens).await? { Revoked::AtProvider } else { Revoked::HereOnly };
            let record = record.emptied().noted(Clock.now(), "logout");
            if self.replace(&identity, Some(found.version), &record).await? {
                return Ok(Some(revoked));
            }
        }
    }

    async fn load(&self, identity: &Identity) -> Result<Option<(Versioned, Record)>, Error> {
        let Some(found) = self.store.get(&identity.key()).await? else { return Ok(None) };
        let record = Record::from_text(&found.key, &found.value)?;
        Ok(Some((found, record)))
    }

    /// Writes the record durably; `false` = somebody changed it since.
    async fn replace(&self, identity: &Identity, version: Option<Version>, record: &Record) -> Result<bool, Error> {
        Ok(match version {
            None => self.store.create(&identity.key(), &record.text()).await?,
            Some(version) => self.store.swap(&identity.key(), &version, &record.text()).await?,
        })
    }

    fn usable(&self, record: &Record, refused: Option<u64>) -> Result<Option<AccessToken>, Error> {
        if refused.is_some_and(|refused| record.generation <= refused) || record.state == CredentialState::Reauth {
            return Ok(None);
        }
        let Some(tokens) = record.tokens(&self.key)? else { return Ok(None) };
        let early =
            Duration::from_secs(tokens.lifetime_secs.map_or(0, |secs| (secs / 5).clamp(0, EARLY_SECS_MAX)) as u64);
        let is_good = tokens.expires_at.is_none_or(|expires_at| Clock.now() + early < expires_at);
        Ok(is_good.then_some(AccessToken { value: tokens.access, generation: record.generation }))
    }

    /// The refresh token to spend; `None` for a grant that needs none.
    fn spendable(&self, issuer: &Issuer, record: &Record) -> Result<Option<Secret>, Error> {
        let origin = || record.bound_to.clone();
        if !issuer.needs_login() {
            return Ok(None);
        }
        match record.tokens(&self.key)? {
            None if record.generation == 0 => Err(Error::NeverLoggedIn { origin: origin() }),
            None => Err(Error::LoginLost { origin: origin(), why: last_outcome(record) }),
            Some(_) if record.state == CredentialState::Reauth => {
                Err(Error::LoginLost { origin: origin(), why: last_outcome(record) })
            }
            Some(Tokens { refresh: None, .. }) => Err(Error::LoginLost {
                origin: origin(),
                why: "the access token is over and the provider gave no refresh token".to_owned(),
            }),
            Some(Tokens { refresh: Some(refresh), .. }) => Ok(Some(refresh)),
        }
    }

    /// Spends the token. The announcement is durable; from here on the answer must not be lost.
    async fn refresh(
        &self,
        issuer: &Issuer,
        identity: &Identity,
        announced: Record,
        former: Option<Secret>,
    ) -> Result<AccessToken, Error> {
        let mut replays = 0;
        let granted = loop {
            let granted = match &former {
                Some(token) => issuer.refresh(token).await,
                None => issuer.buy().await,
            };
            match granted {
                Granted::NotSent(_) | Granted::Ambiguous(_) | Granted::Unreadable { .. }
                    if replays < REFRESH_REPLAYS_MAX =>
                {
                    replays += 1;
                    tokio::time::sleep(RETRY_WAIT_MIN * replays as u32).await;
                }
                granted => break granted,
            }
        };
        let origin = || identity.bound_to.clone();
        match granted {
            Granted::Yes(tokens) => {
                let record = announced.with_tokens(&tokens, former, &self.key).noted(Clock.now(), "refreshed");
                let generation = record.generation;
                self.finish(identity, &record).await?;
                self.refreshes.fetch_add(1, Ordering::Relaxed);
                Ok(AccessToken { value: tokens.access, generation })
            }
            Granted::NotSent(source) | Granted::Ambiguous(source) => {
                let record = announced.idle(CredentialState::Idle).noted(Clock.now(), &source.to_string());
                self.finish(identity, &record).await?;
                Err(Error::Unanswered { source })
            }
            Granted::Unreadable { why } => {
                let record = announced.idle(CredentialState::Idle).noted(Clock.now(), &why);
                self.finish(identity, &record).await?;
                Err(Error::Unreadable { why })
            }
            Granted::InvalidGrant { why } => {
                let record = announced.idle(CredentialState::Reauth).noted(Clock.now(), &why);
                self.finish(identity, &record).await?;
                Err(Error::LoginLost { origin: origin(), why })
            }
            // Says nothing of the refresh token: it stays as it is.
            Granted::Refused { why } => {
                let record = announced.idle(CredentialState::Idle).noted(Clock.now(), &why);
                self.finish(identity, &record).await?;
                Err(Error::ClientRefused { why })
            }
        }
    }

    /// Ends the announcement. The store took the announcement a moment ago, so a failure is likely a passing one.
    async fn finish(&self, identity: &Identity, record: &Record) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let stored = match self.load(identity).await {
                Ok(Some((found, stored))) if stored.epoch == record.epoch && stored.generation <= record.generation => {
                    self.replace(identity, Some(found.version), record).await
                }
                // A login or a later announcement came in between: what it stored is newer than what we hold.
                Ok(_) => Ok(true),
                Err(error) => Err(error),
            };
            match stored {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if tries > REFRESH_REPLAYS_MAX => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_WAIT_MIN * tries as u32).await,
            }
        }
    }
}

/// What a logout reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    AtProvider,
    /// The job names no revocation endpoint.
    HereOnly,
}

fn is_announced_by_another(record: &Record) -> bool {
    match (&record.state, &record.holder, record.until) {
        (CredentialState::Intent, Some(holder), Some(until)) => !holder.is_dead() && until > Clock.now(),
        _ => false,
    }
}

fn last_outcome(record: &Record) -> String {
    record.outcomes.last().map(|outcome| outcome.what.clone()).unwrap_or_default()
}
