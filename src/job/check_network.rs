//! The meaning of `source.network`.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::check_auth::check_secret;
use super::problem::{Problems, wrong};
use super::spec_network::NetworkSpec;
use super::value::{check_duration, check_literal, check_text, holds_user};
use crate::limits::NETWORK_WAIT_CEILING;
use crate::model::network::{NetworkPlan, ProxyPlan, Waits};

const MEBIBYTE: u64 = 1024 * 1024;

/// `None` = the problems say why.
pub(super) fn check_network(spec: &NetworkSpec, folder: &Path, problems: &mut Problems<'_>) -> Option<NetworkPlan> {
    let proxy = check_proxy(spec, problems);
    let ca_file = match &spec.ca_file {
        None => Some(None),
        Some(file) => check_ca_file(file, problems).then(|| Some(folder.join(file))),
    };
    let plan = NetworkPlan::default();
    let waits = Waits {
        connect: check_wait(&spec.connect_timeout, "connect_timeout", plan.waits.connect, problems),
        first_byte: check_wait(&spec.first_byte_timeout, "first_byte_timeout", plan.waits.first_byte, problems),
        stall: check_wait(&spec.stall_timeout, "stall_timeout", plan.waits.stall, problems),
        total: check_wait(&spec.total_timeout, "total_timeout", plan.waits.total, problems),
    };
    Some(NetworkPlan {
        proxy: proxy?,
        ca_file: ca_file?,
        is_private_allowed: spec.allow_private,
        waits,
        page_bytes_max: spec.page_mib.map_or(plan.page_bytes_max, |mebibytes| mebibytes * MEBIBYTE),
    })
}

fn at(name: &str) -> String {
    format!("source.network.{name}")
}

fn check_ca_file(file: &str, problems: &mut Problems<'_>) -> bool {
    if file.trim().is_empty() {
        problems.at(&at("ca_file"), wrong("`ca_file` names no file").allowed("the path of a PEM file"));
        return false;
    }
    check_literal(file, &at("ca_file"), problems)
}

/// A wrong one is told and counts as the default.
fn check_wait(typed: &Option<String>, name: &str, default: Duration, problems: &mut Problems<'_>) -> Duration {
    let Some(typed) = typed else { return default };
    let wait = check_duration(typed, &at(name), problems);
    if wait.is_some_and(|wait| wait > NETWORK_WAIT_CEILING) {
        let draft = wrong(format!("`{name}` is longer than the limit NETWORK_WAIT_CEILING")).allowed("1s to 24h");
        problems.at(&at(name), draft);
    }
    wait.unwrap_or(default)
}

fn check_proxy(spec: &NetworkSpec, problems: &mut Problems<'_>) -> Option<ProxyPlan> {
    let typed = spec.proxy.as_deref().map(str::trim);
    let plan = match typed {
        None => Some(ProxyPlan::Environment),
        Some("none") => Some(ProxyPlan::Direct),
        Some(typed) => check_proxy_url(typed, problems).map(|url| ProxyPlan::Via { url, login: None }),
    };
    let is_address = typed.is_some_and(|typed| typed != "none");
    let password_at = at("proxy_password");
    let login = match (&spec.proxy_username, &spec.proxy_password) {
        (None, None) => return plan,
        (Some(_), None) => {
            let hint = "write `proxy_password` as a reference";
            problems.at(&password_at, wrong("a user at the proxy has a password").hint(hint));
            return None;
        }
        (None, Some(_)) => {
            problems.at(&at("proxy_username"), wrong("a password at the proxy has a user: write `proxy_username`"));
            return None;
        }
        (Some(username), Some(password)) => {
            let username = check_text(username, &at("proxy_username"), problems);
            (username, check_secret(password, &password_at, problems))
        }
    };
    if !is_address {
        let hint = "a proxy of the environment brings them in its own address: HTTPS_PROXY=http://user:password@host";
        problems.at(&at("proxy_username"), wrong("the user belongs to the address in `proxy`").hint(hint));
        return None;
    }
    match (plan?, login) {
        (ProxyPlan::Via { url, .. }, (Some(username), Some(password))) => {
            Some(ProxyPlan::Via { url, login: Some((username, password)) })
        }
        _ => None,
    }
}

fn check_proxy_url(typed: &str, problems: &mut Problems<'_>) -> Option<Url> {
    let path = at("proxy");
    let allowed = "http://host:port, https://host:port, none";
    if !check_literal(typed, &path, problems) {
        return None;
    }
    let Ok(url) = typed.parse::<Url>() else {
        problems.at(&path, wrong("this is no proxy's address").allowed(allowed));
        return None;
    };
    if holds_user(&url) {
        let hint = "use `proxy_username` and `proxy_password` with references";
        problems.at(&path, wrong("an address must not hold a user or password").hint(hint));
        return None;
    }
    let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        problems.at(&path, wrong("this is no address of an HTTP proxy").allowed(allowed));
        return None;
    }
    Some(url)
}
