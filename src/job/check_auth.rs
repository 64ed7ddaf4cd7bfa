//! The meaning of `source.auth`.

use super::problem::{Problems, wrong};
use super::spec::{AuthSpec, ClientAuthSpec, GrantSpec, KeySpec, Oauth2Spec, SecretRef};
use super::value::{check_header_name, check_literal, check_text, check_url, literal_secret, reference};
use super::yaml::join;
use crate::model::plan::{Auth, ClientAuth, Grant, KeyPlace, Oauth2, Redirect, Rotation, RotationClass, SecretSource};

const OAUTH2: &str = "source.auth.oauth2";

/// `None` = the problems say why.
pub(super) fn check_auth(spec: &AuthSpec, allow_http: bool, problems: &mut Problems<'_>) -> Option<Auth> {
    match spec {
        AuthSpec::Anonymous => Some(Auth::Anonymous),
        AuthSpec::Key(key) => check_key(key, problems),
        AuthSpec::Basic(basic) => {
            let username = check_text(&basic.username, "source.auth.basic.username", problems);
            let password = check_secret(&basic.password, "source.auth.basic.password", problems);
            Some(Auth::Basic { username: username?, password: password? })
        }
        AuthSpec::Bearer(bearer) => {
            Some(Auth::Bearer { token: check_secret(&bearer.token, "source.auth.bearer.token", problems)? })
        }
        AuthSpec::Oauth2(oauth2) => Some(Auth::Oauth2(Box::new(check_oauth2(oauth2, allow_http, problems)?))),
    }
}

fn check_secret(spec: &SecretRef, path: &str, problems: &mut Problems<'_>) -> Option<SecretSource> {
    let source = reference(&spec.0);
    if source.is_none() {
        problems.at(path, literal_secret(path));
    }
    source
}

fn check_key(spec: &KeySpec, problems: &mut Problems<'_>) -> Option<Auth> {
    let path = "source.auth.key";
    let value = check_secret(&spec.value, "source.auth.key.value", problems);
    let places = [
        spec.header.clone().map(KeyPlace::Header),
        spec.param.clone().map(KeyPlace::Param),
        spec.cookie.clone().map(KeyPlace::Cookie),
    ];
    let mut places = places.into_iter().flatten();
    let place = places.next().unwrap_or(KeyPlace::Basic);
    if places.next().is_some() {
        problems.at(
            path,
            wrong("a key has one place").allowed("one of header, param, cookie; none = Basic with an empty user"),
        );
    }
    match &place {
        KeyPlace::Basic => {}
        KeyPlace::Header(name) => check_header_name(name, "source.auth.key.header", problems),
        // A cookie's name is a token like a header's (RFC 6265).
        KeyPlace::Cookie(name) => check_header_name(name, "source.auth.key.cookie", problems),
        KeyPlace::Param(name) if name.is_empty() => {
            problems.at("source.auth.key.param", wrong("a parameter has no name"));
        }
        KeyPlace::Param(_) => {}
    }
    Some(Auth::Key { value: value?, place, prefix: spec.prefix.clone().unwrap_or_default() })
}

fn check_oauth2(spec: &Oauth2Spec, allow_http: bool, problems: &mut Problems<'_>) -> Option<Oauth2> {
    let path = |name: &str| format!("{OAUTH2}.{name}");
    let token_url = check_url(&spec.token_url, &path("token_url"), allow_http, problems);
    let mut optional = |url: &Option<String>, name: &str| match url {
        None => Some(None),
        Some(url) => check_url(url, &path(name), allow_http, problems).map(Some),
    };
    let authorize_url = optional(&spec.authorize_url, "authorize_url");
    let revoke_url = optional(&spec.revoke_url, "revoke_url");
    let client_id = check_text(&spec.client_id, &path("client_id"), problems);
    let client_secret = match &spec.client_secret {
        None => Some(None),
        Some(secret) => check_secret(secret, &path("client_secret"), problems).map(Some),
    };
    let redirect = check_redirect(spec, problems);
    for (owner, params) in [("authorize_params", &spec.authorize_params), ("token_params", &spec.token_params)] {
        for (name, value) in params {
            check_literal(value, &join(&path(owner), name), problems);
        }
    }
    let grant = match spec.grant {
        GrantSpec::ClientCredentials => {
            if spec.client_secret.is_none() {
                problems.at(OAUTH2, wrong("the grant `client_credentials` needs a `client_secret`"));
            }
            Some(Grant::ClientCredentials)
        }
        GrantSpec::AuthorizationCode => match authorize_url? {
            Some(authorize_url) => {
                let authorize_params = spec.authorize_params.clone();
                Some(Grant::AuthorizationCode { authorize_url, authorize_params, redirect: redirect? })
            }
            None => {
                problems.at(OAUTH2, wrong("the grant `authorization_code` needs an `authorize_url`"));
                None
            }
        },
    };
    Some(Oauth2 {
        grant: grant?,
        client_id: client_id?,
        client_secret: client_secret?,
        client_auth: match spec.client_auth {
            ClientAuthSpec::Basic => ClientAuth::Basic,
            ClientAuthSpec::Post => ClientAuth::Post,
        },
        token_url: token_url?,
        revoke_url: revoke_url?,
        scopes: spec.scopes.clone(),
        token_params: spec.token_params.clone(),
        rotation: Rotation {
            class: RotationClass::SingleUse,
            window: None,
            idle: None,
            age_min: std::time::Duration::ZERO,
        },
    })
}

fn check_redirect(spec: &Oauth2Spec, problems: &mut Problems<'_>) -> Option<Redirect> {
    match (&spec.redirect_url, spec.redirect_port) {
        (None, None) => Some(Redirect::AnyPort),
        (None, Some(port)) => Some(Redirect::Port(port)),
        (Some(url), None) => match url.parse() {
            Ok(url) => Some(Redirect::Registered(url)),
            Err(error) => {
                problems.at(&format!("{OAUTH2}.redirect_url"), wrong(format!("this is no address: {error}")));
                None
            }
        },
        (Some(_), Some(_)) => {
            problems.at(
                "source.auth.oauth2",
                wrong("a login has one redirect").allowed("one of redirect_port, redirect_url"),
            );
            None
        }
    }
}
