//! The vault's record of one credential: what is stored, sealed where it is secret, and what may be shown of it.
//!
//! Format version 1, a JSON document under `credential/<id>` in the record store.

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Error;
use super::seal::{Seat, VaultKey};
use crate::secret::Secret;
use crate::state::lease::Holder;

const RECORD_VERSION: u32 = 1;
/// Outcomes kept for `haul credentials`.
const OUTCOMES_MAX: usize = 20;

/// Where a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialState {
    /// Ready.
    Idle,
    /// Somebody announced that the refresh token is about to be spent.
    Intent,
    /// A login is needed.
    Reauth,
}

/// What a token answer gave us.
#[derive(Clone)]
pub(super) struct Tokens {
    pub access: Secret,
    /// Absent = the provider gave none.
    pub refresh: Option<Secret>,
    /// Absent = the provider did not say; good until it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds the access token lives from its purchase. Absent = not said.
    pub lifetime_secs: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct TokensText {
    access: String,
    refresh: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    lifetime_secs: Option<i64>,
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
/// - `current` opens only with this record's id and generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub format_version: u32,
    pub id: String,
    pub grant: String,
    /// Origin and path prefix the credential is bound to.
    pub bound_to: String,
    pub client_id: String,
    pub state: CredentialState,
    pub epoch: u64,
    pub generation: u64,
    /// Who announced the refresh. Absent = nobody.
    pub holder: Option<Holder>,
    /// When the announcement lapses. Absent = nobody announced.
    pub until: Option<DateTime<Utc>>,
    /// The sealed tokens. Absent = none yet, or logged out.
    pub current: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub has_refresh_token: bool,
    pub outcomes: Vec<CredentialOutcome>,
}

/// What may be shown of a credential.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub id: String,
    pub grant: String,
    pub bound_to: String,
    pub client_id: String,
    pub state: CredentialState,
    /// When the access token expires. Absent = none, or not known.
    pub expires_at: Option<DateTime<Utc>>,
    pub has_refresh_token: bool,
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
        format!("credential/{}", self.id)
    }
}

impl Record {
    pub(super) fn new(identity: &Identity) -> Self {
        Record {
            format_version: RECORD_VERSION,
            id: identity.id.clone(),
            grant: identity.grant.clone(),
            bound_to: identity.bound_to.clone(),
            client_id: identity.client_id.clone(),
            state: CredentialState::Reauth,
            epoch: 0,
            generation: 0,
            holder: None,
            until: None,
            current: None,
            expires_at: None,
            has_refresh_token: false,
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

    fn seat(&self) -> Seat<'_> {
        Seat { id: &self.id, field: "current", generation: self.generation }
    }

    /// The tokens. `Ok(None)` = there are none.
    pub(super) fn tokens(&self, key: &VaultKey) -> Result<Option<Tokens>, Error> {
        let Some(sealed) = &self.current else { return Ok(None) };
        let wrong_key = || Error::WrongKey { origin: self.bound_to.clone() };
        let text = key.open(sealed, self.seat()).ok_or_else(wrong_key)?;
        let text: TokensText = serde_json::from_str(&text).map_err(|_| wrong_key())?;
        Ok(Some(Tokens {
            access: Secret::new(text.access),
            refresh: text.refresh.map(Secret::new),
            expires_at: text.expires_at,
            lifetime_secs: text.lifetime_secs,
        }))
    }

    /// The record with new tokens: idle, one generation on. A provider that sends no new refresh token means the old
    /// one to be kept (RFC 6749 section 6).
    pub(super) fn with_tokens(mut self, tokens: &Tokens, former: Option<Secret>, key: &VaultKey) -> Self {
        let refresh = tokens.refresh.clone().or(former);
        let text = TokensText {
            access: tokens.access.expose().to_owned(),
            refresh: refresh.as_ref().map(|refresh| refresh.expose().to_owned()),
            expires_at: tokens.expires_at,
            lifetime_secs: tokens.lifetime_secs,
        };
        let text = serde_json::to_string(&text).expect("tokens are texts and numbers");
        self.generation += 1;
        self.current = Some(key.seal(&text, self.seat()));
        self.expires_at = tokens.expires_at;
        self.has_refresh_token = refresh.is_some();
        self.idle(CredentialState::Idle)
    }

    /// The record after an announcement is over.
    pub(super) fn idle(mut self, state: CredentialState) -> Self {
        self.state = state;
        self.holder = None;
        self.until = None;
        self
    }

    /// The record with an announced refresh.
    pub(super) fn with_intent(mut self, holder: Holder, until: DateTime<Utc>) -> Self {
        self.state = CredentialState::Intent;
        self.epoch += 1;
        self.holder = Some(holder);
        self.until = Some(until);
        self
    }

    /// The record without tokens.
    pub(super) fn emptied(mut self) -> Self {
        self.current = None;
        self.expires_at = None;
        self.has_refresh_token = false;
        self.idle(CredentialState::Reauth)
    }

    /// The record with one more outcome.
    pub(super) fn noted(mut self, at: DateTime<Utc>, what: &str) -> Self {
        self.outcomes.push(CredentialOutcome { at, what: crate::secret::mask(what) });
        let over = self.outcomes.len().saturating_sub(OUTCOMES_MAX);
        self.outcomes.drain(..over);
        self
    }

    pub(super) fn summary(self) -> Summary {
        Summary {
            id: self.id,
            grant: self.grant,
            bound_to: self.bound_to,
            client_id: self.client_id,
            state: self.state,
            expires_at: self.expires_at,
            has_refresh_token: self.has_refresh_token,
            generation: self.generation,
            outcomes: self.outcomes,
        }
    }
}
