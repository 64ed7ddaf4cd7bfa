//! Notices: one small request to an address of the job, tried some times within a short while. Where it goes is a secret more
//! often than not, so no text of this file names it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::redirect::Policy;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::AddressKind;
use super::attempts::{Attempts, Contact};
use super::body::{BodyBound, read_bounded};
use super::client::{sending_error, status_error};
use super::deadline::{Deadline, StepLimit};
use super::error::Error;
use super::network::Network;
use super::origin::is_loopback;
use crate::limits::{NOTICE_ANSWER_BYTES_MAX, NOTICE_TRY_MAX, NOTICE_WAIT_MAX};
use crate::secret::{SafeUrl, Secret, mask};

/// Parts of a secret address that are masked by themselves; shorter ones are words such as `services`.
const SECRET_PART_CHARS_MIN: usize = 16;

/// Why an address takes no notices. Never holds the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HookUrlError {
    #[error("this is no address")]
    Unreadable,
    #[error("an address must not hold a user or password")]
    User,
    #[error("an address must not hold a fragment")]
    Fragment,
    #[error("plain http would show what is told to the network")]
    Plain,
    #[error("an address of notices has another scheme")]
    Scheme,
}

impl HookUrlError {
    /// What the user can do.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            HookUrlError::Unreadable => Some("write a whole address, for example `https://ops.example.com/hook`"),
            HookUrlError::User => Some("use `headers` with a reference: `Authorization: Basic ${NAME}`"),
            HookUrlError::Fragment => Some("remove `#` and what follows"),
            HookUrlError::Plain => {
                Some("use https; in a network that you trust, `allow_http: true` beside the address")
            }
            HookUrlError::Scheme => Some("write `https://…`"),
        }
    }
}

/// An address that notices may go to.
pub(crate) fn hook_url(text: &str, allow_http: bool) -> Result<Url, HookUrlError> {
    let url: Url = text.trim().parse().map_err(|_| HookUrlError::Unreadable)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HookUrlError::User);
    }
    if url.fragment().is_some() {
        return Err(HookUrlError::Fragment);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http || is_loopback(&url) => Ok(url),
        "http" => Err(HookUrlError::Plain),
        _ => Err(HookUrlError::Scheme),
    }
}

/// Why a notice was not taken, without the address.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct HookError {
    text: String,
    hint: Option<String>,
}

impl HookError {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn of(error: &Error) -> Self {
        let (text, hint) = match error {
            Error::Unreachable { source, .. } => (format!("it cannot be reached: {}", root(source)), None),
            Error::Broken { source, .. } => (format!("the connection broke: {}", root(source)), None),
            Error::NoConnection { waited, .. } => (format!("no connection within {waited:?}"), None),
            Error::TimedOut { waited, .. } | Error::TooSlow { waited, .. } => {
                (format!("no answer within {waited:?}"), None)
            }
            Error::Status { status, excerpt, .. } => {
                let excerpt = if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") };
                (format!("it answered {status}{excerpt}"), None)
            }
            Error::Redirect { .. } => (
                "it redirects to another address: refused".to_owned(),
                Some("write the address that it leads to".to_owned()),
            ),
            Error::AddressRefused { address, kind, .. } => {
                let hint = match kind {
                    AddressKind::Private | AddressKind::Shared | AddressKind::UniqueLocal => Some(
                        "if the receiver is in your own network, set `source.network.allow_private: true`".to_owned(),
                    ),
                    AddressKind::Public
                    | AddressKind::Loopback
                    | AddressKind::LinkLocal
                    | AddressKind::Multicast
                    | AddressKind::Unspecified
                    | AddressKind::Reserved
                    | AddressKind::Metadata => None,
                };
                (format!("its name leads to {address}, {kind}: refused, no request was sent"), hint)
            }
            Error::WaitTooLong { wait, .. } => (format!("it wants to be asked in {} s again", wait.as_secs()), None),
            Error::CaFile { .. } => (error.to_string(), None),
            Error::ForeignOrigin { .. }
            | Error::LinkTooLong { .. }
            | Error::LinkUnreadable { .. }
            | Error::Setup { .. }
            | Error::Unkept { .. }
            | Error::Redirects { .. }
            | Error::TooLarge { .. }
            | Error::Quota { .. }
            | Error::Waited
            | Error::UnknownCoding { .. }
            | Error::ManyCodings { .. }
            | Error::Undecodable { .. }
            | Error::Inflated { .. }
            | Error::Tape(_)
            | Error::Interrupted => ("the request cannot be made".to_owned(), None),
        };
        HookError { text: mask(&text), hint }
    }
}

