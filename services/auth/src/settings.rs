//! `[auth]`: who may sign in how, and for how long.
//!
//! Also read from `SLIPWAY_ADMIN_EMAIL` and `SLIPWAY_ADMIN_PASSWORD`: the first admin; and from
//! `CLIENT_TTL` and `PASSWORD_TTL`: how long clients of realms live.

use std::net::Ipv4Addr;

use chassis::settings::{Duration, List, Secret, Section};
use common::token::Algorithm;
use serde::{Deserialize, Serialize};

use crate::password::{Cost, Policy, Rules};
use crate::providers::ProviderSettings;

/// `[auth]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The first admin's address; `admin@slipway.localhost` unless set.
    pub admin_email: Option<String>,
    /// The first admin's password; one is made up and left in the data directory unless set.
    pub admin_password: Option<Secret>,
    /// How tokens are signed: `ES256` or `EdDSA`.
    pub algorithm: Algorithm,
    /// How long a person's token lives.
    pub access_lifetime: Duration,
    /// How long after a sign-in its token can still be refreshed.
    pub session_max_age: Duration,
    /// The domain whose hosts share a session's cookie; the platform's own host alone unless set.
    pub cookie_domain: Option<String>,
    /// How long a key signs before the next takes its place.
    pub key_lifetime: Duration,
    /// Whether whoever registers is sent a code to show that the address is hers.
    pub verify_email: bool,
    /// How long a key is published before it signs. Others may keep the set of keys for 5 minutes.
    pub key_overlap: Duration,
    /// `[auth.password]`
    pub password: PasswordSettings,
    /// `[auth.clients]`
    pub clients: ClientSettings,
    /// `[auth.hashing]`
    pub hashing: HashingSettings,
    /// `[auth.providers]`
    pub providers: ProviderSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin_email: None,
            admin_password: None,
            algorithm: Algorithm::Es256,
            access_lifetime: Duration::secs(3_600),
            session_max_age: Duration::secs(30 * 86_400),
            cookie_domain: None,
            key_lifetime: Duration::secs(90 * 86_400),
            verify_email: true,
            key_overlap: Duration::secs(3_600),
            password: PasswordSettings::default(),
            clients: ClientSettings::default(),
            hashing: HashingSettings::default(),
            providers: ProviderSettings::default(),
        }
    }
}

impl Section for Settings {
    fn validate(&self) -> Result<(), String> {
        if let Some(email) = &self.admin_email {
            common::email::EmailAddress::parse(email)
                .map_err(|why| format!("`admin_email` {why}"))?;
        }
        if let Some(password) = &self.admin_password {
            let rules = self.password.rules();
            rules
                .check(&crate::password::Password::new(password.expose()))
                .map_err(|why| format!("`admin_password`: {why}"))?;
        }
        if !(60..=86_400).contains(&self.access_lifetime.as_secs()) {
            return Err("`access_lifetime` must be between 1m and 1d".into());
        }
        if self.session_max_age < self.access_lifetime {
            return Err("`session_max_age` must not be shorter than `access_lifetime`".into());
        }
        if let Some(domain) = &self.cookie_domain {
            check_domain(domain)?;
        }
        if self.key_lifetime.as_secs() < 86_400 {
            return Err("`key_lifetime` must be at least 1d".into());
        }
        if !(600..=86_400).contains(&self.key_overlap.as_secs()) {
            return Err("`key_overlap` must be between 10m and 1d".into());
        }
        if !(5..=64).contains(&self.password.min_length) {
            return Err("`password.min_length` must be between 5 and 64".into());
        }
        for (key, lifetime) in [
            ("lifetime", self.clients.lifetime),
            ("reset_lifetime", self.clients.reset_lifetime),
        ] {
            if !(60..=10 * 365 * 86_400).contains(&lifetime.as_secs()) {
                return Err(format!("`clients.{key}` must be between 1m and 3650d"));
            }
        }
        self.hashing.validate()?;
        self.providers.validate()
    }
}

