//! Shares: signatures with which others read a container of Azure Blob, each bound to a stored access policy that can be
//! moved and taken away. The requests take `object_store`'s way to the account, with the options of the destination.
//!
//! A change is a compare-and-swap: the list of policies is read, and written if it was not changed since. The service tells and
//! takes instants by the second only, and what it keeps may be finer. So the condition is "not changed since the second after
//! the last change", and a list that was changed just now is waited for until no later change can fall into that second.

mod delegated;
mod error;
mod presigned;
mod wire;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, DATE, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, Method};
use object_store::azure::{AzureAccessKey, AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use ring::hmac;
use tokio::time::Instant;

pub(crate) use self::delegated::DELEGATED_DAYS_MAX;
pub(crate) use self::error::ShareError;
pub(crate) use self::presigned::PRESIGNED_DAYS_MAX;
use self::wire::{Account, Asked, bounded};
use super::error::Error;
use super::open::Store;
use super::policies::{self, Policy, Wanted, days_from};
use super::sas::Sas;
use super::signed::SignedLink;
use crate::clock::Clock;
use crate::limits::{SHARE_ID_TRIES_MAX, SHARE_TRIES_MAX};

/// Policies that a container may have, whoever made them.
const POLICIES_MAX: usize = 5;
/// From a change until a list can be changed again: two turns of the service's second.
const SETTLING: Duration = Duration::from_secs(2);
/// Between two passes.
const PASS_INTERVAL: Duration = Duration::from_millis(1_000);
const PUBLIC_ACCESS: &str = "x-ms-blob-public-access";

/// What becomes of a share that another one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Former {
    /// It goes on as before.
    Stays,
    /// It ends then, and is not extended.
    EndsAt(DateTime<Utc>),
    /// It goes at once; the new one takes its place, so that a full list is no hindrance.
    Goes,
}

/// The shares of a job's container.
pub(crate) struct Shares {
    account: Account,
    credential: AzureCredential,
    key: hmac::Key,
}

/// The policies as they were found.
struct Listed {
    policies: Vec<Policy>,
    /// Who may read without a signature: written back with the policies, or it would end.
    public_access: Option<String>,
    modified: SystemTime,
    /// A later change is later than the second after that.
    is_settled: bool,
}

impl Store {
    /// Whether its container can be shared by policies: it is one of Azure Blob, and the account's key is at hand.
    pub(crate) fn has_shares(&self) -> bool {
        self.keyed_builder().is_ok()
    }

    /// The shares of its container.
    pub(crate) fn shares(&self) -> Result<Shares, Error> {
        Ok(self.open_shares()?)
    }

    /// The account's options and its key.
    fn keyed_builder(&self) -> Result<(MicrosoftAzureBuilder, String), ShareError> {
        let builder = self.azure_builder()?;
        let key = builder.get_config_value(&AzureConfigKey::AccessKey);
        let key = key.ok_or_else(|| ShareError::NoKey { place: self.shown().to_owned() })?;
        Ok((builder, key))
    }

    fn open_shares(&self) -> Result<Shares, ShareError> {
        let (builder, key) = self.keyed_builder()?;
        let wrong =
            || ShareError::Place { place: self.shown().to_owned(), why: "the account's key is no base64".to_owned() };
        let decoded = STANDARD.decode(&key).map_err(|_| wrong())?;
        let credential = AzureAccessKey::try_new(&key).map_err(|_| wrong())?;
        Ok(Shares {
            account: Account::open(self, &builder)?,
            credential: AzureCredential::AccessKey(credential),
            key: hmac::Key::new(hmac::HMAC_SHA256, &decoded),
        })
    }
}

impl Shares {
    pub(crate) fn container(&self) -> &str {
        &self.account.container
    }

    /// The address that a signature opens.
    pub(crate) fn link(&self, sas: &Sas) -> SignedLink {
        SignedLink::new(&self.account.base, &self.account.path(), sas.expose_fields())
    }

    /// Signs once more for a policy of haul's that is there: the signature is the same as the first one. Asks nobody.
    pub(crate) fn sign_again(&self, policy: &Policy) -> Result<Sas, Error> {
        if !policy.is_ours() {
            return Err(ShareError::NotOurs { id: policy.id.clone() }.into());
        }
        Ok(Sas::sign(&self.key, &self.account.opened(policy.wanted().is_folder_only), &policy.id))
    }

    /// All stored access policies of the container, those of others, too.
    pub(crate) async fn list(&self) -> Result<Vec<Policy>, Error> {
        Ok(bounded(self.patiently(|| self.read())).await?.policies)
    }

    /// The same for whoever does not wait: one try.
    pub(crate) async fn list_once(&self) -> Result<Vec<Policy>, Error> {
        Ok(bounded(self.read()).await?.policies)
    }

    /// The policy of this name.
    pub(crate) async fn find(&self, id: &str) -> Result<Policy, Error> {
        let found = self.list().await?.into_iter().find(|policy| policy.id == id);
        Ok(found.ok_or_else(|| ShareError::Unknown { id: id.to_owned() })?)
    }

