//! Requests to a storage account of Azure, on `object_store`'s way and with the options of the destination.

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use object_store::ClientOptions;
use object_store::azure::{AzureAuthorizer, AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector, HttpErrorKind, HttpRequestBody, ReqwestConnector};
use url::Url;

use super::error::ShareError;
use crate::limits::{POLICIES_BYTES_MAX, SHARE_WAIT_MAX};
use crate::store::open::Store;
use crate::store::sas::{Opened, SAS_VERSION};

const ERROR_CODE: &str = "x-ms-error-code";

/// A job's folder in a container of an account.
pub(super) struct Account {
    /// Of the service.
    pub base: String,
    pub name: String,
    pub container: String,
    /// Of the job, below the container.
    pub folder: String,
    http: HttpClient,
}

/// One request. The answer is kept in memory, and is a small one.
pub(super) struct Asked {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Store {
    /// The options of its account. The error says that it is no container of Azure.
    pub(super) fn azure_builder(&self) -> Result<MicrosoftAzureBuilder, ShareError> {
        let not_azure = || ShareError::NotAzure { place: self.shown().to_owned() };
        let (url, options) = self.opened_with().ok_or_else(not_azure)?;
        if url.scheme() != "az" {
            return Err(not_azure());
        }
        let keyed = options.iter().filter_map(|(name, value)| Some((name.parse::<AzureConfigKey>().ok()?, value)));
        Ok(keyed.fold(MicrosoftAzureBuilder::new(), |builder, (key, value)| builder.with_config(key, value)))
    }
}

impl Account {
    pub(super) fn open(store: &Store, builder: &MicrosoftAzureBuilder) -> Result<Self, ShareError> {
        let wrong = |why: String| ShareError::Place { place: store.shown().to_owned(), why };
        let name = builder.get_config_value(&AzureConfigKey::AccountName);
        let name = name.ok_or_else(|| wrong("the account has no name".to_owned()))?;
        let base = match builder.get_config_value(&AzureConfigKey::Endpoint) {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{name}.blob.core.windows.net"),
        };
        if !base.parse::<Url>().is_ok_and(|url| url.has_host()) {
            return Err(wrong("its endpoint is no address".to_owned()));
        }
        let path = store.shown().split_once("://").map(|(_, path)| path).unwrap_or_default();
        let (container, folder) = path.split_once('/').unwrap_or((path, ""));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (_, options) = store.opened_with().expect("a builder was made of it");
        let client = options.iter().fold(ClientOptions::new(), |client, (name, value)| match name.parse() {
            Ok(AzureConfigKey::Client(key)) => client.with_config(key, value),
            Ok(_) | Err(_) => client,
        });
        let http = ReqwestConnector::default().connect(&client).map_err(|error| wrong(error.to_string()))?;
        Ok(Account { name, container: container.to_owned(), folder: folder.to_owned(), http, base })
    }

    /// The job's own part of the folder.
    pub(super) fn job(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn container_address(&self) -> Url {
        self.address(&format!("{}/{}", self.base, self.container))
    }

    pub(super) fn service_address(&self) -> Url {
        self.address(&self.base)
    }

    fn address(&self, text: &str) -> Url {
        text.parse().expect("the base is an address, and a container's name has no characters of its own meaning")
    }

    /// What a signature for it opens.
    pub(super) fn opened(&self, is_folder_only: bool) -> Opened<'_> {
        Opened {
            account: &self.name,
            container: &self.container,
            directory: is_folder_only.then_some(&self.folder),
            is_https_only: self.base.starts_with("https:"),
        }
    }

    /// The job's folder below the service's address.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.container, self.folder)
    }

    /// Asks once.
    pub(super) async fn ask(
        &self,
        credential: &AzureCredential,
        asked: Asked,
    ) -> Result<(HeaderMap, Vec<u8>), ShareError> {
        let unreachable = |error: &dyn std::error::Error| ShareError::Unreachable { why: innermost(error) };
        let length = asked.body.len();
        let request = http::Request::builder().method(asked.method).uri(asked.url.as_str());
        let mut request = request.body(HttpRequestBody::from(asked.body)).map_err(|error| unreachable(&error))?;
        *request.headers_mut() = asked.headers;
        request.headers_mut().insert("x-ms-version", http::HeaderValue::from_static(SAS_VERSION));
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        AzureAuthorizer::new(credential, &self.name)
            .try_authorize(&mut request)
            .map_err(|error| unreachable(&error))?;
        let answer = self.http.execute(request).await.map_err(|error| match error.kind() {
            HttpErrorKind::Timeout => ShareError::Late { waited: SHARE_WAIT_MAX },
            _ => unreachable(&error),
        })?;
        let (parts, body) = answer.into_parts();
        let code = parts.headers.get(ERROR_CODE).and_then(|code| code.to_str().ok()).map(str::to_owned);
        let status = parts.status;
        if !status.is_success() {
            return Err(match status {
                StatusCode::NOT_FOUND => ShareError::NoContainer { container: self.container.clone() },
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    ShareError::Refused { status: status.as_u16(), code }
                }
                _ => ShareError::Status { status: status.as_u16(), code },
            });
        }
        let mut stream = body.bytes_stream();
        let mut whole = Vec::new();
        while let Some(chunk) = stream.next().await {
            whole.extend_from_slice(&chunk.map_err(|error| unreachable(&error))?);
            if whole.len() > POLICIES_BYTES_MAX {
                let why = format!("it is larger than {POLICIES_BYTES_MAX} bytes, limit POLICIES_BYTES_MAX");
                return Err(ShareError::Unreadable { why });
            }
        }
        Ok((parts.headers, whole))
    }
}

/// No answer is waited for any longer.
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T, ShareError>>) -> Result<T, ShareError> {
    let late = ShareError::Late { waited: SHARE_WAIT_MAX };
    tokio::time::timeout(SHARE_WAIT_MAX, work).await.unwrap_or(Err(late))
}

/// The innermost cause: those around it repeat it, or name the address.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
