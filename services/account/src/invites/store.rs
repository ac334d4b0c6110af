//! Queries of invites.

use chassis::db::Db;
use common::id::{AccountId, IdentityId, InviteId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::prelude::*;

use super::Invite;
use crate::schema::{invite_uses, invites};

#[derive(Queryable, Selectable)]
#[diesel(table_name = invites)]
struct Row {
    id: InviteId,
    account_id: AccountId,
    role: Role,
    email: Option<String>,
    max_uses: i64,
    uses: i64,
    inviter_identity_id: IdentityId,
    inviter_user_id: Option<UserId>,
    version: i64,
    created_at: Time,
    expires_at: Time,
    revoked_at: Option<Time>,
}

impl From<Row> for Invite {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            role: row.role,
            email: row.email,
            max_uses: row.max_uses,
            uses: row.uses,
            inviter_identity_id: row.inviter_identity_id,
            inviter_user_id: row.inviter_user_id,
            version: row.version,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// The invite of this id.
pub fn find(db: &mut Db, id: &InviteId) -> QueryResult<Option<Invite>> {
    let row = invites::table
        .find(id)
        .select(Row::as_select())
        .first(db)
        .optional()?;
    Ok(row.map(Into::into))
}

/// Up to `limit` invites of an account, newest first, after the invite `after`.
pub fn list(
    db: &mut Db,
    account: &AccountId,
    after: Option<&InviteId>,
    limit: i64,
) -> QueryResult<Vec<Invite>> {
    let mut query = invites::table
        .filter(invites::account_id.eq(account))
        .select(Row::as_select())
        .order(invites::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(invites::id.lt(after));
    }
    Ok(query.load(db)?.into_iter().map(Row::into).collect())
}

/// All that an identity made, newest first.
pub fn made_by(db: &mut Db, inviter: &IdentityId) -> QueryResult<Vec<Invite>> {
    let rows = invites::table
        .filter(invites::inviter_identity_id.eq(inviter))
        .select(Row::as_select())
        .order(invites::id.desc())
        .load(db)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// What an identity made, anywhere and as whatever, that can still be accepted or has expired.
pub fn open_of_identity(db: &mut Db, inviter: &IdentityId) -> QueryResult<Vec<Invite>> {
    let rows = invites::table
        .filter(
            invites::inviter_identity_id
                .eq(inviter)
                .and(invites::revoked_at.is_null())
                .and(invites::uses.lt(invites::max_uses)),
        )
        .select(Row::as_select())
        .load(db)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// The same of what a member made to an account.
pub fn open_of_member(
    db: &mut Db,
    account: &AccountId,
    inviter: &UserId,
) -> QueryResult<Vec<Invite>> {
    let rows = invites::table
        .filter(
            invites::inviter_user_id
                .eq(inviter)
                .and(invites::account_id.eq(account))
                .and(invites::revoked_at.is_null())
                .and(invites::uses.lt(invites::max_uses)),
        )
        .select(Row::as_select())
        .load(db)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// Whether this user has used the invite.
pub fn was_used_by(db: &mut Db, invite: &InviteId, user: &UserId) -> QueryResult<bool> {
    let found = invite_uses::table
        .find((invite, user))
        .select(invite_uses::used_at)
        .first::<Time>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Notes who used the invite.
pub fn insert_use(db: &mut Db, invite: &InviteId, user: &UserId, now: Time) -> QueryResult<()> {
    diesel::insert_into(invite_uses::table)
        .values((
            invite_uses::invite_id.eq(invite),
            invite_uses::user_id.eq(user),
            invite_uses::used_at.eq(now),
        ))
        .execute(db)?;
    Ok(())
}

/// Keeps a new invite.
pub fn insert(db: &mut Db, invite: &Invite) -> QueryResult<()> {
    diesel::insert_into(invites::table)
        .values((
            invites::id.eq(&invite.id),
            invites::account_id.eq(&invite.account_id),
            invites::role.eq(invite.role),
            invites::email.eq(&invite.email),
            invites::max_uses.eq(invite.max_uses),
            invites::uses.eq(invite.uses),
            invites::inviter_identity_id.eq(&invite.inviter_identity_id),
            invites::inviter_user_id.eq(&invite.inviter_user_id),
            invites::version.eq(invite.version),
            invites::created_at.eq(invite.created_at),
            invites::expires_at.eq(invite.expires_at),
            invites::revoked_at.eq(invite.revoked_at),
        ))
        .execute(db)?;
    Ok(())
}

/// Keeps a changed invite, whose version is one above what is kept. Under the account's lock it
/// can't be another.
pub fn update(db: &mut Db, invite: &Invite) -> QueryResult<()> {
    let changed = diesel::update(invites::table.find(&invite.id))
        .filter(invites::version.eq(invite.version - 1))
        .set((
            invites::uses.eq(invite.uses),
            invites::version.eq(invite.version),
            invites::revoked_at.eq(invite.revoked_at),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}
