//! Who may look: everybody on this machine where the page listens on loopback only, else whoever shows the token or logs in at the
//! OpenID provider. A session is a random number in a cookie; what it means stays in memory and ends with the process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Extension;
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Site;
use super::guard::{Fields, header_of};
use super::view::{Problem, TheSite, login_page as show_login, see_other};
use crate::auth::SignIn;
use crate::limits::{LOGIN_FAILURE_WAIT, SESSION_MAX, SESSIONS_MAX, SIGN_INS_MAX};
use crate::secret::Secret;

const COOKIE: &str = "haul_session";

/// How the page is protected.
pub(crate) struct Access {
    pub listens_on: SocketAddr,
    /// The address by which people reach it, where something stands before it.
    pub public: Option<Url>,
    /// Whoever shows it may do everything.
    pub token: Option<Secret>,
    /// Whoever logs in there and is among the named may do everything.
    pub sign_in: Option<SignIn>,
    /// /metrics asks for no login: names of jobs and counts are shown to whoever reaches the port.
    pub are_metrics_open: bool,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    /// Every form of theirs carries it.
    pub csrf: String,
    /// Absent = there is no login.
    pub who: Option<String>,
    /// Proved by a header, which no browser sends unasked.
    pub is_by_token: bool,
}

#[derive(Debug, Clone)]
struct Session {
    visitor: Visitor,
    until: Instant,
}

/// The sessions of this process, and logins at the provider that are under way.
pub(super) struct Sessions {
    sessions: Mutex<BTreeMap<String, Session>>,
    sign_ins: Mutex<BTreeMap<String, (crate::auth::SigningIn, String)>>,
    /// For the forms of a page without login.
    csrf: String,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { sessions: Mutex::default(), sign_ins: Mutex::default(), csrf: random() }
    }
}

impl Access {
    /// Whether somebody must log in.
    pub(super) fn is_guarded(&self) -> bool {
        self.token.is_some() || self.sign_in.is_some()
    }

    /// Whether requests to this host are meant for us. Where people log in, any is: what is behind the login is safe from other
    /// pages by its cookie.
    pub(super) fn is_host(&self, host: &str) -> bool {
        if self.is_guarded() {
            return true;
        }
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name);
        let public = self.public.as_ref().and_then(Url::host_str);
        let ours = self.listens_on.ip().to_string();
        matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name == ours || Some(name) == public
    }

    fn is_https(&self) -> bool {
        self.public.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

impl Visitor {
    /// Somebody who did not log in.
    pub(super) fn stranger() -> Self {
        Visitor { csrf: String::new(), who: None, is_by_token: false }
    }

    /// Whether a form is theirs.
    pub(super) fn owns(&self, csrf: &str) -> bool {
        !self.csrf.is_empty() && is_same(self.csrf.as_bytes(), csrf.as_bytes())
    }
}

impl Sessions {
    fn begin(&self, who: &str) -> String {
        let (id, csrf) = (random(), random());
        let visitor = Visitor { csrf, who: Some(who.to_owned()), is_by_token: false };
        let mut sessions = self.lock();
        let now = Instant::now();
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until).map(|(id, _)| id.clone());
            oldest.map(|id| sessions.remove(&id));
        }
        sessions.insert(id.clone(), Session { visitor, until: now + SESSION_MAX });
        id
    }

    fn find(&self, id: &str) -> Option<Visitor> {
        let sessions = self.lock();
        let session = sessions.get(id).filter(|session| session.until > Instant::now())?;
        Some(session.visitor.clone())
    }

    fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sign_ins(&self) -> MutexGuard<'_, BTreeMap<String, (crate::auth::SigningIn, String)>> {
        self.sign_ins.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Site {
    /// Who asks; `None` = they must log in.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let access = &self.web.access;
        if !access.is_guarded() {
            return Some(Visitor { csrf: self.sessions.csrf.clone(), who: None, is_by_token: false });
        }
        let bearer = header_of(headers, header::AUTHORIZATION).strip_prefix("Bearer ");
        if let (Some(token), Some(shown)) = (&access.token, bearer)
            && is_same(token.expose().as_bytes(), shown.trim().as_bytes())
        {
            return Some(Visitor { csrf: String::new(), who: Some("token".to_owned()), is_by_token: true });
        }
        self.sessions.find(&cookie(headers)?)
    }
}

/// Compared by their hashes, so that the time tells nothing of how much is right.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    digest(&SHA256, one).as_ref() == digest(&SHA256, other).as_ref()
}

/// 256 bits that nobody guesses.
fn random() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then(|| value.to_owned())
    })
}

#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// Only a path of ours: a login must not lead elsewhere.
fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if is_path { next } else { "/" }
}

