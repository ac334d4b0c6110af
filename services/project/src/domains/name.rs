//! Which domains an account may call its own.

use common::names::DomainName;
use url::{Host, Url};

/// The names that the platform keeps for itself.
#[derive(Clone, Debug)]
pub(crate) struct Reserved(Vec<String>);

impl Reserved {
    /// The platform's own host, and the domain of its apps.
    pub(crate) fn new(public_url: &Url, apps_domain: &str) -> Self {
        let host = match public_url.host() {
            Some(Host::Domain(host)) => Some(host.trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        };
        let names = [
            Some("localhost".to_owned()),
            host,
            Some(apps_domain.to_ascii_lowercase()),
        ];
        Self(names.into_iter().flatten().collect())
    }

    /// Reads a domain as somebody has typed it, and refuses what can be nobody's own.
    pub(crate) fn parse(&self, text: &str) -> Result<DomainName, &'static str> {
        const SHAPE: &str = "must be a domain's name, such as shop.example";
        // The URL standard's way from letters to the DNS (UTS 46), the one that browsers go.
        let Ok(Host::Domain(host)) = Host::parse(text.trim()) else {
            return Err(SHAPE);
        };
        let name = host.strip_suffix('.').unwrap_or(&host);
        let Ok(domain) = DomainName::parse(name) else {
            return Err(SHAPE);
        };
        let ours = |kept: &String| {
            name == kept
                || name
                    .strip_suffix(kept.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        };
        if self.0.iter().any(ours) {
            return Err("is the platform's own");
        }
        if psl::suffix_str(name) == Some(name) {
            return Err("is a public suffix, under which others have their domains");
        }
        Ok(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserved() -> Reserved {
        Reserved::new(
            &"https://slipway.example:8443".parse().unwrap(),
            "apps.example",
        )
    }

    #[test]
    fn a_domain_is_kept_as_the_dns_knows_it() {
        for (typed, kept) in [
            ("Shop.Example", "shop.example"),
            (" shop.example. ", "shop.example"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("B\u{dc}CHER.example", "xn--bcher-kva.example"),
            ("\u{ff53}hop.example", "shop.example"),
            ("slipway.example.org", "slipway.example.org"),
            ("notslipway.example", "notslipway.example"),
        ] {
            assert_eq!(reserved().parse(typed).unwrap().as_str(), kept, "{typed}");
        }
    }

    #[test]
    fn what_can_be_nobodys_own_is_refused() {
        for typed in [
            "",
            "shop",
            "localhost",
            "my.localhost",
            "slipway.example",
            "SLIPWAY.example.",
            "\u{ff53}lipway.example",
            "www.slipway.example",
            "apps.example",
            "shop-production.apps.example",
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "[::1]",
            "2130706433",
            "*.shop.example",
            "shop.example:80",
            "shop.example/x",
            "http://shop.example",
            "user@shop.example",
            "com",
            "co.uk",
            "github.io",
            "shop..example",
            "xn--a.example",
            "%73hop.example/",
        ] {
            assert!(reserved().parse(typed).is_err(), "{typed}");
        }
    }
}
