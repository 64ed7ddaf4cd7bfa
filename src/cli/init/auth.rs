//! An API that refuses: what it wants, who is asked for it, and what of it goes into the draft.

use serde_json::json;

use super::Init;
use super::ask::check_variable;
use crate::cli::args::{JobArgs, LoginArgs};
use crate::cli::failure::Failure;
use crate::engine::Error;
use crate::engine::guide::{FoundLogin, Guide, GuideError, find_login};
use crate::job::draft::{Draft, Said};
use crate::job::load::Environment;
use crate::job::load_text;
use crate::source::guess::Challenged;

/// What became of the wish for a credential.
pub(super) enum Proved {
    /// There is one to be tried.
    Anew,
    /// It is in the draft, and cannot be tried yet.
    Unready(String),
}

/// Kinds of a fixed credential.
const KINDS: &[&str] = &[
    "a bearer token (Authorization: Bearer …)",
    "a key in a header",
    "a key in a parameter",
    "user and password (HTTP Basic)",
];

impl Init {
    pub(super) async fn prove(
        &self,
        draft: &mut Draft,
        guide: &Guide,
        status: u16,
        wants: &Challenged,
        error: Error,
    ) -> Result<Proved, Failure> {
        let mut resource = draft.base_url.clone();
        resource.set_path(&format!("{}{}", draft.base_url.path().trim_end_matches('/'), draft.streams[0].path));
        let told =
            if wants.schemes.is_empty() { String::new() } else { format!(", it offers {}", wants.schemes.join(", ")) };
        self.note(format!("it wants a credential ({status}{told})"));
        let is_of_entra = wants.authorization_uri.as_deref().is_some_and(|uri| uri.contains("//login.microsoft"));
        if is_of_entra {
            return self.entra(draft, wants).await;
        }
        let found = find_login(guide, &resource, wants, self.args.issuer.as_deref()).await?;
        if let Some(found) = found {
            return self.oauth2(draft, &resource, &found).await;
        }
        if self.args.client_id_env.is_some() {
            return Err(Failure::usage("the API does not say who issues its tokens")
                .hint("name the issuer: `--issuer https://login.example.com`; or write `token_url` into a job, see docs/JOBS.md"));
        }
        let windows = wants.schemes.iter().any(|scheme| matches!(scheme.as_str(), "negotiate" | "ntlm"));
        if windows && !wants.schemes.iter().any(|scheme| matches!(scheme.as_str(), "basic" | "bearer")) {
            return self.windows(draft, wants).await;
        }
        self.fixed(draft, status, wants, error).await
    }

    /// A token, key or password that stays as it is.
    async fn fixed(&self, draft: &mut Draft, status: u16, wants: &Challenged, error: Error) -> Result<Proved, Failure> {
        let offered = |scheme: &str| wants.schemes.iter().any(|offered| offered == scheme);
        let kind = if offered("bearer") {
            0
        } else if offered("basic") {
            3
        } else if self.asker.is_silent {
            let failure = Failure::from(GuideError::Run(error));
            return Err(failure.hint(
                "it does not say what it wants: name the credential with `--token-env VARIABLE`, `--header 'X-Api-Key: \
                 ${VARIABLE}'` or `--user-env` and `--password-env`",
            ));
        } else {
            self.asker.choose("What does it want", KINDS, "--token-env").await?
        };
        let prefix = prefix(&draft.name);
        let why = |what: &str| format!("The API refuses with {status}{}. {what}", offers(wants));
        let said = match kind {
            0 => {
                let variable = self.named("token", &format!("{prefix}_TOKEN"), "--token-env").await?;
                Said::new(json!({ "bearer": { "token": variable } }), why("A bearer token, as it is."))
            }
            1 => {
                let check = |name: &str| {
                    let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
                    if is_name { Ok(()) } else { Err("that cannot be the name of a header".to_owned()) }
                };
                let name = self.asker.ask("Name of the header", Some("X-Api-Key"), "--header", check).await?;
                let variable = self.named("key", &format!("{prefix}_KEY"), "--header").await?;
                Said::new(json!({ "key": { "value": variable, "header": name } }), why("You said: a key in a header."))
            }
            2 => {
                let check = |name: &str| {
                    let is_name =
                        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-$".contains(c));
                    if is_name { Ok(()) } else { Err("that cannot be the name of a parameter".to_owned()) }
                };
                let name =
                    self.asker.ask("Name of the parameter", Some("api_key"), "'URL?name=${VARIABLE}'", check).await?;
                let variable = self.named("key", &format!("{prefix}_KEY"), "'URL?name=${VARIABLE}'").await?;
                Said::new(
                    json!({ "key": { "value": variable, "param": name } }),
                    why("You said: a key in a parameter."),
                )
            }
            _ => {
                let user = self.named("user name", &format!("{prefix}_USER"), "--user-env").await?;
                let password = self.named("password", &format!("{prefix}_PASSWORD"), "--password-env").await?;
                Said::new(json!({ "basic": { "username": user, "password": password } }), why("User and password."))
            }
        };
        draft.auth = Some(said);
        Ok(Proved::Anew)
    }

