//! A dataset as others read it: piece by piece, over plain HTTP with a signature and nothing else, or from the folder where
//! it lies. The requests take `object_store`'s way to the account, with the options of the destination but its credential.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use object_store::azure::AzureConfigKey;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use url::Url;

use super::error::Error;
use super::given::GivenSas;
use super::open::{Backend, Store, below};
use crate::limits::{CHECK_PIECE_WAIT_MAX, CHECK_TRIES_MAX};
use crate::secret::SafeUrl;

/// Between two tries.
const TRY_INTERVAL: Duration = Duration::from_millis(500);

/// What is known of an object before it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub bytes: u64,
    /// Absent = the service does not say.
    pub modified: Option<DateTime<Utc>>,
}

/// Why something cannot be read. No variant shows a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it is not there")]
    Missing,
    #[error("the service refuses it with status {status}{}", of_code(.code))]
    Refused { status: u16, code: Option<String> },
    #[error("the service answered status {status}{}", of_code(.code))]
    Status { status: u16, code: Option<String> },
    #[error("the service cannot be reached: {why}")]
    Unreachable { why: String },
    #[error("it cannot be read: {why}")]
    Broken { why: String },
}

fn of_code(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
}

impl Unread {
    fn is_temporary(&self) -> bool {
        match self {
            Unread::Unreachable { .. } => true,
            Unread::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Unread::Missing | Unread::Refused { .. } | Unread::Broken { .. } => false,
        }
    }
}

/// Reads the files below a job's folder.
pub(crate) enum Reader {
    /// With what the job has.
    Own(Store),
    /// With a signature alone.
    Anonymous { http: HttpClient, folder: Url, sas: GivenSas },
}

impl Store {
    /// Its files as whoever has this signature reads them.
    pub(crate) fn read_with(&self, sas: GivenSas) -> Result<Reader, Error> {
        let wrong = |why: String| Error::Open { place: self.shown().to_owned(), why };
        let (base, path) = self.reader_address().ok_or_else(|| wrong("it is no container of Azure Blob".to_owned()))?;
        let folder: Url =
            format!("{base}/{path}").parse().map_err(|_| wrong("its endpoint is no address".to_owned()))?;
        let (_, options) = self.opened_with().expect("it has an address for readers");
        let client = options.iter().fold(ClientOptions::new(), |client, (name, value)| match name.parse() {
            Ok(AzureConfigKey::Client(key)) => client.with_config(key, value),
            Ok(_) | Err(_) => client,
        });
        let client = client.with_timeout(CHECK_PIECE_WAIT_MAX);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = ReqwestConnector::default().connect(&client).map_err(|error| wrong(error.to_string()))?;
        Ok(Reader::Anonymous { http, folder, sas })
    }
}

