//! Misbehaving APIs, one case a line: what haul publishes, or with which words it fails, and how many requests it makes.
//! A short or doubled table must never look like success; where nobody could know, the case says so in its name.

#![allow(missing_docs)]

#[path = "conformance/answers.rs"]
mod answers;
#[path = "conformance/api.rs"]
mod api;
#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/counted.rs"]
mod counted;
#[path = "conformance/cursors.rs"]
mod cursors;
#[path = "conformance/links.rs"]
mod links;
mod support;
#[path = "conformance/transport.rs"]
mod transport;
