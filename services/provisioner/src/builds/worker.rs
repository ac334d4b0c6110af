//! The job that does a build, from the taking to its end.

use chassis::db::Db;
use chassis::jobs::{CancelReason, Job, JobContext, JobError, JobResult};
use common::event::BuildState;
use common::id::BuildId;
use common::time::Time;
use diesel::QueryResult;
use serde::Deserialize;

use super::phases::{self, Attempt};
use super::{Failure, store, with_source};
use crate::build::{BuildLog, write_reasons};
use crate::deployments::News;
use crate::failpoints;
use crate::logs;
use crate::logs::writer::LogWriter;
use crate::state::State;

/// How often a build is begun again after its worker died or something passing failed.
pub(crate) const ATTEMPTS: u32 = 5;

#[derive(Deserialize)]
struct Payload {
    build_id: BuildId,
}

/// Does a build.
pub(crate) async fn run(state: State, job: Job, cx: JobContext) -> JobResult {
    failpoints::pass(failpoints::CLAIMED);
    let Payload { build_id } = job.payload()?;
    let id = build_id.clone();
    let found = state
        .db
        .read(move |db: &mut Db| store::find(db, &id))
        .await
        .map_err(JobError::retry)?;
    let build = found.ok_or_else(|| JobError::permanent("there is no such build"))?;
    if build.state.is_final() {
        return Ok(());
    }
    let stop = cx.cancel.child_token();
    let mut attempt = Attempt {
        state,
        job,
        build,
        stop: stop.clone(),
    };
    let shutdown = async {
        cx.shutdown.cancelled().await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = try_once(&mut attempt) => result,
        () = shutdown => Err(Failure::Ended),
    };
    failpoints::pass(failpoints::BEFORE_DONE);
    settle(attempt, result, &cx).await
}

/// One attempt, with its log. The log begins once all secrets that it must not show are known.
async fn try_once(attempt: &mut Attempt) -> Result<(), Failure> {
    let kept = match phases::kept(attempt).await {
        Ok(kept) => kept,
        Err(failure) => return failed_early(attempt, failure).await,
    };
    if let Some(kept) = kept {
        let ready = match phases::bring_back(attempt, kept).await {
            Ok(ready) => ready,
            Err(failure) => return failed_early(attempt, failure).await,
        };
        let (log, writer) = begin_log(attempt, &ready.variables.secrets).await?;
        let is_rollback = attempt.build.request.rollback_to.is_some();
        let what = if is_rollback {
            "an earlier release is started again"
        } else {
            "the release is there already"
        };
        log.note(
            "release",
            &format!("{what}: commit {}", ready.release.commit_id),
        );
        let news = if is_rollback {
            News::RolledBack
        } else {
            News::Live
        };
        return noted(
            phases::release(attempt, &ready, news, &log, &writer).await,
            &log,
            &writer,
        )
        .await;
    }
    attempt.move_on(BuildState::Preparing).await?;
    failpoints::pass(failpoints::STARTED);
    let prepared = match phases::prepare(attempt).await {
        Ok(prepared) => prepared,
        Err(failure) => return failed_early(attempt, failure).await,
    };
    let (log, writer) = begin_log(attempt, &prepared.variables.secrets).await?;
    write_reasons(&prepared.plan, &log);
    let (commit, files) = (&prepared.commit, prepared.commit.files);
    log.note(
        "checkout",
        &format!(
            "commit {} “{}” by {}, {files} files",
            commit.id, commit.subject, commit.author
        ),
    );
    writer.flush().await?;
    failpoints::pass(failpoints::LOG_FLUSHED);
    let done = async {
        let ready = phases::compile(attempt, prepared, &log, &writer).await?;
        phases::release(attempt, &ready, News::Live, &log, &writer).await
    };
    let done = done.await;
    noted(done, &log, &writer).await
}

/// An end before there was a log: it begins with that.
async fn failed_early(attempt: &Attempt, failure: Failure) -> Result<(), Failure> {
    if matches!(failure, Failure::Lost) {
        return Err(failure);
    }
    let (log, writer) = begin_log(attempt, &[]).await?;
    noted(Err(failure), &log, &writer).await
}

