//! `source.auth` for credentials that are bought, exactly as it is typed: OAuth2, Microsoft Entra, sessions.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::SecretRef;

/// OAuth2: a client, a grant and the authorization server's addresses. What the job does not say comes from `provider`, then from the metadata of `issuer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oauth2Spec {
    /// A provider of haul's table (`docs/JOBS.md`), for example `exact_online`; everything it says can be overridden here.
    pub provider: Option<String>,
    /// What the provider's addresses depend on, for example `country: nl` or `domain: example.okta.com`.
    #[serde(default)]
    pub provider_params: BTreeMap<String, String>,
    /// How haul gets its first token.
    pub grant: GrantSpec,
    /// Client id; may be a reference. Needed by every grant but `jwt_bearer`.
    pub client_id: Option<String>,
    /// Client secret, as a reference; absent for a public client.
    pub client_secret: Option<SecretRef>,
    /// Private key of the client, for `client_auth: private_key_jwt`.
    pub private_key: Option<PrivateKeySpec>,
    /// For whom the client's signed statement is made out. Default `token_endpoint`.
    pub assertion_audience: Option<AssertionAudienceSpec>,
    /// File with a token that another issuer made for this client (workload identity); read anew for every request.
    pub client_assertion_file: Option<String>,
    /// How the client proves who it is. Default: what fits the secret or key that is given, `basic` for a secret.
    pub client_auth: Option<ClientAuthSpec>,
    /// Identifier of the authorization server; missing addresses are read from its metadata (RFC 8414, OpenID Connect Discovery), and a login's answer must come from it (RFC 9207).
    pub issuer: Option<String>,
    /// Where the token is bought.
    pub token_url: Option<String>,
    /// Where the user logs in; needed for `authorization_code`.
    pub authorize_url: Option<String>,
    /// Where a device's login begins (RFC 8628); needed for `device_code` and `haul login --device`.
    pub device_authorize_url: Option<String>,
    /// Where `haul logout` revokes the tokens (RFC 7009).
    pub revoke_url: Option<String>,
    /// Scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Text between two scopes. Default a space.
    pub scope_separator: Option<String>,
    /// The signed statement of the grant `jwt_bearer`.
    pub assertion: Option<AssertionSpec>,
    /// User of the grant `password`; may be a reference.
    pub username: Option<String>,
    /// Password of the grant `password`, as a reference.
    pub password: Option<SecretRef>,
    /// What the provider does with a refresh token that was used. Default: that of `provider`; unknown providers are taken for `single_use`.
    pub rotation: Option<RotationSpec>,
    /// How long one token request may take, for example `20s`; 1 to 60 seconds. Default 60 s. Another process that finds a refresh unfinished waits for six times as long before it takes it over.
    pub timeout: Option<String>,
    /// Fixed loopback port of the login's redirect, when the provider demands one; otherwise any free port.
    pub redirect_port: Option<u16>,
    /// Redirect address registered at the provider, when it is not `http://127.0.0.1:PORT/callback`; `haul login --paste` then takes the address the browser ended at.
    pub redirect_url: Option<String>,
    /// More parameters of the authorization request, for example `access_type: offline`.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// More parameters of the token request, for example `audience` or `resource`.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
}

/// OAuth2 grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantSpec {
    /// A user logs in once with `haul login`; refreshed from then on. PKCE always.
    AuthorizationCode,
    /// The client itself is authorized; no login.
    ClientCredentials,
    /// A refresh token from elsewhere, brought in once with `haul credentials import`.
    RefreshToken,
    /// A user logs in once on any device, with a code that `haul login` shows (RFC 8628).
    DeviceCode,
    /// A statement signed with a private key; no login (RFC 7523).
    JwtBearer,
    /// User and password go to the authorization server; only for providers that have nothing else.
    Password,
}

/// How an OAuth2 client authenticates (RFC 6749 section 2.3, RFC 7523).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthSpec {
    /// Secret in the Authorization header.
    Basic,
    /// Secret in the body.
    Post,
    /// A statement signed with `private_key`.
    PrivateKeyJwt,
    /// No proof: a public client.
    None,
}

/// A private key that signs statements.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivateKeySpec {
    /// The key in PEM (PKCS#8, or PKCS#1 for RSA), or Google's JSON key file, as a reference: `${file:/run/secrets/key.pem}`.
    pub key: SecretRef,
    /// Signature algorithm. Default `rs256` or `es256`, by the key.
    pub algorithm: Option<AlgorithmSpec>,
    /// Name of the key at the provider (`kid`).
    pub kid: Option<String>,
    /// The key's certificate in PEM, as a reference; its fingerprint is sent as `x5t#S256`.
    pub certificate: Option<SecretRef>,
}

/// Signature algorithms (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlgorithmSpec {
    /// RSA with PKCS#1 v1.5 and SHA-256.
    Rs256,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// For whom a client's statement is made out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssertionAudienceSpec {
    /// The address of the token endpoint.
    TokenEndpoint,
    /// The `issuer`.
    Issuer,
}

/// The signed statement of the grant `jwt_bearer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssertionSpec {
    /// The key that signs it.
    pub private_key: PrivateKeySpec,
    /// Who says it (`iss`); may be a reference. Default: `client_id`.
    pub issuer: Option<String>,
    /// For which user (`sub`); may be a reference.
    pub subject: Option<String>,
    /// To whom (`aud`). Default: the token endpoint.
    pub audience: Option<String>,
    /// More claims, for example Google's `scope`.
    #[serde(default)]
    pub claims: BTreeMap<String, serde_json::Value>,
    /// How long it is good, for example `5m`; at most `1h`. Default `5m`.
    pub lifetime: Option<String>,
}

