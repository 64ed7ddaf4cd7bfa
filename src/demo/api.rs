//! The API's face: its routes, the bearer check, and the two mishaps that it has on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::time::Instant;

use super::page::{PAGE_ROWS, write_page};
use super::truth::Table;
use super::{Shared, count, oauth};

/// The page that is throttled once.
const THROTTLED: (Table, u64) = (Table::Orders, 10);
/// The page that fails once.
const FAILED: (Table, u64) = (Table::OrderLines, 50);
/// A token request; real ones are below one KiB.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// All that the demo API answers.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/oauth/authorize", get(oauth::authorize))
        .route("/oauth/token", post(oauth::token))
        .route("/oauth/revoke", post(oauth::revoke))
        .route("/api/v1/{table}", get(read_page))
        .fallback(async || error_answer(StatusCode::NOT_FOUND, "not_found", "no such path"))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .with_state(shared)
}

#[derive(Deserialize)]
struct PageQuery {
    /// Absent = the first page.
    after: Option<u64>,
}

async fn read_page(
    State(shared): State<Arc<Shared>>,
    Path(table): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    count(&shared.counters.requests);
    let Some(token) = bearer_token(&headers) else {
        return unauthorized(HeaderValue::from_static("Bearer realm=\"haul-demo\""));
    };
    if !shared.grants().is_good(token, Instant::now()) {
        let challenge = "Bearer realm=\"haul-demo\", error=\"invalid_token\", \
                         error_description=\"the access token is unknown, expired or revoked\"";
        return unauthorized(HeaderValue::from_static(challenge));
    }
    let Some(table) = Table::ALL.into_iter().find(|known| known.name() == table) else {
        return error_answer(StatusCode::NOT_FOUND, "not_found", "no such table");
    };
    let Ok(Query(PageQuery { after })) = query else {
        return error_answer(StatusCode::BAD_REQUEST, "bad_request", "`after` must be the id of a record");
    };
    let after = after.unwrap_or(0);
    let page_number = after / PAGE_ROWS + 1;
    if (table, page_number) == THROTTLED && is_first(&shared.has_throttled) {
        count(&shared.counters.throttled);
        let answer = error_answer(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "wait a second");
        return ([(header::RETRY_AFTER, "1")], answer).into_response();
    }
    if (table, page_number) == FAILED && is_first(&shared.has_failed) {
        count(&shared.counters.failed);
        return error_answer(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "a bad moment; try again");
    }
    // A page takes well under a millisecond: a blocking thread would cost more than it saves.
    let page = write_page(table, after, &shared.origin);
    ([(header::CONTENT_TYPE, "application/json")], page).into_response()
}

fn is_first(flag: &AtomicBool) -> bool {
    !flag.swap(true, Ordering::Relaxed)
}

/// The token of an `Authorization: Bearer` header; the scheme's case does not matter (RFC 9110 section 11.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(challenge: HeaderValue) -> Response {
    let answer = error_answer(StatusCode::UNAUTHORIZED, "unauthorized", "an access token is needed");
    ([(header::WWW_AUTHENTICATE, challenge)], answer).into_response()
}

fn error_answer(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
