//! The command line: one verb a file. The only room that prints and that chooses exit codes. In come arguments, out
//! come results on standard output, everything else on standard error.

mod args;
mod check;
mod credentials;
mod demo;
mod failure;
mod login;
mod manual;
mod output;
mod preview;
mod progress;
mod run;
mod signals;
mod snapshots;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Global, Verb};
use self::failure::{Exit, Failure};
use self::output::Output;
use crate::engine::{self, Said, Settings, StatePlace};
use crate::job::load::Environment;
use crate::secret::Secret;

/// What every verb gets besides its own arguments.
struct Surroundings {
    output: Output,
    settings: Settings,
}

/// Runs the process with these arguments and returns its exit code.
pub fn run_process(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return exit.code();
        }
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    match dispatch(cli, &output) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.code()
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let surroundings =
        || -> Result<Surroundings, Failure> { Ok(Surroundings { output: *output, settings: settings(&cli.global)? }) };
    match cli.verb {
        Verb::Run(args) => in_runtime(run::run(surroundings()?, args)),
        Verb::Preview(args) => in_runtime(preview::run(surroundings()?, args)),
        Verb::Login(args) => in_runtime(login::login(surroundings()?, args)),
        Verb::Logout(args) => in_runtime(login::logout(surroundings()?, args)),
        Verb::Credentials => in_runtime(credentials::run(surroundings()?)),
        Verb::Snapshots(args) => in_runtime(snapshots::run(surroundings()?, args)),
        Verb::Demo(args) => in_runtime(demo::run(*output, args)),
        Verb::Check(args) => check::run(output, &args),
        Verb::Schema => manual::schema(output),
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
    Ok(Settings { state, local_folder, vault_key: Environment::get("HAUL_VAULT_KEY").map(Secret::new) })
}

/// Runs a verb until it is over or a second signal arrives.
fn in_runtime(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the runtime cannot be started").cause(&error))?;
    let ended = runtime.block_on(verb);
    // Blocking work of a stopped run must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    ended
}
