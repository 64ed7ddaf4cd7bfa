//! Shares: signatures with which others read a container of Azure Blob, each bound to a stored access policy that can be
//! moved and taken away. The requests take `object_store`'s way to the account, with the options of the destination.
//!
//! A change is a compare-and-swap: the list of policies is read, and written if it was not changed since. The service tells and
//! takes instants by the second only, and what it keeps may be finer. So the condition is "not changed since the second after
//! the last change", and a list that was changed just now is waited for until no later change can fall into that second.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, Method, StatusCode};
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector, HttpErrorKind, HttpRequestBody, ReqwestConnector};
use ring::hmac;
use tokio::time::Instant;
use url::Url;

use super::error::Error;
use super::open::Store;
use super::policies::{self, Policy};
use super::sas::{Opened, SAS_VERSION, Sas};
use crate::clock::Clock;
use crate::limits::{POLICIES_BYTES_MAX, SHARE_ID_TRIES_MAX, SHARE_TRIES_MAX, SHARE_WAIT_MAX};

/// Policies that a container may have, whoever made them.
const POLICIES_MAX: usize = 5;
/// From a change until a list can be changed again: two turns of the service's second.
const SETTLING: Duration = Duration::from_secs(2);
/// Between two passes.
const PASS_INTERVAL: Duration = Duration::from_millis(1_000);
const PUBLIC_ACCESS: &str = "x-ms-blob-public-access";
const ERROR_CODE: &str = "x-ms-error-code";

/// What can go wrong with shares. No variant shows a key or a signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error("{place} is no container of Azure Blob, and only those are shared")]
    NotAzure { place: String },
    #[error("a share of {place} is signed with the key of its storage account, and there is none")]
    NoKey { place: String },
    #[error("{place} cannot be shared: {why}")]
    Place { place: String, why: String },
    #[error("the storage account cannot be reached: {why}")]
    Unreachable { why: String },
    #[error("the storage account does not answer within {waited:?}")]
    Late { waited: Duration },
    #[error("the storage account refuses the key (status {status}{})", code_of(.code))]
    Refused { status: u16, code: Option<String> },
    #[error("there is no container `{container}`")]
    NoContainer { container: String },
    #[error("the storage account answered status {status}{}", code_of(.code))]
    Status { status: u16, code: Option<String> },
    #[error("the list of the container's stored access policies cannot be read: {why}")]
    Unreadable { why: String },
    #[error("the container has {count} stored access policies, and {POLICIES_MAX} is the most: {names}")]
    Full { count: usize, names: String },
    #[error("the container has no share `{id}`")]
    Unknown { id: String },
    #[error("the stored access policy `{id}` is not haul's: their names begin with `haul-`")]
    NotOurs { id: String },
    #[error("the stored access policies are changed by others all the time: gave up after {tries} tries")]
    Contended { tries: usize },
}

fn code_of(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(", {code}")).unwrap_or_default()
}

impl ShareError {
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            ShareError::NotAzure { .. } => {
                "for Amazon S3 and Google Cloud Storage use their own ways of sharing".to_owned()
            }
            ShareError::NoKey { .. } => {
                "set `access_key` in `destination.options`, or AZURE_STORAGE_ACCOUNT_KEY; haul makes \
                                         no user-delegation SAS, which needs no key and ends after 7 days: `az storage \
                                         container generate-sas --as-user --auth-mode login` does"
                    .to_owned()
            }
            ShareError::Refused { code: Some(code), .. } if code == "KeyBasedAuthenticationNotPermitted" => {
                "the account does not allow access by key: allow it, or share with a user-delegation SAS".to_owned()
            }
            ShareError::Refused { .. } => {
                "check the account's name and key, its firewall, and the clock of this machine".to_owned()
            }
            ShareError::NoContainer { .. } => "check `destination.url`; haul creates no container".to_owned(),
            ShareError::Full { .. } => "`haul share revoke JOBFILE POLICY` ends one of haul's".to_owned(),
            ShareError::Unknown { .. } => "`haul share list JOBFILE` shows them".to_owned(),
            ShareError::NotOurs { .. } => "whoever made it takes it away".to_owned(),
            ShareError::Place { .. }
            | ShareError::Unreachable { .. }
            | ShareError::Late { .. }
            | ShareError::Status { .. }
            | ShareError::Unreadable { .. }
            | ShareError::Contended { .. } => return None,
        })
    }

    pub(super) fn is_temporary(&self) -> bool {
        match self {
            ShareError::Unreachable { .. } | ShareError::Late { .. } | ShareError::Contended { .. } => true,
            ShareError::Status { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            _ => false,
        }
    }
}

