//! Where repositories come from.
//!
//! The rest of the service asks a [`Provider`] and doesn't know which one answers. Today there is
//! one: the repositories that this service keeps itself.

pub(crate) mod http;
mod local;

use chassis::calls::CallError;
use common::api::github::{Checkout, Repository};
use common::id::AccountId;
use common::names::{RepoName, RepoOwner};
use common::page::{Page, PageQuery};
use common::time::Time;

pub(crate) use local::Local;

use crate::git::{GitError, RefName};

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

/// A source of repositories.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// What this service keeps itself: laid by the operator, or pushed.
    Local(Local),
}

impl Provider {
    /// The repository, if the account may use it.
    pub(crate) async fn resolve(
        &self,
        account: &AccountId,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<Repository, SourceError> {
        match self {
            Self::Local(local) => local.resolve(account, owner, repo).await,
        }
    }

    /// Where and how to fetch the commit that a name stands for now.
    pub(crate) async fn checkout(
        &self,
        account: &AccountId,
        (owner, repo): (&RepoOwner, &RepoName),
        name: Option<&RefName>,
    ) -> Result<Checkout, SourceError> {
        match self {
            Self::Local(local) => local.checkout(account, (owner, repo), name).await,
        }
    }

    /// The repositories that an account may use, by owner and name.
    pub(crate) async fn list(
        &self,
        account: &AccountId,
        page: &PageQuery,
    ) -> Result<Page<Listed>, SourceError> {
        match self {
            Self::Local(local) => local.list(account, page).await,
        }
    }
}
