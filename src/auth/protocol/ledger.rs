//! What a credential's record says once it is opened, and the changes that the protocol makes to it. Pure: a change
//! gives a new ledger, and nothing is stored here.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Orphans spilled at most; each is an answer that two refreshes at once left over.
const ORPHANS_MAX: usize = 4;

/// Names a refresh token without telling it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Fingerprint(pub [u8; 16]);

/// A token answer as the protocol sees it.
pub(in crate::auth) trait Answer: Clone {
    /// Of the refresh token. `None` = there is none.
    fn fingerprint(&self) -> Option<Fingerprint>;
    /// The answer with the refresh token of `spent` where it brought none (RFC 6749 section 6).
    fn or_refresh_of(self, spent: &Self) -> Self;
}

/// Where a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialState {
    /// Ready.
    Idle,
    /// Somebody announced that the refresh token is about to be spent.
    Intent,
    /// Spending the refresh token could lose a newer one: a person decides.
    Held,
    /// A login is needed.
    Reauth,
}

impl CredentialState {
    /// As people read it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            CredentialState::Idle => "ready",
            CredentialState::Intent => "being refreshed",
            CredentialState::Held => "held",
            CredentialState::Reauth => "login needed",
        }
    }
}

/// Why a credential is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeldBecause {
    /// Another host announced a refresh and did not finish; its answer may lie on its disk.
    ForeignIntent,
    /// The record is older than what this host has seen, or its store was copied.
    Behind,
}

/// An answer with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Child<P> {
    pub tokens: P,
    /// The refresh token that bought it. `None` = a login, an import, or a grant without refresh tokens.
    pub parent: Option<Fingerprint>,
    /// Under which announcement it was bought.
    pub epoch: u64,
}

/// A refresh that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Intent<H> {
    pub holder: H,
    /// `None` = the grant spends no refresh token.
    pub spends: Option<Fingerprint>,
}

/// The opened record.
///
/// - `epoch` grows with every announcement, `generation` with every stored answer; neither ever falls.
/// - `intent` is there exactly in the state `Intent`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Ledger<P, H> {
    pub state: CredentialState,
    pub held: Option<HeldBecause>,
    pub epoch: u64,
    pub generation: u64,
    pub intent: Option<Intent<H>>,
    pub current: Option<Child<P>>,
    pub previous: Option<Child<P>>,
    /// The newest last.
    pub orphans: Vec<Child<P>>,
}

impl<P: Answer> Child<P> {
    pub(in crate::auth) fn fingerprint(&self) -> Option<Fingerprint> {
        self.tokens.fingerprint()
    }
}

impl<P: Answer, H: Clone + PartialEq> Ledger<P, H> {
    /// Of a credential that nobody logged in for yet.
    pub(in crate::auth) fn new() -> Self {
        Ledger {
            state: CredentialState::Reauth,
            held: None,
            epoch: 0,
            generation: 0,
            intent: None,
            current: None,
            previous: None,
            orphans: Vec::new(),
        }
    }

    fn ended(mut self, state: CredentialState) -> Self {
        self.state = state;
        self.held = None;
        self.intent = None;
        self
    }

    /// With an announced refresh of `holder`.
    pub(super) fn announced(mut self, holder: H, spends: Option<Fingerprint>) -> Self {
        self.state = CredentialState::Intent;
        self.held = None;
        self.epoch += 1;
        self.intent = Some(Intent { holder, spends });
        self
    }

    /// With `child` in use, and what was in use spilled as the previous one.
    pub(super) fn promoted(mut self, child: Child<P>) -> Self {
        let same = |other: &Child<P>| other.fingerprint() == child.fingerprint();
        self.orphans.retain(|orphan| !same(orphan));
        if let Some(former) = self.current.take()
            && !same(&former)
        {
            self.previous = Some(former);
        }
        self.current = Some(child);
        self.generation += 1;
        self.ended(CredentialState::Idle)
    }

    /// With the answer of this ledger's own announcement. What was spent becomes the previous one.
    pub(super) fn refreshed(mut self, child: Child<P>) -> Self {
        let spent = self.orphans.iter().position(|orphan| orphan.fingerprint() == child.parent);
        if let (Some(spent), true) = (spent, child.parent.is_some()) {
            let spent = self.orphans.remove(spent);
            // The candidate that worked: what stood in its way did not.
            self.current = Some(spent);
        }
        self.promoted(child)
    }

