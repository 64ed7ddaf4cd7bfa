//! From an address to a draft that was tried.

use std::path::Path;

use super::args::InitArgs;
use super::finish::Report;
use super::{Init, target};
use crate::cli::failure::{Exit, Failure};
use crate::cli::progress::telemetry;
use crate::engine::guide::{Guide, GuideError, Looked};
use crate::engine::{Class, OpenError};
use crate::job::draft::{Draft, Said};
use crate::job::load::SecretError;
use crate::source::guess::{Connection, Records, Sighting};

use super::ask::check_variable;
use super::auth::Proved;

/// Times that an API is asked anew with another credential.
const CREDENTIALS_TRIED_MAX: usize = 4;

/// What the first questions led to.
pub(super) enum First {
    Sighted(Guide, Box<Sighting>),
    Graphql(Guide, Vec<Connection>),
    /// The credential is not there yet.
    Unready(String),
}

impl Init {
    pub(super) async fn start_at(&self, typed: &str) -> Result<Exit, Failure> {
        let mut draft = target::draft_of(typed, &self.args)?;
        target::headers(&mut draft, &self.args)?;
        fixed_credential(&mut draft, &self.args)?;
        for told in &draft.head {
            self.note(told);
        }
        draft.name = self.job_name(&draft.name).await?;
        let file = self.file(&draft.name).await?;
        draft.head.push(format!("Made by `haul init` from {}", shown(typed)));
        let mut report = Report::new(&file);
        let (guide, sighting) = match self.first(&mut draft, &file).await? {
            First::Sighted(guide, sighting) => (guide, sighting),
            First::Graphql(guide, connections) => {
                self.graphql(&mut draft, &guide, &connections, &mut report).await?;
                return self.finish(draft, &file, report).await;
            }
            First::Unready(why) => return self.finish_untried(draft, &file, report, &why).await,
        };
        match *sighting {
            Sighting::Records(records) => self.one_stream(&mut draft, guide, &records, &mut report).await?,
            Sighting::Service { version, base_url, sets } => {
                self.note(format!("{} service with {} entity sets", version.text(), sets.len()));
                draft.head.push(format!("{} service.", version.text()));
                draft.base_url = base_url;
                self.service(&mut draft, sets, &mut report).await?;
            }
            Sighting::OpenApi { title, paths } => {
                let some = if paths.is_empty() { "its documentation names them".to_owned() } else { paths.join(", ") };
                return Err(Failure::failed(format!("this address holds a description of {title}, not its records"))
                    .hint(format!("give the address of a list; it has {some}")));
            }
        }
        self.finish(draft, &file, report).await
    }

