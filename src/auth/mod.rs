//! How requests prove who they are: the kinds of authentication, the OAuth2 grants, the vault that keeps rotating
//! tokens, and the login. In comes a request without credential, out goes one with it. Tokens are taken from the vault
//! at the moment of use and stored there before their first use.
//!
//! This room does not know what a page is, and never prints: a login hands its URL to the caller.

mod access;
mod error;
mod grant;
mod issuer;
mod login;
mod protocol;
mod record;
mod seal;
mod vault;

pub(crate) use access::{Access, Kind, Use};
pub(crate) use error::Error;
pub(crate) use grant::Oauth2Client;
pub(crate) use issuer::Issuer;
pub(crate) use login::Login;
pub(crate) use record::{CredentialState, Summary};
pub(crate) use seal::VaultKey;
pub(crate) use vault::{Revoked, Vault};
