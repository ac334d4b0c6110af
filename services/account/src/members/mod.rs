//! Members: which user has which role in which account.
//!
//! Every change of an account's members holds the account's lock, so that two changes that each
//! leave an owner can't together leave none.

pub mod http;
pub mod source;
pub mod store;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use common::event::{AccountEvent, MemberState};
use common::id::{AccountId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::result::Error;
use serde_json::json;

use crate::access::Right;
use crate::accounts::{self, ChangeError, Origin};
use crate::{invites, users};

/// A member, or one who was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account_id: AccountId,
    /// The user.
    pub user_id: UserId,
    /// The role; none once the member is gone.
    pub role: Option<Role>,
    /// Goes up with each change, also after leaving and coming back.
    pub version: i64,
    /// When the user came, the last time.
    pub joined_at: Time,
}

impl Member {
    fn state(&self) -> MemberState {
        MemberState {
            account_id: self.account_id.clone(),
            user_id: self.user_id.clone(),
            role: self.role,
        }
    }
}

/// Why a member can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// There is no such account.
    #[error("no such account")]
    NoAccount,
    /// The user is no member.
    #[error("no such member")]
    Unknown,
    /// The account would be left without an owner.
    #[error("the last owner can't go")]
    LastOwner,
    /// Only owners change others.
    #[error("only an owner may do this to another member")]
    NotOwner,
    /// The database failed.
    #[error("the member could not be changed")]
    Db(#[from] Error),
}

impl From<ChangeError> for MemberError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown | ChangeError::Stale => Self::NoAccount,
            ChangeError::Db(error) => Self::Db(error),
        }
    }
}

/// Makes a user a member. One who is a member already keeps the higher of the two roles.
///
/// # Errors
/// [`Error::NotFound`] for a user who has been deleted.
pub fn join(
    db: &mut Db,
    account: &AccountId,
    user: &UserId,
    role: Role,
    now: Time,
) -> Result<Member, Error> {
    users::store::lock(db, user)?;
    if !users::store::is_there(db, user)? {
        return Err(Error::NotFound);
    }
    let known = store::find(db, account, user)?;
    let version = known.as_ref().map_or(0, |member| member.version) + 1;
    let (role, joined_at, added) = match &known {
        Some(member) if member.role >= Some(role) => return Ok(member.clone()),
        Some(member) if member.role.is_some() => (role, member.joined_at, false),
        Some(_) | None => (role, now, true),
    };
    let member = Member {
        account_id: account.clone(),
        user_id: user.clone(),
        role: Some(role),
        version,
        joined_at,
    };
    match known {
        Some(_) => store::update(db, &member, now)?,
        None => store::insert(db, &member, now)?,
    }
    let event = if added {
        AccountEvent::MemberAdded
    } else {
        AccountEvent::MemberChanged
    };
    chassis::events::emit(db, event(member.state()), version, now)?;
    Ok(member)
}

/// Gives a member another role.
pub fn change(
    db: &mut Db,
    account: &AccountId,
    user: &UserId,
    role: Role,
    origin: &Origin,
    now: Time,
) -> Result<Member, MemberError> {
    let mut member = locked(db, account, user)?;
    if member.role == Some(role) {
        return Ok(member);
    }
    check_owner_remains(db, &member, Some(role))?;
    member.role = Some(role);
    member.version += 1;
    store::update(db, &member, now)?;
    chassis::events::emit(
        db,
        AccountEvent::MemberChanged(member.state()),
        member.version,
        now,
    )?;
    record(db, &member, "member.changed", origin, now)?;
    Ok(member)
}

/// Removes a member, with the invites she made to the account; anybody may remove herself.
pub fn remove(
    db: &mut Db,
    account: &AccountId,
    user: &UserId,
    by: &Right,
    origin: &Origin,
    now: Time,
) -> Result<Member, MemberError> {
    if !by.is_owner() && by.user_id() != Some(user) {
        return Err(MemberError::NotOwner);
    }
    let mut member = locked(db, account, user)?;
    check_owner_remains(db, &member, None)?;
    member.role = None;
    member.version += 1;
    store::update(db, &member, now)?;
    chassis::events::emit(
        db,
        AccountEvent::MemberRemoved(member.state()),
        member.version,
        now,
    )?;
    record(db, &member, "member.removed", origin, now)?;
    let made = invites::store::open_of_member(db, account, user)?;
    let by = Entry::by(&origin.claims, "invite.revoked", "", origin.address);
    invites::revoke_all(db, made, &by, now)?;
    Ok(member)
}

/// Tells everybody that a deleted account's members are none. Their rows keep the roles, for the
/// case that the account is brought back.
pub fn suspend_all(db: &mut Db, account: &AccountId, now: Time) -> Result<(), Error> {
    for mut member in store::all_of_account(db, account)? {
        member.version += 1;
        store::update(db, &member, now)?;
        let state = MemberState {
            role: None,
            ..member.state()
        };
        chassis::events::emit(db, AccountEvent::MemberRemoved(state), member.version, now)?;
    }
    Ok(())
}

fn locked(db: &mut Db, account: &AccountId, user: &UserId) -> Result<Member, MemberError> {
    accounts::lock_and_find(db, account)?;
    store::find(db, account, user)?
        .filter(|member| member.role.is_some())
        .ok_or(MemberError::Unknown)
}

fn check_owner_remains(
    db: &mut Db,
    member: &Member,
    becomes: Option<Role>,
) -> Result<(), MemberError> {
    let gives_up = member.role == Some(Role::Owner) && becomes != Some(Role::Owner);
    if gives_up && store::count_owners(db, &member.account_id)? <= 1 {
        return Err(MemberError::LastOwner);
    }
    Ok(())
}

fn record(
    db: &mut Db,
    member: &Member,
    action: &'static str,
    origin: &Origin,
    now: Time,
) -> Result<(), Error> {
    let entry = Entry::by(
        &origin.claims,
        action,
        member.user_id.as_str(),
        origin.address,
    )
    .of_account(&member.account_id)
    .with(json!({ "role": member.role }));
    audit::record(db, &entry, now)
}