    /// Asks the first stream of a draft until it answers with something, or with a wish that cannot be fulfilled now.
    pub(super) async fn first(&self, draft: &mut Draft, file: &Path) -> Result<First, Failure> {
        for _ in 0..CREDENTIALS_TRIED_MAX {
            let guide = match self.open(draft).await {
                Ok(guide) => guide,
                // Of OAuth2 the file is needed before there is a token; what is fixed can be set now.
                Err(GuideError::Open(OpenError::Secret(error))) if is_bought(draft) => {
                    return Ok(First::Unready(error.to_string()));
                }
                Err(GuideError::Open(OpenError::Secret(error))) => return Err(unset(&error)),
                Err(error) => return Err(error.into()),
            };
            self.note(format!("asking {}{}", draft.base_url.as_str().trim_end_matches('/'), draft.streams[0].path));
            match guide.look(draft, 0).await {
                Ok(Looked::Sighted(sighting)) => return Ok(First::Sighted(guide, sighting)),
                Ok(Looked::Graphql(connections)) => return Ok(First::Graphql(guide, connections)),
                Ok(Looked::Refused { status, wants, error }) if draft.auth.is_none() => {
                    match self.prove(draft, &guide, status, &wants, *error).await? {
                        Proved::Anew => {}
                        Proved::Unready(why) => return Ok(First::Unready(why)),
                    }
                }
                Ok(Looked::Refused { error, .. }) => return Err(GuideError::Run(*error).into()),
                Err(GuideError::Run(error)) if error.class() == Class::Login => {
                    if self.asker.is_silent || !self.log_in(draft, file).await? {
                        return Ok(First::Unready("nobody has logged in yet".to_owned()));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::failed("the API refuses every credential"))
    }

    pub(super) async fn open(&self, draft: &Draft) -> Result<Guide, GuideError> {
        Guide::open(draft, &self.around.settings, self.cancel.clone(), telemetry(self.around.output, "init")).await
    }

    async fn one_stream(
        &self,
        draft: &mut Draft,
        guide: Guide,
        records: &Records,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let place = records
            .at
            .as_ref()
            .map_or_else(String::new, |at| format!(" at `{}`", at.value.as_str().unwrap_or_default()));
        let count = crate::cli::output::counted(records.count, "record");
        self.note(format!("it answers with {count}{place}"));
        let mut guide = guide;
        if let Some((version, service)) = &records.odata {
            draft.is_odata = true;
            draft.head.push(format!("{} service.", version.text()));
            let whole = format!("{}{}", draft.base_url.path().trim_end_matches('/'), draft.streams[0].path);
            if let Some(path) = whole.strip_prefix(service.path().trim_end_matches('/')) {
                (draft.base_url, draft.streams[0].path) = (service.clone(), path.to_owned());
            }
            self.describe(draft).await?;
            guide = self.open(draft).await?;
        }
        self.note("trying to read on");
        let mut begun = None;
        if let Some(told) = guide.begin_at_first(draft, 0).await? {
            self.note(&told);
            draft.head.push(format!("{}{}.", told[..1].to_uppercase(), &told[1..]));
            if let Looked::Sighted(sighting) = guide.look(draft, 0).await?
                && let Sighting::Records(records) = *sighting
            {
                begun = Some(records);
            }
        }
        let records = begun.as_ref().unwrap_or(records);
        let settled = guide.settle(draft, 0, records).await?;
        self.show(&settled.previews, &settled.paging, true);
        report.add(&draft.streams[0], &settled);
        Ok(())
    }

    pub(super) fn note(&self, text: impl AsRef<str>) {
        if !self.around.output.is_quiet {
            self.around.output.note(text);
        }
    }
}

/// Credentials that an argument names.
fn fixed_credential(draft: &mut Draft, args: &InitArgs) -> Result<(), Failure> {
    let reference = |variable: &String| -> Result<String, Failure> {
        check_variable(variable).map_err(Failure::usage)?;
        Ok(format!("${{{variable}}}"))
    };
    let said = match (&args.token_env, &args.user_env, &args.password_env) {
        (Some(token), _, _) => serde_json::json!({ "bearer": { "token": reference(token)? } }),
        (None, Some(user), Some(password)) => {
            serde_json::json!({ "basic": { "username": reference(user)?, "password": reference(password)? } })
        }
        _ => return Ok(()),
    };
    if draft.auth.is_some() {
        return Err(Failure::usage("two credentials are named, and a job has one"));
    }
    draft.auth = Some(Said::new(said, "As you said. Secrets are read from the environment when a run starts."));
    Ok(())
}

/// Whether tokens are bought with what the file says.
fn is_bought(draft: &Draft) -> bool {
    draft.auth.as_ref().is_some_and(|auth| auth.value.get("oauth2").or_else(|| auth.value.get("entra")).is_some())
}

fn unset(error: &SecretError) -> Failure {
    let hint = match error {
        SecretError::NotSet { name } | SecretError::EmptyVariable { name } | SecretError::NotText { name } => {
            Some(format!("set it where haul runs, for example `export {name}=…`, and call `haul init` again"))
        }
        error => error.hint(),
    };
    Failure { hint, ..Failure::usage(error.to_string()) }
}

/// The address without what may be nobody's business.
fn shown(typed: &str) -> String {
    typed.split(['?', '#']).next().unwrap_or(typed).to_owned()
}
