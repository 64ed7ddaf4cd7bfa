//! The arguments of `haul powerbi`.

use clap::{Args, Subcommand};

use super::powerbi_refresh::PowerBiRefreshArgs;

#[derive(Debug, Args)]
pub(in crate::cli) struct PowerBiArgs {
    #[command(subcommand)]
    pub verb: PowerBiVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PowerBiVerb {
    /// Refresh the semantic models and dataflows of the job, and show what came of it
    Refresh(PowerBiRefreshArgs),
}
