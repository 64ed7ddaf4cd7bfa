//! The meaning of `source.auth.oauth2`: what the job says, then what its provider's row says, then what the
//! authorization server's metadata will say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::check_auth::check_secret;
use super::problem::{Problems, wrong};
use super::providers::{Provider, provider_of};
use super::spec_auth::{
    AlgorithmSpec, AssertionAudienceSpec, AssertionSpec, ClientAuthSpec, GrantSpec, Oauth2Spec, PrivateKeySpec,
    RotationClassSpec, RotationSpec,
};
use super::value::{check_duration, check_literal, check_text, check_url};
use super::yaml::join;
use crate::limits::TOKEN_WAIT_MAX;
use crate::model::credential::{
    Algorithm, Assertion, AssertionAudience, AuthServer, ClientAuth, Discovery, Endpoints, Grant, Oauth2, PrivateKey,
    Redirect,
};
use crate::model::plan::{Rotation, RotationClass, TextSource};

const OAUTH2: &str = "source.auth.oauth2";
/// Google's bound, and a long time for a statement that is used at once.
const ASSERTION_LIFETIME_MAX: Duration = Duration::from_secs(3600);
const ASSERTION_LIFETIME_DEFAULT: Duration = Duration::from_secs(300);

fn at(name: &str) -> String {
    format!("{OAUTH2}.{name}")
}

/// `None` = the problems say why.
pub(super) fn check_oauth2(spec: &Oauth2Spec, allow_http: bool, problems: &mut Problems<'_>) -> Option<Oauth2> {
    let provider = provider_of(spec, problems)?;
    let client_id = match &spec.client_id {
        Some(id) => check_text(id, &at("client_id"), problems).map(Some),
        None => Some(None),
    };
    let client_auth = check_client_auth(spec, &provider, problems);
    let grant = check_grant(spec, problems);
    let server = check_server(spec, provider, allow_http, problems);
    let (client_id, grant) = (client_id?, grant?);
    let client_id = match (client_id, &grant) {
        (Some(id), _) => Some(id),
        // The statement names who asks; a client id besides is not even known.
        (None, Grant::JwtBearer(assertion)) => Some(assertion.issuer.clone()),
        (None, _) => {
            problems.at(OAUTH2, wrong("`source.auth.oauth2` needs `client_id`"));
            None
        }
    };
    Some(Oauth2 { grant, client_id: client_id?, client_auth: client_auth?, server: server? })
}

fn check_server(
    spec: &Oauth2Spec,
    provider: Provider,
    allow_http: bool,
    problems: &mut Problems<'_>,
) -> Option<AuthServer> {
    let before = problems.len();
    let mut address = |own: &Option<String>, usual: &Option<String>, name: &str| {
        let text = own.as_ref().or(usual.as_ref())?;
        check_url(text, &at(name), allow_http, problems)
    };
    let endpoints = Endpoints {
        token: address(&spec.token_url, &provider.token_url, "token_url"),
        authorize: address(&spec.authorize_url, &provider.authorize_url, "authorize_url"),
        device: address(&spec.device_authorize_url, &provider.device_authorize_url, "device_authorize_url"),
        revoke: address(&spec.revoke_url, &provider.revoke_url, "revoke_url"),
    };
    // Kept as it is typed: it is compared letter by letter, and `Url` would add a slash.
    let issuer = spec.issuer.clone().or(provider.issuer);
    if let Some(issuer) = &spec.issuer {
        check_url(issuer, &at("issuer"), allow_http, problems);
    }
    if problems.len() == before && issuer.is_none() {
        check_endpoints(spec.grant, &endpoints, problems);
    }
    for (owner, params) in [("authorize_params", &spec.authorize_params), ("token_params", &spec.token_params)] {
        for (name, value) in params {
            check_literal(value, &join(&at(owner), name), problems);
        }
    }
    let redirect = check_redirect(spec.redirect_port, spec.redirect_url.as_deref(), OAUTH2, problems);
    let rotation = check_rotation(spec.rotation.as_ref().or(provider.rotation.as_ref()), problems);
    let timeout = check_timeout(spec.timeout.as_deref(), problems);
    if problems.len() > before {
        return None;
    }
    let is_whole = endpoints.token.is_some() && is_grant_served(spec.grant, &endpoints);
    let merged = |mut usual: BTreeMap<String, String>, own: &BTreeMap<String, String>| {
        usual.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        usual
    };
    Some(AuthServer {
        // A provider's row is whole: only what the job itself names as issuer is asked.
        discovery: if spec.issuer.is_some() || !is_whole { Discovery::On } else { Discovery::Off },
        endpoints,
        issuer,
        allow_http,
        scopes: spec.scopes.clone(),
        scope_separator: spec.scope_separator.clone().or(provider.scope_separator).unwrap_or_else(|| " ".to_owned()),
        authorize_params: merged(provider.authorize_params, &spec.authorize_params),
        token_params: merged(provider.token_params, &spec.token_params),
        redirect: redirect?,
        rotation: rotation?,
        timeout: timeout?,
    })
}

