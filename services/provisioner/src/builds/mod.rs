//! Builds: what was asked for, where each stands, and the job that does it.

pub(crate) mod events;
mod failure;
pub(crate) mod phases;
pub(crate) mod store;
pub(crate) mod worker;

pub(crate) use failure::{Failure, with_source};

use chassis::db::Db;
use chassis::events::emit;
use common::event::{BuildProgress, BuildRequested, BuildState, ProvisionerEvent};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::time::Time;
use diesel::QueryResult;

/// The kind of job that a build is. Its key is the build's id, its group the environment's.
pub(crate) const JOB: &str = "build";

/// A build.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) id: BuildId,
    pub(crate) environment_id: EnvironmentId,
    pub(crate) project_id: ProjectId,
    pub(crate) account_id: AccountId,
    pub(crate) state: BuildState,
    pub(crate) request: BuildRequested,
    pub(crate) commit_id: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) release_id: Option<ReleaseId>,
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    pub(crate) started_at: Option<Time>,
    pub(crate) finished_at: Option<Time>,
}

impl Build {
    /// A build that was just asked for.
    pub(crate) fn new(request: BuildRequested, now: Time) -> Self {
        Self {
            id: request.build_id.clone(),
            environment_id: request.environment.environment_id.clone(),
            project_id: request.environment.project_id.clone(),
            account_id: request.environment.account_id.clone(),
            state: BuildState::Queued,
            request,
            commit_id: None,
            message: None,
            reason: None,
            release_id: None,
            version: 0,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }

    fn progress(&self) -> BuildProgress {
        BuildProgress {
            build_id: self.id.clone(),
            environment_id: self.environment_id.clone(),
            account_id: self.account_id.clone(),
            state: self.state,
            commit: self.commit_id.clone(),
            commit_message: self.message.clone(),
            reason: self.reason.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }

    /// Moves it on and tells so. The caller's transaction holds the build's job, or its row is new.
    pub(crate) fn move_on(&mut self, db: &mut Db, state: BuildState, now: Time) -> QueryResult<()> {
        self.state = state;
        self.version += 1;
        if state != BuildState::Queued && !matches!(state, BuildState::Superseded) {
            self.started_at = self
                .started_at
                .or_else(|| (!state.is_final()).then_some(now));
        }
        if state.is_final() {
            self.finished_at = Some(now);
        }
        store::update(db, self)?;
        emit(db, told(state, self.progress()), self.version, now)
    }
}

fn told(state: BuildState, progress: BuildProgress) -> ProvisionerEvent {
    match state {
        BuildState::Preparing => ProvisionerEvent::BuildStarted(progress),
        BuildState::Queued | BuildState::Building | BuildState::Releasing => {
            ProvisionerEvent::BuildProgressed(progress)
        }
        BuildState::Live => ProvisionerEvent::BuildSucceeded(progress),
        BuildState::Failed => ProvisionerEvent::BuildFailed(progress),
        BuildState::Cancelled | BuildState::Superseded => {
            ProvisionerEvent::BuildCancelled(progress)
        }
    }
}
