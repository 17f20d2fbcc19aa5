//! Where a webhook may lead: not into the operator's own network, unless the operator says so.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks names up and leaves out what is not on the public internet.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!(
                    "{} has no public address: set allow_private if it is yours",
                    name.as_str()
                )
                .into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Looks names up as they are.
pub(super) struct Any;

impl Resolve for Any {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The resolver for an endpoint.
pub(super) fn resolver(allow_private: bool) -> Arc<dyn Resolve> {
    if allow_private { Arc::new(Any) } else { Arc::new(PublicOnly) }
}

/// Whether a host as it stands in a URL is this machine, by name or number: the operator wrote it down and means it.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || literal(host).is_some_and(|address| address.is_loopback())
}

/// The address that a host is, if it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whether an address belongs to the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => is_public_v4(four),
            None => is_public_v6(six),
        },
    }
}

fn is_public_v4(four: Ipv4Addr) -> bool {
    let [a, b, c, _] = four.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    !(four.is_private()
        || four.is_loopback()
        || four.is_link_local()
        || four.is_documentation()
        || shared
        || protocols
        || benchmarks
        || a == 0
        || a >= 224)
}

fn is_public_v6(six: Ipv6Addr) -> bool {
    let [first, second, third, ..] = six.segments();
    let unique_local = first & 0xfe00 == 0xfc00;
    let link_or_site_local = first & 0xff80 == 0xfe80;
    let documentation = first == 0x2001 && second == 0x0db8;
    // NAT64 and 6to4 lead to an IPv4 address that this can't see through.
    let translated = (first, second, third) == (0x0064, 0xff9b, 0) || first == 0x2002;
    // Teredo and other special purposes below 2001::/23.
    let special = first == 0x2001 && second < 0x0200;
    !(six.is_loopback()
        || six.is_unspecified()
        || six.is_multicast()
        || unique_local
        || link_or_site_local
        || documentation
        || translated
        || special
        || first == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_public_internet_is_known_by_its_number() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "::127.0.0.1",
        ];
        for address in private {
            assert!(!is_public(address.parse().expect("an address")), "{address} was taken for public");
        }
        for address in
            ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"]
        {
            assert!(is_public(address.parse().expect("an address")), "{address} was taken for private");
        }
    }

    #[test]
    fn loopback_is_what_the_operator_calls_it() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "[fe80::1]", "example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
