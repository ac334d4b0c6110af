//! Refresh tokens (RFC 6749, section 6): chains of them, in which each is good once.
//!
//! Using one gives the next. Whoever uses one again that has a successor already shows that two hold
//! it, and the whole chain ends (RFC 9700, section 4.14.2). Only within a moment of its use the same
//! successor is given again: an answer may have been lost, or one client have asked twice at once.

pub mod own;
mod store;

use chassis::audit::{self, Entry};
use chassis::db::{self, Db};
use chassis::http::ClientAddress;
use chassis::seal::{SealError, Sealer};
use common::digest::sha256_hex;
use common::event::{AuthEvent, RefreshReused, TokensRevoked};
use common::id::{IdentityId, RefreshFamilyId, TokenId};
use common::time::{Span, Time};
use common::{ExposeSecret as _, SecretString, random};
use diesel::QueryResult;
use diesel::result::Error;
use serde_json::json;

use crate::identities::{self, Identity};
use crate::oauth::Client;
use crate::revocation;
use crate::tokens::SignIn;

pub use store::clean_up;

/// For how long a used token gives its successor again.
pub const WINDOW: Span = Span::seconds(10);

/// What every refresh token begins with, so that one in the wrong place is known for what it is.
const PREFIX: &str = "slrt_";

/// A refresh token, as its client has it.
#[derive(Clone, Debug)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{PREFIX}{}", random::token()).into())
    }

    /// What a client has sent, if it can be one.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        (text.starts_with(PREFIX) && text.len() < 128).then(|| Self(text.to_owned().into()))
    }

    /// The token itself, for its client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_hex(self.expose().as_bytes())
    }

    fn seal(&self, sealer: &Sealer, before: &str) -> Result<Vec<u8>, SealError> {
        sealer.seal(self.expose().as_bytes(), &place(before))
    }

    fn open(sealed: &[u8], sealer: &Sealer, before: &str) -> Result<Self, SealError> {
        sealer.open_text(sealed, &place(before)).map(Self)
    }
}

/// What ties a sealed successor to the row of the token before it.
fn place(digest: &str) -> String {
    format!("refresh_tokens/{digest}")
}

common::text_enum! {
    /// Why a chain has ended before its time.
    pub enum EndReason {
        /// The client gave it back.
        Revoked = "revoked",
        /// A token was used again.
        Reused = "reused",
        /// The identity's tokens ended, or it may not act as that any more.
        Withdrawn = "withdrawn",
    }
}

/// A chain of refresh tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its id.
    pub id: RefreshFamilyId,
    /// Whose it is.
    pub identity_id: IdentityId,
    /// The client that it was given to.
    pub client: Client,
    /// How and when she signed in.
    pub sign_in: SignIn,
    /// The identity's generation then.
    pub generation: i64,
    /// When it ends at the latest.
    pub expires_at: Time,
    /// Whether it has ended before.
    pub ended: bool,
}

/// A refresh token and the id of the access token that goes with it.
#[derive(Clone, Debug)]
pub struct Link {
    /// The token.
    pub token: RefreshToken,
    /// The access token's `jti`.
    pub access_jti: String,
    /// When that one ends.
    pub access_expires_at: Time,
}

impl Link {
    /// A new one.
    #[must_use]
    pub fn new(access_expires_at: Time, now: Time) -> Self {
        Self {
            token: RefreshToken::random(),
            access_jti: TokenId::new(now).to_string(),
            access_expires_at,
        }
    }
}

/// Begins a chain. Whoever calls has made sure who the person is, and that she wants it.
pub fn begin(db: &mut Db, family: &Family, first: &Link, now: Time) -> QueryResult<()> {
    store::insert_family(db, family)?;
    store::insert(db, &family.id, first, now)
}

/// Who asks for the next token of a chain, and what it would be.
#[derive(Clone, Debug)]
pub struct Request {
    /// The token that was sent.
    pub token: RefreshToken,
    /// The client, if it said who it is.
    pub client: Option<Client>,
    /// From where it asks.
    pub address: ClientAddress,
    /// The next one.
    pub next: Link,
    /// The same, sealed for the row of the one that was sent.
    sealed: Vec<u8>,
}

impl Request {
    /// Prepares it: what takes randomness and sealing is no work for a transaction.
    pub fn new(
        token: RefreshToken,
        client: Option<Client>,
        address: ClientAddress,
        next: Link,
        sealer: &Sealer,
    ) -> Result<Self, SealError> {
        let sealed = next.token.seal(sealer, &token.digest())?;
        Ok(Self {
            token,
            client,
            address,
            next,
            sealed,
        })
    }
}

