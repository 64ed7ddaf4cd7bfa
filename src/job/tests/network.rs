//! `source.network`: what it means, and its mistakes.

use std::time::Duration;

use super::{check, job, with_source};
use crate::job::load::Secrets;
use crate::model::network::{NetworkPlan, ProxyPlan, Waits};

fn network(typed: &str) -> NetworkPlan {
    job(&with_source(&format!("network: {typed}"))).source.network
}

fn mistake(typed: &str, name: &str, says: &str) {
    check(&with_source(&format!("network: {typed}")), &[(&format!("source.network.{name}"), says)]);
}

#[test]
fn the_network_is_the_environments_unless_the_job_says_otherwise() {
    let plan = network("{}");
    assert!(matches!(plan.proxy, ProxyPlan::Environment));
    assert_eq!((plan.waits, plan.page_bytes_max), (Waits::default(), 4 << 30));
    assert_eq!((plan.ca_file, plan.is_private_allowed), (None, false));
    assert!(matches!(network("{ proxy: none }").proxy, ProxyPlan::Direct));
    let plan = network(
        "{ ca_file: tls/ca.pem, allow_private: true, connect_timeout: 1s, first_byte_timeout: 2m, stall_timeout: 3s, \
         total_timeout: 24h, page_mib: 8192 }",
    );
    assert_eq!(plan.ca_file.as_deref(), Some(std::path::Path::new("/base/jobs/tls/ca.pem")));
    assert!(plan.is_private_allowed);
    let seconds = Duration::from_secs;
    let waits = Waits { connect: seconds(1), first_byte: seconds(120), stall: seconds(3), total: seconds(86_400) };
    assert_eq!((plan.waits, plan.page_bytes_max), (waits, 8 << 30));
    assert_eq!(network("{ ca_file: /etc/ca.pem }").ca_file, Some("/etc/ca.pem".into()));
}

#[test]
fn a_proxy_and_its_login_are_checked_together() {
    let login = "proxy: 'http://proxy:8080', proxy_username: me, proxy_password: '${HAUL_TEST_PROXY_PASSWORD}'";
    let job = job(&with_source(&format!("network: {{ {login} }}")));
    let ProxyPlan::Via { url, login: Some(_) } = &job.source.network.proxy else { panic!("no login") };
    assert_eq!(url.as_str(), "http://proxy:8080/");
    let missing: Vec<String> = Secrets::missing(&job).iter().map(ToString::to_string).collect();
    assert_eq!(missing.len(), 1);
    assert!(missing[0].contains("wanted by `source.network.proxy_password`"), "{missing:?}");
    mistake("{ proxy: 'proxy:8080' }", "proxy", "allowed: http://host:port, https://host:port, none");
    mistake("{ proxy: 'socks5://proxy' }", "proxy", "no address of an HTTP proxy");
    mistake("{ proxy: 'http://proxy/path' }", "proxy", "no address of an HTTP proxy");
    mistake("{ proxy: 'http://me:pw@proxy' }", "proxy", "use `proxy_username` and `proxy_password`");
    mistake("{ proxy: '${PROXY}' }", "proxy", "a reference cannot stand here");
    mistake("{ proxy_username: me, proxy_password: '${P}' }", "proxy_username", "belongs to the address in `proxy`");
    mistake("{ proxy: none, proxy_username: me, proxy_password: '${P}' }", "proxy_username", "belongs to the address");
    mistake("{ proxy: 'http://proxy', proxy_username: me }", "proxy_password", "write `proxy_password`");
    mistake("{ proxy: 'http://proxy', proxy_password: '${P}' }", "proxy_username", "write `proxy_username`");
    mistake("{ proxy: 'http://p', proxy_username: me, proxy_password: pw }", "proxy_password", "must be a reference");
}

#[test]
fn waits_and_sizes_have_bounds() {
    mistake("{ connect_timeout: 0s }", "connect_timeout", "no span of time");
    mistake("{ total_timeout: 25h }", "total_timeout", "NETWORK_WAIT_CEILING");
    mistake("{ stall_timeout: soon }", "stall_timeout", "30s, 10m");
    mistake("{ page_mib: 0 }", "page_mib", "allowed: 1 to 65536");
    mistake("{ page_mib: 65537 }", "page_mib", "allowed: 1 to 65536");
    mistake("{ ca_file: ' ' }", "ca_file", "names no file");
    mistake("{ connectTimeout: 3s }", "connectTimeout", "did you mean `connect_timeout`?");
    check(&with_source("allow_private: true"), &[("source.allow_private", "belongs to `source.network`")]);
}
