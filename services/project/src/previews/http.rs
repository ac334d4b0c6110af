//! The routes of previews.

use actix_web::{HttpResponse, web};
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::event::PreviewStatus;
use common::id::UserId;
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::lifecycle::{Work, end};
use super::view::PreviewView;
use super::{Preview, PreviewError, keep, store};
use crate::State;
use crate::answer::{Actor, Deleted, after};
use crate::paths::{PreviewPath, ProjectPath};
use crate::projects;

impl From<PreviewError> for ApiError {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::NotFound => Problem::not_found("preview").into(),
            PreviewError::NoProject => Problem::not_found("project").into(),
            PreviewError::Closed => Problem::conflict(
                "preview_closed",
                "The pull request is closed, or gets no preview any more",
            )
            .into(),
            PreviewError::OtherCommit(commit) => Problem::conflict(
                "commit_changed",
                format!("The pull request's newest commit is `{commit}`: look at that one"),
            )
            .with("commit", commit)
            .into(),
            PreviewError::NoApprovalNeeded => Problem::conflict(
                "no_approval_needed",
                "The pull request comes from the repository itself: its commits need no approval",
            )
            .into(),
            PreviewError::ApprovalNeeded => Problem::conflict(
                "approval_needed",
                "The pull request comes from a fork: approve its newest commit first",
            )
            .into(),
            PreviewError::Waiting(why) => Problem::conflict("preview_waits", why).into(),
            PreviewError::Environment(error) => error.into(),
            PreviewError::Seal(error) => error.into(),
            PreviewError::Db(error) => error.into(),
        }
    }
}

/// Which commit may run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveCommit {
    /// The whole number of the commit that was looked at. A newer one has to be approved anew.
    commit: String,
}

/// A preview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewBody {
    preview: PreviewView,
}

/// Previews, newest pull request first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewsBody {
    previews: Vec<PreviewView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// List a project's previews
///
/// Of pull requests that have, had or await one.
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}/previews", tag = "previews", params(ProjectPath, PageQuery), responses(
    (status = 200, description = "A page of previews", body = PreviewsBody),
))]
pub(crate) async fn list(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<PreviewsBody>, ApiError> {
    let cursor = after::<i64>(&page)?;
    let (fetch, urls) = (page.fetch(), state.urls.clone());
    let (rows, page) = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(PreviewError::NoProject)?;
            let of = (&project.account_id, &project.id);
            let rows = store::page(db, of, cursor, fetch)?;
            let page = page.cut(rows, |preview| preview.number.to_string());
            let shown = page.items.into_iter();
            let shown = shown.map(|preview| PreviewView::read(db, preview, &urls));
            Ok::<_, PreviewError>((shown.collect::<Result<Vec<_>, _>>()?, page.next))
        })
        .await?;
    Ok(web::Json(PreviewsBody {
        previews: rows,
        next: page,
    }))
}

/// Look at a pull request's preview
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}/previews/{number}", tag = "previews", params(PreviewPath), responses(
    (status = 200, description = "The preview", body = PreviewBody),
))]
pub(crate) async fn get(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<PreviewPath>,
) -> Result<web::Json<PreviewBody>, ApiError> {
    let urls = state.urls.clone();
    let preview = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(PreviewError::NotFound)?;
            let found = store::find(db, &project.id, path.number)?;
            let preview = found.ok_or(PreviewError::NotFound)?;
            Ok::<_, PreviewError>(PreviewView::read(db, preview, &urls)?)
        })
        .await?;
    Ok(web::Json(PreviewBody { preview }))
}

/// Approve a fork's commit
///
/// That very commit is built and run, without secrets; the next one has to be approved anew.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/projects/{project_id}/previews/{number}/approve", tag = "previews", params(PreviewPath), responses(
    (status = 202, description = "The preview, whose build is asked for", body = PreviewBody),
    (status = 409, description = "`commit_changed`, `no_approval_needed` or `preview_closed`"),
))]
pub(crate) async fn approve(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<PreviewPath>,
    Json(body): Json<ApproveCommit>,
) -> Result<HttpResponse, ApiError> {
    let by = member.user_id.clone();
    let actor = Actor::new(member.claims, address, member.account_id);
    let act = move |db: &mut Db, work: Work<'_>, preview: &mut Preview| {
        approved(preview, &body.commit, &by, work.now)?;
        // The approval holds even where the preview can't begin yet.
        if preview.status != PreviewStatus::Removed {
            work.begin(db, preview, Some(&by))?;
        }
        Ok(json!({ "commit": body.commit }))
    };
    change(state, path, actor, "preview.approved", act).await
}

