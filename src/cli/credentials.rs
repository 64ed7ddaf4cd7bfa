//! `haul credentials`: what the vault holds, without a value, and what can be done about it.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::{CredentialsArgs, CredentialsVerb, JobArgs, TestArgs};
use super::failure::{Exit, Failure};
use super::login::open;
use super::output::columns;
use super::signals::{interrupted, until_signalled};
use crate::auth::{CredentialState, HeldBecause, Issuer, Summary, Vault};
use crate::job::load;
use crate::limits::SECRET_FILE_BYTES_MAX;
use crate::secret::Secret;

pub(super) async fn run(around: Surroundings, args: CredentialsArgs) -> Result<Exit, Failure> {
    match args.verb.unwrap_or(CredentialsVerb::List) {
        CredentialsVerb::List => list(&around).await,
        CredentialsVerb::Test(args) => test(&around, &args).await,
        CredentialsVerb::Import(args) => import(&around, &args).await,
        CredentialsVerb::RotateKey => rotate_key(&around).await,
        CredentialsVerb::Takeover(args) => takeover(&around, &args).await,
    }
}

async fn list(around: &Surroundings) -> Result<Exit, Failure> {
    let records = around.settings.open_records().await?;
    let summaries = around.settings.open_vault(&records).await?.list().await?;
    if around.output.is_json {
        around.output.json(&summaries);
        return Ok(Exit::Done);
    }
    if summaries.is_empty() {
        around.output.line("no credential is stored; `haul login JOBFILE` stores the first");
        return Ok(Exit::Done);
    }
    let titles = ["CREDENTIAL", "FOR", "STATE", "ACCESS TOKEN UNTIL", "REFRESH TOKEN UNTIL", "LAST"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(summaries.iter().map(row));
    for line in columns(&rows, &[false; 6]) {
        around.output.line(line);
    }
    for summary in &summaries {
        if let Some(advice) = advice(summary) {
            around.output.note(format!("{}: {advice}", summary.id));
        }
    }
    Ok(Exit::Done)
}

fn row(summary: &Summary) -> Vec<String> {
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
    };
    let refresh_token = match summary.refresh_token_void_at {
        None if summary.has_refresh_token => "not known".to_owned(),
        void_at => time(void_at),
    };
    let last = summary.outcomes.last();
    let last = last.map_or_else(|| "-".to_owned(), |outcome| format!("{} {}", time(Some(outcome.at)), outcome.what));
    let state = summary.state.word().to_owned();
    vec![summary.id.clone(), summary.bound_to.clone(), state, time(summary.expires_at), refresh_token, last]
}

fn advice(summary: &Summary) -> Option<&'static str> {
    match (summary.state, summary.held_because) {
        (CredentialState::Held, Some(HeldBecause::ForeignIntent)) => Some(
            "another host did not finish a refresh: start haul there once, or, if it is gone for good, \
             `haul credentials takeover JOBFILE`",
        ),
        (CredentialState::Held, _) => Some(
            "this record is older than what was seen here, or its store is a copy: `haul login JOBFILE`, or, if no \
             other haul uses it, `haul credentials takeover JOBFILE`",
        ),
        (CredentialState::Reauth, _) => Some("`haul login JOBFILE`"),
        (CredentialState::Idle | CredentialState::Intent, _) => None,
    }
}

async fn test(around: &Surroundings, args: &TestArgs) -> Result<Exit, Failure> {
    let output = around.output;
    let cancel = CancellationToken::new();
    let mut reports = Vec::new();
    let mut worst = None;
    for file in &args.files {
        let tested = until_signalled(output, &cancel, async {
            tokio::select! {
                tested = test_one(around, file, args) => Some(tested),
                () = cancel.cancelled() => None,
            }
        });
        let shown = file.display().to_string();
        match tested.await?.ok_or_else(interrupted)? {
            Ok(summary) => {
                if !output.is_json {
                    output.line(format!("{shown}: {}", tested_line(&summary)));
                }
                reports.push(json!({ "file": shown, "outcome": "good", "credential": summary }));
            }
            Err(failure) => {
                if !output.is_json {
                    output.failure(&Failure { error: format!("{shown}: {}", failure.error), ..failure.clone() });
                }
                reports
                    .push(json!({ "file": shown, "outcome": "failed", "error": failure.error, "hint": failure.hint }));
                worst.get_or_insert(failure.exit);
            }
        }
    }
    if output.is_json {
        output.json(&reports);
    }
    Ok(worst.unwrap_or(Exit::Done))
}

