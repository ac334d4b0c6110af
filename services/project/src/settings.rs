//! The settings that this service reads.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_DOMAINS__RESOLVERS` | name servers, `address` or `address:port`, that are asked for the proofs of domains; the system's unless set |
//! | `SLIPWAY_DOMAINS__ALLOWED_ADDRESSES` | inside addresses at which a domain may be all the same when its file is looked for |
//! | `SLIPWAY_DOMAINS__FILE_PORT` | the port at which such files are looked for |
//! | `SLIPWAY_DOMAINS__CHECK_EVERY` | how often a domain that is served is looked at again |
//! | `SLIPWAY_DOMAINS__GRACE` | for how long one without a proof goes on being served |
//! | `SLIPWAY_DOMAINS__PAUSE` | the least time between two checks that somebody asks for |

use std::net::{IpAddr, SocketAddr};

use chassis::settings::{Duration, List, Section};
use serde::{Deserialize, Serialize};
use url::Url;

/// What this service reads of `[apps]`; the provisioner, whose section it is, checks the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AppsSection {
    /// The domain under which apps have their names.
    pub(crate) domain: String,
}

impl Default for AppsSection {
    fn default() -> Self {
        Self {
            domain: "localhost".into(),
        }
    }
}

impl Section for AppsSection {
    fn validate(&self) -> Result<(), String> {
        let labels = self.domain.split('.');
        let good = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        // With a label of 63 bytes before it, a name must fit the 253 bytes of RFC 1035.
        if self.domain.len() <= 189 && labels.into_iter().all(good) {
            Ok(())
        } else {
            Err("`domain` must be a domain's name in lower case, without a dot at its end".into())
        }
    }
}

/// What this service reads of `[gateway]`; the gateway checks the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GatewaySection {
    /// Where the gateway is reached from outside.
    pub(crate) public_url: String,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".into(),
        }
    }
}

impl GatewaySection {
    /// The address, parsed.
    pub(crate) fn url(&self) -> Result<Url, String> {
        let url = Url::parse(&self.public_url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| "`public_url` must be an http or https address".to_owned())
    }
}

impl Section for GatewaySection {
    fn validate(&self) -> Result<(), String> {
        self.url().map(drop)
    }
}

/// `[domains]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DomainsSection {
    /// Name servers that are asked for the proofs of domains; the system's unless set.
    pub(crate) resolvers: List,
    /// Inside addresses at which a domain may be all the same when its file is looked for.
    pub(crate) allowed_addresses: List,
    /// The port at which such files are looked for.
    pub(crate) file_port: u16,
    /// How often a domain that is served is looked at again.
    pub(crate) check_every: Duration,
    /// For how long one without a proof goes on being served.
    pub(crate) grace: Duration,
    /// The least time between two checks that somebody asks for.
    pub(crate) pause: Duration,
}

impl Default for DomainsSection {
    fn default() -> Self {
        Self {
            resolvers: List::default(),
            allowed_addresses: List::default(),
            file_port: 80,
            check_every: Duration::secs(6 * 60 * 60),
            grace: Duration::secs(3 * 24 * 60 * 60),
            pause: Duration::secs(5),
        }
    }
}

/// The longest that anything of `[domains]` may last: a year.
const LONGEST: Duration = Duration::secs(365 * 24 * 60 * 60);

impl DomainsSection {
    /// The name servers to ask.
    pub(crate) fn name_servers(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let read = |text: &String| {
            let plain = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
            plain.or_else(|_| text.parse()).map_err(|_why| {
                anyhow::anyhow!("`resolvers`: `{text}` is no address of a name server")
            })
        };
        self.resolvers.0.iter().map(read).collect()
    }

    /// The inside addresses that a domain may have.
    pub(crate) fn allowed(&self) -> anyhow::Result<Vec<IpAddr>> {
        let read = |text: &String| {
            text.parse()
                .map_err(|_why| anyhow::anyhow!("`allowed_addresses`: `{text}` is no address"))
        };
        self.allowed_addresses.0.iter().map(read).collect()
    }
}

