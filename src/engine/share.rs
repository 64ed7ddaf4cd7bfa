//! Shares of the job's container: kept going by runs, and looked at by whoever tells when they end.

use super::context::Context;
use super::run::text_of;
use crate::model::report::{Outcome, RunReport};
use crate::store::{self, Policy, Store};

/// Lets haul's shares go on of which less than half of their time is left, after a run whose tables readers see. Returns what
/// did not work.
pub(super) async fn extend_shares(ctx: &Context, report: &RunReport) -> Option<String> {
    let is_shown = matches!(report.outcome, Outcome::Published | Outcome::Unchanged);
    if !is_shown || ctx.is_taped || ctx.cancel.is_cancelled() || !ctx.store.has_shares() {
        return None;
    }
    let extended = async { ctx.store.shares()?.extend_old().await };
    let extended = tokio::select! {
        extended = extended => extended,
        () = ctx.cancel.cancelled() => return None,
    };
    let error = extended.err()?;
    Some(format!("the shares of the container were not looked at, and end when they end: {}", text_of(&error)))
}

/// Haul's shares of a container. `Ok(None)` = it cannot be shared.
pub(crate) async fn shares_of(store: &Store) -> Result<Option<Vec<Policy>>, store::Error> {
    if !store.has_shares() {
        return Ok(None);
    }
    let all = store.shares()?.list_once().await?;
    Ok(Some(all.into_iter().filter(Policy::is_ours).collect()))
}
