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

impl RepositoryPushed {
    /// A branch as one account sees it: several may build from one repository.
    fn subject(&self) -> String {
        let account = self.account_id.as_ref().map_or("", AccountId::as_str);
        format!("{account}:{}/{}#{}", self.owner, self.repo, self.branch)
    }
}

/// A pull request, as GitHub showed it when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PullRequestState {
    /// The account that reaches the repository.
    pub account_id: AccountId,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// The pull request's number.
    pub number: i64,
    /// Whether it is open.
    pub open: bool,
    /// The branch that it is to go to.
    pub base_branch: String,
    /// The repository that it comes from, as `owner/name`; none if that is gone.
    pub head_repository: Option<String>,
    /// The branch that it comes from.
    pub head_branch: String,
    /// Its newest commit, in hex.
    pub commit: String,
    /// Whether it comes from another repository than the one that it is to.
    pub fork: bool,
    /// The login of whoever opened it.
    pub author: String,
}

impl PullRequestState {
    /// A pull request as one account sees it.
    fn subject(&self) -> String {
        let (account, owner, repo) = (&self.account_id, &self.owner, &self.repo);
        format!("{account}:{owner}/{repo}!{}", self.number)
    }
}

/// An installation of the GitHub App that accounts have proved theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstallationState {
    /// Its number at GitHub.
    pub installation_id: i64,
    /// The login of the person or organisation it is on.
    pub owner: String,
    /// The accounts whose it is.
    pub accounts: Vec<AccountId>,
    /// Whether nothing can be built from it at the moment.
    pub suspended: bool,
    /// Whether it has ended at GitHub.
    pub removed: bool,
}

/// Repositories at GitHub are called otherwise, or another owner's, and the account reaches them there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryMoved {
    /// The account whose projects may name them.
    pub account_id: AccountId,
    /// The owner's login before.
    pub from_owner: String,
    /// The repository's name before; none stands for all of the owner's, whose names stay.
    pub from_repo: Option<String>,
    /// The owner's login now.
    pub owner: String,
    /// The repository's name now.
    pub repo: Option<String>,
}

events! {
    /// What the github service tells.
    pub enum GithubEvent from "github" {
        /// A branch has a new commit.
        Push(RepositoryPushed) = "dev.slipway.github.push" by |push| push.subject();
        /// A pull request is open, changed or over.
        PullRequest(PullRequestState) = "dev.slipway.github.pull_request" by |pull| pull.subject();
        /// Repositories are called otherwise.
        RepositoryMoved(RepositoryMoved) = "dev.slipway.github.repository.moved"
            by |moved| format!("{}:{}/{}", moved.account_id, moved.from_owner, moved.from_repo.as_deref().unwrap_or("*"));
        /// Somebody has proved an installation an account's.
        InstallationCreated(InstallationState) = "dev.slipway.github.installation.created" by |installation| installation.installation_id;
        /// An installation was suspended, resumed or renamed, or is other accounts' now.
        InstallationChanged(InstallationState) = "dev.slipway.github.installation.changed" by |installation| installation.installation_id;
        /// An installation has ended.
        InstallationDeleted(InstallationState) = "dev.slipway.github.installation.deleted" by |installation| installation.installation_id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event as _;
    use crate::time::Clock;

    #[test]
    fn one_push_is_news_to_each_account_that_shares_the_repository() {
        let now = Clock::system().now();
        let subject = |account_id| {
            let push = RepositoryPushed {
                account_id,
                owner: "acme".to_owned(),
                repo: "shop".to_owned(),
                branch: "main".to_owned(),
                commit: None,
                pushed_by: None,
            };
            GithubEvent::Push(push).subject()
        };
        let account = AccountId::new(now);
        assert_eq!(
            subject(Some(account.clone())),
            format!("{account}:acme/shop#main")
        );
        assert_ne!(subject(Some(account)), subject(Some(AccountId::new(now))));
        assert_eq!(subject(None), ":acme/shop#main");
    }
}
