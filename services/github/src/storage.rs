//! Where repositories are on the disk, and the care that a name never leads anywhere else.
//!
//! Two trees: what the operator laid, `<data>/repos/<owner>/<repo>` (bare or with a work tree, with
//! or without `.git` at the end), which is only read; and what was pushed,
//! `<data>/git/<account id>/<repo>.git`, which only this service writes.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::id::AccountId;
use common::names::{RepoName, RepoOwner};

use crate::git::{Git, GitError};

/// How many repositories of the operator's are listed.
const MOST_LISTED: usize = 10_000;

/// Whose a repository is: known by its owner's name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It was pushed by this account.
    Account(AccountId),
    /// The operator laid it, for everyone.
    Operator,
}

impl Holder {
    /// Who holds the repositories of this owner.
    pub(crate) fn of(owner: &RepoOwner) -> Self {
        owner.as_str().parse().map_or(Self::Operator, Self::Account)
    }
}

/// A Git directory that was found where it may be: absolute, without symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitDir(PathBuf);

impl GitDir {
    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// The two trees.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    operator: Arc<Path>,
    pushed: Arc<Path>,
}

impl Storage {
    /// The trees under a data directory; they are made where they are missing.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let (operator, pushed) = (data.join("repos"), data.join("git"));
        for tree in [&operator, &pushed, &pushed.join(".home")] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(tree)?;
        }
        Ok(Self {
            operator: operator.canonicalize()?.into(),
            pushed: pushed.canonicalize()?.into(),
        })
    }

    /// A directory that is git's home, where no configuration is.
    pub(crate) fn home(&self) -> PathBuf {
        self.pushed.join(".home")
    }

    /// A repository, if it is there.
    pub(crate) async fn find(
        &self,
        owner: &RepoOwner,
        name: &RepoName,
    ) -> io::Result<Option<GitDir>> {
        let (storage, owner, name) = (self.clone(), owner.clone(), name.clone());
        blocking(move || match Holder::of(&owner) {
            Holder::Account(account) => storage.find_pushed(&account, &name),
            Holder::Operator => storage.find_laid(&owner, &name),
        })
        .await
    }

    fn find_pushed(&self, account: &AccountId, name: &RepoName) -> io::Result<Option<GitDir>> {
        let expected = self.place_of(account, name);
        // Nothing here is a symbolic link: if one is, somebody else has put it there.
        let found = canonical(&expected)?.filter(|found| *found == expected);
        Ok(found.filter(|found| is_git_dir(found)).map(GitDir))
    }

    fn place_of(&self, account: &AccountId, name: &RepoName) -> PathBuf {
        self.pushed
            .join(account.as_str())
            .join(format!("{name}.git"))
    }

    fn find_laid(&self, owner: &RepoOwner, name: &RepoName) -> io::Result<Option<GitDir>> {
        let directory = self.operator.join(owner.as_str());
        for place in [
            directory.join(name.as_str()),
            directory.join(format!("{name}.git")),
        ] {
            for candidate in [place.join(".git"), place] {
                let found =
                    canonical(&candidate)?.filter(|found| found.starts_with(&self.operator));
                if let Some(found) = found.filter(|found| is_git_dir(found)) {
                    return Ok(Some(GitDir(found)));
                }
            }
        }
        Ok(None)
    }

    /// The repositories that the operator laid, sorted, beginning after the one named `after`.
    pub(crate) async fn laid(
        &self,
        after: Option<(String, String)>,
        most: usize,
    ) -> io::Result<Vec<(RepoOwner, RepoName)>> {
        let storage = self.clone();
        blocking(move || {
            let is_after = |(owner, name): &(RepoOwner, RepoName)| {
                after
                    .as_ref()
                    .is_none_or(|(o, n)| (owner.as_str(), name.as_str()) > (o.as_str(), n.as_str()))
            };
            let mut found = Vec::new();
            for (owner, name) in storage.laid_names()?.into_iter().filter(is_after) {
                if found.len() == most {
                    break;
                }
                if storage.find_laid(&owner, &name)?.is_some() {
                    found.push((owner, name));
                }
            }
            Ok(found)
        })
        .await
    }

    /// What could be repositories of the operator's, by their names alone.
    fn laid_names(&self) -> io::Result<BTreeSet<(RepoOwner, RepoName)>> {
        let mut names = BTreeSet::new();
        for owner in names_in(&self.operator)? {
            let Ok(owner) = RepoOwner::parse(&owner) else {
                continue;
            };
            if Holder::of(&owner) != Holder::Operator {
                continue;
            }
            for name in names_in(&self.operator.join(owner.as_str()))? {
                if let Ok(name) = RepoName::parse(name.strip_suffix(".git").unwrap_or(&name)) {
                    names.insert((owner.clone(), name));
                }
            }
        }
        Ok(names)
    }

    /// The repository of an account, made if it isn't there. Of two that make it at once, both get
    /// the same one.
    pub(crate) async fn create(
        &self,
        git: &Git,
        account: &AccountId,
        name: &RepoName,
    ) -> Result<GitDir, GitError> {
        let place = self.place_of(account, name);
        let made = self.init_at(git, &place).await;
        let (storage, account, name) = (self.clone(), account.clone(), name.clone());
        match blocking(move || storage.find_pushed(&account, &name)).await? {
            Some(repository) => Ok(repository),
            None => Err(made.err().unwrap_or_else(|| not_a_repository(&place))),
        }
    }

    /// An empty repository that nobody pushes to: what one that isn't there yet looks like.
    pub(crate) async fn empty(&self, git: &Git) -> Result<GitDir, GitError> {
        let place = self.pushed.join(".empty.git");
        self.init_at(git, &place).await?;
        if is_git_dir(&place) {
            Ok(GitDir(place))
        } else {
            Err(not_a_repository(&place))
        }
    }

    async fn init_at(&self, git: &Git, place: &Path) -> Result<(), GitError> {
        if is_git_dir(place) {
            return Ok(());
        }
        let Some(parent) = place.parent() else {
            return Err(not_a_repository(place));
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        let draft = parent.join(format!(".new-{}", common::random::token()));
        git.init(&draft).await?;
        let moved = std::fs::rename(&draft, place);
        if moved.is_err() {
            std::fs::remove_dir_all(&draft)?;
        }
        if is_git_dir(place) {
            Ok(())
        } else {
            moved.map_err(GitError::Run)
        }
    }

    /// Removes an account's repositories from the disk.
    pub(crate) async fn remove_account(&self, account: &AccountId) -> io::Result<()> {
        let place = self.pushed.join(account.as_str());
        blocking(move || match std::fs::remove_dir_all(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
        .await
    }
}

fn not_a_repository(place: &Path) -> GitError {
    GitError::Run(io::Error::other(format!(
        "{} is no Git repository",
        place.display()
    )))
}

/// The path without symbolic links; `None` if nothing is there.
fn canonical(path: &Path) -> io::Result<Option<PathBuf>> {
    match path.canonicalize() {
        Ok(path) => Ok(Some(path)),
        // A loop of links leads nowhere either.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// By what git itself knows a Git directory. The parts must be there themselves: a link among them
/// could lead out of the tree.
fn is_git_dir(path: &Path) -> bool {
    let is = |part: &str, test: fn(&std::fs::Metadata) -> bool| {
        path.join(part)
            .symlink_metadata()
            .is_ok_and(|metadata| test(&metadata))
    };
    is("HEAD", std::fs::Metadata::is_file)
        && is("objects", std::fs::Metadata::is_dir)
        && is("refs", std::fs::Metadata::is_dir)
}

fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .take(MOST_LISTED)
        .collect())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(io::Error::other)?
}
