//! Where repositories come from.
//!
//! The rest of the service asks a [`Provider`] and doesn't know who answers: the repositories that
//! this service keeps itself come first, then those at GitHub.

pub(crate) mod github;
pub(crate) mod http;
mod local;

use chassis::calls::CallError;
use common::api::github::{Checkout, Repository};
use common::id::AccountId;
use common::names::{RepoName, RepoOwner};
use common::page::{Page, PageQuery};
use common::time::Time;

pub(crate) use github::Github;
pub(crate) use local::Local;

use crate::app::GithubError;
use crate::git::{GitError, RefName};
use crate::storage::Holder;

/// Why a repository, or a commit of it, can't be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// There is none, or none that the account may know of.
    #[error("there is no repository {owner}/{repo}")]
    NotFound {
        /// The owner that was asked for.
        owner: RepoOwner,
        /// The name that was asked for.
        repo: RepoName,
    },
    /// It has no commit yet.
    #[error("the repository has no commits")]
    Empty,
    /// Nothing there has this name.
    #[error("there is no branch, tag or commit `{name}`")]
    NoSuchRef {
        /// The name that was asked for.
        name: String,
    },
    /// More than one commit begins like this.
    #[error("`{name}` is the beginning of more than one commit")]
    Ambiguous {
        /// The abbreviation that was asked for.
        name: String,
    },
    /// No name was given, and of several branches none stands out.
    #[error("no branch of several is the default one")]
    NoDefault {
        /// Some of the branches.
        branches: Vec<String>,
    },
    /// None of the account's installations of the GitHub App reaches it, whether or not it exists.
    #[error("no installation of the account's reaches the repository")]
    NotInstalled,
    /// The installation that reaches it is suspended.
    #[error("the installation is suspended")]
    Suspended,
    /// GitHub failed.
    #[error("GitHub can't be asked for the repository")]
    Github(#[from] GithubError),
    /// Git failed.
    #[error("the repository can't be read")]
    Git(#[from] GitError),
    /// The disk failed.
    #[error("the repository can't be looked for")]
    Disk(#[from] std::io::Error),
    /// The database failed.
    #[error("the repositories can't be listed")]
    Db(#[from] diesel::result::Error),
    /// No token for the repository could be had.
    #[error("a token for the repository can't be had")]
    Token(#[source] Box<CallError>),
}

impl From<CallError> for SourceError {
    fn from(error: CallError) -> Self {
        Self::Token(Box::new(error))
    }
}

/// A repository in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Which provider has it.
    pub(crate) provider: &'static str,
    /// Its owner.
    pub(crate) owner: RepoOwner,
    /// Its name.
    pub(crate) repo: RepoName,
    /// The branch that is built unless told; none while it has no commits.
    pub(crate) default_branch: Option<String>,
    /// When it was last pushed to through the API.
    pub(crate) pushed_at: Option<Time>,
}

/// The sources of repositories.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    /// What this service keeps itself: laid by the operator, or pushed.
    pub(crate) local: Local,
    /// What the GitHub App reaches, if one is configured.
    pub(crate) github: Option<Github>,
}

impl Provider {
    /// GitHub, for a repository that isn't here. An account's own id is nobody's login there.
    fn elsewhere<T>(&self, owner: &RepoOwner, here: &Result<T, SourceError>) -> Option<&Github> {
        let missing = matches!(here, Err(SourceError::NotFound { .. }));
        let elsewhere = missing && Holder::of(owner) == Holder::Operator;
        self.github.as_ref().filter(|_| elsewhere)
    }

    /// The repository, if the account may use it.
    pub(crate) async fn resolve(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<Repository, SourceError> {
        let here = self.local.resolve(account, owner, repo).await;
        match self.elsewhere(owner, &here) {
            Some(github) => github.resolve(account, owner, repo).await,
            None => here,
        }
    }

    /// Where and how to fetch the commit that a name stands for now.
    pub(crate) async fn checkout(
        &self,
        account: &AccountId,
        (owner, repo): (&RepoOwner, &RepoName),
        name: Option<&RefName>,
    ) -> Result<Checkout, SourceError> {
        let here = self.local.checkout(account, (owner, repo), name).await;
        match self.elsewhere(owner, &here) {
            Some(github) => github.checkout(account, (owner, repo), name).await,
            None => here,
        }
    }

    /// The repositories that an account may use, by owner and name.
    pub(crate) async fn list(
        &self,
        account: &AccountId,
        page: &PageQuery,
    ) -> Result<Page<Listed>, SourceError> {
        let here = self.local.list(account, page).await?;
        let Some(github) = &self.github else {
            return Ok(here);
        };
        let after = page
            .after
            .as_deref()
            .and_then(|after| after.split_once('/'));
        let is_behind = |listed: &Listed| {
            after.is_none_or(|after| (listed.owner.as_str(), listed.repo.as_str()) > after)
        };
        let elsewhere = github.list(account).await?;
        let is_more = here.next.is_some();
        let mut all = here.items;
        // What is here is built rather than what is called the same elsewhere.
        let hidden = |listed: &Listed| {
            let same =
                |known: &Listed| (&known.owner, &known.repo) == (&listed.owner, &listed.repo);
            all.iter().any(same)
        };
        let elsewhere: Vec<_> = elsewhere
            .into_iter()
            .filter(|listed| is_behind(listed) && !hidden(listed))
            .collect();
        all.extend(elsewhere);
        all.sort_by(|a, b| (&a.owner, &a.repo).cmp(&(&b.owner, &b.repo)));
        let cursor = |listed: &Listed| format!("{}/{}", listed.owner, listed.repo);
        let mut page = page.cut(all, cursor);
        if is_more && page.next.is_none() {
            page.next = page.items.last().map(cursor);
        }
        Ok(page)
    }
}
