//! Realms: sets of identities that a person or an account of the platform owns, and the project keys
//! that open them.

pub mod access;
pub mod http;
pub mod store;

use chassis::db::Db;
use common::ExposeSecret as _;
use common::digest::sha256_hex;
use common::id::{AccountId, IdentityId, RealmId};
use common::names::DisplayName;
use common::time::{Span, Time};
use common::token::ActorType;
use common::{SecretString, random};
use diesel::QueryResult;
use diesel::prelude::*;

use crate::identities::{self, Identity, Realm};
use crate::password::{Policy, Rules};
use crate::schema::realms;
use crate::state::State;

/// How many realms one person can make.
pub const MOST_REALMS: i64 = 100;

/// The name of the realm that comes with a first project key.
const FIRST_NAME: &str = "First realm";

/// A realm that somebody owns.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = realms)]
pub struct OwnRealm {
    /// Its id.
    pub id: RealmId,
    /// Whoever made it, whose it is unless it is an account's.
    pub owner_id: IdentityId,
    /// The account that owns it.
    pub account_id: Option<AccountId>,
    /// What its owner calls it.
    pub name: DisplayName,
    /// Which passwords are accepted, where not as on the platform.
    pub password_policy: Option<Policy>,
    /// When it was made.
    pub created_at: Time,
}

/// What new passwords of a realm must be like.
pub async fn rules(state: &State, realm: &Realm) -> QueryResult<Rules> {
    let Some(id) = realm.id() else {
        return Ok(state.rules);
    };
    let found = state.db.read(move |db| store::find(db, &id)).await?;
    let policy = found.and_then(|realm| realm.password_policy);
    Ok(Rules {
        policy: policy.unwrap_or(state.rules.policy),
        ..state.rules
    })
}

/// A key to a realm, as its owner sees it once.
#[derive(Clone, Debug)]
pub struct ProjectKey(SecretString);

impl ProjectKey {
    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(random::token().into())
    }

    /// The key that a caller sent.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// The key itself, for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_hex(self.expose().as_bytes())
    }
}

/// Makes a realm for its first owner, and a key to it.
pub fn create(
    db: &mut Db,
    owner: &IdentityId,
    key: &ProjectKey,
    now: Time,
) -> QueryResult<RealmId> {
    let name = DisplayName::parse(FIRST_NAME)
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let realm = OwnRealm {
        id: RealmId::new(now),
        owner_id: owner.clone(),
        account_id: None,
        name,
        password_policy: None,
        created_at: now,
    };
    store::insert(db, &realm)?;
    store::insert_key(db, &key.digest(), &realm.id, now)?;
    Ok(realm.id)
}

/// Makes another key to the owner's first realm, and the realm if there is none. The keys before it
/// end after `grace`.
pub fn rotate_key(
    db: &mut Db,
    owner: &IdentityId,
    key: &ProjectKey,
    grace: Span,
    now: Time,
) -> QueryResult<RealmId> {
    chassis::db::lock(db, &format!("realms:{owner}"))?;
    let Some(realm) = store::first_of(db, owner)? else {
        return create(db, owner, key, now);
    };
    store::expire_keys(db, &realm, now + grace)?;
    store::insert_key(db, &key.digest(), &realm, now)?;
    Ok(realm)
}

/// Removes a person's own realms, with their keys and whoever is in them. Those that she made for
/// accounts stay these accounts': another of their members stands for her, or an admin.
pub fn remove_all_of(db: &mut Db, owner: &IdentityId, now: Time) -> QueryResult<()> {
    chassis::db::lock(db, &format!("realms:{owner}"))?;
    for realm in store::all_of(db, owner)? {
        for identity in identities::store::all_of_realm(db, &Realm::Own(realm.clone()))? {
            identities::delete(db, &identity, now)?;
        }
        store::remove(db, &realm)?;
    }
    for (realm, account) in store::made_for_accounts(db, owner)? {
        if let Some(heir) = heir(db, &account, owner)? {
            store::set_maker(db, &realm, &heir)?;
        }
    }
    Ok(())
}

/// Who stands for somebody in an account's realm: the member with the highest role, else an admin, of
/// whom there is always one.
fn heir(db: &mut Db, account: &AccountId, of: &IdentityId) -> QueryResult<Option<IdentityId>> {
    let mut members = chassis::members::of_account(db, account)?;
    members.sort_by_key(|(_, role)| std::cmp::Reverse(*role));
    for (user, _) in members {
        let known = identities::store::by_user(db, &user)?;
        if let Some(heir) = known.filter(|known| known != of) {
            return Ok(Some(heir));
        }
    }
    identities::store::another(db, ActorType::Admin, of)
}

/// The number of an identity, which is given one if it has none.
pub fn number_of(db: &mut Db, identity: &mut Identity) -> QueryResult<i64> {
    if let Some(number) = identity.number {
        return Ok(number);
    }
    let number = next_number(db, &identity.realm)?;
    if identities::store::set_number(db, &identity.id, number)? == 0 {
        // Somebody else's request was quicker.
        let known = identities::store::find(db, &identity.id)?.and_then(|known| known.number);
        identity.number = known;
        return known.ok_or(diesel::result::Error::NotFound);
    }
    identity.number = Some(number);
    Ok(number)
}

/// The next number of a realm, from 1 on.
fn next_number(db: &mut Db, realm: &Realm) -> QueryResult<i64> {
    chassis::db::lock(db, &format!("numbers:{}", realm.as_str()))?;
    store::count_up(db, realm.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_shown_by_nothing_but_its_own_name() {
        let key = ProjectKey::random();
        assert!(key.expose().len() >= 43);
        assert_ne!(key.expose(), ProjectKey::random().expose());
        assert!(!format!("{key:?}").contains(key.expose()));
        assert!(!key.digest().contains(key.expose()));
        assert_eq!(ProjectKey::given(key.expose()).digest(), key.digest());
    }
}