    /// With an answer that nobody waits for any more: bought under an announcement that somebody took over, or found
    /// on the disk of a process that died. `is_busy` = somebody else's announcement is alive.
    pub(super) fn absorbed(mut self, child: Child<P>, is_busy: bool) -> Self {
        if child.parent.is_none() {
            // A login: newer than the record, or already overtaken.
            return if self.epoch < child.epoch { self.logged_in(child) } else { self };
        }
        let Some(current) = self.current.as_ref().and_then(Child::fingerprint) else {
            // An empty record: either its store was lost, and the answer is all there is; or somebody logged out
            // meanwhile, and what belongs to the revoked family goes with it.
            return if self.generation == 0 { self.promoted(child) } else { self };
        };
        let is_child_of_current = child.parent == Some(current);
        match self.state {
            CredentialState::Reauth => self.promoted(child),
            CredentialState::Idle | CredentialState::Held | CredentialState::Intent
                if is_child_of_current && !is_busy =>
            {
                self.promoted(child)
            }
            CredentialState::Idle | CredentialState::Held | CredentialState::Intent => {
                self.orphans.push(child);
                let over = self.orphans.len().saturating_sub(ORPHANS_MAX);
                self.orphans.drain(..over);
                self
            }
        }
    }

    /// With the tokens of a login or an import: a new family, so nothing of the former one is spilled.
    pub(in crate::auth) fn logged_in(mut self, child: Child<P>) -> Self {
        self.epoch = self.epoch.max(child.epoch);
        self.previous = None;
        self.orphans.clear();
        self.current = Some(child);
        self.generation += 1;
        self.ended(CredentialState::Idle)
    }

    /// Without tokens.
    pub(in crate::auth) fn logged_out(mut self) -> Self {
        self.epoch += 1;
        self.current = None;
        self.previous = None;
        self.orphans.clear();
        self.ended(CredentialState::Reauth)
    }

    /// With the announcement over and nothing bought.
    pub(super) fn given_up(self) -> Self {
        self.ended(CredentialState::Idle)
    }

    /// With no token left to try.
    pub(super) fn exhausted(self) -> Self {
        self.ended(CredentialState::Reauth)
    }

    /// With a person asked to decide.
    pub(super) fn held_because(mut self, because: HeldBecause) -> Self {
        self = self.ended(CredentialState::Held);
        self.held = Some(because);
        self
    }

    /// With the decision that this host goes on.
    pub(in crate::auth) fn taken_over(mut self) -> Self {
        self.epoch += 1;
        self.ended(CredentialState::Idle)
    }

    /// Whether this very answer is in the record.
    pub(super) fn holds(&self, child: &Child<P>) -> bool {
        let known = self.current.iter().chain(&self.previous).chain(&self.orphans);
        known.map(Child::fingerprint).any(|known| known == child.fingerprint())
    }

    /// An orphan bought with the current refresh token: newer than it, and unspent.
    pub(super) fn unused_child(&self) -> Option<&Child<P>> {
        let current = self.current.as_ref()?.fingerprint()?;
        self.orphans.iter().rev().find(|orphan| orphan.parent == Some(current))
    }

    /// What to spend next, given what the provider refused: the current one, orphans from the newest, the previous one
    /// where the provider may still take it.
    pub(super) fn candidate(&self, refused: &[Fingerprint], is_previous_harmless: bool) -> Option<&Child<P>> {
        let previous = self.previous.iter().filter(|_| is_previous_harmless);
        let order = self.current.iter().chain(self.orphans.iter().rev()).chain(previous);
        order
            .filter(|child| child.fingerprint().is_some())
            .find(|child| child.fingerprint().is_some_and(|found| !refused.contains(&found)))
    }
}

impl Fingerprint {
    /// Half of a SHA-256, from which a random token cannot be found.
    pub(in crate::auth) fn of(text: &str) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_ref()[..16]);
        Fingerprint(half)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("32 hexadecimal digits are expected");
        let number = u128::from_str_radix(&text, 16).map_err(|_| wrong())?;
        if text.len() == 32 { Ok(Fingerprint(number.to_be_bytes())) } else { Err(wrong()) }
    }
}
