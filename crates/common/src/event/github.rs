//! What the github service tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::id::{AccountId, UserId};

/// Commits came to a branch of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryPushed {
    /// The account whose repository it is; none where the operator laid it.
    pub account_id: Option<AccountId>,
    /// The repository's owner, as projects name it.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The branch's new commit, in hex; none if the branch was deleted.
    pub commit: Option<String>,
    /// Who pushed.
    pub pushed_by: Option<UserId>,
}

events! {
    /// What the github service tells.
    pub enum GithubEvent from "github" {
        /// A branch has a new commit.
        Push(RepositoryPushed) = "dev.slipway.github.push" by |push| format!("{}/{}#{}", push.owner, push.repo, push.branch);
    }
}
