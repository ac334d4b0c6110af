//! The queries of installations.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{AccountId, UserId};
use common::time::Time;
use diesel::prelude::*;

use super::Installation;
use crate::schema::{installation_accounts, installations};

/// An installation.
pub(crate) fn find(db: &mut Db, id: i64) -> QueryResult<Option<Installation>> {
    installations::table
        .find(id)
        .select(Installation::as_select())
        .first(db)
        .optional()
}

/// Keeps a new one.
pub(crate) fn insert(db: &mut Db, installation: &Installation) -> QueryResult<()> {
    diesel::insert_into(installations::table)
        .values(installation)
        .execute(db)
        .map(drop)
}

/// Keeps what has changed.
pub(crate) fn update(db: &mut Db, installation: &Installation) -> QueryResult<()> {
    let changed = diesel::update(installations::table.find(installation.id))
        .set((
            installations::owner.eq(&installation.owner),
            installations::suspended.eq(installation.suspended),
            installations::removed.eq(installation.removed),
            installations::version.eq(installation.version),
            installations::updated_at.eq(installation.updated_at),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}

/// Makes it an account's; proving it again changes nothing.
pub(crate) fn link(
    db: &mut Db,
    id: i64,
    account: &AccountId,
    user: &UserId,
    now: Time,
) -> QueryResult<()> {
    let row = (
        installation_accounts::installation_id.eq(id),
        installation_accounts::account_id.eq(account),
        installation_accounts::proved_by.eq(user),
        installation_accounts::proved_at.eq(now),
    );
    on_backend!(db, conn => diesel::insert_into(installation_accounts::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))
    .map(drop)
}

/// Ends that it is an account's; whether it was.
pub(crate) fn unlink(db: &mut Db, id: i64, account: &AccountId) -> QueryResult<bool> {
    diesel::delete(installation_accounts::table.find((id, account)))
        .execute(db)
        .map(|gone| gone == 1)
}

/// Ends that it is anybody's.
pub(crate) fn unlink_all(db: &mut Db, id: i64) -> QueryResult<()> {
    diesel::delete(
        installation_accounts::table.filter(installation_accounts::installation_id.eq(id)),
    )
    .execute(db)
    .map(drop)
}

/// Ends all that an account has.
pub(crate) fn unlink_account(db: &mut Db, account: &AccountId) -> QueryResult<()> {
    diesel::delete(
        installation_accounts::table.filter(installation_accounts::account_id.eq(account)),
    )
    .execute(db)
    .map(drop)
}

/// The accounts whose it is.
pub(crate) fn accounts_of(db: &mut Db, id: i64) -> QueryResult<Vec<AccountId>> {
    installation_accounts::table
        .filter(installation_accounts::installation_id.eq(id))
        .order(installation_accounts::account_id.asc())
        .select(installation_accounts::account_id)
        .load(db)
}

/// An account's, by owner.
pub(crate) fn of_account(db: &mut Db, account: &AccountId) -> QueryResult<Vec<Installation>> {
    installations::table
        .inner_join(installation_accounts::table)
        .filter(installation_accounts::account_id.eq(account))
        .filter(installations::removed.eq(false))
        .order(installations::owner.asc())
        .select(Installation::as_select())
        .load(db)
}
