//! The arguments of `haul powerbi check`, with their help.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::JobArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Every listed part is read whole, over plain HTTP with the share's signature and nothing else; in a
local folder from the disk. On Azure Blob the share of haul's that ends last is taken, and signed
once more with the account's key. Nothing is written anywhere.

Exit codes: 0 nothing is wrong, 7 something was found, others as for every verb.

Examples:
  haul powerbi check jobs/sales.yaml
  haul powerbi check jobs/sales.yaml --share haul-sales-90d-m3v8q1x0zk --json
  haul powerbi check jobs/sales.yaml --sas-file report-sas.txt
  printf %s \"$SAS\" | haul powerbi check jobs/sales.yaml --sas-file - --deep")]
pub(in crate::cli) struct PowerbiCheckArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Read with this share, as `haul share list` names it; needs the account's key
    #[arg(long, value_name = "POLICY", conflicts_with = "sas_file")]
    pub share: Option<String>,
    /// Read with the SAS in this file (its query, or an address with it); `-` reads standard input
    // Never the SAS itself: arguments can be seen by every user of the machine.
    #[arg(long, value_name = "FILE")]
    pub sas_file: Option<PathBuf>,
    /// Look at every text, too: those longer than a model keeps are counted
    #[arg(long)]
    pub deep: bool,
}
