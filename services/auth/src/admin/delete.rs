//! Deleting an identity.
//!
//! Whether a person may go is for account to say, which knows what she owns: so her user goes
//! first, in one transaction with her memberships, and from then on there is no way back. A crash
//! before the identity has gone too is repaired by account's `user.deleted`.

use chassis::calls::CallError;
use chassis::db::Db;
use common::api::account::{Departed, Departure};
use common::id::IdentityId;
use common::problem::Problem;
use common::time::Time;
use common::token::ActorType;
use diesel::result::Error;
use serde_json::json;

use super::{AdminError, Origin, check_admin_remains, lock_and_find};
use crate::identities::{self, Identity, Realm, store};
use crate::state::State;

/// Why an identity isn't deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// A rule of identities.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// Accounts would be left without an owner; the problem names them.
    #[error("accounts would be left without an owner")]
    LastOwner(Box<Problem>),
    /// account could not be asked.
    #[error("account could not be asked")]
    Call(#[source] CallError),
}

impl From<Error> for DeleteError {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<CallError> for DeleteError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Problem { problem, .. } if problem.code == "last_owner" => {
                Self::LastOwner(Box::new(problem))
            }
            error => Self::Call(error),
        }
    }
}

/// Deletes an identity with its user, her memberships and all that hangs on it; with `force` also
/// where that leaves accounts to the operators.
pub async fn delete(
    state: &State,
    id: &IdentityId,
    force: bool,
    origin: Origin,
) -> Result<(), DeleteError> {
    let wanted = id.clone();
    let identity = state.db.read(move |db| store::find(db, &wanted)).await?;
    let identity = identity.ok_or(AdminError::Unknown)?;
    if identity.realm == Realm::Platform {
        depart(state, &identity, force, &origin).await?;
    }
    let (id, now) = (id.clone(), state.clock.now());
    let finish = move |db: &mut Db| remove(db, &id, &origin, now);
    Ok(state.db.write(finish).await?)
}

/// Ends the user. An admin is none from before that point on: of two who delete each other at
/// once, the other is then the last.
async fn depart(
    state: &State,
    identity: &Identity,
    force: bool,
    origin: &Origin,
) -> Result<(), DeleteError> {
    leave(state, &identity.id, force, true).await?;
    let was_admin = identity.actors.contains(&ActorType::Admin);
    if was_admin {
        change(state, identity, origin, super::withdraw).await?;
    }
    let left = leave(state, &identity.id, force, false).await;
    if left.is_err() && was_admin {
        change(state, identity, origin, super::grant).await?;
    }
    left
}

async fn leave(
    state: &State,
    id: &IdentityId,
    force: bool,
    only_ask: bool,
) -> Result<(), DeleteError> {
    let path = format!("/internal/identities/{id}/departure");
    let departure = Departure { force, only_ask };
    let _: Departed = state.calls.post("account", &path, &departure).await?;
    Ok(())
}

type Change = fn(&mut Db, &IdentityId, ActorType, &Origin, Time) -> Result<Identity, AdminError>;

async fn change(
    state: &State,
    identity: &Identity,
    origin: &Origin,
    change: Change,
) -> Result<(), DeleteError> {
    let (id, origin, now) = (identity.id.clone(), origin.clone(), state.clock.now());
    state
        .db
        .write(move |db| change(db, &id, ActorType::Admin, &origin, now))
        .await?;
    Ok(())
}

fn remove(db: &mut Db, id: &IdentityId, origin: &Origin, now: Time) -> Result<(), AdminError> {
    let known = match lock_and_find(db, id) {
        Ok(known) => known,
        // account's event was quicker, and told the same.
        Err(AdminError::Unknown) => return Ok(()),
        Err(error) => return Err(error),
    };
    check_admin_remains(db, &known)?;
    let details = json!({ "user_id": known.user_id });
    origin.record(db, "identity.deleted", id, details, now)?;
    identities::delete(db, id, now)?;
    Ok(())
}
