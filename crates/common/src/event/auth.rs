//! What the auth service tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::id::{IdentityId, RealmId, RefreshFamilyId, SessionId, UserId};
use crate::time::Time;

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityState {
    /// The identity.
    pub identity_id: IdentityId,
    /// Its realm; none is the platform's own.
    pub realm_id: Option<RealmId>,
    /// Its generation: tokens of an older one are revoked.
    pub generation: i64,
    /// The platform's user it has become.
    #[serde(default)]
    pub user_id: Option<UserId>,
    /// Whether it is kept from signing in.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it has been deleted.
    #[serde(default)]
    pub deleted: bool,
}

/// Tokens that are refused from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum TokensRevoked {
    /// One token.
    Token {
        /// Its `jti`.
        jti: String,
        /// When it would have ended.
        until: Time,
    },
    /// All of a subject's tokens of generations before this one.
    Generation {
        /// Their `sub`.
        sub: String,
        /// The first generation that holds.
        generation: i64,
        /// When the longest of them would have ended.
        until: Time,
    },
    /// All tokens that came out of a session by cookie.
    Session {
        /// Their `sid`.
        sid: SessionId,
        /// When the longest of them would have ended.
        until: Time,
    },
    /// All that speaks for an identity of generations before this one: its tokens, and the API
    /// keys that it made, which outlive a new password.
    Identity {
        /// The identity.
        identity_id: IdentityId,
        /// The first generation that holds.
        generation: i64,
        /// When the longest of them would have ended.
        until: Time,
    },
    /// All tokens that a key signed.
    Key {
        /// The key's name.
        kid: String,
        /// When the longest of them would have ended.
        until: Time,
    },
}

impl TokensRevoked {
    /// What the entry is about: a token's, subject's, session's or key's name.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Token { jti, .. } => jti,
            Self::Generation { sub, .. } => sub,
            Self::Session { sid, .. } => sid.as_str(),
            Self::Identity { identity_id, .. } => identity_id.as_str(),
            Self::Key { kid, .. } => kid,
        }
    }

    /// From when on the entry says nothing that the tokens' own end doesn't.
    #[must_use]
    pub fn until(&self) -> Time {
        match self {
            Self::Token { until, .. }
            | Self::Generation { until, .. }
            | Self::Session { until, .. }
            | Self::Identity { until, .. }
            | Self::Key { until, .. } => *until,
        }
    }
}

/// A refresh token was used again after its successor: two hold what only one should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshReused {
    /// The chain, which has ended.
    pub family_id: RefreshFamilyId,
    /// Whose it was.
    pub identity_id: IdentityId,
    /// The client that it was given to.
    pub client_id: String,
}

events! {
    /// What the auth service tells.
    pub enum AuthEvent from "auth" {
        /// An identity was made.
        IdentityCreated(IdentityState) = "dev.slipway.auth.identity.created" by |identity| identity.identity_id;
        /// An identity is kept from signing in; its tokens and API keys have ended.
        IdentityDisabled(IdentityState) = "dev.slipway.auth.identity.disabled" by |identity| identity.identity_id;
        /// An identity may sign in again.
        IdentityEnabled(IdentityState) = "dev.slipway.auth.identity.enabled" by |identity| identity.identity_id;
        /// An identity was deleted, with all ways to sign in as it.
        IdentityDeleted(IdentityState) = "dev.slipway.auth.identity.deleted" by |identity| identity.identity_id;
        /// An identity has a new password, by reset.
        PasswordReset(IdentityState) = "dev.slipway.auth.password_reset" by |identity| identity.identity_id;
        /// An identity signs in by another address, which auth tells those who ask.
        EmailChanged(IdentityState) = "dev.slipway.auth.email_changed" by |identity| identity.identity_id;
        /// Tokens were revoked.
        TokenRevoked(TokensRevoked) = "dev.slipway.auth.token.revoked" by |revoked| revoked.subject();
        /// A refresh token was used twice, and its chain ended.
        RefreshReused(RefreshReused) = "dev.slipway.auth.refresh.reused" by |reused| reused.family_id;
    }
}