/// What is to be shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub days: u32,
    /// Readers may list names, too.
    pub lists: bool,
    /// Only the job's folder; needs a hierarchical namespace.
    pub is_folder_only: bool,
}

/// The shares of a job's container.
pub(crate) struct Shares {
    job: String,
    /// Of the container.
    address: Url,
    account: String,
    container: String,
    /// Of the job, below the container.
    folder: String,
    credential: AzureCredential,
    key: hmac::Key,
    http: HttpClient,
}

/// The policies as they were found.
struct Listed {
    policies: Vec<Policy>,
    /// Who may read without a signature: written back with the policies, or it would end.
    public_access: Option<String>,
    modified: SystemTime,
    /// A later change is later than the second after that.
    is_settled: bool,
}

impl Store {
    /// Whether its container can be shared: it is one of Azure Blob, and the account's key is at hand.
    pub(crate) fn has_shares(&self) -> bool {
        self.builder().is_ok()
    }

    /// The shares of its container.
    pub(crate) fn shares(&self) -> Result<Shares, Error> {
        Ok(self.open_shares()?)
    }

    /// The account's options and its key.
    fn builder(&self) -> Result<(MicrosoftAzureBuilder, String), ShareError> {
        let not_azure = || ShareError::NotAzure { place: self.shown().to_owned() };
        let (url, options) = self.opened_with().ok_or_else(not_azure)?;
        if url.scheme() != "az" {
            return Err(not_azure());
        }
        let keyed = options.iter().filter_map(|(name, value)| Some((name.parse::<AzureConfigKey>().ok()?, value)));
        let builder = keyed.fold(MicrosoftAzureBuilder::new(), |builder, (key, value)| builder.with_config(key, value));
        let key = builder.get_config_value(&AzureConfigKey::AccessKey);
        let key = key.ok_or_else(|| ShareError::NoKey { place: self.shown().to_owned() })?;
        Ok((builder, key))
    }

    fn open_shares(&self) -> Result<Shares, ShareError> {
        let (builder, key) = self.builder()?;
        let wrong = |why: String| ShareError::Place { place: self.shown().to_owned(), why };
        let account = builder.get_config_value(&AzureConfigKey::AccountName);
        let account = account.ok_or_else(|| wrong("the account has no name".to_owned()))?;
        let base = match builder.get_config_value(&AzureConfigKey::Endpoint) {
            Some(endpoint) => endpoint,
            None => format!("https://{account}.blob.core.windows.net"),
        };
        let path = self.shown().split_once("://").map(|(_, path)| path).unwrap_or_default();
        let (container, folder) = path.split_once('/').unwrap_or((path, ""));
        let address = format!("{}/{container}", base.trim_end_matches('/'));
        let address: Url = address.parse().map_err(|_| wrong("its endpoint is no address".to_owned()))?;
        let decoded = STANDARD.decode(&key).map_err(|_| wrong("the account's key is no base64".to_owned()))?;
        let credential =
            AzureAccessKey::try_new(&key).map_err(|_| wrong("the account's key is no base64".to_owned()))?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (_, options) = self.opened_with().expect("a builder was made of it");
        let client = options.iter().fold(ClientOptions::new(), |client, (name, value)| match name.parse() {
            Ok(AzureConfigKey::Client(key)) => client.with_config(key, value),
            Ok(_) | Err(_) => client,
        });
        let http = ReqwestConnector::default().connect(&client).map_err(|error| wrong(error.to_string()))?;
        Ok(Shares {
            job: folder.rsplit('/').next().unwrap_or_default().to_owned(),
            account,
            container: container.to_owned(),
            folder: folder.to_owned(),
            credential: AzureCredential::AccessKey(credential),
            key: hmac::Key::new(hmac::HMAC_SHA256, &decoded),
            http,
            address,
        })
    }
}