fn check_timeout(text: Option<&str>, problems: &mut Problems<'_>) -> Option<Duration> {
    let path = at("timeout");
    let timeout = check_optional_duration(text, &path, problems)?.unwrap_or(TOKEN_WAIT_MAX);
    if timeout < Duration::from_secs(1) || timeout > TOKEN_WAIT_MAX {
        problems.at(&path, wrong("this is no usable time for a token request").allowed("1s to 60s"));
        return None;
    }
    Some(timeout)
}

fn is_grant_served(grant: GrantSpec, endpoints: &Endpoints) -> bool {
    match grant {
        GrantSpec::AuthorizationCode => endpoints.authorize.is_some(),
        GrantSpec::DeviceCode => endpoints.device.is_some(),
        GrantSpec::ClientCredentials | GrantSpec::RefreshToken | GrantSpec::JwtBearer | GrantSpec::Password => true,
    }
}

/// What the grant needs and nobody says.
fn check_endpoints(grant: GrantSpec, endpoints: &Endpoints, problems: &mut Problems<'_>) {
    let hint = "or name the server's `issuer`, and its addresses are found";
    if endpoints.token.is_none() {
        problems.at(OAUTH2, wrong("`source.auth.oauth2` needs a `token_url`").hint(hint));
    }
    if !is_grant_served(grant, endpoints) {
        let needed = match grant {
            GrantSpec::DeviceCode => "the grant `device_code` needs a `device_authorize_url`",
            GrantSpec::AuthorizationCode
            | GrantSpec::ClientCredentials
            | GrantSpec::RefreshToken
            | GrantSpec::JwtBearer
            | GrantSpec::Password => "the grant `authorization_code` needs an `authorize_url`",
        };
        problems.at(OAUTH2, wrong(needed).hint(hint));
    }
}

fn check_grant(spec: &Oauth2Spec, problems: &mut Problems<'_>) -> Option<Grant> {
    let has_proof = spec.client_secret.is_some() || spec.private_key.is_some() || spec.client_assertion_file.is_some();
    for (name, is_given, grant) in [
        ("assertion", spec.assertion.is_some(), GrantSpec::JwtBearer),
        ("username", spec.username.is_some(), GrantSpec::Password),
        ("password", spec.password.is_some(), GrantSpec::Password),
    ] {
        if is_given && spec.grant != grant {
            let of = if grant == GrantSpec::JwtBearer { "jwt_bearer" } else { "password" };
            problems.at(&at(name), wrong(format!("`{name}` belongs to the grant `{of}`")));
        }
    }
    match spec.grant {
        GrantSpec::AuthorizationCode => Some(Grant::AuthorizationCode),
        GrantSpec::RefreshToken => Some(Grant::RefreshToken),
        GrantSpec::DeviceCode => Some(Grant::DeviceCode),
        GrantSpec::ClientCredentials => {
            if !has_proof {
                let hint = "or a `private_key`, or a `client_assertion_file`";
                problems.at(OAUTH2, wrong("the grant `client_credentials` needs a `client_secret`").hint(hint));
            }
            Some(Grant::ClientCredentials)
        }
        GrantSpec::JwtBearer => match &spec.assertion {
            Some(assertion) => check_assertion(assertion, spec.client_id.as_deref(), problems).map(Grant::JwtBearer),
            None => {
                problems.at(OAUTH2, wrong("the grant `jwt_bearer` needs an `assertion`"));
                None
            }
        },
        GrantSpec::Password => match (&spec.username, &spec.password) {
            (Some(username), Some(password)) => {
                let username = check_text(username, &at("username"), problems);
                let password = check_secret(password, &at("password"), problems);
                Some(Grant::Password { username: username?, password: password? })
            }
            _ => {
                problems.at(OAUTH2, wrong("the grant `password` needs `username` and `password`"));
                None
            }
        },
    }
}