    /// Adds a policy, and signs for it.
    pub(crate) async fn create(&self, wanted: Wanted) -> Result<(Policy, Sas), Error> {
        self.add(wanted, None).await
    }

    /// Adds a policy for the same as another one of haul's, and signs for it.
    pub(crate) async fn rotate(&self, policy: &Policy, former: Former) -> Result<(Policy, Sas), Error> {
        if !policy.is_ours() {
            return Err(ShareError::NotOurs { id: policy.id.clone() }.into());
        }
        self.add(policy.wanted(), Some((&policy.id, former))).await
    }

    async fn add(&self, wanted: Wanted, replaced: Option<(&str, Former)>) -> Result<(Policy, Sas), Error> {
        let now = Clock.now();
        let (added, sas) = self.signed(wanted, days_from(now, wanted.days))?;
        let all = self
            .change(|policies, pass| {
                if policies.iter().any(|policy| policy.id == added.id) {
                    return Ok(false);
                }
                let at = |id: &str| policies.iter().position(|policy| policy.id == id);
                match replaced {
                    None | Some((_, Former::Stays)) => {}
                    Some((id, Former::EndsAt(end))) => {
                        let at = at(id).ok_or_else(|| ShareError::Unknown { id: id.to_owned() })?;
                        policies[at].end_for_good(end, now);
                    }
                    Some((id, Former::Goes)) => match at(id) {
                        Some(at) => drop(policies.remove(at)),
                        // Taken away by this very change, whose answer was perhaps lost.
                        None if pass == 0 => return Err(ShareError::Unknown { id: id.to_owned() }),
                        None => {}
                    },
                }
                if policies.len() >= POLICIES_MAX {
                    let names: Vec<&str> = policies.iter().map(|policy| policy.id.as_str()).collect();
                    return Err(ShareError::Full { count: policies.len(), names: names.join(", ") });
                }
                policies.push(added.clone());
                Ok(true)
            })
            .await?;
        let found = all.into_iter().find(|policy| policy.id == added.id);
        Ok((found.ok_or(ShareError::Unknown { id: added.id })?, sas))
    }

    /// Lets haul's shares end so many days from now, absent = as many as each was made for. An end is never brought forward. Gives
    /// haul's shares.
    pub(crate) async fn extend(&self, days: Option<u32>) -> Result<Vec<Policy>, Error> {
        let now = Clock.now();
        self.move_ends(|policy| Some(days_from(now, days.unwrap_or_else(|| policy.days())))).await
    }

    /// The same for shares of which less than half of their time is left. One that has ended stays so: a person must want it
    /// back. Gives haul's shares, whether they could be extended or not, and why they could not.
    pub(crate) async fn extend_old(&self) -> Result<(Vec<Policy>, Option<Error>), Error> {
        let now = Clock.now();
        let mut ours = self.list_once().await?;
        ours.retain(Policy::is_ours);
        if !ours.iter().any(|policy| policy.is_old(now)) {
            return Ok((ours, None));
        }
        match self.move_ends(|policy| policy.is_old(now).then(|| days_from(now, policy.days()))).await {
            Ok(ours) => Ok((ours, None)),
            Err(error) => Ok((ours, Some(error))),
        }
    }

    async fn move_ends(&self, end: impl Fn(&Policy) -> Option<DateTime<Utc>>) -> Result<Vec<Policy>, Error> {
        let moved = self.change(|policies, _| {
            let mut is_changed = false;
            for policy in policies.iter_mut().filter(|policy| policy.is_ours() && !policy.is_ending()) {
                let former = policy.expires_at();
                if let Some(end) = end(policy).filter(|end| former.is_none_or(|former| former < *end)) {
                    policy.end_at(end);
                    is_changed = true;
                }
            }
            Ok(is_changed)
        });
        Ok(moved.await?.into_iter().filter(Policy::is_ours).collect())
    }

    /// Takes a policy away: what was signed for it opens nothing any more.
    pub(crate) async fn revoke(&self, id: &str) -> Result<(), Error> {
        let revoked = self.change(|policies, pass| {
            let Some(at) = policies.iter().position(|policy| policy.id == id) else {
                // Taken away by this very change, whose answer was perhaps lost.
                return if pass == 0 { Err(ShareError::Unknown { id: id.to_owned() }) } else { Ok(false) };
            };
            if !policies[at].is_ours() {
                return Err(ShareError::NotOurs { id: id.to_owned() });
            }
            policies.remove(at);
            Ok(true)
        });
        revoked.await?;
        Ok(())
    }