impl Reader {
    /// Whether it reads as others do.
    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self, Reader::Anonymous { .. })
    }

    /// Size and age of a file.
    pub(crate) async fn facts(&self, path: &str) -> Result<Facts, Unread> {
        match self {
            Reader::Own(store) => store.facts(path).await,
            Reader::Anonymous { .. } => {
                let (headers, _) = self.ask(&Method::HEAD, path, None).await?;
                let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
                let bytes = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
                let bytes = bytes.ok_or_else(|| Unread::Broken { why: "its size is not told".to_owned() })?;
                let modified = text(LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok());
                Ok(Facts { bytes, modified: modified.map(Into::into) })
            }
        }
    }

    /// Bytes of a file, which has at least so many.
    pub(crate) async fn piece(&self, path: &str, range: Range<u64>) -> Result<Bytes, Unread> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = range.end - range.start;
        let piece = match self {
            Reader::Own(store) => store.piece(path, range).await?,
            Reader::Anonymous { .. } => self.ask(&Method::GET, path, Some(range)).await?.1,
        };
        if piece.len() as u64 != wanted {
            return Err(Unread::Broken { why: format!("{} bytes came instead of {wanted}", piece.len()) });
        }
        Ok(piece)
    }

    async fn ask(&self, method: &Method, path: &str, range: Option<Range<u64>>) -> Result<(HeaderMap, Bytes), Unread> {
        for _ in 1..CHECK_TRIES_MAX {
            match self.ask_once(method, path, range.clone()).await {
                Err(error) if error.is_temporary() => tokio::time::sleep(TRY_INTERVAL).await,
                answered => return answered,
            }
        }
        self.ask_once(method, path, range).await
    }

    async fn ask_once(
        &self,
        method: &Method,
        path: &str,
        range: Option<Range<u64>>,
    ) -> Result<(HeaderMap, Bytes), Unread> {
        let Reader::Anonymous { http, folder, sas } = self else {
            return Err(Unread::Broken { why: "there is no service to ask".to_owned() });
        };
        let mut url = folder.clone();
        url.path_segments_mut().map_err(|()| broken("its address has no path"))?.extend(path.split('/'));
        url.set_query(Some(&sas.expose_query()));
        let url = SafeUrl::new(url);
        let mut request = http::Request::builder().method(method.clone()).uri(url.expose().as_str());
        if let Some(range) = &range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        let request = request.body(HttpRequestBody::empty()).map_err(|_| broken("its address cannot be asked for"))?;
        let answer = http.execute(request).await.map_err(|error| unreachable(&error))?;
        let (parts, body) = answer.into_parts();
        let code = parts.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
        let status = parts.status.as_u16();
        match parts.status {
            StatusCode::OK if range.is_some() => return Err(broken("the service ignores ranges")),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            // The container is as good as not there for those who may not see it.
            StatusCode::NOT_FOUND => return Err(Unread::Missing),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::CONFLICT => {
                return Err(Unread::Refused { status, code });
            }
            _ => return Err(Unread::Status { status, code }),
        }
        let wanted = range.map_or(0, |range| range.end - range.start);
        let mut whole = Vec::new();
        let mut stream = body.bytes_stream();
        while let Some(chunk) = stream.next().await {
            whole.extend_from_slice(&chunk.map_err(|error| unreachable(&error))?);
            if whole.len() as u64 > wanted {
                return Err(broken("more came than was asked for"));
            }
        }
        Ok((parts.headers, whole.into()))
    }
}

impl Store {
    async fn facts(&self, path: &str) -> Result<Facts, Unread> {
        match self.backend() {
            Backend::Local(folder) => {
                let found = std::fs::metadata(folder.join(path)).map_err(|error| of_file(&error))?;
                Ok(Facts { bytes: found.len(), modified: found.modified().ok().map(Into::into) })
            }
            Backend::Remote { store, prefix } => {
                let found = store.head(&below(prefix, path)).await.map_err(|error| of_object(&error))?;
                Ok(Facts { bytes: found.size, modified: Some(found.last_modified) })
            }
        }
    }

    async fn piece(&self, path: &str, range: Range<u64>) -> Result<Bytes, Unread> {
        match self.backend() {
            Backend::Local(folder) => {
                use std::io::{Read, Seek, SeekFrom};

                let read = || {
                    let mut file = std::fs::File::open(folder.join(path))?;
                    file.seek(SeekFrom::Start(range.start))?;
                    let mut piece = Vec::new();
                    file.take(range.end - range.start).read_to_end(&mut piece).map(|_| piece)
                };
                tokio::task::block_in_place(read).map(Bytes::from).map_err(|error| of_file(&error))
            }
            Backend::Remote { store, prefix } => {
                let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
                let got = store.get_opts(&below(prefix, path), options).await.map_err(|error| of_object(&error))?;
                got.bytes().await.map_err(|error| of_object(&error))
            }
        }
    }
}

fn broken(why: &str) -> Unread {
    Unread::Broken { why: why.to_owned() }
}

/// Only the innermost cause: those around it name the address with its query.
fn unreachable(error: &dyn std::error::Error) -> Unread {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Unread::Unreachable { why: crate::secret::mask(&cause.to_string()) }
}

fn of_file(error: &std::io::Error) -> Unread {
    match error.kind() {
        std::io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Broken { why: error.to_string() },
    }
}

fn of_object(error: &object_store::Error) -> Unread {
    match error {
        object_store::Error::NotFound { .. } => Unread::Missing,
        object_store::Error::PermissionDenied { .. } => Unread::Refused { status: 403, code: None },
        object_store::Error::Unauthenticated { .. } => Unread::Refused { status: 401, code: None },
        other => unreachable(other),
    }
}
