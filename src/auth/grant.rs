//! The OAuth2 grants on the wire (RFC 6749, RFC 7636, RFC 7009), over a token channel that never retries by itself.

use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use oauth2::basic::{
    BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenResponse,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use url::Url;

use super::error::Error;
use super::record::{Identity, Tokens};
use crate::clock::Clock;
use crate::http::{TokenChannel, TokenError, excerpt};
use crate::model::plan::{ClientAuth, Grant, Oauth2, Rotation};
use crate::secret::Secret;

type Configured = Client<
    BasicErrorResponse,
    BasicTokenResponse,
    StandardTokenIntrospectionResponse<oauth2::EmptyExtraTokenFields, oauth2::basic::BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type Failure = RequestTokenError<TokenError, BasicErrorResponse>;

/// How a token request ended.
pub(super) enum Granted {
    Yes(Box<Tokens>),
    /// The server certainly did not act: nothing was spent.
    NotSent(crate::http::Error),
    /// The server may have acted: the same token may be sent again.
    Ambiguous(crate::http::Error),
    /// The grant itself is no longer valid.
    InvalidGrant {
        why: String,
    },
    /// The client or the request is wrong; says nothing of the grant.
    Refused {
        why: String,
    },
    /// A good status whose body is no token answer: the server may have rotated.
    Unreadable {
        why: String,
    },
}

/// A client of an authorization server, with its secret at hand.
pub(crate) struct Oauth2Client {
    plan: Oauth2,
    base_url: Url,
    id: String,
    /// Absent = a public client.
    secret: Option<Secret>,
    wire: Wire,
}

/// An authorization request under way.
pub(super) struct Authorization {
    /// For the browser; holds no secret.
    pub url: Url,
    /// Shown to the person inside the URL, so it is no `Secret`: the mask would tear the address.
    pub state: String,
    pub verifier: PkceCodeVerifier,
}

impl Oauth2Client {
    /// The client as the job describes it, bound to the source's data path.
    pub(crate) fn new(plan: Oauth2, base_url: Url, id: String, secret: Option<Secret>) -> Self {
        Oauth2Client { plan, base_url, id, secret, wire: Wire(TokenChannel) }
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.plan.grant
    }

    pub(super) fn needs_login(&self) -> bool {
        matches!(self.plan.grant, Grant::AuthorizationCode { .. })
    }

    pub(super) fn rotation(&self) -> &Rotation {
        &self.plan.rotation
    }

    pub(super) fn identity(&self) -> Identity {
        let grant = match self.plan.grant {
            Grant::AuthorizationCode { .. } => "authorization_code",
            Grant::ClientCredentials => "client_credentials",
        };
        Identity::of(&self.base_url, &self.plan.token_url, &self.id, grant)
    }

    fn configured(&self) -> Configured {
        let mut client = BasicClient::new(ClientId::new(self.id.clone()))
            .set_auth_type(match self.plan.client_auth {
                ClientAuth::Basic => AuthType::BasicAuth,
                ClientAuth::Post => AuthType::RequestBody,
            })
            .set_token_uri(TokenUrl::from_url(self.plan.token_url.clone()));
        if let Some(secret) = &self.secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        client
    }

    /// Begins an authorization request with PKCE S256 and a state that the redirect must bring back.
    pub(super) fn authorize(
        &self,
        authorize_url: &Url,
        params: &std::collections::BTreeMap<String, String>,
        redirect: &Url,
    ) -> Authorization {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.configured().set_auth_uri(AuthUrl::from_url(authorize_url.clone()));
        let redirect = RedirectUrl::from_url(redirect.clone());
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect))
            .add_scopes(self.scopes());
        for (name, value) in params {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        Authorization { url, state: state.secret().clone(), verifier }
    }

    pub(super) async fn exchange_code(&self, code: &Secret, verifier: PkceCodeVerifier, redirect: &Url) -> Granted {
        let client = self.configured();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(RedirectUrl::from_url(redirect.clone())));
        for (name, value) in &self.plan.token_params {
            request = request.add_extra_param(name, value);
        }
        let sent_at = Clock.now();
        granted(request.request_async(&self.wire).await, sent_at)
    }

    pub(super) async fn refresh(&self, token: &Secret) -> Granted {
        let client = self.configured();
        let token = RefreshToken::new(token.expose().to_owned());
        // No scopes: the answer keeps those of the login (RFC 6749 section 6).
        let mut request = client.exchange_refresh_token(&token);
        for (name, value) in &self.plan.token_params {
            request = request.add_extra_param(name, value);
        }
        let sent_at = Clock.now();
        granted(request.request_async(&self.wire).await, sent_at)
    }

    pub(super) async fn client_credentials(&self) -> Granted {
        let client = self.configured();
        let mut request = client.exchange_client_credentials().add_scopes(self.scopes());
        for (name, value) in &self.plan.token_params {
            request = request.add_extra_param(name, value);
        }
        let sent_at = Clock.now();
        granted(request.request_async(&self.wire).await, sent_at)
    }

    /// Revokes the refresh token, which ends its family, then the access token (RFC 7009). `Ok(false)` = the job names
    /// no revocation endpoint.
    pub(super) async fn revoke(&self, tokens: &Tokens) -> Result<bool, Error> {
        let Some(revoke_url) = &self.plan.revoke_url else { return Ok(false) };
        let refresh = tokens.refresh.iter().map(|token| (token, "refresh_token"));
        for (token, hint) in refresh.chain([(&tokens.access, "access_token")]) {
            let request = self.revocation(revoke_url, token, hint)?;
            let answer = self.wire.0.send(request).await.map_err(|error| match error {
                TokenError::NotSent(source) | TokenError::Ambiguous(source) => Error::Unanswered { source },
            })?;
            // A provider that revokes refresh tokens only; its family is gone already.
            let is_unsupported = String::from_utf8_lossy(answer.body()).contains("unsupported_token_type");
            if !answer.status().is_success() && !is_unsupported {
                let why = format!("{} {}", answer.status(), excerpt(answer.body()));
                return Err(Error::ClientRefused { why });
            }
        }
        Ok(true)
    }

    /// Written by hand: the `oauth2` crate revokes over https only, and test servers on loopback speak http.
    fn revocation(&self, url: &Url, token: &Secret, hint: &str) -> Result<HttpRequest, Error> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.expose()).append_pair("token_type_hint", hint);
        let mut request = http::Request::post(url.as_str()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match (&self.secret, self.plan.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                // Both halves are form-encoded before base64 (RFC 6749 section 2.3.1).
                let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encoded(&self.id), encoded(secret.expose())));
                request = request.header(AUTHORIZATION, format!("Basic {pair}"));
            }
            (Some(secret), ClientAuth::Post) => {
                form.append_pair("client_id", &self.id).append_pair("client_secret", secret.expose());
            }
            (None, _) => {
                form.append_pair("client_id", &self.id);
            }
        }
        request.body(form.finish().into_bytes()).map_err(|_| Error::NotAHeader)
    }

    fn scopes(&self) -> Vec<Scope> {
        self.plan.scopes.iter().cloned().map(Scope::new).collect()
    }
}

