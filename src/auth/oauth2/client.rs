//! A client of an authorization server: the grants (RFC 6749, RFC 7523, RFC 7636) and revocation (RFC 7009).

use std::sync::Arc;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use url::Url;

use super::assertion::SigningKey;
use super::discovery::{Metadata, metadata_of};
use super::proof::{Proof, Verifier};
use super::wire::{Answer, Form};
use crate::auth::error::Error;
use crate::auth::grant::Granted;
use crate::auth::record::{Identity, Tokens};
use crate::http::{TokenChannel, excerpt};
use crate::model::credential::{AuthServer, Discovery, Redirect};
use crate::model::plan::Rotation;
use crate::secret::Secret;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A grant with its secrets at hand.
pub(crate) enum HeldGrant {
    AuthorizationCode,
    ClientCredentials,
    RefreshToken,
    DeviceCode,
    JwtBearer(Box<Statement>),
    Password { username: String, password: Secret },
}

/// What a JWT grant says and signs.
pub(crate) struct Statement {
    pub key: SigningKey,
    pub issuer: String,
    /// Absent = the issuer speaks for itself.
    pub subject: Option<String>,
    /// Absent = the token endpoint.
    pub audience: Option<String>,
    pub claims: Map<String, Value>,
    pub lifetime_secs: i64,
}

/// A client of an authorization server, with its secrets at hand.
pub(crate) struct Oauth2Client {
    server: AuthServer,
    base_url: Url,
    id: String,
    proof: Arc<Proof>,
    grant: HeldGrant,
    channel: TokenChannel,
    /// Asked for once, when something is missing.
    metadata: OnceCell<Metadata>,
}

/// An authorization request under way.
pub(in crate::auth) struct Authorization {
    /// For the browser; holds no secret.
    pub url: Url,
    /// Shown to the person inside the URL, so it is no `Secret`: the mask would tear the address.
    pub state: String,
    pub verifier: PkceCodeVerifier,
    pub sender: Sender,
}

/// Which server the answer of a login must come from (RFC 9207).
#[derive(Debug, Clone)]
pub(in crate::auth) enum Sender {
    /// This issuer, letter by letter.
    Issuer { issuer: String, is_named_always: bool },
    /// Nobody told us its name; it must at least be at home where the login began.
    SameOrigin(Url),
}

impl Oauth2Client {
    /// The client as the job describes it, bound to the source's data path.
    pub(crate) fn new(
        server: AuthServer,
        base_url: Url,
        id: String,
        proof: Arc<Proof>,
        grant: HeldGrant,
        channel: TokenChannel,
    ) -> Self {
        Oauth2Client { server, base_url, id, proof, grant, channel, metadata: OnceCell::new() }
    }

    pub(in crate::auth) fn grant(&self) -> &HeldGrant {
        &self.grant
    }

    pub(in crate::auth) fn redirect(&self) -> &Redirect {
        &self.server.redirect
    }

    pub(in crate::auth) fn timeout(&self) -> Duration {
        self.server.timeout
    }

    pub(in crate::auth) fn rotation(&self) -> &Rotation {
        &self.server.rotation
    }

    pub(in crate::auth) fn identity(&self) -> Identity {
        let (grant, user) = match &self.grant {
            HeldGrant::AuthorizationCode => ("authorization_code", None),
            HeldGrant::ClientCredentials => ("client_credentials", None),
            HeldGrant::RefreshToken => ("refresh_token", None),
            HeldGrant::DeviceCode => ("device_code", None),
            HeldGrant::JwtBearer(statement) => ("jwt_bearer", statement.subject.as_deref()),
            HeldGrant::Password { username, .. } => ("password", Some(username.as_str())),
        };
        // The same client for another user holds another token.
        let client = user.map_or_else(|| self.id.clone(), |user| format!("{} for {user}", self.id));
        Identity::of(&self.base_url, &self.authority(), &client, grant)
    }

    /// What tells one authorization server from another without asking it.
    fn authority(&self) -> Url {
        let issuer = || self.server.issuer.as_ref().and_then(|issuer| issuer.parse().ok());
        self.server.endpoints.token.clone().or_else(issuer).unwrap_or_else(|| self.base_url.clone())
    }

    async fn metadata(&self) -> Result<Option<&Metadata>, Error> {
        match (self.server.discovery, &self.server.issuer) {
            (Discovery::On, Some(issuer)) => self
                .metadata
                .get_or_try_init(|| metadata_of(issuer, self.server.allow_http, &self.channel))
                .await
                .map(Some),
            (Discovery::On, None) | (Discovery::Off, _) => Ok(None),
        }
    }

