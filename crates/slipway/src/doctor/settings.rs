//! Whether the settings can be used, and reach what they name.

use std::path::PathBuf;

use chassis::settings::{Secret, Section, Settings, Sources};
use serde::{Deserialize, Serialize};
use slipway_provisioner::appdb::DatabaseServer;
use url::{Host, Url};

use super::Finding;
use crate::config;

/// `[apps]`, as far as it is checked here.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Apps {
    domain: Option<String>,
    postgres_url: Option<Secret>,
}

impl Section for Apps {}

/// `[gateway]`, as far as it is checked here.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Gateway {
    public_url: Option<Url>,
}

impl Section for Gateway {}

/// Reads the settings.
pub(super) fn check(file: Option<PathBuf>) -> (Option<Settings>, Vec<Finding>) {
    let read = Settings::load(Sources::of_process(file)).and_then(|settings| {
        config::effective(&settings)?;
        Ok(settings)
    });
    match read {
        Ok(settings) => {
            let mut findings = vec![Finding::fine("settings", "all known and possible")];
            findings.extend(check_domain(&settings));
            (Some(settings), findings)
        }
        Err(error) => {
            let advice =
                "correct it in slipway.toml or the environment; the platform doesn't start with it";
            (
                None,
                vec![Finding::wrong("settings", error.to_string(), advice)],
            )
        }
    }
}

/// An app on the platform's own domain could set cookies for the platform.
fn check_domain(settings: &Settings) -> Option<Finding> {
    let domain = settings.section::<Apps>("apps").ok()?.domain?;
    let url = settings.section::<Gateway>("gateway").ok()?.public_url?;
    let Some(Host::Domain(host)) = url.host() else {
        return None;
    };
    share_site(host, &domain).then(|| {
        let finding = format!("apps under {domain} share a site with the platform at {host}, and could set its cookies");
        Finding::warning("apps.domain", finding, "give apps a registered domain of their own")
    })
}

/// Whether two names end in the same two labels, as those of one registered domain mostly do.
fn share_site(one: &str, other: &str) -> bool {
    fn site(name: &str) -> Vec<String> {
        name.trim_end_matches('.')
            .rsplit('.')
            .take(2)
            .map(str::to_ascii_lowercase)
            .collect()
    }
    site(one).len() == 2 && site(one) == site(other)
}

/// Whether the server for apps' databases answers and keeps apps apart.
pub(super) async fn check_databases(settings: &Settings) -> Vec<Finding> {
    const SUBJECT: &str = "apps' PostgreSQL";
    let Ok(Apps { postgres_url, .. }) = settings.section::<Apps>("apps") else {
        return Vec::new();
    };
    let Some(url) = postgres_url else {
        return vec![Finding::fine(
            SUBJECT,
            "none is set (apps.postgres_url): no environment can have a database",
        )];
    };
    let open = match DatabaseServer::new(url.to_secret_string()) {
        Ok(server) => server.open_databases().await,
        Err(error) => Err(error),
    };
    match open {
        Ok(open) if open.is_empty() => vec![Finding::fine(
            SUBJECT,
            "answers, and is closed to apps but for their own databases",
        )],
        Ok(open) => {
            let names = open.join(", ");
            let advice = format!(
                "close each: REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
                open.join("; … ")
            );
            vec![Finding::warning(
                SUBJECT,
                format!("answers, but every app may connect to {names}"),
                advice,
            )]
        }
        Err(error) => {
            let finding = format!("{:#}", anyhow::Error::from(error));
            vec![Finding::wrong(
                SUBJECT,
                finding.trim(),
                "start it, or correct apps.postgres_url",
            )]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_registered_domain_share_a_site() {
        assert!(share_site("slipway.example.com", "apps.Example.com"));
        assert!(!share_site("slipway.example.com", "example-apps.com"));
        assert!(!share_site("localhost", "localhost"));
    }

    #[test]
    fn settings_that_cannot_be_are_told_with_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("slipway.toml");
        std::fs::write(&file, "[log]\nformatt = 'json'\n").unwrap();
        let (settings, findings) = check(Some(file));
        assert!(settings.is_none());
        assert!(findings[0].finding.contains("formatt"), "{findings:?}");
    }
}
