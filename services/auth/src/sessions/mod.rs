//! Sessions by cookie, for browsers.
//!
//! The cookie is 256 random bits, of which a digest is kept. It opens nothing by itself: the gateway
//! trades it for a token of a minute at most, which names the session in `sid` and ends with it. So
//! does every token that is refreshed from such a one.

mod cookie;
pub mod http;
pub mod internal;
mod opening;
pub mod own;
pub mod store;

use chassis::auth::{Entrant, Verifier};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::event::TokensRevoked;
use common::id::{IdentityId, SessionId};
use common::session::SessionCookie;
use common::time::{Span, Time};
use common::token::InvalidKey;
use diesel::QueryResult;

pub use cookie::Cookies;
pub(crate) use opening::Opening;
pub use opening::{Begun, Visitor};
use store::Session;

use crate::identities::{self, Identity};
use crate::mfa::challenges;
use crate::revocation;
use crate::state::State;
use crate::tokens::{SignIn, Signed};

/// How long a token that stands for a cookie lives at most.
const TOKEN_LIFETIME: Span = Span::minutes(1);
/// How coarsely it is noted when a session was last seen: more would be a write for each call.
const SEEN_EVERY: Span = Span::minutes(5);
/// How much longer than its tokens' lives an ended session is remembered: for clocks.
const MARGIN: Span = Span::minutes(2);

/// Why no session begins, or none is traded.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The token speaks for nobody any more.
    #[error("the token speaks for nobody any more")]
    Refused,
    /// No token could be signed.
    #[error("the token could not be signed")]
    Key(#[from] InvalidKey),
    /// The database failed.
    #[error("the session could not be read or kept")]
    Db(#[from] diesel::result::Error),
}

/// Begins a session. It always has a cookie of its own, so that nobody can be given one that
/// somebody else knows; it takes the place of the session that the browser was in, and of the one
/// that the token came out of.
pub async fn begin(
    state: &State,
    verifier: &Verifier,
    entrant: Entrant,
    earlier: Option<SessionCookie>,
    visitor: Visitor,
) -> Result<Begun, SessionError> {
    let opening = Opening::of(&entrant).ok_or(SessionError::Refused)?;
    let source = match &entrant {
        Entrant::Person(person) => person.claims.session_id(),
        Entrant::Pending(pending) => pending.claims.session_id(),
    };
    let cookie = SessionCookie::random();
    let (digest, now) = (cookie.digest(), state.clock.now());
    let (max_age, token_life) = (state.issuer.session_max_age, state.issuer.access_lifetime);
    let (ends, ended) = state
        .db
        .write(move |db| {
            let ends = opening.ends(db, max_age, now)?;
            let ends = ends.ok_or(SessionError::Refused)?;
            let mut ended = Vec::new();
            if let Some(earlier) = earlier
                && let Some(session) = store::by_digest(db, &earlier.digest())?
            {
                ended.extend(end(db, &session.id, token_life, now)?);
            }
            if let Some(source) = source {
                ended.extend(end(db, &source, token_life, now)?);
            }
            let address = visitor.address();
            let session = opening.session(digest, visitor, ends, now);
            store::insert(db, &session)?;
            let (whose, actor) = (&session.identity_id, session.actor_type);
            own::note(
                db,
                whose,
                actor,
                ("session.began", &session.id),
                address,
                now,
            )?;
            Ok::<_, SessionError>((ends, ended))
        })
        .await?;
    for entry in ended {
        verifier.revoke(entry);
    }
    Ok(Begun {
        cookie,
        lifetime: ends - now,
    })
}

/// Ends a session and all tokens that came out of it; answers what others must hear, if it was there.
pub fn end(
    db: &mut Db,
    id: &SessionId,
    token_life: Span,
    now: Time,
) -> QueryResult<Option<TokensRevoked>> {
    if store::remove(db, id)? == 0 {
        return Ok(None);
    }
    let entry = TokensRevoked::Session {
        sid: id.clone(),
        until: now + token_life + MARGIN,
    };
    revocation::revoke(db, entry.clone(), 1, now)?;
    Ok(Some(entry))
}

/// Ends all sessions of an identity but one.
pub fn end_others(
    db: &mut Db,
    identity: &IdentityId,
    kept: Option<&SessionId>,
    token_life: Span,
    now: Time,
) -> QueryResult<Vec<TokensRevoked>> {
    let mut ended = Vec::new();
    for id in store::ids_of(db, identity)? {
        if Some(&id) != kept {
            ended.extend(end(db, &id, token_life, now)?);
        }
    }
    Ok(ended)
}

/// A token for the session whose cookie has this digest; none if it has ended.
pub async fn exchange(state: &State, digest: String) -> Result<Option<Signed>, SessionError> {
    let now = state.clock.now();
    let found = state
        .db
        .read(move |db| live(db, &digest, now))
        .await
        .map_err(SessionError::Db)?;
    let Some((session, identity)) = found else {
        return Ok(None);
    };
    if now - session.last_seen_at >= SEEN_EVERY {
        let id = session.id.clone();
        state
            .db
            .write(move |db| store::touch(db, &id, now))
            .await
            .map_err(SessionError::Db)?;
    }
    let sign_in = session.sign_in();
    let ends = (now + TOKEN_LIFETIME).min(session.expires_at);
    let signed = match &session.challenge_id {
        None => state
            .issuer
            .of_session(&identity, &sign_in, Some(&session.id), ends),
        Some(challenge) => {
            state
                .issuer
                .pending(&identity, &sign_in, challenge, Some(&session.id), ends)
        }
    };
    Ok(Some(signed?))
}

/// A session that lasts still, and whose it is.
fn live(db: &mut Db, digest: &str, now: Time) -> QueryResult<Option<(Session, Identity)>> {
    let Some(session) = store::by_digest(db, digest)?.filter(|session| session.expires_at > now)
    else {
        return Ok(None);
    };
    let identity = identities::store::find(db, &session.identity_id)?.filter(|identity| {
        session.generation >= identity.generation && identity.holds(session.actor_type)
    });
    let Some(identity) = identity else {
        return Ok(None);
    };
    if let Some(challenge) = &session.challenge_id
        && challenges::open_until(db, challenge, &identity.id, now)?.is_none()
    {
        return Ok(None);
    }
    Ok(Some((session, identity)))
}

/// Ends the session of this cookie; answers whether it lasted until now.
pub async fn sign_out(
    state: &State,
    verifier: &Verifier,
    cookie: &SessionCookie,
    address: ClientAddress,
) -> QueryResult<bool> {
    let (digest, now) = (cookie.digest(), state.clock.now());
    let token_life = state.issuer.access_lifetime;
    let ended = state
        .db
        .write(move |db| {
            let Some((session, identity)) = live(db, &digest, now)? else {
                return Ok(None);
            };
            own::record(
                db,
                &identity.id,
                session.actor_type,
                &session.id,
                address,
                now,
            )?;
            end(db, &session.id, token_life, now)
        })
        .await?;
    let was_there = ended.is_some();
    if let Some(entry) = ended {
        verifier.revoke(entry);
    }
    Ok(was_there)
}

impl Session {
    fn sign_in(&self) -> SignIn {
        SignIn {
            actor: self.actor_type,
            provider: self.provider,
            at: self.auth_time,
        }
    }
}

/// Removes sessions that have ended by themselves.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    store::remove_ended(db, now)
}
