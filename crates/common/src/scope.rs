//! Scopes: what a token may do at most.
//!
//! A scope is `<resource>:<verb>`, with `read < write < admin`, or `*` for all.
//! It is an upper bound; the account routes also need a role in that account.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::names::ServiceName;

crate::text_enum! {
    /// What a scope lets one do with its resource; each verb includes the ones before it.
    pub enum Verb {
        /// Look.
        Read = "read",
        /// Change.
        Write = "write",
        /// Change what belongs to others.
        Admin = "admin",
    }
}

crate::text_enum! {
    /// The platform's own resources.
    pub enum Resource {
        /// Persons.
        Users = "users",
        /// Accounts, their members and invites.
        Accounts = "accounts",
        /// Projects and their repositories.
        Projects = "projects",
        /// Builds and their logs.
        Builds = "builds",
        /// Environments, their variables, logs and publications.
        Environments = "environments",
        /// Secret values.
        Secrets = "secrets",
        /// API keys.
        Keys = "keys",
        /// Usage counts and quotas.
        Usage = "usage",
        /// Services of the gateway.
        Services = "services",
        /// Client credentials of a realm.
        Clients = "clients",
        /// Realms of identities.
        Realms = "realms",
    }
}

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything: only admins hold it.
    All,
    /// A resource of the platform.
    Platform(Resource, Verb),
    /// A service behind the gateway's catch-all.
    Service(ServiceName, Verb),
}

/// A text that is no scope. It doesn't hold the text, which may be a secret in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: expected `<resource>:<verb>`, `service:<name>:<verb>` or `*`")]
pub struct InvalidScope;

impl Scope {
    /// Whether holding this scope is enough where `needed` is asked for.
    #[must_use]
    pub fn covers(&self, needed: &Self) -> bool {
        match (self, needed) {
            (Self::All, _) => true,
            (Self::Platform(held, verb), Self::Platform(wanted, least)) => {
                held == wanted && verb >= least
            }
            (Self::Service(held, verb), Self::Service(wanted, least)) => {
                held == wanted && verb >= least
            }
            _ => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Platform(resource, verb) => write!(f, "{resource}:{verb}"),
            Self::Service(name, verb) => write!(f, "service:{name}:{verb}"),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        if text == "*" {
            return Ok(Self::All);
        }
        let (subject, verb) = text.rsplit_once(':').ok_or(InvalidScope)?;
        let verb = verb.parse().map_err(|_: String| InvalidScope)?;
        match subject.split_once(':') {
            Some(("service", name)) => ServiceName::parse(name)
                .map(|name| Self::Service(name, verb))
                .map_err(|_| InvalidScope),
            Some(_) => Err(InvalidScope),
            None => subject
                .parse()
                .map(|resource| Self::Platform(resource, verb))
                .map_err(|_: String| InvalidScope),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// A set of scopes; as text they are divided by spaces (RFC 6749, section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// No scope at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What an admin's own token carries.
    #[must_use]
    pub fn all() -> Self {
        Self(BTreeSet::from([Scope::All]))
    }

    /// What an external user's own token carries: every resource, with what the roles then allow.
    #[must_use]
    pub fn euser() -> Self {
        Resource::ALL
            .iter()
            .map(|resource| Scope::Platform(*resource, Verb::Write))
            .collect()
    }

    /// Whether some scope of the set covers `needed`.
    #[must_use]
    pub fn covers(&self, needed: &Scope) -> bool {
        self.0.iter().any(|scope| scope.covers(needed))
    }

    /// The scopes of this set that `held` doesn't cover.
    #[must_use]
    pub fn beyond(&self, held: &Self) -> Vec<Scope> {
        self.0
            .iter()
            .filter(|scope| !held.covers(scope))
            .cloned()
            .collect()
    }

    /// Whether there is no scope in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{scope}")?;
        }
        Ok(())
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    #[test]
    fn a_verb_includes_the_weaker_ones_of_its_own_resource_only() {
        assert!(set("projects:write").covers(&"projects:read".parse().unwrap()));
        assert!(!set("projects:read").covers(&"projects:write".parse().unwrap()));
        assert!(!set("projects:admin").covers(&"builds:read".parse().unwrap()));
        assert!(set("*").covers(&"service:location:admin".parse().unwrap()));
        assert!(!set("service:location:read").covers(&"service:other:read".parse().unwrap()));
    }

    #[test]
    fn scopes_beyond_those_held_are_named() {
        let beyond = set("projects:admin builds:read *").beyond(&ScopeSet::euser());
        assert_eq!(
            beyond.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["*", "projects:admin"]
        );
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "projects",
            "projects:",
            "x:read",
            "service:UPPER:read",
            "a:b:c:read",
            "projects:own",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