pub(super) async fn login_page(
    State(site): TheSite,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Response {
    if site.visitor(&headers).is_some() {
        return see_other(local(&next));
    }
    shown(&site, StatusCode::OK, &next, None)
}

fn shown(site: &Arc<Site>, status: StatusCode, next: &str, wrong: Option<&str>) -> Response {
    let content = json!({
        "title": "Log in",
        "next": local(next),
        "wrong": wrong,
        "has_token": site.web.access.token.is_some(),
        "provider": site.web.access.sign_in.as_ref().map(SignIn::host),
        "version": env!("CARGO_PKG_VERSION"),
    });
    show_login(site, status, &content)
}

pub(super) async fn log_in(State(site): TheSite, Extension(fields): Extension<Fields>) -> Response {
    let access = &site.web.access;
    let next = local(fields.get("next")).to_owned();
    if !fields.get("provider").is_empty()
        && let Some(sign_in) = &access.sign_in
    {
        return begin_sign_in(&site, sign_in, next).await;
    }
    let is_right = access
        .token
        .as_ref()
        .is_some_and(|token| is_same(token.expose().as_bytes(), fields.get("token").trim().as_bytes()));
    if !is_right {
        // Nobody tries many.
        tokio::time::sleep(LOGIN_FAILURE_WAIT).await;
        return shown(&site, StatusCode::FORBIDDEN, &next, Some("That is not the token."));
    }
    logged_in(&site, "token", &next)
}

fn logged_in(site: &Site, who: &str, next: &str) -> Response {
    let id = site.sessions.begin(who);
    let secure = if site.web.access.is_https() { "; Secure" } else { "" };
    // Lax: the provider's redirect must bring it, and no form of another page does.
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", SESSION_MAX.as_secs());
    let mut response = see_other(next);
    let cookie = HeaderValue::from_str(&cookie).expect("it holds only plain characters");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// A page, not a redirect: the content policy lets no form lead to another site, and the person sees where they go.
async fn begin_sign_in(site: &Arc<Site>, sign_in: &SignIn, next: String) -> Response {
    let begun = match sign_in.begin().await {
        Ok(begun) => begun,
        Err(error) => return Problem::failed(&error).into_response(),
    };
    let url = begun.url().to_string();
    let mut sign_ins = site.sessions.sign_ins();
    sign_ins.retain(|_, (begun, _)| !begun.is_over());
    if sign_ins.len() >= SIGN_INS_MAX {
        return Problem::not_now("Too many logins are under way: try again in some minutes.").into_response();
    }
    sign_ins.insert(begun.state().to_owned(), (begun, next));
    drop(sign_ins);
    let content = json!({
        "title": "Log in",
        "wrong": null,
        "has_token": false,
        "provider": sign_in.host(),
        "url": url,
        "version": env!("CARGO_PKG_VERSION"),
    });
    show_login(site, StatusCode::OK, &content)
}

pub(super) async fn oidc_callback(State(site): TheSite, RawQuery(query): RawQuery) -> Response {
    let Some(sign_in) = &site.web.access.sign_in else {
        return Problem::not_found("Nobody logs in by a provider here.").into_response();
    };
    let query = query.unwrap_or_default();
    let state = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    let state = state.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let Some((begun, next)) = site.sessions.sign_ins().remove(&state) else {
        return shown(&site, StatusCode::FORBIDDEN, "/", Some("This login was not begun here, or took too long."));
    };
    match sign_in.finish(begun, &query).await {
        Ok(who) => logged_in(&site, &who, &next),
        Err(error) => {
            let why = crate::engine::text_of(&error);
            shown(&site, StatusCode::FORBIDDEN, &next, Some(&why))
        }
    }
}

pub(super) async fn log_out(State(site): TheSite, headers: HeaderMap) -> Response {
    if let Some(id) = cookie(&headers) {
        site.sessions.end(&id);
    }
    let mut response = see_other("/login");
    let gone = HeaderValue::from_static("haul_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    response.headers_mut().insert(header::SET_COOKIE, gone);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_only_to_a_path_of_ours() {
        for next in ["/", "/jobs/sales", "/jobs/sales?x=1"] {
            assert_eq!(local(next), next);
        }
        for next in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\r\nSet-Cookie: x"]
        {
            assert_eq!(local(next), "/");
        }
    }

    #[test]
    fn without_a_login_only_names_of_this_machine_are_ours() {
        let access = |public: Option<&str>| Access {
            listens_on: "127.0.0.1:8733".parse().expect("an address"),
            public: public.map(|url| url.parse().expect("a URL")),
            token: None,
            sign_in: None,
            are_metrics_open: false,
        };
        for host in ["localhost:8733", "127.0.0.1:8733", "[::1]:8733", "localhost", "127.0.0.1"] {
            assert!(access(None).is_host(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8733", "127.0.0.1.evil.example", "", "localhost.evil.example:8733"] {
            assert!(!access(None).is_host(host), "{host}");
        }
        assert!(access(Some("https://haul.example.com")).is_host("haul.example.com"));
    }
}
