//! Shares of a job's tables, of every kind: stored access policies of a container (`store::Shares`), and those of which haul keeps a
//! record itself (`links`). Kept going by runs, and looked at by whoever tells when they end.

mod links;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

pub(crate) use self::links::{Served, is_opened_by, links_of, reseal_keys};
use super::context::Context;
use super::error::Error;
use super::run::text_of;
use crate::clock::Clock;
use crate::limits::SHARE_SOON_DAYS;
use crate::model::manifest::TableManifest;
use crate::model::report::{Outcome, RunReport};
use crate::state::{Link, LinkKind, RecordStore};
use crate::store::{self, Policy, ShareError, SignedLink, Store, Wanted, layout};

/// Who keeps a share, and so what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShareKind {
    /// The account, as a stored access policy of the container.
    Policy,
    /// Haul, as a record.
    Link(LinkKind),
}

impl ShareKind {
    /// As one word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ShareKind::Policy => "policy",
            ShareKind::Link(LinkKind::Served) => "served",
            ShareKind::Link(LinkKind::Delegated) => "delegated",
            ShareKind::Link(LinkKind::Presigned) => "presigned",
        }
    }

    /// Whether its end can be moved, so that the address stays the same.
    pub(crate) fn is_extended(self) -> bool {
        matches!(self, ShareKind::Policy | ShareKind::Link(LinkKind::Served))
    }
}

/// A share, whoever keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shared {
    pub kind: ShareKind,
    /// What it may, and until when.
    pub terms: Policy,
}

impl Shared {
    pub(crate) fn of_policy(terms: Policy) -> Self {
        Shared { kind: ShareKind::Policy, terms }
    }

    pub(crate) fn of_link(link: &Link) -> Self {
        let spelled = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let terms = Policy {
            id: link.id.clone(),
            // As in a policy: what has a start is not extended any more.
            start: link.is_ending.then(|| spelled(link.made_at)),
            expiry: Some(spelled(link.expires_at)),
            permissions: Some(link.permissions.clone()),
        };
        Shared { kind: ShareKind::Link(link.kind), terms }
    }
}

/// Haul's shares of a container, asked for once. `Ok(None)` = it has no policies.
pub(super) async fn shares_of(store: &Store) -> Result<Option<Vec<Policy>>, store::Error> {
    if !store.has_shares() {
        return Ok(None);
    }
    let all = store.shares()?.list_once().await?;
    Ok(Some(all.into_iter().filter(Policy::is_ours).collect()))
}

/// The share that readers of a job keep longest: one that was made for it goes before others of its container, then one that goes
/// on, then the one that ends last; of equal ones the one whose name comes first.
pub(super) fn newest_of<'p>(policies: &'p [Policy], job: &str, now: DateTime<Utc>) -> Option<&'p Policy> {
    let ours = policies.iter().filter(|policy| policy.is_ours());
    ours.max_by_key(|policy| {
        let goes_on = is_live(policy, now) && !policy.is_ending();
        (policy.is_of(job), goes_on, policy.expires_at(), std::cmp::Reverse(&policy.id))
    })
}

/// Whether a signature for it opens something.
pub(super) fn is_live(policy: &Policy, now: DateTime<Utc>) -> bool {
    policy.expires_at().is_none_or(|end| end > now)
}

/// Haul's shares of a job's tables, of every kind.
pub(crate) async fn all_shares_of(store: &Store, records: &Arc<RecordStore>) -> Result<Vec<Shared>, Error> {
    let policies = shares_of(store).await?.unwrap_or_default();
    let links = links_of(store, records).list().await?;
    Ok(policies.into_iter().map(Shared::of_policy).chain(links.iter().map(Shared::of_link)).collect())
}

/// Those of which a person wants to hear when they end: a signature that nobody can extend matters no more when a later one of its
/// kind is there.
pub(crate) fn without_replaced(shares: Vec<Shared>) -> Vec<Shared> {
    let end = |share: &Shared| share.terms.expires_at();
    let is_replaced = |share: &Shared| {
        !share.kind.is_extended() && shares.iter().any(|other| other.kind == share.kind && end(other) > end(share))
    };
    let keep: Vec<bool> = shares.iter().map(|share| !is_replaced(share)).collect();
    shares.into_iter().zip(keep).filter_map(|(share, is_kept)| is_kept.then_some(share)).collect()
}

/// Signs for the container by a login of Entra, and keeps until when; the former signatures are good until their own ends. Whoever
/// reads with one needs the new fields before that.
pub(crate) async fn delegate(
    store: &Store,
    records: &Arc<RecordStore>,
    wanted: Wanted,
) -> Result<(Shared, SignedLink), Error> {
    let (terms, link) = store.delegation()?.sign(wanted).await?;
    let noted = links_of(store, records).note(&terms, LinkKind::Delegated).await?;
    Ok((Shared::of_link(&noted), link))
}

/// Presigned addresses of the one file of each published table, by table, and until when they are good.
pub(crate) async fn presign(
    store: &Store,
    records: &Arc<RecordStore>,
    has_alias: bool,
    wanted: Wanted,
) -> Result<(Shared, BTreeMap<String, Url>), Error> {
    let no_file = |why: &str| store::Error::from(ShareError::NoFile { why: why.to_owned() });
    if !has_alias {
        return Err(no_file("the job does not want aliases").into());
    }
    let current = store.load_current().await?.ok_or_else(|| no_file("nothing is published"))?;
    let file = |(name, table): (&String, &TableManifest)| (name.clone(), layout::alias(name, &table.format));
    let files = current.manifest.tables.iter().map(file).collect();
    let links = links_of(store, records);
    let terms = links.terms(wanted);
    let time = Duration::from_secs(u64::from(wanted.days) * 86_400);
    let addresses = store.presign(&files, time).await?;
    let noted = links.note(&terms, LinkKind::Presigned).await?;
    Ok((Shared::of_link(&noted), addresses))
}

