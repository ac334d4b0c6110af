//! From what a person names (a directory, a bundle, a Git URL) to commits in the platform's
//! repository.
//!
//! [`Source::parse`] says what it is, [`push`] brings it there. The token travels in git's
//! environment only: never in arguments, in an address, or in a repository's configuration.

mod git;
mod heads;
mod prepare;

use std::path::{Path, PathBuf};

use common::SecretString;

/// What a person can name to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A directory, with a repository of its own or without.
    Directory(PathBuf),
    /// A file that `git bundle` made.
    Bundle(PathBuf),
    /// A repository somewhere else.
    Remote(String),
}

/// Where to bring it.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// The platform's repository: `http://…/git/<account>/<repository>.git`.
    pub(crate) url: String,
    /// A token that may push there.
    pub(crate) token: SecretString,
}

/// What has been brought there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The commit, in full hex.
    pub(crate) commit: String,
    /// The branch that it is on now.
    pub(crate) branch: String,
    /// What the person should know: sentences.
    pub(crate) warnings: Vec<String>,
}

/// Why it can't be brought there. `Display` is meant for the person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// Nothing is there.
    #[error("{} is neither a directory, nor a Git bundle, nor a Git URL", .0.display())]
    Unknown(PathBuf),
    /// The directory holds nothing that could be deployed.
    #[error("{} holds no files to deploy", .0.display())]
    Empty(PathBuf),
    /// The repository has no commit yet.
    #[error("{0} has no commits yet")]
    NoCommits(String),
    /// Several branches, and none stands out.
    #[error("{source_name} names no default branch; it has {branches}")]
    NoDefaultBranch {
        /// What it was given as.
        source_name: String,
        /// Some of its branches.
        branches: String,
    },
    /// git isn't there.
    #[error("git can't be run: is it installed?")]
    NoGit(#[source] std::io::Error),
    /// git said no.
    #[error("git {step} failed: {complaint}")]
    Git {
        /// What it was doing.
        step: &'static str,
        /// The end of what it printed.
        complaint: String,
    },
    /// The disk failed.
    #[error("{} can't be read or written", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Source {
    /// What a person means by this text. What is on the disk goes before what looks like an address.
    pub(crate) fn parse(text: &str) -> Result<Self, SourceError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::Directory(absolute(path)?));
        }
        if path.is_file() && is_bundle(path)? {
            return Ok(Self::Bundle(absolute(path)?));
        }
        if is_remote(text) {
            return Ok(Self::Remote(text.to_owned()));
        }
        Err(SourceError::Unknown(path.to_owned()))
    }

    /// A name for the project, from the source's own: letters, digits and dashes, at most 40.
    pub(crate) fn suggested_name(&self) -> String {
        let last = match self {
            Self::Directory(path) => path.file_name(),
            Self::Bundle(path) => path.file_stem(),
            Self::Remote(url) => {
                Path::new(url.trim_end_matches('/').trim_end_matches(".git")).file_name()
            }
        };
        let last = last
            .map(|name| name.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        let last = last.rsplit(':').next().unwrap_or_default();
        let words = last
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        let name: String = words
            .collect::<Vec<_>>()
            .join("-")
            .chars()
            .take(40)
            .collect();
        let name = name.trim_end_matches('-');
        if name.is_empty() {
            "app".to_owned()
        } else {
            name.to_owned()
        }
    }
}

/// Brings the source's newest commit to the destination.
///
/// A directory without a repository is committed as it is, but for what its `.gitignore` names;
/// of one with a repository its `HEAD` goes, and what isn't committed is warned of.
pub(crate) async fn push(
    source: &Source,
    destination: &Destination,
) -> Result<Pushed, SourceError> {
    let scratch = tempfile::tempdir().map_err(|error| SourceError::Disk {
        path: std::env::temp_dir(),
        source: error,
    })?;
    let ready = prepare::prepare(source, scratch.path()).await?;
    git::Git::in_repository(&ready.repository)
        .push(destination, &ready.commit, &ready.branch)
        .await?;
    Ok(Pushed {
        commit: ready.commit,
        branch: ready.branch,
        warnings: ready.warnings,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, SourceError> {
    path.canonicalize().map_err(|source| SourceError::Disk {
        path: path.to_owned(),
        source,
    })
}

/// By the first line of the format (`gitformat-bundle`).
fn is_bundle(path: &Path) -> Result<bool, SourceError> {
    use std::io::Read as _;
    let disk = |source| SourceError::Disk {
        path: path.to_owned(),
        source,
    };
    let mut first = Vec::new();
    std::fs::File::open(path)
        .map_err(disk)?
        .take(16)
        .read_to_end(&mut first)
        .map_err(disk)?;
    Ok(first.starts_with(b"# v2 git bundle\n") || first.starts_with(b"# v3 git bundle\n"))
}

/// Whether git would take it for an address of another machine. `ext::` and other helpers that run
/// programs are none.
fn is_remote(text: &str) -> bool {
    const SCHEMES: [&str; 5] = ["https://", "http://", "ssh://", "git://", "file://"];
    if text.starts_with('-') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return false;
    }
    if SCHEMES.iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('-'))
    }) {
        return true;
    }
    // user@host:path, as ssh writes it
    text.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !path.is_empty() && !path.starts_with(':')
    })
}

#[cfg(test)]
mod tests;