    /// A policy with a name that nobody had before, because a former signature would be good again, and its signature. Among some
    /// names one is chosen whose signature holds nothing that is easily spoiled by pasting.
    fn signed(&self, wanted: Wanted, end: DateTime<Utc>) -> Result<(Policy, Sas), ShareError> {
        let sign = || {
            let policy = Policy::new(self.account.job(), wanted, end);
            let sas = Sas::sign(&self.key, &self.account.opened(wanted.is_folder_only), &policy.id);
            (policy, sas)
        };
        let mut signed = std::iter::repeat_with(sign).take(SHARE_ID_TRIES_MAX);
        let why = || "no policy has a signature that can be pasted".to_owned();
        let place = || self.account.container.clone();
        signed.find(|(_, sas)| sas.is_plain()).ok_or_else(|| ShareError::Place { place: place(), why: why() })
    }

    /// Changes the policies until they are found as the change wants them; gives them. `change` says whether it changed
    /// anything, and is told how often it was asked before.
    async fn change(
        &self,
        change: impl FnMut(&mut Vec<Policy>, usize) -> Result<bool, ShareError>,
    ) -> Result<Vec<Policy>, Error> {
        Ok(bounded(self.change_by_passes(change)).await?)
    }

    async fn change_by_passes(
        &self,
        mut change: impl FnMut(&mut Vec<Policy>, usize) -> Result<bool, ShareError>,
    ) -> Result<Vec<Policy>, ShareError> {
        let mut writes = 0;
        // The last change that was seen, and since when it is seen.
        let mut seen: Option<(SystemTime, Instant)> = None;
        for _ in 0..SHARE_TRIES_MAX {
            let asked = Instant::now();
            let found = self.patiently(|| self.read()).await?;
            let mut policies = found.policies.clone();
            if !change(&mut policies, writes)? {
                return Ok(policies);
            }
            // Not every service says truly what time it is.
            let is_seen = |(modified, since): (SystemTime, Instant)| {
                modified == found.modified && asked.duration_since(since) >= SETTLING
            };
            if !found.is_settled && !seen.is_some_and(is_seen) {
                seen =
                    seen.filter(|(modified, _)| *modified == found.modified).or(Some((found.modified, Instant::now())));
                tokio::time::sleep(SETTLING).await;
                continue;
            }
            writes += 1;
            match self.write(&found, &policies).await {
                // The next pass reads whether it is there, and whether a lost answer was a yes.
                Ok(_) => {}
                Err(error) if error.is_temporary() => tokio::time::sleep(PASS_INTERVAL).await,
                Err(error) => return Err(error),
            }
        }
        Err(ShareError::Contended { tries: SHARE_TRIES_MAX })
    }

    async fn patiently<T, F>(&self, work: impl Fn() -> F) -> Result<T, ShareError>
    where
        F: Future<Output = Result<T, ShareError>>,
    {
        for _ in 1..SHARE_TRIES_MAX {
            match work().await {
                Err(error) if error.is_temporary() => tokio::time::sleep(PASS_INTERVAL).await,
                ended => return ended,
            }
        }
        work().await
    }

    async fn read(&self) -> Result<Listed, ShareError> {
        let (headers, body) = self.ask(Method::GET, HeaderMap::new(), Bytes::new()).await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let policies = policies::read(&body).map_err(|why| ShareError::Unreadable { why })?;
        let instant = |name: &str| {
            let instant = text(name).and_then(|text| httpdate::parse_http_date(&text).ok());
            instant.ok_or_else(|| ShareError::Unreadable { why: "it does not say when it was changed".to_owned() })
        };
        let (modified, now) = (instant(LAST_MODIFIED.as_str())?, instant(DATE.as_str())?);
        let is_settled = now.duration_since(modified).is_ok_and(|since| since >= SETTLING);
        Ok(Listed { policies, public_access: text(PUBLIC_ACCESS), modified, is_settled })
    }

    /// Writes the policies if they are still those that were found. `Ok(false)` = they are not.
    async fn write(&self, found: &Listed, policies: &[Policy]) -> Result<bool, ShareError> {
        let mut headers = HeaderMap::new();
        let unchanged_since = httpdate::fmt_http_date(found.modified + Duration::from_secs(1));
        let unreadable = |_| ShareError::Unreadable { why: "a header of it cannot be sent back".to_owned() };
        headers.insert(IF_UNMODIFIED_SINCE, unchanged_since.parse().map_err(unreadable)?);
        headers.insert(CONTENT_TYPE, "application/xml".parse().map_err(unreadable)?);
        if let Some(public_access) = &found.public_access {
            headers.insert(PUBLIC_ACCESS, public_access.parse().map_err(unreadable)?);
        }
        match self.ask(Method::PUT, headers, policies::write(policies).into()).await {
            Ok(_) => Ok(true),
            Err(ShareError::Status { status: 412, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One request for the policies, signed with the key.
    async fn ask(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<(HeaderMap, Vec<u8>), ShareError> {
        let mut url = self.account.container_address();
        url.query_pairs_mut().append_pair("restype", "container").append_pair("comp", "acl");
        self.account.ask(&self.credential, Asked { method, url, headers, body }).await
    }
}