fn approved(
    preview: &mut Preview,
    commit: &str,
    by: &UserId,
    now: Time,
) -> Result<(), PreviewError> {
    if preview.status == PreviewStatus::Closed {
        return Err(PreviewError::Closed);
    }
    if !preview.fork {
        return Err(PreviewError::NoApprovalNeeded);
    }
    if preview.head_commit != commit {
        return Err(PreviewError::OtherCommit(preview.head_commit.clone()));
    }
    preview.approved_commit = Some(commit.to_owned());
    preview.approved_by = Some(by.clone());
    preview.approved_at = Some(now);
    Ok(())
}

/// Build a preview anew
///
/// Its pull request's newest commit; one that was removed comes back.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/projects/{project_id}/previews/{number}/rebuild", tag = "previews", params(PreviewPath), responses(
    (status = 202, description = "The preview, whose build is asked for", body = PreviewBody),
    (status = 409, description = "`approval_needed`, `preview_waits` or `preview_closed`"),
))]
pub(crate) async fn rebuild(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<PreviewPath>,
) -> Result<HttpResponse, ApiError> {
    let by = member.user_id.clone();
    let actor = Actor::new(member.claims, address, member.account_id);
    let act = move |db: &mut Db, work: Work<'_>, preview: &mut Preview| {
        if preview.status == PreviewStatus::Closed {
            return Err(PreviewError::Closed);
        }
        if !preview.is_approved() {
            return Err(PreviewError::ApprovalNeeded);
        }
        preview.built_commit = None;
        work.begin(db, preview, Some(&by))?;
        match (preview.status, &preview.reason) {
            (PreviewStatus::Waiting, Some(why)) => Err(PreviewError::Waiting(why.clone())),
            _ => Ok(json!({ "commit": preview.head_commit })),
        }
    };
    change(state, path, actor, "preview.rebuilt", act).await
}

/// Does something with a preview that is there, keeps it and writes down who did.
async fn change(
    state: web::Data<State>,
    path: PreviewPath,
    actor: Actor,
    action: &'static str,
    act: impl FnOnce(&mut Db, Work<'_>, &mut Preview) -> Result<Value, PreviewError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let (now, sealer, urls) = (state.clock.now(), state.sealer.clone(), state.urls.clone());
    let preview = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(PreviewError::NotFound)?;
            let found = store::find(db, &project.id, path.number)?;
            let mut preview = found.ok_or(PreviewError::NotFound)?;
            let settings = store::settings(db, &project.id)?;
            let work = Work {
                project: &project,
                settings: &settings,
                sealer: &sealer,
                now,
            };
            let details = act(db, work, &mut preview)?;
            keep(db, &mut preview, now)?;
            actor.record(db, action, &subject(&preview), details, now)?;
            Ok::<_, PreviewError>(PreviewView::read(db, preview, &urls)?)
        })
        .await?;
    Ok(HttpResponse::Accepted().json(PreviewBody { preview }))
}

fn subject(preview: &Preview) -> String {
    format!("{}/{}", preview.project_id, preview.number)
}

/// Remove a preview
///
/// Its environment goes with its database. It stays away until it is rebuilt, or its pull request is opened again.
#[utoipa::path(delete, path = "/v1/accounts/{account_id}/projects/{project_id}/previews/{number}", tag = "previews", params(PreviewPath), responses(
    (status = 200, description = "It is removed", body = Deleted),
    (status = 409, description = "`preview_closed`: it is over already"),
))]
pub(crate) async fn remove(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<PreviewPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let (now, sealer, number) = (state.clock.now(), state.sealer.clone(), path.number);
    state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(PreviewError::NotFound)?;
            let found = store::find(db, &project.id, path.number)?;
            let mut preview = found.ok_or(PreviewError::NotFound)?;
            if preview.status == PreviewStatus::Closed {
                return Err(PreviewError::Closed);
            }
            end(db, &mut preview, PreviewStatus::Removed, None, now)?;
            let settings = store::settings(db, &project.id)?;
            let work = Work {
                project: &project,
                settings: &settings,
                sealer: &sealer,
                now,
            };
            work.next_in_line(db)?;
            actor.record(db, "preview.removed", &subject(&preview), json!({}), now)?;
            Ok::<_, PreviewError>(())
        })
        .await?;
    Ok(web::Json(Deleted::new("preview", number)))
}
