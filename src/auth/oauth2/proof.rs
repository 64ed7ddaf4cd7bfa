//! How a client proves who it is to the authorization server (RFC 6749 section 2.3, RFC 7523 section 2.2).

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::assertion::SigningKey;
use super::wire::Form;
use crate::auth::error::Error;
use crate::limits::SECRET_FILE_BYTES_MAX;
use crate::model::credential::AssertionAudience;
use crate::secret::Secret;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion is used at once; a minute covers a slow connection.
const ASSERTION_SECS: i64 = 60;

/// A client's proof with its secret at hand.
pub(crate) enum Proof {
    Basic(Secret),
    Post(Secret),
    PrivateKey {
        key: Box<SigningKey>,
        audience: AssertionAudience,
    },
    /// Read anew for every request: whoever runs the platform renews it.
    AssertionFile(PathBuf),
    /// Only the id is sent.
    Public,
    /// Not even the id is sent.
    Unnamed,
}

/// To whom a proof is shown.
pub(super) struct Verifier<'a> {
    pub token_endpoint: &'a str,
    /// Absent = not known.
    pub issuer: Option<&'a str>,
}

impl Proof {
    /// Adds the proof to a request.
    pub(super) async fn add(&self, form: Form, id: &str, verifier: &Verifier<'_>) -> Result<Form, Error> {
        Ok(match self {
            Proof::Basic(secret) => {
                // Both halves are form-encoded before base64 (RFC 6749 section 2.3.1).
                let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret.expose())));
                let mut value = HeaderValue::from_str(&format!("Basic {pair}")).map_err(|_| Error::NotAHeader)?;
                value.set_sensitive(true);
                let mut form = form;
                form.headers.insert(AUTHORIZATION, value);
                form
            }
            Proof::Post(secret) => form.with("client_id", id).with("client_secret", secret.expose()),
            Proof::PrivateKey { key, audience } => {
                let audience = match (audience, verifier.issuer) {
                    (AssertionAudience::Issuer, Some(issuer)) => issuer,
                    (AssertionAudience::Issuer | AssertionAudience::TokenEndpoint, _) => verifier.token_endpoint,
                };
                let mut claims = Map::new();
                for (name, value) in [("iss", id), ("sub", id), ("aud", audience)] {
                    claims.insert(name.to_owned(), Value::from(value));
                }
                with_assertion(form, id, &key.sign(claims, ASSERTION_SECS)?)
            }
            Proof::AssertionFile(file) => with_assertion(form, id, &read_assertion(file).await?),
            Proof::Public => form.with("client_id", id),
            Proof::Unnamed => form,
        })
    }
}

fn with_assertion(form: Form, id: &str, assertion: &Secret) -> Form {
    form.with("client_id", id)
        .with("client_assertion_type", ASSERTION_TYPE)
        .with("client_assertion", assertion.expose())
}

async fn read_assertion(file: &std::path::Path) -> Result<Secret, Error> {
    let wrong = |source| Error::AssertionFile { file: file.to_path_buf(), source };
    let opened = tokio::fs::File::open(file).await.map_err(wrong)?;
    let mut text = String::new();
    opened.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text).await.map_err(wrong)?;
    match text.trim() {
        "" => Err(wrong(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is empty"))),
        assertion => Ok(Secret::new(assertion.to_owned())),
    }
}
