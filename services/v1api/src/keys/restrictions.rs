//! Where a key may be used from, and how often: what confines it beside its scopes.
//!
//! A key is confined by what stands with it and by what stands with every key that it descends from,
//! so that nobody gets around a restriction by making a key. A list that is empty confines nothing.

use std::net::IpAddr;

use url::Url;

use crate::limits::Limit;
use crate::network::Network;

/// How long a list may be.
const LONGEST_LIST: usize = 50;

/// What confines a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restrictions {
    /// The networks that its calls may come from, as they were written.
    pub(crate) addresses: Vec<String>,
    /// The origins whose pages may call with it.
    pub(crate) origins: Vec<String>,
    /// How often it may call.
    pub(crate) limits: Vec<Limit>,
}

/// What somebody asks a key to be confined to; what isn't named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestrictionChange {
    /// Other networks.
    pub(crate) addresses: Option<Vec<String>>,
    /// Other origins.
    pub(crate) origins: Option<Vec<String>>,
    /// Other limits.
    pub(crate) limits: Option<Vec<Limit>>,
}

impl RestrictionChange {
    /// Checks each list, or names the field that is wrong and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let addresses = self.addresses.iter().flatten();
        for text in addresses {
            if Network::parse(text).is_none() {
                let why = "must be addresses or networks such as 192.0.2.0/24";
                return Err(("allowed_addresses", why.into()));
            }
        }
        for text in self.origins.iter().flatten() {
            let is_origin = Url::parse(text).is_ok_and(|url| {
                url.origin().is_tuple() && url.origin().ascii_serialization() == *text
            });
            if !is_origin {
                let why =
                    "must be origins such as https://shop.example: scheme, host and port, no path";
                return Err(("allowed_origins", why.into()));
            }
        }
        let too_long = |list: &Option<Vec<String>>| {
            list.as_ref().is_some_and(|list| list.len() > LONGEST_LIST)
        };
        for (field, list) in [
            ("allowed_addresses", &self.addresses),
            ("allowed_origins", &self.origins),
        ] {
            if too_long(list) {
                return Err((field, format!("must have at most {LONGEST_LIST} entries")));
            }
        }
        crate::limits::check(self.limits.as_deref().unwrap_or_default())
            .map_err(|why| ("limits", why))
    }

    /// What a key is confined to that was confined to this before.
    pub(crate) fn applied_to(self, before: &Restrictions) -> Restrictions {
        Restrictions {
            addresses: self.addresses.unwrap_or_else(|| before.addresses.clone()),
            origins: self.origins.unwrap_or_else(|| before.origins.clone()),
            limits: self.limits.unwrap_or_else(|| before.limits.clone()),
        }
    }
}

impl Restrictions {
    /// Whether these let nothing through that others keep out. Limits are compared only where `limits`
    /// says so: those of a maker count what her keys' keys do besides.
    pub(crate) fn is_within(&self, other: &Self, limits: bool) -> bool {
        let networks = |texts: &[String]| -> Vec<Network> {
            texts
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect()
        };
        let wide = networks(&other.addresses);
        let own = networks(&self.addresses);
        let addresses = wide.is_empty()
            || (!own.is_empty()
                && own
                    .iter()
                    .all(|one| wide.iter().any(|other| one.is_within(*other))));
        let origins = other.origins.is_empty()
            || (!self.origins.is_empty()
                && self
                    .origins
                    .iter()
                    .all(|origin| other.origins.contains(origin)));
        addresses && origins && (!limits || self.limits_within(other))
    }

    fn limits_within(&self, other: &Self) -> bool {
        other.limits.iter().all(|theirs| {
            self.limits.iter().any(|own| {
                own.period == theirs.period
                    && own.quota <= theirs.quota
                    && own.burst() <= theirs.burst()
            })
        })
    }
}

/// The same, as the gateway goes by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doors {
    addresses: Vec<Network>,
    origins: Vec<String>,
}

/// Why a key is not let in from where it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// The client's address.
    Address,
    /// The page's origin, or that there is none.
    Origin,
}

