//! The login of a person to haul's own page at an OpenID provider: the code flow with PKCE (OpenID Connect Core 1.0 section 3.1).
//! Nothing is kept but who it was.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::client::Sender;
use super::discovery::{Metadata, metadata_of};
use super::proof::{Proof, Verifier};
use super::wire::Form;
use crate::auth::error::Error;
use crate::auth::login::{Answer, Expectation};
use crate::clock::Clock;
use crate::http::{TokenChannel, excerpt};
use crate::limits::{CLOCK_SKEW_SECS, LOGIN_WAIT_MAX};
use crate::secret::Secret;

/// A provider where people log in to the page.
pub(crate) struct SignIn {
    issuer: Url,
    /// The same letter by letter, as answers repeat it.
    issuer_text: String,
    client_id: String,
    proof: Proof,
    redirect: Url,
    /// Verified addresses, subjects and groups of whom may enter; `*` = everybody whom the provider lets in.
    allowed: Vec<String>,
    channel: TokenChannel,
    metadata: OnceCell<Metadata>,
}

/// A login that is under way.
pub(crate) struct SigningIn {
    url: Url,
    state: String,
    nonce: String,
    verifier: PkceCodeVerifier,
    sender: Sender,
    began: Instant,
}

/// What an ID token says.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Value,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    #[serde(default)]
    nonce: Option<String>,
    sub: String,
    #[serde(default)]
    email: Option<String>,
    /// Some providers write it as a text.
    #[serde(default)]
    email_verified: Option<Value>,
    #[serde(default)]
    groups: Vec<Value>,
}

impl SigningIn {
    /// Where the person logs in.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// What the redirect brings back.
    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Whether nobody comes back any more.
    pub(crate) fn is_over(&self) -> bool {
        self.began.elapsed() > LOGIN_WAIT_MAX
    }
}

impl SignIn {
    /// `secret`: absent = a public client. `public` is where people reach the page.
    pub(crate) fn new(
        issuer: (Url, String),
        client_id: String,
        secret: Option<Secret>,
        public: &Url,
        allowed: Vec<String>,
        channel: TokenChannel,
    ) -> Self {
        let mut redirect = public.clone();
        redirect.set_path("/login/callback");
        SignIn {
            issuer: issuer.0,
            issuer_text: issuer.1,
            client_id,
            proof: secret.map_or(Proof::Public, Proof::Basic),
            redirect,
            allowed,
            channel,
            metadata: OnceCell::new(),
        }
    }

    /// Name of the provider, for people.
    pub(crate) fn host(&self) -> &str {
        self.issuer.host_str().unwrap_or_default()
    }

    async fn metadata(&self) -> Result<&Metadata, Error> {
        let found = || metadata_of(&self.issuer_text, false, &self.channel);
        self.metadata.get_or_try_init(found).await
    }

    pub(crate) async fn begin(&self) -> Result<SigningIn, Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.authorization_endpoint.clone().ok_or(Error::NoEndpoint { name: "authorize_url" })?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().secret().clone();
        let client = BasicClient::new(ClientId::new(self.client_id.clone())).set_auth_uri(AuthUrl::from_url(endpoint));
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Owned(RedirectUrl::from_url(self.redirect.clone())))
            .add_scope(Scope::new("openid".to_owned()))
            .add_scope(Scope::new("email".to_owned()))
            .add_extra_param("nonce", nonce.clone())
            .url();
        let sender = Sender::Issuer {
            issuer: self.issuer_text.clone(),
            is_named_always: metadata.authorization_response_iss_parameter_supported,
        };
        Ok(SigningIn { url, state: state.secret().clone(), nonce, verifier, sender, began: Instant::now() })
    }

    /// Redeems the answer that the browser brought, and tells who it is.
    pub(crate) async fn finish(&self, begun: SigningIn, query: &str) -> Result<String, Error> {
        let expect = Expectation { state: begun.state, sender: begun.sender };
        let code = match expect.read(query).map_err(|why| Error::Pasted { why })? {
            Answer::Code(code) => code,
            Answer::Refused(why) => return Err(Error::LoginRefused { why }),
        };
        let endpoint = self.metadata().await?.token_endpoint.clone().ok_or(Error::NoEndpoint { name: "token_url" })?;
        let verifier = Verifier { token_endpoint: endpoint.as_str(), issuer: Some(&self.issuer_text) };
        let form = Form::default()
            .with("grant_type", "authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", self.redirect.as_str())
            .with("code_verifier", begun.verifier.secret());
        let form = self.proof.add(form, &self.client_id, &verifier).await?;
        let answer = form.post(&endpoint, &self.channel, &self.issuer).await?;
        if !answer.status().is_success() {
            return Err(Error::ClientRefused { why: format!("{} {}", answer.status(), excerpt(answer.body())) });
        }
        let unreadable = |why: &str| Error::Unreadable { why: format!("the ID token: {why}") };
        let body: Value = serde_json::from_slice(answer.body()).map_err(|_| unreadable("the answer is no JSON"))?;
        let token = body["id_token"].as_str().ok_or_else(|| unreadable("there is none"))?;
        // It came from the token endpoint itself over TLS, whose certificate stands for the signature (section 3.1.3.7, 6).
        let payload = token.split('.').nth(1).ok_or_else(|| unreadable("it is no JWT"))?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| unreadable("it is no JWT"))?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| unreadable("a claim is missing"))?;
        claims.check(&self.issuer_text, &self.client_id, &begun.nonce, Clock.now().timestamp()).map_err(unreadable)?;
        let who = claims.email().unwrap_or(&claims.sub).to_owned();
        if !claims.is_among(&self.allowed) {
            return Err(Error::LoginRefused { why: format!("`{who}` is not among those who may enter") });
        }
        Ok(who)
    }
}

