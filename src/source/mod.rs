//! From a stream of the job to its pages: requests are built, sent with the credential of the moment, tried again where
//! that makes sense, and their answers opened into pages. In comes a page token, out goes a `Page`.
//!
//! This room does not know columns, files or stores.

mod associations;
mod decode;
mod envelope;
mod error;
mod expressions;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod guess;
mod metadata;
mod page;
mod records;
mod report;
mod request;
mod rules;
mod signs;
mod template;
#[cfg(test)]
mod tests;

pub(crate) use associations::{Association, associations};
pub(crate) use error::Error;
pub(crate) use expressions::Expressions;
pub(crate) use fetch::{Answer, Source};
pub(crate) use metadata::{EntitySet, fetched_columns};
pub(crate) use page::{KeptTrace, Page, PageReading, PageTrace};
pub(crate) use report::ReportSteps;
pub(crate) use request::Endpoint;
pub(crate) use template::{Context, fields_read};
