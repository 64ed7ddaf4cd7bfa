//! What the vault holds, without a value.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::connect::summary_of;
use super::session::Visitor;
use super::view::{Problem, TheSite, page as show};
use crate::auth::Issuer;
use crate::clock::Clock;
use crate::engine::issuer_of;

pub(super) async fn page(State(site): TheSite, Extension(visitor): Extension<Visitor>) -> Result<Response, Problem> {
    let now = Clock.now();
    let vault = site.vault().await.map_err(Problem::not_now)?;
    let summaries = vault.list().await.map_err(|error| Problem::failed(&error))?;
    let seats = site.web.board.seats();
    let users: Vec<(String, String)> = seats
        .iter()
        .filter_map(|seat| {
            let issuer: std::sync::Arc<Issuer> = issuer_of(&seat.job).ok().flatten()?;
            Some((issuer.identity().id, seat.job.name.clone()))
        })
        .collect();
    let credentials: Vec<Value> = summaries
        .iter()
        .map(|summary| {
            let mut shown = summary_of(summary, now, Tz::UTC);
            let jobs = users.iter().filter(|(id, _)| *id == summary.id).map(|(_, job)| job);
            shown["jobs"] = json!(jobs.collect::<Vec<_>>());
            shown
        })
        .collect();
    Ok(show(&site, &visitor, "credentials.html", "Credentials", json!({ "credentials": credentials })))
}
