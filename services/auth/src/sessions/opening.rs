//! What a session begins as.

use chassis::auth::Entrant;
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::id::{IdentityId, MfaChallengeId, SessionId};
use common::session::SessionCookie;
use common::time::{Span, Time};
use diesel::QueryResult;

use super::store::Session;
use crate::identities::{self, Realm};
use crate::mfa::challenges;
use crate::tokens::{CLIENT_ID, SignIn, sign_in_of};

/// The most that is kept of what a browser says of itself, in characters.
const LONGEST_USER_AGENT: usize = 200;

/// From where a session begins.
#[derive(Clone, Debug)]
pub struct Visitor {
    address: ClientAddress,
    user_agent: Option<String>,
}

impl Visitor {
    /// From where.
    pub(super) fn address(&self) -> ClientAddress {
        self.address
    }

    /// Keeps what can be shown to the person later.
    #[must_use]
    pub fn new(address: ClientAddress, user_agent: Option<&str>) -> Self {
        let shown = |text: &str| {
            let printable = text.chars().filter(|c| !c.is_control());
            printable.take(LONGEST_USER_AGENT).collect()
        };
        Self {
            address,
            user_agent: user_agent.map(shown),
        }
    }
}

/// A session that has just begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What its browser gets.
    pub cookie: SessionCookie,
    /// For how long.
    pub lifetime: Span,
}

impl Begun {
    /// With a cookie of its own.
    pub(crate) fn new(lifetime: Span) -> Self {
        Self {
            cookie: SessionCookie::random(),
            lifetime,
        }
    }
}

/// As what somebody is in a session.
pub(crate) struct Opening {
    /// Who.
    pub(crate) identity_id: IdentityId,
    /// How she signed in.
    pub(crate) sign_in: SignIn,
    /// The identity's generation by that.
    pub(crate) generation: i64,
    /// What must be completed first.
    pub(crate) challenge: Option<MfaChallengeId>,
}

impl Opening {
    pub(super) fn of(entrant: &Entrant) -> Option<Self> {
        let (identity_id, claims, challenge) = match entrant {
            // A program's token hangs on its refresh tokens, and would outlive them.
            Entrant::Person(person) if person.claims.extra.contains_key(CLIENT_ID) => return None,
            Entrant::Person(person) => (&person.identity_id, &person.claims, None),
            Entrant::Pending(pending) => {
                let challenge = challenges::named_in(&pending.claims)?;
                (&pending.identity_id, &pending.claims, Some(challenge))
            }
        };
        Some(Self {
            identity_id: identity_id.clone(),
            sign_in: sign_in_of(claims)?,
            generation: claims.generation,
            challenge,
        })
    }

    /// Until when a session lasts that begins now; none if it may not begin.
    pub(super) fn ends(&self, db: &mut Db, max_age: Span, now: Time) -> QueryResult<Option<Time>> {
        let identity = identities::store::find(db, &self.identity_id)?;
        let known = identity.is_some_and(|identity| {
            identity.realm == Realm::Platform
                && self.generation >= identity.generation
                && identity.holds(self.sign_in.actor)
        });
        if !known {
            return Ok(None);
        }
        let ends = match &self.challenge {
            Some(challenge) => challenges::open_until(db, challenge, &self.identity_id, now)?,
            None => Some(self.sign_in.at + max_age),
        };
        Ok(ends.filter(|ends| *ends > now))
    }

    /// The session, as it is kept.
    pub(crate) fn session(
        self,
        digest: String,
        visitor: Visitor,
        ends: Time,
        now: Time,
    ) -> Session {
        Session {
            id: SessionId::new(now),
            digest,
            identity_id: self.identity_id,
            actor_type: self.sign_in.actor,
            provider: self.sign_in.provider,
            auth_time: self.sign_in.at,
            generation: self.generation,
            user_agent: visitor.user_agent,
            address: visitor.address.0.map(|address| address.to_string()),
            created_at: now,
            last_seen_at: now,
            expires_at: ends,
            challenge_id: self.challenge,
        }
    }
}
