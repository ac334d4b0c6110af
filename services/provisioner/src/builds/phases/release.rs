//! Releasing: what was built, now or earlier, becomes what answers.

use common::event::BuildState;

use super::{Attempt, Failure};
use crate::build::BuildLog;
use crate::deployments::News;
use crate::deployments::launch::Ready;
use crate::deployments::switch;
use crate::environments;
use crate::logs::writer::LogWriter;
use crate::releases::{self, Release};

/// Makes a release the one that answers, and the build live with it.
pub(crate) async fn release(
    attempt: &mut Attempt,
    ready: &Ready,
    news: News,
    log: &BuildLog,
    writer: &LogWriter,
) -> Result<(), Failure> {
    for name in ready.release.plan.processes.keys() {
        log.note(
            "release",
            &format!("the process `{name}` is not started: only `web` is run"),
        );
    }
    switch::to(attempt, ready, news, log, writer).await
}

/// What a kept release needs to run again: the one that this build made before its worker died, or the one
/// that it is to bring back.
pub(crate) async fn bring_back(attempt: &mut Attempt, kept: Release) -> Result<Ready, Failure> {
    let state = attempt.state.clone();
    if kept.node != state.node() && !kept.directory.is_dir() {
        return Err(Failure::Failed(format!(
            "the release is kept on another machine ({})",
            kept.node
        )));
    }
    if !kept.directory.is_dir() {
        return Err(Failure::Failed("the release's files are gone".to_owned()));
    }
    let owner = environments::owner(&state, (&kept.account_id, &kept.environment_id)).await?;
    let has_database = attempt.build.request.environment.database;
    let secrets = &kept.plan.generated_secrets;
    let variables =
        environments::variables(&state, &kept.environment_id, has_database, secrets).await?;
    let (id, commit, message) = (
        kept.id.clone(),
        kept.commit_id.clone(),
        kept.message.clone(),
    );
    attempt.build.release_id = Some(id);
    attempt.build.commit_id = Some(commit);
    attempt.build.message = Some(message);
    attempt.move_on(BuildState::Releasing).await?;
    Ok(Ready {
        release: kept,
        variables,
        owner,
    })
}

/// The kept release that a build is about, where there is nothing to build.
pub(crate) async fn kept(attempt: &Attempt) -> Result<Option<Release>, Failure> {
    let own = attempt.build.id.clone();
    let rollback_to = attempt.build.request.rollback_to.clone();
    let wanted = rollback_to.clone().unwrap_or(own);
    let found = attempt
        .state
        .db
        .read(move |db: &mut chassis::db::Db| releases::store::of_build(db, &wanted))
        .await?;
    match (found, rollback_to) {
        (None, Some(build)) => Err(Failure::Failed(format!(
            "the release of build {build} is kept no more"
        ))),
        (found, _) => Ok(found),
    }
}
