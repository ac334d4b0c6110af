//! The routes of builds and roll-backs.

use actix_web::{HttpResponse, web};
use chassis::auth::scope::{BuildsRead, BuildsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::event::EnvironmentKind;
use common::id::{BuildId, EnvironmentId};
use common::page::PageQuery;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::git_ref::GitRef;
use super::view::BuildView;
use super::{Build, BuildError, rollback, store};
use crate::State;
use crate::answer::{Actor, after, environment_id};
use crate::paths::{BuildPath, EnvironmentPath, ProjectPath};
use crate::{environments, projects};

impl From<BuildError> for ApiError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::NotFound => Problem::not_found("build").into(),
            BuildError::NoProject => Problem::not_found("project").into(),
            BuildError::NoEnvironment => Problem::not_found("environment").into(),
            BuildError::IsPreview => environments::http::is_preview(),
            BuildError::Finished(state) => {
                let detail = format!("The build has ended already: it is `{state}`");
                Problem::conflict("build_finished", detail)
                    .with("state", state.as_str())
                    .into()
            }
            BuildError::NotSucceeded => Problem::conflict(
                "build_not_succeeded",
                "That build has no release to go back to",
            )
            .into(),
            BuildError::AlreadyLive => Problem::conflict(
                "already_live",
                "That build's release is the live one already",
            )
            .into(),
            BuildError::NoEarlier => Problem::conflict(
                "no_earlier_release",
                "The environment has no earlier release to go back to",
            )
            .into(),
            BuildError::Db(error) => error.into(),
        }
    }
}

/// What is to be built.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestBuild {
    /// The environment that the release is for.
    environment_id: String,
    /// A branch, tag or commit; the environment's branch unless told.
    #[serde(rename = "ref")]
    git_ref: Option<GitRef>,
}

/// What to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestRollback {
    /// An earlier build of the environment; the one before the live one unless told.
    build_id: Option<String>,
}

/// A build.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BuildBody {
    build: BuildView,
}

/// Builds, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BuildsBody {
    builds: Vec<BuildView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// Which builds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BuildsQuery {
    /// Those of this environment only.
    environment_id: Option<EnvironmentId>,
}

fn accepted(build: Build) -> HttpResponse {
    HttpResponse::Accepted().json(BuildBody {
        build: build.into(),
    })
}

/// Ask for a build
///
/// One build of an environment runs at a time; a newer one takes the place of one that still waits.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/projects/{project_id}/build", tag = "builds", params(ProjectPath), responses(
    (status = 202, description = "The build, queued", body = BuildBody),
    (status = 404, description = "The project has no such environment"),
    (status = 409, description = "`preview_environment`: it is a pull request's preview, which is rebuilt as such"),
))]
pub(crate) async fn request(
    member: AccountMember<Developer, BuildsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Json(body): Json<RequestBuild>,
) -> Result<HttpResponse, ApiError> {
    let environment_id = environment_id(&body.environment_id)?;
    let by = Some(member.user_id);
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let build = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(BuildError::NoProject)?;
            let environment =
                environments::store::find(db, &actor.account_id, &project.id, &environment_id)?
                    .ok_or(BuildError::NoEnvironment)?;
            // What a preview builds is its pull request's commit, and of a fork the approved one.
            if environment.kind != EnvironmentKind::Standard {
                return Err(BuildError::IsPreview);
            }
            let build = super::request(db, &project, &environment, body.git_ref, by, now)?;
            actor.record(db, "build.requested", build.id.as_str(), json!({}), now)?;
            Ok::<_, BuildError>(build)
        })
        .await?;
    tracing::info!(build.id = %build.id, environment.id = %build.environment_id, "a build was asked for");
    Ok(accepted(build))
}

