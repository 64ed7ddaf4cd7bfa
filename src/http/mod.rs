//! The only room that speaks HTTP. A request comes in, a whole bounded answer or a typed error goes out. It keeps every
//! request on the configured origin and away from addresses that nobody configured, spaces and counts requests as the
//! source's limits say, pauses where these or the server want it, and decides what is worth another try.
//!
//! It does not know what a credential, a page or a record is.

mod address;
pub(crate) mod attempts;
mod body;
mod client;
mod coding;
mod deadline;
mod error;
mod hook;
mod network;
mod origin;
mod pace;
mod patience;
mod tape;
mod token;
mod told;

pub(crate) use body::{Body, BodyBound, excerpt};
pub(crate) use client::{Challenge, Client, Connections, Reply, Request, request_id_of};
pub(crate) use error::Error;
pub(crate) use hook::{Hook, HookError, hook_url};
pub(crate) use network::{Network, ProxyLogin};
pub(crate) use origin::{Origin, is_loopback};
pub(crate) use pace::Pace;
pub(crate) use tape::{HIDDEN, Player, Recorder, Tape};
pub(crate) use token::{TokenChannel, TokenError, within};
