//! `haul init`: a guided start. Asks for an address or a profile, tries it, and writes a commented job file.

mod address;
mod args;
mod ask;
mod auth;
mod finish;
mod graphql;
mod profile;
mod service;
mod target;

use tokio_util::sync::CancellationToken;

pub(super) use self::args::InitArgs;
use self::ask::Asker;
use super::Surroundings;
use super::failure::{Exit, Failure};
use super::signals::{interrupted, until_signalled};
use crate::engine::guide::GuideError;
use crate::job::draft::{Profile, profile, profiles};

/// One call of the verb.
struct Init {
    around: Surroundings,
    args: InitArgs,
    asker: Asker,
    cancel: CancellationToken,
}

/// What is started from.
enum Start {
    Address(String),
    Profile(&'static Profile),
}

pub(super) async fn run(around: Surroundings, args: InitArgs) -> Result<Exit, Failure> {
    if args.list_profiles {
        list(&around);
        return Ok(Exit::Done);
    }
    let (output, cancel) = (around.output, CancellationToken::new());
    let asker = Asker { output, is_silent: args.yes };
    let init = Init { around, args, asker, cancel: cancel.clone() };
    let done = until_signalled(output, &cancel, async {
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            done = init.run() => Some(done),
        }
    });
    done.await?.ok_or_else(interrupted)?
}

impl Init {
    async fn run(&self) -> Result<Exit, Failure> {
        match self.start().await? {
            Start::Profile(profile) => self.start_from(profile).await,
            Start::Address(text) => self.start_at(&text).await,
        }
    }

    async fn start(&self) -> Result<Start, Failure> {
        if let Some(name) = &self.args.profile {
            return Ok(Start::Profile(known(name)?));
        }
        if let Some(url) = &self.args.url {
            return Ok(Start::Address(url.clone()));
        }
        if !self.asker.is_silent {
            self.asker.output.note("A ready job:");
            for profile in profiles() {
                self.asker.output.note(format!("  {:<17} {}", profile.name, profile.title));
            }
        }
        let asked = "Address of the API, or the name of a ready job";
        let check = |answer: &str| if answer.is_empty() { Err("there is no default".to_owned()) } else { Ok(()) };
        let answer = self.asker.ask(asked, None, "haul init URL", check).await?;
        match profile(&answer) {
            Some(profile) => Ok(Start::Profile(profile)),
            None if !answer.contains(['.', ':', '/']) => Ok(Start::Profile(known(&answer)?)),
            None => Ok(Start::Address(answer)),
        }
    }
}

fn known(name: &str) -> Result<&'static Profile, Failure> {
    let names: Vec<&str> = profiles().iter().map(|profile| profile.name).collect();
    profile(name).ok_or_else(|| {
        Failure::usage(format!("there is no profile `{name}`"))
            .hint(format!("one of {}, or an address", names.join(", ")))
    })
}

fn list(around: &Surroundings) {
    if around.output.is_json {
        let listed = profiles().iter().map(|profile| {
            let questions = profile.questions.iter().map(|question| {
                serde_json::json!({ "name": question.name, "asks": question.asks, "default": question.default })
            });
            serde_json::json!({ "name": profile.name, "title": profile.title, "questions": questions.collect::<Vec<_>>() })
        });
        around.output.json(&listed.collect::<Vec<_>>());
        return;
    }
    for profile in profiles() {
        around.output.line(format!("{:<17} {}", profile.name, profile.title));
    }
}

impl From<GuideError> for Failure {
    fn from(error: GuideError) -> Self {
        let hint = error.hint();
        let failure = match error {
            GuideError::Load(error) => error.into(),
            GuideError::Open(error) => Failure::from(error),
            GuideError::Run(error) => error.into(),
            error @ (GuideError::NoRecords | GuideError::NoConnection) => Failure::failed(error.to_string()),
        };
        Failure { hint: hint.or(failure.hint), ..failure }
    }
}
