//! The arguments of `haul share`, with their help.

use clap::{Args, Subcommand};

use super::JobArgs;
use crate::store::{SHARE_DAYS_DEFAULT, SHARE_DAYS_MAX};

#[derive(Debug, Args)]
#[command(after_help = "\
A share is a signature bound to a stored access policy of the container: it stays the same while
its end is moved, and opens nothing any more when it is revoked. Runs extend those of which less
than half of their time is left. It needs Azure Blob and the key of the account.

Examples:
  haul share create jobs/sales.yaml
  haul share create jobs/sales.yaml --days 30 --list --json
  haul share list jobs/sales.yaml
  haul share extend jobs/sales.yaml --days 365
  haul share revoke jobs/sales.yaml haul-sales-90d-m3v8q1x0zk")]
pub(in crate::cli) struct ShareArgs {
    #[command(subcommand)]
    pub verb: ShareVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ShareVerb {
    /// Make a share and print its signature, this once
    Create(ShareCreateArgs),
    /// List the stored access policies of the container; never shows a signature
    List(JobArgs),
    /// Let the container's shares end later; their signatures stay the same
    Extend(ShareExtendArgs),
    /// End a share: its signature opens nothing any more
    Revoke(ShareRevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Whoever has the signature reads all that is in the container, other jobs' tables too. Give a job a
container of its own if that is too much, or use `--folder` where the account has a hierarchical
namespace.

Examples:
  haul share create jobs/sales.yaml
  haul share create jobs/sales.yaml --days 30 --list --json")]
pub(in crate::cli) struct ShareCreateArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Days until it ends, unless runs or `extend` move that
    #[arg(long, default_value_t = SHARE_DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARE_DAYS_MAX)))]
    pub days: u32,
    /// Let readers list names, too
    #[arg(long)]
    pub list: bool,
    /// Only what is in the job's folder; the account needs a hierarchical namespace
    #[arg(long)]
    pub folder: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
All shares of the container are extended; policies that haul did not make are left alone, and no
end is brought forward.

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
Examples:
  haul share revoke jobs/sales.yaml haul-sales-90d-m3v8q1x0zk")]
pub(in crate::cli) struct ShareRevokeArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Name of its policy, as `haul share list` shows it
    pub policy: String,
}
