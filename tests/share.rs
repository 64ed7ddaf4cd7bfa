//! Shares of tables, wherever they lie: what independent readers may do with them, until when, and what they may not do.

#![allow(missing_docs)]

#[path = "share/delegated.rs"]
mod delegated;
#[path = "share/policies.rs"]
mod policies;
#[path = "share/presigned.rs"]
mod presigned;
#[path = "share/refreshed.rs"]
mod refreshed;
#[path = "share/rotation.rs"]
mod rotation;
#[path = "share/scene.rs"]
mod scene;
#[path = "share/served.rs"]
mod served;
mod support;