    async fn oauth2(&self, draft: &mut Draft, resource: &url::Url, found: &FoundLogin) -> Result<Proved, Failure> {
        let issuer = &found.server.issuer;
        let is_foreign = issuer.parse::<url::Url>().is_ok_and(|issuer| issuer.origin() != resource.origin());
        let is_named = self.args.issuer.is_some();
        self.note(format!("tokens come from {issuer}: {}", found.why));
        if is_foreign && !is_named && !self.asker.is_silent {
            let question = format!("Is {issuer} where you log in to this API? A secret will be sent there");
            if !self.asker.confirm(&question, true, "--issuer").await? {
                return Err(Failure::failed("the issuer that the API names is not the one that is meant")
                    .hint("name it: `--issuer https://login.example.com`"));
            }
        }
        let grant = self.grant(found).await?;
        let prefix = prefix(&draft.name);
        let id = self.variable_or(&self.args.client_id_env, "client id", &format!("{prefix}_CLIENT_ID")).await?;
        let secret = self.client_secret(grant, &format!("{prefix}_CLIENT_SECRET")).await?;
        let mut oauth2 = json!({ "issuer": issuer, "grant": grant, "client_id": id });
        if let Some(secret) = &secret {
            oauth2["client_secret"] = json!(secret);
        }
        let is_of_people = grant != "client_credentials";
        let mut scopes = if self.args.scopes.is_empty() { found.scopes.clone() } else { self.args.scopes.clone() };
        let has_offline = found.server.scopes.iter().any(|scope| scope == "offline_access");
        if is_of_people && has_offline && self.args.scopes.is_empty() {
            for scope in ["openid", "offline_access"] {
                if !scopes.iter().any(|known| known == scope) {
                    scopes.push(scope.to_owned());
                }
            }
        }
        if !scopes.is_empty() {
            oauth2["scopes"] = json!(scopes);
        }
        if grant == "authorization_code" && scopes.iter().any(|scope| scope == "offline_access") {
            // OpenID Connect Core, section 11: without it no refresh token is given.
            oauth2["authorize_params"] = json!({ "prompt": "consent" });
        }
        let next = if is_of_people { " Log in once with `haul login`; tokens are refreshed from then on." } else { "" };
        draft.auth = Some(Said::new(json!({ "oauth2": oauth2 }), format!("OAuth2: {}.{next}", found.why)));
        // A secret goes where a person or the command line said, never where the API alone leads.
        if secret.is_some() && self.asker.is_silent && is_foreign && !is_named {
            return Ok(Proved::Unready(format!(
                "nobody said that {issuer} may see the client's secret; `--issuer` does"
            )));
        }
        Ok(Proved::Anew)
    }

