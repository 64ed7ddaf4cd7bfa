//! `haul share`: signatures with which others read the job's tables. `create`, `show` and `rotate` print one, because a person asked
//! for exactly that; no other verb does.

mod made;

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::made::{Made, Opens, shown, table};
use super::Surroundings;
use super::args::{
    JobArgs, ShareArgs, ShareCreateArgs, ShareExtendArgs, ShareRevokeArgs, ShareRotateArgs, ShareShowArgs, ShareVerb,
};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::signals::{interrupted, until_signalled};
use crate::clock::Clock;
use crate::engine::{
    Error, Served, ShareKind, Shared, all_shares_of, delegate, links_of, open_store, presign, widened,
};
use crate::job::load;
use crate::state::{Link, LinkKind, RecordStore};
use crate::store::{self, DELEGATED_DAYS_MAX, Former, PRESIGNED_DAYS_MAX, SHARE_DAYS_MAX, ShareError, Store, Wanted};

/// Where `haul serve` listens unless somebody says otherwise.
const ADDRESS: &str = "http://127.0.0.1:8733";
/// So long a new or changed policy may take at the service.
const LATE: &str = "it may take 30 s until the service knows";

pub(super) async fn run(around: Surroundings, args: ShareArgs) -> Result<Exit, Failure> {
    match args.verb {
        ShareVerb::Create(args) => create(&Desk::open(around, &args.job).await?, &args).await,
        ShareVerb::List(args) => list(&Desk::open(around, &args).await?).await,
        ShareVerb::Show(args) => show(&Desk::open(around, &args.job).await?, &args).await,
        ShareVerb::Extend(args) => extend(&Desk::open(around, &args.job).await?, &args).await,
        ShareVerb::Rotate(args) => rotate(&Desk::open(around, &args.job).await?, &args).await,
        ShareVerb::Revoke(args) => revoke(&Desk::open(around, &args.job).await?, &args).await,
    }
}

/// A job with what its shares are made from.
struct Desk {
    output: Output,
    job: String,
    has_alias: bool,
    settings: crate::engine::Settings,
    store: Store,
    records: Arc<RecordStore>,
}

impl Desk {
    async fn open(around: Surroundings, args: &JobArgs) -> Result<Self, Failure> {
        let job = load(&args.file, &args.set)?;
        let store = open_store(&job)?;
        let records = around.settings.open_records().await?;
        let (output, settings) = (around.output, around.settings);
        Ok(Desk { output, has_alias: job.alias, job: job.name, settings, store, records })
    }

    /// What is shared: the container, or the folder.
    fn place(&self) -> String {
        match self.store.shares().map(|shares| shares.container().to_owned()) {
            Ok(container) => container,
            Err(_) => self.store.shown().to_owned(),
        }
    }

    fn served(&self) -> Result<Served, Error> {
        Served::open(&self.settings, &self.store, &self.records)
    }

    /// The link of this name, if haul keeps a record of it.
    async fn link(&self, id: &str) -> Result<Option<Link>, Error> {
        links_of(&self.store, &self.records).get(id).await
    }

    /// The outcome, unless a signal comes first.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let cancel = CancellationToken::new();
        let done = until_signalled(self.output, &cancel, async {
            tokio::select! {
                done = work => Some(done),
                () = cancel.cancelled() => None,
            }
        });
        done.await?.ok_or_else(interrupted)?.map_err(failure)
    }
}

/// What the job or the environment is wrong in is one kind of ending, what the account does another one.
fn failure(error: Error) -> Failure {
    let is_usage = matches!(
        &error,
        Error::Store(store::Error::Share(
            ShareError::NotAzure { .. }
                | ShareError::NoKey { .. }
                | ShareError::NoSigner { .. }
                | ShareError::NoFile { .. }
                | ShareError::Place { .. }
                | ShareError::Unknown { .. }
                | ShareError::NotOurs { .. }
        ))
    );
    let failure = Failure::from(error);
    if is_usage { Failure { exit: Exit::Usage, ..failure } } else { failure }
}

