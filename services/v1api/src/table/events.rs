//! What the gateway learns from the other services' events.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{AccountEvent, Envelope, ProjectEvent, ProvisionerEvent};
use common::time::Time;

use super::store;

/// Environments, publications and domains.
pub(crate) fn on_project(
    db: &mut Db,
    envelope: &Envelope<ProjectEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProjectEvent::EnvironmentCreated(state)
        | ProjectEvent::EnvironmentUpdated(state)
        | ProjectEvent::EnvironmentDeleted(state) => store::put_environment(db, state)?,
        ProjectEvent::ServicePublished(state) | ProjectEvent::ServiceWithdrawn(state) => {
            if !store::put_publication(db, state, now)? {
                tracing::warn!(service.name = %state.name, "a publication's name is taken by an upstream that an admin named");
            }
        }
        ProjectEvent::DomainVerified(state) | ProjectEvent::DomainDropped(state) => {
            store::put_domain(db, state)?;
        }
        ProjectEvent::ProjectCreated(_)
        | ProjectEvent::ProjectUpdated(_)
        | ProjectEvent::ProjectDeleted(_)
        | ProjectEvent::BuildRequested(_)
        | ProjectEvent::WebhookDisabled(_)
        | ProjectEvent::PreviewChanged(_) => {}
    }
    Ok(())
}

/// Where environments are reached.
pub(crate) fn on_provisioner(
    db: &mut Db,
    envelope: &Envelope<ProvisionerEvent>,
    _: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProvisionerEvent::DeploymentLive(deployment)
        | ProvisionerEvent::DeploymentFailed(deployment)
        | ProvisionerEvent::DeploymentRolledBack(deployment)
        | ProvisionerEvent::DeploymentAsleep(deployment)
        | ProvisionerEvent::DeploymentStopped(deployment) => store::put_deployment(db, deployment)?,
        ProvisionerEvent::BuildStarted(_)
        | ProvisionerEvent::BuildProgressed(_)
        | ProvisionerEvent::BuildSucceeded(_)
        | ProvisionerEvent::BuildFailed(_)
        | ProvisionerEvent::BuildCancelled(_) => {}
    }
    Ok(())
}

/// Who is a member of what. The copy and the note that it has changed commit together, so that
/// nobody who sees the note reads the copy of before.
pub(crate) fn on_account(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    chassis::members::handle(db, envelope, now)?;
    match &envelope.event {
        AccountEvent::MemberAdded(_)
        | AccountEvent::MemberChanged(_)
        | AccountEvent::MemberRemoved(_) => Ok(store::members_changed(db)?),
        AccountEvent::UserCreated(_)
        | AccountEvent::UserDeleted(_)
        | AccountEvent::AccountCreated(_)
        | AccountEvent::AccountUpdated(_)
        | AccountEvent::AccountDeleted(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => Ok(()),
    }
}
