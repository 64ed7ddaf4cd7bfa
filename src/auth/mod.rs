//! How requests prove who they are: the kinds of authentication, the OAuth2 grants, the vault that keeps rotating
//! tokens, and the login. In comes a request without credential, out goes one with it. Tokens are taken from the vault
//! at the moment of use and stored there before their first use.
//!
//! This room does not know what a page is, and never prints: a login hands its URL to the caller.

mod access;
mod disk;
mod entra;
mod error;
mod grant;
mod issuer;
mod login;
mod oauth2;
mod protocol;
mod record;
mod refresh;
mod seal;
mod session;
mod vault;
mod windows;

pub(crate) use access::{Access, Kind, Use};
pub(crate) use entra::{EntraClient, EntraWay, ManagedIdentity};
pub(crate) use error::Error;
pub(crate) use issuer::{Issuer, WayIn};
pub(crate) use login::Login;
pub(crate) use oauth2::{
    DeviceLogin, HeldGrant, Oauth2Client, Proof, Server, SignIn, SigningIn, SigningKey, Statement, describe, protected,
};
pub(crate) use protocol::{CredentialState, HeldBecause};
pub(crate) use record::Summary;
pub(crate) use refresh::{is_something_spent, until_nothing_is_spent};
pub(crate) use seal::{VaultKey, add_key, drop_former_keys};
pub(crate) use session::SessionClient;
pub(crate) use vault::{Revoked, Vault};
pub(crate) use windows::WindowsLogin;
