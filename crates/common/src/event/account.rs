//! What the account service tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::id::{AccountId, IdentityId, InviteId, UserId};
use crate::role::Role;
use crate::time::Time;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserState {
    /// The user.
    pub user_id: UserId,
    /// The identity that signs in as this user.
    pub identity_id: IdentityId,
    /// When it was made.
    pub created_at: Time,
    /// Whether it has been deleted.
    pub deleted: bool,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountState {
    /// The account.
    pub account_id: AccountId,
    /// Its name.
    pub name: String,
    /// Whether it has been deleted.
    pub deleted: bool,
}

/// Whether a user is a member of an account, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberState {
    /// The account.
    pub account_id: AccountId,
    /// The user.
    pub user_id: UserId,
    /// The role; none once the member is gone.
    pub role: Option<Role>,
}

crate::text_enum! {
    /// Where an invite stands.
    pub enum InviteStatus {
        /// It can be accepted.
        Pending = "pending",
        /// All its uses are used.
        Accepted = "accepted",
        /// It was taken back.
        Revoked = "revoked",
    }
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteState {
    /// The invite.
    pub invite_id: InviteId,
    /// The account it invites to.
    pub account_id: AccountId,
    /// The role it gives.
    pub role: Role,
    /// Where it stands.
    pub status: InviteStatus,
    /// The user who accepted last, if one did.
    pub accepted_by: Option<UserId>,
}

events! {
    /// What the account service tells.
    pub enum AccountEvent from "account" {
        /// A user was made.
        UserCreated(UserState) = "dev.slipway.user.created" by |user| user.user_id;
        /// A user was deleted; her memberships ended with her.
        UserDeleted(UserState) = "dev.slipway.user.deleted" by |user| user.user_id;
        /// An account was made.
        AccountCreated(AccountState) = "dev.slipway.account.created" by |account| account.account_id;
        /// An account has another name.
        AccountUpdated(AccountState) = "dev.slipway.account.updated" by |account| account.account_id;
        /// An account was deleted.
        AccountDeleted(AccountState) = "dev.slipway.account.deleted" by |account| account.account_id;
        /// A user joined an account.
        MemberAdded(MemberState) = "dev.slipway.account.member.added" by |m| format!("{}/{}", m.account_id, m.user_id);
        /// A member's role is another.
        MemberChanged(MemberState) = "dev.slipway.account.member.changed" by |m| format!("{}/{}", m.account_id, m.user_id);
        /// A member left or was removed.
        MemberRemoved(MemberState) = "dev.slipway.account.member.removed" by |m| format!("{}/{}", m.account_id, m.user_id);
        /// An invite was made.
        InviteCreated(InviteState) = "dev.slipway.invite.created" by |invite| invite.invite_id;
        /// An invite was accepted.
        InviteAccepted(InviteState) = "dev.slipway.invite.accepted" by |invite| invite.invite_id;
        /// An invite was taken back.
        InviteRevoked(InviteState) = "dev.slipway.invite.revoked" by |invite| invite.invite_id;
    }
}
