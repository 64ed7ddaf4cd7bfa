//! The arguments of `haul share`, with their help.

use clap::{Args, Subcommand};
use url::Url;

use super::JobArgs;
use crate::store::{SHARE_DAYS_DEFAULT, SHARE_DAYS_MAX};

#[derive(Debug, Args)]
#[command(after_help = "\
What a share is depends on where the tables are:
  Azure Blob, with the key         a signature bound to a stored access
                                   policy: it stays the same while its
                                   end moves; runs extend it
  Azure Blob, by a login of Entra  a user-delegation signature; 7 days
  Amazon S3, Google Cloud Storage  presigned addresses, one a file; 7 days
  a folder, or with `--address`    a link that `haul serve` answers; runs
                                   extend it

Examples:
  haul share create jobs/sales.yaml
  haul share create jobs/sales.yaml --days 30 --list --json
  haul share create jobs/sales.yaml --address https://haul.example.com
  haul share list jobs/sales.yaml
  haul share show jobs/sales.yaml haul-sales-90d-m3v8q1x0zk
  haul share extend jobs/sales.yaml --days 365
  haul share rotate jobs/sales.yaml --revoke-after 14
  haul share revoke jobs/sales.yaml haul-sales-90d-m3v8q1x0zk")]
pub(in crate::cli) struct ShareArgs {
    #[command(subcommand)]
    pub verb: ShareVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ShareVerb {
    /// Make a share and print its signature
    Create(ShareCreateArgs),
    /// List the shares of the job, with all stored access policies of the container; never shows a signature
    List(JobArgs),
    /// Print the signature of a share once more; nothing is made anew
    Show(ShareShowArgs),
    /// Let the job's shares end later; their signatures stay the same
    Extend(ShareExtendArgs),
    /// Make another share for the same, and say what becomes of the former one
    Rotate(ShareRotateArgs),
    /// End a share: its signature opens nothing any more
    Revoke(ShareRevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
On Azure Blob whoever has the signature reads all that is in the container,
other jobs' tables too. Give a job a container of its own if that is too
much, or use `--folder` where the account has a hierarchical namespace. A
link of `haul serve` opens the tables of the job and nothing else.

Examples:
  haul share create jobs/sales.yaml
  haul share create jobs/sales.yaml --days 30 --list --json
  haul share create jobs/sales.yaml --address http://127.0.0.1:8733")]
pub(in crate::cli) struct ShareCreateArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Days until it ends, unless runs or `extend` move that [default: 90, or 7 where that is the most]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARE_DAYS_MAX)))]
    pub days: Option<u32>,
    /// Let readers list names, too; on Azure Blob only
    #[arg(long)]
    pub list: bool,
    /// Only what is in the job's folder; the account needs a hierarchical namespace
    #[arg(long)]
    pub folder: bool,
    /// Make a link that a running `haul serve` answers at this address, wherever the tables are [default for a folder:
    /// http://127.0.0.1:8733]
    #[arg(long, value_name = "URL", value_parser = address, conflicts_with_all = ["list", "folder"])]
    pub address: Option<Url>,
}

impl ShareCreateArgs {
    /// For so many days, at most.
    pub(in crate::cli) fn days_up_to(&self, most: u32) -> Result<u32, String> {
        match self.days {
            None => Ok(SHARE_DAYS_DEFAULT.min(most)),
            Some(days) if days <= most => Ok(days),
            Some(days) => Err(format!("`--days {days}`: such a signature is good for {most} days at most")),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
It is the same signature that `create` printed: whoever lost the link needs
no new one. The signatures of Entra, of Amazon and of Google cannot be made
once more.

Examples:
  haul share show jobs/sales.yaml               where there is one share
  haul share show jobs/sales.yaml haul-sales-90d-m3v8q1x0zk
  haul share show jobs/sales.yaml haul-sales-90d-m3v8q1x0zk --json")]
pub(in crate::cli) struct ShareShowArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Name of its policy, as `haul share list` shows it [default: the only one of this job that goes on]
    pub policy: Option<String>,
    /// Address of the `haul serve` that answers the link [default: http://127.0.0.1:8733]
    #[arg(long, value_name = "URL", value_parser = address)]
    pub address: Option<Url>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
All shares of the job's container are extended, but those that a new one
replaced; policies that haul did not make are left alone, and no end is
brought forward.

Examples:
  haul share extend jobs/sales.yaml
  haul share extend jobs/sales.yaml --days 365")]
pub(in crate::cli) struct ShareExtendArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Days from now [default: those for which each share was made]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARE_DAYS_MAX)))]
    pub days: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The new share allows the same, for as many days. Without a choice the former
one goes on: revoke it when all readers have the new signature. A container
has five stored access policies at most: where five are there, `--revoke`
puts the new one in the former's place.

Examples:
  haul share rotate jobs/sales.yaml             where there is one share
  haul share rotate jobs/sales.yaml haul-sales-90d-m3v8q1x0zk --revoke-after 14
  haul share rotate jobs/sales.yaml haul-sales-90d-m3v8q1x0zk --revoke")]
pub(in crate::cli) struct ShareRotateArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Name of the policy to replace [default: the only one of this job that goes on]
    pub policy: Option<String>,
    /// End the former share at once
    #[arg(long, conflicts_with = "revoke_after")]
    pub revoke: bool,
    /// Let the former share end after so many days, and be extended no more
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARE_DAYS_MAX)))]
    pub revoke_after: Option<u32>,
    /// Address of the `haul serve` that answers the link [default: http://127.0.0.1:8733]
    #[arg(long, value_name = "URL", value_parser = address)]
    pub address: Option<Url>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul share revoke jobs/sales.yaml haul-sales-90d-m3v8q1x0zk")]
pub(in crate::cli) struct ShareRevokeArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Name of its policy, as `haul share list` shows it
    pub policy: String,
}

/// An address of http without anything that a link would add to.
fn address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}, as in https://haul.example.com"))?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain {
        true => Ok(url),
        false => {
            Err("http or https, a host, and no login, query or fragment, as in https://haul.example.com".to_owned())
        }
    }
}
