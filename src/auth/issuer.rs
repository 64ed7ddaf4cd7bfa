//! Who gives access tokens. The vault asks it, keeps what it gives, and does not know how it is done.

use super::entra::EntraClient;
use super::error::Error;
use super::grant::Granted;
use super::oauth2::{HeldGrant, Oauth2Client};
use super::record::{Identity, Tokens};
use super::session::SessionClient;
use crate::limits::TOKEN_WAIT_MAX;
use crate::model::plan::{Rotation, RotationClass};
use crate::secret::Secret;
use std::time::Duration;

/// An issuer of tokens as the job describes it.
pub(crate) enum Issuer {
    Oauth2(Box<Oauth2Client>),
    Entra(Box<EntraClient>),
    Session(Box<SessionClient>),
}

/// How a person gets a credential into the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayIn {
    /// `Login`.
    Browser,
    /// `DeviceLogin`.
    Device,
    /// A refresh token from elsewhere.
    Import,
    /// Nobody has to: tokens are bought with what the job names.
    Unneeded,
}

impl Issuer {
    /// Which record of the vault is its own.
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Issuer::Oauth2(client) => client.identity(),
            Issuer::Entra(client) => client.identity(),
            Issuer::Session(client) => client.identity(),
        }
    }

    /// Whether tokens are bought with a refresh token that a login or an import brought; otherwise `buy` is enough.
    pub(crate) fn needs_login(&self) -> bool {
        match self.way_in() {
            WayIn::Browser | WayIn::Device | WayIn::Import => true,
            WayIn::Unneeded => false,
        }
    }

    /// What a person has to do before the first run.
    pub(crate) fn way_in(&self) -> WayIn {
        match self {
            Issuer::Oauth2(client) => way_in_of(client.grant()),
            Issuer::Entra(client) => client.way_in(),
            Issuer::Session(_) => WayIn::Unneeded,
        }
    }

    /// What happens to a refresh token that was used.
    pub(super) fn rotation(&self) -> &Rotation {
        match self {
            Issuer::Oauth2(client) => client.rotation(),
            Issuer::Entra(client) => client.rotation(),
            Issuer::Session(_) => &NO_REFRESH_TOKEN,
        }
    }

    /// How long one purchase may take.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Issuer::Oauth2(client) => client.timeout(),
            Issuer::Entra(_) | Issuer::Session(_) => TOKEN_WAIT_MAX,
        }
    }

    /// Spends a refresh token, once.
    pub(super) async fn refresh(&self, token: &Secret) -> Granted {
        match self.oauth2().await {
            Ok(Some(client)) => client.refresh(token).await,
            Ok(None) => unreachable!("`needs_login` says that there is no refresh token"),
            Err(error) => Granted::hindered(error),
        }
    }

    /// Buys an access token with what the job holds, once.
    pub(super) async fn buy(&self) -> Granted {
        match self {
            Issuer::Oauth2(client) => client.buy().await,
            Issuer::Entra(client) => client.buy().await,
            Issuer::Session(client) => client.log_in().await,
        }
    }

    /// Revokes tokens at the issuer. `Ok(false)` = it has no way to.
    pub(super) async fn revoke(&self, tokens: &Tokens) -> Result<bool, Error> {
        match self {
            Issuer::Oauth2(client) => client.revoke(tokens).await,
            // Entra has no revocation endpoint, and a session none that all servers share.
            Issuer::Entra(_) | Issuer::Session(_) => Ok(false),
        }
    }

    /// The OAuth2 client behind this issuer, once its server is known. `Ok(None)` = there is none.
    pub(super) async fn oauth2(&self) -> Result<Option<&Oauth2Client>, Error> {
        match self {
            Issuer::Oauth2(client) => Ok(Some(client)),
            Issuer::Entra(client) => client.oauth2().await,
            Issuer::Session(_) => Ok(None),
        }
    }

    /// The login's host as the service itself named it; for the person who logs in. `None` = the job names it.
    pub(crate) fn discovered_host(&self) -> Option<&str> {
        match self {
            Issuer::Entra(client) => client.discovered_host(),
            Issuer::Oauth2(_) | Issuer::Session(_) => None,
        }
    }
}

static NO_REFRESH_TOKEN: Rotation = Rotation {
    class: RotationClass::NotRotated,
    window: None,
    idle: None,
    age_min: Duration::ZERO,
    invalid_codes: Vec::new(),
};

pub(super) fn way_in_of(grant: &HeldGrant) -> WayIn {
    match grant {
        HeldGrant::AuthorizationCode => WayIn::Browser,
        HeldGrant::DeviceCode => WayIn::Device,
        HeldGrant::RefreshToken => WayIn::Import,
        HeldGrant::ClientCredentials | HeldGrant::JwtBearer(_) | HeldGrant::Password { .. } => WayIn::Unneeded,
    }
}
