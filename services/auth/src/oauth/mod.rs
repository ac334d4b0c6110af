//! What clients of OAuth 2.0 ask for: tokens by other grants than a password (RFC 6749, RFC 8628), whether
//! one holds (RFC 7662), that one ends (RFC 7009), and where all of that is (RFC 8414).

pub mod discovery;
mod error;
pub mod http;
pub mod token;

pub(crate) use error::{OAuth, OAuthError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Context;
use chassis::auth::{AuthError, Verifier};
use chassis::http::ApiError;
use common::event::TokensRevoked;
use common::id::RealmId;
use common::role::Role;
use common::time::Time;
use common::token::{ActorType, Claims, TokenKind, Verified, audience};
use diesel::QueryResult;
use serde::Deserialize;

use crate::realms::access::{Seeker, reached};
use crate::refresh::Family;
use crate::revocation;
use crate::state::State;

common::text_enum! {
    /// A program that people let act for them. All are public: what stands in a program that anyone has is
    /// no secret.
    pub enum Client {
        /// The command line.
        Cli = "slipway-cli",
    }
}

impl Client {
    /// What people know it by.
    #[must_use]
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Cli => "Slipway CLI",
        }
    }
}

/// The part of a token that says which verification it needs.
#[derive(Deserialize)]
struct Aimed {
    aud: String,
}

/// Verifies a token of any kind that people and programs hold: personal ones, API keys, and those of
/// realms. None if it doesn't hold.
///
/// # Errors
/// When it can't be said at the moment.
pub async fn holding(verifier: &Verifier, token: &str) -> Result<Option<Verified>, AuthError> {
    let aimed = token.split('.').nth(1).and_then(|body| {
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        serde_json::from_slice::<Aimed>(&body).ok()
    });
    let Some(Aimed { aud }) = aimed else {
        return Ok(None);
    };
    let (kinds, expected): (&[TokenKind], &str) = if realm_of(&aud).is_some() {
        (&[TokenKind::Realm], &aud)
    } else {
        (&[TokenKind::Access, TokenKind::ApiKey], audience::PLATFORM)
    };
    match verifier.verify(token, kinds, expected).await {
        Ok(verified) => Ok(Some(verified)),
        Err(AuthError::Stale) => Err(AuthError::Stale),
        Err(AuthError::Missing | AuthError::Rejected(_)) => Ok(None),
    }
}

fn realm_of(aud: &str) -> Option<RealmId> {
    aud.strip_prefix("realm:")?.parse().ok()
}

/// Whether a caller may learn about a token: its own identity's, one of a realm that it reaches, and an
/// operator about all.
pub async fn may_know(
    context: &Context,
    state: &State,
    caller: &Claims,
    token: &Verified,
) -> Result<bool, ApiError> {
    let seeker = Seeker::of(caller)?;
    if caller.actor_type == Some(ActorType::Admin)
        || token.claims.auth_identity_id.as_ref() == Some(&seeker.identity)
    {
        return Ok(true);
    }
    let Some(realm) = realm_of(&token.claims.aud) else {
        return Ok(false);
    };
    Ok(reached(context, state, &seeker, &realm, Role::Viewer)
        .await?
        .is_some())
}

/// Whether a caller may learn about a refresh token: its own identity's, and an operator about all.
pub fn family_is_known(caller: &Claims, family: &Family) -> bool {
    caller.actor_type == Some(ActorType::Admin)
        || caller.auth_identity_id.as_ref() == Some(&family.identity_id)
}

/// Why a token can't be ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key is revoked by DELETE /v1/api-keys/:id, where its keys are revoked with it")]
pub struct NotHere;

/// The entry that ends a token.
pub fn ending(token: &Verified) -> Result<TokensRevoked, NotHere> {
    if token.kind == TokenKind::ApiKey {
        return Err(NotHere);
    }
    Ok(TokensRevoked::Token {
        jti: token.claims.jti.clone(),
        until: Time::from_unix(token.claims.exp),
    })
}

/// Ends a token, here at once and everywhere a moment later.
pub async fn end(state: &State, verifier: &Verifier, entry: TokensRevoked) -> QueryResult<()> {
    let (kept, now) = (entry.clone(), state.clock.now());
    state
        .db
        .write(move |db| revocation::revoke(db, kept, 1, now))
        .await?;
    verifier.revoke(entry);
    Ok(())
}
