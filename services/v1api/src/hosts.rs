//! Whose host a request names: the platform's own, an app's, or nobody's.
//!
//! The host decides before anything else is looked at, so every odd spelling is refused
//! here rather than guessed at: two parts of the system that read one host differently
//! are how one tenant's request reaches another.

#[cfg(test)]
mod fuzz;

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How long a part of a name may be, between its dots.
const LONGEST_LABEL: usize = 63;

/// A `Host` that can be read in more than one way, or in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadHost(pub(crate) &'static str);

/// What a host stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site<'a> {
    /// The platform's own routes.
    Platform,
    /// The app of this label.
    App(Cow<'a, str>),
    /// Nothing of the platform's: a domain of an account's own, or nobody's.
    Other(Cow<'a, str>),
}

/// The hosts that the gateway answers on.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    // Two at most: looking through them costs less than a hash.
    platform: Vec<String>,
    apps_suffix: String,
}

impl Hosts {
    /// `public_host` is the host of the platform's public URL, `apps_domain` the domain whose
    /// direct subdomains are apps.
    pub(crate) fn new(public_host: Option<&str>, apps_domain: &str) -> Self {
        let platform = [Some("localhost"), public_host]
            .into_iter()
            .flatten()
            .map(normal)
            .collect();
        Self {
            platform,
            apps_suffix: format!(".{}", normal(apps_domain)),
        }
    }

    /// Decides by a `Host` header's value, or a target's authority.
    pub(crate) fn site<'a>(&self, authority: &'a str) -> Result<Site<'a>, BadHost> {
        let host = host_name(authority)?;
        if self.platform.iter().any(|own| *own == host) || is_ip(&host) {
            return Ok(Site::Platform);
        }
        let label_length = host
            .strip_suffix(self.apps_suffix.as_str())
            .filter(|label| !label.contains('.'))
            .map(str::len);
        Ok(match (label_length, host) {
            (None, host) => Site::Other(host),
            (Some(length), Cow::Borrowed(host)) => {
                Site::App(Cow::Borrowed(host.get(..length).unwrap_or_default()))
            }
            (Some(length), Cow::Owned(mut host)) => {
                host.truncate(length);
                Site::App(Cow::Owned(host))
            }
        })
    }
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn is_ip(host: &str) -> bool {
    // Only what begins like one is worth reading as one.
    let begins_with = host.as_bytes().first();
    begins_with == Some(&b'[')
        || (begins_with.is_some_and(u8::is_ascii_digit) && host.parse::<Ipv4Addr>().is_ok())
}

/// The host of an authority: lower case, without port and final dot.
pub(crate) fn host_name(authority: &str) -> Result<Cow<'_, str>, BadHost> {
    let host = without_port(authority)?;
    if host.starts_with('[') {
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        return match inner.map(str::parse::<Ipv6Addr>) {
            Some(Ok(_)) => Ok(Cow::Borrowed(host)),
            _ => Err(BadHost("The host is not an IPv6 address in brackets")),
        };
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.len() > 253 {
        return Err(BadHost("The host is empty or too long"));
    }
    let (mut label, mut upper) = (0, false);
    for byte in host.bytes() {
        match byte {
            b'.' if label == 0 => return Err(BadHost("The host is not a name")),
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < LONGEST_LABEL => {
                label += 1;
                upper |= byte.is_ascii_uppercase();
            }
            _ => return Err(BadHost("The host is not a name")),
        }
    }
    if label == 0 {
        return Err(BadHost("The host is not a name"));
    }
    if upper {
        return Ok(Cow::Owned(host.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(host))
}

fn without_port(authority: &str) -> Result<&str, BadHost> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    let tail = authority.get(after_brackets..).unwrap_or_default();
    let Some(colon) = tail.find(':') else {
        return Ok(authority);
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    let digits = port.strip_prefix(':').unwrap_or_default();
    let numeric =
        (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if numeric && digits.parse::<u16>().is_ok() {
        Ok(host)
    } else {
        Err(BadHost("The host's port is not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts::new(Some("slipway.example"), "apps.example")
    }

    #[test]
    fn the_platform_answers_on_its_own_host_localhost_and_ip_literals() {
        for host in [
            "slipway.example",
            "SLIPWAY.Example.:8080",
            "localhost",
            "localhost:1",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]",
        ] {
            assert_eq!(hosts().site(host), Ok(Site::Platform), "{host}");
        }
    }

    #[test]
    fn an_app_is_found_by_the_label_before_the_domain_and_by_nothing_else() {
        for host in [
            "shop.apps.example",
            "SHOP.apps.EXAMPLE",
            "shop.apps.example.",
            "shop.apps.example:8080",
        ] {
            assert_eq!(hosts().site(host), Ok(Site::App("shop".into())), "{host}");
        }
        for host in [
            "apps.example",
            "a.shop.apps.example",
            "shop.apps.example.evil",
            "shopapps.example",
            "0x7f.1",
            "127.1",
        ] {
            assert_eq!(hosts().site(host), Ok(Site::Other(host.into())), "{host}");
        }
    }

    #[test]
    fn an_odd_host_is_refused_rather_than_guessed_at() {
        for host in [
            "",
            ".",
            "a..b",
            "user@localhost",
            "localhost:80:80",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "localhost:99999",
            "local host",
            "localhost,evil",
            "localhost/x",
            "[::1",
            "[::1]x",
            "::1",
            "[v1.x]",
            "shop%2eapps.example",
            "\u{212a}.example",
            "localhost#",
            "localhost..",
        ] {
            assert!(hosts().site(host).is_err(), "{host}");
        }
    }
}