    /// An endpoint as the job names it, else as the server does. `Ok(None)` = neither.
    async fn found(
        &self,
        named: &Option<Url>,
        found: impl Fn(&Metadata) -> &Option<Url>,
    ) -> Result<Option<Url>, Error> {
        match named {
            Some(url) => Ok(Some(url.clone())),
            None => Ok(self.metadata().await?.and_then(|metadata| found(metadata).clone())),
        }
    }

    /// The address in the job that leads to an endpoint: the endpoint itself, or the issuer whose metadata name it.
    fn configured(&self, endpoint: &Url) -> Url {
        let named = &self.server.endpoints;
        let is_named = [&named.token, &named.device, &named.revoke].into_iter().flatten().any(|url| url == endpoint);
        let issuer = || self.server.issuer.as_ref().and_then(|issuer| issuer.parse().ok());
        if is_named { None } else { issuer() }.unwrap_or_else(|| endpoint.clone())
    }

    async fn token_endpoint(&self) -> Result<Url, Error> {
        let found = self.found(&self.server.endpoints.token, |metadata| &metadata.token_endpoint).await?;
        found.ok_or(Error::NoEndpoint { name: "token_url" })
    }

    /// A request with the client's proof.
    async fn form(&self, endpoint: &Url, grant_type: &str) -> Result<Form, Error> {
        let verifier = Verifier { token_endpoint: endpoint.as_str(), issuer: self.server.issuer.as_deref() };
        let form = Form::default().with("grant_type", grant_type);
        let form = self.proof.add(form, &self.id, &verifier).await?;
        let params = self.server.token_params.iter();
        Ok(params.fold(form, |form, (name, value)| form.with(name, value)))
    }

    /// Buys tokens with what this adds to the request.
    pub(super) async fn ask(
        &self,
        grant_type: &str,
        add: impl FnOnce(Form, &Url) -> Result<Form, Error>,
    ) -> Result<Answer, Error> {
        let endpoint = self.token_endpoint().await?;
        let form = add(self.form(&endpoint, grant_type).await?, &endpoint)?;
        Ok(form.ask(&endpoint, &self.channel, &self.configured(&endpoint)).await)
    }

    async fn granted(&self, grant_type: &str, add: impl FnOnce(Form, &Url) -> Result<Form, Error>) -> Granted {
        match self.ask(grant_type, add).await {
            Ok(answer) => answer.into(),
            Err(error) => Granted::hindered(error),
        }
    }

