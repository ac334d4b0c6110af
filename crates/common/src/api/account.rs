//! What account offers to the other services.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, UserId};
use crate::role::Role;

/// `GET /internal/memberships/{account_id}/{user_id}`: always 200, so that a miss has a version too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// The account.
    pub account_id: AccountId,
    /// The user.
    pub user_id: UserId,
    /// The role; none if the user is no member.
    pub role: Option<Role>,
    /// The version of this membership; 0 if there never was one.
    pub version: i64,
}

/// `GET /internal/identities/{identity_id}/user`: the user that an identity has become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserOfIdentity {
    /// The user, once there is one.
    pub user_id: Option<UserId>,
}

/// `POST /internal/identities/{identity_id}/departure`: ends the user that an identity has become, and
/// her memberships.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// Also where an account is left without an owner.
    #[serde(default)]
    pub force: bool,
    /// Ends nothing yet, and only tells whether it could be.
    #[serde(default)]
    pub only_ask: bool,
}

/// What has come of a [`Departure`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Departed {
    /// The user; none if the identity never became one, or is one no more.
    pub user_id: Option<UserId>,
}
