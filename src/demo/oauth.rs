//! The OAuth2 endpoints: the code flow with PKCE for one public client (RFC 6749, 7636, 9207), rotation, revocation
//! (RFC 7009).

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Host, Url};

use super::grants::{ACCESS_LIFE, Refusal, TokenPair};
use super::{Shared, count};

/// The one client that is registered here.
pub(super) const CLIENT_ID: &str = "haul-demo";
/// Characters of an S256 challenge: 32 bytes in base64url without padding.
const CHALLENGE_CHARS: usize = 43;

#[derive(Deserialize)]
pub(super) struct AuthorizeQuery {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// The body of a token or revocation request. No `Debug`: it holds credentials.
#[derive(Deserialize)]
pub(super) struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    token: Option<String>,
}

/// An error of RFC 6749, section 4.1.2.1 or 5.2.
struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OauthError {
    fn new(error: &'static str, description: &str) -> Self {
        OauthError { status: StatusCode::BAD_REQUEST, error, description: description.to_owned() }
    }

    fn server(description: String) -> Self {
        OauthError { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", description }
    }
}

/// Sends the browser back with a code. Nobody is asked: there is nothing to protect here.
pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<AuthorizeQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        return (StatusCode::BAD_REQUEST, "a parameter came twice or is not UTF-8").into_response();
    };
    if query.client_id.as_deref() != Some(CLIENT_ID) {
        return (StatusCode::BAD_REQUEST, "`client_id` must be `haul-demo`").into_response();
    }
    let redirect_uri = query.redirect_uri.as_deref().unwrap_or_default();
    let Some(mut location) = loopback_url(redirect_uri) else {
        return (StatusCode::BAD_REQUEST, "`redirect_uri` must be http on this machine's loopback").into_response();
    };
    // From here on it is known whom the redirect goes to, so the client hears of its mistakes through it.
    let outcome = checked_challenge(&query).and_then(|challenge| {
        let code = shared.grants().issue_code(challenge, redirect_uri, Instant::now());
        code.map_err(|error| OauthError::server(error.to_string()))
    });
    let mut pairs = location.query_pairs_mut();
    match outcome {
        Ok(code) => pairs.append_pair("code", &code),
        Err(refusal) => {
            pairs.append_pair("error", refusal.error).append_pair("error_description", &refusal.description)
        }
    };
    if let Some(state) = &query.state {
        pairs.append_pair("state", state);
    }
    pairs.append_pair("iss", &shared.origin);
    drop(pairs);
    (StatusCode::FOUND, [(header::LOCATION, location.as_str()), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// Exchanges a code or a refresh token.
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let form = match checked_form(&headers, form) {
        Ok(form) => form,
        Err(refusal) => return error_answer(&refusal),
    };
    // `api.json` is synced before the answer leaves, which is no work for an async thread. Page requests wait for the
    // grants' lock meanwhile, some milliseconds every ten minutes.
    let outcome = tokio::task::spawn_blocking(move || exchange(&shared, &form)).await;
    match outcome.unwrap_or_else(|panic| Err(OauthError::server(panic.to_string()))) {
        Ok(pair) => pair_answer(&pair),
        Err(refusal) => error_answer(&refusal),
    }
}

/// Revokes a token; also says yes to one it does not know.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let checked = checked_form(&headers, form)
        .and_then(|form| form.token.ok_or_else(|| OauthError::new("invalid_request", "`token` is missing")));
    let token = match checked {
        Ok(token) => token,
        Err(refusal) => return error_answer(&refusal),
    };
    let outcome = tokio::task::spawn_blocking(move || shared.grants().revoke(&token)).await;
    match outcome {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(error)) => error_answer(&OauthError::server(error.to_string())),
        Err(panic) => error_answer(&OauthError::server(panic.to_string())),
    }
}

/// The redirect's address when it is http on loopback; the port is free (RFC 8252 section 7.3).
fn loopback_url(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let is_loopback = match url.host()? {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.scheme() == "http" && is_loopback && is_plain).then_some(url)
}

