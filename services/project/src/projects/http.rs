//! The routes of projects.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::auth::scope::{ProjectsRead, ProjectsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, if_match};
use common::id::ProjectId;
use common::names::{DisplayName, RepoName, RepoOwner};
use common::page::PageQuery;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::ProjectView;
use super::{Change, NewProject, Project, ProjectError, repository, store};
use crate::State;
use crate::answer::{Actor, Deleted, after};
use crate::environments::{self, Environment};
use crate::paths::{AccountPath, ProjectPath};
use crate::{etag, previews};

impl From<ProjectError> for ApiError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::NotFound => Problem::not_found("project").into(),
            ProjectError::AccountClosed => Problem::not_found("account").into(),
            ProjectError::Stale => etag::stale().into(),
            ProjectError::Environment(error) => error.into(),
            ProjectError::Db(error) => error.into(),
        }
    }
}

/// A repository, as a caller names it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GithubData {
    /// Its owner.
    owner: RepoOwner,
    /// Its name.
    repo: RepoName,
}

/// What a new project's production environment is to have.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductionOptions {
    /// A database of its own; none unless told.
    #[serde(default)]
    database: bool,
}

/// A new project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateProject {
    name: DisplayName,
    github_data: GithubData,
    /// What the `production` environment, which is made along with it, is to have.
    #[serde(default)]
    environment: ProductionOptions,
}

/// What of a project is to be another; what isn't given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeProject {
    name: Option<DisplayName>,
    github_data: Option<GithubData>,
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectBody {
    project: ProjectView,
}

/// Projects, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectsBody {
    projects: Vec<ProjectView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

fn show(
    state: &State,
    mut response: actix_web::HttpResponseBuilder,
    found: (Project, Vec<Environment>),
) -> HttpResponse {
    let (project, environments) = found;
    let version = project.version;
    let project = ProjectView::new(project, &environments, &state.urls);
    response
        .insert_header((ETAG, etag::tag(version)))
        .json(ProjectBody { project })
}

/// Make a project
///
/// The repository must be one that the account may use. The environment `production` is made with it.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/projects", tag = "projects", params(AccountPath), responses(
    (status = 201, description = "The project", body = ProjectBody),
    (status = 422, description = "`repository_not_found`, `github_app_not_installed`, or a field is wrong"),
))]
pub(crate) async fn create(
    member: AccountMember<Developer, ProjectsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    _path: Path<AccountPath>,
    Json(body): Json<CreateProject>,
) -> Result<HttpResponse, ApiError> {
    let GithubData { owner, repo } = body.github_data;
    let caller = (&member.account_id, &member.user_id);
    let (owner, repo) = repository::check(&state.calls, caller, &owner, &repo).await?;
    let new = NewProject {
        account_id: member.account_id.clone(),
        name: body.name,
        repo_owner: owner,
        repo_name: repo,
        created_by: Some(member.user_id),
        database: body.environment.database,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let (project, production) = state
        .db
        .write(move |db| {
            let (project, production) = super::create(db, new, now)?;
            actor.record(
                db,
                "project.created",
                project.id.as_str(),
                json!({ "source": project.source() }),
                now,
            )?;
            Ok::<_, ProjectError>((project, production))
        })
        .await?;
    tracing::info!(project.id = %project.id, environment.label = production.label, "a project was made");
    Ok(show(
        &state,
        HttpResponse::Created(),
        (project, vec![production]),
    ))
}

/// List an account's projects
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects", tag = "projects", params(AccountPath, PageQuery), responses(
    (status = 200, description = "A page of projects", body = ProjectsBody),
))]
pub(crate) async fn list(
    member: AccountMember<Viewer, ProjectsRead>,
    state: web::Data<State>,
    _path: Path<AccountPath>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<ProjectsBody>, ApiError> {
    let cursor = after::<ProjectId>(&page)?;
    let fetch = page.fetch();
    let (rows, environments) = state
        .db
        .read(move |db| {
            let rows = store::page(db, &member.account_id, cursor.as_ref(), fetch)?;
            let ids: Vec<_> = rows.iter().map(|project| &project.id).collect();
            let environments = environments::store::of_projects(db, &ids)?;
            Ok::<_, ProjectError>((rows, environments))
        })
        .await?;
    let page = page
        .cut(rows, |project| project.id.to_string())
        .map(|project| ProjectView::new(project, &environments, &state.urls));
    Ok(web::Json(ProjectsBody {
        projects: page.items,
        next: page.next,
    }))
}

/// Look at a project
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}", tag = "projects", params(ProjectPath), responses(
    (status = 200, description = "The project, with its version as `ETag`", body = ProjectBody),
))]
pub(crate) async fn get(
    member: AccountMember<Viewer, ProjectsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<HttpResponse, ApiError> {
    let found = state
        .db
        .read(move |db| {
            let project = store::find(db, &member.account_id, &path.project_id)?
                .ok_or(ProjectError::NotFound)?;
            let environments = environments::store::of_projects(db, &[&project.id])?;
            Ok::<_, ProjectError>((project, environments))
        })
        .await?;
    Ok(show(&state, HttpResponse::Ok(), found))
}

/// Change a project
///
/// With `If-Match`, only if it is still in that version. Its environments keep their addresses.
#[utoipa::path(patch, path = "/v1/accounts/{account_id}/projects/{project_id}", tag = "projects", params(ProjectPath), responses(
    (status = 200, description = "The project as it is now", body = ProjectBody),
    (status = 412, description = "It was changed in the meantime"),
))]
pub(crate) async fn change(
    member: AccountMember<Developer, ProjectsWrite>,
    address: ClientAddress,
    request: HttpRequest,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Json(body): Json<ChangeProject>,
) -> Result<HttpResponse, ApiError> {
    let expected = if_match(&request)?;
    let mut repository = None;
    if let Some(GithubData { owner, repo }) = &body.github_data {
        let caller = (&member.account_id, &member.user_id);
        repository = Some(repository::check(&state.calls, caller, owner, repo).await?);
    }
    let wanted = Change {
        name: body.name,
        repository,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let found = state
        .db
        .write(move |db| {
            let project = super::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(ProjectError::NotFound)?;
            let before = project.source();
            let project = super::change(db, project, wanted, expected, now)?;
            if project.source() != before {
                let why = "The project is built from another repository now";
                previews::end_all(db, &project, why, now)?;
            }
            actor.record(
                db,
                "project.updated",
                project.id.as_str(),
                json!({ "source": project.source() }),
                now,
            )?;
            let environments = environments::store::of_projects(db, &[&project.id])?;
            Ok::<_, ProjectError>((project, environments))
        })
        .await?;
    Ok(show(&state, HttpResponse::Ok(), found))
}

/// Delete a project
///
/// All its environments stop at once. Its data is removed for good after seven days.
#[utoipa::path(delete, path = "/v1/accounts/{account_id}/projects/{project_id}", tag = "projects", params(ProjectPath), responses(
    (status = 200, description = "It is deleted", body = Deleted),
))]
pub(crate) async fn delete(
    member: AccountMember<Developer, ProjectsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let id = path.project_id.clone();
    state
        .db
        .write(move |db| {
            let project = super::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(ProjectError::NotFound)?;
            super::delete(db, project, now)?;
            actor.record(
                db,
                "project.deleted",
                path.project_id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, ProjectError>(())
        })
        .await?;
    tracing::info!(project.id = %id, "a project was deleted");
    Ok(web::Json(Deleted::new("project", id)))
}
