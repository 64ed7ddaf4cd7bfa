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
use crate::auth::{DeviceLogin, Issuer, Login, Revoked, Vault, WayIn};
use crate::engine::issuer_of;
use crate::job::load;
use crate::model::plan::Job;

pub(super) async fn login(around: Surroundings, args: LoginArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let file = args.job.file.display().to_string();
    let issuer = log_in(&around, &job, &file, &args).await?;
    done(around.output, &issuer, "logged in", &format!("logged in; `haul run {file}` uses it from now on"));
    Ok(Exit::Done)
}

/// Logs in for a job that stands, or will stand, in this file.
pub(super) async fn log_in(
    around: &Surroundings,
    job: &Job,
    file: &str,
    args: &LoginArgs,
) -> Result<Arc<Issuer>, Failure> {
    let (issuer, vault) = open(around, job).await?;
    match issuer.way_in() {
        WayIn::Unneeded => {
            return Err(Failure::usage(format!("job `{}` buys its tokens by itself: it needs no login", job.name)));
        }
        WayIn::Import => {
            return Err(Failure::usage(format!("job `{}` uses a refresh token from elsewhere", job.name))
                .hint(format!("bring it in with `haul credentials import {file}`")));
        }
        WayIn::Browser if !args.device => log_in_by_browser(around.output, &issuer, &vault, args).await?,
        WayIn::Browser | WayIn::Device => log_in_by_device(around.output, &issuer, &vault).await?,
    }
    Ok(issuer)
}

async fn log_in_by_browser(output: Output, issuer: &Issuer, vault: &Vault, args: &LoginArgs) -> Result<(), Failure> {
    let login = Login::begin(issuer, vault).await?.expect("the way in was asked for");
    show_host(output, issuer);
    let is_pasted = args.paste || !login.is_listening();
    let cancel = CancellationToken::new();
    if is_pasted {
        let pasted = until_signalled(output, &cancel, async {
            ask_to_log_in(output, &login);
            output.note("Then copy the whole address of the page where the browser ended (it may say that it cannot");
            output.note("be reached: that is all right) and paste it here:");
            read_line().await
        });
        let pasted = pasted.await??;
        login.finish_by_paste(&pasted).await?;
        return Ok(());
    }
    unless_signalled(output, &cancel, async {
        ask_to_log_in(output, &login);
        if !args.no_browser && webbrowser::open(login.url().as_str()).is_err() {
            output.note("No browser could be opened here: open the address by hand, or use `--paste`.");
        }
        login.finish_by_redirect().await
    })
    .await
}

fn ask_to_log_in(output: Output, login: &Login<'_>) {
    output.note("Log in with your browser at this address:");
    output.address(login.url());
}

async fn log_in_by_device(output: Output, issuer: &Issuer, vault: &Vault) -> Result<(), Failure> {
    let cancel = CancellationToken::new();
    let login = DeviceLogin::begin(issuer, vault).await?;
    show_host(output, issuer);
    unless_signalled(output, &cancel, async {
        output.note("On any device, open this address in a browser:");
        output.note(format!("\n  {}\n", login.url()));
        output.note("and type this code:");
        output.note(format!("\n  {}\n", login.user_code()));
        if let Some(url) = login.url_with_code() {
            output.note(format!("or open this address, which holds the code:\n\n  {url}\n"));
        }
        login.finish().await
    })
    .await
}

/// A host that the job does not name is shown before anybody types a password there.
fn show_host(output: Output, issuer: &Issuer) {
    if let Some(host) = issuer.discovered_host() {
        output.note(format!("The service names {host} as its login."));
    }
}

/// Waits for a person; a signal ends the wait at once, and nothing is stored.
async fn unless_signalled(
    output: Output,
    cancel: &CancellationToken,
    login: impl Future<Output = Result<(), crate::auth::Error>>,
) -> Result<(), Failure> {
    let finished = until_signalled(output, cancel, async {
        tokio::select! {
            finished = login => Some(finished),
            () = cancel.cancelled() => None,
        }
    });
    Ok(finished.await?.ok_or_else(interrupted)??)
}

pub(super) async fn logout(around: Surroundings, args: JobArgs) -> Result<Exit, Failure> {
    let job = load(&args.file, &args.set)?;
    let (issuer, vault) = open(&around, &job).await?;
    let (what, text) = match vault.logout(&issuer).await? {
        Some(Revoked::AtProvider) => ("revoked", "the tokens are revoked and forgotten"),
        Some(Revoked::HereOnly) => (
            "forgotten",
            "the tokens are forgotten here; there is no revocation endpoint, so the provider still knows them",
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
    let Some(issuer) = issuer_of(job)? else {
        return Err(Failure::usage(format!(
            "job `{}` has a fixed credential: there is nothing to log in to",
            job.name
        )));
    };
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
