//! The device flow for a person (RFC 8628): an address and a code to show, then questions until the person is done.

use std::time::Duration;

use oauth2::StandardDeviceAuthorizationResponse;
use tokio::time::Instant;
use url::Url;

use super::client::Oauth2Client;
use super::wire::{Answer, sealed_answer};
use crate::auth::error::Error;
use crate::auth::grant::Granted;
use crate::auth::issuer::Issuer;
use crate::auth::record::{Identity, Tokens};
use crate::auth::vault::Vault;
use crate::http::excerpt;
use crate::limits::DEVICE_WAIT_MAX;
use crate::secret::Secret;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a `slow_down` adds (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// A server that asks for no pause at all is not asked without one.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A device's login under way. Nothing is stored before it is finished.
pub(crate) struct DeviceLogin<'a> {
    client: &'a Oauth2Client,
    vault: &'a Vault,
    identity: Identity,
    device_code: Secret,
    /// For the person; good for one login.
    user_code: String,
    verification: Url,
    /// With the code inside. Absent = the server gives none.
    verification_complete: Option<Url>,
    interval: Duration,
    until: Instant,
}

impl<'a> DeviceLogin<'a> {
    /// Asks the authorization server for a code.
    pub(crate) async fn begin(issuer: &'a Issuer, vault: &'a Vault) -> Result<DeviceLogin<'a>, Error> {
        let client = issuer.oauth2().await?.ok_or(Error::NoEndpoint { name: "device_authorize_url" })?;
        let answer = client.ask_device_code().await?;
        if !answer.status().is_success() {
            let why = format!("{} {}", answer.status(), excerpt(answer.body()));
            return Err(Error::ClientRefused { why });
        }
        let unreadable = |why: String| Error::Unreadable { why: format!("the device's code: {why}") };
        let answer: StandardDeviceAuthorizationResponse =
            serde_json::from_slice(answer.body()).map_err(|_| unreadable(sealed_answer(answer.body())))?;
        // Parsed, so that nothing but an address is printed.
        let verification: Url =
            answer.verification_uri().parse().map_err(|_| unreadable("it brings no address".to_owned()))?;
        let complete = answer.verification_uri_complete().and_then(|complete| complete.secret().parse().ok());
        Ok(DeviceLogin {
            client,
            vault,
            identity: issuer.identity(),
            device_code: Secret::new(answer.device_code().secret().clone()),
            user_code: excerpt(answer.user_code().secret().as_bytes()),
            verification,
            verification_complete: complete,
            interval: answer.interval().max(INTERVAL_MIN),
            until: Instant::now() + answer.expires_in().min(DEVICE_WAIT_MAX),
        })
    }

    /// Where the person goes.
    pub(crate) fn url(&self) -> &Url {
        &self.verification
    }

    /// The same with the code in it. `None` = the server gives none.
    pub(crate) fn url_with_code(&self) -> Option<&Url> {
        self.verification_complete.as_ref()
    }

    /// What the person types there.
    pub(crate) fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Asks until the person is done, and stores the tokens. May be dropped at any time.
    pub(crate) async fn finish(self) -> Result<(), Error> {
        let tokens = self.wait().await?;
        self.vault.store_login(&self.identity, tokens, self.client.rotation().idle).await
    }

    async fn wait(&self) -> Result<Tokens, Error> {
        let mut interval = self.interval;
        loop {
            tokio::time::sleep(interval).await;
            if Instant::now() >= self.until {
                return Err(Error::DeviceCodeOver { why: "nobody finished it in time".to_owned() });
            }
            let code = self.device_code.expose();
            let answer = self.client.ask(DEVICE_CODE, |form, _| Ok(form.with("device_code", code))).await?;
            match answer {
                Answer::Error { code, .. } if code == "authorization_pending" => {}
                Answer::Error { code, .. } if code == "slow_down" => interval += SLOWER,
                Answer::Error { code, why } if code == "expired_token" => return Err(Error::DeviceCodeOver { why }),
                Answer::Error { code, why } if code == "access_denied" => return Err(Error::LoginRefused { why }),
                // The person may not be done yet: asked again, more slowly (RFC 8628 section 3.5).
                Answer::NotSent(_) | Answer::Ambiguous(_) => interval = (interval * 2).min(self.interval + SLOWER * 5),
                answer => return Granted::from(answer).into_login(),
            }
        }
    }
}
