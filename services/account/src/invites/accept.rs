//! Accepting an invite.

use chassis::db::Db;
use common::event::AccountEvent;
use common::id::{InviteId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::result::Error;

use super::{Invite, Standing, record, store};
use crate::access::Right;
use crate::accounts::{self, Account, ChangeError, Origin};
use crate::members::{self, Member};

/// Who accepts.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The identity's address, where the invite asks for one.
    pub email: Option<String>,
    /// Whether the person has shown that the address is hers.
    pub email_verified: bool,
}

/// What is known of the one who invited, beside her membership.
#[derive(Clone, Copy, Debug)]
pub struct Inviter {
    /// Whether she is an admin still.
    pub is_admin: bool,
}

/// What came of accepting.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The account.
    pub account: Account,
    /// The membership.
    pub member: Member,
}

/// Why an invite can't be accepted; each says which.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// There is no such invite, or its account is gone.
    #[error("no such invite")]
    Unknown,
    /// Its time is over.
    #[error("the invite has expired")]
    Expired,
    /// It was taken back.
    #[error("the invite was revoked")]
    Revoked,
    /// All its uses are used.
    #[error("the invite is used up")]
    UsedUp,
    /// It is for another address.
    #[error("the invite is for another email")]
    OtherEmail,
    /// The address has not been shown to be the caller's.
    #[error("the email is not verified")]
    EmailNotVerified,
    /// Whoever invited may not do so any more.
    #[error("the inviter may not give the role any more")]
    InviterLostRight,
    /// The database failed.
    #[error("the invite could not be accepted")]
    Db(#[from] Error),
}

impl From<ChangeError> for AcceptError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown | ChangeError::Stale => Self::Unknown,
            ChangeError::Db(error) => Self::Db(error),
        }
    }
}

/// Makes the caller a member. Accepting again changes nothing, as long as she is one.
pub fn accept(
    db: &mut Db,
    id: &InviteId,
    caller: &Caller,
    inviter: Inviter,
    origin: &Origin,
    now: Time,
) -> Result<Acceptance, AcceptError> {
    let account_id = store::find(db, id)?.ok_or(AcceptError::Unknown)?.account_id;
    let account = accounts::lock_and_find(db, &account_id)?;
    // Read again under the lock: another may have used it up in between.
    let mut invite = store::find(db, id)?.ok_or(AcceptError::Unknown)?;
    if store::was_used_by(db, id, &caller.user_id)? {
        let member = members::store::find(db, &account_id, &caller.user_id)?;
        // Who was removed since doesn't come back by the same invite.
        let member = member
            .filter(|member| member.role.is_some())
            .ok_or(AcceptError::UsedUp)?;
        return Ok(Acceptance { account, member });
    }
    check(db, &invite, caller, inviter, now)?;
    invite.uses += 1;
    invite.version += 1;
    store::update(db, &invite)?;
    store::insert_use(db, id, &caller.user_id, now)?;
    let member = match members::join(db, &account_id, &caller.user_id, invite.role, now) {
        // She was deleted in this moment; what was noted above goes back.
        Err(Error::NotFound) => return Err(AcceptError::Unknown),
        joined => joined?,
    };
    let state = invite.state(Some(&caller.user_id));
    chassis::events::emit(db, AccountEvent::InviteAccepted(state), invite.version, now)?;
    record(db, &invite, "invite.accepted", origin, now)?;
    Ok(Acceptance { account, member })
}

fn check(
    db: &mut Db,
    invite: &Invite,
    caller: &Caller,
    inviter: Inviter,
    now: Time,
) -> Result<(), AcceptError> {
    match invite.standing(now) {
        Standing::Pending => {}
        Standing::Accepted => return Err(AcceptError::UsedUp),
        Standing::Revoked => return Err(AcceptError::Revoked),
        Standing::Expired => return Err(AcceptError::Expired),
    }
    if let Some(email) = &invite.email {
        if caller.email.as_ref() != Some(email) {
            return Err(AcceptError::OtherEmail);
        }
        if !caller.email_verified {
            return Err(AcceptError::EmailNotVerified);
        }
    }
    if may_still_give(db, invite, inviter)? {
        Ok(())
    } else {
        Err(AcceptError::InviterLostRight)
    }
}

fn may_still_give(db: &mut Db, invite: &Invite, inviter: Inviter) -> Result<bool, Error> {
    let Some(user_id) = &invite.inviter_user_id else {
        return Ok(inviter.is_admin);
    };
    let (role, _) = members::store::standing(db, &invite.account_id, user_id)?;
    Ok(role.is_some_and(|role: Role| {
        Right::Member {
            user_id: user_id.clone(),
            role,
        }
        .may_give(invite.role)
    }))
}