/// Who will keep a new share.
fn kind_of(desk: &Desk, address: Option<&Url>) -> Result<ShareKind, Failure> {
    let store = &desk.store;
    Ok(match () {
        () if address.is_some() || store.is_local() => ShareKind::Link(LinkKind::Served),
        () if store.has_shares() => ShareKind::Policy,
        () if store.has_presigned() => ShareKind::Link(LinkKind::Presigned),
        () => {
            store.delegation().map_err(|error| failure(error.into()))?;
            ShareKind::Link(LinkKind::Delegated)
        }
    })
}

async fn create(desk: &Desk, args: &ShareCreateArgs) -> Result<Exit, Failure> {
    let kind = kind_of(desk, args.address.as_ref())?;
    let most = match kind {
        ShareKind::Policy | ShareKind::Link(LinkKind::Served) => SHARE_DAYS_MAX,
        ShareKind::Link(LinkKind::Delegated) => DELEGATED_DAYS_MAX,
        ShareKind::Link(LinkKind::Presigned) => PRESIGNED_DAYS_MAX,
    };
    let days = args.days_up_to(most).map_err(|why| Failure::usage(why).hint(made::longer(kind)))?;
    let is_azure = matches!(kind, ShareKind::Policy | ShareKind::Link(LinkKind::Delegated));
    if !is_azure && (args.list || args.folder) {
        let what = if args.list { "`--list`" } else { "`--folder`" };
        return Err(Failure::usage(format!("{what} is for Azure Blob"))
            .hint("such a share opens the tables of the job and nothing else, and lists no names"));
    }
    let wanted = Wanted { days, lists: args.list, is_folder_only: args.folder };
    let made = desk.unless_stopped(make(desk, kind, wanted, args.address.as_ref())).await?;
    made.tell(desk.output, &desk.job, &made::HEAD_MADE);
    Ok(Exit::Done)
}

/// Makes a share of this kind.
async fn make(desk: &Desk, kind: ShareKind, wanted: Wanted, address: Option<&Url>) -> Result<Made, Error> {
    let (store, records) = (&desk.store, &desk.records);
    let (share, opens) = match kind {
        ShareKind::Policy => {
            let shares = store.shares()?;
            let (policy, sas) = shares.create(wanted).await?;
            let link = shares.link(&sas);
            (Shared::of_policy(policy), Opens::Container { container: shares.container().to_owned(), link })
        }
        ShareKind::Link(LinkKind::Served) => {
            let (link, signed) = desk.served()?.create(wanted, address.map_or(ADDRESS, Url::as_str)).await?;
            (Shared::of_link(&link), Opens::Job(signed))
        }
        ShareKind::Link(LinkKind::Delegated) => {
            let container = store.delegation()?.container().to_owned();
            let (share, link) = delegate(store, records, wanted).await?;
            (share, Opens::Container { container, link })
        }
        ShareKind::Link(LinkKind::Presigned) => {
            let (share, addresses) = presign(store, records, desk.has_alias, wanted).await?;
            (share, Opens::Files(addresses))
        }
    };
    Ok(Made { share, opens })
}

async fn list(desk: &Desk) -> Result<Exit, Failure> {
    let output = desk.output;
    let all = desk.unless_stopped(async {
        let mut all = match desk.store.has_shares() {
            true => desk.store.shares()?.list().await?.into_iter().map(Shared::of_policy).collect(),
            false => Vec::new(),
        };
        let links = links_of(&desk.store, &desk.records).list().await?;
        all.extend(links.iter().map(Shared::of_link));
        Ok(all)
    });
    let all: Vec<Shared> = all.await?;
    told_all(desk, &all);
    if all.is_empty() && !output.is_json {
        output.line(format!("`{}` is not shared; `haul share create JOBFILE` does that", desk.place()));
    }
    if all.iter().any(|share| !share.terms.is_ours()) {
        output.note("haul extends and revokes only what begins with `haul-`");
    }
    Ok(Exit::Done)
}

