//! Where people or programs log in to an API that refuses: as its refusal, its own description (RFC 9728) or the
//! authorization server at its own address tell. Nothing secret is sent.

use url::Url;

use super::{Guide, GuideError};
use crate::auth::{Server, describe, protected};
use crate::engine::credential::open_network;
use crate::http::TokenChannel;
use crate::source::guess::Challenged;

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundLogin {
    pub server: Server,
    /// What the API says that a token must be good for. Empty = nothing.
    pub scopes: Vec<String>,
    /// How it was found, for people.
    pub why: String,
}

/// Looks for the authorization server of an API. `issuer` is what the user named.
pub(crate) async fn find_login(
    guide: &Guide,
    resource: &Url,
    wants: &Challenged,
    issuer: Option<&str>,
) -> Result<Option<FoundLogin>, GuideError> {
    let channel = TokenChannel::new(open_network(&guide.ctx.job)?);
    let allow_http = guide.ctx.job.source.base_url.scheme() == "http" && !crate::http::is_loopback(resource);
    let asked_scopes = || wants.scope.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect();
    if let Some(issuer) = issuer {
        let server = describe(issuer, None, allow_http, &channel).await.map_err(crate::engine::Error::from)?;
        return Ok(Some(FoundLogin { server, scopes: asked_scopes(), why: "you named the issuer".to_owned() }));
    }
    for (at, why) in descriptions(resource, wants) {
        let Some(told) = protected(resource, &at, &channel).await else { continue };
        for issuer in &told.authorization_servers {
            let Ok(server) = describe(issuer, Some(resource), allow_http, &channel).await else { continue };
            let scopes: Vec<String> = asked_scopes();
            let scopes = if scopes.is_empty() { told.scopes_supported.clone() } else { scopes };
            let why = format!("{why} names {issuer} as its authorization server (RFC 9728)");
            return Ok(Some(FoundLogin { server, scopes, why }));
        }
    }
    // Some APIs are their own authorization server.
    let own = resource.origin().ascii_serialization();
    for issuer in [own.clone(), format!("{own}/")] {
        if let Ok(server) = describe(&issuer, Some(resource), allow_http, &channel).await {
            let why = format!("{own} describes itself as an authorization server (RFC 8414, OpenID Connect)");
            return Ok(Some(FoundLogin { server, scopes: asked_scopes(), why }));
        }
    }
    Ok(None)
}

/// Where the API may describe itself: as it said, then at the well-known places.
fn descriptions(resource: &Url, wants: &Challenged) -> Vec<(Url, String)> {
    let told = wants.resource_metadata.as_deref().and_then(|told| resource.join(told).ok());
    let mut places: Vec<(Url, String)> =
        told.into_iter().map(|at| (at, "its refusal leads to a description, which".to_owned())).collect();
    for path in [resource.path().trim_end_matches('/'), ""] {
        let mut at = resource.clone();
        at.set_query(None);
        at.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
        if places.iter().all(|(known, _)| *known != at) {
            places.push((at, "its own description".to_owned()));
        }
    }
    places
}
