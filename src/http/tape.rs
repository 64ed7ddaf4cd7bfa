//! A run's exchange with its source, kept in a file or given back from one: HTTP Archive 1.2, which browsers' developer
//! tools show. Credentials never reach a tape: they are taken out of addresses, and every known secret is masked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::client::Request;
use crate::secret::mask;

/// What stands for a value that is not kept.
pub(crate) const HIDDEN: &str = "***";
/// Headers of an answer that are never kept: they carry or ask for credentials.
const HEADERS_HIDDEN: &[&str] = &["set-cookie", "www-authenticate", "proxy-authenticate", "authentication-info"];
/// Headers of an answer that speak of its transfer, which is over.
const HEADERS_OF_TRANSFER: &[&str] = &["content-encoding", "content-length", "transfer-encoding", "connection"];
/// Answers that are told when the one that is asked for is missing.
const NEAREST: usize = 3;

/// Why a tape cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the tape `{}` cannot be {doing}", .path.display())]
    File { path: PathBuf, doing: &'static str, source: std::io::Error },
    #[error("`{}` is no whole tape (HTTP Archive): {why}", .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("the tape holds no (further) answer for {asked}; it has {}", if .nearest.is_empty() { "no answer that was not given".to_owned() } else { .nearest.join(", ") })]
    Missing { asked: String, nearest: Vec<String> },
    #[error("an answer is larger than memory allows, and a tape keeps small ones")]
    TooLarge,
}

/// An archive, as far as it is read.
#[derive(Debug, Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Debug, Deserialize)]
struct Log {
    /// When the run began; what its windows and templates were made with.
    #[serde(rename = "_startedAt")]
    started_at: Option<DateTime<Utc>>,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_date_time: Option<DateTime<Utc>>,
    #[serde(default)]
    time: f64,
    request: RequestEntry,
    response: ResponseEntry,
    /// Where the answer came from after redirects.
    #[serde(rename = "_finalUrl", default, skip_serializing_if = "Option::is_none")]
    final_url: Option<String>,
    #[serde(default)]
    cache: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    timings: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestEntry {
    method: String,
    url: String,
    #[serde(default)]
    http_version: String,
    #[serde(default)]
    headers: Vec<Named>,
    #[serde(default)]
    query_string: Vec<Named>,
    #[serde(default)]
    cookies: Vec<Named>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData>,
    #[serde(default)]
    headers_size: i64,
    #[serde(default)]
    body_size: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseEntry {
    status: u16,
    #[serde(default)]
    status_text: String,
    #[serde(default)]
    http_version: String,
    #[serde(default)]
    headers: Vec<Named>,
    #[serde(default)]
    cookies: Vec<Named>,
    #[serde(default)]
    content: Content,
    #[serde(rename = "redirectURL", default)]
    redirect_url: String,
    #[serde(default)]
    headers_size: i64,
    #[serde(default)]
    body_size: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    size: u64,
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    name: String,
    value: String,
}

/// What is written down of an exchange.
pub(super) struct Exchange<'a> {
    pub request: &'a Request,
    pub began: DateTime<Utc>,
    pub took: Duration,
    pub final_url: &'a Url,
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// An answer from a tape.
pub(super) struct Played {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Writes a tape, exchange by exchange.
pub(crate) struct Recorder {
    path: PathBuf,
    /// Query parameters that carry the credential.
    hidden: Vec<String>,
    file: Mutex<(BufWriter<File>, u64)>,
}

impl Recorder {
    /// Begins a tape. A file of that name is replaced.
    pub(crate) fn create(path: &Path, hidden: Vec<String>, started_at: DateTime<Utc>) -> Result<Self, Error> {
        let wrong = |source| Error::File { path: path.to_path_buf(), doing: "written", source };
        let mut file = BufWriter::new(File::create(path).map_err(wrong)?);
        let creator = json!({ "name": "haul", "version": env!("CARGO_PKG_VERSION") });
        let started_at = started_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(
            file,
            "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"_startedAt\":\"{started_at}\",\"entries\":["
        )
        .map_err(wrong)?;
        Ok(Recorder { path: path.to_path_buf(), hidden, file: Mutex::new((file, 0)) })
    }

    pub(super) fn record(&self, exchange: &Exchange<'_>) -> Result<(), Error> {
        // What a login answers and asks for is no part of the walk.
        if exchange.status == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        let text = serde_json::to_string(&self.entry(exchange)).expect("an entry holds only texts and numbers");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, count) = &mut *file;
        let comma = if *count > 0 { "," } else { "" };
        *count += 1;
        write!(out, "{comma}\n{text}").map_err(|source| self.wrong(source))
    }

    /// The tape is whole.
    pub(crate) fn finish(&self) -> Result<u64, Error> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, count) = &mut *file;
        out.write_all(b"\n]}}\n").and_then(|()| out.flush()).map_err(|source| self.wrong(source))?;
        Ok(*count)
    }