/// The innermost cause: those around it repeat it, or name the address.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An address that takes notices.
pub(crate) struct Hook {
    inner: reqwest::Client,
    url: Url,
    network: std::sync::Arc<Network>,
}

impl Hook {
    /// A client for this address alone: no redirect is followed. A secret address is masked in what others say of it.
    pub(crate) fn open(url: Url, is_secret: bool, network: &std::sync::Arc<Network>) -> Result<Self, HookError> {
        if is_secret {
            let parts = url.path_segments().into_iter().flatten().map(str::to_owned);
            let values = url.query_pairs().map(|(_, value)| value.into_owned());
            let path = std::iter::once(url.path().to_owned());
            for part in path.chain(parts).chain(values).filter(|part| part.len() >= SECRET_PART_CHARS_MIN) {
                // Known to the mask from here on.
                drop(Secret::new(part));
            }
        }
        let is_tls = url.scheme() != "http";
        let builder = network.builder(&url, &url, is_tls).map_err(|error| HookError::of(&error))?;
        let client = builder.redirect(Policy::none()).build();
        let inner = client.map_err(|source| HookError::of(&Error::Setup { source }))?;
        Ok(Hook { inner, url, network: std::sync::Arc::clone(network) })
    }

    /// Sends until it is taken, for at most `NOTICE_WAIT_MAX`; any status below 300 means that it is.
    pub(crate) async fn send(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<(), HookError> {
        let end = Instant::now() + NOTICE_WAIT_MAX;
        let mut attempts = Attempts::new(NOTICE_WAIT_MAX);
        let mut last = None;
        let sent = timeout_at(end, async {
            loop {
                let error = match self.send_once(method, headers, body.clone()).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                };
                let asked = match &error {
                    Error::Status { retry_after: Some(wait), .. } => *wait,
                    _ => Duration::ZERO,
                };
                last = Some(HookError::of(&error));
                let wait = attempts.after(error, Contact::First).map_err(|error| HookError::of(&error))?;
                tokio::time::sleep(wait.max(asked)).await;
            }
        });
        match sent.await {
            Ok(sent) => sent,
            Err(_) => {
                Err(last
                    .unwrap_or_else(|| HookError { text: format!("no answer within {NOTICE_WAIT_MAX:?}"), hint: None }))
            }
        }
    }

    /// Sends once, for at most `NOTICE_TRY_MAX`: what nobody needs is not worth a wait.
    pub(crate) async fn send_once_only(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<(), HookError> {
        self.send_once(method, headers, body).await.map_err(|error| HookError::of(&error))
    }

    async fn send_once(&self, method: &Method, headers: &HeaderMap, body: Option<Bytes>) -> Result<(), Error> {
        let asked = SafeUrl::new(self.url.clone());
        let mut request = self.inner.request(method.clone(), self.url.clone()).headers(headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        let step = StepLimit { waited: NOTICE_TRY_MAX, name: "NOTICE_TRY_MAX" };
        let mut deadline = Deadline::new(&asked, Some(NOTICE_TRY_MAX));
        let sent = deadline.step(step, std::pin::pin!(request.send())).await?;
        let mut response = sent.map_err(|source| sending_error(&asked, self.network.waits(), source))?;
        let status = response.status();
        if status.is_success() {
            // It is taken, whatever it says beside that.
            return Ok(());
        }
        let headers = std::mem::take(response.headers_mut());
        let bound = BodyBound { bytes_max: NOTICE_ANSWER_BYTES_MAX, limit: "NOTICE_ANSWER_BYTES_MAX" };
        let body = read_bounded(response, &headers, &asked, bound, step, &mut deadline).await;
        let body = body.map(|body| Bytes::copy_from_slice(body.in_memory())).unwrap_or_default();
        let retry_after = headers.get(http::header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        Err(status_error(asked, status, &headers, retry_after.map(Duration::from_secs), None, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_whole_and_guarded() {
        let check = |text: &str, allow_http: bool, expect: Option<HookUrlError>| {
            assert_eq!(hook_url(text, allow_http).err(), expect, "{text}");
        };
        check("https://hooks.example.com/a?b=c", false, None);
        check("http://127.0.0.1:9/x", false, None);
        check("http://ops.example.com/x", true, None);
        check("http://ops.example.com/x", false, Some(HookUrlError::Plain));
        check("https://u:p@ops.example.com/x", false, Some(HookUrlError::User));
        check("https://ops.example.com/x#y", false, Some(HookUrlError::Fragment));
        check("ops.example.com/x", false, Some(HookUrlError::Unreadable));
        check("file:///etc/passwd", false, Some(HookUrlError::Scheme));
    }
}
