//! Logins that wait for their second factor.

use chassis::audit::{self, Entry};
use chassis::auth::Pending;
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::event::TokensRevoked;
use common::id::{IdentityId, MfaChallengeId};
use common::time::{Span, Time};
use common::token::Claims;
use diesel::QueryResult;
use serde_json::json;

use super::proof::{self, Proof};
use super::store::{self, Challenge};
use super::{Closed, Method, MfaError};
use crate::identities::{self, Identity};
use crate::sessions::{self, Visitor, store::Session};
use crate::state::State;
use crate::tokens::{SignIn, Signed};

/// How long one can be completed.
pub(super) const LIFETIME: Span = Span::minutes(5);
/// How many codes can be tried.
pub(super) const MOST_ATTEMPTS: i64 = 5;
/// The claim of a pending login's token that names its challenge.
pub const CLAIM: &str = "mfa_challenge";

/// The challenge that a pending login's token names.
#[must_use]
pub fn named_in(claims: &Claims) -> Option<MfaChallengeId> {
    claims.extra_str(CLAIM)?.parse().ok()
}

/// What an identity's login can be completed by; nothing if it needs no more than a password.
pub fn methods(db: &mut Db, identity: &IdentityId) -> QueryResult<Vec<Method>> {
    if store::enabled(db, identity)?.is_none() {
        return Ok(Vec::new());
    }
    let mut methods = vec![Method::Totp];
    if store::has_recovery_code(db, identity)? {
        methods.push(Method::RecoveryCode);
    }
    Ok(methods)
}

/// Has a login wait.
pub(crate) fn begin(
    db: &mut Db,
    identity: &Identity,
    sign_in: &SignIn,
    now: Time,
) -> QueryResult<Challenge> {
    let challenge = Challenge {
        id: MfaChallengeId::new(now),
        identity_id: identity.id.clone(),
        actor_type: sign_in.actor,
        provider: sign_in.provider,
        generation: identity.generation,
        attempts: 0,
        created_at: now,
        expires_at: now + LIFETIME,
        completed_at: None,
    };
    store::insert_challenge(db, &challenge)?;
    Ok(challenge)
}

/// Until when a challenge of this identity can be completed; none if it can't.
pub fn open_until(
    db: &mut Db,
    id: &MfaChallengeId,
    identity: &IdentityId,
    now: Time,
) -> QueryResult<Option<Time>> {
    let challenge = store::challenge(db, id, identity)?;
    let open = challenge.filter(|challenge| why_closed(challenge, now).is_none());
    Ok(open.map(|challenge| challenge.expires_at))
}

fn why_closed(challenge: &Challenge, now: Time) -> Option<Closed> {
    if challenge.completed_at.is_some() {
        Some(Closed::Completed)
    } else if challenge.expires_at <= now {
        Some(Closed::Expired)
    } else if challenge.attempts >= MOST_ATTEMPTS {
        Some(Closed::Attempts)
    } else {
        None
    }
}

/// What a completed login gets.
#[derive(Debug)]
pub struct Completed {
    /// The person's token.
    pub signed: Signed,
    /// Where the login was in a session: the one that takes its place.
    pub session: Option<sessions::Begun>,
    /// What others must hear.
    pub ended: Option<TokensRevoked>,
}

/// The state of things once a right code was taken.
struct Passed {
    identity: Identity,
    sign_in: SignIn,
    session: Option<sessions::Begun>,
    ended: Option<TokensRevoked>,
}

/// Completes a login with a code.
pub async fn complete(
    state: &State,
    pending: Pending,
    id: MfaChallengeId,
    proof: Proof,
    (address, visitor): (ClientAddress, Visitor),
) -> Result<Completed, MfaError> {
    let (sealer, now) = (state.sealer.clone(), state.clock.now());
    let (token_life, max_age) = (state.issuer.access_lifetime, state.issuer.session_max_age);
    let passed = state
        .db
        .write(move |db| {
            let challenge = store::challenge(db, &id, &pending.identity_id)?
                .filter(|_| named_in(&pending.claims).as_ref() == Some(&id))
                .ok_or(MfaError::NoChallenge(id))?;
            let identity = identities::store::find(db, &challenge.identity_id)?
                .filter(|identity| still_means(identity, &challenge))
                .ok_or(MfaError::Refused)?;
            // From here on what is refused has been counted, and is kept.
            if let Err(refused) = take(db, &sealer, &challenge, &proof, address, now)? {
                return Ok(Err(refused));
            }
            let sign_in = SignIn {
                actor: challenge.actor_type,
                provider: challenge.provider,
                at: now,
            };
            let entry = Entry {
                details: json!({ "method": proof.method }),
                ..Entry::by(
                    &pending.claims,
                    "mfa.challenge_completed",
                    identity.id.as_str(),
                    address,
                )
            };
            audit::record(db, &entry, now)?;
            let mut passed = Passed {
                identity,
                sign_in,
                session: None,
                ended: None,
            };
            if let Some(sid) = pending.claims.session_id() {
                passed.ended = sessions::end(db, &sid, token_life, now)?;
                let begun = sessions::Begun::new(max_age);
                let session = passed.session(&begun, visitor, now);
                sessions::store::insert(db, &session)?;
                passed.session = Some(begun);
            }
            Ok::<_, MfaError>(Ok(passed))
        })
        .await??;
    Ok(Completed {
        signed: state.issuer.personal(&passed.identity, &passed.sign_in)?,
        session: passed.session,
        ended: passed.ended,
    })
}

impl Passed {
    fn session(&self, begun: &sessions::Begun, visitor: Visitor, now: Time) -> Session {
        let opening = sessions::Opening {
            identity_id: self.identity.id.clone(),
            sign_in: self.sign_in,
            generation: self.identity.generation,
            challenge: None,
        };
        opening.session(begun.cookie.digest(), visitor, now + begun.lifetime, now)
    }
}

/// Whether an identity may still do what the login was for.
fn still_means(identity: &Identity, challenge: &Challenge) -> bool {
    challenge.generation >= identity.generation && identity.holds(challenge.actor_type)
}

/// Counts a try and looks at the code.
fn take(
    db: &mut Db,
    sealer: &chassis::seal::Sealer,
    challenge: &Challenge,
    proof: &Proof,
    address: ClientAddress,
    now: Time,
) -> Result<Result<(), MfaError>, MfaError> {
    if let Some(closed) = why_closed(challenge, now) {
        return Err(MfaError::Closed(closed));
    }
    if !methods(db, &challenge.identity_id)?.contains(&proof.method) {
        return Err(MfaError::Method(proof.method));
    }
    if store::count_attempt(db, &challenge.id, MOST_ATTEMPTS, now)? == 0 {
        // Somebody else's try has closed it meanwhile.
        let now_closed = store::challenge(db, &challenge.id, &challenge.identity_id)?
            .and_then(|challenge| why_closed(&challenge, now));
        return Err(MfaError::Closed(now_closed.unwrap_or(Closed::Completed)));
    }
    if proof::check(db, sealer, &challenge.identity_id, proof, address, now)? {
        store::complete(db, &challenge.id, now)?;
        return Ok(Ok(()));
    }
    let tried = store::challenge(db, &challenge.id, &challenge.identity_id)?
        .map_or(MOST_ATTEMPTS, |challenge| challenge.attempts);
    Ok(Err(if tried >= MOST_ATTEMPTS {
        MfaError::Closed(Closed::Attempts)
    } else {
        MfaError::WrongChallengeCode
    }))
}
