//! The share whose signature the parameters of a semantic model hold, where the job wants haul to keep it: another one is set when a
//! policy was replaced or the account has a new key, and one that nobody can extend is made anew in good time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::parameters::Parameter;
use crate::clock::Clock;
use crate::engine::kit::{is_fixed, parameter_name};
use crate::engine::run::hex;
use crate::engine::share::{delegate, is_live, newest_of};
use crate::model::refresh::{Item, ShareScope, Target};
use crate::state::RecordStore;
use crate::store::{self, DELEGATED_DAYS_MAX, Policy, SignedLink, Store, Wanted};

const SHA256_BYTES: usize = 32;

/// What a model was given last; no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GivenShare {
    pub name: String,
    /// SHA-256 of what it was given: a new key of the account makes another signature for the same policy.
    #[serde(default)]
    pub digest: String,
    /// Absent = its policy says until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// Parameters to be set, and the share that they are of. `Ok(None)` = the model has what it needs, or nobody wants haul to care.
pub(super) async fn share_for(
    (store, records): (&Store, &Arc<RecordStore>),
    job: &str,
    target: &Target,
    given: Option<&GivenShare>,
) -> Result<Option<(Vec<Parameter>, GivenShare)>, Error> {
    let Item::Dataset { share: Some(scope), .. } = &target.item else { return Ok(None) };
    let (now, is_folder_only) = (Clock.now(), *scope == ShareScope::Folder);
    if store.has_delegation() {
        if given.is_some_and(|given| !is_old(given, now)) {
            return Ok(None);
        }
        let wanted = Wanted { days: DELEGATED_DAYS_MAX, lists: false, is_folder_only };
        let (share, link) = delegate(store, records, wanted).await.map_err(|error| Error::Share(Box::new(error)))?;
        let (digest, until) = (digest_of(&link), share.terms.expires_at());
        return Ok(Some((parameters(&link), GivenShare { name: share.terms.id, digest, until })));
    }
    let shares = store.shares()?;
    let fits =
        |policy: &Policy| policy.is_of(job) && is_live(policy, now) && policy.wanted().is_folder_only == is_folder_only;
    let fitting: Vec<Policy> = shares.list().await?.into_iter().filter(fits).collect();
    // The one that it has, as long as that goes on: of two the other one ends last after every second extension.
    let same = fitting.iter().find(|policy| given.is_some_and(|given| given.name == policy.id) && !policy.is_ending());
    let policy = same.or_else(|| newest_of(&fitting, job, now)).ok_or(Error::NoShare { is_folder_only })?;
    let link = shares.link(&shares.sign_again(policy)?);
    let digest = digest_of(&link);
    if given.is_some_and(|given| given.digest == digest) {
        return Ok(None);
    }
    Ok(Some((parameters(&link), GivenShare { name: policy.id.clone(), digest, until: None })))
}

/// Whether a model needs another signature, whatever else there is to refresh. What cannot be found out is told by the next refresh.
pub(super) async fn is_share_due(
    places: (&Store, &Arc<RecordStore>),
    job: &str,
    target: &Target,
    given: Option<&GivenShare>,
) -> bool {
    // A key is lent when it is used, and not to find this out.
    match given {
        Some(given) if places.0.has_delegation() => is_old(given, Clock.now()),
        Some(_) => share_for(places, job, target, given).await.is_ok_and(|fresh| fresh.is_some()),
        None => false,
    }
}

/// Less than half of the time is left.
fn is_old(given: &GivenShare, now: DateTime<Utc>) -> bool {
    given.until.is_none_or(|until| until - now <= TimeDelta::days(DELEGATED_DAYS_MAX.into()) / 2)
}

fn digest_of(link: &SignedLink) -> String {
    hex(link.expose_query().as_bytes(), SHA256_BYTES)
}

/// The fields of a signature under the names that haul's queries have for them.
fn parameters(link: &SignedLink) -> Vec<Parameter> {
    let fields = link.expose_fields().iter().filter(|(name, _)| !is_fixed(name));
    let parameter = |(field, value): &(&str, String)| {
        let (name, may_be_seen) = parameter_name(field);
        if may_be_seen { Parameter::plain(name, value.clone()) } else { Parameter::secret(name, value.clone()) }
    };
    fields.map(parameter).collect()
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Share(Box::new(error.into()))
    }
}
