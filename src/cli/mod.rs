//! The command line: one verb a file. The only room that prints and that chooses exit codes. In come arguments, out
//! come results on standard output, everything else on standard error.

mod args;
mod check;
mod credentials;
mod demo;
mod failure;
mod init;
mod log;
mod login;
mod manual;
mod notify;
mod output;
mod page;
mod plan;
mod powerbi;
mod preview;
mod progress;
mod publish;
mod rebuild;
mod rollback;
mod run;
mod runs;
mod schedule;
mod schema;
mod serve;
mod share;
mod signals;
mod snapshots;
mod state;
mod sweep;
mod tape;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use self::args::{Cli, Global, LogLevel, Verb};
use self::failure::{Exit, Failure};
use self::output::Output;
use crate::auth::{is_something_spent, until_nothing_is_spent};
use crate::engine::{self, Said, Settings, StatePlace};
use crate::job::load::{Environment, Secrets};
use crate::limits::{BLOCKING_THREAD_IDLE_MAX, TOKEN_WAIT_MAX};
use crate::model::plan::SecretSource;
use crate::secret::Secret;

/// What every verb gets besides its own arguments.
struct Surroundings {
    output: Output,
    settings: Settings,
}

/// Runs the process with these arguments and returns its exit code.
pub fn run_process(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    forbid_core_dumps();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return exit.code();
        }
    };
    let output = Output::new(cli.global.json, cli.global.quiet, cli.global.log.map(LogLevel::level));
    signals::set_grace(Duration::from_secs(cli.global.grace));
    match dispatch(cli, &output) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.code()
        }
    }
}

/// A core dump would hold every secret of the process.
fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};

        // Lowering one's own limit is always allowed.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let surroundings =
        || -> Result<Surroundings, Failure> { Ok(Surroundings { output: *output, settings: settings(&cli.global)? }) };
    match cli.verb {
        Verb::Init(args) => in_runtime(output, init::run(surroundings()?, *args)),
        Verb::Run(args) => in_runtime(output, run::run(surroundings()?, args)),
        Verb::Serve(args) => in_runtime(output, serve::run(surroundings()?, args)),
        Verb::Schedule(args) => in_small_runtime(output, schedule::run(surroundings()?, args)),
        Verb::Preview(args) => in_runtime(output, preview::run(surroundings()?, args)),
        Verb::Record(args) => in_runtime(output, tape::record(surroundings()?, args)),
        Verb::Replay(args) => in_runtime(output, tape::replay(surroundings()?, args)),
        Verb::Plan(args) => in_small_runtime(output, plan::run(surroundings()?, args)),
        Verb::State(args) => in_runtime(output, state::run(surroundings()?, args)),
        Verb::Login(args) => in_small_runtime(output, login::login(surroundings()?, args)),
        Verb::Logout(args) => in_small_runtime(output, login::logout(surroundings()?, args)),
        Verb::Credentials(args) => in_small_runtime(output, credentials::run(surroundings()?, args)),
        Verb::Snapshots(args) => in_runtime(output, snapshots::run(surroundings()?, args)),
        Verb::Runs(args) => in_runtime(output, runs::run(surroundings()?, args)),
        Verb::Notify(args) => in_small_runtime(output, notify::run(*output, args)),
        Verb::Publish(args) => in_runtime(output, publish::run(surroundings()?, args)),
        Verb::Rebuild(args) => in_runtime(output, rebuild::run(surroundings()?, args)),
        Verb::Rollback(args) => in_runtime(output, rollback::run(surroundings()?, args)),
        Verb::Share(args) => in_small_runtime(output, share::run(*output, args)),
        Verb::Powerbi(args) => in_runtime(output, powerbi::run(*output, args)),
        Verb::Sweep(args) => in_runtime(output, sweep::run(surroundings()?, args)),
        Verb::Demo(args) => in_runtime(output, demo::run(*output, args)),
        Verb::Check(args) => check::run(output, &args),
        Verb::Schema(args) => match args.file.clone() {
            None => manual::schema(output),
            Some(file) => in_runtime(output, schema::run(surroundings()?, args, file)),
        },
        Verb::Completions(args) => manual::completions(output, &args),
        Verb::Man(args) => manual::man(output, &args),
    }
}

