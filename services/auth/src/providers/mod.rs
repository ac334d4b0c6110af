//! Which ways to sign in there are for whom: `[auth.providers]`.

pub mod http;

use chassis::settings::List;
use common::problem::Problem;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use crate::identities::Provider;

/// `[auth.providers]`: by what each actor may sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// External users.
    pub euser: List,
    /// Operators.
    pub admin: List,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        let list =
            |providers: &[Provider]| List(providers.iter().map(ToString::to_string).collect());
        Self {
            euser: list(&[Provider::Emailpass, Provider::Github]),
            admin: list(&[Provider::Emailpass]),
        }
    }
}

impl ProviderSettings {
    /// Checks that each is one, and that every actor has one.
    pub fn validate(&self) -> Result<(), String> {
        for (actor, List(providers)) in [("euser", &self.euser), ("admin", &self.admin)] {
            for provider in providers {
                provider
                    .parse::<Provider>()
                    .map_err(|why| format!("`providers.{actor}`: {why}"))?;
            }
            if providers.is_empty() {
                return Err(format!("`providers.{actor}` must name at least one"));
            }
        }
        Ok(())
    }

    /// By what an actor may sign in, in the order of the settings.
    #[must_use]
    pub fn of(&self, actor: ActorType) -> Vec<Provider> {
        let providers = match actor {
            ActorType::Euser => &self.euser.0,
            ActorType::Admin => &self.admin.0,
            ActorType::Service => return Vec::new(),
        };
        providers
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// Reads the actor of a path, which must be allowed to sign in by this.
    pub fn check(&self, actor: &str, provider: &str) -> Result<(ActorType, Provider), Problem> {
        let parsed = actor.parse::<ActorType>().ok().zip(provider.parse().ok());
        parsed
            .filter(|(actor, provider)| self.of(*actor).contains(provider))
            .ok_or_else(|| {
                let cut = |text: &str| text.chars().take(40).collect::<String>();
                let (actor, provider) = (cut(actor), cut(provider));
                let detail = format!(
                    "The actor type {actor} is not allowed to use the auth provider {provider}"
                );
                Problem::bad_request("not_allowed", detail)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_may_use_what_the_settings_name_and_nothing_else() {
        let settings = ProviderSettings::default();
        assert!(settings.check("euser", "github").is_ok());
        for (actor, provider) in [
            ("admin", "github"),
            ("euser", "google"),
            ("service", "emailpass"),
            ("", ""),
        ] {
            let refused = settings.check(actor, provider).unwrap_err();
            assert_eq!(
                (refused.status, refused.code.as_ref()),
                (400, "not_allowed")
            );
        }
        let settings = ProviderSettings {
            admin: List(vec!["github".into()]),
            ..settings
        };
        assert!(
            settings.check("admin", "github").is_ok()
                && settings.check("admin", "emailpass").is_err()
        );
    }

    #[test]
    fn a_provider_that_there_is_not_stops_the_start() {
        let of = |names: &[&str]| ProviderSettings {
            euser: List(names.iter().map(ToString::to_string).collect()),
            ..ProviderSettings::default()
        };
        assert_eq!(ProviderSettings::default().validate(), Ok(()));
        assert!(
            of(&["emailpass", "google"])
                .validate()
                .unwrap_err()
                .contains("providers.euser")
        );
        assert!(of(&[]).validate().is_err());
    }
}
