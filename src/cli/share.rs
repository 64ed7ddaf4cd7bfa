//! `haul share`: signatures with which others read the job's container. Only `create` prints one, once.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::JobArgs;
use super::args::{ShareArgs, ShareCreateArgs, ShareExtendArgs, ShareRevokeArgs, ShareVerb};
use super::failure::{Exit, Failure};
use super::output::{Output, columns};
use super::signals::{interrupted, until_signalled};
use crate::clock::Clock;
use crate::engine::open_store;
use crate::job::load;
use crate::store::{self, Policy, Sas, Shares, Wanted};

/// So long a new or changed policy may take at the service.
const LATE: &str = "it may take 30 s until the service knows";

pub(super) async fn run(output: Output, args: ShareArgs) -> Result<Exit, Failure> {
    match args.verb {
        ShareVerb::Create(args) => create(output, args).await,
        ShareVerb::List(args) => list(output, &args).await,
        ShareVerb::Extend(args) => extend(output, args).await,
        ShareVerb::Revoke(args) => revoke(output, args).await,
    }
}

fn open(args: &JobArgs) -> Result<(String, Shares), Failure> {
    let job = load(&args.file, &args.set)?;
    let shares = open_store(&job)?.shares().map_err(failure)?;
    Ok((job.name, shares))
}

/// What the job or the environment is wrong in is one kind of ending, what the account does another one.
fn failure(error: store::Error) -> Failure {
    let is_usage = matches!(
        error,
        store::Error::Share(
            store::ShareError::NotAzure { .. }
                | store::ShareError::NoKey { .. }
                | store::ShareError::Place { .. }
                | store::ShareError::Unknown { .. }
                | store::ShareError::NotOurs { .. }
        )
    );
    let failure = Failure::from(error);
    if is_usage { Failure { exit: Exit::Usage, ..failure } } else { failure }
}

/// The outcome, unless a signal comes first.
async fn unless_stopped<T>(output: Output, work: impl Future<Output = Result<T, store::Error>>) -> Result<T, Failure> {
    let cancel = CancellationToken::new();
    let done = until_signalled(output, &cancel, async {
        tokio::select! {
            done = work => Some(done),
            () = cancel.cancelled() => None,
        }
    });
    done.await?.ok_or_else(interrupted)?.map_err(failure)
}

async fn create(output: Output, args: ShareCreateArgs) -> Result<Exit, Failure> {
    let (job, shares) = open(&args.job)?;
    let wanted = Wanted { days: args.days, lists: args.list, is_folder_only: args.folder };
    let (policy, sas) = unless_stopped(output, shares.create(wanted)).await?;
    if output.is_json {
        output.json(&json!({
            "job": job,
            "container": shares.container(),
            "share": shown(&policy),
            "parameters": {
                "SasVersion": sas.version(),
                "SasPolicy": sas.policy,
                "SasSignature": sas.expose(),
            },
            "resource": sas.resource,
            "depth": sas.depth,
            "protocol": sas.protocol,
            "base_url": shares.folder_address(),
            "query": sas.expose_query(),
        }));
        return Ok(Exit::Done);
    }
    told(output, &shares, &policy, &sas);
    Ok(Exit::Done)
}

fn told(output: Output, shares: &Shares, policy: &Policy, sas: &Sas) {
    let what = if sas.depth.is_some() { "the job's folder in" } else { "all of" };
    let may = if permissions(policy).contains('l') { "read and list" } else { "read" };
    output.line(format!(
        "made `{}`: whoever has its signature may {may} {what} the container `{}`",
        policy.id,
        shares.container()
    ));
    output.line(format!("until {}; runs extend it", time(policy.expires_at())));
    output.line("\nParameters of Power BI, each a text:");
    let parameter = |name: &str, value: &str| vec![format!("  {name}"), value.to_owned()];
    let parameters = [
        parameter("SasVersion", sas.version()),
        parameter("SasPolicy", &sas.policy),
        parameter("SasSignature", sas.expose()),
    ];
    for line in columns(&parameters, &[false, false]) {
        output.line(line);
    }
    if let Some(depth) = sas.depth {
        output.line(format!("In the queries `sr = \"d\", sdd = \"{depth}\"` instead of `sr = \"c\"`."));
    }
    output.line("\nAddress for other readers, with the path of a file for FILE:");
    output.line(format!("  {}/FILE?{}", shares.folder_address(), sas.expose_query()));
    output.note(format!("\nthe signature is a password: haul shows it this once and keeps it nowhere; {LATE} it"));
}

async fn list(output: Output, args: &JobArgs) -> Result<Exit, Failure> {
    let (job, shares) = open(args)?;
    let policies = unless_stopped(output, shares.list()).await?;
    if output.is_json {
        let policies: Vec<Value> = policies.iter().map(shown).collect();
        output.json(&json!({ "job": job, "container": shares.container(), "shares": policies }));
        return Ok(Exit::Done);
    }
    if policies.is_empty() {
        output.line(format!(
            "the container `{}` is not shared; `haul share create JOBFILE` does that",
            shares.container()
        ));
        return Ok(Exit::Done);
    }
    table(output, &policies);
    if policies.iter().any(|policy| !policy.is_ours()) {
        output.note("haul extends and revokes only what begins with `haul-`");
    }
    Ok(Exit::Done)
}

async fn extend(output: Output, args: ShareExtendArgs) -> Result<Exit, Failure> {
    let (job, shares) = open(&args.job)?;
    let policies = unless_stopped(output, shares.extend(args.days)).await?;
    if output.is_json {
        let policies: Vec<Value> = policies.iter().map(shown).collect();
        output.json(&json!({ "job": job, "container": shares.container(), "shares": policies }));
        return Ok(Exit::Done);
    }
    if policies.is_empty() {
        output.line(format!("the container `{}` has no share of haul's", shares.container()));
        return Ok(Exit::Done);
    }
    table(output, &policies);
    output.note(format!("the signatures stay the same; {LATE} the new ends"));
    Ok(Exit::Done)
}

async fn revoke(output: Output, args: ShareRevokeArgs) -> Result<Exit, Failure> {
    let (job, shares) = open(&args.job)?;
    unless_stopped(output, shares.revoke(&args.policy)).await?;
    if output.is_json {
        output.json(&json!({ "job": job, "container": shares.container(), "revoked": args.policy }));
        return Ok(Exit::Done);
    }
    output.line(format!("revoked `{}`: its signature opens nothing any more; {LATE}", args.policy));
    Ok(Exit::Done)
}

fn table(output: Output, policies: &[Policy]) {
    let now = Clock.now();
    let mut rows = vec![["POLICY", "MAY", "UNTIL", ""].map(str::to_owned).to_vec()];
    rows.extend(policies.iter().map(|policy| {
        let state = match policy.expires_at() {
            Some(end) if end <= now => "ended",
            _ if !policy.is_ours() => "not haul's",
            _ => "",
        };
        vec![policy.id.clone(), permissions(policy).to_owned(), time(policy.expires_at()), state.to_owned()]
    }));
    for line in columns(&rows, &[false; 4]) {
        output.line(line);
    }
}

fn shown(policy: &Policy) -> Value {
    json!({
        "policy": policy.id,
        "permissions": policy.permissions,
        "starts_at": policy.start,
        "expires_at": policy.expires_at(),
        "is_ours": policy.is_ours(),
        "days": policy.is_ours().then(|| policy.days()),
    })
}

fn permissions(policy: &Policy) -> &str {
    policy.permissions.as_deref().unwrap_or("-")
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}
