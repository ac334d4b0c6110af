//! The people of a user's realm, whom verte-auth calls accounts.

use common::id::{IdentityId, RealmId};
use diesel::result::Error;

use super::{User, numbered};
use crate::emailpass::{self, Credentials, SignInError};
use crate::identities::{self, Realm, store};
use crate::realms::{self, ProjectKey};
use crate::state::State;
use crate::tokens::Signed;

/// A realm that a key has opened, or that its owner has come to.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The realm.
    pub realm: RealmId,
    /// The owner's number.
    pub owner: i64,
}

/// The realm of the user of this number, if the key opens it. Which of the two is wrong isn't told.
pub async fn open(state: &State, owner: i64, key: &ProjectKey) -> Result<Option<Opened>, Error> {
    let (digest, now) = (key.digest(), state.clock.now());
    let realm = state
        .db
        .read(move |db| {
            let user = store::by_number(db, &Realm::Platform, owner)?;
            let Some(user) = user.filter(|user| user.disabled_at.is_none()) else {
                return Ok(None);
            };
            realms::store::opened_by(db, &digest, &user.id, now)
        })
        .await?;
    Ok(realm.map(|realm| Opened { realm, owner }))
}

/// The realm of this number's owner, if it is the caller's own.
pub async fn own(state: &State, caller: IdentityId, owner: i64) -> Result<Option<Opened>, Error> {
    let realm = state
        .db
        .read(move |db| {
            let user = store::find(db, &caller)?;
            match user.filter(|user| user.number == Some(owner)) {
                Some(user) => realms::store::first_of(db, &user.id),
                None => Ok(None),
            }
        })
        .await?;
    Ok(realm.map(|realm| Opened { realm, owner }))
}

/// Makes an account.
pub async fn sign_up(
    state: &State,
    opened: &Opened,
    credentials: &Credentials,
) -> Result<(User, Signed), SignInError> {
    let now = state.clock.now();
    let (identity, number) = emailpass::enrol(state, credentials, realms::number_of).await?;
    let signed = state
        .issuer
        .of_realm(&identity, &opened.realm, opened.owner)?;
    let account = User {
        identity,
        number,
        created_at: now,
        updated_at: now,
    };
    Ok((account, signed))
}

/// Signs an account in.
pub async fn log_in(
    state: &State,
    opened: &Opened,
    credentials: &Credentials,
) -> Result<(User, Signed), SignInError> {
    let identity = emailpass::authenticate(state, credentials).await?;
    let (identity, number) = numbered(state, identity).await?;
    let account = state
        .db
        .read(move |db| User::of(db, identity, number))
        .await?;
    let signed = state
        .issuer
        .of_realm(&account.identity, &opened.realm, opened.owner)?;
    Ok((account, signed))
}

/// Up to `limit` accounts of a realm, the newest first, below a number if there is one.
pub async fn page(
    state: &State,
    opened: &Opened,
    below: Option<i64>,
    limit: i64,
) -> Result<Vec<User>, Error> {
    let realm = Realm::Own(opened.realm.clone());
    let rows = state
        .db
        .read(move |db| store::page(db, &realm, below, limit))
        .await?;
    let accounts = rows
        .into_iter()
        .filter_map(|(identity, created_at, updated_at)| {
            Some(User {
                number: identity.number?,
                identity,
                created_at,
                updated_at,
            })
        });
    Ok(accounts.collect())
}

/// Keeps an account from signing in, or lets it again. What it was signed in by ends.
pub async fn set_disabled(
    state: &State,
    opened: &Opened,
    number: i64,
    disabled: bool,
) -> Result<Option<User>, Error> {
    let (realm, now) = (Realm::Own(opened.realm.clone()), state.clock.now());
    state
        .db
        .write(move |db| {
            let Some(account) = store::by_number(db, &realm, number)? else {
                return Ok(None);
            };
            let identity = identities::set_disabled(db, &account.id, disabled, now)?;
            User::of(db, identity, number).map(Some)
        })
        .await
}

/// Removes an account, and ends what it was signed in by; answers whether there was one.
pub async fn delete(state: &State, opened: &Opened, number: i64) -> Result<bool, Error> {
    let (realm, now) = (Realm::Own(opened.realm.clone()), state.clock.now());
    state
        .db
        .write(move |db| {
            let Some(account) = store::by_number(db, &realm, number)? else {
                return Ok(false);
            };
            identities::delete(db, &account.id, now)
        })
        .await
}