fn check_assertion(spec: &AssertionSpec, client_id: Option<&str>, problems: &mut Problems<'_>) -> Option<Assertion> {
    let key = check_private_key(&spec.private_key, &at("assertion.private_key"), problems);
    let issuer = match spec.issuer.as_deref().or(client_id) {
        Some(issuer) => check_text(issuer, &at("assertion.issuer"), problems),
        None => {
            problems.at(&at("assertion"), wrong("the statement says nobody (`iss`)").hint("write `issuer`"));
            None
        }
    };
    let subject = match &spec.subject {
        Some(subject) => check_text(subject, &at("assertion.subject"), problems).map(Some),
        None => Some(None),
    };
    if let Some(name) = ["iss", "sub", "aud", "iat", "exp", "jti"].iter().find(|name| spec.claims.contains_key(**name))
    {
        let allowed = "issuer, subject, audience and lifetime for the claims that every statement has";
        let draft = wrong(format!("the claim `{name}` is made by haul")).allowed(allowed);
        problems.at(&join(&at("assertion.claims"), name), draft);
    }
    let lifetime = check_optional_duration(spec.lifetime.as_deref(), &at("assertion.lifetime"), problems);
    if matches!(lifetime, Some(Some(lifetime)) if lifetime > ASSERTION_LIFETIME_MAX) {
        problems.at(&at("assertion.lifetime"), wrong("a statement is good for too long").allowed("at most 1h"));
    }
    Some(Assertion {
        key: key?,
        issuer: issuer?,
        subject: subject?,
        audience: spec.audience.clone(),
        claims: spec.claims.clone(),
        lifetime: lifetime?.unwrap_or(ASSERTION_LIFETIME_DEFAULT),
    })
}

pub(super) fn check_private_key(spec: &PrivateKeySpec, path: &str, problems: &mut Problems<'_>) -> Option<PrivateKey> {
    let key = check_secret(&spec.key, &join(path, "key"), problems);
    let certificate = match &spec.certificate {
        Some(certificate) => check_secret(certificate, &join(path, "certificate"), problems).map(Some),
        None => Some(None),
    };
    Some(PrivateKey {
        key: key?,
        algorithm: spec.algorithm.map(|algorithm| match algorithm {
            AlgorithmSpec::Rs256 => Algorithm::Rs256,
            AlgorithmSpec::Ps256 => Algorithm::Ps256,
            AlgorithmSpec::Es256 => Algorithm::Es256,
        }),
        kid: spec.kid.clone(),
        certificate: certificate?.map(TextSource::Reference),
    })
}

fn check_client_auth(spec: &Oauth2Spec, provider: &Provider, problems: &mut Problems<'_>) -> Option<ClientAuth> {
    let before = problems.len();
    let secret = spec.client_secret.as_ref().map(|secret| check_secret(secret, &at("client_secret"), problems));
    let key = spec.private_key.as_ref().map(|key| check_private_key(key, &at("private_key"), problems));
    let given = usize::from(secret.is_some()) + usize::from(key.is_some());
    if given + usize::from(spec.client_assertion_file.is_some()) > 1 {
        let allowed = "one of client_secret, private_key, client_assertion_file";
        problems.at(OAUTH2, wrong("a client has one proof").allowed(allowed));
    }
    let audience = match spec.assertion_audience {
        None | Some(AssertionAudienceSpec::TokenEndpoint) => AssertionAudience::TokenEndpoint,
        Some(AssertionAudienceSpec::Issuer) => AssertionAudience::Issuer,
    };
    if audience == AssertionAudience::Issuer && spec.issuer.is_none() && provider.issuer.is_none() {
        problems.at(&at("assertion_audience"), wrong("there is no `issuer` to make the statement out for"));
    }
    let misfit = |needs: &str| wrong(format!("this `client_auth` needs {needs}"));
    let path = at("client_auth");
    let auth = match (spec.client_auth, secret, key, &spec.client_assertion_file) {
        (None, None, None, None) if spec.client_id.is_none() => ClientAuth::Unnamed,
        (None | Some(ClientAuthSpec::None), None, None, None) => ClientAuth::Public,
        // What the row says of a secret means nothing for a public client, so it is asked only here.
        (None, Some(secret), None, None) => match provider.client_auth {
            Some(ClientAuthSpec::Post) => ClientAuth::Post(secret?),
            None | Some(ClientAuthSpec::Basic | ClientAuthSpec::PrivateKeyJwt | ClientAuthSpec::None) => {
                ClientAuth::Basic(secret?)
            }
        },
        (Some(ClientAuthSpec::Basic), Some(secret), None, None) => ClientAuth::Basic(secret?),
        (Some(ClientAuthSpec::Post), Some(secret), None, None) => ClientAuth::Post(secret?),
        (None | Some(ClientAuthSpec::PrivateKeyJwt), None, Some(key), None) => {
            ClientAuth::PrivateKey { key: key?, audience }
        }
        (None, None, None, Some(file)) => ClientAuth::AssertionFile(PathBuf::from(file)),
        (Some(ClientAuthSpec::Basic | ClientAuthSpec::Post), _, _, _) => {
            problems.at(&path, misfit("a `client_secret` alone"));
            return None;
        }
        (Some(ClientAuthSpec::PrivateKeyJwt), _, _, _) => {
            problems.at(&path, misfit("a `private_key` alone"));
            return None;
        }
        (Some(ClientAuthSpec::None), _, _, _) => {
            problems.at(&path, misfit("a client without secret, key and assertion file"));
            return None;
        }
        (None, _, _, _) => return None,
    };
    (problems.len() == before).then_some(auth)
}