/// Lets haul's shares go on of which less than half of their time is left, after a run whose tables readers see. Returns what a
/// person should know of them.
pub(super) async fn extend_shares(ctx: &Context, report: &RunReport) -> Vec<String> {
    let is_shown = matches!(report.outcome, Outcome::Published | Outcome::Unchanged);
    if !is_shown || ctx.is_taped || ctx.cancel.is_cancelled() {
        return Vec::new();
    }
    let extend = async {
        let mut told = extend_policies(&ctx.store).await;
        told.extend(extend_links(ctx).await);
        told
    };
    tokio::select! {
        told = extend => told,
        () = ctx.cancel.cancelled() => Vec::new(),
    }
}

async fn extend_policies(store: &Store) -> Vec<String> {
    if !store.has_shares() {
        return Vec::new();
    }
    let unread = |error: &dyn std::error::Error| {
        format!("the shares of the container were not looked at, and end when they end: {}", text_of(error))
    };
    let extended = match store.shares() {
        Ok(shares) => shares.extend_old().await,
        Err(error) => return vec![unread(&error)],
    };
    let (ours, why) = match extended {
        Ok(extended) => extended,
        Err(error) => return vec![unread(&error)],
    };
    let now = Clock.now();
    let mut told: Vec<String> = ours.iter().filter_map(widened).collect();
    if let Some(error) = why {
        let soon: Vec<String> =
            ours.iter().filter(|share| share.is_old(now)).filter_map(|share| soon(share, now)).collect();
        let soon = if soon.is_empty() { String::new() } else { format!(", and soon {}", soon.join(", ")) };
        told.push(format!("the shares of the container could not be extended{soon}: {}", text_of(&error)));
    }
    let ending = ours.iter().filter(|share| share.is_ending()).filter_map(|share| soon(share, now));
    told.extend(ending.map(|soon| format!("{soon}, as a person wanted when another one took its place")));
    told
}

async fn extend_links(ctx: &Context) -> Vec<String> {
    let now = Clock.now();
    let links = match links_of(&ctx.store, &ctx.records).extend_old(now).await {
        Ok(links) => links,
        Err(error) => return vec![format!("the links of the job could not be extended: {}", text_of(&error))],
    };
    let mut told = Vec::new();
    for share in without_replaced(links.iter().map(Shared::of_link).collect()) {
        let Some(soon) = soon(&share.terms, now) else { continue };
        let left = share.terms.expires_at().map_or(TimeDelta::zero(), |end| end - now);
        match share.kind {
            // One for some days is not told of at its beginning.
            ShareKind::Link(LinkKind::Delegated | LinkKind::Presigned)
                if left * 2 < TimeDelta::days(share.terms.days().into()) =>
            {
                told.push(format!("{soon}, and nobody can extend it: make another one, and tell its readers"));
            }
            ShareKind::Link(LinkKind::Served) if share.terms.is_ending() => {
                told.push(format!("{soon}, as a person wanted when another one took its place"));
            }
            ShareKind::Link(_) | ShareKind::Policy => {}
        }
    }
    told
}

/// That a share ends soon. `None` = it does not, or it has ended.
fn soon(share: &Policy, now: DateTime<Utc>) -> Option<String> {
    let end = share.expires_at().filter(|end| *end > now && *end - now < TimeDelta::days(SHARE_SOON_DAYS))?;
    Some(format!("the share `{}` ends at {}", share.id, end.format("%Y-%m-%d %H:%MZ")))
}

/// That somebody let a share do more than haul made it for.
pub(crate) fn widened(share: &Policy) -> Option<String> {
    let excess = share.excess();
    let stored = share.permissions.as_deref().unwrap_or_default();
    (!excess.is_empty()).then(|| {
        format!(
            "the share `{}` was made for `{}`, and somebody changed that to `{stored}`: whoever has its signature may \
             do more than read",
            share.id,
            share.wanted().permissions()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_with_a_later_one_beside_it_worries_nobody() {
        let share = |id: &str, kind: LinkKind, end: &str| {
            let at: DateTime<Utc> = end.parse().expect("an instant");
            Shared::of_link(&Link {
                id: id.to_owned(),
                kind,
                permissions: "r".to_owned(),
                made_at: at,
                expires_at: at,
                is_ending: false,
                key: None,
            })
        };
        let shares = vec![
            share("old", LinkKind::Delegated, "2027-01-01T00:00:00Z"),
            share("new", LinkKind::Delegated, "2027-01-08T00:00:00Z"),
            share("bucket", LinkKind::Presigned, "2027-01-01T00:00:00Z"),
            share("link", LinkKind::Served, "2027-01-01T00:00:00Z"),
            share("other", LinkKind::Served, "2027-02-01T00:00:00Z"),
        ];
        let left: Vec<String> = without_replaced(shares).into_iter().map(|share| share.terms.id).collect();
        assert_eq!(left, ["new", "bucket", "link", "other"]);
    }
}
