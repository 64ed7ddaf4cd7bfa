//! How requests prove who they are: the kinds of authentication, the OAuth2 grants, the vault that keeps rotating
//! tokens, and the login. In comes a request without credential, out goes one with it. Tokens are taken from the vault
//! at the moment of use and stored there before their first use.
//!
//! This room does not know what a page is, and never prints: a login hands its URL to the caller.

mod access;
mod entra;
mod error;
mod grant;
mod issuer;
mod login;
mod oauth2;
mod record;
mod seal;
mod session;
mod vault;

pub(crate) use access::{Access, Kind, Use};
pub(crate) use entra::{EntraClient, EntraWay, ManagedIdentity};
pub(crate) use error::Error;
pub(crate) use issuer::{Issuer, WayIn};
pub(crate) use login::Login;
pub(crate) use oauth2::{DeviceLogin, HeldGrant, Oauth2Client, Proof, SigningKey, Statement};
pub(crate) use record::{CredentialState, Summary};
pub(crate) use seal::VaultKey;
pub(crate) use session::SessionClient;
pub(crate) use vault::{Revoked, Vault};
