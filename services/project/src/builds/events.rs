//! What the provisioner's events mean for builds and environments.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{BuildProgress, Deployment, Envelope, ProvisionerEvent};
use common::time::Time;

use super::store;
use crate::environments::EnvironmentStatus;
use crate::environments::store::set_deployment;
use crate::previews;

/// Keeps how far builds have come and what runs in environments.
pub(crate) fn on_provisioner(
    db: &mut Db,
    envelope: &Envelope<ProvisionerEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProvisionerEvent::BuildStarted(progress)
        | ProvisionerEvent::BuildProgressed(progress)
        | ProvisionerEvent::BuildSucceeded(progress)
        | ProvisionerEvent::BuildFailed(progress)
        | ProvisionerEvent::BuildCancelled(progress) => apply(db, progress, now),
        ProvisionerEvent::DeploymentLive(deployment)
        | ProvisionerEvent::DeploymentRolledBack(deployment) => {
            deployed(db, deployment, EnvironmentStatus::Live)
        }
        // One that could not be woken sleeps on, and says why.
        ProvisionerEvent::DeploymentFailed(deployment) if deployment.asleep => {
            deployed(db, deployment, EnvironmentStatus::Asleep)
        }
        ProvisionerEvent::DeploymentFailed(deployment) => {
            deployed(db, deployment, EnvironmentStatus::Failed)
        }
        ProvisionerEvent::DeploymentAsleep(deployment) => {
            deployed(db, deployment, EnvironmentStatus::Asleep)
        }
        ProvisionerEvent::DeploymentStopped(deployment) => {
            deployed(db, deployment, EnvironmentStatus::Stopped)
        }
    }
}

fn apply(db: &mut Db, progress: &BuildProgress, now: Time) -> Result<(), HandlerError> {
    if !store::set_progress(db, progress)? {
        // Removed for good since: nobody can ask for it any more.
        tracing::debug!(build.id = %progress.build_id, "a build that is gone has news");
    }
    Ok(previews::built(db, &progress.build_id, now)?)
}

fn deployed(
    db: &mut Db,
    deployment: &Deployment,
    status: EnvironmentStatus,
) -> Result<(), HandlerError> {
    Ok(set_deployment(db, deployment, status)?)
}
