//! Requests of one slice: templates are filled in once, then every page token becomes a request.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::error::Error;
use super::template::Context;
use crate::http::{Origin, Request};
use crate::model::json_path::JsonPath;
use crate::model::plan::{Source as SourcePlan, Stream};
use crate::model::request::{Body, Method, RequestPlan};
use crate::paging::walk::{PageToken, TotalProof};
use crate::paging::{CursorSend, Paginator, SentIn};

/// A slice's address with every template filled in.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    method: Method,
    /// With the stream's parameters, without those of paging.
    url: Url,
    headers: HeaderMap,
    body: Filled,
    paginator: Paginator,
    origin: Origin,
    /// For conditions that speak of the page before.
    context: Context,
}

/// A body without its templates.
#[derive(Debug, Clone)]
enum Filled {
    Nothing,
    Json(Value),
    Form(Vec<(String, String)>),
    Text { content_type: String, text: String },
}

impl Endpoint {
    /// Fills in the stream's templates. An undefined name is an error; an empty parameter is dropped.
    pub(crate) fn prepare(stream: &Stream, source: &SourcePlan, context: &Context) -> Result<Self, Error> {
        let of_stream = |what: &str| format!("{what} of stream `{}`", stream.name);
        let mut endpoint = Self::of_request(&stream.request, &of_stream, source, context)?;
        endpoint.paginator = stream.paginator.clone();
        if let Some(template) = stream.report.as_ref().and_then(|report| report.download_url.as_ref()) {
            let link = context.fill(|| of_stream("`report.download_url`"), template)?;
            endpoint.url = endpoint.origin.join(&source.base_url, &link)?;
        }
        Ok(endpoint)
    }

    /// Fills in the templates of a request that stands alone. `of` names a part of it in an error.
    pub(super) fn of_request(
        request: &RequestPlan,
        of: &dyn Fn(&str) -> String,
        source: &SourcePlan,
        context: &Context,
    ) -> Result<Self, Error> {
        let origin = Origin::of(&source.base_url).with_guests(&source.allow_origins);
        let path = context.fill_path(|| of("path"), &request.path)?;
        let mut url = origin.join(&source.base_url, path.trim_start_matches('/'))?;
        for (name, template) in &request.params {
            let value = context.fill(|| of(&format!("parameter `{name}`")), template)?;
            if !value.is_empty() {
                set_param(&mut url, name, &value);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, template) in &request.headers {
            let value = context.fill(|| of(&format!("header `{name}`")), template)?;
            set_header(&mut headers, name, &value)?;
        }
        let place = || of("body");
        let body = match &request.body {
            Body::Nothing => Filled::Nothing,
            Body::Json(template) => Filled::Json(context.fill_json(place, template)?),
            Body::Graphql { query, variables } => {
                Filled::Json(json!({ "query": query, "variables": context.fill_json(place, variables)? }))
            }
            Body::Form(fields) => Filled::Form(
                fields
                    .iter()
                    .map(|(name, template)| Ok((name.clone(), context.fill(place, template)?)))
                    .collect::<Result<_, Error>>()?,
            ),
            Body::Text { content_type, text } => {
                Filled::Text { content_type: content_type.clone(), text: context.fill(place, text)? }
            }
        };
        let (method, paginator, context) = (request.method, Paginator::Single, context.clone());
        Ok(Endpoint { method, url, headers, body, paginator, origin, context })
    }

    /// The request of a page. `asked_at` is where the page before it came from: relative links start there.
    pub(crate) fn request(&self, token: &PageToken, asked_at: Option<&Url>) -> Result<Request, Error> {
        let (mut url, mut headers, mut body) = (self.url.clone(), self.headers.clone(), self.body.clone());
        let mut send_number = |sent_in: SentIn, name: &str, number: u64| match sent_in {
            SentIn::Query => set_param(&mut url, name, &number.to_string()),
            SentIn::Body => set_member(&mut body, &JsonPath::of(&name.split('.').collect::<Vec<_>>()), json!(number)),
        };
        match token {
            PageToken::First => {}
            // Followed to the letter: servers put what they need into the link, and nothing else belongs there.
            PageToken::Link(link) => url = self.origin.join(asked_at.unwrap_or(&self.url), link)?,
            PageToken::Cursor(cursor) => {
                if let Paginator::Cursor { send, .. } = &self.paginator {
                    match send {
                        CursorSend::Param(name) => set_param(&mut url, name, cursor),
                        CursorSend::Header(name) => set_header(&mut headers, name, cursor)?,
                        CursorSend::Body(path) => set_member(&mut body, path, json!(cursor)),
                        CursorSend::Condition { param, template } => {
                            let place = || "the condition of `paging.keyset`".to_owned();
                            let condition = self.context.with_text("last", cursor).fill(place, template)?;
                            add_condition(&mut url, param, &condition);
                        }
                    }
                }
            }
            PageToken::Offset(offset) => {
                if let Paginator::Offset { param, size_param, size, sent_in, .. } = &self.paginator {
                    send_number(*sent_in, param, *offset);
                    send_number(*sent_in, size_param, *size);
                }
            }
            PageToken::Page(page) => {
                if let Paginator::Page { param, size, sent_in, .. } = &self.paginator {
                    send_number(*sent_in, param, *page);
                    if let Some(size) = size
                        && let Some(name) = &size.param
                    {
                        send_number(*sent_in, name, size.size);
                    }
                }
            }
        }
        Ok(self.with_body(url, headers, &body))
    }

    fn with_body(&self, url: Url, mut headers: HeaderMap, body: &Filled) -> Request {
        let method = match self.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let (content_type, body) = match body {
            Filled::Nothing => return Request { method, url, headers, body: None },
            Filled::Json(document) => ("application/json", document.to_string()),
            Filled::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields);
                ("application/x-www-form-urlencoded", form.finish())
            }
            Filled::Text { content_type, text } => (content_type.as_str(), text.clone()),
        };
        // What the job's own headers say wins.
        if !headers.contains_key(CONTENT_TYPE)
            && let Ok(content_type) = HeaderValue::from_str(content_type)
        {
            headers.insert(CONTENT_TYPE, content_type);
        }
        Request { method, url, headers, body: Some(Bytes::from(body)) }
    }

    /// The service document's sibling that describes the types of an OData service.
    pub(crate) fn metadata_request(&self, base_url: &Url) -> Result<Request, Error> {
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("application/xml"));
        headers.remove(CONTENT_TYPE);
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

