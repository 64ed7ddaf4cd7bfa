//! What the job says of credentials that are bought: OAuth2, Microsoft Entra, sessions. Secrets stay references.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::json_path::JsonPath;
use super::plan::{Rotation, SecretSource, TextSource};

#[derive(Debug, Clone)]
pub(crate) struct Oauth2 {
    pub grant: Grant,
    pub client_id: TextSource,
    pub client_auth: ClientAuth,
    pub server: AuthServer,
}

/// An authorization server and what is asked of it. Holds no secret.
#[derive(Debug, Clone)]
pub(crate) struct AuthServer {
    pub endpoints: Endpoints,
    /// The server's identifier, compared letter by letter (RFC 8414 section 3.3, RFC 9207). Absent = not known.
    pub issuer: Option<String>,
    pub discovery: Discovery,
    /// Whether found endpoints may be plain http on another machine.
    pub allow_http: bool,
    pub scopes: Vec<String>,
    /// A space in RFC 6749 section 3.3; some providers read a comma.
    pub scope_separator: String,
    pub authorize_params: BTreeMap<String, String>,
    pub token_params: BTreeMap<String, String>,
    pub redirect: Redirect,
    pub rotation: Rotation,
    /// How long one token request may take.
    pub timeout: Duration,
}

/// Addresses of an authorization server. Absent = neither the job nor its provider names one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endpoints {
    pub token: Option<Url>,
    pub authorize: Option<Url>,
    /// RFC 8628.
    pub device: Option<Url>,
    /// RFC 7009.
    pub revoke: Option<Url>,
}

/// Whether the server's metadata (RFC 8414) are asked for what the job does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    Off,
    /// `AuthServer::issuer` is there.
    On,
}

#[derive(Debug, Clone)]
pub(crate) enum Grant {
    AuthorizationCode,
    ClientCredentials,
    /// A refresh token that was imported; there is no login.
    RefreshToken,
    /// RFC 8628.
    DeviceCode,
    /// RFC 7523 section 2.1.
    JwtBearer(Assertion),
    /// RFC 6749 section 4.3; for providers that have nothing else.
    Password {
        username: TextSource,
        password: SecretSource,
    },
}

/// The signed statement that is the grant.
#[derive(Debug, Clone)]
pub(crate) struct Assertion {
    pub key: PrivateKey,
    pub issuer: TextSource,
    pub subject: Option<TextSource>,
    /// Absent = the token endpoint.
    pub audience: Option<String>,
    pub claims: BTreeMap<String, serde_json::Value>,
    /// At most an hour, which is Google's bound.
    pub lifetime: Duration,
}

/// A key that signs, with what the verifier needs to find its public half.
#[derive(Debug, Clone)]
pub(crate) struct PrivateKey {
    /// PEM: PKCS#8, or PKCS#1 for RSA.
    pub key: SecretSource,
    /// Absent = RS256 or ES256, by the key.
    pub algorithm: Option<Algorithm>,
    /// Absent = no `kid` in the header.
    pub kid: Option<String>,
    /// PEM; its SHA-256 goes into the header as `x5t#S256`. Absent = none.
    pub certificate: Option<TextSource>,
}

/// Signature algorithms of JSON Web Signatures (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
}

/// How a client proves who it is (RFC 6749 section 2.3, RFC 7523 section 2.2).
#[derive(Debug, Clone)]
pub(crate) enum ClientAuth {
    Basic(SecretSource),
    Post(SecretSource),
    PrivateKey {
        key: PrivateKey,
        audience: AssertionAudience,
    },
    /// A file whose present content is the assertion; whoever runs the platform renews it.
    AssertionFile(PathBuf),
    /// A public client: only its id is sent.
    Public,
    /// Not even an id is sent: the grant says who asks.
    Unnamed,
}

/// For whom a client's assertion is signed. Providers differ in which of the two they accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssertionAudience {
    TokenEndpoint,
    Issuer,
}

