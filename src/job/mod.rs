//! From a job file to a checked job. In comes YAML text, out goes a `Job`, or everything that is wrong with it at once,
//! each with its place and the remedy. Building a job opens nothing and asks no server; secrets stay references.
//!
//! This room does not know how a job is run.

mod check;
mod check_auth;
mod check_csv;
mod check_deletes;
mod check_destination;
mod check_entra;
mod check_fields;
mod check_limits;
mod check_names;
mod check_network;
mod check_notify;
mod check_oauth2;
mod check_paging;
mod check_powerbi;
mod check_publish;
mod check_request;
mod check_schedule;
mod check_session;
mod check_slices;
mod check_stream;
pub(crate) mod draft;
mod known;
pub(crate) mod load;
mod problem;
mod providers;
mod schema;
mod shape;
mod spec;
mod spec_auth;
mod spec_deletes;
mod spec_network;
mod spec_notify;
mod spec_powerbi;
mod spec_publish;
mod spec_schedule;
mod spec_stream;
mod spec_table;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

pub(crate) use load::{LoadError, load, load_text};
pub(crate) use problem::Problem;
pub(crate) use schema::schema_text;
