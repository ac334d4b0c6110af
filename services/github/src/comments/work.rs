//! Writing comments.

use chassis::db::Database;
use chassis::jobs::{Job, JobError, JobResult, Workers};
use chassis::settings::PublicUrls;
use common::digest::sha256_hex;
use common::event::PreviewStatus;

use super::{Comment, JOB, Task, marker, say, store};
use crate::app::RepositoryInfo;
use crate::provider::Github;
use crate::reports::work::{failed, reached};

/// How many pull requests one process comments on at a time.
const CONCURRENCY: usize = 2;
/// How often commenting is tried: for an hour and a half, longer than a rate limit lasts.
const ATTEMPTS: u32 = 24;

/// Adds the worker.
pub(crate) fn workers(workers: Workers, github: Option<Github>, urls: PublicUrls) -> Workers {
    workers.worker(JOB, CONCURRENCY, ATTEMPTS, move |job, context| {
        let (github, urls) = (github.clone(), urls.clone());
        async move {
            match github {
                Some(github) => run(&github, &urls, &context.db, job).await,
                None => Ok(()),
            }
        }
    })
}

async fn run(github: &Github, urls: &PublicUrls, db: &Database, job: Job) -> JobResult {
    let Task { project, number } = job.payload()?;
    let found = db.read(move |db| store::find(db, &project, number)).await;
    let Some(comment) = found.map_err(JobError::retry)? else {
        return Ok(());
    };
    let preview = comment.state().map_err(JobError::permanent)?;
    let text = say::text(&preview, urls);
    let digest = sha256_hex(&text);
    if comment.said.as_deref() == Some(digest.as_str()) {
        return Ok(());
    }
    let source = (preview.source.owner.as_str(), preview.source.repo.as_str());
    let found = reached(github, &comment.account_id, source).await?;
    let Some((installation, repository)) = found else {
        return Ok(());
    };
    let writing = Writing {
        github,
        installation,
        repository: &repository,
        comment: &comment,
    };
    // What is over, and was never told of, needs no comment.
    let is_over = matches!(
        preview.status,
        PreviewStatus::Closed | PreviewStatus::Removed
    );
    let Some(id) = writing.write(&text, !is_over).await? else {
        return Ok(());
    };
    let (project, number) = (comment.project_id.clone(), comment.number);
    let kept = db.write(move |db| store::set_said(db, (&project, number), id, &digest));
    kept.await.map_err(JobError::retry)
}

/// What one comment's writing works with.
struct Writing<'a> {
    github: &'a Github,
    installation: i64,
    repository: &'a RepositoryInfo,
    comment: &'a Comment,
}

impl Writing<'_> {
    /// Has our comment say this, and gives its number. One is looked for before one is made, since a
    /// process may have ended before it could keep the number.
    async fn write(&self, text: &str, make: bool) -> Result<Option<i64>, JobError> {
        if let Some(known) = self.comment.comment_id
            && self.edit(known, text).await?
        {
            return Ok(Some(known));
        }
        let (app, number) = (&self.github.app, self.comment.number);
        let marker = marker(&self.comment.project_id);
        let found = app
            .find_comment(self.installation, self.repository, number, &marker)
            .await
            .map_err(failed)?;
        if let Some(found) = found
            && self.edit(found, text).await?
        {
            return Ok(Some(found));
        }
        if !make {
            return Ok(None);
        }
        let made = app.make_comment(self.installation, self.repository, number, text);
        made.await.map(Some).map_err(failed)
    }

    async fn edit(&self, comment: i64, text: &str) -> Result<bool, JobError> {
        let app = &self.github.app;
        let edited = app.edit_comment(self.installation, self.repository, comment, text);
        edited.await.map_err(failed)
    }
}
