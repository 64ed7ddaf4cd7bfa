//! The arguments of `haul powerbi refresh`, with their help.

use clap::Args;

use crate::cli::args::JobArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Runs do this by themselves behind a new snapshot. By hand all of `powerbi.refresh` is refreshed,
whether it was already or not, for what is published; the API is asked nothing.

Exit codes: 0 all are refreshed, or asked for with `--no-wait`; 1 one failed or was refused;
75 one could not be asked for, or its end was not seen.

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
