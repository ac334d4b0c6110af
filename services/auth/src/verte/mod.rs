//! The interface of verte-auth: a user signs up and gets a project key, and with that key a project's
//! server signs its own people up and in, as identities of the user's realm.
//!
//! It is one more way to the same identities: a user here is an external user of the platform,
//! who also signs in at `/auth/euser/emailpass`.

pub mod accounts;
pub mod accounts_http;
mod answer;
pub mod http;

use chassis::db::Db;
use common::id::IdentityId;
use common::time::{Span, Time};
use diesel::QueryResult;

use crate::emailpass::{self, Credentials, SignInError};
use crate::identities::{Identity, store};
use crate::realms::{self, ProjectKey};
use crate::sign_in::{self, Entered};
use crate::state::State;

/// A user with the number by which clients know her.
#[derive(Clone, Debug)]
pub struct User {
    /// The identity.
    pub identity: Identity,
    /// Its number.
    pub number: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl User {
    /// What is known of an identity that has a number.
    fn of(db: &mut Db, identity: Identity, number: i64) -> QueryResult<Self> {
        let (created_at, updated_at) = store::times(db, &identity.id)?;
        Ok(Self {
            identity,
            number,
            created_at,
            updated_at,
        })
    }
}

/// Makes a user with a realm of her own and a key to it.
pub async fn sign_up(
    state: &State,
    credentials: &Credentials,
) -> Result<(User, ProjectKey), SignInError> {
    let (key, now) = (ProjectKey::random(), state.clock.now());
    let kept = key.clone();
    let (identity, number) = emailpass::enrol(state, credentials, move |db, identity| {
        realms::create(db, &identity.id, &kept, now)?;
        realms::number_of(db, identity)
    })
    .await?;
    let user = User {
        identity,
        number,
        created_at: now,
        updated_at: now,
    };
    Ok((user, key))
}

/// Signs a user in.
pub async fn log_in(
    state: &State,
    credentials: &Credentials,
) -> Result<(i64, Entered), SignInError> {
    let identity = emailpass::authenticate(state, credentials).await?;
    let (identity, number) = numbered(state, identity).await?;
    let sign_in = credentials.sign_in(state.clock.now());
    Ok((number, sign_in::complete(state, &identity, &sign_in).await?))
}

/// An identity with its number. Only one that has none yet costs a write.
async fn numbered(state: &State, mut identity: Identity) -> QueryResult<(Identity, i64)> {
    if let Some(number) = identity.number {
        return Ok((identity, number));
    }
    state
        .db
        .write(move |db| {
            let number = realms::number_of(db, &mut identity)?;
            Ok((identity, number))
        })
        .await
}

/// Makes another key to a user's realm; answers none if the number is another's. The keys before it
/// live on for `grace`.
pub async fn new_key(
    state: &State,
    user: IdentityId,
    number: i64,
    grace: Span,
) -> QueryResult<Option<ProjectKey>> {
    let (key, now) = (ProjectKey::random(), state.clock.now());
    let kept = key.clone();
    state
        .db
        .write(move |db| {
            let known = store::find(db, &user)?.filter(|known| known.number == Some(number));
            if known.is_none() {
                return Ok(None);
            }
            realms::rotate_key(db, &user, &kept, grace, now)?;
            Ok(Some(key))
        })
        .await
}
