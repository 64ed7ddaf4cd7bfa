//! What a person may do to a job. Each leads back to the page it came from.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use super::Site;
use super::session::Visitor;
use super::view::{Problem, TheSite, see_other};
use crate::clock::Clock;
use crate::daemon::Order;
use crate::engine::{Decision, decide};
use crate::state::{Observations, Paused};

pub(super) async fn run_now(State(site): TheSite, Path(job): Path<String>) -> Result<Response, Problem> {
    if site.web.is_stopped.is_cancelled() {
        return Err(Problem::not_now("The daemon is stopping: no run begins any more."));
    }
    order(&site, &job, Order::RunNow)
}

pub(super) async fn stop(State(site): TheSite, Path(job): Path<String>) -> Result<Response, Problem> {
    order(&site, &job, Order::Stop)
}

fn order(site: &Site, job: &str, order: Order) -> Result<Response, Problem> {
    let seat = site.seat(job)?;
    seat.orders.try_send(order).map_err(|_| Problem::not_now(format!("“{job}” is busy: try again in a moment.")))?;
    Ok(see_other(&format!("/jobs/{job}")))
}

pub(super) async fn pause(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path(job): Path<String>,
) -> Result<Response, Problem> {
    let (_, books) = site.open(&job)?;
    let by = visitor.who.unwrap_or_else(|| "somebody on the web page".to_owned());
    let paused = Paused { since: Clock.now(), by };
    books.slots.pause(&paused).await.map_err(|error| Problem::failed(&error))?;
    order(&site, &job, Order::Look)
}

pub(super) async fn resume(State(site): TheSite, Path(job): Path<String>) -> Result<Response, Problem> {
    let (_, books) = site.open(&job)?;
    books.slots.resume(Clock.now()).await.map_err(|error| Problem::failed(&error))?;
    order(&site, &job, Order::Look)
}

pub(super) async fn approve(State(site): TheSite, Path(path): Path<(String, String)>) -> Result<Response, Problem> {
    decided(&site, path, Decision::Approve).await
}

pub(super) async fn discard(State(site): TheSite, Path(path): Path<(String, String)>) -> Result<Response, Problem> {
    decided(&site, path, Decision::Discard).await
}

async fn decided(site: &Site, (job, run): (String, String), decision: Decision) -> Result<Response, Problem> {
    let (seat, store) = site.open_store(&job)?;
    let observations = Observations::new(&site.web.settings.local_folder);
    let decided = decide(&seat.job, &store, &site.web.records, &observations, Some(&run), decision).await;
    decided.map_err(|error| Problem::conflict(crate::engine::text_of(&error)))?;
    order(site, &job, Order::Look)
}

/// Reads the folder of jobs anew, as SIGHUP does.
pub(super) async fn reload(State(site): TheSite) -> Result<Response, Problem> {
    // One that waits already does the same.
    let _ = site.web.reload.try_send(());
    Ok(see_other("/"))
}
