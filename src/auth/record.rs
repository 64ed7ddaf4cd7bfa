//! The vault's record of one credential: what is stored, sealed where it is secret, and what may be shown of it.
//!
//! Format version 2, a JSON document under `credential/<id>` in the record store. Version 1 had no former and orphaned
//! tokens; it is read, and written as version 2 with the next change.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Error;
use super::protocol::{Answer, Child, CredentialState, Fingerprint, HeldBecause, Intent, Ledger};
use super::seal::{Seat, VaultKey};
use crate::secret::Secret;
use crate::state::lease::Holder;

const RECORD_VERSION: u32 = 2;
/// Outcomes kept for `haul credentials`.
const OUTCOMES_MAX: usize = 20;

/// What a token answer gave us.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub access: Secret,
    /// Absent = the provider gave none.
    pub refresh: Option<Secret>,
    /// Absent = the provider did not say; good until it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds the access token lives from its purchase. Absent = not said.
    pub lifetime_secs: Option<i64>,
}

/// The opened record.
pub(super) type Opened = Ledger<Tokens, Announcer>;

/// Who announced a refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announcer {
    #[serde(flatten)]
    pub holder: Holder,
    /// The local folder where it would spill its answer; absent in records of version 1.
    #[serde(default)]
    pub place: String,
}

/// Something that happened to a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialOutcome {
    pub at: DateTime<Utc>,
    pub what: String,
}

/// The stored record.
///
/// - `generation` grows by one with every stored token answer; `epoch` with every announced refresh.
/// - Sealed texts open only with this record's id and generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format_version: u32,
    id: String,
    grant: String,
    /// Origin and path prefix the credential is bound to.
    bound_to: String,
    client_id: String,
    state: CredentialState,
    #[serde(default)]
    held: Option<HeldBecause>,
    epoch: u64,
    generation: u64,
    /// Who announced the refresh. Absent = nobody.
    holder: Option<Announcer>,
    #[serde(default)]
    announced_at: Option<DateTime<Utc>>,
    /// How long the holder takes at most, in seconds.
    #[serde(default)]
    lease_secs: u64,
    #[serde(default)]
    spends: Option<Fingerprint>,
    /// The sealed tokens. Absent = none yet, or logged out.
    current: Option<String>,
    #[serde(default)]
    previous: Option<String>,
    #[serde(default)]
    orphans: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    has_refresh_token: bool,
    /// When the last answer was stored.
    #[serde(default)]
    refreshed_at: Option<DateTime<Utc>>,
    /// When the refresh token is void unless it is used. Absent = not known.
    #[serde(default)]
    void_at: Option<DateTime<Utc>>,
    outcomes: Vec<CredentialOutcome>,
}

/// A token answer as it is sealed.
#[derive(Serialize, Deserialize)]
struct ChildText {
    access: String,
    refresh: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    lifetime_secs: Option<i64>,
    #[serde(default)]
    parent: Option<Fingerprint>,
    #[serde(default)]
    epoch: u64,
}

/// What may be shown of a credential.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub id: String,
    pub grant: String,
    pub bound_to: String,
    pub client_id: String,
    pub state: CredentialState,
    /// Why a person must decide; only in the state `held`.
    pub held_because: Option<HeldBecause>,
    /// When the access token expires. Absent = none, or not known.
    pub expires_at: Option<DateTime<Utc>>,
    pub has_refresh_token: bool,
    /// When the last token answer was stored.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// When the refresh token is void unless it is used before. Absent = not known.
    pub refresh_token_void_at: Option<DateTime<Utc>>,
    /// Token answers stored so far.
    pub generation: u64,
    /// The newest last.
    pub outcomes: Vec<CredentialOutcome>,
}

/// Which credential a source uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub id: String,
    pub bound_to: String,
    pub client_id: String,
    pub grant: String,
}

/// What is new about a record besides its ledger.
pub(super) struct Stamp<'a> {
    pub at: DateTime<Utc>,
    /// Of an announcement.
    pub lease: Duration,
    /// The refresh token's idle life. Absent = not known.
    pub idle: Option<Duration>,
    /// For the history; empty = nothing to tell.
    pub what: &'a str,
}

