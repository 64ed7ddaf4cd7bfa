//! Credentials that end: the refresh token of the source, a SAS of the destination, and its shares.

use std::sync::Arc;
use std::time::Duration;

use super::standing::Expiring;
use crate::auth::{CredentialState, Summary};
use crate::engine::context::store_options;
use crate::engine::share::{Shared, all_shares_of, without_replaced};
use crate::model::plan::Job;
use crate::state::RecordStore;
use crate::store::{Store, sas_end};

/// A refresh token that every use makes new is told of when so much of its idle time is left: haul uses it when half of it is
/// left, so something keeps it from that.
const IDLE_SHARE: u32 = 4;

const DAY: Duration = Duration::from_secs(86_400);

/// What ends, whenever that is. An end that cannot be found out is none.
pub(super) async fn expiring(
    job: &Job,
    summary: Option<&Summary>,
    store: &Store,
    records: &Arc<RecordStore>,
) -> Vec<Expiring> {
    let of_source = summary.and_then(of_refresh_token);
    let options = store_options(job).unwrap_or_default();
    let ends = options.iter().filter_map(|(_, value)| sas_end(value)).min();
    let of_destination = ends.map(|expires_at| Expiring {
        name: "the SAS of the destination".to_owned(),
        expires_at,
        within_max: Duration::MAX,
        hint: "make a new SAS, and set it where haul runs".to_owned(),
    });
    of_source.into_iter().chain(of_destination).chain(of_shares(store, records).await).collect()
}

/// Runs extend what can be extended themselves, so something keeps them from that, or the share has ended already.
async fn of_shares(store: &Store, records: &Arc<RecordStore>) -> Vec<Expiring> {
    let shares = without_replaced(all_shares_of(store, records).await.unwrap_or_default());
    // One that another took the place of ends as a person wanted.
    let ends = |share: &Shared| {
        if share.terms.is_ending() {
            return None;
        }
        let hint = match share.kind.is_extended() {
            true => "`haul share extend JOBFILE` lets it go on, `haul share revoke JOBFILE POLICY` removes it",
            false => {
                "nobody can extend it: `haul share create JOBFILE` makes another one for its readers, `haul share \
                 revoke JOBFILE POLICY` lets haul forget this one"
            }
        };
        Some(Expiring {
            name: format!("the share `{}`", share.terms.id),
            expires_at: share.terms.expires_at()?,
            // A share for a week is not told of at its beginning.
            within_max: DAY * share.terms.days() / 2,
            hint: hint.to_owned(),
        })
    };
    shares.iter().filter_map(ends).collect()
}

fn of_refresh_token(summary: &Summary) -> Option<Expiring> {
    if !summary.has_refresh_token || summary.state == CredentialState::Reauth {
        return None;
    }
    let expires_at = summary.refresh_token_void_at?;
    let idle = (expires_at - summary.refreshed_at?).to_std().ok()?;
    Some(Expiring {
        name: format!("the refresh token for {}", summary.bound_to),
        expires_at,
        within_max: idle / IDLE_SHARE,
        hint: "`haul credentials test JOBFILE --new` uses and renews it; when it has ended, `haul login JOBFILE`"
            .to_owned(),
    })
}