    fn wrong(&self, source: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), doing: "written", source }
    }

    fn entry(&self, exchange: &Exchange<'_>) -> Entry {
        let url = self.without_credential(&exchange.request.url);
        let pairs = url.query_pairs().map(|(name, value)| Named { name: name.into_owned(), value: value.into_owned() });
        let content_type = |headers: &HeaderMap| {
            headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let post_data = exchange.request.body.as_ref().map(|body| PostData {
            mime_type: content_type(&exchange.request.headers),
            text: mask(&String::from_utf8_lossy(body)),
        });
        let shown = [http::header::ACCEPT, http::header::CONTENT_TYPE];
        let headers = exchange.request.headers.iter().filter(|(name, _)| shown.contains(name));
        let (text, encoding) = match std::str::from_utf8(exchange.body) {
            Ok(text) => (mask(text), None),
            Err(_) => (STANDARD.encode(exchange.body), Some("base64".to_owned())),
        };
        let final_url = self.without_credential(exchange.final_url);
        Entry {
            started_date_time: Some(exchange.began),
            time: exchange.took.as_secs_f64() * 1000.0,
            request: RequestEntry {
                method: exchange.request.method.to_string(),
                http_version: "HTTP/1.1".to_owned(),
                headers: headers.filter_map(named).collect(),
                query_string: pairs.collect(),
                cookies: Vec::new(),
                post_data,
                headers_size: -1,
                body_size: -1,
                url: url.to_string(),
            },
            final_url: (final_url != url).then(|| final_url.to_string()),
            response: ResponseEntry {
                status: exchange.status.as_u16(),
                status_text: exchange.status.canonical_reason().unwrap_or_default().to_owned(),
                http_version: "HTTP/1.1".to_owned(),
                headers: exchange.headers.iter().filter(|(name, _)| is_kept(name)).filter_map(named).collect(),
                cookies: Vec::new(),
                content: Content {
                    size: exchange.body.len() as u64,
                    mime_type: content_type(exchange.headers),
                    text,
                    encoding,
                },
                redirect_url: String::new(),
                headers_size: -1,
                body_size: -1,
            },
            cache: serde_json::Map::new(),
            timings: serde_json::Map::new(),
        }
    }

    fn without_credential(&self, url: &Url) -> Url {
        let mut shown = url.clone();
        if url.query().is_some() {
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let hide = |(name, value): (String, String)| {
                let value = if self.hidden.contains(&name) { HIDDEN.to_owned() } else { mask(&value) };
                (name, value)
            };
            shown.query_pairs_mut().clear().extend_pairs(pairs.into_iter().map(hide));
        }
        shown
    }
}

fn is_kept(name: &HeaderName) -> bool {
    !HEADERS_HIDDEN.contains(&name.as_str()) && !HEADERS_OF_TRANSFER.contains(&name.as_str())
}

fn named((name, value): (&HeaderName, &HeaderValue)) -> Option<Named> {
    Some(Named { name: name.to_string(), value: mask(value.to_str().ok()?) })
}

