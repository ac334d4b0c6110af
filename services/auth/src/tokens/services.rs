//! The services' own credentials.

use std::collections::BTreeMap;

use chassis::settings::{Named, Secret, ServiceSettings};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// Each service's secret.
#[derive(Clone, Debug)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// The secrets that are set.
    #[must_use]
    pub fn new(services: Named<ServiceSettings>) -> Self {
        let secrets = services
            .0
            .into_iter()
            .filter_map(|(name, settings)| Some((name, settings.secret?)));
        Self(secrets.collect())
    }

    /// Whether this is the service's secret. Digests are compared, in a time that tells neither
    /// where they differ nor how long the secret is.
    #[must_use]
    pub fn matches(&self, service: &str, given: &str) -> bool {
        let known = self
            .0
            .get(service)
            .filter(|secret| !secret.expose().is_empty());
        let digest_of = |text: &str| digest(&SHA256, text.as_bytes());
        let expected = digest_of(known.map_or("", Secret::expose));
        let equal: bool = expected.as_ref().ct_eq(digest_of(given).as_ref()).into();
        known.is_some() && equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let with = |secret: Option<&str>| ServiceSettings {
            secret: secret.map(Secret::new),
            ..Default::default()
        };
        let services = [
            ("account", Some("s3cret")),
            ("project", None),
            ("github", Some("")),
        ];
        Secrets::new(Named(
            services
                .into_iter()
                .map(|(name, secret)| (name.to_owned(), with(secret)))
                .collect(),
        ))
    }

    #[test]
    fn a_service_is_known_by_its_own_secret_only() {
        assert!(secrets().matches("account", "s3cret"));
        assert!(!secrets().matches("account", "s3cre"));
        assert!(!secrets().matches("v1api", "s3cret"));
    }

    #[test]
    fn a_service_without_a_secret_is_nobody() {
        for service in ["project", "github", "unheard-of"] {
            assert!(!secrets().matches(service, ""), "{service}");
        }
    }
}
