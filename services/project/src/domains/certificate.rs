//! How it stands with the certificates of an environment's domains, which the gateway gets.

use std::collections::BTreeMap;

use chassis::calls::Calls;
use common::api::v1api::{CertificateStanding, CertificateState, CertificatesOfEnvironment};
use common::id::EnvironmentId;

/// What the gateway says of them; nothing where it couldn't be asked.
pub(super) struct Certificates(Option<BTreeMap<String, CertificateStanding>>);

impl Certificates {
    /// Those of an environment. A domain is shown whether or not the gateway answers.
    pub(super) async fn of(calls: &Calls, environment: &EnvironmentId) -> Self {
        let path = format!("/internal/environments/{environment}/certificates");
        let asked = calls.get::<CertificatesOfEnvironment>("v1api", &path);
        match asked.await {
            Ok(known) => Self(Some(known.certificates)),
            Err(error) => {
                tracing::warn!(environment.id = %environment, error = %error, "it isn't known how it stands with certificates");
                Self(None)
            }
        }
    }

    /// That of a domain; none where none is got for it.
    pub(super) fn standing(&self, domain: &str) -> Option<CertificateStanding> {
        match &self.0 {
            Some(known) => known.get(domain).cloned(),
            None => Some(CertificateStanding {
                state: CertificateState::Unknown,
                problem: None,
                not_after: None,
                next_order_at: None,
            }),
        }
    }
}