/// Where the authorization server sends the browser back to.
#[derive(Debug, Clone)]
pub(crate) enum Redirect {
    /// `http://127.0.0.1:PORT/callback` on any free port.
    AnyPort,
    /// The same on this port.
    Port(u16),
    /// A registered address that we do not listen on: its final URL is pasted.
    Registered(Url),
}

/// Microsoft Entra: an OAuth2 whose authority the service itself may name.
#[derive(Debug, Clone)]
pub(crate) struct Entra {
    pub authority: Authority,
    /// Whom the token is for, as `https://org.crm.dynamics.com`.
    pub resource: String,
    pub scopes: Vec<String>,
    /// Absent only for a machine's own managed identity.
    pub client_id: Option<TextSource>,
    pub login: EntraLogin,
    pub redirect: Redirect,
    pub rotation: Rotation,
    pub allow_http: bool,
}

/// Who issues the tokens.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    /// `https://login.microsoftonline.com/TENANT`, without what the endpoints add; its path does not end with `/`.
    Given(Url),
    /// The service names it in its answer to a request without credential. Credentials go to Microsoft's own hosts
    /// and to these only.
    Discovered { trusted_hosts: Vec<String> },
}

impl Authority {
    /// The authority of an authorization address: `https://HOST/TENANT` of `https://HOST/TENANT/oauth2/authorize`.
    pub(crate) fn root_of(authorization: &Url) -> Url {
        let mut root = authorization.clone();
        root.set_query(None);
        root.set_fragment(None);
        let path = root.path().split("/oauth2").next().unwrap_or_default().trim_end_matches('/').to_owned();
        root.set_path(&path);
        root
    }
}

#[derive(Debug, Clone)]
pub(crate) enum EntraLogin {
    ClientSecret(SecretSource),
    Certificate(PrivateKey),
    /// The federated token's file. Absent = the one that AZURE_FEDERATED_TOKEN_FILE names.
    WorkloadIdentity(Option<PathBuf>),
    ManagedIdentity,
    DeviceCode,
    AuthorizationCode,
}

/// A login request whose answer carries what later requests are sent with.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// On the origin of the source.
    pub url: Url,
    pub body: SessionBody,
    pub headers: Vec<(String, TextSource)>,
    pub carries: SessionToken,
    /// Absent = good until it is refused.
    pub lifetime: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(crate) enum SessionBody {
    Json(JsonTemplate),
    Form(Vec<(String, TextSource)>),
}

/// A JSON document whose texts may be references.
#[derive(Debug, Clone)]
pub(crate) enum JsonTemplate {
    Text(TextSource),
    /// A number, true, false or null.
    Plain(serde_json::Value),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

/// What of the answer is kept, and where it is sent.
#[derive(Debug, Clone)]
pub(crate) enum SessionToken {
    Body {
        path: JsonPath,
        place: TokenPlace,
    },
    /// Cookies by their names; none named = all that the answer sets.
    Cookies(Vec<String>),
}

/// Where a bought token stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// With the text before it, as `Bearer `.
    Header {
        name: String,
        prefix: String,
    },
    Param(String),
    Cookie(String),
    /// The token is the whole `Cookie` header.
    Cookies,
}

impl TokenPlace {
    /// RFC 6750 section 2.1.
    pub(crate) fn bearer() -> Self {
        TokenPlace::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() }
    }
}

/// A user of a Windows domain, or of one server.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    pub username: TextSource,
    pub password: SecretSource,
    pub scheme: WindowsScheme,
    /// Absent = `HTTP/` and the source's host.
    pub spn: Option<String>,
    /// `tcp://host:port`. Absent = as the machine's Kerberos configuration says.
    pub kdc: Option<Url>,
}

/// What stands in the Authorization header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowsScheme {
    Negotiate,
    Ntlm,
}

impl WindowsScheme {
    /// Its name in HTTP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            WindowsScheme::Negotiate => "Negotiate",
            WindowsScheme::Ntlm => "NTLM",
        }
    }
}
