//! Deployments of previews that are over: those of earlier commits once a newer one is live, and all of
//! them once the preview is gone. GitHub ends those of lasting environments by itself, and leaves those of
//! passing ones alone.

use chassis::db::{Database, Db};
use chassis::jobs::{self, Job, JobError, JobResult, NewJob};
use chassis::settings::PublicUrls;
use common::event::{BuildState, EnvironmentState, PreviewState};
use common::id::{BuildId, EnvironmentId};
use common::time::Time;
use diesel::QueryResult;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::work::{failed, log_url, reached};
use super::{Report, store};
use crate::app::GithubError;
use crate::installations;
use crate::provider::Github;

/// The kind of the jobs that end deployments.
pub(crate) const JOB: &str = "github.outdated";

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    environment: EnvironmentId,
    /// The build whose deployment, and those after it, go on; none if all are over.
    keep: Option<BuildId>,
}

/// A preview's environment is gone.
pub(crate) fn gone(db: &mut Db, environment: &EnvironmentState, now: Time) -> QueryResult<()> {
    if installations::store::of_account(db, &environment.account_id)?.is_empty() {
        return Ok(());
    }
    store::note_gone(db, &environment.environment_id, now)?;
    enqueue(db, &environment.environment_id, None, now)
}

/// A preview is another: if its newest build is live, those before it are over.
pub(crate) fn changed(db: &mut Db, preview: &PreviewState, now: Time) -> QueryResult<()> {
    let (Some(environment), Some(build)) = (&preview.environment, &preview.build) else {
        return Ok(());
    };
    let is_live = build.state == BuildState::Live;
    let id = &environment.environment_id;
    if !is_live || store::undone(db, id, Some(&build.build_id))?.is_empty() {
        return Ok(());
    }
    enqueue(db, id, Some(&build.build_id), now)
}

fn enqueue(
    db: &mut Db,
    environment: &EnvironmentId,
    keep: Option<&BuildId>,
    now: Time,
) -> QueryResult<()> {
    let until = keep.map_or("gone", BuildId::as_str);
    let job = NewJob {
        kind: JOB,
        key: format!("{environment}/{until}"),
        group: Some(environment.to_string()),
        payload: json!(Task {
            environment: environment.clone(),
            keep: keep.cloned(),
        }),
        run_at: now,
        supersede: true,
    };
    jobs::enqueue(db, &job, now).map(drop)
}

/// Says at GitHub that these deployments are over.
pub(crate) async fn run(github: &Github, urls: &PublicUrls, db: &Database, job: Job) -> JobResult {
    let Task { environment, keep } = job.payload()?;
    let found = db.read(move |db| store::undone(db, &environment, keep.as_ref()));
    for report in found.await.map_err(JobError::retry)? {
        end(github, urls, &report).await?;
        let build = report.build_id.clone();
        let kept = db.write(move |db| store::set_ended(db, &build));
        kept.await.map_err(JobError::retry)?;
    }
    Ok(())
}

async fn end(github: &Github, urls: &PublicUrls, report: &Report) -> JobResult {
    let (Some(complete), Some(deployment)) = (report.complete(), report.deployment_id) else {
        return Ok(());
    };
    let named = (complete.owner, complete.repo);
    let Some((installation, repository)) = reached(github, &report.account_id, named).await? else {
        return Ok(());
    };
    let body = json!({
        "state": "inactive",
        "description": "The preview is over, or a newer one is live",
        "log_url": log_url(urls, &report.account_id, complete.project, &report.build_id),
    });
    let app = &github.app;
    let said = app.set_deployment_status(installation, &repository, deployment, body);
    match said.await {
        // Somebody has deleted it.
        Ok(()) | Err(GithubError::Status(404)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
