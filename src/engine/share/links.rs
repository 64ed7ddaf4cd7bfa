//! Shares of which haul keeps a record itself: links that the daemon answers, and signatures of which only is known when they end.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::auth::VaultKey;
use crate::clock::Clock;
use crate::engine::context::Settings;
use crate::engine::error::Error;
use crate::engine::resume::name_shown;
use crate::limits::SHARE_LINKS_MAX;
use crate::state::{Link, LinkKind, Links, RecordStore, reseal_links};
use crate::store::{self, Former, LinkKey, Policy, SignedLink, Store, Wanted, days_from};

/// The records of a job's links.
pub(crate) fn links_of(store: &Store, records: &Arc<RecordStore>) -> JobLinks {
    let job = job_of(store).to_owned();
    JobLinks { links: Links::new(records, &name_shown(&job, store.shown())), job }
}

/// The folder of a job has its name.
fn job_of(store: &Store) -> &str {
    store.shown().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The links of one job.
pub(crate) struct JobLinks {
    job: String,
    links: Links,
}

impl JobLinks {
    pub(crate) async fn list(&self) -> Result<Vec<Link>, Error> {
        Ok(self.links.list().await?)
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Option<Link>, Error> {
        Ok(self.links.get(id).await?)
    }

    /// Keeps that there is a share which nobody can extend or take back.
    pub(crate) async fn note(&self, terms: &Policy, kind: LinkKind) -> Result<Link, Error> {
        self.forget_old().await?;
        self.add(terms, kind, None).await
    }

    /// The terms of a share that is not made by the store.
    pub(crate) fn terms(&self, wanted: Wanted) -> Policy {
        Policy::new(&self.job, wanted, days_from(Clock.now(), wanted.days))
    }

    /// Lets links that the daemon answers end so many days from now, absent = as many as each was made for. An end is never brought
    /// forward. Gives those links.
    pub(crate) async fn extend(&self, days: Option<u32>) -> Result<Vec<Link>, Error> {
        let now = Clock.now();
        self.extend_those(|_| true, |terms| days_from(now, days.unwrap_or_else(|| terms.days()))).await
    }

    /// The same for those of which less than half of their time is left. Gives all links.
    pub(crate) async fn extend_old(&self, now: DateTime<Utc>) -> Result<Vec<Link>, Error> {
        self.extend_those(|terms| terms.is_old(now), |terms| days_from(now, terms.days())).await?;
        self.list().await
    }

    async fn extend_those(
        &self,
        is_due: impl Fn(&Policy) -> bool,
        end: impl Fn(&Policy) -> DateTime<Utc>,
    ) -> Result<Vec<Link>, Error> {
        let mut extended = Vec::new();
        for link in self.list().await?.into_iter().filter(|link| link.kind == LinkKind::Served) {
            let terms = super::Shared::of_link(&link).terms;
            if terms.is_ending() || !is_due(&terms) {
                extended.push(link);
                continue;
            }
            let end = end(&terms);
            let changed = self.links.change(&link.id, |link| {
                let is_later = link.expires_at < end && !link.is_ending;
                if is_later {
                    link.expires_at = end;
                }
                is_later
            });
            // One that was revoked meanwhile stays so.
            extended.extend(changed.await?);
        }
        Ok(extended)
    }

    /// What becomes of a link that another one replaces.
    pub(crate) async fn replace(&self, id: &str, former: Former) -> Result<(), Error> {
        match former {
            Former::Stays => {}
            Former::Goes => drop(self.links.remove(id).await?),
            Former::EndsAt(end) => {
                let end_for_good = |link: &mut Link| {
                    (link.is_ending, link.expires_at) = (true, link.expires_at.min(end));
                    true
                };
                self.links.change(id, end_for_good).await?;
            }
        }
        Ok(())
    }

    /// Ends a link; `false` = there is none.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, Error> {
        Ok(self.links.remove(id).await?)
    }

    async fn add(&self, terms: &Policy, kind: LinkKind, key: Option<String>) -> Result<Link, Error> {
        let link = Link {
            id: terms.id.clone(),
            kind,
            permissions: terms.permissions.clone().unwrap_or_default(),
            made_at: Clock.now(),
            expires_at: terms.expires_at().expect("new terms have an end"),
            is_ending: false,
            key,
        };
        // A name has fifty random bits: one that is taken is this very one, after a lost answer.
        self.links.add(&link).await?;
        Ok(link)
    }

    /// Of signatures that nobody can extend only those are remembered that are good, and of very many the newest; links of the daemon
    /// stay, because they can be extended.
    async fn forget_old(&self) -> Result<(), Error> {
        let now = Clock.now();
        let mut kept = self.list().await?;
        kept.retain(|link| link.kind != LinkKind::Served);
        kept.sort_by_key(|link| std::cmp::Reverse(link.made_at));
        for (newer, link) in kept.iter().enumerate() {
            if link.expires_at <= now || newer + 1 >= SHARE_LINKS_MAX {
                self.links.remove(&link.id).await?;
            }
        }
        Ok(())
    }
}

/// Links that the daemon answers, with the keys that sign them.
pub(crate) struct Served {
    links: JobLinks,
    vault_key: VaultKey,
}

impl Served {
    pub(crate) fn open(settings: &Settings, store: &Store, records: &Arc<RecordStore>) -> Result<Self, Error> {
        Ok(Served { links: links_of(store, records), vault_key: settings.key()? })
    }

    /// Makes a link for a daemon at this address.
    pub(crate) async fn create(&self, wanted: Wanted, address: &str) -> Result<(Link, SignedLink), Error> {
        let served = self.links.list().await?.into_iter().filter(|link| link.kind == LinkKind::Served).count();
        if served >= SHARE_LINKS_MAX {
            return Err(store::Error::from(store::ShareError::Many { count: served }).into());
        }
        let terms = self.links.terms(wanted);
        let key = LinkKey::generate();
        let sealed = self.vault_key.seal_bytes(key.expose(), &self.links.links.record(&terms.id));
        let link = self.links.add(&terms, LinkKind::Served, Some(sealed)).await?;
        let signed = key.link(address, &self.links.job, &link.id);
        Ok((link, signed))
    }

    /// Signs once more for a link that is there: the address is the same as the first one.
    pub(crate) fn sign_again(&self, link: &Link, address: &str) -> Result<SignedLink, Error> {
        let key = self.key(link).ok_or(crate::auth::Error::KeyNotOurs)?;
        Ok(key.link(address, &self.links.job, &link.id))
    }

    /// `None` = the daemon does not answer to it, or it was sealed with another vault key.
    fn key(&self, link: &Link) -> Option<LinkKey> {
        let bytes = self.vault_key.open_bytes(link.key.as_deref()?, &self.links.links.record(&link.id))?;
        LinkKey::from_bytes(&bytes)
    }
}

/// Whether a request to the daemon shows a link of this job that is good now.
pub(crate) async fn is_opened_by(
    settings: &Settings,
    store: &Store,
    records: &Arc<RecordStore>,
    (version, id, signature): (&str, &str, &str),
) -> Result<bool, Error> {
    let links = links_of(store, records);
    let Some(link) = links.get(id).await? else { return Ok(false) };
    let served = Served { links, vault_key: settings.key()? };
    let Some(key) = served.key(&link) else { return Ok(false) };
    Ok(key.is_signed(version, &served.links.job, id, signature) && Clock.now() < link.expires_at)
}

/// Seals the keys of all links with the newest vault key; tells how many there are.
pub(crate) async fn reseal_keys(records: &RecordStore, vault_key: &VaultKey) -> Result<usize, Error> {
    let seal = |name: &str, sealed: &str| Some(vault_key.seal_bytes(&vault_key.open_bytes(sealed, name)?, name));
    Ok(reseal_links(records, seal).await?)
}