fn tested_line(summary: &Summary) -> String {
    match summary.expires_at {
        Some(at) => format!("good until {}", at.format("%Y-%m-%d %H:%M:%SZ")),
        None => "good; the provider does not say for how long".to_owned(),
    }
}

async fn test_one(around: &Surroundings, file: &Path, args: &TestArgs) -> Result<Summary, Failure> {
    let (issuer, vault) = opened(around, file, &args.set).await?;
    vault.test(&issuer, args.new).await?;
    let summary = vault.summary(&issuer).await?;
    summary.ok_or_else(|| Failure::failed("the record of the credential is gone"))
}

async fn opened(
    around: &Surroundings,
    file: &Path,
    set: &[(String, String)],
) -> Result<(Arc<Issuer>, Arc<Vault>), Failure> {
    let job = load(file, set)?;
    open(around, &job).await
}

async fn import(around: &Surroundings, args: &JobArgs) -> Result<Exit, Failure> {
    let (issuer, vault) = opened(around, &args.file, &args.set).await?;
    if !issuer.needs_login() {
        return Err(Failure::usage("the job's grant uses no refresh token: there is nothing to import"));
    }
    if std::io::stdin().is_terminal() {
        around.output.note("Paste the refresh token, then press Enter and Ctrl-D (it shows on the screen):");
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(SECRET_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed("standard input cannot be read").cause(&error))?;
    let token = refresh_token(&text)
        .ok_or_else(|| Failure::usage("standard input holds no refresh token"))
        .map_err(|failure| failure.hint("give the token alone, or a token answer with `refresh_token` in JSON"))?;
    vault.import(&issuer, token).await?;
    let id = issuer.identity().id;
    if around.output.is_json {
        around.output.json(&json!({ "credential": id, "outcome": "imported" }));
    } else {
        around.output.line("imported; haul alone may use it from now on, because every use replaces it");
    }
    Ok(Exit::Done)
}

/// The token alone, or a token answer as the provider gave it.
fn refresh_token(text: &str) -> Option<Secret> {
    let text = text.trim();
    let token = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(answer)) => answer.get("refresh_token")?.as_str()?.to_owned(),
        Ok(serde_json::Value::String(token)) => token,
        _ => text.to_owned(),
    };
    let is_one_word = !token.is_empty() && !token.contains(char::is_whitespace);
    is_one_word.then(|| Secret::new(token))
}

async fn rotate_key(around: &Surroundings) -> Result<Exit, Failure> {
    let records = around.settings.open_records().await?;
    let count = around.settings.rotate_key(&records).await?;
    if around.output.is_json {
        around.output.json(&json!({ "outcome": "rotated", "credentials": count }));
    } else {
        around.output.line(format!("{count} credentials are sealed with the new key"));
    }
    Ok(Exit::Done)
}

async fn takeover(around: &Surroundings, args: &JobArgs) -> Result<Exit, Failure> {
    let (issuer, vault) = opened(around, &args.file, &args.set).await?;
    let is_taken = vault.take_over(&issuer).await?;
    let id = issuer.identity().id;
    let (outcome, text) = if is_taken {
        ("taken_over", "this haul goes on with what is stored here")
    } else {
        ("nothing", "nothing is stored to go on with: `haul login JOBFILE`")
    };
    if around.output.is_json {
        around.output.json(&json!({ "credential": id, "outcome": outcome }));
    } else {
        around.output.line(text);
    }
    Ok(if is_taken { Exit::Done } else { Exit::Login })
}
