//! Invites: a token with which a user becomes a member of an account.

mod accept;
pub mod accept_http;
pub mod http;
pub mod store;

pub use accept::{AcceptError, Acceptance, Caller, Inviter, accept};

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::settings::Duration;
use common::email::EmailAddress;
use common::event::{AccountEvent, InviteState, InviteStatus};
use common::id::{AccountId, IdentityId, InviteId, UserId};
use common::role::Role;
use common::time::{Span, Time};
use diesel::result::Error;
use serde_json::json;

use crate::access::Right;
use crate::accounts::{self, ChangeError, Origin};
use crate::members;

/// The most uses that one invite may have.
pub const MAX_USES: i64 = 1_000;

/// How long an invite lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Span);

impl Lifetime {
    /// From a minute to thirty days.
    pub fn new(duration: Duration) -> Result<Self, &'static str> {
        if (60..=30 * 86_400).contains(&duration.as_secs()) {
            Ok(Self(Span::seconds(duration.as_secs())))
        } else {
            Err("must be between a minute and 30 days")
        }
    }

    /// The span.
    #[must_use]
    pub fn span(self) -> Span {
        self.0
    }
}

/// An invite, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The invite.
    pub id: InviteId,
    /// The account it invites to.
    pub account_id: AccountId,
    /// The role it gives.
    pub role: Role,
    /// The only address that may accept it, where it names one.
    pub email: Option<String>,
    /// How many users may accept it.
    pub max_uses: i64,
    /// How many have.
    pub uses: i64,
    /// Who invited.
    pub inviter_identity_id: IdentityId,
    /// The member who invited; none if it was an admin.
    pub inviter_user_id: Option<UserId>,
    /// Goes up with each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was taken back.
    pub revoked_at: Option<Time>,
}

common::text_enum! {
    /// Where an invite stands, as people see it.
    pub enum Standing {
        /// It can be accepted.
        Pending = "pending",
        /// All its uses are used.
        Accepted = "accepted",
        /// It was taken back.
        Revoked = "revoked",
        /// Its time is over.
        Expired = "expired",
    }
}

impl Invite {
    /// Where it stands now.
    #[must_use]
    pub fn standing(&self, now: Time) -> Standing {
        if self.revoked_at.is_some() {
            Standing::Revoked
        } else if self.uses >= self.max_uses {
            Standing::Accepted
        } else if self.expires_at <= now {
            Standing::Expired
        } else {
            Standing::Pending
        }
    }

    fn state(&self, accepted_by: Option<&UserId>) -> InviteState {
        let status = match self.revoked_at {
            Some(_) => InviteStatus::Revoked,
            None if self.uses >= self.max_uses => InviteStatus::Accepted,
            None => InviteStatus::Pending,
        };
        InviteState {
            invite_id: self.id.clone(),
            account_id: self.account_id.clone(),
            role: self.role,
            status,
            accepted_by: accepted_by.cloned(),
        }
    }
}

/// What somebody invites with.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The only address that may accept it.
    pub email: Option<EmailAddress>,
    /// The role it gives; by default what [`default_role`] says.
    pub role: Option<Role>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// How many users may accept it.
    pub max_uses: i64,
}

/// Why an invite can't be made or taken back.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// There is no such account.
    #[error("no such account")]
    NoAccount,
    /// There is no such invite.
    #[error("no such invite")]
    Unknown,
    /// The role is above what the caller may give.
    #[error("the role `{0}` is above what the caller may give")]
    RoleTooHigh(Role),
    /// The database failed.
    #[error("the invite could not be kept")]
    Db(#[from] Error),
}

impl From<ChangeError> for InviteError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown | ChangeError::Stale => Self::NoAccount,
            ChangeError::Db(error) => Self::Db(error),
        }
    }
}

/// The role that an invite gives unless it says so: while an account has no owner, whoever may
/// give that invites the first one.
#[must_use]
pub fn default_role(has_owner: bool, by: &Right) -> Role {
    if !has_owner && by.may_give(Role::Owner) {
        Role::Owner
    } else {
        Role::Developer
    }
}

