//! haul as a library: everything but the process. Rooms and floors are described in `docs/ARCHITECTURE.md`.

mod auth;
mod cli;
mod clock;
mod columns;
mod daemon;
mod demo;
mod engine;
mod format;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod job;
mod limits;
mod model;
mod paging;
mod powerbi;
mod schedule;
mod secret;
mod source;
mod state;
mod store;
mod telemetry;

pub use cli::run_process;
