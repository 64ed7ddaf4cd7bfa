//! Sessions: a login request whose answer carries a token or cookies. The vault keeps them like an access token.

use http::header::{ACCEPT, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::error::Error;
use super::grant::Granted;
use super::record::{Identity, Tokens};
use crate::clock::Clock;
use crate::http::{Error as HttpError, TokenChannel, TokenError, excerpt};
use crate::model::credential::{SessionToken, TokenPlace};
use crate::secret::{SafeUrl, Secret};

/// A login with its secrets at hand.
pub(crate) struct SessionClient {
    pub base_url: Url,
    /// On the origin of `base_url`.
    pub url: Url,
    pub content_type: &'static str,
    pub body: Secret,
    pub headers: Vec<(String, Secret)>,
    pub carries: SessionToken,
    /// Seconds. Absent = until it is refused.
    pub lifetime_secs: Option<i64>,
    pub channel: TokenChannel,
}

impl SessionClient {
    pub(super) fn identity(&self) -> Identity {
        let of = Identity::of(&self.base_url, &self.url, "", "session");
        Identity { id: of.id.replacen("oauth2", "session", 1), ..of }
    }

    /// Where what the login gives is sent.
    pub(crate) fn place(&self) -> TokenPlace {
        match &self.carries {
            SessionToken::Body { place, .. } => place.clone(),
            SessionToken::Cookies(_) => TokenPlace::Cookies,
        }
    }

    /// Logs in once.
    pub(super) async fn log_in(&self) -> Granted {
        let request = match self.request() {
            Ok(request) => request,
            Err(error) => return Granted::hindered(error),
        };
        let sent_at = Clock.now();
        // Any status: a form's login often answers with a redirect that sets the cookie.
        let answer = match self.channel.send_for_any(request, &self.url).await {
            Ok(answer) => answer,
            Err(TokenError::NotSent(error)) => return Granted::NotSent(error),
            Err(TokenError::Ambiguous(error)) => return Granted::Ambiguous(error),
        };
        let status = answer.status();
        if status.is_server_error() || status.as_u16() == 429 {
            let url = SafeUrl::new(self.url.clone());
            let excerpt = excerpt(answer.body());
            return Granted::NotSent(HttpError::Status {
                url,
                status,
                retry_after: None,
                excerpt,
                body: bytes::Bytes::new(),
                challenge: None,
                request_id: None,
            });
        }
        if status.is_client_error() {
            return self.refused(format!("{status} {}", excerpt(answer.body())));
        }
        let token = match &self.carries {
            SessionToken::Body { path, .. } => token_at(answer.body(), path.members()),
            SessionToken::Cookies(names) => cookies(answer.headers(), names),
        };
        let access = match token {
            Ok(token) => Secret::new(token),
            Err(why) => return self.refused(why),
        };
        let lifetime = self.lifetime_secs.and_then(chrono::Duration::try_seconds);
        Granted::Yes(Box::new(Tokens {
            access,
            refresh: None,
            expires_at: lifetime.and_then(|lifetime| sent_at.checked_add_signed(lifetime)),
            lifetime_secs: self.lifetime_secs,
        }))
    }

    fn refused(&self, why: String) -> Granted {
        Granted::hindered(Error::NoSession { url: SafeUrl::new(self.url.clone()), why })
    }

    fn request(&self) -> Result<http::Request<Vec<u8>>, Error> {
        let mut request = http::Request::new(self.body.expose().as_bytes().to_vec());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.as_str().parse().map_err(|_| Error::NotAHeader)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::NotAHeader)?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| Error::NotAHeader)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(request)
    }
}

/// The token in a JSON answer. What is wrong is told without a word of the answer, which may hold the token elsewhere.
fn token_at(body: &[u8], members: &[String]) -> Result<String, String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON".to_owned())?;
    let found = members.iter().try_fold(&json, |value, member| value.get(member));
    match found {
        Some(Value::String(token)) if !token.is_empty() => Ok(token.clone()),
        Some(Value::Number(token)) => Ok(token.to_string()),
        _ => Err(format!("its answer has no text at `{}`", members.join("."))),
    }
}

/// The `Cookie` header that the answer's cookies make (RFC 6265 section 5.4). They go to the source's own origin only,
/// so their attributes have nothing to add, except for the one that takes a cookie away.
fn cookies(headers: &HeaderMap, names: &[String]) -> Result<String, String> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for header in headers.get_all(SET_COOKIE) {
        let Ok(text) = header.to_str() else { continue };
        let mut parts = text.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
        let (name, value) = (name.trim(), value.trim());
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        kept.retain(|(other, _)| *other != name);
        let is_removal = parts.any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
        if !is_removal && !value.is_empty() {
            // Known to the mask by itself, too.
            drop(Secret::new(value.to_owned()));
            kept.push((name, value));
        }
    }
    let missing = names.iter().find(|wanted| !kept.iter().any(|(name, _)| name == wanted));
    match missing {
        Some(name) => Err(format!("its answer sets no cookie `{name}`")),
        None if kept.is_empty() => Err("its answer sets no cookie".to_owned()),
        None => Ok(kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_by_name_and_the_last_one_counts() {
        let check = |lines: &[&str], names: &[&str], expect: Result<&str, &str>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(SET_COOKIE, line.parse().unwrap());
            }
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(cookies(&headers, &names), expect, "{lines:?}");
        };
        check(&["a=1; Path=/; HttpOnly", "b=2"], &[], Ok("a=1; b=2"));
        check(&["a=1", "b=2"], &["b"], Ok("b=2"));
        check(&["a=old", "a=new==; Secure"], &[], Ok("a=new=="));
        check(&["a=1", "a=; Max-Age=0"], &[], Err("its answer sets no cookie"));
        check(&["a=1"], &["a", "c"], Err("its answer sets no cookie `c`"));
        check(&["nonsense"], &[], Err("its answer sets no cookie"));
    }

    #[test]
    fn a_token_is_a_text_or_a_number_at_its_place() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(token_at(br#"{"d":{"token":"t"}}"#, &path("d.token")), Ok("t".to_owned()));
        assert_eq!(token_at(br#"{"id":12}"#, &path("id")), Ok("12".to_owned()));
        assert!(token_at(br#"{"d":{"token":""}}"#, &path("d.token")).is_err());
        assert!(token_at(br#"{"d":null}"#, &path("d.token")).is_err());
        assert!(token_at(b"<html>", &path("token")).is_err());
    }
}