/// What a provider does with a refresh token that was used.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationSpec {
    /// What becomes of the used token.
    pub class: RotationClassSpec,
    /// How long a used one is still taken, for example `10m`; for `valid_for_window`.
    pub window: Option<String>,
    /// How long an unused one lives, for example `30d`.
    pub idle: Option<String>,
    /// The provider refuses to replace an access token younger than this, for example `570s`.
    pub age_min: Option<String>,
    /// Error codes by which the provider says, beside `invalid_grant`, that it does not take a refresh token.
    #[serde(default)]
    pub invalid_codes: Vec<String>,
}

/// What becomes of a used refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RotationClassSpec {
    /// There is one for good.
    NotRotated,
    /// Every one stays valid.
    OldStaysValid,
    /// It stays valid until its successor is used.
    ValidUntilSuccessorUsed,
    /// It stays valid for `window`.
    ValidForWindow,
    /// It is refused.
    SingleUse,
    /// It is refused and takes all its successors with it.
    ReuseRevokesFamily,
}

/// Microsoft Entra. Without `tenant` and `authorization_uri` the service is asked: its answer to a request without credential names the authority.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntraSpec {
    /// Tenant: its id or one of its domains.
    pub tenant: Option<String>,
    /// Authority as a service names it, for example `https://login.microsoftonline.us/contoso.com/oauth2/authorize`.
    pub authorization_uri: Option<String>,
    /// Whom the token is for. Default: the root of `base_url`.
    pub resource: Option<String>,
    /// Scopes to ask for. Default: `RESOURCE/.default`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Application id; may be a reference. With `managed_identity` that of a user-assigned identity.
    pub client_id: Option<String>,
    /// How haul proves who it is.
    pub credential: EntraCredentialSpec,
    /// Hosts besides Microsoft's own that a discovered authority may have.
    #[serde(default)]
    pub trusted_hosts: Vec<String>,
    /// Fixed loopback port of the login's redirect; otherwise any free port.
    pub redirect_port: Option<u16>,
    /// Redirect address registered for the application, when it is not `http://127.0.0.1:PORT/callback`.
    pub redirect_url: Option<String>,
}

/// How haul proves who it is to Microsoft Entra.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntraCredentialSpec {
    /// A client secret, as a reference.
    ClientSecret(SecretRef),
    /// A certificate and its private key.
    Certificate(CertificateSpec),
    /// The token that AZURE_FEDERATED_TOKEN_FILE names, as workload identity on Kubernetes sets it.
    WorkloadIdentity,
    /// A file with a token that another issuer made for this application.
    FederatedTokenFile(String),
    /// The identity of the machine or app service that haul runs on.
    ManagedIdentity,
    /// A user logs in once on any device, with a code that `haul login` shows.
    DeviceCode,
    /// A user logs in once in the browser that `haul login` opens.
    AuthorizationCode,
}

/// A certificate and its private key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateSpec {
    /// The certificate in PEM, as a reference; may be the same file as the key.
    pub certificate: SecretRef,
    /// The private key in PEM, as a reference.
    pub key: SecretRef,
}

/// A login request whose answer carries a token or cookies, used until they expire. One of `json` and `form`, one of `token` and `cookies`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionSpec {
    /// Path of the login below `base_url`, for example `/login`.
    pub path: String,
    /// Body in JSON; texts may be references.
    pub json: Option<BTreeMap<String, serde_json::Value>>,
    /// Body as a form; values may be references.
    pub form: Option<BTreeMap<String, String>>,
    /// Headers of the login request; values may be references.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Path to the token in the answer, for example `data.token`.
    pub token: Option<String>,
    /// Names of the cookies to keep; an empty list keeps all.
    pub cookies: Option<Vec<String>>,
    /// Where the token is sent. Default: `Authorization: Bearer TOKEN`.
    pub send: Option<SessionSendSpec>,
    /// How long a session lasts, for example `30m`. Default: until the API answers 401.
    pub lifetime: Option<String>,
}

/// Where a session's token is sent; one of `header`, `param` and `cookie`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionSendSpec {
    /// Name of the header.
    pub header: Option<String>,
    /// Name of the query parameter.
    pub param: Option<String>,
    /// Name of the cookie.
    pub cookie: Option<String>,
    /// Text before the token in the header, for example `Token `.
    pub prefix: Option<String>,
}

/// A user of a Windows domain, or of one server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowsSpec {
    /// `DOMAIN\\user` (for Kerberos, the realm stands for the domain), or `user@suffix` as Active Directory knows it; may be a reference.
    pub username: String,
    /// Password, as a reference.
    pub password: SecretRef,
    /// What the server offers; `negotiate` is Kerberos and nothing weaker.
    #[serde(default)]
    pub scheme: WindowsSchemeSpec,
    /// Service principal name; default `HTTP/` and the host of `base_url`.
    pub spn: Option<String>,
    /// Key distribution centre, `host` or `host:port`; default that of the machine's Kerberos configuration (KRB5_CONFIG).
    pub kdc: Option<String>,
}

/// Schemes of Windows authentication in HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowsSchemeSpec {
    /// RFC 4559.
    #[default]
    Negotiate,
    /// MS-NTHT.
    Ntlm,
}
