//! The client for every address that a user can name: webhooks, domain checks, Git URLs.
//!
//! A name is resolved first, addresses of our own networks are refused, and the connection
//! goes to the very address that was checked; redirects are checked again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why an address isn't called.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Neither `http` nor `https`.
    #[error("only http and https addresses can be called")]
    Scheme,
    /// It is, or resolves to, an address inside.
    #[error("{0} is an address of a private network")]
    Private(String),
    /// It has no host.
    #[error("the address has no host")]
    NoHost,
}

/// Finds the addresses of a name.
pub type LookUp =
    Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// A guarded HTTP client.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    allowed: Arc<Vec<IpAddr>>,
}

impl Outbound {
    /// A client that also calls these addresses, which the operator has allowed.
    pub fn new(allowed: Vec<IpAddr>) -> Result<Self, reqwest::Error> {
        Self::resolving(allowed, Arc::new(|name| Box::pin(system_look_up(name))))
    }

    /// The same, where names are looked up like this instead of by the system.
    pub fn resolving(allowed: Vec<IpAddr>, look_up: LookUp) -> Result<Self, reqwest::Error> {
        let allowed = Arc::new(allowed);
        let for_redirects = Arc::clone(&allowed);
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() >= 5 {
                return attempt.error("too many redirects");
            }
            match check_literal(attempt.url(), &for_redirects) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }
        });
        Self::guarded(allowed, look_up, redirects, Duration::from_secs(30))
    }

    /// One for what is sent rather than fetched: a redirect is an answer like any other, so that it
    /// reaches nobody else, and `timeout` is for all of it, looking up the name included.
    pub fn sending(
        allowed: Vec<IpAddr>,
        look_up: LookUp,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let redirects = reqwest::redirect::Policy::none();
        Self::guarded(Arc::new(allowed), look_up, redirects, timeout)
    }

    fn guarded(
        allowed: Arc<Vec<IpAddr>>,
        look_up: LookUp,
        redirects: reqwest::redirect::Policy,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        crate::install_tls();
        let client = reqwest::Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Guarded {
                allowed: Arc::clone(&allowed),
                look_up,
            })
            .redirect(redirects)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .no_proxy()
            .build()?;
        Ok(Self { client, allowed })
    }

    /// Whether an address may be called, as far as that is to be seen before its name is looked up.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        check_literal(url, &self.allowed)
    }

    /// A request to an address that a user named.
    pub fn request(
        &self,
        method: reqwest::Method,
        url: &Url,
    ) -> Result<reqwest::RequestBuilder, Refused> {
        check_literal(url, &self.allowed)?;
        Ok(self.client.request(method, url.clone()))
    }
}

/// Whether a request failed because its name led to an address that isn't called.
#[must_use]
pub fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<Refused>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// A client for addresses that the operator has configured. They may well be inside; a redirect
/// is an answer like any other, so that what is sent reaches nobody else.
pub fn configured(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    configured_builder(timeout).build()
}

/// The same before it is made, for what trusts further authorities.
pub fn configured_builder(timeout: Duration) -> reqwest::ClientBuilder {
    crate::install_tls();
    reqwest::Client::builder()
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .timeout(timeout)
        .no_proxy()
}

/// A whole body of at most `limit` bytes; none if it is longer.
pub async fn read_limited(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Literal addresses never reach the resolver, so they are checked here.
fn check_literal(url: &Url, allowed: &[IpAddr]) -> Result<(), Refused> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    let address = match url.host().ok_or(Refused::NoHost)? {
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
        Host::Domain(_) => return Ok(()),
    };
    if is_public(address) || allowed.contains(&address) {
        return Ok(());
    }
    Err(Refused::Private(address.to_string()))
}

async fn system_look_up(name: String) -> std::io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

struct Guarded {
    allowed: Arc<Vec<IpAddr>>,
    look_up: LookUp,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        let looking = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await?;
            // One private address among public ones is a trick, not an accident.
            if let Some(private) = found
                .iter()
                .find(|ip| !is_public(**ip) && !allowed.contains(ip))
            {
                return Err(Refused::Private(format!("{} ({private})", name.as_str())).into());
            }
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// Whether an address is of the public internet (IANA's special-purpose registries).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3; documentation and benchmarking are parts of it that nobody has.
    let first = address.segments().first().copied().unwrap_or_default();
    let second = address.segments().get(1).copied().unwrap_or_default();
    (0x2000..0x4000).contains(&first) && !(first == 0x2001 && (second == 0x0db8 || second < 0x0200))
}

/// The IPv4 address inside a mapped, NAT64 or 6to4 address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [s0, s1, s2, _, _, _, s6, s7] = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(v4) = address.to_ipv4_mapped() {
        return Some(v4);
    }
    match (s0, s1) {
        (0x0064, 0xff9b) => Some(of(s6, s7)),
        (0x2002, _) => Some(of(s1, s2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_private_networks_are_refused_in_every_form() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "255.255.255.255",
            "198.18.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_literal_private_address_is_refused_before_anything_is_sent() {
        let outbound = Outbound::new(Vec::new()).unwrap();
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://2130706433/",
            "http://0x7f.1/",
            "ftp://example.com/",
        ] {
            assert!(
                outbound
                    .request(reqwest::Method::GET, &Url::parse(url).unwrap())
                    .is_err(),
                "{url}"
            );
        }
        let allowed = Outbound::new(vec!["127.0.0.1".parse().unwrap()]).unwrap();
        assert!(
            allowed
                .request(
                    reqwest::Method::GET,
                    &Url::parse("http://127.0.0.1/").unwrap()
                )
                .is_ok()
        );
    }
}
