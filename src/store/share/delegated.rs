//! Signatures without the account's key: the service lends a key to whoever logged in by Entra, for seven days at most, and what
//! that one signs ends with it. There is no policy, so nothing can be extended, and it ends early only with the login's rights.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use object_store::RetryConfig;
use object_store::azure::{AzureConfigKey, AzureCredential, AzureCredentialProvider};

use super::error::ShareError;
use super::wire::{Account, Asked, bounded, innermost};
use crate::clock::Clock;
use crate::limits::SHARE_WAIT_MAX;
use crate::store::error::Error;
use crate::store::open::Store;
use crate::store::policies::{Policy, Wanted, days_from};
use crate::store::sas::DelegationKey;
use crate::store::signed::SignedLink;

/// The service lends a key for seven days.
pub(crate) const DELEGATED_DAYS_MAX: u32 = 7;
/// So much earlier a key begins than it is asked for: the clock of this machine may be ahead of the service's.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// Tries to get a token, beside the first.
const TOKEN_RETRIES: usize = 2;

/// A container for which a login of Entra can sign.
pub(crate) struct Delegation {
    account: Account,
    provider: AzureCredentialProvider,
}

impl Store {
    /// Whether its container is opened by a login of Entra. Whether that one may sign is not known.
    pub(crate) fn has_delegation(&self) -> bool {
        self.azure_builder().is_ok_and(|builder| {
            let other = [AzureConfigKey::AccessKey, AzureConfigKey::SasKey];
            other.iter().all(|key| builder.get_config_value(key).is_none())
                && builder.get_config_value(&AzureConfigKey::SkipSignature).is_none_or(|skips| skips != "true")
        })
    }

    /// Its container for signatures by a login of Entra. Nobody is asked.
    pub(crate) fn delegation(&self) -> Result<Delegation, Error> {
        Ok(self.open_delegation()?)
    }

    fn open_delegation(&self) -> Result<Delegation, ShareError> {
        let builder = self.azure_builder()?;
        if !self.has_delegation() {
            return Err(ShareError::NoKey { place: self.shown().to_owned() });
        }
        let account = Account::open(self, &builder)?;
        let retry = RetryConfig { max_retries: TOKEN_RETRIES, retry_timeout: SHARE_WAIT_MAX, ..RetryConfig::default() };
        let client = builder.with_container_name(&account.container).with_retry(retry).build();
        let wrong =
            |error: object_store::Error| ShareError::Place { place: self.shown().to_owned(), why: innermost(&error) };
        Ok(Delegation { provider: client.map_err(wrong)?.credentials().clone(), account })
    }
}

impl Delegation {
    pub(crate) fn container(&self) -> &str {
        &self.account.container
    }

    /// Signs with a key that the service lends for it, for seven days at most. Each call gives another signature; the former ones
    /// are good until their own ends.
    pub(crate) async fn sign(&self, wanted: Wanted) -> Result<(Policy, SignedLink), Error> {
        Ok(bounded(self.sign_once(wanted)).await?)
    }

    async fn sign_once(&self, wanted: Wanted) -> Result<(Policy, SignedLink), ShareError> {
        let now = whole_seconds(Clock.now());
        let start = now - AHEAD;
        let longest = start + TimeDelta::days(DELEGATED_DAYS_MAX.into());
        let key = self.key(start, longest).await?;
        let unreadable = || ShareError::Unreadable { why: "the key does not say when it ends".to_owned() };
        let end = days_from(now, wanted.days).min(longest).min(key.expires_at().ok_or_else(unreadable)?);
        let fields = key.sign(&self.account.opened(wanted.is_folder_only), wanted.permissions(), end);
        let link = SignedLink::new(&self.account.base, &self.account.path(), fields);
        Ok((Policy::new(self.account.job(), wanted, end), link))
    }

    /// Asks for a key (<https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>).
    async fn key(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> Result<DelegationKey, ShareError> {
        let credential = self.provider.get_credential().await;
        let credential = credential.map_err(|error| ShareError::NoToken { why: innermost(&error) })?;
        if !matches!(*credential, AzureCredential::BearerToken(_)) {
            return Err(ShareError::NoKey { place: self.account.container.clone() });
        }
        let mut url = self.account.service_address();
        url.query_pairs_mut().append_pair("restype", "service").append_pair("comp", "userdelegationkey");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        let body = Bytes::from(DelegationKey::asked(start, end));
        let (_, answer) = self.account.ask(&credential, Asked { method: Method::POST, url, headers, body }).await?;
        DelegationKey::read(&answer).map_err(|why| ShareError::Unreadable { why: format!("the lent key: {why}") })
    }
}

fn whole_seconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}
