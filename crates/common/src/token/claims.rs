//! What a token says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AccountId, IdentityId, SessionId, UserId};
use crate::scope::ScopeSet;

crate::text_enum! {
    /// What an identity acts as.
    pub enum ActorType {
        /// An external user.
        Euser = "euser",
        /// A platform operator.
        Admin = "admin",
        /// One of the platform's own services.
        Service = "service",
    }
}

/// The names of claims that only one kind of token has.
pub mod claim {
    /// The realm whose clients an API key works with.
    pub const REALM_ID: &str = "realm_id";
}

/// The audiences of tokens.
pub mod audience {
    use crate::names::ServiceName;

    /// The platform's own routes: access tokens and API keys.
    pub const PLATFORM: &str = "slipway";
    /// Accepting invites.
    pub const INVITE: &str = "slipway:invite";
    /// Setting a new password.
    pub const RESET: &str = "slipway:reset";
    /// Finishing a login with a second factor.
    pub const MFA: &str = "slipway:mfa";

    /// One of our services, as the callee of another.
    #[must_use]
    pub fn internal(service: &str) -> String {
        format!("slipway:{service}")
    }

    /// An upstream service behind the gateway.
    #[must_use]
    pub fn upstream(service: &ServiceName) -> String {
        format!("service:{service}")
    }

    /// A realm of identities.
    #[must_use]
    pub fn realm(realm: &crate::id::RealmId) -> String {
        format!("realm:{realm}")
    }

    /// One repository of the built-in Git server.
    #[must_use]
    pub fn repository(owner: &str, repo: &str) -> String {
        format!("repo:{owner}/{repo}")
    }
}

/// What an identity's owner services have written on it: here the platform's user.
///
/// The same id stands under both names, the platform's and Medusa's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppMetadata {
    /// The user, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The same, under the actor type's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub euser_id: Option<UserId>,
}

impl AppMetadata {
    /// The metadata of an identity with or without a user.
    #[must_use]
    pub fn of(user: Option<UserId>) -> Self {
        Self {
            euser_id: user.clone(),
            user_id: user,
        }
    }
}

/// A token's claims: the registered ones (RFC 7519, section 4.1), Medusa's, and ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whom it speaks of: an identity, a key, a service, an invite.
    pub sub: String,
    /// Whom it is for.
    pub aud: String,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// Its own id, by which it can be revoked.
    pub jti: String,
    /// What it may do at most.
    #[serde(default)]
    pub scope: ScopeSet,
    /// The namespace whose services it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The subject's generation when it was made; an older one than the subject's is revoked.
    #[serde(rename = "gen", default)]
    pub generation: i64,
    /// Medusa: the actor's id, empty until the actor exists.
    #[serde(default)]
    pub actor_id: String,
    /// Medusa: what the identity acts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_type: Option<ActorType>,
    /// Medusa: the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_identity_id: Option<IdentityId>,
    /// Medusa: what our services know of the identity.
    #[serde(default)]
    pub app_metadata: AppMetadata,
    /// Medusa: what the person has told of herself.
    #[serde(default)]
    pub user_metadata: Map<String, Value>,
    /// Medusa: how the identity signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_provider: Option<String>,
    /// The account an API key is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Claims that only one kind of token has.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Claims {
    /// The claim that names a [session](Self::session_id).
    pub const SESSION: &'static str = "sid";

    /// Claims with nothing but the registered ones.
    pub fn new(
        iss: &str,
        sub: impl Into<String>,
        aud: impl Into<String>,
        iat: i64,
        exp: i64,
        jti: String,
    ) -> Self {
        Self {
            iss: iss.to_owned(),
            sub: sub.into(),
            aud: aud.into(),
            iat,
            exp,
            jti,
            scope: ScopeSet::none(),
            namespace: None,
            generation: 0,
            actor_id: String::new(),
            actor_type: None,
            auth_identity_id: None,
            app_metadata: AppMetadata::default(),
            user_metadata: Map::new(),
            auth_provider: None,
            account_id: None,
            extra: Map::new(),
        }
    }

    /// The platform's user of whom the token speaks, once there is one.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.app_metadata.user_id.as_ref()
    }

    /// The session by cookie that the token came out of and ends with (`OpenID` Connect Front-Channel
    /// Logout 1.0, section 3).
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.extra_str(Self::SESSION)?.parse().ok()
    }

    /// A claim that only some kinds of token have.
    #[must_use]
    pub fn extra_str(&self, name: &str) -> Option<&str> {
        self.extra.get(name).and_then(Value::as_str)
    }
}