    /// Begins an authorization request with PKCE S256 and a state that the redirect must bring back.
    pub(in crate::auth) async fn authorize(&self, redirect: &Url) -> Result<Authorization, Error> {
        let endpoint = self.found(&self.server.endpoints.authorize, |metadata| &metadata.authorization_endpoint);
        let endpoint = endpoint.await?.ok_or(Error::NoEndpoint { name: "authorize_url" })?;
        let sender = match &self.server.issuer {
            Some(issuer) => {
                let metadata = self.metadata().await?;
                let is_named_always =
                    metadata.is_some_and(|metadata| metadata.authorization_response_iss_parameter_supported);
                Sender::Issuer { issuer: issuer.clone(), is_named_always }
            }
            None => Sender::SameOrigin(endpoint.clone()),
        };
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = BasicClient::new(ClientId::new(self.id.clone())).set_auth_uri(AuthUrl::from_url(endpoint));
        let redirect = RedirectUrl::from_url(redirect.clone());
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect));
        if let Some(scope) = self.scope() {
            // Not the crate's own scopes: it joins them with a space.
            request = request.add_extra_param("scope", scope);
        }
        for (name, value) in &self.server.authorize_params {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        Ok(Authorization { url, state: state.secret().clone(), verifier, sender })
    }

    pub(in crate::auth) async fn exchange_code(
        &self,
        code: &Secret,
        verifier: PkceCodeVerifier,
        redirect: &Url,
    ) -> Granted {
        self.granted("authorization_code", |form, _| {
            let form = form.with("code", code.expose()).with("redirect_uri", redirect.as_str());
            Ok(form.with("code_verifier", verifier.secret()))
        })
        .await
    }

    pub(in crate::auth) async fn refresh(&self, token: &Secret) -> Granted {
        // No scopes: the answer keeps those of the login (RFC 6749 section 6).
        let answer = self.ask("refresh_token", |form, _| Ok(form.with("refresh_token", token.expose()))).await;
        match answer {
            Ok(Answer::Error { code, why }) if self.server.rotation.invalid_codes.contains(&code) => {
                Granted::InvalidGrant { why }
            }
            Ok(answer) => answer.into(),
            Err(error) => Granted::hindered(error),
        }
    }

    /// Buys a token without anybody's login.
    pub(in crate::auth) async fn buy(&self) -> Granted {
        match &self.grant {
            HeldGrant::ClientCredentials => {
                self.granted("client_credentials", |form, _| Ok(self.with_scope(form))).await
            }
            HeldGrant::JwtBearer(statement) => {
                self.granted(JWT_BEARER, |form, endpoint| {
                    let assertion = statement.sign(endpoint)?;
                    Ok(self.with_scope(form).with("assertion", assertion.expose()))
                })
                .await
            }
            HeldGrant::Password { username, password } => {
                self.granted("password", |form, _| {
                    let form = self.with_scope(form).with("username", username);
                    Ok(form.with("password", password.expose()))
                })
                .await
            }
            HeldGrant::AuthorizationCode | HeldGrant::RefreshToken | HeldGrant::DeviceCode => {
                unreachable!("`Issuer::needs_login` says that these spend a refresh token")
            }
        }
    }

    /// Asks for a device code (RFC 8628 section 3.1).
    pub(super) async fn ask_device_code(&self) -> Result<http::Response<Vec<u8>>, Error> {
        let found = self.found(&self.server.endpoints.device, |metadata| &metadata.device_authorization_endpoint);
        let endpoint = found.await?.ok_or(Error::NoEndpoint { name: "device_authorize_url" })?;
        let issuer = self.server.issuer.as_deref();
        let verifier = Verifier { token_endpoint: endpoint.as_str(), issuer };
        let form = self.proof.add(Form::default(), &self.id, &verifier).await?;
        // The request names the client even where a header proves it.
        let is_named = form.pairs.iter().any(|(name, _)| name == "client_id");
        let form = if is_named { form } else { form.with("client_id", &self.id) };
        Ok(self.with_scope(form).post(&endpoint, &self.channel, &self.configured(&endpoint)).await?)
    }

    /// Revokes the refresh token, which ends its family, then the access token (RFC 7009). `Ok(false)` = neither the
    /// job nor the server names a revocation endpoint.
    pub(in crate::auth) async fn revoke(&self, tokens: &Tokens) -> Result<bool, Error> {
        let found = self.found(&self.server.endpoints.revoke, |metadata| &metadata.revocation_endpoint).await?;
        let Some(endpoint) = found else { return Ok(false) };
        let refresh = tokens.refresh.iter().map(|token| (token, "refresh_token"));
        for (token, hint) in refresh.chain([(&tokens.access, "access_token")]) {
            let verifier = Verifier { token_endpoint: endpoint.as_str(), issuer: self.server.issuer.as_deref() };
            let form = Form::default().with("token", token.expose()).with("token_type_hint", hint);
            let form = self.proof.add(form, &self.id, &verifier).await?;
            let answer = form.post(&endpoint, &self.channel, &self.configured(&endpoint)).await?;
            // A provider that revokes refresh tokens only; its family is gone already.
            let is_unsupported = String::from_utf8_lossy(answer.body()).contains("unsupported_token_type");
            if !answer.status().is_success() && !is_unsupported {
                let why = format!("{} {}", answer.status(), excerpt(answer.body()));
                return Err(Error::ClientRefused { why });
            }
        }
        Ok(true)
    }

    fn scope(&self) -> Option<String> {
        let scopes = &self.server.scopes;
        (!scopes.is_empty()).then(|| scopes.join(&self.server.scope_separator))
    }

    fn with_scope(&self, form: Form) -> Form {
        match self.scope() {
            Some(scope) => form.with("scope", &scope),
            None => form,
        }
    }
}

impl Statement {
    fn sign(&self, token_endpoint: &Url) -> Result<Secret, Error> {
        let mut claims = self.claims.clone();
        let audience = self.audience.as_deref().unwrap_or(token_endpoint.as_str());
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        claims.insert("aud".to_owned(), audience.into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".to_owned(), subject.as_str().into());
        }
        self.key.sign(claims, self.lifetime_secs)
    }
}