/// Shares as a document or a table, with what is odd about them.
fn told_all(desk: &Desk, all: &[Shared]) {
    let output = desk.output;
    if output.is_json {
        let shares: Vec<Value> = all.iter().map(shown).collect();
        output.json(&json!({ "job": desk.job, "container": desk.place(), "shares": shares }));
    } else if !all.is_empty() {
        table(output, all);
    }
    for why in all.iter().filter_map(|share| widened(&share.terms)) {
        output.note(format!("{why}: `haul share rotate JOBFILE POLICY --revoke` ends that"));
    }
}

async fn show(desk: &Desk, args: &ShareShowArgs) -> Result<Exit, Failure> {
    let address = args.address.as_ref().map_or(ADDRESS, Url::as_str);
    let id = match &args.policy {
        Some(id) => id.clone(),
        None => chosen(desk, None).await?.terms.id,
    };
    let again = async {
        if let Some(link) = desk.link(&id).await? {
            let signed = match link.kind {
                LinkKind::Served => Some(desk.served()?.sign_again(&link, address)?),
                LinkKind::Delegated | LinkKind::Presigned => None,
            };
            return Ok((Shared::of_link(&link), signed.map(Opens::Job)));
        }
        // That it is unknown is said by the store that would know it.
        if !desk.store.has_shares() {
            return Err(store::Error::from(ShareError::Unknown { id: id.clone() }).into());
        }
        let shares = desk.store.shares()?;
        let policy = shares.find(&id).await?;
        let sas = shares.sign_again(&policy)?;
        let link = shares.link(&sas);
        let container = shares.container().to_owned();
        Ok((Shared::of_policy(policy), Some(Opens::Container { container, link })))
    };
    let (share, opens) = desk.unless_stopped(again).await?;
    let Some(opens) = opens else {
        let end = made::time(share.terms.expires_at());
        return Err(Failure::usage(format!("the signature of `{id}` cannot be made once more; it ends at {end}"))
            .hint("`haul share create JOBFILE` makes another one"));
    };
    Made { share, opens }.tell(desk.output, &desk.job, &made::HEAD_SHOWN);
    Ok(Exit::Done)
}

async fn extend(desk: &Desk, args: &ShareExtendArgs) -> Result<Exit, Failure> {
    let output = desk.output;
    let extended = desk.unless_stopped(async {
        let mut all: Vec<Shared> = match desk.store.has_shares() {
            true => desk.store.shares()?.extend(args.days).await?.into_iter().map(Shared::of_policy).collect(),
            false => Vec::new(),
        };
        all.extend(links_of(&desk.store, &desk.records).extend(args.days).await?.iter().map(Shared::of_link));
        Ok(all)
    });
    let extended = extended.await?;
    told_all(desk, &extended);
    match extended.is_empty() {
        true if output.is_json => {}
        true => output.line(format!("`{}` has no share of haul's that can be extended", desk.place())),
        false => output.note(format!("the signatures stay the same; {LATE} the new ends")),
    }
    Ok(Exit::Done)
}

/// The share of this name, or the only one of the job that goes on.
async fn chosen(desk: &Desk, id: Option<&str>) -> Result<Shared, Failure> {
    let now = Clock.now();
    let all = desk.unless_stopped(all_shares_of(&desk.store, &desk.records)).await?;
    if let Some(id) = id {
        return all.into_iter().find(|share| share.terms.id == id).ok_or_else(|| unknown(id));
    }
    let goes_on = |share: &Shared| {
        let is_over = share.terms.expires_at().is_some_and(|end| end <= now);
        share.terms.is_of(&desk.job) && !share.terms.is_ending() && !is_over
    };
    let mut live: Vec<Shared> = all.into_iter().filter(goes_on).collect();
    match (live.pop(), live.len()) {
        (Some(share), 0) => Ok(share),
        (None, _) => Err(Failure::usage(format!("the job `{}` has no share that goes on", desk.job))
            .hint("`haul share create JOBFILE` makes one")),
        (Some(last), _) => {
            let names: Vec<&str> = live.iter().chain([&last]).map(|share| share.terms.id.as_str()).collect();
            Err(Failure::usage(format!("the job has {} shares: {}", names.len(), names.join(", ")))
                .hint("name the one that is meant behind the job file"))
        }
    }
}