/// Gives the answers of a tape, those of one request in their order.
pub(crate) struct Player {
    started_at: Option<DateTime<Utc>>,
    waiting: Mutex<HashMap<String, Vec<Entry>>>,
}

impl Player {
    /// Opens a whole tape.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file =
            File::open(path).map_err(|source| Error::File { path: path.to_path_buf(), doing: "read", source })?;
        let unreadable = |why: String| Error::Unreadable { path: path.to_path_buf(), why };
        let archive: Archive =
            serde_json::from_reader(BufReader::new(file)).map_err(|error| unreadable(error.to_string()))?;
        let entries = archive.log.entries;
        let first = entries.first().and_then(|entry| entry.started_date_time);
        let mut waiting: HashMap<String, Vec<Entry>> = HashMap::new();
        for entry in entries {
            let url: Url = entry
                .request
                .url
                .parse()
                .map_err(|error| unreadable(format!("`{}` is no address: {error}", entry.request.url)))?;
            let body = entry.request.post_data.as_ref().map(|data| data.text.as_str()).unwrap_or_default();
            waiting.entry(key_of(&entry.request.method, &url, body)).or_default().push(entry);
        }
        waiting.values_mut().for_each(|entries| entries.reverse());
        Ok(Player { started_at: archive.log.started_at.or(first), waiting: Mutex::new(waiting) })
    }

    /// When the run began that was recorded. Absent = the tape does not say.
    pub(crate) fn started_at(&self) -> Option<DateTime<Utc>> {
        self.started_at
    }

    /// Requests whose answers were not given.
    pub(crate) fn left(&self) -> Vec<String> {
        let waiting = self.lock();
        let mut left: Vec<String> = waiting
            .iter()
            .filter(|(_, entries)| !entries.is_empty())
            .map(|(key, _)| key.lines().next().unwrap_or_default().to_owned())
            .collect();
        left.sort();
        left
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Entry>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn play(&self, request: &Request) -> Result<Played, Error> {
        let body = request.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
        let key = key_of(request.method.as_str(), &request.url, &body);
        let entry = self.lock().get_mut(&key).and_then(Vec::pop);
        let Some(entry) = entry else {
            let asked = key.lines().next().unwrap_or_default().to_owned();
            let mut nearest = self.left();
            nearest.sort_by_key(|known| std::cmp::Reverse(strsim::jaro(known, &asked).to_bits()));
            nearest.truncate(NEAREST);
            return Err(Error::Missing { asked, nearest });
        };
        let wrong = |why: String| Error::Unreadable { path: PathBuf::from("the tape"), why };
        let content = &entry.response.content;
        let body = match content.encoding.as_deref() {
            None => Bytes::from(content.text.clone()),
            Some("base64") => STANDARD.decode(&content.text).map_err(|error| wrong(error.to_string()))?.into(),
            Some(other) => return Err(wrong(format!("the encoding `{other}` is not known"))),
        };
        let headers = entry.response.headers.iter().filter_map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            let is_of_transfer = HEADERS_OF_TRANSFER.contains(&name.as_str());
            (!is_of_transfer).then_some((name, HeaderValue::from_str(&header.value).ok()?))
        });
        Ok(Played {
            url: entry.final_url.as_ref().and_then(|url| url.parse().ok()).unwrap_or_else(|| request.url.clone()),
            status: StatusCode::from_u16(entry.response.status).map_err(|error| wrong(error.to_string()))?,
            headers: headers.collect(),
            body,
        })
    }
}

/// What makes two requests the same: method, path, query without hidden values and whatever its order, body.
fn key_of(method: &str, url: &Url, body: &str) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(_, value)| value != HIDDEN).collect();
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{method} {}{query}\n{body}", url.path())
}

/// What a client does besides sending.
pub(crate) enum Tape {
    Off,
    Recording(std::sync::Arc<Recorder>),
    /// Nothing is sent: answers come from here, and nobody waits.
    Playing(std::sync::Arc<Player>),
}
