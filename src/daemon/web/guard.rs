//! What every request passes: is it meant for this page, who asks, and is a change really wanted by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Site;
use super::data;
use super::session::Visitor;
use super::view::{Problem, see_other, show_problem};
use crate::limits::WEB_FORM_BYTES_MAX;

/// The fields of a form that was sent.
#[derive(Clone, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Sent with everything.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`, with which browsers send no origin of forms, either.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(super) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let visitor = site.visitor(request.headers());
    let response = match admit(&site, &path, visitor.as_ref(), request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    };
    let mut response = show_problem(&site, visitor.as_ref(), response);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request pass, with the visitor and the fields of its form at hand.
async fn admit(site: &Site, path: &str, visitor: Option<&Visitor>, request: Request) -> Result<Request, Response> {
    // Health checks and scrapes come by address.
    if matches!(path, "/healthz" | "/readyz") || path == "/metrics" && site.web.access.are_metrics_open {
        return Ok(request);
    }
    // A name that somebody else's page resolves to this machine is not ours (DNS rebinding).
    let host = header_of(request.headers(), header::HOST);
    if !site.web.access.is_host(host) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "this address is not served here\n").into_response());
    }
    // Files have a signature of their own, which a login does not replace.
    let is_open = ["/assets/", data::PATH].iter().any(|open| path.starts_with(open))
        || matches!(path, "/login" | "/login/callback");
    let visitor = match visitor {
        Some(visitor) => visitor.clone(),
        None if is_open => Visitor::stranger(),
        None if request.method() == Method::GET && accepts_pages(request.headers()) => {
            return Err(see_other(&format!("/login?{}", next_of(path))));
        }
        None => {
            let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"haul\""))];
            return Err((StatusCode::UNAUTHORIZED, challenge, "log in first\n").into_response());
        }
    };
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::POST {
        if is_foreign(&parts.headers, host_name(&parts.headers)) {
            return Err(Problem::refused("This request comes from another page.").into_response());
        }
        let bytes = to_bytes(body, WEB_FORM_BYTES_MAX)
            .await
            .map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "the form is too large\n").into_response())?;
        let fields = Fields(url::form_urlencoded::parse(&bytes).into_owned().collect());
        // A token in a header is sent by nobody unasked; a cookie is, and a stranger has nothing to lose.
        if !visitor.is_by_token && !is_open && !visitor.owns(fields.get("csrf")) {
            return Err(
                Problem::refused("This form is out of date: go back, reload the page and try again.").into_response()
            );
        }
        parts.extensions.insert(fields);
        parts.extensions.insert(visitor);
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    parts.extensions.insert(visitor);
    Ok(Request::from_parts(parts, body))
}

pub(super) fn header_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn host_name(headers: &HeaderMap) -> String {
    header_of(headers, header::HOST).to_owned()
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    header_of(headers, header::ACCEPT).contains("text/html")
}

fn next_of(path: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish()
}

/// Whether a browser says that a form was sent by another site's page.
fn is_foreign(headers: &HeaderMap, host: String) -> bool {
    match header_of(headers, HeaderName::from_static("sec-fetch-site")) {
        // A browser that does not say it, or none.
        "" => match header_of(headers, header::ORIGIN) {
            "" => false,
            origin => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
        },
        site => !matches!(site, "same-origin" | "none"),
    }
}
