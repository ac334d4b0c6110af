//! What the API answers, as far as commands use it.
//!
//! Unknown members are ignored, so that a newer platform doesn't break an older program.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub(crate) use common::role::Role;

/// A person's record, with the accounts that the person is a member of.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) accounts: Vec<Account>,
}

/// An account; with the role, where the answer is about one of its members.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) role: Option<Role>,
}

/// An invitation, whose token is shown once.
#[derive(Debug, Deserialize)]
pub(crate) struct Invite {
    pub(crate) token: SecretString,
}

/// A project.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) account_id: String,
    pub(crate) name: String,
    pub(crate) github_data: Repository,
    #[serde(default)]
    pub(crate) environments: Vec<Environment>,
}

impl Project {
    /// The environment of this name.
    pub(crate) fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == name)
    }
}

/// Where a project's code is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repository {
    pub(crate) owner: String,
    pub(crate) repo: String,
}

/// A place where a project runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) database: bool,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) status_reason: Option<String>,
}

/// Where a build stands; a word that this version doesn't know is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BuildState(String);

impl BuildState {
    /// Whether nothing more will happen.
    pub(crate) fn is_final(&self) -> bool {
        self.0
            .parse()
            .is_ok_and(|state: common::event::BuildState| state.is_final())
    }

    /// Whether its release answers.
    pub(crate) fn is_live(&self) -> bool {
        self.0 == common::event::BuildState::Live.as_str()
    }

    /// The word.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A build.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) state: BuildState,
    #[serde(default)]
    pub(crate) commit: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The preview of a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Preview {
    pub(crate) number: i64,
    pub(crate) commit: String,
    pub(crate) author: String,
    pub(crate) fork: bool,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) build_state: Option<String>,
}

/// How an environment is published.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Publication {
    pub(crate) name: String,
    pub(crate) visibility: &'static str,
    pub(crate) scopes: Vec<&'static str>,
}

/// A new API key, shown once.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiKey {
    pub(crate) token: SecretString,
}

/// How often a service was called in one way.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Usage {
    pub(crate) service: String,
    pub(crate) count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_this_version_does_not_know_is_not_final() {
        let state = |text: &str| BuildState(text.into());
        assert!(state("live").is_final() && state("live").is_live());
        assert!(state("superseded").is_final() && !state("superseded").is_live());
        assert!(!state("building").is_final() && !state("polishing").is_final());
    }
}
