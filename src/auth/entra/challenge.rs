//! Which authority a service names: it is asked without credential, and refuses with `WWW-Authenticate: Bearer
//! authorization_uri=…`.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use url::Url;

use crate::auth::error::Error;
use crate::http::{TokenChannel, is_loopback};
use crate::model::credential::Authority;
use crate::secret::SafeUrl;

/// Microsoft's own logins, of its public and its national clouds.
const LOGIN_HOSTS: &[&str] = &[
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "login.microsoftonline.us",
    "login.microsoftonline.de",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// The authority that the service names. A host that is neither Microsoft's nor trusted by the job is refused: else any
/// server could collect the client's secret by naming itself.
pub(super) async fn authority_of(
    service: &Url,
    trusted_hosts: &[String],
    channel: &TokenChannel,
) -> Result<Url, Error> {
    let wrong = |why: String| Error::NoAuthority { service: SafeUrl::new(service.clone()).to_string(), why };
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = service.as_str().parse().map_err(|_| wrong("its address is too long".to_owned()))?;
    let answer = channel.send_for_any(request, service).await?;
    let status = answer.status();
    if !matches!(status.as_u16(), 302 | 401) {
        return Err(wrong(format!("it answered {status} to a request without credential, 401 or 302 was expected")));
    }
    let authorization = authorization_uri(answer.headers())
        .ok_or_else(|| wrong(format!("its {status} has no `WWW-Authenticate: Bearer authorization_uri=…`")))?;
    let url: Url = authorization.parse().map_err(|_| wrong("its `authorization_uri` is no address".to_owned()))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let is_plain_here = url.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !is_plain_here {
        return Err(wrong("its `authorization_uri` is not https".to_owned()));
    }
    let is_microsoft = LOGIN_HOSTS.contains(&host.as_str());
    // A port or a user of its own makes another server of a known host.
    let is_plain = url.username().is_empty() && url.password().is_none() && (url.port().is_none() || !is_microsoft);
    if !is_plain || !(is_microsoft || trusted_hosts.iter().any(|trusted| trusted.eq_ignore_ascii_case(&host))) {
        return Err(Error::UntrustedAuthority { host });
    }
    Ok(Authority::root_of(&url))
}

/// The value of `authorization_uri` in a Bearer challenge; servers write it bare or in quotes, followed by a comma or
/// by nothing. `resource_id` is left alone: who follows it could be made to fetch a token for another service.
fn authorization_uri(headers: &HeaderMap) -> Option<String> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.into_iter().find_map(|challenge| {
        let bearer = find_ignoring_case(challenge, "bearer")?;
        let after = &challenge[bearer..];
        let name = find_ignoring_case(after, "authorization_uri")?;
        let value = after[name + "authorization_uri".len()..].trim_start().strip_prefix('=')?.trim_start();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split([' ', ',', '\t']).next()?,
        };
        let value = value.trim_matches(['"', ',', ' ']);
        (!value.is_empty()).then(|| value.to_owned())
    })
}

fn find_ignoring_case(text: &str, word: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_in_the_spellings_that_services_use() {
        let check = |challenge: &str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, "Negotiate".parse().unwrap());
            headers.append(WWW_AUTHENTICATE, challenge.parse().unwrap());
            assert_eq!(authorization_uri(&headers).as_deref(), expect, "{challenge}");
        };
        let uri = "https://login.microsoftonline.com/t/oauth2/authorize";
        for challenge in [
            format!("Bearer authorization_uri={uri}"),
            format!("Bearer authorization_uri={uri}, resource_id=https://x/"),
            format!("Bearer authorization_uri=\"{uri}\""),
            format!("bearer realm=\"\", Authorization_URI = \"{uri}\", client_id=\"1\""),
            format!("Bearer authorization_uri=\"{uri},\""),
        ] {
            check(&challenge, Some(uri));
        }
        check("Bearer realm=\"x\"", None);
        check("Basic authorization_uri=https://x/", None);
        check("Bearer authorization_uri=\"\"", None);
    }
}
