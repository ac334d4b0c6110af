//! Queries of realms and their keys.

use chassis::db::Db;
use common::id::{AccountId, IdentityId, RealmId};
use common::names::DisplayName;
use common::page::PageQuery;
use common::time::Time;
use diesel::prelude::*;

use super::OwnRealm;
use crate::password::Policy;
use crate::schema::{last_numbers, project_keys, realms};

/// Keeps a new realm.
pub fn insert(db: &mut Db, realm: &OwnRealm) -> QueryResult<()> {
    diesel::insert_into(realms::table)
        .values(realm)
        .execute(db)
        .map(drop)
}

/// The realm of this id.
pub fn find(db: &mut Db, id: &RealmId) -> QueryResult<Option<OwnRealm>> {
    realms::table
        .find(id)
        .select(OwnRealm::as_select())
        .first(db)
        .optional()
}

/// A person's own realms, if there is one, and those of these accounts, newest first.
pub fn list(
    db: &mut Db,
    owner: Option<&IdentityId>,
    accounts: &[AccountId],
    page: &PageQuery,
) -> QueryResult<Vec<OwnRealm>> {
    let mut query = realms::table
        .filter(
            realms::account_id
                .eq_any(accounts.to_vec())
                .assume_not_null(),
        )
        .order(realms::id.desc())
        .limit(page.fetch())
        .select(OwnRealm::as_select())
        .into_boxed();
    if let Some(owner) = owner {
        query = query.or_filter(realms::owner_id.eq(owner).and(realms::account_id.is_null()));
    }
    if let Some(after) = &page.after {
        query = query.filter(realms::id.lt(after));
    }
    query.load(db)
}

/// How many realms a person has made.
pub fn count_of(db: &mut Db, owner: &IdentityId) -> QueryResult<i64> {
    realms::table
        .filter(realms::owner_id.eq(owner))
        .count()
        .get_result(db)
}

/// Changes a realm's name and policy.
pub fn update(
    db: &mut Db,
    id: &RealmId,
    name: &DisplayName,
    policy: Option<Policy>,
) -> QueryResult<()> {
    diesel::update(realms::table.find(id))
        .set((realms::name.eq(name), realms::password_policy.eq(policy)))
        .execute(db)
        .map(drop)
}

/// The realm that somebody has had for the longest time.
pub fn first_of(db: &mut Db, owner: &IdentityId) -> QueryResult<Option<RealmId>> {
    realms::table
        .filter(realms::owner_id.eq(owner).and(realms::account_id.is_null()))
        .order(realms::id)
        .select(realms::id)
        .first(db)
        .optional()
}

/// All realms that are a person's own.
pub fn all_of(db: &mut Db, owner: &IdentityId) -> QueryResult<Vec<RealmId>> {
    realms::table
        .filter(realms::owner_id.eq(owner).and(realms::account_id.is_null()))
        .select(realms::id)
        .load(db)
}

/// The realms that a person made for accounts, with the accounts.
pub fn made_for_accounts(
    db: &mut Db,
    maker: &IdentityId,
) -> QueryResult<Vec<(RealmId, AccountId)>> {
    realms::table
        .filter(
            realms::owner_id
                .eq(maker)
                .and(realms::account_id.is_not_null()),
        )
        .select((realms::id, realms::account_id.assume_not_null()))
        .load(db)
}

/// Puts somebody in the place of whoever made a realm.
pub fn set_maker(db: &mut Db, realm: &RealmId, maker: &IdentityId) -> QueryResult<()> {
    diesel::update(realms::table.find(realm))
        .set(realms::owner_id.eq(maker))
        .execute(db)
        .map(drop)
}

/// Removes a realm, its keys and its count. Nobody may be in it any more.
pub fn remove(db: &mut Db, realm: &RealmId) -> QueryResult<()> {
    diesel::delete(project_keys::table.filter(project_keys::realm_id.eq(realm))).execute(db)?;
    diesel::delete(last_numbers::table.find(realm.as_str())).execute(db)?;
    diesel::delete(realms::table.find(realm)).execute(db)?;
    Ok(())
}

/// The realm that an account has had for the longest time.
pub fn first_of_account(db: &mut Db, account: &AccountId) -> QueryResult<Option<RealmId>> {
    realms::table
        .filter(realms::account_id.eq(account))
        .order(realms::id)
        .select(realms::id)
        .first(db)
        .optional()
}

/// Keeps a new key by its digest.
pub fn insert_key(db: &mut Db, digest: &str, realm: &RealmId, now: Time) -> QueryResult<()> {
    diesel::insert_into(project_keys::table)
        .values((
            project_keys::digest.eq(digest),
            project_keys::realm_id.eq(realm),
            project_keys::created_at.eq(now),
        ))
        .execute(db)
        .map(drop)
}

/// Has the keys of a realm that don't end sooner end then.
pub fn expire_keys(db: &mut Db, realm: &RealmId, at: Time) -> QueryResult<usize> {
    diesel::update(
        project_keys::table
            .filter(project_keys::realm_id.eq(realm))
            .filter(
                project_keys::expires_at
                    .is_null()
                    .or(project_keys::expires_at.gt(at)),
            ),
    )
    .set(project_keys::expires_at.eq(at))
    .execute(db)
}

/// The realm that a key opens now, if it is this owner's.
pub fn opened_by(
    db: &mut Db,
    digest: &str,
    owner: &IdentityId,
    now: Time,
) -> QueryResult<Option<RealmId>> {
    project_keys::table
        .inner_join(realms::table)
        .filter(project_keys::digest.eq(digest))
        .filter(realms::owner_id.eq(owner))
        .filter(
            project_keys::expires_at
                .is_null()
                .or(project_keys::expires_at.gt(now)),
        )
        .select(realms::id)
        .first(db)
        .optional()
}

/// Removes keys that ended before now.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::delete(project_keys::table.filter(project_keys::expires_at.le(now))).execute(db)
}

/// Counts a realm's numbers up. The caller holds the lock of that realm.
pub fn count_up(db: &mut Db, realm: &str) -> QueryResult<i64> {
    let row = last_numbers::table.find(realm);
    let counted = diesel::update(row)
        .set(last_numbers::number.eq(last_numbers::number + 1))
        .execute(db)?;
    if counted == 0 {
        diesel::insert_into(last_numbers::table)
            .values((
                last_numbers::realm.eq(realm),
                last_numbers::number.eq(1_i64),
            ))
            .execute(db)?;
    }
    row.select(last_numbers::number).first(db)
}
