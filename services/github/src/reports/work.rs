//! Telling GitHub.

use chassis::db::Database;
use chassis::jobs::{Job, JobError, JobResult, Workers};
use chassis::settings::PublicUrls;
use common::id::{AccountId, BuildId, ProjectId};
use serde_json::json;

use super::say::{Said, said};
use super::{Complete, JOB, Report, Task, outdated, store};
use crate::app::{GithubError, RepositoryInfo};
use crate::provider::{Github, SourceError};

/// How many builds one process tells of at a time.
const CONCURRENCY: usize = 4;
/// How often telling is tried: for an hour and a half, longer than a rate limit lasts.
const ATTEMPTS: u32 = 24;
/// The environment that people see, rather than try things in.
const PRODUCTION: &str = "production";

/// Adds the worker.
pub(crate) fn workers(workers: Workers, github: Option<Github>, urls: PublicUrls) -> Workers {
    let (ended, address) = (github.clone(), urls.clone());
    let workers = workers.worker(outdated::JOB, CONCURRENCY, ATTEMPTS, move |job, context| {
        let (github, urls) = (ended.clone(), address.clone());
        async move {
            match github {
                Some(github) => outdated::run(&github, &urls, &context.db, job).await,
                None => Ok(()),
            }
        }
    });
    workers.worker(JOB, CONCURRENCY, ATTEMPTS, move |job, context| {
        let (github, urls) = (github.clone(), urls.clone());
        async move {
            match github {
                Some(github) => run(&github, &urls, &context.db, job).await,
                // The App isn't configured any more: there is nobody to tell.
                None => Ok(()),
            }
        }
    })
}

async fn run(github: &Github, urls: &PublicUrls, db: &Database, job: Job) -> JobResult {
    let id = job.payload::<Task>()?.build;
    let found = db.read(move |db| {
        let report = store::find(db, &id)?;
        let environment = report
            .as_ref()
            .and_then(|report| report.environment_id.clone());
        let is_gone = match environment {
            Some(environment) => store::is_gone(db, &environment)?,
            None => false,
        };
        Ok::<_, diesel::result::Error>(report.map(|report| (report, is_gone)))
    });
    let Some((report, is_gone)) = found.await.map_err(JobError::retry)? else {
        return Ok(());
    };
    let Some(complete) = report.complete() else {
        return Ok(());
    };
    let found = reached(github, &report.account_id, (complete.owner, complete.repo)).await?;
    let Some((installation, repository)) = found else {
        return Ok(());
    };
    let telling = Telling {
        github,
        urls,
        db,
        installation,
        repository: &repository,
        report: &report,
        complete: &complete,
        said: said(report.state),
    };
    telling.status().await?;
    // A preview that is gone is deployed nowhere: what was, is said to be over by another job.
    if is_gone && report.preview {
        return Ok(());
    }
    telling.deployment().await
}

/// Where members read a build's log.
pub(crate) fn log_url(
    urls: &PublicUrls,
    account: &AccountId,
    project: &ProjectId,
    build: &BuildId,
) -> String {
    urls.of_platform(&format!(
        "/v1/accounts/{account}/projects/{project}/builds/{build}/logs"
    ))
}

/// The repository and the installation that reaches it. Whoever doesn't reach it any more has nothing to
/// tell it.
pub(crate) async fn reached(
    github: &Github,
    account: &AccountId,
    (owner, repo): (&str, &str),
) -> Result<Option<(i64, RepositoryInfo)>, JobError> {
    match github.find(account, owner, repo).await {
        Ok((installation, repository)) => Ok(Some((installation.id, repository))),
        Err(SourceError::NotInstalled | SourceError::Suspended) => Ok(None),
        Err(error) => Err(JobError::retry(error)),
    }
}

/// What one build's telling works with.
struct Telling<'a> {
    github: &'a Github,
    urls: &'a PublicUrls,
    db: &'a Database,
    installation: i64,
    repository: &'a RepositoryInfo,
    report: &'a Report,
    complete: &'a Complete<'a>,
    said: Said,
}

/// What GitHub refuses for what it is, it will refuse again.
pub(crate) fn failed(error: GithubError) -> JobError {
    match error {
        GithubError::Status(403 | 404 | 409 | 422) => JobError::permanent(error),
        GithubError::Unreachable(_)
        | GithubError::Status(_)
        | GithubError::Unreadable
        | GithubError::Limited { .. }
        | GithubError::Unauthorized
        | GithubError::Unsigned => JobError::retry(error),
    }
}

impl Telling<'_> {
    /// Where members read the build's log.
    fn log_url(&self) -> String {
        let report = self.report;
        let project = self.complete.project;
        log_url(self.urls, &report.account_id, project, &report.build_id)
    }

    /// The mark beside the commit. Telling it twice changes nothing.
    async fn status(&self) -> JobResult {
        let body = json!({
            "state": self.said.status,
            "description": self.said.description,
            "context": format!("slipway/{}", self.complete.label),
            "target_url": self.log_url(),
        });
        let (app, commit) = (&self.github.app, self.complete.commit);
        app.set_status(self.installation, self.repository, commit, body)
            .await
            .map_err(failed)
    }

    async fn deployment(&self) -> JobResult {
        let id = match self.report.deployment_id {
            Some(id) => id,
            None => self.begin().await?,
        };
        let body = json!({
            "state": self.said.deployment,
            "description": self.said.description,
            "log_url": self.log_url(),
            "environment_url": self.urls.of_app(self.complete.label),
        });
        self.github
            .app
            .set_deployment_status(self.installation, self.repository, id, body)
            .await
            .map_err(failed)
    }

    /// Makes the deployment. If the process ends before its number is kept there will be a second one,
    /// which takes the first one's place at GitHub as soon as it is live.
    async fn begin(&self) -> Result<i64, JobError> {
        let is_production = self.complete.environment == PRODUCTION;
        let body = json!({
            "ref": self.complete.commit,
            "environment": self.complete.label,
            "description": "Slipway",
            // The build has begun: GitHub is not to merge or to wait for anything.
            "auto_merge": false,
            "required_contexts": [],
            "production_environment": is_production,
            // A preview comes and goes with its pull request.
            "transient_environment": self.report.preview,
        });
        let app = &self.github.app;
        let id = app
            .make_deployment(self.installation, self.repository, body)
            .await
            .map_err(failed)?;
        let build = self.report.build_id.clone();
        let kept = self
            .db
            .write(move |db| store::set_deployment(db, &build, id));
        kept.await.map_err(JobError::retry)?;
        Ok(id)
    }
}
