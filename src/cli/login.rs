//! `haul login` and `haul logout`.

use std::io::BufRead;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::{JobArgs, LoginArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::signals::{interrupted, until_signalled};
use crate::auth::{Issuer, Login, Revoked, Vault};
use crate::engine::open_issuer;
use crate::job::load;
use crate::model::plan::{Auth, Job};

pub(super) async fn login(around: Surroundings, args: LoginArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let (issuer, vault) = open(&around, &job).await?;
    let Some(login) = Login::begin(&issuer, &vault).await? else {
        return Err(Failure::usage(format!("job `{}` uses client credentials: it needs no login", job.name)));
    };
    let is_pasted = args.paste || !login.is_listening();
    let output = around.output;
    output.note("Log in with your browser at this address:");
    output.note(format!("\n  {}\n", login.url()));
    let cancel = CancellationToken::new();
    if is_pasted {
        output.note("Then copy the whole address of the page where the browser ended (it may say that it cannot");
        output.note("be reached: that is all right) and paste it here:");
        let pasted = until_signalled(output, &cancel, read_line()).await??;
        login.finish_by_paste(&pasted).await?;
    } else {
        if !args.no_browser && webbrowser::open(login.url().as_str()).is_err() {
            output.note("No browser could be opened here: open the address by hand, or use `--paste`.");
        }
        let finished = until_signalled(output, &cancel, async {
            tokio::select! {
                finished = login.finish_by_redirect() => Some(finished),
                () = cancel.cancelled() => None,
            }
        });
        finished.await?.ok_or_else(interrupted)??;
    }
    done(
        output,
        &issuer,
        "logged in",
        &format!("logged in; `haul run {}` uses it from now on", args.job.file.display()),
    );
    Ok(Exit::Done)
}

pub(super) async fn logout(around: Surroundings, args: JobArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let (issuer, vault) = open(&around, &job).await?;
    let (what, text) = match vault.logout(&issuer).await? {
        Some(Revoked::AtProvider) => ("revoked", "the tokens are revoked and forgotten"),
        Some(Revoked::HereOnly) => (
            "forgotten",
            "the tokens are forgotten here; the job names no `revoke_url`, so the provider still knows them",
        ),
        None => ("nothing", "there were no tokens"),
    };
    done(around.output, &issuer, what, text);
    Ok(Exit::Done)
}

fn done(output: Output, issuer: &Issuer, what: &str, text: &str) {
    if output.is_json {
        output.json(&json!({ "credential": issuer.identity().id, "outcome": what }));
    } else {
        output.line(text);
    }
}

pub(super) async fn open(around: &Surroundings, job: &Job) -> Result<(Arc<Issuer>, Arc<Vault>), Failure> {
    let Auth::Oauth2(plan) = &job.source.auth else {
        return Err(Failure::usage(format!("job `{}` does not use OAuth2: there is nothing to log in to", job.name)));
    };
    let issuer = open_issuer(job, plan)?;
    let records = around.settings.open_records().await?;
    let vault = around.settings.open_vault(&records).await?;
    Ok((issuer, vault))
}

/// A line from standard input, read on a thread that a signal may leave behind.
async fn read_line() -> Result<String, Failure> {
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_line(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    match line.await {
        Ok(Ok(text)) if !text.trim().is_empty() => Ok(text),
        Ok(Ok(_)) => Err(Failure::usage("nothing was pasted")),
        Ok(Err(error)) => Err(Failure::failed("standard input cannot be read").cause(&error)),
        Err(_) => Err(Failure::failed("standard input cannot be read")),
    }
}
