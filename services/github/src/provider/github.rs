//! The repositories at GitHub that an account's installations of the App reach.

use chassis::db::Database;
use common::api::github::{Checkout, Repository};
use common::id::AccountId;
use common::names::{RepoName, RepoOwner};

use super::{Listed, SourceError};
use crate::app::{App, Commit, GithubError, Installation, Purpose, RepositoryInfo};
use crate::git::RefName;
use crate::installations;

/// What the provider is called in answers.
pub(crate) const NAME: &str = "github";
/// The name under which GitHub takes an installation's token ("Authenticating as a GitHub App installation").
const TOKEN_USER: &str = "x-access-token";

/// The provider; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Github {
    pub(crate) db: Database,
    pub(crate) app: App,
}

impl Github {
    /// The repository and the installation that reaches it, if that is the account's. GitHub is
    /// asked each time: what it says holds even where no delivery has come to tell.
    pub(crate) async fn find(
        &self,
        account: &AccountId,
        owner: &str,
        repo: &str,
    ) -> Result<(Installation, RepositoryInfo), SourceError> {
        let own = self.installations(account).await?;
        if own.is_empty() {
            return Err(SourceError::NotInstalled);
        }
        let installation = self
            .app
            .installation_of(owner, repo)
            .await?
            .filter(|found| own.iter().any(|known| known.id == found.id))
            .ok_or(SourceError::NotInstalled)?;
        if installation.suspended_at.is_some() {
            return Err(SourceError::Suspended);
        }
        let found = self.app.repository(installation.id, owner, repo).await?;
        let found = found.ok_or(SourceError::NotInstalled)?;
        Ok((installation, found))
    }

    /// The account's installations, as they were when last heard of.
    pub(crate) async fn installations(
        &self,
        account: &AccountId,
    ) -> Result<Vec<installations::Installation>, SourceError> {
        let account = account.clone();
        let own = self.db.read(move |db| {
            if crate::accounts::is_closed(db, &account)? {
                return Ok(Vec::new());
            }
            installations::store::of_account(db, &account)
        });
        Ok(own.await?)
    }

    pub(super) async fn resolve(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<Repository, SourceError> {
        let (_, found) = self.find(account, owner.as_str(), repo.as_str()).await?;
        Ok(Repository {
            provider: NAME.to_owned(),
            owner: found.owner.login,
            repo: found.name,
            default_branch: found.default_branch,
        })
    }

    pub(super) async fn checkout(
        &self,
        account: &AccountId,
        (owner, repo): (&RepoOwner, &RepoName),
        name: Option<&RefName>,
    ) -> Result<Checkout, SourceError> {
        let (installation, found) = self.find(account, owner.as_str(), repo.as_str()).await?;
        let (commit, branch) = self.commit(installation.id, &found, name).await?;
        let purpose = Purpose::Checkout(found.id);
        let token = self.app.token(installation.id, purpose).await?;
        Ok(Checkout {
            // By the name that it has now: git is not to follow a redirect with a token.
            url: self.app.clone_url(&found.owner.login, &found.name).into(),
            user: Some(TOKEN_USER.to_owned()),
            token: token.secret,
            expires_at: token.expires_at,
            commit,
            branch,
        })
    }

    async fn commit(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        name: Option<&RefName>,
    ) -> Result<(String, Option<String>), SourceError> {
        let Some(name) = name
            .map(RefName::as_str)
            .or(repository.default_branch.as_deref())
        else {
            return Err(SourceError::Empty);
        };
        for (path, named) in candidates(name) {
            match self.app.commit(installation, repository, &path).await? {
                Commit::Found(commit) => return Ok((commit, named)),
                Commit::NoCommits => return Err(SourceError::Empty),
                Commit::Missing => {}
            }
        }
        Err(SourceError::NoSuchRef {
            name: name.to_owned(),
        })
    }

    /// All that the account may use, by owner and name.
    pub(super) async fn list(&self, account: &AccountId) -> Result<Vec<Listed>, SourceError> {
        let mut all = Vec::new();
        for installation in self.installations(account).await? {
            if installation.suspended {
                continue;
            }
            let found = match self.app.repositories(installation.id).await {
                // It ended, or was suspended, and no delivery has told yet.
                Err(GithubError::Status(403 | 404)) => continue,
                found => found?,
            };
            all.extend(found.into_iter().filter_map(listed));
        }
        all.sort_by(|a, b| (&a.owner, &a.repo).cmp(&(&b.owner, &b.repo)));
        Ok(all)
    }
}

/// A repository that projects can name.
fn listed(found: RepositoryInfo) -> Option<Listed> {
    Some(Listed {
        provider: NAME,
        owner: RepoOwner::parse(&found.owner.login).ok()?,
        repo: RepoName::parse(&found.name).ok()?,
        default_branch: found.default_branch,
        pushed_at: None,
    })
}

/// What to ask GitHub for, in order, each with the branch or tag that it would be.
fn candidates(name: &str) -> Vec<(String, Option<String>)> {
    let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && matches!(name.len(), 40 | 64) {
        return vec![(name.to_owned(), None)];
    }
    let named = |kind: &str, name: &str| (format!("{kind}/{name}"), Some(name.to_owned()));
    let mut candidates = vec![named("heads", name), named("tags", name)];
    for kind in ["heads", "tags"] {
        if let Some(rest) = name.strip_prefix(&format!("refs/{kind}/")) {
            candidates.push(named(kind, rest));
        }
    }
    if is_hex && name.len() >= 4 {
        candidates.push((name.to_owned(), None));
    }
    candidates
}
