//! What accounts' events mean for projects.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{AccountEvent, Envelope};
use common::time::Time;

/// Deletes what a deleted account had.
pub(crate) fn on_account(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        AccountEvent::AccountDeleted(account) => {
            Ok(super::close_account(db, &account.account_id, now)?)
        }
        AccountEvent::UserCreated(_)
        | AccountEvent::UserDeleted(_)
        | AccountEvent::AccountCreated(_)
        | AccountEvent::AccountUpdated(_)
        | AccountEvent::MemberAdded(_)
        | AccountEvent::MemberChanged(_)
        | AccountEvent::MemberRemoved(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => Ok(()),
    }
}
