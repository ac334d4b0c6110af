//! What the provisioner does when it hears of projects.

use chassis::db::Db;
use chassis::events::{HandlerError, Handlers};
use common::event::{Envelope, ProjectEvent};
use common::time::{Span, Time};

use crate::settings::AppsSettings;
use crate::{builds, deployments, teardown};

/// The handlers.
pub(crate) fn handlers(apps: &AppsSettings) -> Handlers {
    let keep = Span::from_std(apps.keep_deleted.0).unwrap_or(Span::days(7));
    Handlers::new().on::<ProjectEvent>("builds", move |db, envelope, now| {
        handle(db, envelope, keep, now)
    })
}

fn handle(
    db: &mut Db,
    envelope: &Envelope<ProjectEvent>,
    keep: Span,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProjectEvent::BuildRequested(request) => builds::events::on_request(db, request, now)?,
        ProjectEvent::EnvironmentCreated(environment)
        | ProjectEvent::EnvironmentUpdated(environment) => {
            deployments::store::learn_settings(db, environment, now)?;
        }
        ProjectEvent::EnvironmentDeleted(environment) => {
            teardown::on_deleted(db, environment, keep, now)?;
        }
        // Each of its environments is told of by itself.
        ProjectEvent::ProjectDeleted(_)
        | ProjectEvent::ProjectCreated(_)
        | ProjectEvent::ProjectUpdated(_)
        | ProjectEvent::ServicePublished(_)
        | ProjectEvent::ServiceWithdrawn(_)
        | ProjectEvent::DomainVerified(_)
        | ProjectEvent::DomainDropped(_)
        | ProjectEvent::WebhookDisabled(_)
        | ProjectEvent::PreviewChanged(_) => {}
    }
    Ok(())
}
