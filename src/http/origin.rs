//! The origin guard: which URLs a source's requests may go to. A next link or a redirect is only a cursor; it never
//! chooses the host that sees the credential.

use url::Url;

use super::error::Error;
use crate::limits::URL_BYTES_MAX;
use crate::secret::SafeUrl;

/// Scheme, host and port (RFC 6454) that requests are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    home: url::Origin,
    /// Where links may lead, too; no credential goes there.
    guests: Vec<url::Origin>,
}

impl Origin {
    /// The origin of a URL.
    pub(crate) fn of(url: &Url) -> Self {
        Origin { home: url.origin(), guests: Vec::new() }
    }

    /// The same, with others that links may lead to.
    pub(crate) fn with_guests(mut self, urls: &[Url]) -> Self {
        self.guests = urls.iter().map(Url::origin).collect();
        self
    }

    /// Whether a request may need TLS.
    pub(super) fn is_tls_possible(&self) -> bool {
        let is_plain = |origin: &url::Origin| matches!(origin, url::Origin::Tuple(scheme, _, _) if scheme == "http");
        !(is_plain(&self.home) && self.guests.iter().all(is_plain))
    }

    /// Whether a URL is of the origin that the credential is for.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        is_of(&self.home, url)
    }

    /// As in `https://api.example.com`.
    pub(crate) fn text(&self) -> String {
        self.home.ascii_serialization()
    }

    /// Resolves a link against the URL of the page that held it and admits it only within this origin.
    pub(crate) fn join(&self, base: &Url, link: &str) -> Result<Url, Error> {
        if link.len() > URL_BYTES_MAX {
            return Err(Error::LinkTooLong { bytes: link.len() });
        }
        let mut url = base.join(link.trim()).map_err(|source| Error::LinkUnreadable { source })?;
        url.set_fragment(None);
        self.admit(&url)?;
        Ok(url)
    }

    /// Refuses a URL of another origin, one that brings a user or password of its own, and one that is too long.
    pub(crate) fn admit(&self, url: &Url) -> Result<(), Error> {
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(Error::LinkTooLong { bytes: url.as_str().len() });
        }
        // `blob:https://host/` has the origin of what stands in it.
        let is_http = matches!(url.scheme(), "http" | "https");
        let is_known = is_of(&self.home, url) || self.guests.iter().any(|guest| is_of(guest, url));
        if !is_http || !is_known || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::ForeignOrigin { url: SafeUrl::new(url.clone()), origin: self.text() });
        }
        Ok(())
    }
}

/// Whether a URL has this origin. What `Url::origin` makes for that, two texts, is made for every request otherwise.
fn is_of(origin: &url::Origin, url: &Url) -> bool {
    match origin {
        url::Origin::Tuple(scheme, host, port) if matches!(url.scheme(), "http" | "https") => {
            url.scheme() == scheme
                && url.port_or_known_default() == Some(*port)
                && url.host().is_some_and(|of| of == *host)
        }
        url::Origin::Tuple(..) | url::Origin::Opaque(_) => url.origin() == *origin,
    }
}

/// Whether a URL leads to this machine, by its spelling.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(link: &str, expect: Option<&str>) {
        let base: Url = "https://api.example.com/v1/orders?page=1".parse().expect("a URL");
        let joined = Origin::of(&base).join(&base, link);
        match (joined, expect) {
            (Ok(url), Some(expect)) => assert_eq!(url.as_str(), expect, "{link}"),
            (Err(_), None) => {}
            (got, _) => panic!("{link}: {got:?}"),
        }
    }

    #[test]
    fn tls_is_possible_where_any_request_may_need_it() {
        let check = |home: &str, guests: &[&str], expect: bool| {
            let guests: Vec<Url> = guests.iter().map(|url| url.parse().unwrap()).collect();
            let origin = Origin::of(&home.parse().unwrap()).with_guests(&guests);
            assert_eq!(origin.is_tls_possible(), expect, "{home} {guests:?}");
        };
        check("http://localhost:1", &[], false);
        check("http://localhost:1", &["http://files.example.com"], false);
        check("http://localhost:1", &["http://files.example.com", "https://files.example.com"], true);
        check("https://api.example.com", &["http://files.example.com"], true);
        // What no client speaks is not taken for plain.
        check("data:text/plain,x", &[], true);
    }

    #[test]
    fn an_origin_is_compared_as_the_standard_says() {
        let urls = [
            "https://api.example.com/a",
            "https://API.example.com:443/b",
            "http://api.example.com/",
            "https://api.example.com:444/",
            "https://api.example.com.evil.test/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "blob:https://api.example.com/x",
            "data:text/plain,x",
        ];
        let urls = urls.map(|url| url.parse::<Url>().unwrap());
        for (one, other) in urls.iter().flat_map(|one| urls.iter().map(move |other| (one, other))) {
            let origin = one.origin();
            assert_eq!(is_of(&origin, other), origin == other.origin(), "{one} {other}");
        }
    }

    #[test]
    fn links_stay_at_home() {
        check("?page=2", Some("https://api.example.com/v1/orders?page=2"));
        check("orders?page=2", Some("https://api.example.com/v1/orders?page=2"));
        check("/v2/x", Some("https://api.example.com/v2/x"));
        check("https://api.example.com:443/v1/x", Some("https://api.example.com/v1/x"));
        check("HTTPS://API.EXAMPLE.COM/v1/x", Some("https://api.example.com/v1/x"));
        for foreign in [
            "http://api.example.com/v1/x",
            "https://api.example.com:8443/v1/x",
            "https://api.example.com.evil.test/",
            "https://evil.test/",
            "//evil.test/x",
            "\\\\evil.test\\x",
            "https:\\\\evil.test",
            "https://api.example.com@evil.test/",
            "https://user@api.example.com/",
            "https://api.example.com\t.evil.test/",
            "https:/\\evil.test/",
            "https://api.example.com%2eevil.test/",
            "https://ａpi.example.org/",
            "https://2130706433/",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/plain,x",
            "blob:https://api.example.com/x",
            "ftp://api.example.com/",
        ] {
            check(foreign, None);
        }
    }
}
