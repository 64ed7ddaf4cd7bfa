//! The daemon's web page, as the arguments want it protected.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use url::Url;

use super::args::ServeArgs;
use super::failure::Failure;
use super::output::Output;
use crate::auth::SignIn;
use crate::daemon::Access;
use crate::http::{Network, TokenChannel, is_loopback};
use crate::job::load::{Environment, Secrets};
use crate::model::network::NetworkPlan;
use crate::model::plan::SecretSource;
use crate::secret::Secret;

/// Shorter ones can be tried.
const TOKEN_CHARS_MIN: usize = 16;

/// Listens, and refuses to where everybody could enter.
pub(super) async fn open_page(args: &ServeArgs) -> Result<(TcpListener, Access), Failure> {
    let token = token(args)?;
    let sign_in = sign_in(args)?;
    if !args.listen.ip().is_loopback() && token.is_none() && sign_in.is_none() {
        let error = format!("the page on {} would be open to everybody who reaches this machine", args.listen);
        return Err(Failure::usage(error)
            .hint("give a token with `--token-file` or HAUL_WEB_TOKEN, or a provider with `--oidc-issuer`; `--no-web` serves no page"));
    }
    let wrong = |error: std::io::Error| {
        let hint = "another port with `--listen 127.0.0.1:8734`; `--listen 127.0.0.1:0` takes a free one; `--no-web` serves no page";
        Failure::usage(format!("the page cannot listen on {}", args.listen)).cause(&error).hint(hint)
    };
    let listener = TcpListener::bind(args.listen).await.map_err(wrong)?;
    let listens_on = listener.local_addr().map_err(wrong)?;
    Ok((
        listener,
        Access { listens_on, public: args.public_url.clone(), token, sign_in, are_metrics_open: args.open_metrics },
    ))
}

/// Where it is. On standard error: the notes of the jobs are the result.
pub(super) fn tell_page(output: Output, access: &Access) {
    let here = SocketAddr::new(access.listens_on.ip(), access.listens_on.port());
    let url = access.public.as_ref().map_or_else(|| format!("http://{here}/"), Url::to_string);
    if output.is_json {
        output.json_line(
            &serde_json::json!({ "at": crate::clock::Clock.now(), "note": "listening", "url": url, "address": here }),
        );
    } else {
        output.line(format!("{}  the page is at {url}", crate::clock::Clock.now().format("%Y-%m-%d %H:%M:%SZ")));
    }
}

fn token(args: &ServeArgs) -> Result<Option<Secret>, Failure> {
    let token = match (&args.token_file, Environment::get("HAUL_WEB_TOKEN")) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage("`--token-file` and HAUL_WEB_TOKEN are both given: there is one token"));
        }
        (Some(file), None) => Some(Secrets::resolve(&SecretSource::File(file.clone()))?),
        (None, token) => token.map(Secret::new),
    };
    match token {
        Some(token) if token.expose().trim().chars().count() < TOKEN_CHARS_MIN => {
            Err(Failure::usage(format!("the token of the page has fewer than {TOKEN_CHARS_MIN} characters"))
                .hint("`openssl rand -base64 32` makes a good one"))
        }
        token => Ok(token.map(|token| Secret::new(token.expose().trim().to_owned()))),
    }
}

fn sign_in(args: &ServeArgs) -> Result<Option<SignIn>, Failure> {
    let (Some(issuer), Some(client_id), Some(public)) = (&args.oidc_issuer, &args.oidc_client_id, &args.public_url)
    else {
        return Ok(None);
    };
    let url: Url = issuer.parse().map_err(|error| {
        Failure::usage(format!("`{issuer}` is no address: {error}")).hint("as in https://login.example.com/tenant")
    })?;
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(Failure::usage(format!("the provider {issuer} is not https: anybody on the way could enter")));
    }
    let secret =
        match (Environment::get("HAUL_OIDC_CLIENT_SECRET"), Environment::get_os("HAUL_OIDC_CLIENT_SECRET_FILE")) {
            (Some(secret), _) => Some(Secret::new(secret)),
            (None, Some(file)) => Some(Secrets::resolve(&SecretSource::File(file.into()))?),
            (None, None) => None,
        };
    let network = Network::open(&NetworkPlan::default(), None).map_err(crate::engine::Error::from)?;
    let channel = TokenChannel::new(Arc::clone(&network));
    Ok(Some(SignIn::new((url, issuer.clone()), client_id.clone(), secret, public, args.oidc_allow.clone(), channel)))
}
