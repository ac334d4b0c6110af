//! A user goes: by her own wish, or an operator's.
//!
//! Here is the point of no return. One transaction ends the user, her memberships and the invites she
//! made, or nothing at all where an account would be left without an owner. Her identity, and her
//! API keys at the gateway, follow: by a call at once, or else by the event.

use chassis::audit::{self, Entry};
use chassis::db::Db;
use common::event::{AccountEvent, MemberState};
use common::id::{AccountId, IdentityId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::result::Error;
use serde_json::json;

use super::{User, store};
use crate::accounts;
use crate::invites;
use crate::members;

/// Why a user doesn't go.
#[derive(Debug, thiserror::Error)]
pub enum DepartureError {
    /// These accounts would be left without an owner.
    #[error("{} accounts would be left without an owner", .0.len())]
    LastOwner(Vec<AccountId>),
    /// The database failed.
    #[error("the user could not be deleted")]
    Db(#[from] Error),
}

/// The accounts that have no other owner than this user.
pub fn owned_alone(db: &mut Db, user: &UserId) -> Result<Vec<AccountId>, Error> {
    let mut alone = Vec::new();
    for (account, role) in accounts::store::all_of_user(db, user)? {
        if role == Role::Owner && members::store::count_owners(db, &account.id)? <= 1 {
            alone.push(account.id);
        }
    }
    Ok(alone)
}

/// Tells whether a user could go.
pub fn check(db: &mut Db, user: &UserId, force: bool) -> Result<(), DepartureError> {
    if force {
        return Ok(());
    }
    let alone = owned_alone(db, user)?;
    if alone.is_empty() {
        Ok(())
    } else {
        Err(DepartureError::LastOwner(alone))
    }
}

/// Ends the user of an identity; answers her as she was, or none if there is none any more.
pub fn depart(
    db: &mut Db,
    identity: &IdentityId,
    force: bool,
    by: &Entry<'_>,
    now: Time,
) -> Result<Option<User>, DepartureError> {
    chassis::db::lock(db, &format!("identity:{identity}"))?;
    let Some(mut user) = store::by_identity(db, identity)? else {
        return Ok(None);
    };
    lock_accounts(db, &user)?;
    check(db, &user.id, force)?;
    end_memberships(db, &user.id, by, now)?;
    let made = invites::store::open_of_identity(db, identity)?;
    invites::revoke_all(db, made, by, now)?;
    user.version += 1;
    if store::mark_deleted(db, &user, now)? == 0 {
        return Err(Error::NotFound.into());
    }
    let deleted = AccountEvent::UserDeleted(user.state(true));
    chassis::events::emit(db, deleted, user.version, now)?;
    let subject = user.id.to_string();
    let entry = Entry {
        subject: &subject,
        ..by.clone()
    };
    audit::record(db, &entry, now)?;
    Ok(Some(user))
}

/// Keeps every other change of her accounts, and of those she has invited to, waiting. In one order, so
/// that two who go at once don't wait for one another; whoever makes her a member of another
/// account meanwhile waits for the lock of hers, and finds her gone.
fn lock_accounts(db: &mut Db, user: &User) -> Result<(), Error> {
    let mut accounts = members::store::accounts_of(db, &user.id)?;
    let made = invites::store::open_of_identity(db, &user.identity_id)?;
    accounts.extend(made.into_iter().map(|invite| invite.account_id));
    accounts.sort();
    accounts.dedup();
    for account in accounts {
        chassis::db::lock(db, &format!("account:{account}"))?;
    }
    store::lock(db, &user.id)
}

/// Also those in accounts that were deleted, which may be brought back.
fn end_memberships(db: &mut Db, user: &UserId, by: &Entry<'_>, now: Time) -> Result<(), Error> {
    for mut member in members::store::all_of_user(db, user)? {
        let role = member.role.take();
        member.version += 1;
        members::store::update(db, &member, now)?;
        let state = MemberState {
            account_id: member.account_id.clone(),
            user_id: member.user_id.clone(),
            role: None,
        };
        chassis::events::emit(db, AccountEvent::MemberRemoved(state), member.version, now)?;
        let entry = Entry {
            action: "member.removed",
            subject: user.as_str(),
            account_id: Some(&member.account_id),
            details: json!({ "role": role, "because": "user.deleted" }),
            ..by.clone()
        };
        audit::record(db, &entry, now)?;
    }
    Ok(())
}
