//! The meaning of `source.auth`: the kinds that need no purchase here, the others in their own files.

use url::Url;

use super::check_entra::check_entra;
use super::check_oauth2::check_oauth2;
use super::check_session::check_session;
use super::problem::{Problems, wrong};
use super::spec::{AuthSpec, KeySpec, SecretRef, SourceSpec};
use super::spec_auth::{WindowsSchemeSpec, WindowsSpec};
use super::value::{check_header_name, check_path, check_text, literal_secret, reference};
use crate::model::credential::{Windows, WindowsScheme};
use crate::model::plan::{Auth, KeyPlace, SecretSource};

/// `None` = the problems say why.
pub(super) fn check_auth(source: &SourceSpec, problems: &mut Problems<'_>) -> Option<Auth> {
    match &source.auth {
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
        AuthSpec::Oauth2(oauth2) => Some(Auth::Oauth2(Box::new(check_oauth2(oauth2, source.allow_http, problems)?))),
        AuthSpec::Entra(entra) => Some(Auth::Entra(Box::new(check_entra(entra, source, problems)?))),
        AuthSpec::Windows(windows) => Some(Auth::Windows(Box::new(check_windows(windows, problems)?))),
        AuthSpec::Session(session) => Some(Auth::Session(Box::new(check_session(session, source, problems)?))),
    }
}

pub(super) fn check_secret(spec: &SecretRef, path: &str, problems: &mut Problems<'_>) -> Option<SecretSource> {
    let source = reference(&spec.0);
    if source.is_none() {
        problems.at(path, literal_secret(path));
    }
    source
}

fn check_windows(spec: &WindowsSpec, problems: &mut Problems<'_>) -> Option<Windows> {
    let username = check_text(&spec.username, "source.auth.windows.username", problems);
    let password = check_secret(&spec.password, "source.auth.windows.password", problems);
    let kdc = match &spec.kdc {
        None => Some(None),
        Some(kdc) => match format!("tcp://{kdc}").parse::<Url>() {
            Ok(url) if url.has_host() && url.path().is_empty() && url.query().is_none() => Some(Some(url)),
            _ => {
                let draft = wrong("this is no address of a key distribution centre").allowed("host or host:port");
                problems.at("source.auth.windows.kdc", draft);
                None
            }
        },
    };
    if let Some(spn) = &spec.spn
        && !spn.split_once('/').is_some_and(|(service, host)| !service.is_empty() && !host.is_empty())
    {
        problems.at(
            "source.auth.windows.spn",
            wrong("this is no service principal name").allowed("for example HTTP/host.example.com"),
        );
        return None;
    }
    let scheme = match spec.scheme {
        WindowsSchemeSpec::Negotiate => WindowsScheme::Negotiate,
        WindowsSchemeSpec::Ntlm => WindowsScheme::Ntlm,
    };
    Some(Windows { username: username?, password: password?, scheme, spn: spec.spn.clone(), kdc: kdc? })
}

fn check_key(spec: &KeySpec, problems: &mut Problems<'_>) -> Option<Auth> {
    let path = "source.auth.key";
    let value = check_secret(&spec.value, "source.auth.key.value", problems);
    let places = [
        spec.header.clone().map(KeyPlace::Header),
        spec.param.clone().map(KeyPlace::Param),
        spec.cookie.clone().map(KeyPlace::Cookie),
        spec.body.as_ref().and_then(|text| check_path(text, "source.auth.key.body", problems)).map(KeyPlace::Body),
    ];
    let mut places = places.into_iter().flatten();
    let place = places.next().unwrap_or(KeyPlace::Basic);
    if places.next().is_some() {
        problems.at(
            path,
            wrong("a key has one place").allowed("one of header, param, cookie, body; none = Basic with an empty user"),
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
        KeyPlace::Param(_) | KeyPlace::Body(_) => {}
    }
    Some(Auth::Key { value: value?, place, prefix: spec.prefix.clone().unwrap_or_default() })
}
