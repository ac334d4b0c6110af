//! A key as its owner sees it, and as events tell of it.

use common::event::ApiKeyState;
use common::id::{AccountId, ApiKeyId, RealmId};
use common::names::DisplayName;
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiKey;
use crate::limits::Limit;

/// A key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    id: ApiKeyId,
    name: Option<DisplayName>,
    scopes: Vec<String>,
    namespace: Option<String>,
    account_id: Option<AccountId>,
    realm_id: Option<RealmId>,
    created_at: Time,
    expires_at: Time,
    revoked_at: Option<Time>,
    last_used_at: Option<Time>,
    /// When its token was last replaced.
    rotated_at: Option<Time>,
    /// The addresses and networks that it may be used from; empty for any.
    allowed_addresses: Vec<String>,
    /// The origins whose pages may use it; empty for any, and for calls without one.
    allowed_origins: Vec<String>,
    /// How often it may call.
    limits: Vec<Limit>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        let restrictions = key.restrictions();
        Self {
            rotated_at: key.rotated_at,
            allowed_addresses: restrictions.addresses,
            allowed_origins: restrictions.origins,
            limits: restrictions.limits,
            scopes: key.scopes().iter().map(ToString::to_string).collect(),
            id: key.id,
            name: key.name,
            namespace: key.namespace,
            account_id: key.account_id,
            realm_id: key.realm_id,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A key as events tell of it.
pub(super) fn state_of(key: &ApiKey) -> ApiKeyState {
    ApiKeyState {
        key_id: key.id.clone(),
        jti: key.jti.clone(),
        user_id: key.user_id.clone(),
        account_id: key.account_id.clone(),
        expires_at: key.expires_at,
        revoked: key.revoked_at.is_some(),
    }
}