impl Answer for Tokens {
    fn fingerprint(&self) -> Option<Fingerprint> {
        self.refresh.as_ref().map(|token| Fingerprint::of(token.expose()))
    }

    fn or_refresh_of(mut self, spent: &Self) -> Self {
        if self.refresh.is_none() {
            self.refresh.clone_from(&spent.refresh);
        }
        self
    }
}

impl Identity {
    /// By kind and data-source path, as in Power Query, and by the client it was issued to.
    pub(super) fn of(base_url: &Url, token_url: &Url, client_id: &str, grant: &str) -> Self {
        let bound_to = format!("{}{}", base_url.origin().ascii_serialization(), base_url.path());
        let named = format!("oauth2|{grant}|{bound_to}|{token_url}|{client_id}");
        let hash = digest(&SHA256, named.as_bytes());
        let hex: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Identity { id: format!("oauth2-{hex}"), bound_to, client_id: client_id.to_owned(), grant: grant.to_owned() }
    }

    pub(super) fn key(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }
}

/// Where the records of the vault stand in the record store.
pub(super) const PREFIX: &str = "credential/";

impl Record {
    pub(super) fn new(identity: &Identity) -> Self {
        Record {
            format_version: RECORD_VERSION,
            id: identity.id.clone(),
            grant: identity.grant.clone(),
            bound_to: identity.bound_to.clone(),
            client_id: identity.client_id.clone(),
            state: CredentialState::Reauth,
            held: None,
            epoch: 0,
            generation: 0,
            holder: None,
            announced_at: None,
            lease_secs: 0,
            spends: None,
            current: None,
            previous: None,
            orphans: Vec::new(),
            expires_at: None,
            has_refresh_token: false,
            refreshed_at: None,
            void_at: None,
            outcomes: Vec::new(),
        }
    }

