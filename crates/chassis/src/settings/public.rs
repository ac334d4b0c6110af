//! How the platform and its apps are reached from outside: `SLIPWAY_GATEWAY__PUBLIC_URL` and
//! `SLIPWAY_APPS__DOMAIN`, which more than one service reads.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Section, Settings, SettingsError};

/// The longest domain for apps, in bytes: with a label of 63 before it, a name must fit the 253 of
/// RFC 1035.
const LONGEST_DOMAIN: usize = 189;

/// What is read here of `[gateway]`; the gateway checks the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
struct GatewaySection {
    public_url: Url,
}

impl Default for GatewaySection {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the text is a constant, and a test reads it"
        )]
        let public_url = Url::parse("http://localhost:8080").expect("a URL");
        Self { public_url }
    }
}

impl Section for GatewaySection {
    fn validate(&self) -> Result<(), String> {
        let url = &self.public_url;
        if matches!(url.scheme(), "http" | "https") && url.has_host() {
            Ok(())
        } else {
            Err("`public_url` must be http:// or https:// and a host".into())
        }
    }
}

/// What is read here of `[apps]`; the provisioner checks the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct AppsSection {
    /// The domain whose direct subdomains are apps.
    pub domain: String,
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
        let good = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if self.domain.len() <= LONGEST_DOMAIN && self.domain.split('.').all(good) {
            Ok(())
        } else {
            Err("`domain` must be a domain's name in lower case, without a dot at its end".into())
        }
    }
}

/// Where people reach the platform and the apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrls {
    platform: Url,
    apps_domain: String,
}

impl PublicUrls {
    /// As the settings say.
    ///
    /// # Errors
    /// One of the two settings can't be.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let gateway: GatewaySection = settings.section("gateway")?;
        let apps: AppsSection = settings.section("apps")?;
        Ok(Self {
            platform: gateway.public_url,
            apps_domain: apps.domain,
        })
    }

    /// Where people reach the platform.
    #[must_use]
    pub fn platform(&self) -> &Url {
        &self.platform
    }

    /// The address of one of the platform's own paths, which begins with a slash.
    #[must_use]
    pub fn of_platform(&self, path: &str) -> String {
        format!("{}{path}", self.platform.as_str().trim_end_matches('/'))
    }

    /// The domain whose direct subdomains are apps.
    #[must_use]
    pub fn apps_domain(&self) -> &str {
        &self.apps_domain
    }

    /// The address of the app with this label, with a slash at its end.
    #[must_use]
    pub fn of_app(&self, label: &str) -> String {
        format!("{}/", self.app_origin(label))
    }

    /// The address of an app under a domain of its account's own, with a slash at its end.
    #[must_use]
    pub fn of_domain(&self, domain: &str) -> String {
        format!("{}://{domain}{}/", self.platform.scheme(), self.port())
    }

    /// The origin of the app with this label.
    #[must_use]
    pub fn app_origin(&self, label: &str) -> String {
        let scheme = self.platform.scheme();
        format!("{scheme}://{label}{}", self.apps_authority())
    }

    /// What stands behind an app's label in its host and port: `.localhost:8080`.
    #[must_use]
    pub fn apps_authority(&self) -> String {
        format!(".{}{}", self.apps_domain, self.port())
    }

    fn port(&self) -> String {
        let port = self.platform.port();
        port.map(|port| format!(":{port}")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;

    fn urls(public_url: &str, domain: &str) -> Result<PublicUrls, SettingsError> {
        let overrides = [("gateway.public_url", public_url), ("apps.domain", domain)];
        let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings::load(Sources {
            overrides: overrides.into(),
            ..Sources::default()
        });
        PublicUrls::read(&settings?)
    }

    #[test]
    fn the_defaults_are_a_laptops() {
        let settings = Settings::load(Sources::default()).unwrap();
        let urls = PublicUrls::read(&settings).unwrap();
        assert_eq!(urls.of_app("shop"), "http://shop.localhost:8080/");
        assert_eq!(urls.of_platform("/v1/x"), "http://localhost:8080/v1/x");
    }

    #[test]
    fn an_app_is_reached_as_the_platform_is() {
        let plain = urls("https://slipway.example", "apps.example").unwrap();
        assert_eq!(plain.of_app("shop"), "https://shop.apps.example/");
        assert_eq!(plain.app_origin("shop"), "https://shop.apps.example");
        assert_eq!(plain.apps_authority(), ".apps.example");
        let odd = urls("http://slipway.example:81/", "apps.example").unwrap();
        assert_eq!(odd.of_app("shop"), "http://shop.apps.example:81/");
        assert_eq!(odd.of_domain("shop.dev"), "http://shop.dev:81/");
        assert_eq!(odd.of_platform("/docs"), "http://slipway.example:81/docs");
    }

    #[test]
    fn an_address_or_a_domain_that_can_not_be_is_refused() {
        for domain in ["Example.com", "example.com.", "a b", &*"a.".repeat(100)] {
            let why = urls("http://localhost", domain).unwrap_err().to_string();
            assert!(why.contains("`domain`"), "{domain}: {why}");
        }
        for public_url in ["localhost:8080", "ftp://localhost", "data:,x"] {
            let why = urls(public_url, "localhost").unwrap_err().to_string();
            assert!(why.contains("`public_url`"), "{public_url}: {why}");
        }
    }
}
