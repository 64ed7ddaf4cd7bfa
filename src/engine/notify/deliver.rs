//! Brings a notice to a receiver. No error of this file names an address.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::notice::Notice;
use super::{command, shape};
use crate::engine::credential::open_network;
use crate::engine::run::text_of;
use crate::http::{Hook, HookError, Network, hook_url};
use crate::job::load::{SecretError, Secrets};
use crate::model::notify::{HeaderText, Receiver, Signal, To};
use crate::model::plan::{Job, SecretSource, TextSource};

/// Why a receiver was told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotTold {
    pub why: String,
    /// What to do, where we know it.
    pub hint: Option<String>,
}

impl NotTold {
    fn new(why: impl Into<String>) -> Self {
        NotTold { why: why.into(), hint: None }
    }
}

impl From<HookError> for NotTold {
    fn from(error: HookError) -> Self {
        NotTold { why: error.to_string(), hint: error.hint() }
    }
}

impl From<SecretError> for NotTold {
    fn from(error: SecretError) -> Self {
        NotTold { why: text_of(&error), hint: error.hint() }
    }
}

/// Tells one receiver of one event.
pub(super) async fn tell(job: &Job, receiver: &Receiver, notice: &Notice) -> Result<(), NotTold> {
    match &receiver.to {
        To::Teams(url) => {
            let hook = secret_hook(job, receiver, url)?;
            post(&hook, HeaderMap::new(), &shape::teams(notice)).await
        }
        To::Slack(url) => {
            let hook = secret_hook(job, receiver, url)?;
            post(&hook, HeaderMap::new(), &shape::slack(notice)).await
        }
        To::Webhook { url, headers } => {
            let mut sent = HeaderMap::new();
            for (name, value) in headers {
                sent.insert(header_name(name)?, header_value(name, value)?);
            }
            post(&hook_of(job, receiver, url)?, sent, &notice.document()).await
        }
        To::Command(words) => {
            let document = notice.document().to_string();
            let told = command::tell(words, &job.name, notice.event.word(), document.as_bytes()).await;
            told.map_err(NotTold::new)
        }
        // It hears of runs, not of events; a test asks it once.
        To::Ping { signals, .. } => {
            let signal = signals.first().copied().unwrap_or(Signal::Success);
            ping(job, receiver, signal).await.unwrap_or(Ok(()))
        }
    }
}

/// Tells a dead-man check. `None` = the receiver is none, or does not hear of this.
pub(super) async fn ping(job: &Job, receiver: &Receiver, signal: Signal) -> Option<Result<(), NotTold>> {
    let To::Ping { url, signals } = &receiver.to else { return None };
    if !signals.contains(&signal) {
        return None;
    }
    let told = async {
        let hook = match (signal, Secrets::resolve_text(url)?) {
            (Signal::Success, text) => open(job, receiver, &text, is_secret(url))?,
            (Signal::Start | Signal::Fail, text) => {
                let mut below = checked(receiver, &text)?;
                let path = format!("{}/{}", below.path().trim_end_matches('/'), signal.word());
                below.set_path(&path);
                open(job, receiver, below.as_str(), is_secret(url))?
            }
        };
        Ok(hook.send(&Method::GET, &HeaderMap::new(), None).await?)
    };
    Some(told.await)
}

async fn post(hook: &Hook, mut headers: HeaderMap, document: &Value) -> Result<(), NotTold> {
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let body = Bytes::from(document.to_string());
    Ok(hook.send(&Method::POST, &headers, Some(body)).await?)
}

fn is_secret(url: &TextSource) -> bool {
    matches!(url, TextSource::Reference(_))
}

fn secret_hook(job: &Job, receiver: &Receiver, url: &SecretSource) -> Result<Hook, NotTold> {
    open(job, receiver, Secrets::resolve(url)?.expose(), true)
}

fn hook_of(job: &Job, receiver: &Receiver, url: &TextSource) -> Result<Hook, NotTold> {
    open(job, receiver, &Secrets::resolve_text(url)?, is_secret(url))
}

fn checked(receiver: &Receiver, text: &str) -> Result<url::Url, NotTold> {
    hook_url(text, receiver.is_http_allowed).map_err(|error| {
        let why = format!("its address cannot be used: {error}");
        NotTold { why, hint: error.hint().map(str::to_owned) }
    })
}

fn open(job: &Job, receiver: &Receiver, text: &str, is_secret: bool) -> Result<Hook, NotTold> {
    let url = checked(receiver, text)?;
    let network: Arc<Network> = open_network(job).map_err(|error| NotTold::new(text_of(&error)))?;
    Ok(Hook::open(url, is_secret, &network)?)
}

fn header_name(name: &str) -> Result<HeaderName, NotTold> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotTold::new(format!("`{name}` cannot be a header's name")))
}

fn header_value(name: &str, value: &HeaderText) -> Result<HeaderValue, NotTold> {
    let mut text = value.text.clone();
    if let Some(secret) = &value.secret {
        text.push_str(Secrets::resolve(secret)?.expose());
    }
    let wrong = |_| NotTold::new(format!("the value of the header `{name}` cannot be sent"));
    let mut sent = HeaderValue::from_str(&text).map_err(wrong)?;
    sent.set_sensitive(value.secret.is_some());
    Ok(sent)
}