async fn begin_log(
    attempt: &Attempt,
    secrets: &[String],
) -> Result<(BuildLog, LogWriter), Failure> {
    let Attempt {
        state, job, build, ..
    } = attempt;
    let id = build.id.to_string();
    let last = state
        .db
        .read(move |db: &mut Db| logs::store::last_number(db, &id))
        .await?;
    let writer = LogWriter::start(
        state.db.clone(),
        state.clock.clone(),
        job.clone(),
        &build.id,
    );
    let masker = state.builder.masker(secrets.iter().map(String::as_str));
    let last = u64::try_from(last).unwrap_or(0);
    let log = BuildLog::new(
        writer.sink(),
        state.clock.clone(),
        masker,
        state.builds.log_bytes,
        last,
    );
    if job.attempt > 1 {
        let why = job.last_error.as_deref().unwrap_or("its worker ended");
        log.note(
            "prepare",
            &format!("begun again, since the attempt before did not come to its end: {why}"),
        );
    }
    Ok((log, writer))
}

/// Puts how an attempt ended into its log, and writes all of it.
async fn noted(
    result: Result<(), Failure>,
    log: &BuildLog,
    writer: &LogWriter,
) -> Result<(), Failure> {
    match &result {
        Ok(()) => {}
        Err(failure @ Failure::Failed(_)) => log.note("failed", &failure.to_string()),
        Err(failure @ Failure::Passing { .. }) => {
            log.note(
                "failed",
                &format!("{}; it is tried again", with_source(failure)),
            );
        }
        Err(Failure::Ended) => log.note("cancelled", "the build was ended"),
        Err(Failure::Lost) => return result,
    }
    // The end of the build is worth more than the last lines of its log.
    if let Err(error) = writer.flush().await {
        tracing::warn!(error = %error, "the end of a build's log can't be written");
    }
    // The log hides secrets; so must the reason, which people see too.
    result.map_err(|failure| match failure {
        Failure::Failed(reason) => Failure::Failed(log.masker().mask(&reason)),
        other => other,
    })
}

/// Brings the build to the state that its attempt ended in.
async fn settle(mut attempt: Attempt, result: Result<(), Failure>, cx: &JobContext) -> JobResult {
    clean_up(&attempt, result.is_ok()).await;
    match (result, cx.cancel_reason()) {
        (Ok(()), _) => Ok(()),
        (Err(Failure::Lost), _) | (_, Some(CancelReason::Lost)) => Err(JobError::Interrupted),
        (Err(_), Some(CancelReason::Requested)) => {
            attempt
                .move_on(BuildState::Cancelled)
                .await
                .map_err(JobError::retry)?;
            Err(JobError::Cancelled)
        }
        (Err(Failure::Failed(reason)), None) => {
            attempt.build.reason = Some(reason);
            attempt
                .move_on(BuildState::Failed)
                .await
                .map_err(JobError::retry)
        }
        (Err(Failure::Ended), None) => Err(JobError::Interrupted),
        (Err(failure @ Failure::Passing { .. }), None) => Err(JobError::retry(failure)),
    }
}

/// Removes what only the build needed; after a failure its tree, too, unless it is a release by now.
async fn clean_up(attempt: &Attempt, is_live: bool) {
    let (places, build) = (attempt.state.places.clone(), attempt.build.id.clone());
    let keep_tree = is_live || attempt.build.release_id.is_some();
    let removed = tokio::task::spawn_blocking(move || {
        if keep_tree {
            crate::places::remove_tree(&places.work().join(build.as_str()))
        } else {
            places.clean_up_build(&build)
        }
    });
    match removed.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(build.id = %attempt.build.id, error = %error, "a build's files can't be removed");
        }
        Err(error) => {
            tracing::warn!(build.id = %attempt.build.id, error = %error, "a build's files were not removed");
        }
    }
}

/// A build whose job failed for good: its worker died too often, or what should pass did not.
pub(crate) fn on_failed(db: &mut Db, job: &Job, error: &str, now: Time) -> QueryResult<()> {
    let Ok(Payload { build_id }) = job.payload() else {
        return Ok(());
    };
    let Some(mut build) = store::find(db, &build_id)? else {
        return Ok(());
    };
    if build.state.is_final() {
        return Ok(());
    }
    build.reason = Some(format!("given up after {} attempts: {error}", job.attempt));
    build.move_on(db, BuildState::Failed, now)
}