impl Claims {
    /// Section 3.1.3.7, without the signature.
    fn check(&self, issuer: &str, client_id: &str, nonce: &str, now: i64) -> Result<(), &'static str> {
        if self.iss != issuer {
            return Err("it is of another issuer");
        }
        let is_for_us = match &self.aud {
            Value::String(audience) => audience == client_id,
            Value::Array(audiences) => {
                audiences.iter().any(|audience| audience == client_id)
                    && (audiences.len() == 1 || self.azp.as_deref() == Some(client_id))
            }
            _ => false,
        };
        if !is_for_us {
            return Err("it is for another client");
        }
        if self.exp + CLOCK_SKEW_SECS < now {
            return Err("it has expired: is the clock right?");
        }
        if self.nonce.as_deref() != Some(nonce) {
            return Err("it is not the answer to this login");
        }
        Ok(())
    }

    /// Unless the provider says that nobody checked it.
    fn email(&self) -> Option<&str> {
        let is_unchecked = matches!(&self.email_verified, Some(Value::Bool(false)))
            || self.email_verified.as_ref().and_then(Value::as_str) == Some("false");
        self.email.as_deref().filter(|_| !is_unchecked)
    }

    fn is_among(&self, allowed: &[String]) -> bool {
        let is_group = |name: &String| self.groups.iter().any(|group| group.as_str() == Some(name));
        let is_email = |name: &String| self.email().is_some_and(|email| email.eq_ignore_ascii_case(name));
        allowed.iter().any(|name| name == "*" || *name == self.sub || is_email(name) || is_group(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(change: Value) -> Claims {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "haul", "exp": 1_000, "nonce": "n", "sub": "u1",
            "email": "Ann@example.com", "email_verified": true, "groups": ["finance"],
        });
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        serde_json::from_value(claims).expect("claims")
    }

    #[test]
    fn an_id_token_is_for_this_client_this_login_and_now() {
        let check = |change: Value, is_good: bool| {
            let checked = claims(change.clone()).check("https://id.example", "haul", "n", 1_000);
            assert_eq!(checked.is_ok(), is_good, "{change}: {checked:?}");
        };
        check(json!({}), true);
        check(json!({ "aud": ["haul"] }), true);
        check(json!({ "aud": ["haul", "x"], "azp": "haul" }), true);
        check(json!({ "aud": ["haul", "x"], "azp": "x" }), false);
        check(json!({ "aud": ["haul", "x"] }), false);
        check(json!({ "aud": "x" }), false);
        check(json!({ "iss": "https://evil.example" }), false);
        check(json!({ "nonce": "m" }), false);
        check(json!({ "nonce": null }), false);
        check(json!({ "exp": 800 }), false);
    }

    #[test]
    fn only_the_named_enter() {
        let check = |change: Value, allowed: &str, expect: bool| {
            assert_eq!(claims(change.clone()).is_among(&[allowed.to_owned()]), expect, "{change} {allowed}");
        };
        check(json!({}), "ann@example.com", true);
        check(json!({}), "bob@example.com", false);
        check(json!({ "email_verified": false }), "ann@example.com", false);
        check(json!({ "email_verified": "false" }), "ann@example.com", false);
        check(json!({}), "u1", true);
        check(json!({}), "finance", true);
        check(json!({}), "*", true);
        assert!(!claims(json!({})).is_among(&[]));
    }
}