/// Go back to an earlier release
///
/// A kept release runs again, with nothing built anew.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/rollback",
    tag = "builds", params(EnvironmentPath), responses(
        (status = 202, description = "The roll-back, queued", body = BuildBody),
        (status = 409, description = "`no_earlier_release`, `build_not_succeeded` or `already_live`"),
    ),
)]
pub(crate) async fn roll_back(
    member: AccountMember<Developer, BuildsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Json(body): Json<RequestRollback>,
) -> Result<HttpResponse, ApiError> {
    let wanted = body.build_id.map(|id| id.parse::<BuildId>()).transpose();
    let wanted = wanted.map_err(|_invalid: common::id::InvalidId| Problem::not_found("build"))?;
    let by = Some(member.user_id);
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let build = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(BuildError::NoProject)?;
            let environment = environments::store::find(
                db,
                &actor.account_id,
                &project.id,
                &path.environment_id,
            )?
            .ok_or(BuildError::NoEnvironment)?;
            let build = rollback::request(db, &project, &environment, wanted.as_ref(), by, now)?;
            actor.record(
                db,
                "build.rollback_requested",
                build.id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, BuildError>(build)
        })
        .await?;
    tracing::info!(build.id = %build.id, environment.id = %build.environment_id, "a roll-back was asked for");
    Ok(accepted(build))
}

/// List a project's builds
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}/builds", tag = "builds", params(ProjectPath, PageQuery, BuildsQuery), responses(
    (status = 200, description = "A page of builds", body = BuildsBody),
))]
pub(crate) async fn list(
    member: AccountMember<Viewer, BuildsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<BuildsQuery>,
) -> Result<web::Json<BuildsBody>, ApiError> {
    let cursor = after::<BuildId>(&page)?;
    let fetch = page.fetch();
    let rows = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(BuildError::NoProject)?;
            let environment = filter.environment_id.as_ref();
            Ok::<_, BuildError>(store::page(
                db,
                &project.id,
                environment,
                cursor.as_ref(),
                fetch,
            )?)
        })
        .await?;
    let page = page
        .cut(rows, |build| build.id.to_string())
        .map(BuildView::from);
    Ok(web::Json(BuildsBody {
        builds: page.items,
        next: page.next,
    }))
}

/// Look at a build
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/builds/{build_id}", tag = "builds", params(BuildPath), responses((status = 200, description = "The build", body = BuildBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Viewer, BuildsRead>,
    state: web::Data<State>,
    Path(path): Path<BuildPath>,
) -> Result<web::Json<BuildBody>, ApiError> {
    let build = state
        .db
        .read(move |db| {
            store::find(db, &member.account_id, &path.project_id, &path.build_id)?
                .ok_or(BuildError::NotFound)
        })
        .await?;
    Ok(web::Json(BuildBody {
        build: build.into(),
    }))
}

/// Ask a build to end
///
/// Asking again changes nothing. What was live before stays live.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/builds/{build_id}/cancel", tag = "builds", params(BuildPath), responses(
        (status = 202, description = "It will end", body = BuildBody),
        (status = 200, description = "It was cancelled before", body = BuildBody),
        (status = 409, description = "`build_finished`: it ended by itself"),
    ),
)]
pub(crate) async fn cancel(
    member: AccountMember<Developer, BuildsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<BuildPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let build = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(BuildError::NotFound)?;
            let build = store::find(db, &actor.account_id, &project.id, &path.build_id)?;
            let build = build.ok_or(BuildError::NotFound)?;
            let environment = environments::store::find_with_deleted(db, &build.environment_id)?;
            let environment = environment.ok_or(BuildError::NoEnvironment)?;
            let build = super::cancel(db, &project, &environment, build, now)?;
            actor.record(
                db,
                "build.cancel_requested",
                build.id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, BuildError>(build)
        })
        .await?;
    if build.state.is_final() {
        return Ok(HttpResponse::Ok().json(BuildBody {
            build: build.into(),
        }));
    }
    tracing::info!(build.id = %build.id, "a build was asked to end");
    Ok(accepted(build))
}
