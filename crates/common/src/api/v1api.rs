//! What the gateway offers to the other services.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ApiKeyId};
use crate::time::Time;

/// An API key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyOfUser {
    /// The key.
    pub id: ApiKeyId,
    /// What its maker calls it.
    pub name: Option<String>,
    /// What it may do at most, divided by spaces.
    pub scopes: String,
    /// The account it is confined to.
    pub account_id: Option<AccountId>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// When it was last used.
    pub last_used_at: Option<Time>,
}

/// `GET /internal/users/{user_id}/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysOfUser {
    /// All that the user has made, newest first.
    pub api_keys: Vec<KeyOfUser>,
}
