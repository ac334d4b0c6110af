//! The routes of how a project's pull requests are previewed.

use actix_web::web;
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::names::EnvironmentName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::lifecycle::Work;
use super::settings::PreviewSettings;
use super::{PreviewError, end_all, store};
use crate::State;
use crate::answer::{Actor, invalid};
use crate::builds::git_ref::GitRef;
use crate::environments;
use crate::environments::rest::SleepChange;
use crate::paths::ProjectPath;
use crate::projects;

/// The most previews that a project can have at a time.
const MOST: i32 = 100;
/// The most branches that can be named.
const MOST_BRANCHES: usize = 50;

/// How pull requests are to be previewed; what isn't given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutPreviewSettings {
    /// Whether there are previews; not unless told. Turned off, those that there are go.
    enabled: Option<bool>,
    /// Whether previews get secret variables, too; not unless told, and those of forks never do.
    secrets: Option<bool>,
    /// The environment whose variables a new preview gets; `production` unless told.
    source_environment: Option<EnvironmentName>,
    /// The branches to which pull requests get previews; none stands for all.
    base_branches: Option<Vec<GitRef>>,
    /// How many there are at most at a time; 10 unless told.
    most: Option<i32>,
    /// After how many seconds without a request a new preview sleeps, from 60 on; `null` is never, 1800 unless
    /// told.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    sleep_after: SleepChange,
}

/// How pull requests are previewed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewSettingsView {
    enabled: bool,
    secrets: bool,
    source_environment: EnvironmentName,
    base_branches: Vec<String>,
    most: i32,
    /// After how many seconds without a request a new preview sleeps; null is never.
    sleep_after: Option<i64>,
}

/// How pull requests are previewed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewSettingsBody {
    preview_settings: PreviewSettingsView,
}

fn show(settings: PreviewSettings) -> Result<web::Json<PreviewSettingsBody>, ApiError> {
    Ok(web::Json(PreviewSettingsBody {
        preview_settings: PreviewSettingsView {
            base_branches: settings.base_branches()?,
            enabled: settings.enabled,
            secrets: settings.secrets,
            source_environment: settings.source_environment,
            most: settings.most,
            sleep_after: settings.sleep_after,
        },
    }))
}

/// Look at how pull requests are previewed
#[utoipa::path(get, path = "/v1/accounts/{account_id}/projects/{project_id}/preview-settings", tag = "previews", params(ProjectPath), responses(
    (status = 200, description = "The settings", body = PreviewSettingsBody),
))]
pub(crate) async fn get(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<web::Json<PreviewSettingsBody>, ApiError> {
    let settings = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(PreviewError::NoProject)?;
            Ok::<_, PreviewError>(store::settings(db, &project.id)?)
        })
        .await?;
    show(settings)
}

/// Set how pull requests are previewed
///
/// A pull request that is open already gets its preview with its next commit.
#[utoipa::path(put, path = "/v1/accounts/{account_id}/projects/{project_id}/preview-settings", tag = "previews", params(ProjectPath), responses(
    (status = 200, description = "The settings as they are now", body = PreviewSettingsBody),
    (status = 422, description = "A field is wrong"),
))]
pub(crate) async fn put(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Json(body): Json<PutPreviewSettings>,
) -> Result<web::Json<PreviewSettingsBody>, ApiError> {
    check(&body)?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let (now, sealer) = (state.clock.now(), state.sealer.clone());
    let settings = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(PreviewError::NoProject)?;
            let mut settings = store::settings(db, &project.id)?;
            let name = body.source_environment.as_ref();
            if let Some(name) = name
                && environments::store::named(db, &project.id, name)?.is_none()
            {
                return Ok(None);
            }
            change(&mut settings, body)?;
            settings.updated_at = now;
            store::put_settings(db, &settings)?;
            let work = Work {
                project: &project,
                settings: &settings,
                sealer: &sealer,
                now,
            };
            if settings.enabled {
                work.next_in_line(db)?;
            } else {
                end_all(db, &project, "Previews are off for the project", now)?;
            }
            let details = json!({ "enabled": settings.enabled, "secrets": settings.secrets });
            let subject = project.id.as_str();
            actor.record(db, "preview_settings.updated", subject, details, now)?;
            Ok::<_, PreviewError>(Some(settings))
        })
        .await?;
    let message = "must be an environment of the project that is no preview";
    show(settings.ok_or_else(|| invalid("source_environment", message))?)
}

fn check(body: &PutPreviewSettings) -> Result<(), ApiError> {
    if body.most.is_some_and(|most| !(1..=MOST).contains(&most)) {
        return Err(invalid("most", format!("must be from 1 to {MOST}")));
    }
    let branches = body.base_branches.as_ref().map_or(0, Vec::len);
    if branches > MOST_BRANCHES {
        let message = format!("must be at most {MOST_BRANCHES}");
        return Err(invalid("base_branches", message));
    }
    Ok(())
}

fn change(settings: &mut PreviewSettings, body: PutPreviewSettings) -> diesel::QueryResult<()> {
    let PutPreviewSettings {
        enabled,
        secrets,
        source_environment,
        base_branches,
        most,
        sleep_after,
    } = body;
    settings.enabled = enabled.unwrap_or(settings.enabled);
    settings.secrets = secrets.unwrap_or(settings.secrets);
    settings.most = most.unwrap_or(settings.most);
    settings.sleep_after = sleep_after.of(settings.sleep_after);
    if let Some(name) = source_environment {
        settings.source_environment = name;
    }
    if let Some(branches) = base_branches {
        let branches: Vec<_> = branches.into_iter().map(GitRef::into_string).collect();
        settings.set_base_branches(&branches)?;
    }
    Ok(())
}