    pub(super) fn from_text(key: &str, text: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::Record { id: key.to_owned(), why };
        let record: Record = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if record.format_version > RECORD_VERSION {
            return Err(wrong(format!("it was written by a newer haul (format {})", record.format_version)));
        }
        Ok(record)
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a record holds only texts and numbers")
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            bound_to: self.bound_to.clone(),
            client_id: self.client_id.clone(),
            grant: self.grant.clone(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn holder(&self) -> Option<&Announcer> {
        self.holder.as_ref()
    }

    pub(super) fn announced_at(&self) -> Option<DateTime<Utc>> {
        self.announced_at
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_secs)
    }

    pub(super) fn refreshed_at(&self) -> Option<DateTime<Utc>> {
        self.refreshed_at
    }

    pub(super) fn void_at(&self) -> Option<DateTime<Utc>> {
        self.void_at
    }

    pub(super) fn last_outcome(&self) -> &str {
        self.outcomes.last().map_or("", |outcome| &outcome.what)
    }

    fn seat<'a>(&'a self, field: &'a str) -> Seat<'a> {
        Seat { id: &self.id, field, generation: self.generation }
    }

    /// The record with every sealed text opened.
    pub(super) fn open(&self, key: &VaultKey) -> Result<Opened, Error> {
        let open = |sealed: &String, field: &str| {
            open_child(key, sealed, self.seat(field)).ok_or_else(|| Error::WrongKey { origin: self.bound_to.clone() })
        };
        let sealed = |sealed: &Option<String>, field: &str| sealed.as_ref().map(|text| open(text, field)).transpose();
        let intent = match (self.state, &self.holder) {
            (CredentialState::Intent, Some(holder)) => Some(Intent { holder: holder.clone(), spends: self.spends }),
            _ => None,
        };
        Ok(Ledger {
            state: self.state,
            held: self.held,
            epoch: self.epoch,
            generation: self.generation,
            intent,
            current: sealed(&self.current, "current")?,
            previous: sealed(&self.previous, "previous")?,
            orphans: self.orphans.iter().map(|text| open(text, "orphan")).collect::<Result<_, _>>()?,
        })
    }

    /// The ledger of a record that cannot be opened any more: its counters go on, its tokens are given up.
    pub(super) fn emptied(&self) -> Opened {
        Ledger { epoch: self.epoch, generation: self.generation, ..Ledger::new() }
    }

    /// The record with another ledger, sealed anew.
    pub(super) fn with(&self, ledger: &Opened, key: &VaultKey, stamp: &Stamp<'_>) -> Self {
        let mut record = self.clone();
        record.format_version = RECORD_VERSION;
        record.state = ledger.state;
        record.held = ledger.held;
        record.epoch = ledger.epoch;
        record.generation = ledger.generation;
        let is_same_announcement = self.epoch == ledger.epoch && self.holder.is_some();
        match &ledger.intent {
            Some(_) if is_same_announcement => {}
            Some(intent) => {
                record.holder = Some(intent.holder.clone());
                record.announced_at = Some(stamp.at);
                record.lease_secs = stamp.lease.as_secs();
                record.spends = intent.spends;
            }
            None => {
                record.holder = None;
                record.announced_at = None;
                record.lease_secs = 0;
                record.spends = None;
            }
        }
        let seal = |child: &Child<Tokens>, field: &str| {
            let seat = Seat { id: &self.id, field, generation: ledger.generation };
            seal_child(key, child, seat)
        };
        record.current = ledger.current.as_ref().map(|child| seal(child, "current"));
        record.previous = ledger.previous.as_ref().map(|child| seal(child, "previous"));
        record.orphans = ledger.orphans.iter().map(|child| seal(child, "orphan")).collect();
        record.expires_at = ledger.current.as_ref().and_then(|child| child.tokens.expires_at);
        record.has_refresh_token = ledger.current.as_ref().is_some_and(|child| child.tokens.refresh.is_some());
        if ledger.generation != self.generation {
            record.refreshed_at = Some(stamp.at);
            let idle = stamp.idle.and_then(|idle| chrono::Duration::from_std(idle).ok());
            record.void_at =
                idle.filter(|_| record.has_refresh_token).and_then(|idle| stamp.at.checked_add_signed(idle));
        }
        if ledger.current.is_none() {
            record.void_at = None;
        }
        if !stamp.what.is_empty() {
            record.outcomes.push(CredentialOutcome { at: stamp.at, what: crate::secret::mask(stamp.what) });
            let over = record.outcomes.len().saturating_sub(OUTCOMES_MAX);
            record.outcomes.drain(..over);
        }
        record
    }

    /// Whether every sealed text is sealed with the newest key.
    pub(super) fn is_sealed_by_newest(&self, key: &VaultKey) -> bool {
        let current = self.current.iter().map(|text| (text, "current"));
        let previous = self.previous.iter().map(|text| (text, "previous"));
        let orphans = self.orphans.iter().map(|text| (text, "orphan"));
        current.chain(previous).chain(orphans).all(|(text, field)| key.is_sealed_by_newest(text, self.seat(field)))
    }

    pub(super) fn summary(self) -> Summary {
        Summary {
            id: self.id,
            grant: self.grant,
            bound_to: self.bound_to,
            client_id: self.client_id,
            state: self.state,
            held_because: self.held,
            expires_at: self.expires_at,
            has_refresh_token: self.has_refresh_token,
            refreshed_at: self.refreshed_at,
            refresh_token_void_at: self.void_at,
            generation: self.generation,
            outcomes: self.outcomes,
        }
    }
}

/// A token answer as a sealed text.
pub(super) fn seal_child(key: &VaultKey, child: &Child<Tokens>, seat: Seat<'_>) -> String {
    let text = ChildText {
        access: child.tokens.access.expose().to_owned(),
        refresh: child.tokens.refresh.as_ref().map(|refresh| refresh.expose().to_owned()),
        expires_at: child.tokens.expires_at,
        lifetime_secs: child.tokens.lifetime_secs,
        parent: child.parent,
        epoch: child.epoch,
    };
    key.seal(&serde_json::to_string(&text).expect("tokens are texts and numbers"), seat)
}

/// `None` = another key, another seat, or damage.
pub(super) fn open_child(key: &VaultKey, sealed: &str, seat: Seat<'_>) -> Option<Child<Tokens>> {
    let text: ChildText = serde_json::from_str(&key.open(sealed, seat)?).ok()?;
    Some(Child {
        tokens: Tokens {
            access: Secret::new(text.access),
            refresh: text.refresh.map(Secret::new),
            expires_at: text.expires_at,
            lifetime_secs: text.lifetime_secs,
        },
        parent: text.parent,
        epoch: text.epoch,
    })
}
