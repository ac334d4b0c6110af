//! The part of `[github]` that says where GitHub is, and as which app we speak to it. More than
//! one service reads it: `SLIPWAY_GITHUB__CLIENT_ID`, `…__CLIENT_SECRET`, `…__APP_ID`, `…__PRIVATE_KEY`,
//! `…__WEBHOOK_SECRET`, `…__API_URL`, `…__WEB_URL`, `…__EXACT_CALLBACK`, `…__TIMEOUT`. The short ones
//! `MEDUSA_GH_APP_PRIVATE_KEY`, `…_ID`, `…_CLIENT_ID`, `…_CLIENT_SECRET` and `…_WEBHOOK_SECRET` stand for
//! the first five.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Duration, Secret, Section};

/// The shortest secret for webhooks, in bytes: whoever guesses it can speak for GitHub.
const SHORTEST_WEBHOOK_SECRET: usize = 16;

/// Where GitHub is, and who we are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct GithubSettings {
    /// The app's client id.
    pub client_id: Option<String>,
    /// The app's client secret.
    pub client_secret: Option<Secret>,
    /// The GitHub App's number.
    pub app_id: Option<u64>,
    /// The GitHub App's private key: PEM, whose line ends may be written `\n`, or a file's path.
    pub private_key: Option<Secret>,
    /// With what GitHub signs the App's webhooks.
    pub webhook_secret: Option<Secret>,
    /// The REST API: of GitHub Enterprise Server, `https://<host>/api/v3`.
    pub api_url: Url,
    /// Where people sign in: of GitHub Enterprise Server, `https://<host>`.
    pub web_url: Url,
    /// Whether GitHub takes a callback only as it is registered, as it does for a GitHub App; for
    /// an OAuth app it takes whatever is below it.
    pub exact_callback: bool,
    /// How long one answer of GitHub's may take.
    pub timeout: Duration,
}

/// An app that can sign people in.
#[derive(Clone, Debug)]
pub struct GithubClient {
    /// Its client id.
    pub id: String,
    /// Its client secret.
    pub secret: Secret,
}

impl GithubSettings {
    /// The app, if it is configured.
    #[must_use]
    pub fn client(&self) -> Option<GithubClient> {
        let (id, secret) = (self.client_id.clone()?, self.client_secret.clone()?);
        Some(GithubClient { id, secret })
    }
}

impl Default for GithubSettings {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the texts are constants, and a test reads them"
        )]
        let url = |text: &str| Url::parse(text).expect("a URL");
        Self {
            client_id: None,
            client_secret: None,
            app_id: None,
            private_key: None,
            webhook_secret: None,
            api_url: url("https://api.github.com"),
            web_url: url("https://github.com"),
            exact_callback: false,
            timeout: Duration::secs(10),
        }
    }
}

impl Section for GithubSettings {
    fn validate(&self) -> Result<(), String> {
        for (key, url) in [("api_url", &self.api_url), ("web_url", &self.web_url)] {
            let whole = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none();
            if !whole {
                return Err(format!("`{key}` must be http:// or https:// and a host"));
            }
        }
        if self.client_id.is_some() != self.client_secret.is_some() {
            return Err("`client_id` and `client_secret` must be set together".into());
        }
        if self.app_id.is_some() != self.private_key.is_some() {
            return Err("`app_id` and `private_key` must be set together".into());
        }
        if self.app_id.is_some() && self.client_id.is_none() {
            return Err(
                "`client_id` must be set beside `app_id`: people prove by it what is theirs".into(),
            );
        }
        let short = |secret: &Secret| secret.expose().len() < SHORTEST_WEBHOOK_SECRET;
        if self.webhook_secret.as_ref().is_some_and(short) {
            return Err(format!(
                "`webhook_secret` must have at least {SHORTEST_WEBHOOK_SECRET} characters"
            ));
        }
        if self.timeout.0.is_zero() {
            return Err("`timeout` must not be zero".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_name_no_app() {
        let settings = GithubSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert!(settings.client().is_none());
    }

    #[test]
    fn an_app_needs_all_that_it_works_with_and_shows_none_of_it() {
        let whole = GithubSettings {
            client_id: Some("Iv1".into()),
            client_secret: Some(Secret::new("hunter2")),
            app_id: Some(1),
            private_key: Some(Secret::new("hunter3")),
            webhook_secret: Some(Secret::new("hunter4-hunter4-")),
            ..GithubSettings::default()
        };
        assert_eq!(whole.validate(), Ok(()));
        let refused = |settings: GithubSettings| settings.validate().unwrap_err();
        let keyless = refused(GithubSettings {
            private_key: None,
            ..whole.clone()
        });
        let clientless = refused(GithubSettings {
            client_id: None,
            client_secret: None,
            ..whole.clone()
        });
        let weak = refused(GithubSettings {
            webhook_secret: Some(Secret::new("hunter4")),
            ..whole.clone()
        });
        assert!(keyless.contains("private_key") && clientless.contains("client_id"));
        assert!(weak.contains("webhook_secret"), "{weak}");
        let shown = format!("{whole:?} {keyless} {clientless} {weak}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn half_an_app_or_no_address_is_refused_without_showing_a_secret() {
        let settings = GithubSettings {
            client_secret: Some(Secret::new("hunter2")),
            ..GithubSettings::default()
        };
        let why = settings.validate().unwrap_err();
        assert!(
            why.contains("client_id") && !why.contains("hunter2"),
            "{why}"
        );
        for wrong in ["ftp://github.com", "file:///tmp", "https://github.com/?x=1"] {
            let settings = GithubSettings {
                web_url: Url::parse(wrong).unwrap(),
                ..GithubSettings::default()
            };
            assert!(
                settings.validate().unwrap_err().contains("web_url"),
                "{wrong}"
            );
        }
    }
}
