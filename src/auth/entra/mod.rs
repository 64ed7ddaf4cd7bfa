//! Microsoft Entra: an OAuth2 client whose authority the service may name itself, and managed identities, which the
//! platform hands out.

mod challenge;
mod client;
mod managed;

pub(crate) use client::{EntraClient, EntraWay};
pub(crate) use managed::ManagedIdentity;
