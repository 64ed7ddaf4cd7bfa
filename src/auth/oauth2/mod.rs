//! OAuth2 on the wire: a client of an authorization server, its proofs and assertions, the server's metadata, the
//! grants. In comes what the job says, with secrets at hand; out come answers in the vault's words.
//!
//! It does not know where tokens are kept.

mod assertion;
mod client;
mod device;
mod discovery;
mod proof;
mod sign_in;
mod wire;

pub(crate) use assertion::SigningKey;
pub(super) use client::{Authorization, Sender};
pub(crate) use client::{HeldGrant, Oauth2Client, Statement};
pub(crate) use device::DeviceLogin;
pub(crate) use discovery::{Server, describe, protected};
pub(crate) use proof::Proof;
pub(crate) use sign_in::{SignIn, SigningIn};
pub(super) use wire::{answered, sealed_answer};
