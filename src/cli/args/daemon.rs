//! The arguments of the verbs about schedules: the daemon, the history, when a job runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use url::Url;

use super::{JobArgs, count, setting};

#[derive(Debug, Args)]
#[command(after_help = "\
Every `.yaml` file of the folder is a job; one with a `schedule` runs when it
says so, any other when somebody says so. SIGHUP reads the folder anew; a file
that is broken then goes on as it was. SIGTERM and Ctrl-C stop runs in order:
the next start goes on behind their pages. Several daemons,
crontabs with `haul run --due` and containers may share one state: each slot is
served once.

The page, /healthz, /readyz and /metrics are on http://127.0.0.1:8733. Anything
but loopback needs a token or an OpenID provider: whoever enters may run, pause
and approve. TLS is the work of a proxy before it. /data/JOB/ lets whoever has
a link of `haul share create` read the job's tables, without a login.

Examples:
  haul serve jobs
  haul serve /etc/haul --json >> /var/log/haul.jsonl
  haul serve jobs --listen 0.0.0.0:8733 --token-file /run/secrets/haul-token
  haul serve jobs --listen 0.0.0.0:8733 --public-url https://haul.example.com \\
    --oidc-issuer https://login.example.com --oidc-client-id haul \\
    --oidc-allow finance@example.com")]
pub(in crate::cli) struct ServeArgs {
    /// Folder of job files
    pub folder: PathBuf,
    /// Address and port of the web page
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8733")]
    pub listen: SocketAddr,
    /// No web page, no health checks, no metrics
    #[arg(long, conflicts_with_all = ["listen", "token_file", "public_url", "oidc_issuer"])]
    pub no_web: bool,
    /// File with the token that opens the page, of at least 16 characters; as a header `Authorization: Bearer TOKEN` it opens
    /// /metrics, too [env: HAUL_WEB_TOKEN holds the token itself]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Answer /metrics without a login: names of jobs and counts are then shown to whoever reaches the port
    #[arg(long)]
    pub open_metrics: bool,
    /// Address by which people reach the page, where a proxy stands before it
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,
    /// OpenID provider where people log in to the page; its client has the redirect PUBLIC-URL/login/callback, and its secret
    /// is in HAUL_OIDC_CLIENT_SECRET or the file that HAUL_OIDC_CLIENT_SECRET_FILE names
    #[arg(long, value_name = "URL", requires_all = ["oidc_client_id", "oidc_allow", "public_url"])]
    pub oidc_issuer: Option<String>,
    /// Client at that provider
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// Who may enter: a verified e-mail address, a subject or a group; `*` = everybody whom the provider lets in (may be repeated)
    #[arg(long, value_name = "WHO", requires = "oidc_issuer")]
    pub oidc_allow: Vec<String>,
    /// Runs at once; others wait for their turn
    #[arg(long, value_name = "RUNS", default_value_t = 16, value_parser = count)]
    pub at_once: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul runs jobs/sales.yaml
  haul runs jobs/sales.yaml --last 100 --json
  haul runs show jobs/sales.yaml                               the last run, with its log
  haul runs show jobs/sales.yaml 01JD3K9V6Q8Z0X4T2M7B5N1C0R")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct RunsArgs {
    #[command(subcommand)]
    pub verb: Option<RunsVerb>,
    #[command(flatten)]
    pub job: Option<JobArgs>,
    /// So many of the newest slots and runs
    #[arg(long, default_value_t = 10, value_parser = count)]
    pub last: usize,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RunsVerb {
    /// Show a run with its tables and its log; of the newest runs of a job this is kept
    Show(RunsShowArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsShowArgs {
    /// Job file
    pub file: PathBuf,
    /// Run, as `haul runs` names it [default: the last one]
    pub run: Option<String>,
    /// Change a setting of the job for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NotifyArgs {
    #[command(subcommand)]
    pub verb: NotifyVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NotifyVerb {
    /// Send a test to every receiver of a job, and say who did not take it
    Test(NotifyTestArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Receivers stand under `notify` in the job file. A dead-man check takes its test for a run.

Examples:
  haul notify test jobs/sales.yaml
  haul notify test jobs/sales.yaml --json")]
pub(in crate::cli) struct NotifyTestArgs {
    #[command(flatten)]
    pub job: JobArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ScheduleArgs {
    #[command(subcommand)]
    pub verb: ScheduleVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ScheduleVerb {
    /// Show the next slots of a job, by the zone's clock and in UTC
    Next(ScheduleNextArgs),
    /// Show what changes of the zone's clock do to the slots of jobs
    Check(ScheduleCheckArgs),
    /// Let no run of a job begin by itself until `resume`; every slot that passes is written down
    Pause(JobArgs),
    /// Let runs of a job begin by themselves again
    Resume(JobArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul schedule next jobs/sales.yaml
  haul schedule next jobs/sales.yaml 30 --after 2026-03-28T00:00:00Z")]
pub(in crate::cli) struct ScheduleNextArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Slots to show
    #[arg(default_value_t = 10, value_parser = count)]
    pub count: usize,
    /// Instant to begin after [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub after: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul schedule check jobs/*.yaml")]
pub(in crate::cli) struct ScheduleCheckArgs {
    /// Job files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}
