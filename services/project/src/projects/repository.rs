//! Whether an account may use a repository: github knows.

use chassis::calls::{CallError, Calls};
use chassis::http::ApiError;
use common::api::github::{Repository, ResolveRepository};
use common::id::{AccountId, UserId};
use common::names::{RepoName, RepoOwner};
use common::problem::Problem;

/// The repository by the name that it has now. Refuses one that the account may not use, which looks
/// like one that isn't there.
pub(crate) async fn check(
    calls: &Calls,
    (account, user): (&AccountId, &UserId),
    owner: &RepoOwner,
    repo: &RepoName,
) -> Result<(RepoOwner, RepoName), ApiError> {
    let question = ResolveRepository {
        account_id: account.clone(),
        owner: owner.to_string(),
        repo: repo.to_string(),
        requested_by: Some(user.clone()),
    };
    match calls
        .post::<_, Repository>("github", "/internal/repositories/resolve", &question)
        .await
    {
        Ok(found) => RepoOwner::parse(&found.owner)
            .ok()
            .zip(RepoName::parse(&found.repo).ok())
            .ok_or_else(|| unknown(owner, repo).into()),
        Err(error) if error.is_not_found() => Err(unknown(owner, repo).into()),
        // What github says of the repository is meant for the caller: that the App isn't installed there, say.
        Err(CallError::Problem { problem, .. }) if problem.status == 422 => Err(problem.into()),
        Err(error) => Err(error.into()),
    }
}

fn unknown(owner: &RepoOwner, repo: &RepoName) -> Problem {
    Problem::unprocessable(
        "repository_not_found",
        format!("There is no repository `{owner}/{repo}` for this account"),
    )
    .with_field(
        "github_data",
        "names no repository that the account may use",
    )
}
