//! `source.network` exactly as it is typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::SecretRef;

/// How a source is reached; for pages and token requests alike.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSpec {
    /// Proxy of all requests, for example `http://proxy.example.com:8080`; `none` goes past every proxy. Default: as the environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub proxy: Option<String>,
    /// User name at the proxy; may be a reference.
    pub proxy_username: Option<String>,
    /// Password at the proxy, as a reference.
    pub proxy_password: Option<SecretRef>,
    /// File of certificates (PEM) that are trusted besides the system's, relative to the job file.
    pub ca_file: Option<String>,
    /// Let a host name lead to an address of a private network (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7). An address that is written itself needs no permission.
    #[serde(default)]
    pub allow_private: bool,
    /// Longest wait for a connection, TLS included. Default 20s.
    pub connect_timeout: Option<String>,
    /// Longest wait for the first byte of an answer. Default 5m.
    pub first_byte_timeout: Option<String>,
    /// Longest wait between two parts of an answer. Default 5m.
    pub stall_timeout: Option<String>,
    /// Longest time that one answer may take to its last byte. Default 1h.
    pub total_timeout: Option<String>,
    /// Largest answer in MiB, after decompression. Default 4096. What does not fit into memory goes to a temporary file.
    #[schemars(range(min = 1, max = 65536))]
    pub page_mib: Option<u64>,
}
