//! Running git for a person: with her own configuration where a repository is hers or somewhere
//! else, and with nothing of the caller's environment that names another repository.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{ExposeSecret as _, SecretString};
use tokio::process::Command;

use super::{Destination, SourceError};

/// Variables by which git would look at another repository than the one meant: set, for example,
/// where `slipway deploy` runs in a hook. As `git rev-parse --local-env-vars` lists them.
const LOCAL: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

/// How much of a complaint is shown.
const LINES_SHOWN: usize = 12;

/// git, with an environment to add.
#[derive(Clone, Debug)]
pub(super) struct Git {
    directory: PathBuf,
    environment: Vec<(String, SecretString)>,
    settings: Vec<(String, SecretString)>,
}

impl Git {
    /// On the repository that a directory is or has.
    pub(super) fn in_repository(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            environment: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Adds a variable.
    pub(super) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment
            .push((name.to_owned(), SecretString::from(value.into())));
        self
    }

    /// Adds a setting, by the environment.
    pub(super) fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings
            .push((name.into(), SecretString::from(value.into())));
        self
    }

    /// Runs git to its end and answers what it printed.
    pub(super) async fn run(
        &self,
        step: &'static str,
        arguments: &[&str],
    ) -> Result<String, SourceError> {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for name in LOCAL {
            command.env_remove(name);
        }
        for (name, value) in &self.environment {
            command.env(name, value.expose_secret());
        }
        command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (place, (name, value)) in self.settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{place}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{place}"), value.expose_secret());
        }
        let output = command.output().await.map_err(SourceError::NoGit)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned());
        }
        Err(SourceError::Git {
            step,
            complaint: complaint(&output.stderr),
        })
    }

    /// Makes a branch of the destination this commit, whatever it was.
    pub(super) async fn push(
        &self,
        destination: &Destination,
        commit: &str,
        branch: &str,
    ) -> Result<(), SourceError> {
        let (url, token) = (&destination.url, destination.token.expose_secret());
        let mut git = self
            .clone()
            .set(format!("http.{url}.extraHeader"), format!("Authorization: Bearer {token}"))
            // A token that is refused is told, not asked for or stored.
            .set("credential.helper", "")
            .set("push.gpgSign", "false");
        if is_loopback(url) {
            git = git.set(format!("http.{url}.proxy"), "");
        }
        let target = format!("+{commit}:refs/heads/{branch}");
        let arguments = [
            "push",
            "--quiet",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            "--",
            url,
            &target,
        ];
        git.run("push", &arguments).await.map(drop)
    }
}

/// Whether an address is this very machine's, which no proxy reaches.
fn is_loopback(url: &str) -> bool {
    let authority = url
        .split_once("://")
        .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(authority, |(host, _)| host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.starts_with("127.")
}

/// The end of what git complained of, without its own prefixes where a server speaks.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.strip_prefix("remote: ").unwrap_or(line).trim_end())
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        .collect();
    let skipped = lines.len().saturating_sub(LINES_SHOWN);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for url in [
            "http://localhost:8080/git/a/b.git",
            "http://127.0.0.1/x",
            "http://[::1]:80/x",
            "http://api.localhost/x",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://example.com/x",
            "http://localhost.example.com/x",
            "git@localhost:x",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
