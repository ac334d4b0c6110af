//! What the provisioner tells.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use crate::time::Time;

crate::text_enum! {
    /// Where a build stands.
    pub enum BuildState {
        /// It waits for its turn.
        Queued = "queued",
        /// Its source is being fetched and looked at.
        Preparing = "preparing",
        /// Its commands run.
        Building = "building",
        /// Its release is being started and switched to.
        Releasing = "releasing",
        /// Its release is the one that answers.
        Live = "live",
        /// It ended without a release; the one before goes on.
        Failed = "failed",
        /// Somebody ended it.
        Cancelled = "cancelled",
        /// A newer one took its place before it began.
        Superseded = "superseded",
    }
}

impl BuildState {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Live | Self::Failed | Self::Cancelled | Self::Superseded
        )
    }
}

/// A build's state, as its worker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildProgress {
    /// The build.
    pub build_id: BuildId,
    /// Its environment.
    pub environment_id: EnvironmentId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Where it stands.
    pub state: BuildState,
    /// The commit, in hex, once it is known.
    pub commit: Option<String>,
    /// The commit's first line.
    pub commit_message: Option<String>,
    /// Why it failed: phase, command, exit code or signal.
    pub reason: Option<String>,
    /// When its worker began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
}

/// What answers for an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose it is.
    pub account_id: AccountId,
    /// The label of its host name.
    pub label: String,
    /// The release that runs; none once it is stopped.
    pub release_id: Option<ReleaseId>,
    /// The build that made the release.
    pub build_id: Option<BuildId>,
    /// Where its instances listen.
    pub upstreams: Vec<SocketAddr>,
    /// Until when requests wait for an instance instead of failing: set while one
    /// instance must stop before the next can start.
    pub hold_until: Option<Time>,
    /// Whether it runs nothing until somebody asks for it: a request wakes it.
    #[serde(default)]
    pub asleep: bool,
    /// Why it isn't live, where it isn't.
    pub reason: Option<String>,
}

events! {
    /// What the provisioner tells.
    pub enum ProvisionerEvent from "provisioner" {
        /// A worker has taken a build.
        BuildStarted(BuildProgress) = "dev.slipway.build.started" by |build| build.build_id;
        /// A build has come to its next phase.
        BuildProgressed(BuildProgress) = "dev.slipway.build.progressed" by |build| build.build_id;
        /// A build's release is live.
        BuildSucceeded(BuildProgress) = "dev.slipway.build.succeeded" by |build| build.build_id;
        /// A build ended without a release.
        BuildFailed(BuildProgress) = "dev.slipway.build.failed" by |build| build.build_id;
        /// A build was ended, or never begun because a newer one came.
        BuildCancelled(BuildProgress) = "dev.slipway.build.cancelled" by |build| build.build_id;
        /// An environment's instances are these.
        DeploymentLive(Deployment) = "dev.slipway.deployment.live" by |deployment| deployment.environment_id;
        /// An environment's release has ended and couldn't be brought back.
        DeploymentFailed(Deployment) = "dev.slipway.deployment.failed" by |deployment| deployment.environment_id;
        /// An environment runs an earlier release again.
        DeploymentRolledBack(Deployment) = "dev.slipway.deployment.rolled_back" by |deployment| deployment.environment_id;
        /// An environment's app was put to sleep; the next request wakes it.
        DeploymentAsleep(Deployment) = "dev.slipway.deployment.asleep" by |deployment| deployment.environment_id;
        /// An environment runs nothing.
        DeploymentStopped(Deployment) = "dev.slipway.deployment.stopped" by |deployment| deployment.environment_id;
    }
}
