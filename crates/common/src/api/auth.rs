//! What auth offers to the other services.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::id::{AccountId, IdentityId, RealmId, UserId};
use crate::scope::ScopeSet;
use crate::time::Time;
use crate::token::{ActorType, TokenKind};

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// `POST /internal/service-tokens`: a service's own credentials for a token to call another.
///
/// This is the one internal route that takes no token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceTokenRequest {
    /// The calling service.
    pub service: String,
    /// Its secret.
    #[serde(serialize_with = "expose")]
    pub secret: SecretString,
    /// The service to be called.
    pub audience: String,
}

/// `POST /internal/tokens`: a token to be signed for the calling service's purposes.
///
/// auth keeps a table of which service may ask for which kind, and sets issuer, times and id itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRequest {
    /// The kind.
    pub kind: TokenKind,
    /// Whom it speaks of.
    pub sub: String,
    /// Whom it is for.
    pub audience: String,
    /// How long it lives, in seconds.
    pub lifetime: i64,
    /// The `jti`, where the caller has chosen one.
    #[serde(default)]
    pub jti: Option<String>,
    /// What it may do at most.
    #[serde(default)]
    pub scope: ScopeSet,
    /// The namespace whose services it reaches.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The identity it acts for, whose actor claims and generation are put in.
    #[serde(default)]
    pub identity_id: Option<IdentityId>,
    /// What the identity acts as.
    #[serde(default)]
    pub actor_type: Option<ActorType>,
    /// The account it is confined to.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    /// Claims that only this kind has.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

/// A signed token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedToken {
    /// The token.
    #[serde(serialize_with = "expose")]
    pub token: SecretString,
    /// Its `jti`.
    pub jti: String,
    /// When it ends.
    pub expires_at: Time,
}

/// `POST /internal/sessions/exchange`: a session's cookie, by its digest, for a token of a minute at most.
/// The answer is a [`SignedToken`], or 404 for a session that isn't there or has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionExchange {
    /// The cookie's [digest](crate::session::SessionCookie::digest).
    pub digest: String,
}

/// `PUT /internal/identities/{id}/user`: the user that an identity has become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkUser {
    /// The user.
    pub user_id: UserId,
}

/// `GET /internal/identities/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The identity.
    pub id: IdentityId,
    /// Its address.
    pub email: Option<String>,
    /// Whether the person has shown that the address is hers.
    pub email_verified: bool,
    /// What it may act as.
    pub actors: Vec<ActorType>,
    /// The user it has become.
    pub user_id: Option<UserId>,
}

/// `POST /internal/realms/choose`: the realm that a key to be made will name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RealmChoice {
    /// The key's maker.
    pub identity_id: IdentityId,
    /// The maker's user.
    pub user_id: UserId,
    /// The account that the key will be confined to.
    pub account_id: Option<AccountId>,
    /// The realm that was asked for; none takes the maker's first.
    pub realm_id: Option<RealmId>,
}

/// The answer to that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RealmOf {
    /// The realm; none if there is none that the maker may use.
    pub realm_id: Option<RealmId>,
}

/// `POST /internal/identities/{identity_id}/password`: whether this is the identity's password. A wrong
/// one counts as a wrong try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordCheck {
    /// The password.
    #[serde(serialize_with = "expose")]
    pub password: SecretString,
    /// From where the person asks, for the pacing.
    #[serde(default)]
    pub address: Option<std::net::IpAddr>,
}

/// The answer to [`PasswordCheck`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PasswordChecked {
    /// Whether it is.
    pub right: bool,
}

/// `DELETE /internal/identities/{identity_id}`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct IdentityDeleted {
    /// Whether it was there still.
    pub deleted: bool,
}
