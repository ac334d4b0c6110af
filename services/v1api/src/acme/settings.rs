//! `[gateway.acme]`

use std::path::PathBuf;

use chassis::settings::{Duration, List};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// `[gateway.acme]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeSettings {
    /// The directory of whoever makes certificates (RFC 8555, section 7.1.1); nobody unless set.
    pub directory: Option<Url>,
    /// Addresses of mail at which the maker reaches the operator.
    pub contact: List,
    /// Whether the operator agrees to the maker's terms.
    pub agree_to_terms: bool,
    /// Whether a certificate for the platform's own host is got as well.
    pub platform: bool,
    /// A file in PEM with the authority that the directory's own certificate is from, if it is a private one.
    pub authority: Option<PathBuf>,
    /// How long to wait after an order that failed; twice as long after each further one, up to six hours.
    pub retry: Duration,
    /// How often is looked for what there is to order, and for what other gateways have got.
    pub look: Duration,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            directory: None,
            contact: List::default(),
            agree_to_terms: false,
            platform: false,
            authority: None,
            retry: Duration::secs(300),
            look: Duration::secs(1),
        }
    }
}

impl AcmeSettings {
    /// What can't be, for a platform of this host.
    pub(crate) fn validate(&self, platform: Option<Host<&str>>) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        if directory.scheme() != "https" {
            return Err("`acme.directory` must be https://".into());
        }
        if !self.agree_to_terms {
            return Err(
                "`acme.directory` needs `acme.agree_to_terms`: read what the maker's terms are, and set it to true".into(),
            );
        }
        let is_public = matches!(platform, Some(Host::Domain(name)) if name.contains('.'));
        if self.platform && !is_public {
            return Err("`acme.platform` needs a `public_url` with a domain".into());
        }
        if self.look.0.is_zero() || self.retry.0.is_zero() {
            return Err("`acme.look` and `acme.retry` must be more than nothing".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said() {
        let check = |change: fn(&mut AcmeSettings), url: &str| {
            let mut settings = AcmeSettings {
                directory: Url::parse("https://maker.example/dir").ok(),
                agree_to_terms: true,
                ..AcmeSettings::default()
            };
            change(&mut settings);
            settings.validate(Url::parse(url).unwrap().host())
        };
        let public = "https://slipway.example";
        check(|_| {}, public).unwrap();
        check(|settings| settings.platform = true, public).unwrap();
        check(|settings| settings.directory = None, public).unwrap();
        let says = |change, url, what: &str| {
            let error = check(change, url).unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        says(
            |settings| settings.agree_to_terms = false,
            public,
            "agree_to_terms",
        );
        says(
            |settings| settings.directory = Url::parse("http://maker.example").ok(),
            public,
            "https://",
        );
        says(
            |settings| settings.platform = true,
            "https://localhost",
            "public_url",
        );
        says(
            |settings| settings.platform = true,
            "https://192.0.2.1",
            "public_url",
        );
        says(
            |settings| settings.look = Duration::secs(0),
            public,
            "acme.look",
        );
    }
}
