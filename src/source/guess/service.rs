//! Descriptions instead of records: OData's service document and `$metadata`, OpenAPI.

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::{Seen, Sighting};
use crate::source::envelope::{Envelope, Scalar};
use crate::source::metadata::EntitySet;

/// Paths of an OpenAPI document that a message names.
const PATHS_NAMED_MAX: usize = 12;

/// Versions that speak differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V3,
    V2,
}

impl Version {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Version::V4 => "OData v4",
            Version::V3 => "OData v3",
            Version::V2 => "OData v2",
        }
    }
}

/// A `$metadata` document: the version and the address of its service.
pub(super) fn described(seen: &Seen, body: &Bytes) -> Option<(Version, Url)> {
    let start = String::from_utf8_lossy(&body[..body.len().min(1024)]);
    if !start.trim_start().starts_with('<') || !start.contains("Edmx") {
        return None;
    }
    let is_old = start.contains("schemas.microsoft.com/ado/2007/06/edmx");
    let whole = String::from_utf8_lossy(body);
    let version = match is_old {
        false => Version::V4,
        true if whole.contains("DataServiceVersion=\"3") => Version::V3,
        true => Version::V2,
    };
    Some((version, service_of(&seen.url, "$metadata")))
}

/// The address without what stands behind the service's own.
fn service_of(url: &Url, last: &str) -> Url {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().replace("%24metadata", "$metadata");
    base.set_path(path.strip_suffix(last).unwrap_or(&path).trim_end_matches('/'));
    base
}

/// The service document in JSON: `value` with names and URLs (v4, v3), `d.EntitySets` (v2).
pub(super) fn document(seen: &Seen, envelope: &Envelope, body: &Bytes) -> Option<(Version, Url, Vec<EntitySet>)> {
    let list = |path: &[&str]| envelope.arrays.iter().find(|array| array.path == path && array.items > 0);
    let values =
        |path: &[&str]| -> Option<Vec<Value>> { serde_json::from_slice(&body[list(path)?.bytes.clone()]).ok() };
    let base = service_of(&seen.url, "");
    let set = |name: &str| EntitySet { name: name.to_owned(), key: Vec::new() };
    if let Some(names) = values(&["d", "EntitySets"]) {
        return Some((Version::V2, base, names.iter().filter_map(|name| Some(set(name.as_str()?))).collect()));
    }
    let context = text_at(envelope, "@odata.context").or_else(|| text_at(envelope, "@context"));
    let old = text_at(envelope, "odata.metadata");
    let is_document = |context: &str| context.ends_with("$metadata") || context.ends_with("$metadata#");
    let version = match (context, old) {
        (Some(context), _) if is_document(context) => Version::V4,
        (_, Some(context)) if is_document(context) => Version::V3,
        _ => return None,
    };
    let sets = values(&["value"])?.into_iter().filter(|entry| {
        // Singletons and functions are no tables.
        entry.get("kind").and_then(Value::as_str).is_none_or(|kind| kind == "EntitySet")
    });
    let address = |entry: &Value| Some(set(entry.get("url").or_else(|| entry.get("name"))?.as_str()?));
    Some((version, base, sets.filter_map(|entry| address(&entry)).collect()))
}

/// Whether records are those of an OData service, and which.
pub(super) fn of_set(seen: &Seen, envelope: &Envelope, body: &Bytes) -> Option<(Version, Url)> {
    let context = text_at(envelope, "@odata.context").or_else(|| text_at(envelope, "@context"));
    let old = text_at(envelope, "odata.metadata");
    if let Some(context) = context.or(old) {
        let version = if context == old.unwrap_or_default() { Version::V3 } else { Version::V4 };
        let (before, _) = context.split_once("$metadata")?;
        // A context may be relative to the address that was asked for.
        let base = seen.url.join(if before.is_empty() { "." } else { before }).ok()?;
        // The service must hold the address; one behind a proxy may name itself otherwise.
        let is_above = base.origin() == seen.url.origin() && seen.url.path().starts_with(base.path());
        return Some((version, if is_above { service_of(&base, "") } else { parent(&seen.url) }));
    }
    let is_v2 = envelope.arrays.iter().any(|array| {
        let is_place = array.path == ["d", "results"] || array.path == ["d"];
        is_place && array.items > 0 && memchr::memmem::find(&body[array.bytes.clone()], b"\"__metadata\"").is_some()
    });
    is_v2.then(|| (Version::V2, parent(&seen.url)))
}

fn parent(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_query(None);
    let path = base.path().trim_end_matches('/').to_owned();
    base.set_path(&path[..path.rfind('/').unwrap_or(0)]);
    base
}

fn text_at<'e>(envelope: &'e Envelope, name: &str) -> Option<&'e str> {
    envelope.scalars.iter().find_map(|(path, scalar)| match scalar {
        Scalar::Text(text) if path.len() == 1 && path[0] == name => Some(text.as_str()),
        _ => None,
    })
}

/// An OpenAPI or Swagger document.
pub(super) fn openapi(envelope: &Envelope, body: &Bytes) -> Option<Sighting> {
    text_at(envelope, "openapi").or_else(|| text_at(envelope, "swagger"))?;
    let document: Value = serde_json::from_slice(body).ok()?;
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or("an API").to_owned();
    let readable = document.get("paths")?.as_object()?.iter();
    let readable = readable.filter(|(path, item)| item.get("get").is_some() && !path.contains('{'));
    Some(Sighting::OpenApi { title, paths: readable.map(|(path, _)| path.clone()).take(PATHS_NAMED_MAX).collect() })
}
