//! Token requests and their answers (RFC 6749 sections 3.2, 5; RFC 7009), over a channel that never retries by itself.
//!
//! Written by hand: the `oauth2` crate knows neither assertions, as grants and as proof of a client, nor
//! revocation on loopback, nor the answers that providers give beside the standard. One way for all grants is easier to
//! check than two.

use chrono::{DateTime, Duration, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use url::Url;

use crate::auth::error::Error;
use crate::auth::grant::Granted;
use crate::auth::record::Tokens;
use crate::clock::Clock;
use crate::http::{Error as HttpError, TokenChannel, TokenError, excerpt};
use crate::secret::{SafeUrl, Secret};

/// Error codes that say that the grant is spent; only the first is the standard's.
const INVALID_GRANT: &[&str] = &["invalid_grant", "bad_refresh_token", "invalid_refresh_token"];

/// A request under construction.
#[derive(Default)]
pub(super) struct Form {
    pub pairs: Vec<(String, String)>,
    pub headers: HeaderMap,
}

/// How a request ended, the server's error still in its own code.
pub(in crate::auth) enum Answer {
    Tokens(Box<Tokens>),
    Error { code: String, why: String },
    NotSent(HttpError),
    Ambiguous(HttpError),
    Unreadable { why: String },
}

impl Form {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.pairs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the form once; `configured` is the address in the job that led to `url`.
    pub(super) async fn post(
        self,
        url: &Url,
        channel: &TokenChannel,
        configured: &Url,
    ) -> Result<http::Response<Vec<u8>>, TokenError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish();
        let mut request = http::Request::new(body.into_bytes());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri(url)?;
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        // GitHub answers with a form otherwise.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        channel.send(request, configured).await
    }

    /// Sends the form as a token request.
    pub(super) async fn ask(self, url: &Url, channel: &TokenChannel, configured: &Url) -> Answer {
        let sent_at = Clock.now();
        answered(self.post(url, channel, configured).await, url, sent_at)
    }
}

fn uri(url: &Url) -> Result<http::Uri, TokenError> {
    let too_long = || TokenError::NotSent(HttpError::LinkTooLong { bytes: url.as_str().len() });
    url.as_str().parse().map_err(|_| too_long())
}

/// Reads the answer to a token request that was sent at this instant.
pub(in crate::auth) fn answered(
    answer: Result<http::Response<Vec<u8>>, TokenError>,
    url: &Url,
    sent_at: DateTime<Utc>,
) -> Answer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(TokenError::NotSent(error)) => return Answer::NotSent(error),
        Err(TokenError::Ambiguous(error)) => return Answer::Ambiguous(error),
    };
    let status = answer.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        // Told apart from a refusal: the server did not look at the token.
        let url = SafeUrl::new(url.clone());
        let excerpt = excerpt(answer.body());
        return Answer::NotSent(HttpError::Status {
            url,
            status,
            retry_after: None,
            excerpt,
            body: bytes::Bytes::new(),
            challenge: None,
            request_id: None,
        });
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(answer.body()) else {
        return Answer::Unreadable { why: format!("{status}: {}", sealed_answer(answer.body())) };
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if status.is_success()
        && let Some(access) = text("access_token")
    {
        let lifetime = lifetime(&body, sent_at);
        return Answer::Tokens(Box::new(Tokens {
            access: Secret::new(access.to_owned()),
            refresh: text("refresh_token").map(|token| Secret::new(token.to_owned())),
            // Counted from before the request: the server's clock started somewhere after that.
            expires_at: lifetime.and_then(|lifetime| sent_at.checked_add_signed(lifetime)),
            lifetime_secs: lifetime.map(|lifetime| lifetime.num_seconds()),
        }));
    }
    // GitHub, Slack and Zoho send errors with the status 200.
    match text("error") {
        Some(code) => {
            let code = excerpt(code.as_bytes());
            let why = match text("error_description") {
                Some(description) => format!("{code} ({})", excerpt(description.as_bytes())),
                None => code.clone(),
            };
            Answer::Error { code, why }
        }
        None => Answer::Unreadable { why: format!("{status}: {}", sealed_answer(answer.body())) },
    }
}