async fn rotate(desk: &Desk, args: &ShareRotateArgs) -> Result<Exit, Failure> {
    let now = Clock.now();
    let former = match (args.revoke, args.revoke_after) {
        (true, _) => Former::Goes,
        (false, Some(days)) => Former::EndsAt(now + TimeDelta::days(days.into())),
        (false, None) => Former::Stays,
    };
    let share = chosen(desk, args.policy.as_deref()).await?;
    if !share.kind.is_extended() && former != Former::Stays {
        return Err(Failure::usage(format!("nobody can take back the signature of `{}`", share.terms.id)).hint(
            format!("it ends at {}; without the choice a new one is made", made::time(share.terms.expires_at())),
        ));
    }
    let made = desk.unless_stopped(replaced(desk, &share, former, args.address.as_ref())).await?;
    made.tell(desk.output, &desk.job, &made::HEAD_MADE);
    desk.output.note(match former {
        Former::Stays => format!(
            "the former one goes on: `haul share revoke JOBFILE {}` ends it when its readers have the new one",
            share.terms.id
        ),
        Former::EndsAt(end) => format!("the former one, `{}`, ends at {}", share.terms.id, made::time(Some(end))),
        Former::Goes => format!("the former one, `{}`, opens nothing any more", share.terms.id),
    });
    Ok(Exit::Done)
}

/// Makes another share in the place of one.
async fn replaced(desk: &Desk, share: &Shared, former: Former, address: Option<&Url>) -> Result<Made, Error> {
    if share.kind == ShareKind::Policy {
        let shares = desk.store.shares()?;
        let (policy, sas) = shares.rotate(&share.terms, former).await?;
        let link = shares.link(&sas);
        let container = shares.container().to_owned();
        return Ok(Made { share: Shared::of_policy(policy), opens: Opens::Container { container, link } });
    }
    let made = make(desk, share.kind, share.terms.wanted(), address).await?;
    links_of(&desk.store, &desk.records).replace(&share.terms.id, former).await?;
    Ok(made)
}

fn unknown(id: &str) -> Failure {
    failure(store::Error::from(ShareError::Unknown { id: id.to_owned() }).into())
}

async fn revoke(desk: &Desk, args: &ShareRevokeArgs) -> Result<Exit, Failure> {
    let id = &args.policy;
    let revoked = desk.unless_stopped(async {
        if let Some(link) = desk.link(id).await? {
            links_of(&desk.store, &desk.records).revoke(id).await?;
            return Ok(Shared::of_link(&link));
        }
        if !desk.store.has_shares() {
            return Err(store::Error::from(ShareError::Unknown { id: id.clone() }).into());
        }
        let shares = desk.store.shares()?;
        let policy = shares.find(id).await?;
        shares.revoke(id).await?;
        Ok(Shared::of_policy(policy))
    });
    let share = revoked.await?;
    let output = desk.output;
    if output.is_json {
        let is_good = !share.kind.is_extended();
        output.json(&json!({ "job": desk.job, "container": desk.place(), "revoked": id, "still_opens": is_good }));
    } else {
        output.line(match share.kind {
            ShareKind::Policy => format!("revoked `{id}`: its signature opens nothing any more; {LATE}"),
            ShareKind::Link(LinkKind::Served) => format!("revoked `{id}`: its link opens nothing any more"),
            ShareKind::Link(LinkKind::Delegated | LinkKind::Presigned) => format!(
                "forgot `{id}`: nobody can take back its signature alone, which is good until {}",
                made::time(share.terms.expires_at())
            ),
        });
    }
    if !share.kind.is_extended() {
        output.note(made::way_to_revoke(share.kind));
    }
    Ok(Exit::Done)
}
