//! What can go wrong with a credential.

use std::path::PathBuf;

use super::protocol::HeldBecause;
use crate::secret::SafeUrl;
use crate::{http, state};

/// A credential problem. No variant holds a token or secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("nobody has logged in for {origin} yet")]
    NeverLoggedIn { origin: String },
    #[error("the login for {origin} is no longer valid{}", because(.why))]
    LoginLost { origin: String, why: String },
    #[error("the login was refused: {why}")]
    LoginRefused { why: String },
    #[error("nobody finished the login within {seconds} s")]
    LoginTimedOut { seconds: u64 },
    #[error("the pasted text cannot be used: {why}")]
    Pasted { why: &'static str },
    #[error("port {port} for the login's redirect cannot be opened")]
    RedirectPort { port: u16, source: std::io::Error },
    #[error("the server gives this client no token: {why}")]
    ClientRefused { why: String },
    #[error("what the authorization server {issuer} says of itself cannot be used: {why}")]
    Discovery { issuer: String, why: String },
    #[error("neither the job nor the authorization server names a `{name}`")]
    NoEndpoint { name: &'static str },
    #[error("a private key cannot be used: {why}")]
    SigningKey { why: String },
    #[error("the client's assertion file `{}` cannot be read", file.display())]
    AssertionFile { file: PathBuf, source: std::io::Error },
    #[error("the service {service} does not name its login: {why}")]
    NoAuthority { service: String, why: String },
    #[error(
        "the service names {host} as its login, which is not one of Microsoft's hosts: no credential was sent there"
    )]
    UntrustedAuthority { host: String },
    #[error("the device's login is no longer good: {why}")]
    DeviceCodeOver { why: String },
    #[error("this machine offers no managed identity: {why}")]
    NoManagedIdentity { why: String },
    #[error("the login at {url} gives no session: {why}")]
    NoSession { url: SafeUrl, why: String },
    #[error("the authorization server's answer cannot be read: {why}")]
    Unreadable { why: String },
    #[error("the token could not be refreshed")]
    Unanswered { source: http::Error },
    #[error("another process refreshes the token of {origin} and does not finish")]
    Busy { origin: String },
    #[error("the credential for {origin} is held: {}", held(*.because))]
    Held { origin: String, because: HeldBecause },
    #[error(
        "the access token of {origin} is only {age_secs} s old, and its provider replaces none before {min_secs} s"
    )]
    TooYoung { origin: String, age_secs: i64, min_secs: u64 },
    #[error("the new token of {origin} could not be stored; it is safe in the local folder and stored by the next run")]
    Spilled { origin: String, source: state::Error },
    #[error("the new token of {origin} could not be stored, neither in the record store nor in the local folder")]
    Lost { origin: String, source: state::Error },
    #[error("the local folder `{folder}` cannot take what a refresh needs")]
    Disk { folder: PathBuf, source: std::io::Error },
    #[error("`{file}` holds a token that cannot be opened with this vault key")]
    SpillSealed { file: String },
    #[error("a token that was bought and not stored waits in the local folder, sealed with the former key")]
    SpilledBefore,
    #[error("stopped by a signal")]
    Stopped,
    #[error("the server does not let `{user}` in")]
    WindowsRefused { user: String },
    #[error("`{user}` is no name of a user: `DOMAIN\\user` or `user@realm` is expected")]
    WindowsUser { user: String },
    #[error("the server offers {offered}, not {wanted}")]
    NotOffered { wanted: &'static str, offered: String },
    #[error("the messages of the login do not reach {spn} over one connection")]
    Connections { spn: String },
    #[error("the server does not take a Kerberos ticket for {spn}")]
    TicketRefused { spn: String },
    #[error("the server did not prove that it is {spn}")]
    ServerUnproved { spn: String },
    #[error("the key distribution centre {place} cannot be asked")]
    Kdc { place: String, source: std::io::Error },
    #[error("the key distribution centre {url} cannot be asked: only TCP is spoken")]
    KdcScheme { url: String },
    #[error("the clock of this machine differs too much from that of the key distribution centre")]
    ClockSkew,
    #[error("the key distribution centre does not know the service {spn}")]
    SpnUnknown { spn: String },
    #[error("the Windows login failed: {why}")]
    Windows { why: String },
    #[error("the vault key is given by HAUL_VAULT_KEY, its file or its command, which haul does not change")]
    KeyNotOurs,
    #[error("the stored tokens of {origin} cannot be opened with this vault key")]
    WrongKey { origin: String },
    #[error("the vault key {place} cannot be used: {why}")]
    Key { place: String, why: String },
    #[error("the vault key `{file}` is open to other users")]
    KeyOpen { file: String },
    #[error("the record of {id} in the vault cannot be read: {why}")]
    Record { id: String, why: String },
    #[error("a credential cannot be sent in a header: it has characters that HTTP does not allow")]
    NotAHeader,
    #[error(transparent)]
    Store(#[from] state::Error),
}

fn held(because: HeldBecause) -> &'static str {
    match because {
        HeldBecause::ForeignIntent => {
            "another host was about to refresh it and did not finish; the new token may lie on that host's disk"
        }
        HeldBecause::Behind => {
            "its record is older than what this host has seen, or its store is a copy; a newer token may be in use elsewhere"
        }
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::NeverLoggedIn { .. } | Error::LoginLost { .. } => {
                Some("log in once with `haul login JOBFILE`; from then on the token is refreshed by itself".to_owned())
            }
            Error::ClientRefused { .. } => Some(
                "check the client's id, its secret or key, and how it shows it (`client_auth`) under `source.auth`"
                    .to_owned(),
            ),
            Error::RedirectPort { .. } => {
                Some("end the program that uses the port, or log in with `haul login --paste`".to_owned())
            }
            Error::WrongKey { .. } => Some(
                "give the key the tokens were stored with (HAUL_VAULT_KEY or vault.key), or log in again".to_owned(),
            ),
            Error::Unanswered { source: source @ http::Error::AddressRefused { .. } } => source.hint(),
            Error::Unanswered { .. } | Error::Busy { .. } => {
                Some("nothing is lost: the stored token is tried again by the next run".to_owned())
            }
            Error::Held { because: HeldBecause::ForeignIntent, .. } => Some(
                "start haul on that host once: it brings the token by itself; if the host is gone for good, \
                 `haul credentials takeover JOBFILE` goes on without it"
                    .to_owned(),
            ),
            Error::Held { because: HeldBecause::Behind, .. } => Some(
                "if another haul uses the original, log in here anew (`haul login JOBFILE`); if this is the only one, \
                 `haul credentials takeover JOBFILE` goes on with what is here"
                    .to_owned(),
            ),
            Error::TooYoung { .. } => Some(
                "where the API refuses it all the same, check the scopes and the rights of the user who logged in".to_owned(),
            ),
            Error::Spilled { .. } => Some("keep the local folder, and run again once the store answers".to_owned()),
            Error::Lost { .. } => Some("log in again with `haul login JOBFILE` once the store answers".to_owned()),
            Error::Disk { .. } => {
                Some("it is chosen by `--local` or HAUL_LOCAL; nothing was spent".to_owned())
            }
            Error::SpillSealed { .. } => Some(
                "give the key it was written with (HAUL_VAULT_KEY or vault.key); removing the file gives the token up"
                    .to_owned(),
            ),
            Error::KeyOpen { file } => Some(format!(
                "`chmod 600 {file}`; if somebody may have read it, `haul credentials rotate-key` afterwards"
            )),
            Error::SpilledBefore => {
                Some("run its job, or `haul credentials test JOBFILE`, and rotate the key after that".to_owned())
            }
            Error::WindowsRefused { .. } => {
                Some("check user, domain and password under `source.auth.windows`; many tries may lock the account".to_owned())
            }
            Error::NotOffered { .. } => Some(
                "set `source.auth.windows.scheme` to what the server offers; for Basic there is `source.auth.basic`".to_owned(),
            ),
            Error::Connections { .. } => {
                Some("a proxy or load balancer in between must keep a client on one connection; or use Kerberos".to_owned())
            }
            Error::TicketRefused { .. } => Some(
                "the user may have no rights there, or the server holds another key for that name: see its own log".to_owned(),
            ),
            Error::ServerUnproved { .. } | Error::SpnUnknown { .. } => {
                Some("check `source.base_url`, and name the service with `source.auth.windows.spn`".to_owned())
            }
            Error::Kdc { .. } | Error::KdcScheme { .. } => Some(
                "name it with `source.auth.windows.kdc: host:88`, or in the file of KRB5_CONFIG".to_owned(),
            ),
            Error::ClockSkew => Some("five minutes are allowed: set the clock".to_owned()),
            Error::Windows { .. } | Error::WindowsUser { .. } => None,
            Error::Stopped => None,
            Error::KeyNotOurs => Some(
                "put the new key before the old one in the same place, separated by a blank, run this command, then remove the old one"
                    .to_owned(),
            ),
            Error::UntrustedAuthority { host } => Some(format!(
                "if that host is right, name it: `source.auth.entra.trusted_hosts: [{host}]`; else the service is not what it seems"
            )),
            Error::NoAuthority { .. } => {
                Some("name `tenant` or `authorization_uri` under `source.auth.entra`".to_owned())
            }
            Error::DeviceCodeOver { .. } => Some("begin again with `haul login JOBFILE --device`".to_owned()),
            Error::SigningKey { .. } => Some(
                "`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` makes a key of the right form"
                    .to_owned(),
            ),
            Error::LoginRefused { .. }
            | Error::Discovery { .. }
            | Error::NoEndpoint { .. }
            | Error::AssertionFile { .. }
            | Error::NoManagedIdentity { .. }
            | Error::NoSession { .. }
            | Error::LoginTimedOut { .. }
            | Error::Pasted { .. }
            | Error::Unreadable { .. }
            | Error::Key { .. }
            | Error::Record { .. }
            | Error::NotAHeader => None,
            Error::Store(source) => source.hint(),
        }
    }
}
