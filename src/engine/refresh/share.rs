//! The share whose signature the parameters of a semantic model hold, where the job wants haul to keep it: that of a stored
//! access policy is set when another policy took its place, and one that nobody can extend is made anew in good time.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::clock::Clock;
use crate::engine::kit::{is_fixed, parameter_name};
use crate::engine::share::newest_live;
use crate::model::refresh::{Item, Target};
use crate::secret::Secret;
use crate::store::{self, DELEGATED_DAYS_MAX, SignedLink, Store, Wanted};

/// What a model was given last; no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GivenShare {
    pub name: String,
    /// Absent = its policy says until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// Parameters to be set, and the share that they are of. `Ok(None)` = the model has what it needs, or nobody wants haul to care.
pub(super) async fn share_for(
    store: &Store,
    target: &Target,
    given: Option<&GivenShare>,
) -> Result<Option<(Vec<(String, Secret)>, GivenShare)>, Error> {
    if !matches!(target.item, Item::Dataset { keeps_share: true, .. }) {
        return Ok(None);
    }
    let now = Clock.now();
    let (link, share) = if store.has_delegation() {
        let half = TimeDelta::days(DELEGATED_DAYS_MAX.into()) / 2;
        if given.and_then(|given| given.until).is_some_and(|until| until - now > half) {
            return Ok(None);
        }
        let wanted = Wanted { days: DELEGATED_DAYS_MAX, lists: false, is_folder_only: false };
        let (terms, link) = store.delegation()?.sign(wanted).await?;
        let until = terms.expires_at();
        (link, GivenShare { name: terms.id, until })
    } else {
        let shares = store.shares()?;
        let policy = newest_live(shares.list().await?, now).ok_or(Error::NoShare)?;
        if given.is_some_and(|given| given.name == policy.id) {
            return Ok(None);
        }
        (shares.link(&shares.sign_again(&policy)?), GivenShare { name: policy.id, until: None })
    };
    Ok(Some((parameters(&link), share)))
}

/// The fields of a signature under the names that haul's queries have for them.
fn parameters(link: &SignedLink) -> Vec<(String, Secret)> {
    let fields = link.expose_fields().iter().filter(|(name, _)| !is_fixed(name));
    fields.map(|(name, value)| (parameter_name(name).0, Secret::new(value.clone()))).collect()
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Share(Box::new(error))
    }
}
