//! Requests of one stream: templates are filled in once, then every page token becomes a GET.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use url::Url;

use super::error::Error;
use crate::http::{Origin, Request};
use crate::model::plan::{SettingValue, Stream};
use crate::paging::walk::{PageToken, TotalProof};
use crate::paging::{CursorSend, Paginator};

/// Steps a template may take: far more than any path needs, far less than a loop that never ends.
const TEMPLATE_FUEL: u64 = 50_000;

/// What templates of a job may speak of.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Context<'a> {
    pub settings: &'a BTreeMap<String, SettingValue>,
    pub run: RunContext,
}

/// The run, as templates see it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunContext {
    pub id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
}

impl<'a> Context<'a> {
    pub(crate) fn new(settings: &'a BTreeMap<String, SettingValue>, id: String, started_at: String) -> Self {
        Context { settings, run: RunContext { id, started_at } }
    }
}

/// A stream's address with every template filled in.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// With the stream's parameters, without those of paging.
    url: Url,
    headers: HeaderMap,
    paginator: Paginator,
    origin: Origin,
}

impl Endpoint {
    /// Fills in the stream's templates. An undefined name is an error; an empty parameter is dropped.
    pub(crate) fn prepare(stream: &Stream, base_url: &Url, context: &Context<'_>) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        let fill = |place: String, template: &str| {
            environment
                .render_str(template, minijinja::Value::from(minijinja::value::Serde(context)))
                .map_err(|error| Error::Template { place, why: error.to_string() })
        };
        let origin = Origin::of(base_url);
        let path = fill(format!("path of stream `{}`", stream.name), &stream.path)?;
        let mut url = origin.join(base_url, path.trim_start_matches('/'))?;
        for (name, template) in &stream.params {
            let value = fill(format!("parameter `{name}` of stream `{}`", stream.name), template)?;
            if !value.is_empty() {
                set_param(&mut url, name, &value);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        for (name, template) in &stream.headers {
            let value = fill(format!("header `{name}` of stream `{}`", stream.name), template)?;
            let wrong = || Error::Header { name: name.clone() };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            headers.insert(header, HeaderValue::from_str(&value).map_err(|_| wrong())?);
        }
        Ok(Endpoint { url, headers, paginator: stream.paginator.clone(), origin })
    }

    /// The request of a page. `asked_at` is where the page before it came from: relative links start there.
    pub(crate) fn request(&self, token: &PageToken, asked_at: Option<&Url>) -> Result<Request, Error> {
        let mut request = Request::get(self.url.clone(), self.headers.clone());
        match token {
            PageToken::First => {}
            // Followed to the letter: servers put what they need into the link, and nothing else belongs there.
            PageToken::Link(link) => request.url = self.origin.join(asked_at.unwrap_or(&self.url), link)?,
            PageToken::Cursor(cursor) => {
                if let Paginator::Cursor { send, .. } = &self.paginator {
                    send_cursor(&mut request, send, cursor)?;
                }
            }
            PageToken::Offset(offset) => {
                if let Paginator::Offset { param, size_param, size, .. } = &self.paginator {
                    set_param(&mut request.url, param, &offset.to_string());
                    set_param(&mut request.url, size_param, &size.to_string());
                }
            }
            PageToken::Page(page) => {
                if let Paginator::Page { param, size, .. } = &self.paginator {
                    set_param(&mut request.url, param, &page.to_string());
                    if let Some(size) = size
                        && let Some(name) = &size.param
                    {
                        set_param(&mut request.url, name, &size.size.to_string());
                    }
                }
            }
        }
        Ok(request)
    }

    /// The service document's sibling that describes the types of an OData service.
    pub(crate) fn metadata_request(&self, base_url: &Url) -> Result<Request, Error> {
        let mut headers = self.headers.clone();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/xml"));
        Ok(Request::get(self.origin.join(base_url, "$metadata")?, headers))
    }

    /// A request that asks for a part of the whole cannot be proved against the API's total.
    pub(crate) fn total_proof(&self) -> TotalProof {
        let is_part = self.url.query_pairs().any(|(name, _)| matches!(name.as_ref(), "$top" | "$skip"));
        if is_part { TotalProof::Waived } else { TotalProof::Required }
    }

    /// Properties named by `$select`; empty = all.
    pub(crate) fn selected(&self) -> Vec<String> {
        let select = self.url.query_pairs().find(|(name, _)| name == "$select").map(|(_, value)| value.into_owned());
        let names = select.unwrap_or_default();
        names.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*").map(str::to_owned).collect()
    }

    /// Last segment of the path: the entity set's name in OData.
    pub(crate) fn last_segment(&self) -> String {
        let segment = self.url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        segment.split('(').next().unwrap_or_default().to_owned()
    }
}

fn send_cursor(request: &mut Request, send: &CursorSend, cursor: &str) -> Result<(), Error> {
    match send {
        CursorSend::Param(name) => set_param(&mut request.url, name, cursor),
        CursorSend::Header(name) => {
            let wrong = || Error::Header { name: name.clone() };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            request.headers.insert(header, HeaderValue::from_str(cursor).map_err(|_| wrong())?);
        }
    }
    Ok(())
}

/// Sets a query parameter, replacing one of the same name. `$` stays as it is: OData servers exist that do not decode
/// `%24` in option names, and RFC 3986 allows the sign.
fn set_param(url: &mut Url, name: &str, value: &str) {
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(other, _)| other != name).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    let mut query = String::new();
    for (name, value) in kept.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([(name, value)]) {
        if !query.is_empty() {
            query.push('&');
        }
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        query.push_str(&encoded.replace("%24", "$"));
        query.push('=');
        // `%20` instead of `+`: both are read in forms, only the first in OData filters.
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        query.push_str(&encoded.replace('+', "%20"));
    }
    url.set_query(Some(&query));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced_and_encoded() {
        let mut url: Url = "https://h/p?a=1&$top=5".parse().expect("a URL");
        set_param(&mut url, "$top", "10");
        set_param(&mut url, "$filter", "Name eq 'A+B & C'");
        assert_eq!(url.as_str(), "https://h/p?a=1&$top=10&$filter=Name%20eq%20%27A%2BB%20%26%20C%27");
    }
}
