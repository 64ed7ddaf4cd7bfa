//! Who may read: codes, access tokens and refresh-token families. No HTTP here, and no clock: callers say what time
//! it is.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::Error;
use super::memory::{Fingerprint, Memory, Standing};
use crate::secret::Secret;

/// Life of an access token, as short as Exact Online's, so that a long run refreshes on the way.
pub(super) const ACCESS_LIFE: Duration = Duration::from_secs(600);
/// Life of a code: one redirect and one request.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Codes kept at once; anyone on this machine may ask for one, and each costs some 200 bytes.
const CODES_MAX: usize = 1_000;
/// Access tokens kept at once; a client that refreshes normally has one or two.
const ACCESS_TOKENS_MAX: usize = 1_000;

/// What a client gets.
pub(super) struct TokenPair {
    pub(super) access: Secret,
    pub(super) refresh: Secret,
}

/// Why a client gets nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The code or token is not good, for this reason.
    NotGood(&'static str),
    /// A used refresh token came again; its family is revoked.
    Reused,
    /// The API cannot do its part.
    Broken(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Broken(error)
    }
}

struct Code {
    code: Fingerprint,
    /// PKCE's S256 of the verifier.
    challenge: String,
    redirect_uri: String,
    expires: Instant,
    state: CodeState,
}

#[derive(Clone, Copy)]
enum CodeState {
    Fresh,
    /// Shown once, with a wrong verifier or redirect.
    Burnt,
    /// Exchanged; the family that grew from it.
    Exchanged(u64),
}

struct AccessToken {
    token: Fingerprint,
    family: u64,
    expires: Instant,
}

/// All that was granted.
///
/// - `codes` and `access_tokens` are in the order of their issue, hence of their expiry.
/// - A token or code is kept as its SHA-256 only.
pub(super) struct Grants {
    memory: Memory,
    codes: VecDeque<Code>,
    access_tokens: VecDeque<AccessToken>,
}

impl Grants {
    pub(super) fn new(memory: Memory) -> Self {
        Grants { memory, codes: VecDeque::new(), access_tokens: VecDeque::new() }
    }

    /// A code for the client that knows the verifier of `challenge`; good once, for a minute, with this redirect.
    pub(super) fn issue_code(&mut self, challenge: &str, redirect_uri: &str, now: Instant) -> Result<String, Error> {
        while self.codes.front().is_some_and(|code| code.expires <= now) || self.codes.len() >= CODES_MAX {
            self.codes.pop_front();
        }
        let code = random_text()?;
        self.codes.push_back(Code {
            code: Fingerprint::of(&code),
            challenge: challenge.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            expires: now + CODE_LIFE,
            state: CodeState::Fresh,
        });
        Ok(code)
    }

    /// Exchanges a code. Whatever the outcome, the code is spent; one that comes again costs what grew from it
    /// (RFC 6749 section 4.1.2).
    pub(super) fn redeem_code(
        &mut self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        now: Instant,
    ) -> Result<TokenPair, Refusal> {
        let shown = Fingerprint::of(code);
        let Some(code) = self.codes.iter_mut().find(|code| code.code == shown && code.expires > now) else {
            return Err(Refusal::NotGood("the code is unknown or older than a minute"));
        };
        match std::mem::replace(&mut code.state, CodeState::Burnt) {
            CodeState::Fresh => {}
            CodeState::Burnt => return Err(Refusal::NotGood("the code was used before")),
            CodeState::Exchanged(family) => {
                self.revoke_family(family)?;
                return Err(Refusal::NotGood("the code was used before; its tokens are revoked"));
            }
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refusal::NotGood("`redirect_uri` is not the one that the code was sent to"));
        }
        if Fingerprint::of(verifier).as_str() != code.challenge {
            return Err(Refusal::NotGood("`code_verifier` does not fit the code's challenge"));
        }
        let refresh = Secret::new(random_text()?);
        let family = self.memory.add_family(Fingerprint::of(refresh.expose()))?;
        code.state = CodeState::Exchanged(family);
        let access = self.issue_access(family, now)?;
        Ok(TokenPair { access, refresh })
    }

    /// Exchanges a refresh token for its successor. A used one revokes its family.
    pub(super) fn refresh(&mut self, refresh_token: &str, now: Instant) -> Result<TokenPair, Refusal> {
        match self.memory.standing(&Fingerprint::of(refresh_token)) {
            Standing::Unknown => Err(Refusal::NotGood("the refresh token is unknown or revoked")),
            Standing::Used(family) => {
                self.revoke_family(family)?;
                Err(Refusal::Reused)
            }
            Standing::Current(family) => {
                let refresh = Secret::new(random_text()?);
                let access = self.issue_access(family, now)?;
                self.memory.rotate(family, Fingerprint::of(refresh.expose()))?;
                Ok(TokenPair { access, refresh })
            }
        }
    }

    /// Revokes an access token alone, or a refresh token with its whole family. An unknown one is fine (RFC 7009).
    pub(super) fn revoke(&mut self, token: &str) -> Result<(), Error> {
        let shown = Fingerprint::of(token);
        self.access_tokens.retain(|access| access.token != shown);
        match self.memory.standing(&shown) {
            Standing::Unknown => Ok(()),
            Standing::Current(family) | Standing::Used(family) => self.revoke_family(family),
        }
    }

    /// True when this access token opens the API now.
    pub(super) fn is_good(&self, access_token: &str, now: Instant) -> bool {
        let shown = Fingerprint::of(access_token);
        self.access_tokens.iter().any(|access| access.token == shown && access.expires > now)
    }

    fn issue_access(&mut self, family: u64, now: Instant) -> Result<Secret, Error> {
        let full = |tokens: &VecDeque<AccessToken>| tokens.len() >= ACCESS_TOKENS_MAX;
        while self.access_tokens.front().is_some_and(|access| access.expires <= now) || full(&self.access_tokens) {
            self.access_tokens.pop_front();
        }
        let access = Secret::new(random_text()?);
        let token = Fingerprint::of(access.expose());
        self.access_tokens.push_back(AccessToken { token, family, expires: now + ACCESS_LIFE });
        Ok(access)
    }

    fn revoke_family(&mut self, family: u64) -> Result<(), Error> {
        self.memory.drop_family(family)?;
        self.access_tokens.retain(|access| access.family != family);
        Ok(())
    }
}

