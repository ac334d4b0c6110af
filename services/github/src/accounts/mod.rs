//! Accounts that were deleted: their repositories are hidden at once, and removed after the time
//! in which the account can come back.

use chassis::db::Db;
use chassis::events::HandlerError;
use chassis::on_backend;
use common::event::{AccountEvent, AccountState, Envelope};
use common::id::AccountId;
use common::time::{Span, Time};
use diesel::prelude::*;

use crate::repositories::pushing::PushError;
use crate::schema::closed_accounts;
use crate::storage::Storage;
use crate::{comments, installations, repositories};

/// How long a deleted account's repositories are kept.
const KEPT: Span = Span::days(7);

/// Notes which accounts are deleted.
pub(crate) fn handle(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        AccountEvent::AccountCreated(account)
        | AccountEvent::AccountUpdated(account)
        | AccountEvent::AccountDeleted(account) => Ok(note(db, account, now)?),
        AccountEvent::UserCreated(_)
        | AccountEvent::UserDeleted(_)
        | AccountEvent::MemberAdded(_)
        | AccountEvent::MemberChanged(_)
        | AccountEvent::MemberRemoved(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => Ok(()),
    }
}

fn note(db: &mut Db, account: &AccountState, now: Time) -> QueryResult<()> {
    if !account.deleted {
        return diesel::delete(closed_accounts::table.find(&account.account_id))
            .execute(db)
            .map(drop);
    }
    let row = (
        closed_accounts::account_id.eq(&account.account_id),
        closed_accounts::closed_at.eq(now),
    );
    on_backend!(db, conn => {
        diesel::insert_into(closed_accounts::table).values(row).on_conflict_do_nothing().execute(conn)
    })?;
    Ok(())
}

/// Whether an account is deleted.
pub(crate) fn is_closed(db: &mut Db, account: &AccountId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(closed_accounts::table.find(account))).get_result(db)
}

/// The accounts whose time to come back is over and whose repositories are still there.
fn due(db: &mut Db, now: Time) -> QueryResult<Vec<AccountId>> {
    closed_accounts::table
        .filter(closed_accounts::closed_at.lt(now - KEPT))
        .filter(closed_accounts::removed.eq(false))
        .select(closed_accounts::account_id)
        .limit(100)
        .load(db)
}

/// Removes what is kept of accounts for long enough.
pub(crate) async fn remove_due(
    db: &chassis::db::Database,
    storage: &Storage,
    now: Time,
) -> Result<(), PushError> {
    for account in db.read(move |db| due(db, now)).await? {
        storage.remove_account(&account).await?;
        tracing::info!(account.id = %account, "the repositories of a deleted account are removed");
        db.write(move |db| {
            repositories::delete_account(db, &account)?;
            installations::store::unlink_account(db, &account)?;
            comments::store::remove_of(db, &account)?;
            diesel::update(closed_accounts::table.find(&account))
                .set(closed_accounts::removed.eq(true))
                .execute(db)
                .map(drop)
        })
        .await?;
    }
    Ok(())
}
