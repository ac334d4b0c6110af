//! What other services tell, and what that means to identities.

use chassis::audit::Entry;
use chassis::db::Db;
use chassis::events::HandlerError;
use chassis::http::ClientAddress;
use common::event::{AccountEvent, Envelope};
use common::time::Time;
use common::token::ActorType;
use serde_json::Value;

use super::LinkError;
use crate::admin;

/// Links a new user to its identity, and removes the identity of one who was deleted, in case
/// account could not say so itself.
pub fn on_account_event(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        AccountEvent::UserCreated(user) => {
            match super::link_user(db, &user.identity_id, &user.user_id, now) {
                // An identity that is gone needs no link; account hears that it is gone.
                Ok(()) | Err(LinkError::Unknown) => Ok(()),
                Err(LinkError::Db(error)) => Err(error.into()),
                Err(error @ LinkError::Taken) => Err(HandlerError::permanent(error.to_string())),
            }
        }
        AccountEvent::UserDeleted(user) => {
            let by = Entry {
                actor: user.user_id.as_str(),
                actor_type: ActorType::Euser,
                action: "identity.deleted",
                subject: user.identity_id.as_str(),
                account_id: None,
                address: ClientAddress(None),
                details: Value::Null,
            };
            admin::remove_departed(db, &user.identity_id, &by, now)?;
            Ok(())
        }
        AccountEvent::AccountCreated(_)
        | AccountEvent::AccountUpdated(_)
        | AccountEvent::AccountDeleted(_)
        | AccountEvent::MemberAdded(_)
        | AccountEvent::MemberChanged(_)
        | AccountEvent::MemberRemoved(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => Ok(()),
    }
}
