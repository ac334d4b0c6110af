//! The repositories that this service keeps itself.

use chassis::calls::Calls;
use chassis::db::Database;
use common::api::auth::{SignedToken, TokenRequest};
use common::api::github::{Checkout, Repository};
use common::id::AccountId;
use common::names::{RepoName, RepoOwner};
use common::page::{Page, PageQuery};
use common::scope::ScopeSet;
use common::token::{TokenKind, audience};

use super::{Listed, SourceError};
use crate::git::{Branches, Found, Git, Named, RefName};
use crate::repositories;
use crate::storage::{GitDir, Holder, Storage};

/// What the provider is called in answers.
const NAME: &str = "local";
/// How long a token for one repository lives, in seconds: long enough for a large and slow clone.
const TOKEN_LIFETIME: i64 = 15 * 60;
/// How many branches are named where one has to be chosen.
const BRANCHES_NAMED: usize = 10;

/// The provider; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) db: Database,
    pub(crate) git: Git,
    pub(crate) storage: Storage,
    pub(crate) calls: Calls,
    /// This service's address, as other services reach it: `http://host:port`.
    pub(crate) address: String,
}

impl Local {
    async fn find(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<GitDir, SourceError> {
        let visible = match Holder::of(owner) {
            Holder::Account(holder) => holder == *account && !self.is_closed(account).await?,
            Holder::Operator => true,
        };
        let found = if visible {
            self.storage.find(owner, repo).await?
        } else {
            None
        };
        found.ok_or_else(|| SourceError::NotFound {
            owner: owner.clone(),
            repo: repo.clone(),
        })
    }

    async fn is_closed(&self, account: &AccountId) -> Result<bool, SourceError> {
        let account = account.clone();
        Ok(self
            .db
            .read(move |db| crate::accounts::is_closed(db, &account))
            .await?)
    }

    pub(super) async fn resolve(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<Repository, SourceError> {
        let repository = self.find(account, owner, repo).await?;
        let branches = self.git.branches(&repository).await?;
        Ok(Repository {
            provider: NAME.to_owned(),
            owner: owner.to_string(),
            repo: repo.to_string(),
            default_branch: branches.default_branch(None).map(str::to_owned),
        })
    }

    pub(super) async fn checkout(
        &self,
        account: &AccountId,
        (owner, repo): (&RepoOwner, &RepoName),
        name: Option<&RefName>,
    ) -> Result<Checkout, SourceError> {
        let repository = self.find(account, owner, repo).await?;
        let (commit, branch) = match name {
            Some(name) => self.named(&repository, name).await?,
            None => default_commit(&self.git.branches(&repository).await?)?,
        };
        let token = self.token(account, owner, repo).await?;
        Ok(Checkout {
            url: format!("{}/git/{owner}/{repo}.git", self.address),
            user: None,
            token: token.token,
            expires_at: token.expires_at,
            commit,
            branch,
        })
    }

    async fn named(
        &self,
        repository: &GitDir,
        name: &RefName,
    ) -> Result<(String, Option<String>), SourceError> {
        match self.git.find(repository, name).await? {
            Found::Commit(commit, Named::Branch(name) | Named::Tag(name)) => {
                Ok((commit, Some(name)))
            }
            Found::Commit(commit, Named::Commit) => Ok((commit, None)),
            Found::Ambiguous => Err(SourceError::Ambiguous {
                name: name.as_str().to_owned(),
            }),
            Found::Nothing if self.git.is_empty(repository).await? => Err(SourceError::Empty),
            Found::Nothing => Err(SourceError::NoSuchRef {
                name: name.as_str().to_owned(),
            }),
        }
    }

    /// A token that opens this one repository for reading, and nothing else.
    async fn token(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<SignedToken, SourceError> {
        let request = TokenRequest {
            kind: TokenKind::Repository,
            sub: account.to_string(),
            audience: audience::repository(owner.as_str(), repo.as_str()),
            lifetime: TOKEN_LIFETIME,
            jti: None,
            scope: ScopeSet::none(),
            namespace: None,
            identity_id: None,
            actor_type: None,
            account_id: None,
            extra: serde_json::Map::new(),
        };
        Ok(self
            .calls
            .post("auth", "/internal/tokens", &request)
            .await?)
    }

    /// One order for both kinds: an account's own are all of one owner, so they stand together
    /// among the owners of the operator's.
    pub(super) async fn list(
        &self,
        account: &AccountId,
        page: &PageQuery,
    ) -> Result<Page<Listed>, SourceError> {
        let after = page
            .after
            .as_deref()
            .and_then(|after| after.split_once('/'));
        let after = after.map(|(owner, name)| (owner.to_owned(), name.to_owned()));
        let most = page.limit() + 1;
        let laid = self.storage.laid(after.clone(), most).await?;
        let (before, behind): (Vec<_>, Vec<_>) = laid
            .into_iter()
            .partition(|(owner, _)| owner.as_str() < account.as_str());
        let laid = |(owner, repo)| Listed {
            provider: NAME,
            owner,
            repo,
            default_branch: None,
            pushed_at: None,
        };
        let mut all: Vec<_> = before.into_iter().map(laid).collect();
        all.extend(self.own(account, after, page.fetch()).await?);
        all.extend(behind.into_iter().map(laid));
        let mut page = page.cut(all, |listed| format!("{}/{}", listed.owner, listed.repo));
        for listed in page
            .items
            .iter_mut()
            .filter(|listed| listed.pushed_at.is_none())
        {
            listed.default_branch = self
                .resolve(account, &listed.owner, &listed.repo)
                .await?
                .default_branch;
        }
        Ok(page)
    }

    async fn own(
        &self,
        account: &AccountId,
        after: Option<(String, String)>,
        fetch: i64,
    ) -> Result<Vec<Listed>, SourceError> {
        let after = match after {
            Some((owner, _)) if owner.as_str() > account.as_str() => return Ok(Vec::new()),
            Some((owner, name)) if owner == account.as_str() => name,
            _ => String::new(),
        };
        let Ok(owner) = RepoOwner::parse(account.as_str()) else {
            return Ok(Vec::new());
        };
        let account = account.clone();
        let rows = self
            .db
            .read(move |db| repositories::page(db, &account, &after, fetch))
            .await?;
        let listed = |row: repositories::Row| Listed {
            provider: NAME,
            owner: owner.clone(),
            repo: row.name,
            default_branch: row.default_branch,
            pushed_at: row.pushed_at,
        };
        Ok(rows.into_iter().map(listed).collect())
    }
}

/// The commit that is built unless told.
fn default_commit(branches: &Branches) -> Result<(String, Option<String>), SourceError> {
    if let Some((branch, commit)) = branches
        .default_branch(None)
        .and_then(|name| branches.commits.get_key_value(name))
    {
        return Ok((commit.clone(), Some(branch.clone())));
    }
    if branches.commits.is_empty() {
        return Err(SourceError::Empty);
    }
    Err(SourceError::NoDefault {
        branches: branches
            .commits
            .keys()
            .take(BRANCHES_NAMED)
            .cloned()
            .collect(),
    })
}