impl Shares {
    pub(crate) fn container(&self) -> &str {
        &self.container
    }

    /// Address of the job's folder, for readers.
    pub(crate) fn folder_address(&self) -> String {
        format!("{}/{}", self.address, self.folder)
    }

    /// Signs once more for a policy of haul's that is there: the signature is the same as the first one. Asks nobody.
    pub(crate) fn sign_again(&self, policy: &Policy, is_folder_only: bool) -> Result<Sas, Error> {
        if !policy.is_ours() {
            return Err(ShareError::NotOurs { id: policy.id.clone() }.into());
        }
        let opened = Opened {
            account: &self.account,
            container: &self.container,
            directory: is_folder_only.then_some(&self.folder),
            policy: &policy.id,
            is_https_only: self.address.scheme() == "https",
        };
        Ok(Sas::sign(&self.key, &opened))
    }

    /// All stored access policies of the container, those of others, too.
    pub(crate) async fn list(&self) -> Result<Vec<Policy>, Error> {
        Ok(self.bounded(self.patiently(|| self.read())).await?.policies)
    }

    /// The same for whoever does not wait: one try.
    pub(crate) async fn list_once(&self) -> Result<Vec<Policy>, Error> {
        Ok(self.bounded(self.read()).await?.policies)
    }

    /// Adds a policy, and signs for it.
    pub(crate) async fn create(&self, wanted: Wanted) -> Result<(Policy, Sas), Error> {
        let sas = self.signed(wanted)?;
        let mut added = Policy {
            id: sas.policy.clone(),
            start: None,
            expiry: None,
            permissions: Some(permissions(wanted.lists).into()),
        };
        added.end_at(days_from(Clock.now(), wanted.days));
        let all = self
            .change(|policies, _| {
                if policies.iter().any(|policy| policy.id == added.id) {
                    return Ok(false);
                }
                if policies.len() >= POLICIES_MAX {
                    let names: Vec<&str> = policies.iter().map(|policy| policy.id.as_str()).collect();
                    return Err(ShareError::Full { count: policies.len(), names: names.join(", ") });
                }
                policies.push(added.clone());
                Ok(true)
            })
            .await?;
        let found = all.into_iter().find(|policy| policy.id == added.id);
        Ok((found.ok_or(ShareError::Unknown { id: added.id })?, sas))
    }

    /// Lets haul's shares end so many days from now, absent = as many as each was made for. An end is never brought forward. Gives
    /// haul's shares.
    pub(crate) async fn extend(&self, days: Option<u32>) -> Result<Vec<Policy>, Error> {
        let now = Clock.now();
        self.move_ends(|policy| Some(days_from(now, days.unwrap_or_else(|| policy.days())))).await
    }

    /// The same for shares of which less than half of their time is left. One that has ended stays so: a person must want it
    /// back.
    pub(crate) async fn extend_old(&self) -> Result<(), Error> {
        let now = Clock.now();
        let is_old = |policy: &Policy| {
            policy.expires_at().is_some_and(|end| end > now && (end - now) * 2 < TimeDelta::days(policy.days().into()))
        };
        if self.list_once().await?.iter().any(|policy| policy.is_ours() && is_old(policy)) {
            self.move_ends(|policy| is_old(policy).then(|| days_from(now, policy.days()))).await?;
        }
        Ok(())
    }

    async fn move_ends(&self, end: impl Fn(&Policy) -> Option<DateTime<Utc>>) -> Result<Vec<Policy>, Error> {
        let moved = self.change(|policies, _| {
            let mut is_changed = false;
            for policy in policies.iter_mut().filter(|policy| policy.is_ours()) {
                let former = policy.expires_at();
                if let Some(end) = end(policy).filter(|end| former.is_none_or(|former| former < *end)) {
                    policy.end_at(end);
                    is_changed = true;
                }
            }
            Ok(is_changed)
        });
        Ok(moved.await?.into_iter().filter(Policy::is_ours).collect())
    }

