//! Identities: who can authenticate, by which providers, and as what.
//!
//! One store serves all realms; (realm, provider, entity id) is unique. `platform` is the
//! realm of external users and admins.

pub mod departure_http;
pub mod events;
pub mod http;
pub mod store;

use std::collections::BTreeSet;

use chassis::db::Db;
use common::event::{AuthEvent, IdentityState, TokensRevoked};
use common::id::{IdentityId, RealmId, UserId};
use common::time::Time;
use common::token::{ActorType, Claims};
use diesel::result::Error;
use serde_json::{Map, Value};

use crate::revocation::{self, LONGEST_LIFE};

/// The namespace of a set of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Realm {
    /// External users and admins of the platform itself.
    Platform,
    /// Somebody's own.
    Own(RealmId),
}

impl Realm {
    const PLATFORM: &str = "platform";

    /// The form it has in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Platform => Self::PLATFORM,
            Self::Own(id) => id.as_str(),
        }
    }

    /// The realm's id; none for the platform's own.
    #[must_use]
    pub fn id(&self) -> Option<RealmId> {
        match self {
            Self::Platform => None,
            Self::Own(id) => Some(id.clone()),
        }
    }
}

impl std::str::FromStr for Realm {
    type Err = common::id::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::PLATFORM {
            Ok(Self::Platform)
        } else {
            text.parse().map(Self::Own)
        }
    }
}

common::text_enum! {
    /// How somebody signs in.
    pub enum Provider {
        /// An email address and a password.
        Emailpass = "emailpass",
        /// An account at GitHub.
        Github = "github",
    }
}

/// Someone who can authenticate.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Where it belongs.
    pub realm: Realm,
    /// By which older clients know it, within its realm; given when one first asks.
    pub number: Option<i64>,
    /// What its project's own server calls it, within its realm.
    pub public_id: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// When the person showed that the address is hers.
    pub email_verified_at: Option<Time>,
    /// Tokens of an older generation are revoked.
    pub generation: i64,
    /// The platform's user it has become.
    pub user_id: Option<UserId>,
    /// What the person has told of herself.
    pub user_metadata: Map<String, Value>,
    /// Since when it can't sign in.
    pub disabled_at: Option<Time>,
    /// Goes up with each change.
    pub version: i64,
    /// What it may act as.
    pub actors: BTreeSet<ActorType>,
}

impl Identity {
    /// A new identity, as nobody yet.
    #[must_use]
    pub fn new(realm: Realm, email: Option<String>, now: Time) -> Self {
        Self {
            id: IdentityId::new(now),
            realm,
            number: None,
            public_id: None,
            email,
            email_verified_at: None,
            generation: 1,
            user_id: None,
            user_metadata: Map::new(),
            disabled_at: None,
            version: 1,
            actors: BTreeSet::new(),
        }
    }

    /// Whether it may act as this, which nobody disabled may.
    #[must_use]
    pub fn holds(&self, actor: ActorType) -> bool {
        self.disabled_at.is_none() && self.actors.contains(&actor)
    }

    /// The state that events carry.
    #[must_use]
    pub fn state(&self) -> IdentityState {
        IdentityState {
            identity_id: self.id.clone(),
            realm_id: self.realm.id(),
            generation: self.generation,
            user_id: self.user_id.clone(),
            disabled: self.disabled_at.is_some(),
            deleted: false,
        }
    }

    /// Whether a token with these claims still speaks for it: what it acts as has been granted
    /// still, and it is not of a generation that was revoked.
    #[must_use]
    pub fn still_allows(&self, claims: &Claims) -> bool {
        claims.generation >= self.generation
            && claims.actor_type.is_some_and(|actor| self.holds(actor))
    }
}

/// Keeps a new identity and tells of it.
pub fn create(db: &mut Db, identity: &Identity, now: Time) -> Result<(), Error> {
    store::insert(db, identity, now)?;
    for actor in &identity.actors {
        store::grant(db, &identity.id, *actor, now)?;
    }
    chassis::events::emit(
        db,
        AuthEvent::IdentityCreated(identity.state()),
        identity.version,
        now,
    )
}

/// Why an identity and a user can't be one.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no such identity.
    #[error("no such identity")]
    Unknown,
    /// One of the two is linked to another already.
    #[error("the identity or the user belongs to another")]
    Taken,
    /// The database failed.
    #[error("the identity could not be linked")]
    Db(#[from] Error),
}

/// Notes the user that an identity has become; doing it again changes nothing.
pub fn link_user(db: &mut Db, id: &IdentityId, user: &UserId, now: Time) -> Result<(), LinkError> {
    let identity = store::find(db, id)?.ok_or(LinkError::Unknown)?;
    match &identity.user_id {
        Some(linked) if linked == user => Ok(()),
        Some(_) => Err(LinkError::Taken),
        None => match store::set_user(db, id, user, now) {
            Ok(1) => Ok(()),
            Ok(_) => Err(LinkError::Taken),
            Err(error) if chassis::db::is_unique_violation(&error) => Err(LinkError::Taken),
            Err(error) => Err(error.into()),
        },
    }
}

/// Lets an identity act as `actor`. Whether the caller may give that is the caller's question;
/// that nobody takes it by registering is [`registrable`]'s.
pub fn grant_actor(
    db: &mut Db,
    identity: &IdentityId,
    actor: ActorType,
    now: Time,
) -> Result<(), Error> {
    store::grant(db, identity, actor, now)
}

