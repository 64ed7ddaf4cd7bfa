//! The REST services of Power BI and Fabric: one request at a time, with a token of the job's application, to the configured
//! origin only.

use std::collections::BTreeMap;

use ::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Refresher;
use super::error::{Error, Refusal};
use crate::auth::{Access, Kind};
use crate::engine::context::OpenError;
use crate::engine::credential::{open_entra, open_network};
use crate::http::{
    Body, BodyBound, Client, Connections, Error as HttpError, Origin, Pace, Request, Tape, request_id_of,
};
use crate::limits::{REFRESH_ANSWER_BYTES_MAX, REFRESH_TRIES_MAX};
use crate::model::credential::{Entra, TokenPlace};
use crate::model::plan::SourceLimits;
use crate::model::quota::{BudgetLimits, DayResets, QuotaHeaders};
use crate::model::refresh::PowerBi;
use crate::source::{Error as SourceError, Source};

/// Whom tokens for Fabric are for: <https://learn.microsoft.com/en-us/rest/api/fabric/articles/get-started/fabric-api-quickstart>.
const FABRIC_RESOURCE: &str = "https://api.fabric.microsoft.com";

/// One of both services.
pub(super) struct Service {
    source: Source,
    base: Url,
}

/// An answer with a status of success.
pub(super) struct Answer {
    /// Null = the body is empty or no JSON.
    pub document: Value,
    headers: HeaderMap,
}

impl Answer {
    /// What the service calls the exchange.
    pub(super) fn request_id(&self) -> Option<String> {
        request_id_of(&self.headers)
    }

    /// The last part of the address where the answer says its work can be seen. The address itself is not followed: it may be
    /// on another host, and the token is for this one.
    pub(super) fn location_id(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        let path = location.split(['?', '#']).next()?;
        let id = path.trim_end_matches('/').rsplit('/').next()?;
        let is_id = id.len() == 36 && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        is_id.then(|| id.to_owned())
    }

    /// When it wants to be asked again, in whole seconds.
    pub(super) fn look_after(&self) -> Option<Duration> {
        let seconds: u32 = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.into()))
    }
}

impl Service {
    pub(super) fn power_bi(refresher: &Refresher<'_>, plan: &PowerBi, wait: Duration) -> Result<Self, Error> {
        let base = below(&plan.api, "/v1.0/myorg/");
        Self::open(refresher, base, &plan.login, wait)
    }

    pub(super) fn fabric(refresher: &Refresher<'_>, plan: &PowerBi, wait: Duration) -> Result<Self, Error> {
        let login = Entra { resource: FABRIC_RESOURCE.to_owned(), ..plan.login.clone() };
        Self::open(refresher, below(&plan.fabric, "/v1/"), &login, wait)
    }

    /// `wait` is the longest that the service may ask for.
    fn open(refresher: &Refresher<'_>, base: Url, login: &Entra, wait: Duration) -> Result<Self, Error> {
        let issuer = Arc::new(open_entra(refresher.job, login, &base)?);
        let kind = Kind::Issued { issuer, vault: Arc::clone(&refresher.vault), place: TokenPlace::bearer() };
        let limits = SourceLimits {
            in_flight: 1,
            per_second: None,
            budget: BudgetLimits { per_minute: None, per_day: None, day_resets: DayResets::Rolling },
            shared_as: None,
            pause_max: wait,
            headers: QuotaHeaders::default(),
        };
        let network = open_network(refresher.job)?;
        let pace = Pace::new(&limits, None, refresher.telemetry.clone());
        let cancel: CancellationToken = refresher.cancel.clone();
        let origin = Origin::of(&base);
        let client = Client::open(&base, origin, &network, pace, Connections::Many, Tape::Off, cancel)
            .map_err(|error| OpenError::Run(error.into()))?;
        let source = Source::new(client, Access::new(kind), REFRESH_ANSWER_BYTES_MAX).with_tries(REFRESH_TRIES_MAX);
        Ok(Service { source, base })
    }

    pub(super) async fn get(&self, path: &str, query: &BTreeMap<&str, String>) -> Result<Answer, Error> {
        self.ask(Method::GET, path, query, None).await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        query: &BTreeMap<&str, String>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        self.ask(Method::POST, path, query, body).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &BTreeMap<&str, String>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut url = below(&self.base, &format!("{}{path}", self.base.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = HeaderMap::new();
        // Without a body there is its length, which some gateways want to hear of a POST.
        let body = body.map(Value::to_string);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = if method == Method::POST { Some(body.unwrap_or_default().into()) } else { None };
        let request = Request { method, url, headers, body };
        let bound = BodyBound { bytes_max: REFRESH_ANSWER_BYTES_MAX, limit: "REFRESH_ANSWER_BYTES_MAX" };
        let reply = self.source.ask(&request, bound).await.map_err(refusal)?;
        let document = match &reply.body {
            Body::Memory(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
            // Larger than any answer of these services.
            Body::File(_) => Value::Null,
        };
        Ok(Answer { document, headers: reply.headers })
    }
}

/// The same origin with this path.
fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

/// What the service itself refused is told by its own words.
fn refusal(error: SourceError) -> Error {
    let refused = match &error {
        SourceError::Http(HttpError::Status { status, body, request_id, .. })
        | SourceError::GaveUp { source: HttpError::Status { status, body, request_id, .. }, .. }
            if is_refusal(*status) =>
        {
            Refusal::read(*status, body, request_id.as_deref().map(str::to_owned))
        }
        _ => return Error::Source(error),
    };
    Error::Refused(refused)
}

/// Not a bad moment of the service.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 408 | 425)
}
