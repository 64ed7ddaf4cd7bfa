//! The address guard: which addresses a configured host may lead to. It looks at the moment of connecting, so a name that
//! changes its mind between two requests (DNS rebinding) gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::error::Error;
use super::origin::is_loopback;

/// Addresses at which a cloud answers its own machines, with credentials among other things: AWS, Azure, Google and
/// most others; ECS and EKS of AWS; Azure's wire server; Alibaba; Oracle.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same over IPv6: AWS, EKS of AWS, Google.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// What an address is of (RFC 6890 and the registries that follow it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressKind {
    Public,
    Loopback,
    /// RFC 1918, site-local, and NAT64 for local use.
    Private,
    /// RFC 6598: between a provider and its customers, and in overlay networks.
    Shared,
    /// fc00::/7.
    UniqueLocal,
    LinkLocal,
    Multicast,
    /// 0.0.0.0/8 and `::`: on Linux, this machine.
    Unspecified,
    /// 240.0.0.0/4, broadcast among it.
    Reserved,
    /// A cloud's service for its own machines.
    Metadata,
}

impl AddressKind {
    /// Whether a job may say that it means such an address.
    pub(crate) fn may_be_allowed(self) -> bool {
        matches!(self, AddressKind::Private | AddressKind::Shared | AddressKind::UniqueLocal)
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressKind::Public => "a public address",
            AddressKind::Loopback => "an address of this machine (loopback)",
            AddressKind::Private => "a private address",
            AddressKind::Shared => "a private address (shared, 100.64.0.0/10)",
            AddressKind::UniqueLocal => "a private address (unique local)",
            AddressKind::LinkLocal => "a link-local address",
            AddressKind::Multicast => "a multicast address",
            AddressKind::Unspecified => "an unspecified address",
            AddressKind::Reserved => "a reserved address",
            AddressKind::Metadata => "the metadata service of a cloud",
        })
    }
}

/// What an address is of. An IPv6 address that holds an IPv4 one is of that one's kind.
fn kind_of(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> AddressKind {
    let [first, second, _, _] = address.octets();
    if METADATA_V4.contains(&address) {
        AddressKind::Metadata
    } else if address.is_loopback() {
        AddressKind::Loopback
    } else if address.is_private() {
        AddressKind::Private
    } else if first == 100 && second & 0b1100_0000 == 64 {
        AddressKind::Shared
    } else if address.is_link_local() {
        AddressKind::LinkLocal
    } else if address.is_multicast() {
        AddressKind::Multicast
    } else if first == 0 {
        AddressKind::Unspecified
    } else if first >= 240 {
        AddressKind::Reserved
    } else {
        AddressKind::Public
    }
}

fn kind_of_v6(address: Ipv6Addr) -> AddressKind {
    let [first, second, third, ..] = address.segments();
    if METADATA_V6.contains(&address) {
        AddressKind::Metadata
    } else if address.is_loopback() {
        AddressKind::Loopback
    } else if address.is_unspecified() {
        AddressKind::Unspecified
    } else if let Some(inside) = v4_inside(address) {
        kind_of_v4(inside)
    } else if first & 0xfe00 == 0xfc00 {
        AddressKind::UniqueLocal
    } else if first & 0xffc0 == 0xfe80 {
        AddressKind::LinkLocal
    } else if first & 0xffc0 == 0xfec0 || (first, second, third) == (0x0064, 0xff9b, 1) {
        AddressKind::Private
    } else if address.is_multicast() {
        AddressKind::Multicast
    } else {
        AddressKind::Public
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped (RFC 4291), compatible (deprecated there), translated (RFC 2765),
/// NAT64 (RFC 6052), 6to4 (RFC 3056), and the client of Teredo (RFC 4380), which is written inverted.
fn v4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, _, _, _, _, _] => v4(high, low),
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => None,
    }
}

/// Where the requests of one configured address may lead.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    is_loopback_configured: bool,
    /// Absent = the job names a host, not an address.
    configured: Option<IpAddr>,
    is_private_allowed: bool,
}

impl Reach {
    /// What follows from an address that stands in the job.
    pub(super) fn of(configured: &Url, is_private_allowed: bool) -> Self {
        Reach { is_loopback_configured: is_loopback(configured), configured: literal(configured), is_private_allowed }
    }

    /// Refuses an address by its kind. What the job spells out is meant; what only a name leads to needs a key.
    fn admit(&self, address: IpAddr) -> Result<(), AddressKind> {
        let kind = kind_of(address);
        let is_admitted = match kind {
            AddressKind::Public => true,
            AddressKind::Loopback => self.is_loopback_configured || self.configured == Some(address),
            AddressKind::Private | AddressKind::Shared | AddressKind::UniqueLocal => {
                self.is_private_allowed || self.configured == Some(address)
            }
            AddressKind::LinkLocal => self.configured == Some(address),
            // Nothing that is extracted for a report lives there, whatever a job says.
            AddressKind::Metadata | AddressKind::Multicast | AddressKind::Unspecified | AddressKind::Reserved => false,
        };
        if is_admitted { Ok(()) } else { Err(kind) }
    }

    /// Refuses a URL whose host is spelled as an address that its configuration does not lead to. The URL parser has
    /// made one form of all spellings: decimal, octal, hexadecimal, shortened, full-width.
    pub(super) fn admit_literal(&self, url: &Url) -> Result<(), Error> {
        let Some(address) = literal(url) else { return Ok(()) };
        let host = url.host_str().unwrap_or_default().to_owned();
        self.admit(address).map_err(|kind| Error::AddressRefused { host, address, kind })
    }

