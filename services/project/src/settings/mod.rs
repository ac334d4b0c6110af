//! The settings that this service reads.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_DOMAINS__RESOLVERS` | name servers, `address` or `address:port`, that are asked for the proofs of domains, and where webhooks are; the system's unless set |
//! | `SLIPWAY_APPS__MAX_INSTANCES` | how many instances of one app may run |
//! | `SLIPWAY_DOMAINS__ALLOWED_ADDRESSES` | inside addresses at which a domain may be all the same when its file is looked for |
//! | `SLIPWAY_DOMAINS__FILE_PORT` | the port at which such files are looked for |
//! | `SLIPWAY_DOMAINS__CHECK_EVERY` | how often a domain that is served is looked at again |
//! | `SLIPWAY_DOMAINS__GRACE` | for how long one without a proof goes on being served |
//! | `SLIPWAY_DOMAINS__PAUSE` | the least time between two checks that somebody asks for |
//!
//! Those of webhooks and of AWS are [`WebhooksSection`]'s and [`AwsSection`]'s.

mod aws;
mod webhooks;

pub(crate) use aws::AwsSection;
pub(crate) use webhooks::WebhooksSection;

use std::net::{IpAddr, SocketAddr};

use chassis::settings::{Duration, List, Section};
use serde::{Deserialize, Serialize};

/// What this service reads of `[apps]`; the provisioner checks the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ScaleSection {
    /// How many instances of one app may run.
    pub(crate) max_instances: u32,
}

impl Default for ScaleSection {
    fn default() -> Self {
        Self { max_instances: 8 }
    }
}

impl Section for ScaleSection {}

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