impl Doors {
    /// What these restrictions let in.
    pub(crate) fn of(restrictions: &Restrictions) -> Self {
        Self {
            addresses: restrictions
                .addresses
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect(),
            origins: restrictions.origins.clone(),
        }
    }

    /// Whether a call from there may come in. Where origins are named, one of them must be told: a key
    /// for a page is for nothing else.
    pub(crate) fn admit(
        &self,
        client: Option<IpAddr>,
        origin: Option<&str>,
    ) -> Result<(), Elsewhere> {
        let address = self.addresses.is_empty()
            || client.is_some_and(|client| {
                self.addresses
                    .iter()
                    .any(|network| network.contains(client))
            });
        if !address {
            return Err(Elsewhere::Address);
        }
        let origin = self.origins.is_empty()
            || origin.is_some_and(|origin| self.origins.iter().any(|own| own == origin));
        if origin {
            Ok(())
        } else {
            Err(Elsewhere::Origin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Period;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn confined(addresses: &[&str], origins: &[&str]) -> Restrictions {
        Restrictions {
            addresses: texts(addresses),
            origins: texts(origins),
            limits: Vec::new(),
        }
    }

    #[test]
    fn a_list_that_is_no_narrower_is_wider() {
        let maker = confined(&["192.0.2.0/24", "::1"], &["https://a.example"]);
        for (narrow, within) in [
            (confined(&["192.0.2.7"], &["https://a.example"]), true),
            (maker.clone(), true),
            (confined(&[], &["https://a.example"]), false),
            (confined(&["192.0.2.7"], &[]), false),
            (
                confined(&["192.0.2.7", "198.51.100.1"], &["https://a.example"]),
                false,
            ),
            (
                confined(&["192.0.2.7"], &["https://a.example", "https://b.example"]),
                false,
            ),
        ] {
            assert_eq!(narrow.is_within(&maker, false), within, "{narrow:?}");
        }
        assert!(maker.is_within(&Restrictions::default(), true));
    }

    #[test]
    fn limits_only_narrow() {
        let limited = |quota| Restrictions {
            limits: vec![Limit::new(Period::Minute, quota)],
            ..Restrictions::default()
        };
        assert!(limited(5).is_within(&limited(10), true));
        assert!(!limited(11).is_within(&limited(10), true));
        assert!(!Restrictions::default().is_within(&limited(10), true));
        assert!(Restrictions::default().is_within(&limited(10), false));
    }

    #[test]
    fn a_key_for_pages_is_for_nothing_else() {
        let doors = Doors::of(&confined(&[], &["https://a.example"]));
        assert_eq!(doors.admit(None, Some("https://a.example")), Ok(()));
        for other in [
            None,
            Some("https://A.example"),
            Some("null"),
            Some("https://a.example:444"),
        ] {
            assert_eq!(
                doors.admit(None, other),
                Err(Elsewhere::Origin),
                "{other:?}"
            );
        }
        let doors = Doors::of(&confined(&["192.0.2.0/24"], &[]));
        assert_eq!(doors.admit("192.0.2.9".parse().ok(), None), Ok(()));
        for other in [None, "192.0.3.1".parse().ok(), "::ffff:0:1".parse().ok()] {
            assert_eq!(doors.admit(other, None), Err(Elsewhere::Address));
        }
    }

    #[test]
    fn what_is_no_network_or_no_origin_is_refused_by_name() {
        let addresses = |text: &str| RestrictionChange {
            addresses: Some(texts(&[text])),
            ..RestrictionChange::default()
        };
        let origins = |text: &str| RestrictionChange {
            origins: Some(texts(&[text])),
            ..RestrictionChange::default()
        };
        assert!(addresses("10.0.0.0/8").check().is_ok());
        assert_eq!(
            addresses("10.0.0.0/33").check().unwrap_err().0,
            "allowed_addresses"
        );
        assert!(origins("http://localhost:3000").check().is_ok());
        for wrong in [
            "https://a.example/",
            "*",
            "null",
            "a.example",
            "data:x",
            "https://a.example:443",
        ] {
            assert_eq!(
                origins(wrong).check().unwrap_err().0,
                "allowed_origins",
                "{wrong}"
            );
        }
    }
}