/// Seconds as a number or, at Exact Online and Azure, as a text. Some of Zoho's services count `expires_in` in
/// milliseconds and say the seconds besides; App Service gives the end instead.
fn lifetime(body: &serde_json::Map<String, Value>, sent_at: DateTime<Utc>) -> Option<Duration> {
    let number = |name: &str| match body.get(name)? {
        Value::String(text) => text.trim().parse::<i64>().ok(),
        Value::Number(number) => number.as_f64().map(|seconds| seconds as i64),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let said = number("expires_in_sec").or_else(|| number("expires_in"));
    let seconds = said.or_else(|| Some(number("expires_on")?.saturating_sub(sent_at.timestamp())))?;
    Duration::try_seconds(seconds.max(0))
}

/// What of an unreadable answer may be shown.
pub(in crate::auth) fn sealed_answer(body: &[u8]) -> String {
    // A JSON body may hold a token under a wrong name: show nothing of it.
    if body.first().is_some_and(|first| matches!(first, b'{' | b'[' | b'"')) {
        "JSON without an access token, or an error without a code".to_owned()
    } else {
        excerpt(body)
    }
}

impl From<Answer> for Granted {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Tokens(tokens) => Granted::Yes(tokens),
            Answer::Error { code, why } if INVALID_GRANT.contains(&code.as_str()) => Granted::InvalidGrant { why },
            Answer::Error { why, .. } => Granted::Refused { why },
            Answer::NotSent(error) => Granted::NotSent(error),
            Answer::Ambiguous(error) => Granted::Ambiguous(error),
            Answer::Unreadable { why } => Granted::Unreadable { why },
        }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotSent(source) | TokenError::Ambiguous(source) => Error::Unanswered { source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expect: &str) {
        let mut answer = http::Response::new(body.as_bytes().to_vec());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        let sent_at = DateTime::from_timestamp(1_000, 0).unwrap();
        let url = "https://h/t".parse().unwrap();
        let told = match Granted::from(answered(Ok(answer), &url, sent_at)) {
            Granted::Yes(tokens) => {
                format!("yes {} {:?} {:?}", tokens.access.expose(), tokens.refresh.is_some(), tokens.lifetime_secs)
            }
            Granted::NotSent(_) => "not sent".to_owned(),
            Granted::Ambiguous(_) => "ambiguous".to_owned(),
            Granted::InvalidGrant { why } => format!("invalid {why}"),
            Granted::Refused { why } => format!("refused {why}"),
            Granted::Unreadable { why } => format!("unreadable {why}"),
        };
        assert_eq!(told, expect, "{status} {body}");
    }

    #[test]
    fn answers_are_read_as_providers_give_them() {
        check(200, r#"{"access_token":"a","token_type":"bearer","expires_in":600}"#, "yes a false Some(600)");
        check(200, r#"{"access_token":"a","expires_in":"600","refresh_token":"r"}"#, "yes a true Some(600)");
        check(200, r#"{"access_token":"a","expires_in":599.9,"refresh_token":""}"#, "yes a false Some(599)");
        check(200, r#"{"access_token":"a","expires_on":"1300"}"#, "yes a false Some(300)");
        check(200, r#"{"access_token":"a","expires_in_sec":3600,"expires_in":3600000}"#, "yes a false Some(3600)");
        check(200, r#"{"error":"Access Denied"}"#, "refused Access Denied");
        check(200, r#"{"access_token":"a","expires_in":"soon"}"#, "yes a false None");
        check(400, r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid invalid_grant (gone)");
        check(200, r#"{"error":"bad_refresh_token"}"#, "invalid bad_refresh_token");
        check(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "invalid invalid_refresh_token");
        check(401, r#"{"error":"invalid_client"}"#, "refused invalid_client");
        check(400, r#"{"error":"unauthorized_client"}"#, "refused unauthorized_client");
        check(429, r#"{"error":"slow"}"#, "not sent");
        check(
            400,
            r#"{"access_token":"a"}"#,
            "unreadable 400 Bad Request: JSON without an access token, or an error without a code",
        );
        check(200, "<html>log in</html>", "unreadable 200 OK: <html>log in</html>");
        check(
            200,
            r#"{"accessToken":"canary"}"#,
            "unreadable 200 OK: JSON without an access token, or an error without a code",
        );
    }
}