/// 256 random bits as 43 characters that need no escaping anywhere.
fn random_text() -> Result<String, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "a-verifier-of-enough-characters-for-rfc-7636-to-like";
    const REDIRECT: &str = "http://127.0.0.1:1/callback";

    fn grants(folder: &std::path::Path) -> Grants {
        Grants::new(Memory::open(folder).unwrap())
    }

    fn login(grants: &mut Grants, now: Instant) -> TokenPair {
        let code = grants.issue_code(Fingerprint::of(VERIFIER).as_str(), REDIRECT, now).unwrap();
        grants.redeem_code(&code, VERIFIER, REDIRECT, now).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    fn reason(outcome: Result<TokenPair, Refusal>) -> String {
        match outcome {
            Ok(_) => "granted".to_owned(),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn a_refresh_token_works_once_and_a_second_time_revokes_its_family_alone() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut grants = grants(folder.path());
        let (first, other) = (login(&mut grants, now), login(&mut grants, now));
        let second = grants.refresh(first.refresh.expose(), now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(grants.is_good(first.access.expose(), now), "an access token outlives the refresh");
        assert_eq!(reason(grants.refresh(first.refresh.expose(), now)), "Reused");
        for token in [&first.refresh, &second.refresh] {
            assert!(reason(grants.refresh(token.expose(), now)).contains("unknown or revoked"));
        }
        assert!(!grants.is_good(second.access.expose(), now));
        assert!(grants.is_good(other.access.expose(), now));
        assert_eq!(reason(grants.refresh(other.refresh.expose(), now)), "granted");
    }

    #[test]
    fn codes_are_bound_to_verifier_redirect_and_minute_and_spent_by_any_use() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut grants = grants(folder.path());
        let challenge = Fingerprint::of(VERIFIER);
        for (verifier, redirect, later, expect) in [
            ("wrong", REDIRECT, Duration::ZERO, "does not fit"),
            (VERIFIER, "http://127.0.0.1:2/callback", Duration::ZERO, "redirect_uri"),
            (VERIFIER, REDIRECT, CODE_LIFE, "older than a minute"),
        ] {
            let code = grants.issue_code(challenge.as_str(), REDIRECT, now).unwrap();
            let seen = reason(grants.redeem_code(&code, verifier, redirect, now + later));
            assert!(seen.contains(expect), "{seen}");
            assert_ne!(reason(grants.redeem_code(&code, VERIFIER, REDIRECT, now + later)), "granted");
        }
        let code = grants.issue_code(challenge.as_str(), REDIRECT, now).unwrap();
        let pair = grants.redeem_code(&code, VERIFIER, REDIRECT, now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(reason(grants.redeem_code(&code, VERIFIER, REDIRECT, now)).contains("its tokens are revoked"));
        assert!(!grants.is_good(pair.access.expose(), now));
    }

    #[test]
    fn access_ends_after_its_life_and_by_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut grants = grants(folder.path());
        let pair = login(&mut grants, now);
        assert!(grants.is_good(pair.access.expose(), now + ACCESS_LIFE - Duration::from_secs(1)));
        assert!(!grants.is_good(pair.access.expose(), now + ACCESS_LIFE));
        grants.revoke(pair.access.expose()).unwrap();
        assert!(!grants.is_good(pair.access.expose(), now));
        let next = grants.refresh(pair.refresh.expose(), now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        grants.revoke(next.refresh.expose()).unwrap();
        assert!(!grants.is_good(next.access.expose(), now));
        assert!(reason(grants.refresh(next.refresh.expose(), now)).contains("unknown or revoked"));
        grants.revoke("never issued").unwrap();
    }

    #[test]
    fn a_second_process_continues_the_chain_and_knows_used_tokens_and_no_token_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut before = grants(folder.path());
        let first = login(&mut before, now);
        let second = before.refresh(first.refresh.expose(), now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        drop(before);
        let text = std::fs::read_to_string(folder.path().join("api.json")).unwrap();
        for token in [&first.refresh, &first.access, &second.refresh, &second.access] {
            assert!(!text.contains(token.expose()));
        }
        let mut after = grants(folder.path());
        let third = after.refresh(second.refresh.expose(), now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(reason(after.refresh(first.refresh.expose(), now)), "Reused");
        assert!(reason(grants(folder.path()).refresh(third.refresh.expose(), now)).contains("unknown or revoked"));
    }
}
