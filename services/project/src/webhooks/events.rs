//! What is heard becomes deliveries, in the transaction that hears it.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{AccountEvent, Envelope, ProjectEvent, ProvisionerEvent};
use common::id::EventId;
use common::time::Time;
use diesel::QueryResult;

use super::deliveries::{BACKLOG, Delivery};
use super::message::{self, Message};
use super::{delivery_store, store};
use crate::builds;

/// Projects, environments, domains, and what becomes of webhooks.
pub(crate) fn on_project(
    db: &mut Db,
    envelope: &Envelope<ProjectEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let Some(message) = message::of_project(&envelope.event) else {
        return Ok(());
    };
    Ok(queue(db, &message, (&envelope.id, envelope.time), now)?)
}

/// Builds and deployments.
pub(crate) fn on_provisioner(
    db: &mut Db,
    envelope: &Envelope<ProvisionerEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let project = match &envelope.event {
        ProvisionerEvent::BuildStarted(build)
        | ProvisionerEvent::BuildProgressed(build)
        | ProvisionerEvent::BuildSucceeded(build)
        | ProvisionerEvent::BuildFailed(build)
        | ProvisionerEvent::BuildCancelled(build) => {
            builds::store::project_of(db, &build.build_id)?
        }
        ProvisionerEvent::DeploymentLive(_)
        | ProvisionerEvent::DeploymentFailed(_)
        | ProvisionerEvent::DeploymentRolledBack(_)
        | ProvisionerEvent::DeploymentAsleep(_)
        | ProvisionerEvent::DeploymentStopped(_) => None,
    };
    let message = message::of_provisioner(&envelope.event, project.as_ref());
    Ok(queue(db, &message, (&envelope.id, envelope.time), now)?)
}

/// Members.
pub(crate) fn on_account(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let Some(message) = message::of_account(&envelope.event) else {
        return Ok(());
    };
    Ok(queue(db, &message, (&envelope.id, envelope.time), now)?)
}

/// Makes a delivery for each webhook that wants it. The event's own id is the message's, so that one
/// event is one message, however often it comes here.
pub(super) fn queue(
    db: &mut Db,
    message: &Message,
    (id, at): (&EventId, Time),
    now: Time,
) -> QueryResult<()> {
    let webhooks = store::enabled(db, &message.account_id)?;
    let payload = message.payload(at);
    for webhook in webhooks {
        if !webhook.event_types.want(message.event_type) {
            continue;
        }
        if delivery_store::waiting(db, &webhook.id)? >= BACKLOG {
            // Whoever is that far behind asks for the state of things anyway when she is back.
            store::count_dropped(db, &webhook.id)?;
            continue;
        }
        let what = (id, message.event_type);
        let delivery = Delivery::new(&webhook.id, &webhook.account_id, what, &payload, now);
        delivery_store::insert(db, &delivery)?;
    }
    Ok(())
}
