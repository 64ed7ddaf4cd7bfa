//! What an authorization server says of itself (RFC 8414; OpenID Connect Discovery 1.0).

use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::auth::error::Error;
use crate::http::{TokenChannel, is_loopback};

/// The parts of the metadata that we use.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub token_endpoint: Option<Url>,
    pub authorization_endpoint: Option<Url>,
    pub device_authorization_endpoint: Option<Url>,
    pub revocation_endpoint: Option<Url>,
    /// Every answer of a login brings `iss` (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    grant_types_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// An authorization server as it describes itself, for whoever writes a job.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub issuer: String,
    /// Whether people log in with a browser.
    pub has_login: bool,
    pub has_device_codes: bool,
    /// Whether a client gets a token for itself; assumed where the server does not list its grants.
    pub has_client_credentials: bool,
    pub scopes: Vec<String>,
}

/// What a service says of its authorization (RFC 9728).
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Protected {
    pub resource: String,
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    #[serde(default)]
    pub scopes_supported: Vec<String>,
}

/// Asks an authorization server what it can do. Nothing secret is sent. `told_by` is the API that named it; an API must
/// not lead where it could not be itself. `None` = the user named it.
pub(crate) async fn describe(
    issuer: &str,
    told_by: Option<&Url>,
    allow_http: bool,
    channel: &TokenChannel,
) -> Result<Server, Error> {
    let metadata = metadata_told_by(told_by, issuer, allow_http, channel).await?;
    let grants = &metadata.grant_types_supported;
    Ok(Server {
        issuer: metadata.issuer,
        has_login: metadata.authorization_endpoint.is_some(),
        has_device_codes: metadata.device_authorization_endpoint.is_some(),
        has_client_credentials: metadata.token_endpoint.is_some()
            && (grants.is_empty() || grants.iter().any(|grant| grant == "client_credentials")),
        scopes: metadata.scopes_supported,
    })
}

/// Asks a service what it says of its authorization, at an address on its own origin. `None` = it says nothing that speaks
/// of itself.
pub(crate) async fn protected(resource: &Url, at: &Url, channel: &TokenChannel) -> Option<Protected> {
    if at.origin() != resource.origin() {
        return None;
    }
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = at.as_str().parse().ok()?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = channel.send(request, resource).await.ok()?;
    let told: Protected = serde_json::from_slice(answer.body()).ok().filter(|_| answer.status() == StatusCode::OK)?;
    // It must speak of the address that was asked for, or one above it (section 3.3).
    let named: Url = told.resource.parse().ok()?;
    let is_above = named.origin() == resource.origin() && resource.path().starts_with(named.path());
    is_above.then_some(told)
}

/// Asks for the metadata at both well-known places. The document must name this very issuer: one that names another
/// could lead a login astray (RFC 8414 section 3.3).
pub(super) async fn metadata_of(issuer: &str, allow_http: bool, channel: &TokenChannel) -> Result<Metadata, Error> {
    metadata_told_by(None, issuer, allow_http, channel).await
}

/// The same for an issuer that another address named: where it may lead is measured by that one.
async fn metadata_told_by(
    told_by: Option<&Url>,
    issuer: &str,
    allow_http: bool,
    channel: &TokenChannel,
) -> Result<Metadata, Error> {
    let wrong = |why: String| Error::Discovery { issuer: issuer.to_owned(), why };
    let url: Url = issuer.parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
    let mut answers = Vec::new();
    for place in places(&url) {
        let mut request = http::Request::new(Vec::new());
        *request.uri_mut() = place.as_str().parse().map_err(|_| wrong("its address is too long".to_owned()))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = channel.send(request, told_by.unwrap_or(&url)).await?;
        if answer.status() != StatusCode::OK {
            answers.push(format!("{place} answered {}", answer.status()));
            continue;
        }
        let metadata: Metadata = serde_json::from_slice(answer.body())
            .map_err(|error| wrong(format!("the metadata at {place} cannot be read: {error}")))?;
        if metadata.issuer != issuer {
            return Err(wrong(format!("the metadata at {place} are of another issuer, `{}`", metadata.issuer)));
        }
        metadata.admit(&url, allow_http).map_err(wrong)?;
        return Ok(metadata);
    }
    Err(wrong(answers.join(", ")))
}

/// RFC 8414 puts the well-known part before the issuer's path, OpenID Connect behind it.
fn places(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    [
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ]
}

impl Metadata {
    /// Secrets go to these addresses: plain http only where the job allows it, or from this machine to this machine.
    fn admit(&self, issuer: &Url, allow_http: bool) -> Result<(), String> {
        let addresses = [
            &self.token_endpoint,
            &self.authorization_endpoint,
            &self.device_authorization_endpoint,
            &self.revocation_endpoint,
        ];
        for url in addresses.into_iter().flatten() {
            let is_here = is_loopback(issuer) && is_loopback(url);
            let is_safe = url.scheme() == "https" || url.scheme() == "http" && (allow_http || is_here);
            if !is_safe {
                return Err(format!("it names `{url}`, which is not https"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_places_are_those_of_the_standards() {
        let check = |issuer: &str, expect: [&str; 2]| {
            assert_eq!(places(&issuer.parse().unwrap()).map(String::from), expect.map(str::to_owned));
        };
        check(
            "https://h",
            ["https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"],
        );
        check(
            "https://h/a/b/",
            ["https://h/.well-known/oauth-authorization-server/a/b", "https://h/a/b/.well-known/openid-configuration"],
        );
    }

    #[test]
    fn endpoints_are_https_or_on_this_machine() {
        let check = |issuer: &str, endpoint: &str, allow_http: bool, expect: bool| {
            let metadata = Metadata { token_endpoint: Some(endpoint.parse().unwrap()), ..Metadata::default() };
            assert_eq!(metadata.admit(&issuer.parse().unwrap(), allow_http).is_ok(), expect, "{issuer} {endpoint}");
        };
        check("https://h", "https://other/t", false, true);
        check("http://127.0.0.1:1", "http://127.0.0.1:2/t", false, true);
        check("https://h", "http://127.0.0.1:1/t", false, false);
        check("http://127.0.0.1:1", "http://h/t", false, false);
        check("https://h", "http://h/t", true, true);
        check("https://h", "ftp://h/t", true, false);
    }
}
