//! What auth tells, and what that means to users.
//!
//! No event carries an address: that an identity has another one makes a job that asks for it.

use chassis::audit::Entry;
use chassis::db::Db;
use chassis::events::{HandlerError, Handlers};
use chassis::http::ClientAddress;
use chassis::jobs::{self, Job, JobContext, JobError, JobResult, NewJob, Workers};
use common::api::auth::Identity;
use common::event::{AuthEvent, Envelope};
use common::id::IdentityId;
use common::time::Time;
use common::token::ActorType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::departure::{self, DepartureError};
use super::store;
use crate::state::State;

/// The kind of the job.
const TAKE_EMAIL: &str = "take-email";
/// How often it is tried: auth may be away for a while.
const ATTEMPTS: u32 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    identity_id: IdentityId,
}

/// What is done on events.
#[must_use]
pub fn handlers() -> Handlers {
    Handlers::new()
        .on::<AuthEvent>("emails", on_email_changed)
        .on::<AuthEvent>("users", on_identity_deleted)
}

/// What is done for jobs.
#[must_use]
pub fn workers(state: State) -> Workers {
    Workers::new().worker(TAKE_EMAIL, 1, ATTEMPTS, move |job, cx| {
        take_email(state.clone(), job, cx)
    })
}

fn on_email_changed(
    db: &mut Db,
    envelope: &Envelope<AuthEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let AuthEvent::EmailChanged(identity) = &envelope.event else {
        return Ok(());
    };
    let job = NewJob {
        kind: TAKE_EMAIL,
        key: envelope.id.to_string(),
        group: Some(identity.identity_id.to_string()),
        payload: json!({ "identity_id": identity.identity_id }),
        run_at: now,
        supersede: true,
    };
    jobs::enqueue(db, &job, now)?;
    Ok(())
}

/// Asks auth for an identity's address, and gives it to its user.
async fn take_email(state: State, job: Job, cx: JobContext) -> JobResult {
    let Payload { identity_id } = job.payload()?;
    let path = format!("/internal/identities/{identity_id}");
    let identity: Option<Identity> = state
        .calls
        .get_opt("auth", &path)
        .await
        .map_err(JobError::retry)?;
    // One without an address, or that is gone by now, has none to give.
    let Some(email) = identity.and_then(|identity| identity.email) else {
        return Ok(());
    };
    cx.db
        .write(move |db| store::set_email(db, &identity_id, &email))
        .await
        .map(drop)
        .map_err(|error: diesel::result::Error| JobError::retry(error))
}

/// Ends the user of an identity that is gone. There is none left, but where she was made in the
/// very moment in which the identity was deleted; then nothing can be asked any more.
pub fn on_identity_deleted(
    db: &mut Db,
    envelope: &Envelope<AuthEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let AuthEvent::IdentityDeleted(identity) = &envelope.event else {
        return Ok(());
    };
    let by = Entry {
        actor: "auth",
        actor_type: ActorType::Service,
        action: "user.deleted",
        subject: identity.identity_id.as_str(),
        account_id: None,
        address: ClientAddress(None),
        details: Value::Null,
    };
    match departure::depart(db, &identity.identity_id, true, &by, now) {
        Ok(_) => Ok(()),
        Err(DepartureError::Db(error)) => Err(error.into()),
        Err(error @ DepartureError::LastOwner(_)) => {
            Err(HandlerError::permanent(error.to_string()))
        }
    }
}
