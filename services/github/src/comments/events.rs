//! What is heard of previews.

use chassis::db::Db;
use chassis::events::HandlerError;
use chassis::jobs::{self, NewJob};
use common::event::{Envelope, PreviewState, ProjectEvent};
use common::time::Time;
use diesel::QueryResult;
use serde_json::json;

use super::{Comment, JOB, Task, store};
use crate::installations;

/// Keeps how previews stand, and has their comments say so.
pub(crate) fn on_project(
    db: &mut Db,
    envelope: &Envelope<ProjectEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        ProjectEvent::PreviewChanged(preview) => {
            Ok(changed(db, preview, envelope.aggregateversion, now)?)
        }
        ProjectEvent::ProjectDeleted(_)
        | ProjectEvent::ProjectCreated(_)
        | ProjectEvent::ProjectUpdated(_)
        | ProjectEvent::EnvironmentCreated(_)
        | ProjectEvent::EnvironmentUpdated(_)
        | ProjectEvent::EnvironmentDeleted(_)
        | ProjectEvent::BuildRequested(_)
        | ProjectEvent::ServicePublished(_)
        | ProjectEvent::ServiceWithdrawn(_)
        | ProjectEvent::DomainVerified(_)
        | ProjectEvent::DomainDropped(_)
        | ProjectEvent::WebhookDisabled(_) => Ok(()),
    }
}

fn changed(db: &mut Db, preview: &PreviewState, version: i64, now: Time) -> QueryResult<()> {
    if installations::store::of_account(db, &preview.account_id)?.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string(preview)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let comment = Comment {
        project_id: preview.project_id.clone(),
        number: preview.number,
        account_id: preview.account_id.clone(),
        preview: text,
        version,
        comment_id: None,
        said: None,
    };
    store::save(db, &comment)?;
    let subject = format!("{}/{}", preview.project_id, preview.number);
    let job = NewJob {
        kind: JOB,
        key: format!("{subject}/{version}"),
        group: Some(subject),
        payload: json!(Task {
            project: preview.project_id.clone(),
            number: preview.number,
        }),
        run_at: now,
        // What a comment says is read when its turn comes.
        supersede: true,
    };
    jobs::enqueue(db, &job, now).map(drop)
}