pub(super) fn check_redirect(
    port: Option<u16>,
    url: Option<&str>,
    owner: &str,
    problems: &mut Problems<'_>,
) -> Option<Redirect> {
    match (url, port) {
        (None, None) => Some(Redirect::AnyPort),
        (None, Some(port)) => Some(Redirect::Port(port)),
        (Some(url), None) => match url.parse::<Url>() {
            Ok(url) => Some(Redirect::Registered(url)),
            Err(error) => {
                problems.at(&join(owner, "redirect_url"), wrong(format!("this is no address: {error}")));
                None
            }
        },
        (Some(_), Some(_)) => {
            let draft = wrong("a login has one redirect").allowed("one of redirect_port, redirect_url");
            problems.at(owner, draft);
            None
        }
    }
}

/// A provider that nobody told us about may refuse a used token: then the token must be spent with care.
fn check_rotation(spec: Option<&RotationSpec>, problems: &mut Problems<'_>) -> Option<Rotation> {
    let Some(spec) = spec else {
        return Some(Rotation {
            class: RotationClass::SingleUse,
            window: None,
            idle: None,
            age_min: Duration::ZERO,
            invalid_codes: Vec::new(),
        });
    };
    let path = at("rotation");
    let mut duration =
        |text: &Option<String>, name: &str| check_optional_duration(text.as_deref(), &join(&path, name), problems);
    let window = duration(&spec.window, "window");
    let idle = duration(&spec.idle, "idle");
    let age_min = duration(&spec.age_min, "age_min");
    let class = match spec.class {
        RotationClassSpec::NotRotated => RotationClass::NotRotated,
        RotationClassSpec::OldStaysValid => RotationClass::OldStaysValid,
        RotationClassSpec::ValidUntilSuccessorUsed => RotationClass::ValidUntilSuccessorUsed,
        RotationClassSpec::ValidForWindow => RotationClass::ValidForWindow,
        RotationClassSpec::SingleUse => RotationClass::SingleUse,
        RotationClassSpec::ReuseRevokesFamily => RotationClass::ReuseRevokesFamily,
    };
    if class == RotationClass::ValidForWindow && spec.window.is_none() {
        problems.at(&path, wrong("`valid_for_window` needs a `window`").hint("for example `window: 10m`"));
        return None;
    }
    let age_min = age_min?.unwrap_or_default();
    Some(Rotation { class, window: window?, idle: idle?, age_min, invalid_codes: spec.invalid_codes.clone() })
}

/// `Some(None)` = not given.
fn check_optional_duration(text: Option<&str>, path: &str, problems: &mut Problems<'_>) -> Option<Option<Duration>> {
    match text {
        Some(text) => check_duration(text, path, problems).map(Some),
        None => Some(None),
    }
}

/// The rotation of a provider of the table.
pub(super) fn rotation_of(provider: &str, problems: &mut Problems<'_>) -> Option<Rotation> {
    check_rotation(super::providers::rotation_of(provider).as_ref(), problems)
}
