//! The routes of environments.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, if_match};
use common::event::EnvironmentKind;
use common::id::EnvironmentId;
use common::names::EnvironmentName;
use common::page::PageQuery;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::rest::SleepChange;
use super::view::EnvironmentView;
use super::{BranchChange, Change, Environment, EnvironmentError, NewEnvironment, store};
use crate::State;
use crate::answer::{Actor, Deleted, after, invalid};
use crate::builds::git_ref::GitRef;
use crate::paths::{EnvironmentPath, ProjectPath};
use crate::{etag, projects};

impl From<EnvironmentError> for ApiError {
    fn from(error: EnvironmentError) -> Self {
        match error {
            EnvironmentError::NotFound => Problem::not_found("environment").into(),
            EnvironmentError::NoProject => Problem::not_found("project").into(),
            EnvironmentError::NameTaken(name) => Problem::conflict(
                "environment_exists",
                format!("The project has an environment `{name}` already"),
            )
            .into(),
            EnvironmentError::NoLabel => Self::internal(error),
            EnvironmentError::IsPreview => is_preview(),
            EnvironmentError::Stale => etag::stale().into(),
            EnvironmentError::Db(error) => error.into(),
        }
    }
}

/// That an environment is a preview, which is built and removed as one.
pub(crate) fn is_preview() -> ApiError {
    Problem::conflict(
        "preview_environment",
        "The environment is a pull request's preview: approve, rebuild or remove it by the project's `/previews`",
    )
    .into()
}

/// A new environment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEnvironment {
    name: EnvironmentName,
    /// A database of its own; none unless told.
    #[serde(default)]
    database: bool,
    /// The branch that its builds take unless told; the repository's default unless set.
    branch: Option<GitRef>,
}

/// What of an environment is to be another; what isn't given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeEnvironment {
    /// Whether it has a database of its own, from its next release on.
    database: Option<bool>,
    /// `null` goes back to the repository's default branch.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    branch: BranchChange,
    /// After how many seconds without a request its app is put to sleep, from 60 on; `null` is never.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    sleep_after: SleepChange,
    /// How many instances of its app run: 1 to `apps.max_instances`.
    instances: Option<u32>,
    /// Whether requests are answered with a page that says so, instead of by its app.
    maintenance: Option<bool>,
}

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnvironmentBody {
    environment: EnvironmentView,
}

/// Environments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnvironmentsBody {
    environments: Vec<EnvironmentView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

fn show(
    state: &State,
    mut response: HttpResponseBuilder,
    environment: Environment,
) -> HttpResponse {
    response.insert_header((ETAG, etag::tag(environment.version)));
    response.json(EnvironmentBody {
        environment: EnvironmentView::new(environment, &state.urls),
    })
}

/// Make an environment
#[utoipa::path(post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments", tag = "environments", params(ProjectPath), responses(
    (status = 201, description = "The environment", body = EnvironmentBody),
    (status = 409, description = "`environment_exists`: the project has one of this name"),
))]
pub(crate) async fn create(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Json(body): Json<CreateEnvironment>,
) -> Result<HttpResponse, ApiError> {
    let new = NewEnvironment {
        name: body.name,
        kind: EnvironmentKind::Standard,
        database: body.database,
        branch: body.branch,
        sleep_after: None,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let environment = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?;
            let project = project.ok_or(EnvironmentError::NoProject)?;
            let environment = super::create(db, &project, new, now)?;
            actor.record(
                db,
                "environment.created",
                environment.id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, EnvironmentError>(environment)
        })
        .await?;
    tracing::info!(environment.id = %environment.id, environment.label = environment.label, "an environment was made");
    Ok(show(&state, HttpResponse::Created(), environment))
}

/// List a project's environments
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments", tag = "environments", params(ProjectPath, PageQuery), responses(
    (status = 200, description = "A page of environments", body = EnvironmentsBody),
))]
pub(crate) async fn list(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<EnvironmentsBody>, ApiError> {
    let cursor = after::<EnvironmentId>(&page)?;
    let fetch = page.fetch();
    let rows = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(EnvironmentError::NoProject)?;
            Ok::<_, EnvironmentError>(store::page(db, &project.id, cursor.as_ref(), fetch)?)
        })
        .await?;
    let page = page
        .cut(rows, |environment| environment.id.to_string())
        .map(|environment| EnvironmentView::new(environment, &state.urls));
    Ok(web::Json(EnvironmentsBody {
        environments: page.items,
        next: page.next,
    }))
}

/// Look at an environment
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}",
    tag = "environments", params(EnvironmentPath), responses((status = 200, description = "The environment, with its version as `ETag`", body = EnvironmentBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<HttpResponse, ApiError> {
    let environment = state
        .db
        .read(move |db| {
            let found = store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            found.ok_or(EnvironmentError::NotFound)
        })
        .await?;
    Ok(show(&state, HttpResponse::Ok(), environment))
}

/// Change an environment
///
/// With `If-Match`, only if it is still in that version.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}",
    tag = "environments", params(EnvironmentPath), responses(
        (status = 200, description = "The environment as it is now", body = EnvironmentBody),
        (status = 412, description = "It was changed in the meantime"),
    ),
)]
pub(crate) async fn change(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    request: HttpRequest,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Json(body): Json<ChangeEnvironment>,
) -> Result<HttpResponse, ApiError> {
    let expected = if_match(&request)?;
    let most = state.max_instances;
    if body
        .instances
        .is_some_and(|count| !(1..=most).contains(&count))
    {
        return Err(invalid("instances", format!("must be 1 to {most}")));
    }
    let wanted = Change {
        database: body.database,
        branch: body.branch,
        sleep_after: body.sleep_after,
        instances: body.instances,
        maintenance: body.maintenance,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let environment = state
        .db
        .write(move |db| {
            let environment = super::locked(db, &actor.account_id, &path)?;
            let environment = super::change(db, environment, wanted, expected, now)?;
            actor.record(
                db,
                "environment.updated",
                environment.id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, EnvironmentError>(environment)
        })
        .await?;
    Ok(show(&state, HttpResponse::Ok(), environment))
}

/// Delete an environment
///
/// It stops at once; its name under the apps' domain is never given to another.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}",
    tag = "environments", params(EnvironmentPath), responses(
        (status = 200, description = "It is deleted", body = Deleted),
        (status = 409, description = "`preview_environment`: it is a pull request's preview, and removed as such"),
    ),
)]
pub(crate) async fn delete(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let id = path.environment_id.clone();
    state
        .db
        .write(move |db| {
            let environment = super::locked(db, &actor.account_id, &path)?;
            if environment.kind != EnvironmentKind::Standard {
                return Err(EnvironmentError::IsPreview);
            }
            super::delete(db, environment, now)?;
            actor.record(
                db,
                "environment.deleted",
                path.environment_id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, EnvironmentError>(())
        })
        .await?;
    tracing::info!(environment.id = %id, "an environment was deleted");
    Ok(web::Json(Deleted::new("environment", id)))
}
