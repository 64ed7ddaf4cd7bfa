//! The way to a server: proxy, certificates, time-outs, and the address guard, put into every HTTP client in one place.

use std::path::Path;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Proxy};
use url::Url;

use super::address::{Reach, Resolver};
use super::error::Error;
use crate::limits::{CA_FILE_BYTES_MAX, HEADER_LIST_BYTES_MAX, HEADERS_MAX};
use crate::model::network::{NetworkPlan, ProxyPlan, Waits};
use crate::secret::Secret;

const USER_AGENT: &str = concat!("haul/", env!("CARGO_PKG_VERSION"));

/// User and password of a proxy.
#[derive(Clone)]
pub(crate) struct ProxyLogin {
    pub username: String,
    pub password: Secret,
}

/// How requests reach their servers; for pages and token requests alike.
pub(crate) struct Network {
    proxy: ProxyWay,
    certificates: Vec<Certificate>,
    is_private_allowed: bool,
    waits: Waits,
}

enum ProxyWay {
    Environment,
    Direct,
    Via { url: Url, login: Option<ProxyLogin> },
}

/// A proxy and the host it is reached at.
struct Chosen {
    proxy: Proxy,
    host: String,
    /// Spoken to over TLS itself.
    is_tls: bool,
}

impl Network {
    /// The plan with its secrets at hand and its certificates read.
    pub(crate) fn open(plan: &NetworkPlan, login: Option<ProxyLogin>) -> Result<Arc<Self>, Error> {
        let proxy = match &plan.proxy {
            ProxyPlan::Environment => ProxyWay::Environment,
            ProxyPlan::Direct => ProxyWay::Direct,
            ProxyPlan::Via { url, .. } => ProxyWay::Via { url: url.clone(), login },
        };
        let certificates = plan.ca_file.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
        Ok(Arc::new(Network { proxy, certificates, is_private_allowed: plan.is_private_allowed, waits: plan.waits }))
    }

    pub(super) fn waits(&self) -> Waits {
        self.waits
    }

    /// A client for the origin of `target`, to which the address `configured` in the job leads. `target` itself is
    /// checked here where it is spelled as an address, and at each connection where it is a name. A client that never
    /// speaks TLS does without the system's certificates.
    pub(super) fn builder(&self, target: &Url, configured: &Url, is_tls: bool) -> Result<ClientBuilder, Error> {
        let reach = Reach::of(configured, self.is_private_allowed);
        reach.admit_literal(target)?;
        let chosen = self.proxy_to(target)?;
        let is_tls = is_tls || chosen.as_ref().is_some_and(|chosen| chosen.is_tls);
        let builder = trusting(plain(self.waits), self.certificates.clone(), is_tls);
        Ok(match chosen {
            Some(Chosen { proxy, host, .. }) => {
                builder.proxy(proxy).dns_resolver(Resolver { reach, proxy_host: Some(host) })
            }
            None => builder.no_proxy().dns_resolver(Resolver { reach, proxy_host: None }),
        })
    }

    /// A client past every proxy and without the address guard: for the platform's own services, which are link-local
    /// and named by the platform.
    pub(super) fn platform_builder(&self, is_tls: bool) -> ClientBuilder {
        trusting(plain(self.waits), Vec::new(), is_tls).no_proxy()
    }

    /// `Ok(None)` = no proxy on the way to this address.
    fn proxy_to(&self, target: &Url) -> Result<Option<Chosen>, Error> {
        let wrong = |source| Error::Setup { source };
        match &self.proxy {
            ProxyWay::Direct => Ok(None),
            ProxyWay::Via { url, login } => {
                let mut proxy = Proxy::all(url.clone()).map_err(wrong)?;
                if let Some(login) = login {
                    proxy = proxy.basic_auth(&login.username, login.password.expose());
                }
                let host = url.host_str().unwrap_or_default().to_owned();
                Ok(Some(Chosen { proxy, host, is_tls: url.scheme() == "https" }))
            }
            ProxyWay::Environment => {
                // The client would read the same; but only we can tell the guard which host the proxy is.
                let uri = target.as_str().parse::<http::Uri>();
                let Some(found) = uri.ok().and_then(|uri| Matcher::from_system().intercept(&uri)) else {
                    return Ok(None);
                };
                let mut proxy = Proxy::all(found.uri().to_string()).map_err(wrong)?;
                if let Some(header) = found.basic_auth() {
                    proxy = proxy.custom_http_auth(header.clone());
                }
                if let Some((username, password)) = found.raw_auth() {
                    proxy = proxy.basic_auth(username, password);
                }
                let host = found.uri().host().unwrap_or_default().to_owned();
                Ok(Some(Chosen { proxy, host, is_tls: found.uri().scheme_str() == Some("https") }))
            }
        }
    }
}

/// What all clients have in common.
fn plain(waits: Waits) -> ClientBuilder {
    // Installing twice is refused and harmless: the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(super::coding::ACCEPTED));
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers)
        // Decompressed by us, where the ratio is bounded.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_max_headers(HEADERS_MAX)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .connect_timeout(waits.connect)
        .referer(false)
        // A policy that may still retry keeps a copy of every request.
        .retry(reqwest::retry::never().max_retries_per_request(0))
}

/// Whom the client believes: the system's certificates and the job's. Reading the system's takes some milliseconds, a
/// fifth of a short run; a client that never speaks TLS believes nobody instead, so that a mistake here would show.
fn trusting(builder: ClientBuilder, certificates: Vec<Certificate>, is_tls: bool) -> ClientBuilder {
    if is_tls { builder.tls_certs_merge(certificates) } else { builder.tls_certs_only(certificates) }
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate>, Error> {
    use std::io::Read;

    let wrong = |why: String| Error::CaFile { file: file.to_path_buf(), why };
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?;
    opened.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(wrong(format!("it is larger than {CA_FILE_BYTES_MAX} bytes, limit CA_FILE_BYTES_MAX")));
    }
    let certificates = Certificate::from_pem_bundle(&text).map_err(|_| wrong("it is no PEM".to_owned()))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no `BEGIN CERTIFICATE`".to_owned()));
    }
    Ok(certificates)
}
