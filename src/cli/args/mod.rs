//! The arguments of every verb, with their help.

mod daemon;
mod powerbi;
mod share;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(super) use self::daemon::{
    NotifyArgs, NotifyTestArgs, NotifyVerb, RunsArgs, RunsShowArgs, RunsVerb, ScheduleArgs, ScheduleCheckArgs,
    ScheduleNextArgs, ScheduleVerb, ServeArgs,
};
pub(super) use self::powerbi::{
    IncrementalArgs, KitArgs, PowerbiArgs, PowerbiDataflowArgs, PowerbiMArgs, PowerbiPbidsArgs, PowerbiPbipArgs,
    PowerbiVerb, WayArgs,
};
pub(super) use self::share::{ShareArgs, ShareCreateArgs, ShareExtendArgs, ShareRevokeArgs, ShareVerb};

use crate::limits::GRACE_DEFAULT;
use crate::model::log::Level;

use super::init::InitArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0    published, or done
  1    failed
  2    usage or configuration
  4    held: a person must decide
  5    a login is needed: `haul login`
  6    skipped: another run of the job is going on
  75   temporary failure: trying again is useful
  130  stopped by Ctrl-C
  143  stopped by SIGTERM";

/// Scheduled extractor: reads every page of REST and OData APIs behind OAuth2 into typed Parquet or CSV files.
#[derive(Debug, Parser)]
#[command(name = "haul", version, about, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Print one JSON document on standard output, errors included
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Write events as JSON lines with job, run and stream on standard error, instead of progress; `haul serve --json` puts
    /// them among its notes, from this level on
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log: Option<LogLevel>,
    /// Where tokens and leases are: a folder, postgres://user@host/database, az://container/prefix, s3://bucket/prefix
    /// or gs://bucket/prefix [env: HAUL_STATE] [default: $XDG_STATE_HOME/haul or ~/.local/state/haul]
    // Not by clap's `env`: what may stand in the environment and what in an argument is not the same.
    #[arg(long, value_name = "PLACE", global = true)]
    pub state: Option<OsString>,
    /// Folder of this machine for the vault's key when the state is not a folder [env: HAUL_LOCAL] [default: that of
    /// `--state`]
    #[arg(long, value_name = "DIR", global = true)]
    pub local: Option<PathBuf>,
    /// Seconds from SIGTERM or Ctrl-C to the end; less than what the scheduler grants before it kills
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = GRACE_DEFAULT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub grace: u64,
}

/// From which level on events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogLevel {
    /// Every page and file
    Debug,
    /// Every stream and slice
    Info,
    /// What is odd, but lost nothing
    Warn,
    /// What somebody must look at
    Error,
}

