//! `GET /v1/accounts/{account_id}/github/repositories`

use actix_web::web;
use chassis::auth::scope::ProjectsRead;
use chassis::auth::{AccountMember, Viewer};
use chassis::http::{ApiError, Query};
use common::page::PageQuery;
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use crate::State;
use crate::provider::Listed;

/// A repository that the account may build from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RepositoryBody {
    /// Which provider has it: `local` or `github`.
    provider: &'static str,
    /// Its owner, as a project's `github_data` names it.
    owner: String,
    /// Its name.
    repo: String,
    /// The branch that is built unless told; null while it has no commits.
    default_branch: Option<String>,
    /// When it was last pushed to; null for one that the operator laid.
    pushed_at: Option<Time>,
}

/// One page of repositories.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RepositoriesBody {
    repositories: Vec<RepositoryBody>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// The repositories that an account may use: those it has pushed, those that the operator laid for
/// everyone, and those that its installations of the GitHub App reach.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/github/repositories",
    tag = "Repositories",
    params(("account_id" = String, Path, description = "The account"), PageQuery),
    responses((status = 200, description = "The repositories, by owner and name", body = RepositoriesBody)),
)]
pub(crate) async fn list(
    member: AccountMember<Viewer, ProjectsRead>,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<RepositoriesBody>, ApiError> {
    let page = state
        .provider
        .list(&member.account_id, &page)
        .await?
        .map(body);
    Ok(web::Json(RepositoriesBody {
        repositories: page.items,
        next: page.next,
    }))
}

fn body(listed: Listed) -> RepositoryBody {
    RepositoryBody {
        provider: listed.provider,
        owner: listed.owner.to_string(),
        repo: listed.repo.to_string(),
        default_branch: listed.default_branch,
        pushed_at: listed.pushed_at,
    }
}