/// A cookie for all of `com` or for an address would be no browser's.
fn check_domain(domain: &str) -> Result<(), String> {
    let labels: Vec<_> = domain.split('.').collect();
    let shaped = |label: &&str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if labels.len() < 2 || !labels.iter().all(shaped) || domain.parse::<Ipv4Addr>().is_ok() {
        return Err("`cookie_domain` must be a domain such as `example.com`, in lower case".into());
    }
    Ok(())
}

/// `[auth.password]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// `standard`: a least length and no common password; `seed`: five characters.
    pub policy: Policy,
    /// The least length under `standard`, in characters.
    pub min_length: usize,
}

impl PasswordSettings {
    /// What a new password must be like.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            policy: self.policy,
            min_length: self.min_length,
        }
    }
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            policy: Policy::Standard,
            min_length: 8,
        }
    }
}

/// `[auth.clients]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// How long a client of a realm lives unless its server extends it (`CLIENT_TTL`).
    pub lifetime: Duration,
    /// How long one for a password reset lives (`PASSWORD_TTL`).
    pub reset_lifetime: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::secs(30 * 86_400),
            reset_lifetime: Duration::secs(3_600),
        }
    }
}

/// `[auth.hashing]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashingSettings {
    /// How many passwords are hashed at once; each takes `memory` and a core.
    pub concurrency: usize,
    /// How many may wait for that; who comes then is asked to come back.
    pub queue: usize,
    /// How much memory a hash takes, in KiB.
    pub memory: u32,
    /// How many times it is gone over.
    pub iterations: u32,
    /// In how many lanes.
    pub parallelism: u32,
}

impl HashingSettings {
    /// How new passwords are hashed.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost {
            memory: self.memory,
            iterations: self.iterations,
            parallelism: self.parallelism,
        }
    }

    /// No less than the least of the equal choices that OWASP names (7 MiB five times, 46 MiB once),
    /// and no more than a login can be made to wait for.
    fn validate(&self) -> Result<(), String> {
        if self.concurrency == 0 {
            return Err("`hashing.concurrency` must be at least 1".into());
        }
        let in_all = u64::from(self.memory) * u64::from(self.iterations);
        if !(7_168..=1_048_576).contains(&self.memory) {
            return Err("`hashing.memory` must be between 7168 and 1048576 KiB".into());
        }
        if !(1..=100).contains(&self.iterations) || !(1..=16).contains(&self.parallelism) {
            return Err("`hashing.iterations` must be between 1 and 100, `hashing.parallelism` between 1 and 16".into());
        }
        if in_all < 35_840 {
            return Err(
                "`hashing.memory` times `hashing.iterations` must be at least 35840".into(),
            );
        }
        Ok(())
    }
}

impl Default for HashingSettings {
    fn default() -> Self {
        Self {
            concurrency: 2,
            queue: 32,
            memory: Cost::DEFAULT.memory,
            iterations: Cost::DEFAULT.iterations,
            parallelism: Cost::DEFAULT.parallelism,
        }
    }
}

/// `[cors]`, which the gateway checks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsSection {
    /// Origins whose pages may call the platform with credentials.
    pub origins: List,
}

impl Section for CorsSection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn a_cookie_is_for_a_domain_of_two_names_or_more() {
        let check = |domain: &str| {
            let settings = Settings {
                cookie_domain: Some(domain.into()),
                ..Settings::default()
            };
            settings.validate()
        };
        assert_eq!(check("slipway.example"), Ok(()));
        for domain in [
            "com",
            "Example.com",
            ".example.com",
            "10.0.0.1",
            "a b.c",
            "",
        ] {
            assert!(
                check(domain).unwrap_err().contains("cookie_domain"),
                "{domain}"
            );
        }
    }

    #[test]
    fn a_first_admin_with_a_common_password_or_no_address_is_refused_without_showing_it() {
        let settings = Settings {
            admin_password: Some(Secret::new("password1")),
            ..Settings::default()
        };
        let why = settings.validate().unwrap_err();
        assert!(
            why.contains("admin_password") && !why.contains("password1"),
            "{why}"
        );
        let settings = Settings {
            admin_email: Some("root".into()),
            ..Settings::default()
        };
        assert!(settings.validate().unwrap_err().contains("admin_email"));
    }
}
