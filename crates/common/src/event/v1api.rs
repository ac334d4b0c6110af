//! What the gateway tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::id::{AccountId, ApiKeyId, UserId};
use crate::time::Time;

/// An API key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyState {
    /// The key.
    pub key_id: ApiKeyId,
    /// Its token's `jti`.
    pub jti: String,
    /// Who made it.
    pub user_id: UserId,
    /// The account it is confined to.
    pub account_id: Option<AccountId>,
    /// When it ends by itself.
    pub expires_at: Time,
    /// Whether it has been revoked.
    pub revoked: bool,
}

events! {
    /// What the gateway tells.
    pub enum GatewayEvent from "v1api" {
        /// A key was made.
        ApiKeyCreated(ApiKeyState) = "dev.slipway.api_key.created" by |key| key.key_id;
        /// A key was revoked.
        ApiKeyRevoked(ApiKeyState) = "dev.slipway.api_key.revoked" by |key| key.key_id;
        /// An earlier token of a key, the one of this `jti`, has ended; the key goes on with a later one.
        ApiKeyTokenEnded(ApiKeyState) = "dev.slipway.api_key.token_ended" by |key| key.jti;
    }
}