/// What the arguments and the environment choose; an argument wins.
fn settings(global: &Global) -> Result<Settings, Failure> {
    let default_folder = || {
        Environment::state_folder().ok_or_else(|| {
            Failure::usage("there is no home folder for the state")
                .hint("name one: `--state` or HAUL_STATE, with a remote state `--local` or HAUL_LOCAL")
        })
    };
    let variable = Environment::get_os("HAUL_STATE");
    let state = match (&global.state, &variable) {
        (Some(text), _) => StatePlace::parse(text, Said::Argument).map_err(engine::Error::from)?,
        (None, Some(text)) => StatePlace::parse(text, Said::Environment).map_err(engine::Error::from)?,
        (None, None) => StatePlace::Folder(default_folder()?),
    };
    let local_folder = match (&state, &global.local) {
        // HAUL_LOCAL may be set for a whole machine or image, and then says nothing here.
        (StatePlace::Folder(folder), None) => folder.clone(),
        (StatePlace::Folder(folder), Some(local)) if local == folder => folder.clone(),
        (StatePlace::Folder(_), Some(_)) => {
            return Err(Failure::usage("`--local` is given, but the state is a folder of this machine")
                .hint("leave it out: the state folder holds the vault's key too"));
        }
        (_, Some(local)) => local.clone(),
        (_, None) => match Environment::get_os("HAUL_LOCAL") {
            Some(local) => PathBuf::from(local),
            None => default_folder()?,
        },
    };
    Ok(Settings { state, local_folder, vault_key: vault_key()? })
}

/// The vault key where the operator gives one; at most one of three ways.
fn vault_key() -> Result<Option<Secret>, Failure> {
    const WAYS: [&str; 3] = ["HAUL_VAULT_KEY", "HAUL_VAULT_KEY_FILE", "HAUL_VAULT_KEY_COMMAND"];
    let given: Vec<&str> = WAYS.into_iter().filter(|name| Environment::get_os(name).is_some()).collect();
    match given[..] {
        [] => Ok(None),
        ["HAUL_VAULT_KEY"] => Ok(Environment::get("HAUL_VAULT_KEY").map(Secret::new)),
        ["HAUL_VAULT_KEY_FILE"] => {
            let file = Environment::get_os("HAUL_VAULT_KEY_FILE").unwrap_or_default();
            Ok(Some(Secrets::resolve(&SecretSource::File(file.into()))?))
        }
        ["HAUL_VAULT_KEY_COMMAND"] => Ok(Some(Environment::output_of("HAUL_VAULT_KEY_COMMAND")?)),
        _ => Err(Failure::usage(format!("{} are set: there is one vault key", given.join(" and ")))),
    }
}

/// Runs a verb that uses all processors, until it is over or a second signal arrives.
fn in_runtime(output: &Output, verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Decoding and encoding, two thirds of the work, have threads of their own. More threads for the rest than there is
    // work for wake each other for every answer.
    on(tokio::runtime::Builder::new_multi_thread().worker_threads(processors.div_ceil(3)), output, verb)
}

/// Runs a verb that mostly waits, on this thread.
fn in_small_runtime(output: &Output, verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    on(&mut tokio::runtime::Builder::new_current_thread(), output, verb)
}

fn on(
    runtime: &mut tokio::runtime::Builder,
    output: &Output,
    verb: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    // A daemon always has some work for threads that block, which would keep as many of them for good as there ever were at once.
    runtime.thread_keep_alive(BLOCKING_THREAD_IDLE_MAX);
    let runtime =
        runtime.enable_all().build().map_err(|error| Failure::failed("the runtime cannot be started").cause(&error))?;
    let ended = runtime.block_on(async {
        let ended = verb.await;
        // A refresh token that was sent is gone; its answer is waited for even after a second signal.
        if is_something_spent() {
            output.note("waiting for a token that is on its way: it cannot be asked for twice");
            let latest = tokio::time::Instant::now() + TOKEN_WAIT_MAX;
            // Whoever sent the signal kills the process then.
            let until = signals::deadline().map_or(latest, |deadline| deadline.min(latest));
            let _ = tokio::time::timeout_at(until, until_nothing_is_spent()).await;
        }
        ended
    });
    // Blocking work of a stopped run must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}