fn checked_challenge(query: &AuthorizeQuery) -> Result<&str, OauthError> {
    if query.response_type.as_deref() != Some("code") {
        return Err(OauthError::new("unsupported_response_type", "`response_type` must be `code`"));
    }
    if query.code_challenge_method.as_deref() != Some("S256") {
        return Err(OauthError::new("invalid_request", "`code_challenge_method` must be `S256`"));
    }
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match query.code_challenge.as_deref() {
        Some(challenge) if challenge.len() == CHALLENGE_CHARS && challenge.bytes().all(is_base64url) => Ok(challenge),
        _ => Err(OauthError::new("invalid_request", "`code_challenge` must be 43 characters of base64url")),
    }
}

/// The form of a client that is ours. It is public: a secret or an `Authorization` header is a mistake in its setup
/// that it should hear of.
fn checked_form(headers: &HeaderMap, form: Result<Form<TokenForm>, FormRejection>) -> Result<TokenForm, OauthError> {
    let Ok(Form(form)) = form else {
        return Err(OauthError::new("invalid_request", "the body is not a form with each parameter once"));
    };
    let is_public = form.client_secret.is_none() && !headers.contains_key(header::AUTHORIZATION);
    if form.client_id.as_deref() == Some(CLIENT_ID) && is_public {
        return Ok(form);
    }
    Err(OauthError {
        status: StatusCode::UNAUTHORIZED,
        error: "invalid_client",
        description: "send `client_id=haul-demo` in the body, and no secret: the client is public".to_owned(),
    })
}

fn exchange(shared: &Shared, form: &TokenForm) -> Result<TokenPair, OauthError> {
    let needed = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| OauthError::new("invalid_request", &format!("`{name}` is missing")))
    };
    let now = Instant::now();
    let (outcome, counter) = match form.grant_type.as_deref() {
        Some("authorization_code") => {
            let code = needed(&form.code, "code")?;
            let verifier = needed(&form.code_verifier, "code_verifier")?;
            let redirect_uri = needed(&form.redirect_uri, "redirect_uri")?;
            (shared.grants().redeem_code(&code, &verifier, &redirect_uri, now), &shared.counters.logins)
        }
        Some("refresh_token") => {
            let refresh_token = needed(&form.refresh_token, "refresh_token")?;
            (shared.grants().refresh(&refresh_token, now), &shared.counters.refreshes)
        }
        Some(_) => return Err(OauthError::new("unsupported_grant_type", "not a grant of this server")),
        None => return Err(OauthError::new("invalid_request", "`grant_type` is missing")),
    };
    match outcome {
        Ok(pair) => {
            count(counter);
            Ok(pair)
        }
        Err(Refusal::NotGood(why)) => Err(OauthError::new("invalid_grant", why)),
        Err(Refusal::Reused) => {
            count(&shared.counters.reuses);
            Err(OauthError::new("invalid_grant", "the refresh token was used before; its login is revoked"))
        }
        Err(Refusal::Broken(error)) => Err(OauthError::server(error.to_string())),
    }
}

fn pair_answer(pair: &TokenPair) -> Response {
    let body = serde_json::json!({
        "access_token": pair.access.expose(),
        "token_type": "Bearer",
        "expires_in": ACCESS_LIFE.as_secs(),
        "refresh_token": pair.refresh.expose(),
    });
    json_answer(StatusCode::OK, &body)
}

fn error_answer(refusal: &OauthError) -> Response {
    let body = serde_json::json!({ "error": refusal.error, "error_description": refusal.description });
    let answer = json_answer(refusal.status, &body);
    if refusal.status != StatusCode::UNAUTHORIZED {
        return answer;
    }
    // RFC 6749 section 5.2 asks for the scheme that the client used; ours is no scheme, so it stays the usual one.
    ([(header::WWW_AUTHENTICATE, "Basic realm=\"haul-demo\"")], answer).into_response()
}

/// Never cached (RFC 6749 section 5.1).
fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