    async fn grant(&self, found: &FoundLogin) -> Result<&'static str, Failure> {
        let all = ["authorization_code", "client_credentials", "device_code"];
        if let Some(grant) = &self.args.grant {
            return Ok(all.into_iter().find(|known| known == grant).unwrap_or(all[0]));
        }
        let is_program_first = self.args.client_secret_env.is_some() && found.server.has_client_credentials;
        let mut offered = Vec::new();
        let ways = [
            (found.server.has_login, all[0], "a person logs in with a browser, once"),
            (found.server.has_client_credentials, all[1], "the program itself, with a client secret"),
            (found.server.has_device_codes, all[2], "a person types a code on another device, once"),
        ];
        offered.extend(ways.into_iter().filter(|(is_offered, _, _)| *is_offered));
        offered.sort_by_key(|(_, name, _)| is_program_first != (*name == all[1]));
        if !is_program_first {
            offered.sort_by_key(|(_, name, _)| all.iter().position(|known| known == name));
        }
        match offered.as_slice() {
            [] => Ok(all[1]),
            [(_, only, _)] => Ok(only),
            several => {
                let words: Vec<&str> = several.iter().map(|(_, _, words)| *words).collect();
                let chosen = self.asker.choose("Who logs in", &words, "--grant").await?;
                Ok(several[chosen].1)
            }
        }
    }

    async fn client_secret(&self, grant: &str, default: &str) -> Result<Option<String>, Failure> {
        if let Some(variable) = &self.args.client_secret_env {
            check_variable(variable).map_err(Failure::usage)?;
            return Ok(Some(format!("${{{variable}}}")));
        }
        let asked = "Does the client have a secret";
        if grant != "client_credentials"
            && (self.asker.is_silent || !self.asker.confirm(asked, false, "--client-secret-env").await?)
        {
            return Ok(None);
        }
        Ok(Some(self.named("client secret", default, "--client-secret-env").await?))
    }

    async fn entra(&self, draft: &mut Draft, wants: &Challenged) -> Result<Proved, Failure> {
        let prefix = prefix(&draft.name);
        let id = self.variable_or(&self.args.client_id_env, "client id", &format!("{prefix}_CLIENT_ID")).await?;
        let secret =
            self.variable_or(&self.args.client_secret_env, "client secret", &format!("{prefix}_CLIENT_SECRET")).await?;
        let uri = wants.authorization_uri.as_deref().unwrap_or_default();
        let why = format!(
            "Microsoft Entra: the API's refusal names {uri}. haul asks the API for its tenant; `tenant:` fixes it."
        );
        let entra = json!({ "entra": { "client_id": id, "credential": { "client_secret": secret } } });
        draft.auth = Some(Said::new(entra, why));
        Ok(Proved::Anew)
    }

    async fn windows(&self, draft: &mut Draft, wants: &Challenged) -> Result<Proved, Failure> {
        let prefix = prefix(&draft.name);
        let user = self.variable_or(&self.args.user_env, "user (REALM\\name)", &format!("{prefix}_USER")).await?;
        let password = self.variable_or(&self.args.password_env, "password", &format!("{prefix}_PASSWORD")).await?;
        let is_ntlm = !wants.schemes.iter().any(|scheme| scheme == "negotiate");
        let mut windows = json!({ "username": user, "password": password });
        if is_ntlm {
            windows["scheme"] = json!("ntlm");
        }
        draft.auth =
            Some(Said::new(json!({ "windows": windows }), format!("A Windows user: the API{}.", offers(wants))));
        Ok(Proved::Anew)
    }

    /// Logs in for the draft, if the person wants to. `false` = not now.
    pub(super) async fn log_in(&self, draft: &Draft, file: &std::path::Path) -> Result<bool, Failure> {
        if !self.asker.confirm("Log in now", true, "haul login").await? {
            return Ok(false);
        }
        let job = load_text("the draft", &draft.trial())?;
        let device = draft.auth.as_ref().is_some_and(|auth| auth.value["oauth2"]["grant"] == "device_code");
        let args = LoginArgs {
            job: JobArgs { file: file.to_path_buf(), set: Vec::new() },
            paste: false,
            no_browser: false,
            device,
        };
        crate::cli::login::log_in(&self.around, &job, &file.display().to_string(), &args).await?;
        Ok(true)
    }

    async fn variable_or(&self, given: &Option<String>, what: &str, default: &str) -> Result<String, Failure> {
        match given {
            Some(variable) => {
                check_variable(variable).map_err(Failure::usage)?;
                Ok(format!("${{{variable}}}"))
            }
            None => self.named(what, default, "the option of its name").await,
        }
    }

    /// A reference to the variable that holds something.
    async fn named(&self, what: &str, default: &str, otherwise: &str) -> Result<String, Failure> {
        let question = format!("Environment variable that holds the {what}");
        let variable = self.asker.variable(&question, default, otherwise).await?;
        if Environment::get_os(&variable).is_none() {
            self.note(format!("{variable} is not set: `export {variable}=…`"));
        }
        Ok(format!("${{{variable}}}"))
    }
}

fn offers(wants: &Challenged) -> String {
    if wants.schemes.is_empty() { String::new() } else { format!(" and offers {}", wants.schemes.join(", ")) }
}

/// What the variables of a job begin with.
fn prefix(job: &str) -> String {
    let name = job.to_ascii_uppercase().replace('-', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("API_{name}") } else { name }
}