/// What has come of it.
#[derive(Debug)]
pub enum Exchange {
    /// The identity, the chain, and the token that is the chain's last now.
    Given(Box<(Identity, Family, Link)>),
    /// The token is good for nothing, and so are these from now on.
    Refused(Vec<TokensRevoked>),
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The database failed.
    #[error("a refresh token could not be read or kept")]
    Db(#[from] Error),
    /// A successor can't be opened.
    #[error("a refresh token's successor could not be opened")]
    Seal(#[from] SealError),
}

/// Uses a token for its successor.
pub fn exchange(
    db: &mut Db,
    request: &Request,
    sealer: &Sealer,
    now: Time,
) -> Result<Exchange, ExchangeError> {
    let refused = || Ok(Exchange::Refused(Vec::new()));
    let digest = request.token.digest();
    let Some(family) = store::family_of(db, &digest)? else {
        return refused();
    };
    // Whoever comes at the same instant sees what the first has made of it.
    db::lock(db, &format!("refresh:{}", family.id))?;
    let Some((used, family)) = store::find(db, &digest)? else {
        return refused();
    };
    let another_client = request.client.is_some_and(|client| client != family.client);
    if family.ended || family.expires_at <= now || another_client {
        return refused();
    }
    let identity = identities::store::find(db, &family.identity_id)?.filter(|identity| {
        identity.generation == family.generation && identity.holds(family.sign_in.actor)
    });
    let Some(identity) = identity else {
        let ended = end(db, &family, EndReason::Withdrawn, request.address, now)?;
        return Ok(Exchange::Refused(ended));
    };
    let link = match used {
        None => {
            store::use_up(db, &digest, &request.sealed, now)?;
            store::insert(db, &family.id, &request.next, now)?;
            request.next.clone()
        }
        Some((at, Some(sealed))) if now - at <= WINDOW => {
            let token = RefreshToken::open(&sealed, sealer, &digest)?;
            let Some(link) = store::link(db, token)? else {
                return refused();
            };
            link
        }
        Some(_) => {
            tracing::warn!(family.id = %family.id, "a refresh token was used again: its chain ends");
            let ended = end(db, &family, EndReason::Reused, request.address, now)?;
            let reused = RefreshReused {
                family_id: family.id.clone(),
                identity_id: family.identity_id.clone(),
                client_id: family.client.to_string(),
            };
            chassis::events::emit(db, AuthEvent::RefreshReused(reused), 1, now)?;
            return Ok(Exchange::Refused(ended));
        }
    };
    Ok(Exchange::Given(Box::new((identity, family, link))))
}

/// The chain and its owner if a token is one that could be used now.
pub fn holding(db: &mut Db, token: &RefreshToken, now: Time) -> QueryResult<Option<Family>> {
    let Some((used, family)) = store::find(db, &token.digest())? else {
        return Ok(None);
    };
    if used.is_some() || family.ended || family.expires_at <= now {
        return Ok(None);
    }
    let identity = identities::store::find(db, &family.identity_id)?;
    let holds = identity.is_some_and(|identity| {
        identity.generation == family.generation && identity.holds(family.sign_in.actor)
    });
    Ok(holds.then_some(family))
}

/// Ends the chain that a token belongs to, used or not (RFC 7009, section 2.1), with its access tokens.
pub fn revoke(
    db: &mut Db,
    token: &RefreshToken,
    address: ClientAddress,
    now: Time,
) -> QueryResult<Vec<TokensRevoked>> {
    match store::family_of(db, &token.digest())? {
        Some(family) => end(db, &family, EndReason::Revoked, address, now),
        None => Ok(Vec::new()),
    }
}

/// Ends a chain once, and the access tokens that came with it.
fn end(
    db: &mut Db,
    family: &Family,
    reason: EndReason,
    address: ClientAddress,
    now: Time,
) -> QueryResult<Vec<TokensRevoked>> {
    if store::end(db, &family.id, reason, now)? == 0 {
        return Ok(Vec::new());
    }
    let mut ended = Vec::new();
    for (jti, until) in store::access_tokens(db, &family.id, now)? {
        let entry = TokensRevoked::Token { jti, until };
        revocation::revoke(db, entry.clone(), 1, now)?;
        ended.push(entry);
    }
    let action = match reason {
        EndReason::Revoked => "refresh.revoked",
        EndReason::Reused => "refresh.reused",
        EndReason::Withdrawn => "refresh.withdrawn",
    };
    let entry = Entry {
        actor: family.identity_id.as_str(),
        actor_type: family.sign_in.actor,
        action,
        subject: family.id.as_str(),
        account_id: None,
        address,
        details: json!({ "client_id": family.client }),
    };
    audit::record(db, &entry, now)?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_long_and_shown_by_nothing_but_its_own_name() {
        let token = RefreshToken::random();
        assert!(token.expose().len() >= 48);
        assert_ne!(token.expose(), RefreshToken::random().expose());
        assert!(!format!("{token:?}").contains(token.expose()));
        let again = RefreshToken::given(token.expose()).unwrap();
        assert_eq!(again.digest(), token.digest());
        for other in ["", "a.b.c", &format!("{PREFIX}{}", "x".repeat(65_536))] {
            assert!(RefreshToken::given(other).is_none());
        }
    }
}