    /// Takes a policy away: what was signed for it opens nothing any more.
    pub(crate) async fn revoke(&self, id: &str) -> Result<(), Error> {
        let revoked = self.change(|policies, pass| {
            let Some(at) = policies.iter().position(|policy| policy.id == id) else {
                // Taken away by this very change, whose answer was perhaps lost.
                return if pass == 0 { Err(ShareError::Unknown { id: id.to_owned() }) } else { Ok(false) };
            };
            if !policies[at].is_ours() {
                return Err(ShareError::NotOurs { id: id.to_owned() });
            }
            policies.remove(at);
            Ok(true)
        });
        revoked.await?;
        Ok(())
    }

    /// A signature for a policy with a name that nobody had before, because a former signature would be good again. Among some
    /// names one is chosen whose signature holds nothing that is easily spoiled by pasting.
    fn signed(&self, wanted: Wanted) -> Result<Sas, ShareError> {
        let sign = || {
            let unique = ulid::Ulid::generate().to_string().to_ascii_lowercase();
            // Its random end.
            let policy = Policy::id(&self.job, wanted.days, &unique[unique.len() - 10..]);
            let opened = Opened {
                account: &self.account,
                container: &self.container,
                directory: wanted.is_folder_only.then_some(&self.folder),
                policy: &policy,
                is_https_only: self.address.scheme() == "https",
            };
            Sas::sign(&self.key, &opened)
        };
        let mut signed = std::iter::repeat_with(sign).take(SHARE_ID_TRIES_MAX);
        let why = || "no policy has a signature that can be pasted".to_owned();
        signed.find(Sas::is_plain).ok_or_else(|| ShareError::Place { place: self.container.clone(), why: why() })
    }

    /// Changes the policies until they are found as the change wants them; gives them. `change` says whether it changed
    /// anything, and is told how often it was asked before.
    async fn change(
        &self,
        change: impl FnMut(&mut Vec<Policy>, usize) -> Result<bool, ShareError>,
    ) -> Result<Vec<Policy>, Error> {
        Ok(self.bounded(self.change_by_passes(change)).await?)
    }

    async fn change_by_passes(
        &self,
        mut change: impl FnMut(&mut Vec<Policy>, usize) -> Result<bool, ShareError>,
    ) -> Result<Vec<Policy>, ShareError> {
        let mut writes = 0;
        // The last change that was seen, and since when it is seen.
        let mut seen: Option<(SystemTime, Instant)> = None;
        for _ in 0..SHARE_TRIES_MAX {
            let asked = Instant::now();
            let found = self.patiently(|| self.read()).await?;
            let mut policies = found.policies.clone();
            if !change(&mut policies, writes)? {
                return Ok(policies);
            }
            // Not every service says truly what time it is.
            let is_seen = |(modified, since): (SystemTime, Instant)| {
                modified == found.modified && asked.duration_since(since) >= SETTLING
            };
            if !found.is_settled && !seen.is_some_and(is_seen) {
                seen =
                    seen.filter(|(modified, _)| *modified == found.modified).or(Some((found.modified, Instant::now())));
                tokio::time::sleep(SETTLING).await;
                continue;
            }
            writes += 1;
            match self.write(&found, &policies).await {
                // The next pass reads whether it is there, and whether a lost answer was a yes.
                Ok(_) => {}
                Err(error) if error.is_temporary() => tokio::time::sleep(PASS_INTERVAL).await,
                Err(error) => return Err(error),
            }
        }
        Err(ShareError::Contended { tries: SHARE_TRIES_MAX })
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, ShareError>>) -> Result<T, ShareError> {
        let late = ShareError::Late { waited: SHARE_WAIT_MAX };
        tokio::time::timeout(SHARE_WAIT_MAX, work).await.unwrap_or(Err(late))
    }

    async fn patiently<T, F>(&self, work: impl Fn() -> F) -> Result<T, ShareError>
    where
        F: Future<Output = Result<T, ShareError>>,
    {
        for _ in 1..SHARE_TRIES_MAX {
            match work().await {
                Err(error) if error.is_temporary() => tokio::time::sleep(PASS_INTERVAL).await,
                ended => return ended,
            }
        }
        work().await
    }

