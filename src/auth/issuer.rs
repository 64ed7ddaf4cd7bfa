//! Who gives access tokens. The vault asks it, keeps what it gives, and does not know how it is done.

use super::error::Error;
use super::grant::{Granted, Oauth2Client};
use super::record::{Identity, Tokens};
use crate::model::plan::Rotation;
use crate::secret::Secret;

/// An issuer of tokens as the job describes it.
pub(crate) enum Issuer {
    Oauth2(Box<Oauth2Client>),
}

impl Issuer {
    /// Which record of the vault is its own.
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Issuer::Oauth2(client) => client.identity(),
        }
    }

    /// Whether tokens are bought with a refresh token that a login or an import brought; otherwise `buy` is enough.
    pub(crate) fn needs_login(&self) -> bool {
        match self {
            Issuer::Oauth2(client) => client.needs_login(),
        }
    }

    /// What happens to a refresh token that was used.
    pub(super) fn rotation(&self) -> &Rotation {
        match self {
            Issuer::Oauth2(client) => client.rotation(),
        }
    }

    /// Spends a refresh token, once.
    pub(super) async fn refresh(&self, token: &Secret) -> Granted {
        match self {
            Issuer::Oauth2(client) => client.refresh(token).await,
        }
    }

    /// Buys an access token with what the job holds, once.
    pub(super) async fn buy(&self) -> Granted {
        match self {
            Issuer::Oauth2(client) => client.client_credentials().await,
        }
    }

    /// Revokes tokens at the issuer. `Ok(false)` = it has no way to.
    pub(super) async fn revoke(&self, tokens: &Tokens) -> Result<bool, Error> {
        match self {
            Issuer::Oauth2(client) => client.revoke(tokens).await,
        }
    }
}
