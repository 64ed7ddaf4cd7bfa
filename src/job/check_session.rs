//! The meaning of `source.auth.session`.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::problem::{Problems, wrong};
use super::spec::SourceSpec;
use super::spec_auth::{SessionSendSpec, SessionSpec};
use super::value::{
    check_duration, check_header_name, check_path, check_text, check_url, is_secret_option, literal_secret, reference,
};
use super::yaml::join;
use crate::model::credential::{JsonTemplate, Session, SessionBody, SessionToken, TokenPlace};
use crate::model::plan::TextSource;

const SESSION: &str = "source.auth.session";

fn at(name: &str) -> String {
    format!("{SESSION}.{name}")
}

/// `None` = the problems say why.
pub(super) fn check_session(spec: &SessionSpec, source: &SourceSpec, problems: &mut Problems<'_>) -> Option<Session> {
    let url = check_login_path(&spec.path, &source.base_url, problems);
    let body = match (&spec.json, &spec.form) {
        (Some(json), None) => {
            let members: Vec<_> = json
                .iter()
                .map(|(name, value)| Some((name.clone(), check_json(value, &join(&at("json"), name), problems)?)))
                .collect();
            members.into_iter().collect::<Option<_>>().map(|members| SessionBody::Json(JsonTemplate::Object(members)))
        }
        (None, Some(form)) => check_pairs(form, &at("form"), problems).map(SessionBody::Form),
        _ => {
            problems.at(SESSION, wrong("a login request has one body").allowed("one of json, form"));
            None
        }
    };
    for name in spec.headers.keys() {
        check_header_name(name, &join(&at("headers"), name), problems);
    }
    let headers = check_pairs(&spec.headers, &at("headers"), problems);
    let carries = match (&spec.token, &spec.cookies) {
        (Some(token), None) => {
            let path = check_path(token, &at("token"), problems);
            let place = check_place(spec.send.as_ref(), problems);
            path.zip(place).map(|(path, place)| SessionToken::Body { path, place })
        }
        (None, Some(cookies)) => {
            if spec.send.is_some() {
                problems.at(&at("send"), wrong("cookies are sent as cookies").hint("remove `send`"));
            }
            Some(SessionToken::Cookies(cookies.clone()))
        }
        _ => {
            problems.at(SESSION, wrong("a login's answer carries one thing").allowed("one of token, cookies"));
            None
        }
    };
    let lifetime = match &spec.lifetime {
        Some(lifetime) => check_duration(lifetime, &at("lifetime"), problems).map(Some),
        None => Some(None),
    };
    Some(Session { url: url?, body: body?, headers: headers?, carries: carries?, lifetime: lifetime? })
}

/// The login stands on the source's origin: a secret goes nowhere else.
fn check_login_path(path: &str, base_url: &str, problems: &mut Problems<'_>) -> Option<Url> {
    let at = at("path");
    if path.contains("://") || path.starts_with("//") || path.contains('\\') {
        problems.at(&at, wrong("the login stands on the source's own host").allowed("a path below `base_url`"));
        return None;
    }
    // A base URL that is no address is told where it stands.
    base_url.parse::<Url>().ok()?;
    let whole = format!("{}/{}", base_url.trim_end_matches('/'), path.trim_start_matches('/'));
    // Whether plain http is allowed was asked for `base_url`.
    check_url(&whole, &at, true, problems)
}

fn check_pairs(
    pairs: &BTreeMap<String, String>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<Vec<(String, TextSource)>> {
    let checked: Vec<_> = pairs
        .iter()
        .map(|(name, text)| Some((name.clone(), check_value(name, text, &join(path, name), problems)?)))
        .collect();
    checked.into_iter().collect()
}

/// A text or a reference; a literal under the name of a secret is refused.
fn check_value(name: &str, text: &str, path: &str, problems: &mut Problems<'_>) -> Option<TextSource> {
    if is_secret_option(name) && reference(text).is_none() {
        problems.at(path, literal_secret(path));
        return None;
    }
    check_text(text, path, problems)
}

fn check_json(value: &Value, path: &str, problems: &mut Problems<'_>) -> Option<JsonTemplate> {
    let name = path.rsplit('.').next().unwrap_or(path);
    Some(match value {
        Value::String(text) => JsonTemplate::Text(check_value(name, text, path, problems)?),
        // `password: 123456` is a literal as well.
        Value::Number(_) if is_secret_option(name) => {
            problems.at(path, literal_secret(path));
            return None;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => JsonTemplate::Plain(value.clone()),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(index, item)| check_json(item, &format!("{path}[{index}]"), problems))
                .collect();
            JsonTemplate::List(items.into_iter().collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| Some((name.clone(), check_json(value, &join(path, name), problems)?)))
                .collect();
            JsonTemplate::Object(members.into_iter().collect::<Option<_>>()?)
        }
    })
}

fn check_place(spec: Option<&SessionSendSpec>, problems: &mut Problems<'_>) -> Option<TokenPlace> {
    let Some(spec) = spec else { return Some(TokenPlace::bearer()) };
    let path = at("send");
    match (&spec.header, &spec.param, &spec.cookie) {
        (Some(name), None, None) => {
            check_header_name(name, &join(&path, "header"), problems);
            let prefix = spec.prefix.clone().unwrap_or_default();
            return Some(TokenPlace::Header { name: name.clone(), prefix });
        }
        (None, Some(_), None) | (None, None, Some(_)) if spec.prefix.is_some() => {
            problems.at(&join(&path, "prefix"), wrong("a prefix stands in a header only"));
        }
        (None, Some(name), None) if name.is_empty() => {
            problems.at(&join(&path, "param"), wrong("a parameter has no name"));
        }
        (None, Some(name), None) => return Some(TokenPlace::Param(name.clone())),
        (None, None, Some(name)) => {
            check_header_name(name, &join(&path, "cookie"), problems);
            return Some(TokenPlace::Cookie(name.clone()));
        }
        _ => problems.at(&path, wrong("a token has one place").allowed("one of header, param, cookie")),
    }
    None
}
