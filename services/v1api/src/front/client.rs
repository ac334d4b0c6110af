//! Who is at the other end: the client itself, or a proxy whose word is taken.

use std::net::IpAddr;

use actix_web::HttpRequest;
use chassis::http::Transport;

use crate::network::Network;

/// Proxies in front of the gateway whose `X-Forwarded-…` is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trusted(Vec<Network>);

/// A setting that names no network.
#[derive(Debug, thiserror::Error)]
#[error(
    "in section [http]: `trusted_proxies`: `{0}` is neither an address nor a network such as 10.0.0.0/8"
)]
pub(crate) struct InvalidNetwork(String);

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The neighbour.
    pub(crate) peer: Option<IpAddr>,
    /// The client, as far as trusted proxies tell.
    pub(crate) client: Option<IpAddr>,
    /// Whether the neighbour is a trusted proxy.
    pub(crate) trusted: bool,
    /// How the client came: `http` or `https`.
    pub(crate) scheme: &'static str,
}

impl Trusted {
    /// Reads addresses and networks.
    pub(crate) fn parse(list: &[String]) -> Result<Self, InvalidNetwork> {
        list.iter()
            .map(|text| Network::parse(text).ok_or_else(|| InvalidNetwork(text.clone())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Where a request comes from, and how: by TLS that ends here, or as a trusted proxy says. Of a chain
    /// of addresses the last one counts that no trusted proxy has: what stands before it, anybody may
    /// have written.
    pub(crate) fn origin(&self, request: &HttpRequest) -> Origin {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let trusted = peer.is_some_and(|peer| self.contains(peer));
        let own = match request.app_data::<Transport>() {
            Some(Transport::Tls) => "https",
            Some(Transport::Plain) | None => "http",
        };
        if !trusted {
            return Origin {
                peer,
                client: peer,
                trusted,
                scheme: own,
            };
        }
        let chain = || {
            let values = request
                .headers()
                .get_all("x-forwarded-for")
                .filter_map(|value| value.to_str().ok());
            values
                .flat_map(|value| value.split(','))
                .map(|part| part.trim().parse::<IpAddr>().ok())
                .collect::<Vec<_>>()
        };
        let client = chain()
            .into_iter()
            .rev()
            .find(|ip| ip.is_none_or(|ip| !self.contains(ip)));
        let told = request.headers().get("x-forwarded-proto");
        let scheme = match told.map(actix_web::http::header::HeaderValue::as_bytes) {
            Some(b"https") => "https",
            Some(_) => "http",
            None => own,
        };
        Origin {
            peer,
            client: client.unwrap_or(peer),
            trusted,
            scheme,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn origin(peer: &str, chain: &str) -> Origin {
        let trusted = Trusted::parse(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
        let request = TestRequest::get().peer_addr(format!("{peer}:1").parse().unwrap());
        trusted.origin(
            &request
                .insert_header(("x-forwarded-for", chain))
                .to_http_request(),
        )
    }

    #[test]
    fn the_chain_of_a_stranger_is_not_believed() {
        assert_eq!(
            origin("192.0.2.7", "198.51.100.1").client,
            "192.0.2.7".parse().ok()
        );
    }

    #[test]
    fn behind_trusted_proxies_the_last_address_that_is_none_of_them_is_the_client() {
        assert_eq!(
            origin("10.1.2.3", "6.6.6.6, 198.51.100.1, 10.9.9.9").client,
            "198.51.100.1".parse().ok()
        );
        assert_eq!(
            origin("10.1.2.3", "10.9.9.9").client,
            "10.1.2.3".parse().ok()
        );
        assert_eq!(origin("10.1.2.3", "198.51.100.1, unknown").client, None);
    }

    #[test]
    fn networks_match_by_their_bits_and_nonsense_stops_the_start() {
        let contains = |network: &str, address: &str| {
            Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(Trusted::parse(&["10.0.0.0/33".into()]).is_err());
        assert!(Trusted::parse(&["proxy".into()]).is_err());
    }
}
