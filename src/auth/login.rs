//! The authorization code flow for a person: a URL for the browser, then the redirect, caught on loopback (RFC 8252)
//! or pasted by hand.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::Url;

use super::error::Error;
use super::issuer::{Issuer, WayIn};
use super::oauth2::{Authorization, Oauth2Client, Sender};
use super::record::Identity;
use super::vault::Vault;
use crate::limits::LOGIN_WAIT_MAX;
use crate::model::credential::Redirect;
use crate::secret::Secret;

/// A login under way. Nothing is stored before it is finished.
pub(crate) struct Login<'a> {
    client: &'a Oauth2Client,
    vault: &'a Vault,
    identity: Identity,
    authorization: Authorization,
    redirect: Url,
    /// Absent = the redirect goes to an address that is not ours.
    listener: Option<TcpListener>,
}

/// The query of a redirect whose `state` is ours.
pub(super) enum Answer {
    Code(Secret),
    Refused(String),
}

impl<'a> Login<'a> {
    /// Prepares the request and, for a loopback redirect, opens the port first: the provider must find it.
    /// `None` = nobody logs in with a browser here.
    pub(crate) async fn begin(issuer: &'a Issuer, vault: &'a Vault) -> Result<Option<Login<'a>>, Error> {
        if issuer.way_in() != WayIn::Browser {
            return Ok(None);
        }
        let Some(client) = issuer.oauth2().await? else { return Ok(None) };
        let (listener, redirect) = match client.redirect() {
            Redirect::Registered(url) => (None, url.clone()),
            Redirect::AnyPort => listen(0).await?,
            Redirect::Port(port) => listen(*port).await?,
        };
        let authorization = client.authorize(&redirect).await?;
        Ok(Some(Login { client, vault, identity: issuer.identity(), authorization, redirect, listener }))
    }

    /// Where the person logs in.
    pub(crate) fn url(&self) -> &Url {
        &self.authorization.url
    }

    /// Whether the browser's redirect comes back to this process.
    pub(crate) fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    /// Waits for the browser's redirect and stores the tokens.
    pub(crate) async fn finish_by_redirect(mut self) -> Result<(), Error> {
        let listener = self.listener.take().expect("the caller asked `is_listening`");
        let caught = Arc::new(Caught { answer: Mutex::default(), arrived: Notify::new(), expect: self.expectation() });
        let waiting = Arc::clone(&caught);
        let server =
            axum::serve(listener, Router::new().route("/callback", get(catch)).with_state(Arc::clone(&caught)))
                .with_graceful_shutdown(async move { waiting.arrived.notified().await });
        let served = tokio::time::timeout(LOGIN_WAIT_MAX, server.into_future()).await;
        let answer = caught.answer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match (answer, served) {
            (Some(answer), _) => self.finish(answer).await,
            (None, _) => Err(Error::LoginTimedOut { seconds: LOGIN_WAIT_MAX.as_secs() }),
        }
    }

    /// Takes the address at which the browser ended, and stores the tokens.
    pub(crate) async fn finish_by_paste(self, pasted: &str) -> Result<(), Error> {
        let url: Url = pasted.trim().parse().map_err(|_| Error::Pasted {
            why: "the whole address of the page where the browser ended is needed, with `code=` and `state=`",
        })?;
        let expect = self.expectation();
        let answer = expect.read(url.query().unwrap_or_default()).map_err(|why| Error::Pasted { why })?;
        self.finish(answer).await
    }

    async fn finish(self, answer: Answer) -> Result<(), Error> {
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Refused(why) => return Err(Error::LoginRefused { why }),
        };
        let granted = self.client.exchange_code(&code, self.authorization.verifier, &self.redirect).await;
        self.vault.store_login(&self.identity, granted.into_login()?, self.client.rotation().idle).await
    }

    fn expectation(&self) -> Expectation {
        Expectation { state: self.authorization.state.clone(), sender: self.authorization.sender.clone() }
    }
}

async fn listen(port: u16) -> Result<(Option<TcpListener>, Url), Error> {
    let wrong = |source| Error::RedirectPort { port, source };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(wrong)?;
    let port = listener.local_addr().map_err(wrong)?.port();
    let url = format!("http://127.0.0.1:{port}/callback").parse().expect("a URL of fixed shape");
    Ok((Some(listener), url))
}

/// What makes a redirect ours.
pub(super) struct Expectation {
    pub state: String,
    pub sender: Sender,
}

impl Expectation {
    pub(super) fn read(&self, query: &str) -> Result<Answer, &'static str> {
        let value = |wanted: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        if value("state").as_deref() != Some(self.state.as_str()) {
            return Err("its `state` is not that of this login");
        }
        self.sender.admit(value("iss").as_deref())?;
        if let Some(error) = value("error") {
            let why = match value("error_description") {
                Some(description) => format!("{error} ({description})"),
                None => error,
            };
            return Ok(Answer::Refused(crate::http::excerpt(why.as_bytes())));
        }
        value("code").map(|code| Answer::Code(Secret::new(code))).ok_or("it holds no `code`")
    }
}

impl Sender {
    /// RFC 9207: an answer of another server must not be redeemed at this one (mix-up).
    fn admit(&self, named: Option<&str>) -> Result<(), &'static str> {
        let is_ours = match (self, named) {
            (Sender::Issuer { issuer, .. }, Some(named)) => named == issuer,
            (Sender::Issuer { is_named_always: true, .. }, None) => {
                return Err("it does not say which authorization server it comes from (`iss`)");
            }
            (Sender::SameOrigin(url), Some(named)) => {
                named.parse::<Url>().is_ok_and(|named| named.origin() == url.origin())
            }
            (Sender::Issuer { .. } | Sender::SameOrigin(_), None) => true,
        };
        if is_ours { Ok(()) } else { Err("it comes from another authorization server (`iss`)") }
    }
}

struct Caught {
    answer: Mutex<Option<Answer>>,
    arrived: Notify,
    expect: Expectation,
}

async fn catch(State(caught): State<Arc<Caught>>, RawQuery(query): RawQuery) -> (StatusCode, Html<&'static str>) {
    match caught.expect.read(&query.unwrap_or_default()) {
        Ok(answer) => {
            let page = match &answer {
                Answer::Code(_) => "<!doctype html><title>haul</title><p>Logged in. You can close this page.</p>",
                Answer::Refused(_) => {
                    "<!doctype html><title>haul</title><p>The login was refused. You can close this page.</p>"
                }
            };
            *caught.answer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(answer);
            caught.arrived.notify_one();
            (StatusCode::OK, Html(page))
        }
        // A stray or forged request: answered, and the wait goes on.
        Err(_) => (
            StatusCode::BAD_REQUEST,
            Html("<!doctype html><title>haul</title><p>This is not the answer haul waits for.</p>"),
        ),
    }
}
