//! For orchestrators: whether the process lives, and whether it serves. Without a login, and without a word about any job.

use axum::extract::State;
use axum::http::StatusCode;

use super::view::TheSite;

pub(super) async fn is_alive() -> &'static str {
    "ok\n"
}

/// Ready = the jobs are loaded, the record store answers, and nobody stopped the daemon.
pub(super) async fn is_ready(State(site): TheSite) -> (StatusCode, &'static str) {
    if site.web.is_stopped.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if site.web.board.loaded_at().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the jobs are not loaded yet\n");
    }
    match site.web.records.get("ready").await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the record store does not answer\n"),
    }
}
