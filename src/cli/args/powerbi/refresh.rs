//! The arguments of `haul powerbi refresh`, with their help.

use clap::Args;

use crate::cli::args::JobArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Runs do this by themselves behind a new snapshot. By hand everything under
`powerbi.refresh` is refreshed for what is published, whether it was already
or not; the source is asked nothing.

Exit codes:
  0   all is refreshed, or with `--no-wait` asked for
  1   one failed or was refused
  75  one could not be asked for, or its end was not seen

Examples:
  haul powerbi refresh jobs/sales.yaml
  haul powerbi refresh jobs/sales.yaml --no-wait --json")]
pub(in crate::cli) struct PowerbiRefreshArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Only ask for the refreshes; what comes of them is not known then
    #[arg(long)]
    pub no_wait: bool,
}