impl Section for DomainsSection {
    fn validate(&self) -> Result<(), String> {
        let text = |error: anyhow::Error| error.to_string();
        self.name_servers().map_err(text)?;
        self.allowed().map_err(text)?;
        for (name, value) in [
            ("check_every", self.check_every),
            ("grace", self.grace),
            ("pause", self.pause),
        ] {
            if value > LONGEST {
                return Err(format!("`{name}` must be a year at most"));
            }
        }
        if self.check_every.0.is_zero() || self.file_port == 0 {
            return Err("`check_every` and `file_port` can't be 0".into());
        }
        Ok(())
    }
}

/// Where apps are reached: `<scheme>://<label>.<domain>[:port]/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppUrls {
    scheme: String,
    domain: String,
    port: Option<u16>,
}

impl AppUrls {
    /// Apps under `domain`, by the scheme and port under which the gateway is reached.
    pub(crate) fn new(domain: &str, gateway: &Url) -> Self {
        Self {
            scheme: gateway.scheme().to_owned(),
            domain: domain.to_owned(),
            port: gateway.port(),
        }
    }

    /// The address of an app under a domain of its account's own.
    pub(crate) fn of_domain(&self, domain: &str) -> String {
        match self.port {
            Some(port) => format!("{}://{domain}:{port}/", self.scheme),
            None => format!("{}://{domain}/", self.scheme),
        }
    }

    /// The address of the app with this label.
    pub(crate) fn of(&self, label: &str) -> String {
        let Self {
            scheme,
            domain,
            port,
        } = self;
        match port {
            Some(port) => format!("{scheme}://{label}.{domain}:{port}/"),
            None => format!("{scheme}://{label}.{domain}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(domain: &str, gateway: &str) -> String {
        AppUrls::new(domain, &gateway.parse().unwrap()).of("my-store-production")
    }

    #[test]
    fn a_domain_or_address_that_cannot_be_is_refused() {
        for domain in ["", "Example.com", "example.com.", "a b", &*"a.".repeat(100)] {
            assert!(
                AppsSection {
                    domain: domain.into()
                }
                .validate()
                .is_err(),
                "{domain}"
            );
        }
        for public_url in ["", "localhost:8080", "ftp://localhost"] {
            assert!(
                GatewaySection {
                    public_url: public_url.into()
                }
                .validate()
                .is_err(),
                "{public_url}"
            );
        }
        assert!(
            AppsSection::default().validate().is_ok()
                && GatewaySection::default().validate().is_ok()
        );
    }

    #[test]
    fn a_setting_of_domains_that_cannot_be_is_refused() {
        let list = |text: &str| List(vec![text.into()]);
        let good = DomainsSection {
            resolvers: List(vec!["9.9.9.9".into(), "[::1]:5353".into()]),
            allowed_addresses: list("10.0.0.1"),
            ..DomainsSection::default()
        };
        assert!(good.validate().is_ok());
        assert!(DomainsSection::default().validate().is_ok());
        for wrong in [
            DomainsSection {
                resolvers: list("dns.example"),
                ..good.clone()
            },
            DomainsSection {
                allowed_addresses: list("10.0.0.0/8"),
                ..good.clone()
            },
            DomainsSection {
                check_every: Duration::secs(0),
                ..good.clone()
            },
            DomainsSection {
                grace: Duration::secs(u64::from(u32::MAX)),
                ..good.clone()
            },
            DomainsSection {
                file_port: 0,
                ..good
            },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_app_is_reached_as_the_gateway_is() {
        assert_eq!(
            url("localhost", "http://localhost:8080"),
            "http://my-store-production.localhost:8080/"
        );
        assert_eq!(
            url("apps.example", "https://slipway.example"),
            "https://my-store-production.apps.example/"
        );
    }
}