/// An invite of this draft, not kept yet: its token is signed first.
pub fn draft(
    db: &mut Db,
    account: &AccountId,
    draft: &Draft,
    by: (&Right, &IdentityId),
    now: Time,
) -> Result<Invite, InviteError> {
    let (right, identity) = by;
    accounts::store::find(db, account)?.ok_or(InviteError::NoAccount)?;
    let role = match draft.role {
        Some(role) => role,
        None => default_role(members::store::count_owners(db, account)? > 0, right),
    };
    if !right.may_give(role) {
        return Err(InviteError::RoleTooHigh(role));
    }
    Ok(Invite {
        id: InviteId::new(now),
        account_id: account.clone(),
        role,
        email: draft.email.as_ref().map(|email| email.as_str().to_owned()),
        max_uses: draft.max_uses,
        uses: 0,
        inviter_identity_id: identity.clone(),
        inviter_user_id: right.user_id().cloned(),
        version: 1,
        created_at: now,
        expires_at: now + draft.lifetime.span(),
        revoked_at: None,
    })
}

/// Keeps an invite whose token has been signed.
pub fn create(db: &mut Db, invite: &Invite, origin: &Origin, now: Time) -> Result<(), InviteError> {
    accounts::lock_and_find(db, &invite.account_id)?;
    store::insert(db, invite)?;
    chassis::events::emit(
        db,
        AccountEvent::InviteCreated(invite.state(None)),
        invite.version,
        now,
    )?;
    record(db, invite, "invite.created", origin, now)?;
    Ok(())
}

/// Takes an invite back; doing it again changes nothing.
pub fn revoke(
    db: &mut Db,
    account: &AccountId,
    id: &InviteId,
    by: &Right,
    origin: &Origin,
    now: Time,
) -> Result<Invite, InviteError> {
    accounts::lock_and_find(db, account)?;
    let mut invite = store::find(db, id)?
        .filter(|invite| invite.account_id == *account)
        .ok_or(InviteError::Unknown)?;
    if !by.may_give(invite.role) {
        return Err(InviteError::RoleTooHigh(invite.role));
    }
    if invite.revoked_at.is_some() {
        return Ok(invite);
    }
    invite.revoked_at = Some(now);
    invite.version += 1;
    store::update(db, &invite)?;
    chassis::events::emit(
        db,
        AccountEvent::InviteRevoked(invite.state(None)),
        invite.version,
        now,
    )?;
    record(db, &invite, "invite.revoked", origin, now)?;
    Ok(invite)
}

/// Takes back the invites of somebody who has gone, on the behalf that `by` names. The caller holds
/// the locks of their accounts.
pub fn revoke_all(
    db: &mut Db,
    invites: Vec<Invite>,
    by: &Entry<'_>,
    now: Time,
) -> Result<(), Error> {
    for mut invite in invites {
        invite.revoked_at = Some(now);
        invite.version += 1;
        store::update(db, &invite)?;
        let revoked = AccountEvent::InviteRevoked(invite.state(None));
        chassis::events::emit(db, revoked, invite.version, now)?;
        let entry = Entry {
            action: "invite.revoked",
            subject: invite.id.as_str(),
            account_id: Some(&invite.account_id),
            details: json!({ "role": invite.role, "because": "inviter.gone" }),
            ..by.clone()
        };
        audit::record(db, &entry, now)?;
    }
    Ok(())
}

fn record(
    db: &mut Db,
    invite: &Invite,
    action: &'static str,
    origin: &Origin,
    now: Time,
) -> Result<(), Error> {
    let entry = Entry::by(&origin.claims, action, invite.id.as_str(), origin.address)
        .of_account(&invite.account_id)
        .with(json!({ "role": invite.role }));
    audit::record(db, &entry, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role) -> Right {
        Right::Member {
            user_id: UserId::new(Time::EPOCH),
            role,
        }
    }

    #[test]
    fn the_first_invite_makes_an_owner_where_the_inviter_may_give_that() {
        assert_eq!(default_role(false, &Right::Admin), Role::Owner);
        assert_eq!(default_role(true, &Right::Admin), Role::Developer);
        assert_eq!(
            default_role(false, &member(Role::Developer)),
            Role::Developer
        );
        assert_eq!(default_role(true, &member(Role::Owner)), Role::Developer);
    }

    #[test]
    fn an_invite_lives_from_a_minute_to_thirty_days() {
        for (seconds, holds) in [
            (59, false),
            (60, true),
            (2_592_000, true),
            (2_592_001, false),
        ] {
            assert_eq!(
                Lifetime::new(Duration::secs(seconds)).is_ok(),
                holds,
                "{seconds}"
            );
        }
    }
}
