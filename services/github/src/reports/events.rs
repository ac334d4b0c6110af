//! What is heard of builds. Only those of accounts with an installation are kept.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{
    BuildProgress, BuildRequested, BuildState, Envelope, EnvironmentKind, ProjectEvent,
    ProvisionerEvent,
};
use common::id::{AccountId, BuildId};
use common::names::RepoOwner;
use common::time::Time;
use diesel::QueryResult;

use super::{Report, keep, outdated, store};
use crate::installations;
use crate::storage::Holder;

/// What was asked for.
pub(crate) fn on_project(
    db: &mut Db,
    envelope: &Envelope<ProjectEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProjectEvent::BuildRequested(build) => Ok(requested(db, build, now)?),
        ProjectEvent::EnvironmentDeleted(gone) if gone.kind != EnvironmentKind::Standard => {
            Ok(outdated::gone(db, gone, now)?)
        }
        ProjectEvent::PreviewChanged(preview) => Ok(outdated::changed(db, preview, now)?),
        ProjectEvent::ProjectCreated(_)
        | ProjectEvent::ProjectUpdated(_)
        | ProjectEvent::ProjectDeleted(_)
        | ProjectEvent::EnvironmentCreated(_)
        | ProjectEvent::EnvironmentUpdated(_)
        | ProjectEvent::EnvironmentDeleted(_)
        | ProjectEvent::ServicePublished(_)
        | ProjectEvent::ServiceWithdrawn(_)
        | ProjectEvent::DomainVerified(_)
        | ProjectEvent::DomainDropped(_)
        | ProjectEvent::WebhookDisabled(_) => Ok(()),
    }
}

/// What becomes of it.
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
        | ProvisionerEvent::BuildCancelled(progress) => Ok(progressed(db, progress, now)?),
        ProvisionerEvent::DeploymentLive(_)
        | ProvisionerEvent::DeploymentFailed(_)
        | ProvisionerEvent::DeploymentRolledBack(_)
        | ProvisionerEvent::DeploymentAsleep(_)
        | ProvisionerEvent::DeploymentStopped(_) => Ok(()),
    }
}

/// What is known of a build, if anything may have to be told of it.
fn known(
    db: &mut Db,
    build: &BuildId,
    account: &AccountId,
    now: Time,
) -> QueryResult<Option<Report>> {
    chassis::db::lock(db, &format!("report:{build}"))?;
    if let Some(known) = store::find(db, build)? {
        return Ok(Some(known));
    }
    let is_connected = !installations::store::of_account(db, account)?.is_empty();
    Ok(is_connected.then(|| Report::new(build, account, now)))
}

fn requested(db: &mut Db, build: &BuildRequested, now: Time) -> QueryResult<()> {
    let source = &build.source;
    let here = RepoOwner::parse(&source.owner).map_or(true, |owner| {
        matches!(Holder::of(&owner), Holder::Account(_))
    });
    // A roll-back runs what was built before; its commit has been told of.
    if here || build.rollback_to.is_some() {
        return Ok(());
    }
    let environment = &build.environment;
    let Some(mut report) = known(db, &build.build_id, &environment.account_id, now)? else {
        return Ok(());
    };
    report.project_id = Some(environment.project_id.clone());
    report.environment = Some(environment.name.clone());
    report.preview = environment.kind != EnvironmentKind::Standard;
    report.environment_id = Some(environment.environment_id.clone());
    report.label = Some(environment.label.clone());
    report.owner = Some(source.owner.clone());
    report.repo = Some(source.repo.clone());
    keep(db, &report, now)
}

fn progressed(db: &mut Db, progress: &BuildProgress, now: Time) -> QueryResult<()> {
    if progress.state == BuildState::Queued {
        return Ok(());
    }
    let Some(mut report) = known(db, &progress.build_id, &progress.account_id, now)? else {
        return Ok(());
    };
    report.state = progress.state;
    report.commit_id.clone_from(&progress.commit);
    keep(db, &report, now)
}