impl LogLevel {
    pub(super) fn level(self) -> Level {
        match self {
            LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warn => Level::Warn,
            LogLevel::Error => Level::Error,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the first job file: asks for an address or a profile, tries it, guesses the rest and shows the first rows
    Init(Box<InitArgs>),
    /// Run a job once: read every stream whole and publish all tables together
    Run(RunArgs),
    /// Run the jobs of a folder by their schedules, until stopped
    Serve(ServeArgs),
    /// Show when a job runs, and what the zone's clock does to that
    Schedule(ScheduleArgs),
    /// Check job files without asking any server
    Check(CheckArgs),
    /// Show what a run would read: slices, cursors, requests and their share of the quotas; asks the API nothing
    Plan(PlanArgs),
    /// Show the first rows of a stream, with the types a run would give them
    Preview(PreviewArgs),
    /// Run a job and keep its exchange with the API on a tape, without secrets; publishes nothing
    Record(RecordArgs),
    /// Run a job from a tape, offline and without credentials: the way to test a job file
    Replay(ReplayArgs),
    /// Log in once for a job with OAuth2; its token is refreshed from then on
    Login(LoginArgs),
    /// Revoke and forget the tokens of a job
    Logout(JobArgs),
    /// List, test, import and mend stored credentials; never shows a value
    Credentials(CredentialsArgs),
    /// Show, set or reset how far incremental streams are read
    State(StateArgs),
    /// List the published snapshots of a job
    Snapshots(JobArgs),
    /// Show what became of a job's slots and runs, the runs that a gate holds back, and the one that was not finished
    Runs(RunsArgs),
    /// Try the receivers of a job's notices
    Notify(NotifyArgs),
    /// Publish a run that a gate holds back, or forget it
    Publish(PublishArgs),
    /// Make the tables anew from the raw copies of their records, without asking the API
    Rebuild(RebuildArgs),
    /// Show readers a former snapshot again, with its cursors
    Rollback(RollbackArgs),
    /// Let others read the job's container: make, list, extend and revoke signatures (SAS) for Power BI and other readers
    Share(ShareArgs),
    /// Read the tables in Power BI: queries, a project for Desktop, a dataflow
    Powerbi(PowerbiArgs),
    /// Remove former snapshots and files that nobody needs any more; every run does so, too
    Sweep(SweepArgs),
    /// Start a demo API on this machine and run a whole job against it
    Demo(DemoArgs),
    /// Show the tables that a job makes, with every column's type and why it has it; without a job, print the JSON Schema of the job file
    Schema(SchemaArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all verbs
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// Job file
    pub file: PathBuf,
    /// Change a setting of the job for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul run jobs/sales.yaml
  haul run jobs/sales.yaml --stream orders --stream customers
  haul run jobs/sales.yaml --set division=123 --json > report.json")]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Read only this stream; the other tables keep what they have (may be repeated)
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Run only if a slot of the job's schedule is due that nobody served; for crontabs and containers beside each other
    #[arg(long, conflicts_with_all = ["streams", "full", "from", "until"])]
    pub due: bool,
    /// Where a run on another host or in another container seems to be going on, watch it for up to 150 s and replace it if it
    /// is dead, instead of leaving that to a later run; for containers that keep no files
    #[arg(long)]
    pub takeover: bool,
    /// Forget the column types that earlier runs found, and read everything anew
    #[arg(long)]
    pub full: bool,
    /// Go on behind the pages of an unfinished run, however old it is
    #[arg(long, conflicts_with = "no_resume")]
    pub resume: bool,
    /// Forget an unfinished run, and begin anew
    #[arg(long)]
    pub no_resume: bool,
    /// Read incremental streams from this cursor value on once more, for example 2024-01-01; the cursor stays where it is
    #[arg(long, value_name = "CURSOR", conflicts_with = "full")]
    pub from: Option<String>,
    /// Read windows up to this instant only; the cursor stays where it is
    #[arg(long, value_name = "CURSOR", conflicts_with = "full")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul runs jobs/sales.yaml
  haul publish jobs/sales.yaml --approve 01JD3K9V6Q8Z0X4T2M7B5N1C0R
  haul publish jobs/sales.yaml --discard")]
pub(super) struct PublishArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Publish this run as it is; without RUN the only one that is held
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", conflicts_with = "discard", required_unless_present = "discard")]
    pub approve: Option<String>,
    /// Forget this run; without RUN the only one that is held
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub discard: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul plan jobs/sales.yaml
  haul plan jobs/sales.yaml --from 2024-01-01 --until 2024-07-01 --json")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// As for `run`
    #[arg(long, value_name = "CURSOR")]
    pub from: Option<String>,
    /// As for `run`
    #[arg(long, value_name = "CURSOR")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A tape is an HTTP Archive (HAR 1.2): browsers' developer tools show it. Secrets are masked; look at it before you share it,
because it holds the records.

Examples:
  haul record jobs/sales.yaml --to jobs/tapes/sales.har
  haul record jobs/sales.yaml --stream orders --to orders.har")]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// File of the tape; replaced if it is there
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Read only this stream (may be repeated)
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is sent, no secret is read, nobody waits. The run takes the time of the tape for its own.

Examples:
  haul replay jobs/sales.yaml --from jobs/tapes/sales.har
  haul replay jobs/sales.yaml --from sales.har --to /tmp/out --json")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// The tape
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Folder for the tables
    #[arg(long, value_name = "DIR", default_value = "replay")]
    pub to: PathBuf,
    /// Read only this stream (may be repeated)
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A cursor stands in the published manifest beside the rows that it speaks of; changing it publishes the same rows once more.

Examples:
  haul state show jobs/sales.yaml
  haul state set jobs/sales.yaml orders 2024-01-01
  haul state set jobs/sales.yaml orders 2024-01-01 --slice division=123
  haul state reset jobs/sales.yaml orders")]
pub(super) struct StateArgs {
    #[command(subcommand)]
    pub verb: StateVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum StateVerb {
    /// Show where the cursors stand
    Show(JobArgs),
    /// Set a cursor; the next run begins there, less its lookback
    Set {
        #[command(flatten)]
        job: JobArgs,
        /// Stream
        stream: String,
        /// Number or instant
        value: String,
        /// Slice, as `haul state show` names it
        #[arg(long)]
        slice: Option<String>,
    },
    /// Forget cursors; the next run begins at the start and merges what it reads
    Reset {
        #[command(flatten)]
        job: JobArgs,
        /// Only of this stream
        stream: Option<String>,
        /// Only of this slice
        #[arg(long)]
        slice: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
For a job with `destination.raw_copy: true`: after a change of types, names, lists, format or key the
tables are made of what earlier runs read. Cursors stay where they are, and gates judge the result
like that of a run. Nobody logs in.

Examples:
  haul rebuild jobs/sales.yaml
  haul rebuild jobs/sales.yaml --stream orders --full")]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Only the tables of this stream (may be repeated) [default: all whose records were kept from the first one on]
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Forget the column types that earlier runs found
    #[arg(long)]
    pub full: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The former tables are published anew, under a new number. Cursors go back with them: the next run reads again what came since.
A second rollback without a snapshot takes the first one back.

Examples:
  haul rollback jobs/sales.yaml
  haul snapshots jobs/sales.yaml
  haul rollback jobs/sales.yaml 00000041-01KDQ5T9Z6V1S4J8XH2M7RC3WB --json")]
pub(super) struct RollbackArgs {
    /// Job file
    pub file: PathBuf,
    /// Snapshot, as `haul snapshots` names it [default: the one before the current one]
    pub snapshot: Option<String>,
    /// Change a setting of the job for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What stays is said by `publish.keep` in the job file. A file that no snapshot names is remembered by one sweep and removed by a
later one, when the hours to keep lie between them.

Examples:
  haul sweep jobs/sales.yaml --dry-run
  haul sweep jobs/sales.yaml --json")]
pub(super) struct SweepArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Only tell what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul check jobs/*.yaml
  haul check jobs/sales.yaml --json")]
pub(super) struct CheckArgs {
    /// Job files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change a setting of the jobs for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul preview jobs/sales.yaml
  haul preview jobs/sales.yaml orders --rows 50")]
pub(super) struct PreviewArgs {
    /// Job file
    pub file: PathBuf,
    /// Stream; all streams when absent
    pub stream: Option<String>,
    /// Rows to show
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rows: u32,
    /// Change a setting of the job for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul schema jobs/sales.yaml
  haul schema jobs/sales.yaml orders --records 100000 --json
  haul schema > job.schema.json         the JSON Schema of job files, for editors")]
pub(super) struct SchemaArgs {
    /// Job file
    pub file: Option<PathBuf>,
    /// Stream; all streams when absent
    #[arg(requires = "file")]
    pub stream: Option<String>,
    /// Records to look at; the page in which this number is reached is read whole
    #[arg(long, default_value_t = 1_000, requires = "file", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub records: u64,
    /// As if nothing was published before
    #[arg(long, requires = "file")]
    pub full: bool,
    /// Change a setting of the job for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting, requires = "file")]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul login jobs/sales.yaml            opens the browser on this machine
  haul login jobs/sales.yaml --paste    for a machine without browser
  haul login jobs/sales.yaml --device   the same, where the provider knows device codes")]
pub(super) struct LoginArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Do not wait for the browser: ask for the address at which it ended
    #[arg(long)]
    pub paste: bool,
    /// Print the address instead of opening the browser
    #[arg(long)]
    pub no_browser: bool,
    /// Show a code to type on another device, which has a browser
    #[arg(long, conflicts_with_all = ["paste", "no_browser"])]
    pub device: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
States:
  ready            tokens are bought by themselves
  being refreshed  a process announced that it spends the refresh token
  held             spending the refresh token could lose a newer one: see `takeover`
  login needed     the provider takes no token any more: `haul login JOBFILE`

Examples:
  haul credentials
  haul credentials test jobs/*.yaml             also keeps tokens of rarely run jobs alive
  cat token.txt | haul credentials import jobs/sales.yaml")]
pub(super) struct CredentialsArgs {
    #[command(subcommand)]
    pub verb: Option<CredentialsVerb>,
}

#[derive(Debug, Subcommand)]
pub(super) enum CredentialsVerb {
    /// List stored credentials: state and expiry [default]
    List,
    /// Make sure that each job has a good access token: buys one where it is over, and where the refresh token was not
    /// used for half of its idle life
    Test(TestArgs),
    /// Store a refresh token from standard input; nobody else may use it from now on
    Import(JobArgs),
    /// Seal all records with a new vault key
    RotateKey,
    /// Go on with a held credential, although a newer token may be elsewhere
    Takeover(JobArgs),
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Job files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Buy a new access token even where the stored one is good
    #[arg(long)]
    pub new: bool,
    /// Change a setting of the jobs for this time
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul demo
  haul demo --dir /tmp/try --json
  haul demo --serve                     keeps the API open, to try other verbs on it")]
pub(super) struct DemoArgs {
    /// Folder of the demo: job file, state and tables
    #[arg(long, value_name = "DIR", default_value = "haul-demo")]
    pub dir: PathBuf,
    /// Only serve the API and log in, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write the pages of all verbs into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=10_000).contains(count)).ok_or_else(|| "a number from 1 to 10000".to_owned())
}

pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is written NAME=VALUE")?;
    if name.trim().is_empty() {
        return Err("the name of the setting is missing".to_owned());
    }
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