    /// The addresses of a name that may be connected to; the first refusal where there are none.
    fn admitted(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        let mut refusal = None;
        let mut admitted = Vec::new();
        for address in found {
            match self.admit(address.ip()) {
                Ok(()) => admitted.push(address),
                Err(kind) => {
                    refusal.get_or_insert(Refusal { host: host.to_owned(), address: address.ip(), kind });
                }
            }
        }
        match refusal {
            Some(refusal) if admitted.is_empty() => Err(refusal),
            Some(_) | None => Ok(admitted),
        }
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// A name that leads where it must not; travels through the HTTP client as the cause of its error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{host}` leads to {address}, {kind}")]
pub(super) struct Refusal {
    pub host: String,
    pub address: IpAddr,
    pub kind: AddressKind,
}

impl Refusal {
    /// The refusal among the causes of an error.
    pub(super) fn behind(error: &reqwest::Error) -> Option<&Self> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }
}

/// Resolves names for the client and gives it only what is admitted.
pub(super) struct Resolver {
    pub reach: Reach,
    /// The proxy's host, which the operator configured. Absent = no proxy.
    pub proxy_host: Option<String>,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        let reach = (self.proxy_host.as_deref() != Some(name.as_str())).then(|| self.reach.clone());
        Box::pin(async move {
            // Port 0: the client puts the URL's own in its place.
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if let Some(reach) = reach {
                found = reach.admitted(&host, found)?;
            }
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_kind_of_what_they_lead_to() {
        let check = |expect: AddressKind, addresses: &[&str]| {
            for address in addresses {
                assert_eq!(kind_of(address.parse().unwrap()), expect, "{address}");
            }
        };
        check(
            AddressKind::Public,
            &["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "169.253.1.1", "2606:4700::1"],
        );
        check(AddressKind::Public, &["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]);
        check(AddressKind::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::127.0.0.1"]);
        check(
            AddressKind::Loopback,
            &["::ffff:0:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1:2:3:4:80ff:fffe"],
        );
        check(AddressKind::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"]);
        check(
            AddressKind::Private,
            &[
                "::ffff:10.1.2.3",
                "::192.168.1.1",
                "2002:c0a8:101::",
                "64:ff9b::a01:203",
                "64:ff9b:1::a01:203",
                "fec0::1",
            ],
        );
        check(AddressKind::Shared, &["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"]);
        check(AddressKind::UniqueLocal, &["fc00::1", "fdff:ffff::1"]);
        check(AddressKind::LinkLocal, &["169.254.0.1", "169.254.255.255", "fe80::1", "febf::1", "::ffff:169.254.1.1"]);
        check(AddressKind::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"]);
        check(AddressKind::Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"]);
        check(AddressKind::Reserved, &["240.0.0.1", "255.255.255.255"]);
        check(
            AddressKind::Metadata,
            &["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00:ec2::254"],
        );
    }

    #[test]
    fn what_the_job_spells_out_is_admitted_and_what_a_name_leads_to_is_not() {
        let check = |configured: &str, is_private_allowed: bool, admitted: &[&str], refused: &[&str]| {
            let reach = Reach::of(&configured.parse().unwrap(), is_private_allowed);
            for (addresses, expect) in [(admitted, true), (refused, false)] {
                for address in addresses {
                    let got = reach.admit(address.parse().unwrap());
                    assert_eq!(got.is_ok(), expect, "{configured} {is_private_allowed} {address}");
                }
            }
        };
        let inside = ["10.1.2.3", "192.168.1.1", "100.64.0.1", "fd12::1"];
        let here = ["127.0.0.1", "::1", "::ffff:127.0.0.1"];
        let never = ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"];
        check("https://erp.example.com", false, &["8.8.8.8"], &[&inside[..], &here, &never, &["169.254.1.1"]].concat());
        check("https://erp.example.com", true, &inside, &[&here[..], &never, &["169.254.1.1", "fe80::1"]].concat());
        check("http://localhost:1", false, &here, &[&inside[..], &never].concat());
        check("http://127.1", false, &here, &[&inside[..], &never].concat());
        check("http://[::1]", false, &here, &inside);
        // Every spelling of one address is that address.
        for spelling in ["10.1.2.3", "0xa.1.2.3", "012.1.2.3", "167838211", "10.1.515", "１０.1.2.3"] {
            check(&format!("http://{spelling}"), false, &["10.1.2.3"], &["10.1.2.4", "127.0.0.1", "192.168.1.1"]);
        }
        check("http://[::ffff:10.1.2.3]", false, &["::ffff:10.1.2.3"], &["10.1.2.4"]);
        check("http://169.254.1.1", false, &["169.254.1.1"], &["169.254.1.2"]);
        check("http://169.254.169.254", true, &[], &never);
        check("http://0", true, &[], &never);
    }

    #[test]
    fn a_name_with_one_good_address_is_used_by_that() {
        let reach = Reach::of(&"https://erp.example.com".parse().unwrap(), false);
        let found = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        let both = reach.admitted("h", found(&["10.1.2.3", "8.8.8.8"])).unwrap();
        assert_eq!(both, found(&["8.8.8.8"]));
        let refusal = reach.admitted("h", found(&["10.1.2.3", "127.0.0.1"])).unwrap_err();
        assert_eq!(refusal.to_string(), "`h` leads to 10.1.2.3, a private address");
        assert!(reach.admitted("h", Vec::new()).unwrap().is_empty());
    }
}
