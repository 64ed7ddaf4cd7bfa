//! What a source uses at every request: the kind of its credential, with the secrets at hand.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderName, HeaderValue};

use super::error::Error;
use super::issuer::Issuer;
use super::record::Summary;
use super::vault::Vault;
use super::windows::WindowsLogin;
use crate::http::{BodyBound, Client, Error as HttpError, Reply, Request};
use crate::model::credential::TokenPlace;
use crate::model::json_path::JsonPath;
use crate::secret::Secret;

/// A kind of authentication with its secrets.
pub(crate) enum Kind {
    Anonymous,
    Header {
        name: String,
        value: Secret,
    },
    Param {
        name: String,
        value: Secret,
    },
    Cookie {
        name: String,
        value: Secret,
    },
    /// A member of the body; a request without one goes without it.
    Body {
        path: JsonPath,
        value: Secret,
    },
    Basic {
        username: String,
        password: Secret,
    },
    Bearer {
        token: Secret,
    },
    /// Proved by a conversation with the server, see `send`.
    Windows(Box<WindowsLogin>),
    /// Bought, kept in the vault, and sent at this place.
    Issued {
        issuer: Arc<Issuer>,
        vault: Arc<Vault>,
        place: TokenPlace,
    },
}

/// The credential of one source.
pub(crate) struct Access {
    kind: Kind,
}

/// What a request was sent with, for `refresh_after_401`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing that could be renewed.
    Fixed,
    Token {
        generation: u64,
    },
}

impl Access {
    pub(crate) fn new(kind: Kind) -> Self {
        Access { kind }
    }

    /// The stored credential and where it stands. `None` = there is none, or it was never stored.
    pub(crate) async fn summary(&self) -> Result<Option<Summary>, Error> {
        match &self.kind {
            Kind::Issued { issuer, vault, .. } => vault.summary(issuer).await,
            Kind::Anonymous
            | Kind::Header { .. }
            | Kind::Param { .. }
            | Kind::Cookie { .. }
            | Kind::Body { .. }
            | Kind::Basic { .. }
            | Kind::Bearer { .. }
            | Kind::Windows(_) => Ok(None),
        }
    }

    /// Adds the credential to a request that is about to be sent. `refused` is what the API answered 401 to: another
    /// token is used then, bought if need be.
    pub(crate) async fn authorize(&self, request: &mut Request, refused: Option<Use>) -> Result<Use, Error> {
        match &self.kind {
            Kind::Anonymous | Kind::Windows(_) => {}
            Kind::Header { name, value } => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::NotAHeader)?;
                request.headers.insert(name, sensitive(value.expose())?);
            }
            Kind::Param { name, value } => {
                // A next link may bring the parameter along.
                if !request.url.query_pairs().any(|(found, _)| found == name.as_str()) {
                    request.url.query_pairs_mut().append_pair(name, value.expose());
                }
            }
            Kind::Cookie { name, value } => {
                request.headers.insert(COOKIE, sensitive(&format!("{name}={}", value.expose()))?);
            }
            Kind::Body { path, value } => put_in_body(request, path, value.expose()),
            Kind::Basic { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
                request.headers.insert(AUTHORIZATION, sensitive(&format!("Basic {pair}"))?);
            }
            Kind::Bearer { token } => {
                request.headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose()))?);
            }
            Kind::Issued { issuer, vault, place } => {
                let refused = refused.and_then(|refused| match refused {
                    Use::Fixed => None,
                    Use::Token { generation } => Some(generation),
                });
                let token = vault.token(issuer, refused).await?;
                put(request, place, token.tokens.access.expose())?;
                return Ok(Use::Token { generation: token.generation });
            }
        }
        Ok(Use::Fixed)
    }

    /// Sends a request that `authorize` has seen. The outer error is of the credential.
    pub(crate) async fn send(
        &self,
        client: &Client,
        request: Request,
        bound: BodyBound,
    ) -> Result<Result<Reply, HttpError>, Error> {
        match &self.kind {
            // Its future is far larger than that of all other kinds, which would be moved with it for every page.
            Kind::Windows(login) => Box::pin(login.send(client, request, bound)).await,
            Kind::Anonymous
            | Kind::Header { .. }
            | Kind::Param { .. }
            | Kind::Cookie { .. }
            | Kind::Body { .. }
            | Kind::Basic { .. }
            | Kind::Bearer { .. }
            | Kind::Issued { .. } => Ok(client.send(request, bound).await),
        }
    }

    /// Token answers bought in this process.
    pub(crate) fn refreshes(&self) -> u64 {
        match &self.kind {
            Kind::Issued { vault, .. } => vault.refreshes(),
            Kind::Anonymous
            | Kind::Header { .. }
            | Kind::Param { .. }
            | Kind::Cookie { .. }
            | Kind::Body { .. }
            | Kind::Basic { .. }
            | Kind::Bearer { .. }
            | Kind::Windows(_) => 0,
        }
    }
}

/// Puts a key into a JSON document or a form.
fn put_in_body(request: &mut Request, path: &JsonPath, value: &str) {
    let Some(body) = &request.body else { return };
    let is_form = request
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if is_form {
        let mut form = url::form_urlencoded::Serializer::new(String::from_utf8_lossy(body).into_owned());
        form.append_pair(&path.members().join("."), value);
        request.body = Some(form.finish().into());
    } else if let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(body) {
        let mut place = &mut document;
        for member in path.members() {
            if !place.is_object() {
                *place = serde_json::Value::Object(serde_json::Map::new());
            }
            place = &mut place[member.as_str()];
        }
        *place = value.into();
        request.body = Some(document.to_string().into());
    }
}

/// Puts a bought token at its place.
fn put(request: &mut Request, place: &TokenPlace, token: &str) -> Result<(), Error> {
    match place {
        TokenPlace::Header { name, prefix } => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::NotAHeader)?;
            request.headers.insert(name, sensitive(&format!("{prefix}{token}"))?);
        }
        TokenPlace::Param(name) => {
            // A next link may bring along the token that it was made with, which may be over by now.
            let others: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
            if others.iter().any(|(found, _)| found == name) {
                let kept = others.iter().filter(|(found, _)| found != name);
                request.url.query_pairs_mut().clear().extend_pairs(kept);
            }
            request.url.query_pairs_mut().append_pair(name, token);
        }
        TokenPlace::Cookie(name) => {
            request.headers.insert(COOKIE, sensitive(&format!("{name}={token}"))?);
        }
        TokenPlace::Cookies => {
            request.headers.insert(COOKIE, sensitive(token)?);
        }
    }
    Ok(())
}

pub(super) fn sensitive(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::NotAHeader)?;
    value.set_sensitive(true);
    Ok(value)
}
