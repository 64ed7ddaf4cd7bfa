//! The login of a job's credential from the page: the person goes to the provider with their own browser, and comes back to this
//! process, to this page, or with an address to paste.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::Site;
use super::guard::Fields;
use super::overview::zone_of;
use super::view::{Problem, TheSite, instant, see_other};
use crate::auth::{CredentialState, DeviceLogin, HeldBecause, Issuer, Login, Summary, Vault, WayIn};
use crate::daemon::board::Seat;
use crate::engine::{issuer_of, text_of};
use crate::limits::{LOGIN_WAIT_MAX, LOGINS_MAX};

/// Logins that are under way or just over, by job.
#[derive(Default)]
pub(super) struct Logins(Mutex<BTreeMap<String, Going>>);

/// A login.
struct Going {
    began: Instant,
    /// Where the person logs in.
    url: Url,
    /// What they type there. Absent = nothing.
    code: Option<String>,
    /// Where the browser's address goes that they paste. Absent = the browser comes back by itself.
    pasted: Option<mpsc::Sender<String>>,
    /// Absent = it is under way.
    outcome: Arc<Mutex<Option<Result<(), String>>>>,
}

/// What a person needs to go on.
struct Begun {
    url: Url,
    code: Option<String>,
    is_pasted: bool,
}

impl Logins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Going>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Going {
    fn is_over(&self) -> bool {
        self.began.elapsed() > LOGIN_WAIT_MAX
    }

    fn outcome(&self) -> Option<Result<(), String>> {
        self.outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn state(&self) -> Option<String> {
        self.url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned())
    }
}

/// The credential of a job as its page shows it.
pub(super) async fn credential_of(site: &Site, seat: &Seat, now: DateTime<Utc>) -> Value {
    let issuer = match issuer_of(&seat.job) {
        Ok(Some(issuer)) => issuer,
        Ok(None) => return json!({ "is_fixed": true }),
        Err(error) => return json!({ "wrong": text_of(&error) }),
    };
    let summary = match site.vault().await {
        Ok(vault) => vault.summary(&issuer).await.map_err(|error| text_of(&error)),
        Err(why) => Err(why),
    };
    let mut shown = match summary {
        Ok(Some(summary)) => summary_of(&summary, now, zone_of(seat)),
        Ok(None) => json!({
            "state": if issuer.needs_login() { "no login yet" } else { "no token yet" },
            "class": if issuer.needs_login() { "wait" } else { "idle" },
            "bound_to": issuer.identity().bound_to,
        }),
        Err(why) => return json!({ "wrong": why }),
    };
    shown["way"] = json!(match issuer.way_in() {
        WayIn::Browser => Some("browser"),
        WayIn::Device => Some("device"),
        WayIn::Import => Some("import"),
        WayIn::Unneeded => None,
    });
    let mut logins = site.logins.lock();
    logins.retain(|_, login| !login.is_over());
    if let Some(login) = logins.get(&seat.job.name) {
        shown["login"] = json!({
            "url": login.url.as_str(),
            "host": login.url.host_str(),
            "code": login.code,
            "is_pasted": login.pasted.is_some(),
            "is_done": login.outcome() == Some(Ok(())),
            "wrong": login.outcome().and_then(Result::err),
        });
    }
    shown
}

/// A credential without its values.
pub(super) fn summary_of(summary: &Summary, now: DateTime<Utc>, zone: Tz) -> Value {
    let class = match summary.state {
        CredentialState::Idle => "good",
        CredentialState::Intent => "idle",
        CredentialState::Held => "wait",
        CredentialState::Reauth => "bad",
    };
    let advice = match (summary.state, summary.held_because) {
        (CredentialState::Held, Some(HeldBecause::ForeignIntent)) => Some(
            "Another host did not finish a refresh: start haul there once, or, if it is gone for good, use `haul credentials takeover`.",
        ),
        (CredentialState::Held, _) => Some(
            "This record is older than what was seen here, or its store is a copy: log in again, or, if no other haul uses it, \
             use `haul credentials takeover`.",
        ),
        (CredentialState::Reauth, _) => Some("The provider takes no token any more: log in again."),
        (CredentialState::Idle | CredentialState::Intent, _) => None,
    };
    let at = |at: Option<DateTime<Utc>>| at.map(|at| instant(at, now, zone));
    json!({
        "id": summary.id,
        "bound_to": summary.bound_to,
        "client_id": summary.client_id,
        "grant": summary.grant,
        "state": summary.state.word(),
        "class": class,
        "advice": advice,
        "expires": at(summary.expires_at),
        "refreshed": at(summary.refreshed_at),
        "refresh_until": at(summary.refresh_token_void_at),
        "has_refresh_token": summary.has_refresh_token,
        "last": summary.outcomes.last().map(|outcome| json!({ "at": instant(outcome.at, now, zone), "what": outcome.what })),
    })
}

