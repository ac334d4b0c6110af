//! The private routes by which project and provisioner use repositories.

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, Json};
use common::api::github::{Checkout, CheckoutRequest, Repository, ResolveRepository};
use common::names::{RepoName, RepoOwner};
use common::problem::Problem;

use super::SourceError;
use crate::State;
use crate::git::RefName;

/// The services that may ask.
const CALLERS: [&str; 2] = ["project", "provisioner"];

/// `POST /internal/repositories/resolve`
pub(crate) async fn resolve(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(body): Json<ResolveRepository>,
) -> Result<web::Json<Repository>, ApiError> {
    caller.require(&CALLERS)?;
    let (owner, repo) = names(&body.owner, &body.repo)?;
    let found = state.provider.resolve(&body.account_id, &owner, &repo);
    match found.await {
        Ok(found) => Ok(web::Json(found)),
        Err(SourceError::NotInstalled) => Err(not_installed(&state, &body).await),
        Err(error) => Err(error.into()),
    }
}

/// That the App isn't installed there, with the link that installs it for whoever asked.
async fn not_installed(state: &State, body: &ResolveRepository) -> ApiError {
    let problem = ApiError::from(SourceError::NotInstalled);
    let Some(user) = &body.requested_by else {
        return problem;
    };
    match state.install_url(&body.account_id, user).await {
        Ok(url) => problem.map_problem(|problem| problem.with("install_url", url.to_string())),
        Err(error) => {
            // The refusal holds without the link.
            tracing::warn!(error = %error, "the link that installs the App can't be made");
            problem
        }
    }
}

/// `POST /internal/repositories/checkout`
pub(crate) async fn checkout(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(body): Json<CheckoutRequest>,
) -> Result<web::Json<Checkout>, ApiError> {
    caller.require(&CALLERS)?;
    let (owner, repo) = names(&body.owner, &body.repo)?;
    let name = body
        .git_ref
        .as_deref()
        .filter(|name| !name.is_empty() && *name != "HEAD");
    let name = name
        .map(RefName::parse)
        .transpose()
        .map_err(|invalid| ApiError::from(Problem::invalid_field("git_ref", invalid)))?;
    Ok(web::Json(
        state
            .provider
            .checkout(&body.account_id, (&owner, &repo), name.as_ref())
            .await?,
    ))
}

fn names(owner: &str, repo: &str) -> Result<(RepoOwner, RepoName), ApiError> {
    let owner =
        RepoOwner::parse(owner).map_err(|invalid| Problem::invalid_field("owner", invalid))?;
    let repo = RepoName::parse(repo).map_err(|invalid| Problem::invalid_field("repo", invalid))?;
    Ok((owner, repo))
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::NotFound { owner, repo } => {
                Problem::new(404, "repository_not_found", not_found(&owner, &repo)).into()
            }
            SourceError::Empty => Problem::unprocessable(
                "repository_empty",
                "The repository has no commits yet: push a branch first",
            )
            .into(),
            SourceError::NoSuchRef { name } => Problem::unprocessable(
                "ref_not_found",
                format!("The repository has no branch, tag or commit `{name}`"),
            )
            .into(),
            SourceError::Ambiguous { name } => Problem::unprocessable(
                "ref_not_found",
                format!("`{name}` is the beginning of more than one commit: give more of it"),
            )
            .into(),
            SourceError::NoDefault { branches } => Problem::unprocessable(
                "ref_not_found",
                format!(
                    "The repository's HEAD names no branch; say which one to build: {}",
                    branches.join(", ")
                ),
            )
            .into(),
            SourceError::NotInstalled => Problem::unprocessable(
                "github_app_not_installed",
                "The GitHub App isn't installed on this repository for this account, or there is no such repository",
            )
            .into(),
            SourceError::Suspended => Problem::unprocessable(
                "github_app_suspended",
                "The installation of the GitHub App is suspended: whoever suspended it at GitHub can resume it",
            )
            .into(),
            SourceError::Github(error) => error.into(),
            SourceError::Git(error) => Self::internal(error),
            SourceError::Disk(error) => Self::internal(error),
            SourceError::Db(error) => error.into(),
            SourceError::Token(error) => (*error).into(),
        }
    }
}

fn not_found(owner: &RepoOwner, repo: &RepoName) -> String {
    format!(
        "There is no repository {owner}/{repo} that this account may use. Push one to \
         /git/<account id>/<repository>.git (its owner is the account's id), or let the operator lay it \
         under repos/{owner}/{repo} in the data directory."
    )
}
