//! How requests prove who they are: the kinds of authentication, the OAuth2 grants, the vault that keeps rotating
//! tokens, and the login. In comes a request without credential, out goes one with it. Tokens are taken from the vault
//! at the moment of use and stored there before their first use.
//!
//! This room does not know what a page is, and never prints: a login hands its URL to the caller.

mod access;
mod disk;
mod error;
mod grant;
mod issuer;
mod login;
mod protocol;
mod record;
mod refresh;
mod seal;
mod vault;

pub(crate) use access::{Access, Kind, Use};
pub(crate) use error::Error;
pub(crate) use grant::Oauth2Client;
pub(crate) use issuer::Issuer;
pub(crate) use login::Login;
pub(crate) use protocol::{CredentialState, HeldBecause};
pub(crate) use record::Summary;
pub(crate) use refresh::until_nothing_is_spent;
pub(crate) use seal::{VaultKey, add_key, drop_former_keys};
pub(crate) use vault::{Revoked, Vault};
