//! A host that is taken is read in one way, whoever reads it next.

use super::{Hosts, Site, host_name};

const SEEDS: &[&[u8]] = &[
    b"slipway.example",
    b"SLIPWAY.Example.:8080",
    b"shop.apps.example",
    b"a.shop.apps.example:80",
    b"127.0.0.1:80",
    b"[::1]:80",
    b"[fe80::1:2]",
    b"user@localhost",
    b"shop.apps.example.evil",
];

const WORDS: &[&[u8]] = &[
    b".",
    b":",
    b"[",
    b"]",
    b"@",
    b"/",
    b"%2e",
    b"%",
    b",",
    b"#",
    b"-",
    b"_",
    b"65536",
    b"apps.example",
    b"localhost",
    "\u{212a}".as_bytes(),
    "．".as_bytes(),
];

/// A name of letters, digits, `-` and `_` in labels of 1 to 63, 253 together.
fn is_name(host: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    host.len() <= 253 && host.split('.').all(label)
}

#[test]
fn a_host_that_is_taken_is_a_name_or_an_address_and_its_spelling_makes_no_difference() {
    let hosts = Hosts::new(Some("slipway.example"), "apps.example");
    fuzz::check(SEEDS, WORDS, |input| {
        let text = input.text();
        let Ok(host) = host_name(&text) else {
            assert!(hosts.site(&text).is_err());
            return;
        };
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        assert!(
            is_name(&host) || address.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
        );
        assert_eq!(host_name(&host).as_deref(), Ok(&*host));
        let site = hosts.site(&host).unwrap();
        for spelling in [
            text.clone(),
            host.to_ascii_uppercase(),
            format!("{host}:65535"),
        ] {
            assert_eq!(hosts.site(&spelling), Ok(site.clone()), "{spelling}");
        }
        match &site {
            Site::App(label) => assert_eq!(*host, format!("{label}.apps.example")),
            Site::Other(other) => assert_eq!(*other, host),
            Site::Platform => {}
        }
        // Whoever reads a URL with this host reads the same one, or none.
        if let Ok(url) = url::Url::parse(&format!("http://{host}/")) {
            let as_url = url.host_str().unwrap_or_default();
            let by_numbers = url
                .host()
                .is_some_and(|host| matches!(host, url::Host::Ipv4(_)));
            assert!(as_url == host || by_numbers || address.is_some() || host.contains("xn--"));
            assert!(!by_numbers || !matches!(site, Site::App(_)));
        }
    });
}