/// Takes an actor type from an identity. Its tokens end at once, for the holder of one could
/// else go on acting as what it is no longer.
pub fn withdraw_actor(
    db: &mut Db,
    identity: &IdentityId,
    actor: ActorType,
    now: Time,
) -> Result<bool, Error> {
    if store::withdraw(db, identity, actor)? == 0 {
        return Ok(false);
    }
    if actor == ActorType::Euser {
        // As which API keys act.
        revoke_everything(db, identity, now)?;
    } else {
        revoke_all(db, identity, now)?;
    }
    Ok(true)
}

/// Ends all tokens that an identity has: the next ones are of a new generation.
pub fn revoke_all(db: &mut Db, identity: &IdentityId, now: Time) -> Result<(), Error> {
    store::bump_generation(db, identity, now)?;
    revoked(db, identity, now).map(drop)
}

/// The same for an identity that is still of this generation; none if it isn't any more. Of several
/// who begin the next one at once, one does.
pub fn revoke_from(
    db: &mut Db,
    identity: &IdentityId,
    generation: i64,
    now: Time,
) -> Result<Option<(Identity, TokensRevoked)>, Error> {
    if store::end_generation(db, identity, generation, now)? == 0 {
        return Ok(None);
    }
    revoked(db, identity, now)
}

/// Tells that the tokens of the generations before are revoked.
fn revoked(
    db: &mut Db,
    identity: &IdentityId,
    now: Time,
) -> Result<Option<(Identity, TokensRevoked)>, Error> {
    let Some(identity) = store::find(db, identity)? else {
        return Ok(None);
    };
    let revoked = TokensRevoked::Generation {
        sub: identity.id.to_string(),
        generation: identity.generation,
        until: now + LONGEST_LIFE,
    };
    revocation::revoke(db, revoked.clone(), identity.generation, now)?;
    Ok(Some((identity, revoked)))
}

/// Ends all that speaks for an identity, with the API keys it made; answers it as it is then.
pub fn revoke_everything(db: &mut Db, id: &IdentityId, now: Time) -> Result<Identity, Error> {
    store::bump_generation(db, id, now)?;
    let identity = store::find(db, id)?.ok_or(Error::NotFound)?;
    let revoked = TokensRevoked::Identity {
        identity_id: identity.id.clone(),
        generation: identity.generation,
        until: now + LONGEST_LIFE,
    };
    revocation::revoke(db, revoked, identity.generation, now)?;
    Ok(identity)
}

/// Keeps an identity from signing in, or lets it again. What it was signed in by ends, and so do
/// its API keys; being let again brings neither back.
pub fn set_disabled(
    db: &mut Db,
    id: &IdentityId,
    disabled: bool,
    now: Time,
) -> Result<Identity, Error> {
    let known = store::find(db, id)?.ok_or(Error::NotFound)?;
    if known.disabled_at.is_some() == disabled {
        return Ok(known);
    }
    store::set_disabled(db, id, disabled.then_some(now), now)?;
    let (identity, event): (_, fn(IdentityState) -> AuthEvent) = if disabled {
        let identity = revoke_everything(db, id, now)?;
        (identity, AuthEvent::IdentityDisabled)
    } else {
        let identity = store::find(db, id)?.ok_or(Error::NotFound)?;
        (identity, AuthEvent::IdentityEnabled)
    };
    chassis::events::emit(db, event(identity.state()), identity.version, now)?;
    Ok(identity)
}

/// Deletes an identity with all that hangs on it: how it signs in, what it may act as, its realms
/// and whoever is in them. Answers whether it was there.
pub fn delete(db: &mut Db, id: &IdentityId, now: Time) -> Result<bool, Error> {
    if store::find(db, id)?.is_none() {
        return Ok(false);
    }
    let identity = revoke_everything(db, id, now)?;
    crate::realms::remove_all_of(db, id, now)?;
    store::remove(db, id)?;
    let state = IdentityState {
        deleted: true,
        ..identity.state()
    };
    // One more than anything that was told of it, so that it is never taken for old news.
    let version = identity.version + 1;
    chassis::events::emit(db, AuthEvent::IdentityDeleted(state), version, now)?;
    Ok(true)
}

/// Whether one can become this by registering: admins are made by admins.
#[must_use]
pub fn registrable(actor: ActorType) -> bool {
    match actor {
        ActorType::Euser => true,
        ActorType::Admin | ActorType::Service => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::token::audience;

    fn identity() -> Identity {
        let mut identity = Identity::new(Realm::Platform, None, Time::EPOCH);
        identity.actors.insert(ActorType::Euser);
        identity.generation = 3;
        identity
    }

    fn claims(actor: ActorType, generation: i64) -> Claims {
        let mut claims = Claims::new(
            "micro",
            "authid_1",
            audience::PLATFORM,
            0,
            1,
            "tok_1".into(),
        );
        claims.actor_type = Some(actor);
        claims.generation = generation;
        claims
    }

    #[test]
    fn a_token_of_an_older_generation_or_another_actor_speaks_for_nobody() {
        assert!(identity().still_allows(&claims(ActorType::Euser, 3)));
        assert!(!identity().still_allows(&claims(ActorType::Euser, 2)));
        assert!(!identity().still_allows(&claims(ActorType::Admin, 3)));
    }

    #[test]
    fn a_realm_comes_back_from_its_text() {
        let own = Realm::Own(RealmId::new(Time::EPOCH));
        for realm in [Realm::Platform, own] {
            assert_eq!(realm.as_str().parse(), Ok(realm));
        }
        assert!("elsewhere".parse::<Realm>().is_err());
    }

    #[test]
    fn only_external_users_come_by_registering() {
        let by_registering: Vec<_> = ActorType::ALL
            .iter()
            .copied()
            .filter(|actor| registrable(*actor))
            .collect();
        assert_eq!(by_registering, [ActorType::Euser]);
    }
}