    async fn read(&self) -> Result<Listed, ShareError> {
        let (headers, body) = self.ask(Method::GET, HeaderMap::new(), Bytes::new()).await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let policies = policies::read(&body).map_err(|why| ShareError::Unreadable { why })?;
        let instant = |name: &str| {
            let instant = text(name).and_then(|text| httpdate::parse_http_date(&text).ok());
            instant.ok_or_else(|| ShareError::Unreadable { why: "it does not say when it was changed".to_owned() })
        };
        let (modified, now) = (instant(LAST_MODIFIED.as_str())?, instant(DATE.as_str())?);
        let is_settled = now.duration_since(modified).is_ok_and(|since| since >= SETTLING);
        Ok(Listed { policies, public_access: text(PUBLIC_ACCESS), modified, is_settled })
    }

    /// Writes the policies if they are still those that were found. `Ok(false)` = they are not.
    async fn write(&self, found: &Listed, policies: &[Policy]) -> Result<bool, ShareError> {
        let mut headers = HeaderMap::new();
        let unchanged_since = httpdate::fmt_http_date(found.modified + Duration::from_secs(1));
        let unreadable = |_| ShareError::Unreadable { why: "a header of it cannot be sent back".to_owned() };
        headers.insert(IF_UNMODIFIED_SINCE, unchanged_since.parse().map_err(unreadable)?);
        headers.insert(CONTENT_TYPE, "application/xml".parse().map_err(unreadable)?);
        if let Some(public_access) = &found.public_access {
            headers.insert(PUBLIC_ACCESS, public_access.parse().map_err(unreadable)?);
        }
        match self.ask(Method::PUT, headers, policies::write(policies).into()).await {
            Ok(_) => Ok(true),
            Err(ShareError::Status { status: 412, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One request for the policies, signed with the key.
    async fn ask(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<(HeaderMap, Vec<u8>), ShareError> {
        let unreachable = |error: &dyn std::error::Error| ShareError::Unreachable { why: innermost(error) };
        let mut url = self.address.clone();
        url.query_pairs_mut().append_pair("restype", "container").append_pair("comp", "acl");
        let length = body.len();
        let request = http::Request::builder().method(method).uri(url.as_str()).body(HttpRequestBody::from(body));
        let mut request = request.map_err(|error| unreachable(&error))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert("x-ms-version", http::HeaderValue::from_static(SAS_VERSION));
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        AzureAuthorizer::new(&self.credential, &self.account)
            .try_authorize(&mut request)
            .map_err(|error| unreachable(&error))?;
        let answer = self.http.execute(request).await.map_err(|error| match error.kind() {
            HttpErrorKind::Timeout => ShareError::Late { waited: SHARE_WAIT_MAX },
            _ => unreachable(&error),
        })?;
        let (parts, body) = answer.into_parts();
        let code = parts.headers.get(ERROR_CODE).and_then(|code| code.to_str().ok()).map(str::to_owned);
        let status = parts.status;
        if !status.is_success() {
            return Err(match status {
                StatusCode::NOT_FOUND => ShareError::NoContainer { container: self.container.clone() },
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    ShareError::Refused { status: status.as_u16(), code }
                }
                _ => ShareError::Status { status: status.as_u16(), code },
            });
        }
        let mut stream = body.bytes_stream();
        let mut whole = Vec::new();
        while let Some(chunk) = stream.next().await {
            whole.extend_from_slice(&chunk.map_err(|error| unreachable(&error))?);
            if whole.len() > POLICIES_BYTES_MAX {
                let why = format!("it is larger than {POLICIES_BYTES_MAX} bytes, limit POLICIES_BYTES_MAX");
                return Err(ShareError::Unreadable { why });
            }
        }
        Ok((parts.headers, whole))
    }
}

fn permissions(lists: bool) -> &'static str {
    if lists { "rl" } else { "r" }
}

/// That many days later, in whole seconds.
fn days_from(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    let end = now + TimeDelta::days(days.into());
    DateTime::from_timestamp(end.timestamp(), 0).unwrap_or(end)
}

/// The innermost cause: those around it repeat it, or name the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
