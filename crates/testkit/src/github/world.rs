//! Installations, organisations and repositories.

use std::path::PathBuf;

use common::time::Time;
use serde_json::{Map, Value, json};

use super::state::State;

/// An installation of the App.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its number.
    pub id: u64,
    /// The number of the person or organisation it is on.
    pub owner_id: u64,
    /// Their login.
    pub owner: String,
    /// `User` or `Organization`.
    pub kind: &'static str,
    /// Whether it is suspended.
    pub suspended: bool,
    /// The App's permissions that its owner hasn't agreed to yet.
    pub withheld: Vec<&'static str>,
}

impl Installation {
    /// As the API shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "account": { "id": self.owner_id, "login": self.owner, "type": self.kind },
            "target_type": self.kind,
            "repository_selection": "all",
            "suspended_at": self.suspended.then_some("2026-01-01T00:00:00Z"),
        })
    }
}

/// A repository; its commits are those of a bare repository on the disk.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its number, which stays.
    pub id: u64,
    /// Its owner's login.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// Where its commits are.
    pub directory: PathBuf,
    /// The names it had before, as `owner/name`: asked for one, GitHub leads to where it is now.
    pub former: Vec<String>,
}

impl Repository {
    /// A repository whose default branch is `main`.
    #[must_use]
    pub fn new(id: u64, owner: &str, name: &str, directory: PathBuf) -> Self {
        Self {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            default_branch: "main".to_owned(),
            directory,
            former: Vec::new(),
        }
    }

    /// `owner/name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// As the API shows it.
    pub(super) fn shown(&self) -> Value {
        self.shown_of(&json!({ "login": self.owner }))
    }

    /// As a push shows it: the owner is a Git user as well, with a name and an address.
    pub(super) fn shown_pushed(&self) -> Value {
        self.shown_of(&json!({
            "name": self.owner, "email": format!("{}@users.noreply.github.com", self.owner),
            "login": self.owner, "id": self.id + 1_000,
        }))
    }

    fn shown_of(&self, owner: &Value) -> Value {
        json!({
            "id": self.id, "name": self.name, "full_name": self.full_name(), "private": true,
            "owner": owner, "default_branch": self.default_branch,
            "archived": false, "disabled": false,
        })
    }
}

/// What an installation's token is good for.
#[derive(Clone, Debug)]
pub(super) struct InstallationToken {
    pub(super) installation: u64,
    /// None is all of the installation's.
    pub(super) repositories: Option<Vec<u64>>,
    pub(super) permissions: Map<String, Value>,
    pub(super) expires_at: Time,
}

impl InstallationToken {
    /// Whether it allows this much (`read` or `write`).
    pub(super) fn allows(&self, permission: &str, level: &str) -> bool {
        let granted = self.permissions.get(permission).and_then(Value::as_str);
        granted.is_some_and(|granted| granted == level || granted == "write")
    }
}

/// Where a name leads.
pub(super) enum Named<'a> {
    /// The repository is called that.
    Now(&'a Repository),
    /// It was called that once.
    Formerly(&'a Repository),
}

impl State {
    /// The repository with this number.
    pub(super) fn repository(&self, id: u64) -> Option<&Repository> {
        self.repositories.iter().find(|known| known.id == id)
    }

    pub(super) fn installation(&self, id: u64) -> Option<&Installation> {
        self.installations.iter().find(|known| known.id == id)
    }

    /// The installation on a repository's owner.
    pub(super) fn installation_on(&self, repository: &Repository) -> Option<&Installation> {
        self.installations
            .iter()
            .find(|known| known.owner.eq_ignore_ascii_case(&repository.owner))
    }

    pub(super) fn repositories_of(&self, installation: &Installation) -> Vec<Repository> {
        let mut all: Vec<_> = self
            .repositories
            .iter()
            .filter(|known| known.owner.eq_ignore_ascii_case(&installation.owner))
            .cloned()
            .collect();
        all.sort_by_key(|known| known.id);
        all
    }

    pub(super) fn named(&self, owner: &str, name: &str) -> Option<Named<'_>> {
        let wanted = format!("{owner}/{name}");
        let is = |known: &str| known.eq_ignore_ascii_case(&wanted);
        if let Some(found) = self.repositories.iter().find(|r| is(&r.full_name())) {
            return Some(Named::Now(found));
        }
        let found = self
            .repositories
            .iter()
            .find(|r| r.former.iter().any(|old| is(old)))?;
        Some(Named::Formerly(found))
    }
}
