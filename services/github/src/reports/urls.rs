//! The addresses that GitHub is given: of `[gateway]` and `[apps]` what they are made from.

use chassis::settings::{Section, Settings, SettingsError};
use common::id::{AccountId, BuildId, ProjectId};
use serde::{Deserialize, Serialize};
use url::Url;

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

impl Section for GatewaySection {}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
struct AppsSection {
    domain: String,
}

impl Default for AppsSection {
    fn default() -> Self {
        Self {
            domain: "localhost".into(),
        }
    }
}

impl Section for AppsSection {}

/// Makes addresses.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    public_url: Url,
    domain: String,
}

impl Urls {
    /// As the settings say.
    pub(crate) fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let gateway: GatewaySection = settings.section("gateway")?;
        let apps: AppsSection = settings.section("apps")?;
        Ok(Self {
            public_url: gateway.public_url,
            domain: apps.domain,
        })
    }

    /// A build's log, for members.
    pub(super) fn log(&self, account: &AccountId, project: &ProjectId, build: &BuildId) -> String {
        let base = self.public_url.as_str().trim_end_matches('/');
        format!("{base}/v1/accounts/{account}/projects/{project}/builds/{build}/logs")
    }

    /// The app with this label.
    pub(super) fn app(&self, label: &str) -> String {
        let (scheme, domain) = (self.public_url.scheme(), &self.domain);
        match self.public_url.port() {
            Some(port) => format!("{scheme}://{label}.{domain}:{port}/"),
            None => format!("{scheme}://{label}.{domain}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_reached_as_the_gateway_is() {
        let urls = |public_url: &str| Urls {
            public_url: Url::parse(public_url).unwrap(),
            domain: "apps.dev".into(),
        };
        assert_eq!(urls("https://x.dev").app("shop"), "https://shop.apps.dev/");
        assert_eq!(
            urls("http://x.dev:81").app("shop"),
            "http://shop.apps.dev:81/"
        );
        assert_eq!(GatewaySection::default().public_url.port(), Some(8080));
    }
}