/// The token channel as the `oauth2` crate asks for it, with answers brought to the standard's form.
struct Wire(TokenChannel);

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = TokenError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TokenError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.0.send(request).await?;
            Ok(if answer.status().is_success() { answer.map(with_plain_expiry) } else { answer })
        })
    }
}

/// Some providers (Exact Online) send `expires_in` as a string; RFC 6749 section 5.1 wants a number.
fn with_plain_expiry(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Value>(&body) else { return body };
    let seconds = answer.get("expires_in").and_then(|value| match value {
        serde_json::Value::String(text) => text.trim().parse::<u64>().ok(),
        serde_json::Value::Number(number) => number.as_f64().map(|seconds| seconds.max(0.0) as u64),
        _ => None,
    });
    if let Some(object) = answer.as_object_mut() {
        match seconds {
            Some(seconds) => object.insert("expires_in".to_owned(), seconds.into()),
            None => object.remove("expires_in"),
        };
        // Optional in practice; some providers leave it out.
        object.entry("token_type").or_insert_with(|| "bearer".into());
    }
    serde_json::to_vec(&answer).unwrap_or(body)
}

fn granted(answer: Result<BasicTokenResponse, Failure>, sent_at: chrono::DateTime<chrono::Utc>) -> Granted {
    let answer = match answer {
        Ok(answer) => answer,
        Err(RequestTokenError::Request(TokenError::NotSent(error))) => return Granted::NotSent(error),
        Err(RequestTokenError::Request(TokenError::Ambiguous(error))) => return Granted::Ambiguous(error),
        Err(RequestTokenError::ServerResponse(answer)) => return refused(&answer),
        Err(RequestTokenError::Parse(_, body)) => return Granted::Unreadable { why: unreadable(&body) },
        Err(RequestTokenError::Other(why)) => return Granted::Unreadable { why },
    };
    let lifetime = answer.expires_in().and_then(|lifetime| Duration::from_std(lifetime).ok());
    Granted::Yes(Box::new(Tokens {
        access: Secret::new(answer.access_token().secret().clone()),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
        // Counted from before the request: the server's clock started somewhere after that.
        expires_at: lifetime.and_then(|lifetime| sent_at.checked_add_signed(lifetime)),
        lifetime_secs: lifetime.map(|lifetime| lifetime.num_seconds()),
    }))
}

fn unreadable(body: &[u8]) -> String {
    // A JSON body may hold a token under a wrong name: show nothing of it.
    if body.first().is_some_and(|first| matches!(first, b'{' | b'[' | b'"')) {
        "JSON without an access token, or an error without a code".to_owned()
    } else {
        excerpt(body)
    }
}

fn refused(answer: &BasicErrorResponse) -> Granted {
    let code = answer.error().as_ref().to_owned();
    let why = match answer.error_description() {
        Some(description) => format!("{code} ({})", excerpt(description.as_bytes())),
        None => code,
    };
    match answer.error() {
        BasicErrorResponseType::InvalidGrant => Granted::InvalidGrant { why },
        BasicErrorResponseType::InvalidClient
        | BasicErrorResponseType::InvalidRequest
        | BasicErrorResponseType::InvalidScope
        | BasicErrorResponseType::UnauthorizedClient
        | BasicErrorResponseType::UnsupportedGrantType
        | BasicErrorResponseType::Extension(_) => Granted::Refused { why },
    }
}