/// Begins a login; the job's page then shows where to go.
pub(super) async fn begin(State(site): TheSite, Path(job): Path<String>) -> Result<Response, Problem> {
    let seat = site.seat(&job)?;
    let issuer = issuer_of(&seat.job).map_err(|error| Problem::failed(&error))?;
    let issuer = issuer.ok_or_else(|| Problem::conflict(format!("“{job}” has a fixed credential.")))?;
    let vault = Arc::clone(site.vault().await.map_err(Problem::not_now)?);
    if site.logins.lock().len() >= LOGINS_MAX {
        return Err(Problem::not_now("Too many logins are under way: try again in some minutes."));
    }
    let outcome = Arc::new(Mutex::new(None));
    let (pasted, received) = mpsc::channel(1);
    let (told, begun) = oneshot::channel();
    let (over, changed) = (Arc::clone(&outcome), Arc::clone(&site));
    tokio::spawn(async move {
        let done = log_in(&issuer, &vault, told, received).await;
        *over.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(done);
        changed.web.board.changed();
    });
    let begun = match begun.await {
        Ok(begun) => begun,
        // It ended before anybody could go anywhere.
        Err(_) => {
            let why = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            let why = why.and_then(Result::err).unwrap_or_else(|| "nobody logs in with a browser here".to_owned());
            return Err(Problem::conflict(why));
        }
    };
    let going = Going {
        began: Instant::now(),
        url: begun.url,
        code: begun.code,
        pasted: begun.is_pasted.then_some(pasted),
        outcome,
    };
    site.logins.lock().insert(job.clone(), going);
    Ok(see_other(&format!("/jobs/{job}#credential")))
}

async fn log_in(
    issuer: &Issuer,
    vault: &Vault,
    told: oneshot::Sender<Begun>,
    mut pasted: mpsc::Receiver<String>,
) -> Result<(), String> {
    let wrong = |error: crate::auth::Error| text_of(&error);
    match issuer.way_in() {
        WayIn::Browser => {
            let login =
                Login::begin(issuer, vault).await.map_err(wrong)?.ok_or("nobody logs in with a browser here")?;
            let (url, is_pasted) = (login.url().clone(), !login.is_listening());
            let _ = told.send(Begun { url, code: None, is_pasted });
            if !is_pasted {
                return login.finish_by_redirect().await.map_err(wrong);
            }
            match tokio::time::timeout(LOGIN_WAIT_MAX, pasted.recv()).await {
                Ok(Some(address)) => login.finish_by_paste(&address).await.map_err(wrong),
                Ok(None) | Err(_) => Err("nobody came back in time".to_owned()),
            }
        }
        WayIn::Device => {
            let login = DeviceLogin::begin(issuer, vault).await.map_err(wrong)?;
            let url = login.url_with_code().unwrap_or(login.url()).clone();
            let _ = told.send(Begun { url, code: Some(login.user_code().to_owned()), is_pasted: false });
            login.finish().await.map_err(wrong)
        }
        WayIn::Import => {
            Err("its refresh token comes from elsewhere: `haul credentials import` brings it in".to_owned())
        }
        WayIn::Unneeded => Err("it buys its tokens by itself, and needs no login".to_owned()),
    }
}

/// The address at which the browser ended.
pub(super) async fn paste(
    State(site): TheSite,
    Path(job): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Problem> {
    come_back(&site, &job, fields.get("address").to_owned()).await
}

/// Where a provider sends the browser whose client has this page's address registered as its redirect.
pub(super) async fn callback(State(site): TheSite, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let state = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    let state = state.map(|(_, value)| value.into_owned());
    let job = {
        let logins = site.logins.lock();
        let ours = logins.iter().find(|(_, login)| state.is_some() && login.state() == state);
        ours.map(|(job, _)| job.clone())
    };
    let Some(job) = job else {
        return Err(Problem::refused("This is not the answer of a login that was begun here."));
    };
    // Only its query is looked at.
    come_back(&site, &job, format!("https://haul.invalid/callback?{query}")).await
}

async fn come_back(site: &Site, job: &str, address: String) -> Result<Response, Problem> {
    let (pasted, outcome) = {
        let logins = site.logins.lock();
        let login = logins.get(job).ok_or_else(|| Problem::conflict("No login is under way: begin it again."))?;
        (login.pasted.clone(), Arc::clone(&login.outcome))
    };
    let pasted = pasted.ok_or_else(|| Problem::conflict("This login comes back by itself."))?;
    pasted.try_send(address).map_err(|_| Problem::conflict("The login is over: begin it again."))?;
    // The page that follows should say how it ended; a slow provider is shown as under way.
    for _ in 0..50 {
        if outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(see_other(&format!("/jobs/{job}#credential")))
}
