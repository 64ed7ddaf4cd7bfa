//! What an answer of an unknown API shows of itself: what it is, where its records stand, how its further pages may be
//! found, what it wants before it answers. In comes an answer, out come guesses in the words of a job file, each with
//! its reason, the likeliest first. Pure; whoever asks for a further page learns which guess is right.

mod challenge;
mod graphql;
mod paging;
mod records;
mod service;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use url::Url;

use super::envelope::Envelope;
use super::error::Error;
use super::metadata::{EntitySet, entity_sets};
use super::records::{error_body, unreadable};
use crate::model::plan::RecordsAt;

pub(crate) use challenge::{Challenged, challenged};
pub(crate) use graphql::{Connection, INTROSPECTION, connections};
pub(crate) use paging::{counts_pages, counts_records, is_page_parameter, of_odata, without_signs};
pub(crate) use service::Version;

/// A value for a key of the job file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guess {
    pub value: Value,
    pub why: String,
}

/// A whole answer to a request for an address that somebody typed.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Where it came from, after redirects.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sighting {
    Records(Records),
    /// The service document or the description of an OData service: what can be read stands below its address.
    Service {
        version: Version,
        base_url: Url,
        sets: Vec<EntitySet>,
    },
    /// A description of an API, with the paths that can be read without filling anything in.
    OpenApi {
        title: String,
        paths: Vec<String>,
    },
}

/// Records with what stands around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    /// Absent = the answer itself is the list, or OData says where it is.
    pub at: Option<Guess>,
    pub count: u64,
    /// Absent = it is no answer of an OData service. The address is that of the service.
    pub odata: Option<(Version, Url)>,
    /// Ways in which further pages may be found.
    pub pagings: Vec<Guess>,
    /// What tells that there are further pages. Absent = nothing does.
    pub sign: Option<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// Looks at an answer. `params` are those that were sent.
pub(crate) fn look_at(seen: &Seen, params: &[(String, String)]) -> Result<Sighting, Error> {
    let body =
        seen.body.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| seen.body.clone(), |rest| seen.body.slice_ref(rest));
    if let Some(service) = service::described(seen, &body) {
        let sets = entity_sets(&body)?;
        return Ok(Sighting::Service { version: service.0, base_url: service.1, sets });
    }
    let envelope = Envelope::read(&body).map_err(|error| unreadable(&body, seen.status, error))?;
    if let Some(openapi) = service::openapi(&envelope, &body) {
        return Ok(openapi);
    }
    if let Some((version, base_url, sets)) = service::document(seen, &envelope, &body) {
        return Ok(Sighting::Service { version, base_url, sets });
    }
    if let Some(error) = error_body(&envelope, &RecordsAt::Found, &body) {
        return Err(error);
    }
    let found = records::find(&envelope)?;
    let odata = service::of_set(seen, &envelope, &body);
    let asked = paging::Asked { params, count: found.count, headers: &seen.headers };
    let pagings = paging::guesses(&envelope, &asked);
    let sign = paging::sign(&envelope, &asked);
    let at = found.at.filter(|_| odata.is_none());
    Ok(Sighting::Records(Records { at, count: found.count, odata, pagings, sign, notes: found.notes }))
}
