//! Managed identities: the platform gives tokens to what runs on it, without any secret. App Service and its relatives
//! name an endpoint in the environment; virtual machines have a link-local one.

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::auth::error::Error;
use crate::auth::grant::Granted;
use crate::auth::oauth2::{answered, sealed_answer};
use crate::clock::Clock;
use crate::http::{Error as HttpError, TokenChannel, excerpt};
use crate::secret::{SafeUrl, Secret};

/// Azure's instance metadata service; the same address on every machine.
const INSTANCE_METADATA: &str = "http://169.254.169.254";

/// Where the platform gives tokens.
pub(crate) enum ManagedIdentity {
    /// App Service, Functions, Container Apps (`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`).
    AppService { endpoint: Url, header: Secret },
    /// The instance metadata service.
    Machine { host: Url },
}

impl ManagedIdentity {
    /// As the platform's own environment variables say; each absent where it is not set.
    pub(crate) fn new(
        identity_endpoint: Option<&str>,
        identity_header: Option<Secret>,
        authority_host: Option<&str>,
    ) -> Result<Self, Error> {
        let parse = |name: &str, text: &str| {
            text.parse::<Url>()
                .map_err(|error| Error::NoManagedIdentity { why: format!("{name} is no address: {error}") })
        };
        match (identity_endpoint, identity_header) {
            (Some(endpoint), Some(header)) => {
                Ok(ManagedIdentity::AppService { endpoint: parse("IDENTITY_ENDPOINT", endpoint)?, header })
            }
            _ => {
                let host = authority_host.unwrap_or(INSTANCE_METADATA);
                Ok(ManagedIdentity::Machine { host: parse("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)? })
            }
        }
    }

    /// Asks for a token, once. `client_id` absent = the machine's own identity.
    pub(super) async fn buy(&self, resource: &str, client_id: Option<&str>, channel: &TokenChannel) -> Granted {
        let (url, name, value) = match self.request(resource, client_id) {
            Ok(parts) => parts,
            Err(error) => return Granted::hindered(error),
        };
        let mut request = http::Request::new(Vec::new());
        let Ok(uri) = url.as_str().parse() else {
            return Granted::NotSent(HttpError::LinkTooLong { bytes: url.as_str().len() });
        };
        *request.uri_mut() = uri;
        request.headers_mut().insert(name, value);
        let sent_at = Clock.now();
        let answer = channel.send_to_platform(request).await;
        if let Ok(answer) = &answer {
            let status = answer.status();
            // What the documentation names for another try: 404 and 410 while the service starts, 429 and 5xx.
            if status.is_server_error() || matches!(status.as_u16(), 404 | 410 | 429) {
                let excerpt = excerpt(answer.body());
                let url = SafeUrl::new(url);
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
            if !status.is_success() {
                let why = refusal(answer.body());
                return Granted::hindered(Error::NoManagedIdentity { why: format!("{status} {why}") });
            }
        }
        answered(answer, &url, sent_at).into()
    }

    fn request(&self, resource: &str, client_id: Option<&str>) -> Result<(Url, HeaderName, HeaderValue), Error> {
        let (mut url, version, name, value) = match self {
            ManagedIdentity::AppService { endpoint, header } => {
                let mut value = HeaderValue::from_str(header.expose()).map_err(|_| Error::NotAHeader)?;
                value.set_sensitive(true);
                (endpoint.clone(), "2019-08-01", HeaderName::from_static("x-identity-header"), value)
            }
            ManagedIdentity::Machine { host } => {
                let mut url = host.clone();
                url.set_path("/metadata/identity/oauth2/token");
                let value = HeaderValue::from_static("true");
                (url, "2018-02-01", HeaderName::from_static("metadata"), value)
            }
        };
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client_id) = client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        Ok((url, name, value))
    }
}

/// The platform's own words.
fn refusal(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = json.as_ref().and_then(|json| json.get("error_description").or_else(|| json.get("message"))?.as_str());
    said.map_or_else(|| sealed_answer(body), |said| excerpt(said.as_bytes()))
}
