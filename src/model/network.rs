//! How a source is reached: the ways through a company's network, what a name may lead to, and how long to wait.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::plan::{SecretSource, TextSource};
use crate::limits::{ANSWER_WAIT_MAX, CONNECT_WAIT_MAX, PAGE_BYTES_MAX, STALL_WAIT_MAX};

/// The job's `source.network`; for pages and token requests alike.
#[derive(Debug, Clone)]
pub(crate) struct NetworkPlan {
    pub proxy: ProxyPlan,
    /// PEM, absolute. Absent = the system's certificates only.
    pub ca_file: Option<PathBuf>,
    /// A name of the job may lead to an address of a private network.
    pub is_private_allowed: bool,
    pub waits: Waits,
    /// One answer after decompression.
    pub page_bytes_max: u64,
}

/// Through which proxy requests go.
#[derive(Debug, Clone)]
pub(crate) enum ProxyPlan {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment,
    Direct,
    /// http or https, without a path; the proxy of all requests.
    Via {
        url: Url,
        /// Absent = the proxy asks for none.
        login: Option<(TextSource, SecretSource)>,
    },
}

/// How long a request may take, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// To open a connection, TLS included.
    pub connect: Duration,
    /// From the request to the head of the answer, connection and redirects included.
    pub first_byte: Duration,
    /// Between two reads of one body.
    pub stall: Duration,
    /// From the request to the last byte of the answer.
    pub total: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { connect: CONNECT_WAIT_MAX, first_byte: STALL_WAIT_MAX, stall: STALL_WAIT_MAX, total: ANSWER_WAIT_MAX }
    }
}

impl Default for NetworkPlan {
    fn default() -> Self {
        NetworkPlan {
            proxy: ProxyPlan::Environment,
            ca_file: None,
            is_private_allowed: false,
            waits: Waits::default(),
            page_bytes_max: PAGE_BYTES_MAX,
        }
    }
}
