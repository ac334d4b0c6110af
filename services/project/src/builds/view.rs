//! Builds as callers see them.

use common::event::BuildState;
use common::id::{BuildId, EnvironmentId, ProjectId, UserId};
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Build, BuildKind};

/// A build as a caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BuildView {
    id: BuildId,
    project_id: ProjectId,
    environment_id: EnvironmentId,
    kind: BuildKind,
    /// `live` says that its release was switched to; which one answers now, the environment tells.
    state: BuildState,
    /// The branch, tag or commit that was asked for; null is the repository's default branch.
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    /// The build whose release a roll-back runs again.
    rollback_to: Option<BuildId>,
    /// The commit, once it is known.
    commit: Option<String>,
    commit_message: Option<String>,
    /// Why it failed.
    reason: Option<String>,
    /// Whether it was asked to end.
    cancel_requested: bool,
    requested_by: Option<UserId>,
    created_at: Time,
    started_at: Option<Time>,
    finished_at: Option<Time>,
}

impl From<Build> for BuildView {
    fn from(build: Build) -> Self {
        Self {
            id: build.id,
            project_id: build.project_id,
            environment_id: build.environment_id,
            kind: build.kind,
            state: build.state,
            git_ref: build.git_ref,
            rollback_to: build.rollback_to,
            commit: build.commit_id,
            commit_message: build.commit_message,
            reason: build.reason,
            cancel_requested: build.cancel_requested,
            requested_by: build.requested_by,
            created_at: build.requested_at,
            started_at: build.started_at,
            finished_at: build.finished_at,
        }
    }
}