fn set_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let wrong = || Error::Header { name: name.to_owned() };
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    headers.insert(header, HeaderValue::from_str(value).map_err(|_| wrong())?);
    Ok(())
}

/// Puts a value into a body, making the objects above it. A body of text has no members; the job's check knows that.
fn set_member(body: &mut Filled, path: &JsonPath, value: Value) {
    match body {
        Filled::Json(document) => {
            let mut place = document;
            for member in path.members() {
                if !place.is_object() {
                    *place = json!({});
                }
                place = &mut place[member.as_str()];
            }
            *place = value;
        }
        Filled::Form(fields) => {
            let name = path.members().join(".");
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fields.retain(|(other, _)| *other != name);
            fields.push((name, text));
        }
        Filled::Nothing | Filled::Text { .. } => {}
    }
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

/// Adds a condition to a filter that the stream may have of its own.
fn add_condition(url: &mut Url, param: &str, condition: &str) {
    let own = url.query_pairs().find(|(name, _)| name == param).map(|(_, value)| value.into_owned());
    let all = own.map_or_else(|| condition.to_owned(), |own| format!("({own}) and {condition}"));
    set_param(url, param, &all);
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
        add_condition(&mut url, "$filter", "Id gt 3");
        assert!(url.as_str().contains("$filter=%28Name%20eq%20%27A%2BB%20%26%20C%27%29%20and%20Id%20gt%203"));
    }

    #[test]
    fn members_are_put_into_bodies() {
        let mut body = Filled::Json(json!({ "query": "q" }));
        set_member(&mut body, &JsonPath::of(&["variables", "after"]), json!("x"));
        assert!(
            matches!(&body, Filled::Json(document) if *document == json!({ "query": "q", "variables": { "after": "x" } }))
        );
        let mut form = Filled::Form(vec![("page".into(), "1".into()), ("a".into(), "b".into())]);
        set_member(&mut form, &JsonPath::of(&["page"]), json!(2));
        assert!(matches!(&form, Filled::Form(fields) if fields[1] == ("page".to_owned(), "2".to_owned())));
    }
}
