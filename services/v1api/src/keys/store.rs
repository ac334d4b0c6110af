//! Keys as the database has them.

use chassis::db::Db;
use common::id::{ApiKeyId, IdentityId, UserId};
use common::page::PageQuery;
use common::time::Time;
use diesel::prelude::*;

use super::ApiKey;
use crate::schema::api_keys::dsl as k;
use crate::schema::retired_tokens::dsl as r;

/// Adds a key.
pub(crate) fn insert(db: &mut Db, key: &ApiKey) -> QueryResult<()> {
    diesel::insert_into(k::api_keys)
        .values(key.clone())
        .execute(db)
        .map(drop)
}

/// A user's key.
pub(crate) fn find(db: &mut Db, user: &UserId, id: &ApiKeyId) -> QueryResult<Option<ApiKey>> {
    k::api_keys
        .find(id)
        .filter(k::user_id.eq(user))
        .select(ApiKey::as_select())
        .first(db)
        .optional()
}

/// A user's keys, newest first.
pub(crate) fn list(db: &mut Db, user: &UserId, page: &PageQuery) -> QueryResult<Vec<ApiKey>> {
    let mut query = k::api_keys
        .filter(k::user_id.eq(user))
        .select(ApiKey::as_select())
        .order(k::id.desc())
        .limit(page.fetch())
        .into_boxed();
    if let Some(after) = &page.after {
        query = query.filter(k::id.lt(after));
    }
    query.load(db)
}

/// How many of a user's keys still work.
pub(crate) fn count_working(db: &mut Db, user: &UserId, now: Time) -> QueryResult<i64> {
    k::api_keys
        .filter(
            k::user_id
                .eq(user)
                .and(k::revoked_at.is_null())
                .and(k::expires_at.gt(now)),
        )
        .count()
        .get_result(db)
}

/// Gives a key another name, and confines it to what it says.
pub(crate) fn change(db: &mut Db, key: &ApiKey) -> QueryResult<()> {
    diesel::update(k::api_keys.find(&key.id))
        .set((
            k::name.eq(&key.name),
            k::allowed_addresses.eq(&key.allowed_addresses),
            k::allowed_origins.eq(&key.allowed_origins),
            k::limits.eq(&key.limits),
            k::seq.eq(key.seq),
        ))
        .execute(db)
        .map(drop)
}

/// Replaces a key's token by that of another `jti`, unless somebody was quicker; the key's next version.
pub(crate) fn replace_token(
    db: &mut Db,
    key: &ApiKey,
    jti: &str,
    seq: i64,
    now: Time,
) -> QueryResult<Option<i64>> {
    let same = k::jti.eq(&key.jti).and(k::revoked_at.is_null());
    let changed = diesel::update(k::api_keys.find(&key.id).filter(same))
        .set((
            k::jti.eq(jti),
            k::rotated_at.eq(now),
            k::seq.eq(seq),
            k::version.eq(k::version + 1),
        ))
        .execute(db)?;
    if changed == 0 {
        return Ok(None);
    }
    k::api_keys
        .find(&key.id)
        .select(k::version)
        .first(db)
        .map(Some)
}

/// Notes that a token goes on until a time and no longer.
pub(crate) fn retire(db: &mut Db, key: &ApiKey, jti: &str, ends_at: Time) -> QueryResult<()> {
    diesel::insert_into(r::retired_tokens)
        .values((
            r::jti.eq(jti),
            r::key_id.eq(key.id.as_str()),
            r::ends_at.eq(ends_at),
            r::ended.eq(false),
        ))
        .execute(db)
        .map(drop)
}

/// A key's replaced tokens that go on.
pub(crate) fn retired(db: &mut Db, id: &ApiKeyId) -> QueryResult<Vec<String>> {
    r::retired_tokens
        .filter(r::key_id.eq(id.as_str()).and(r::ended.eq(false)))
        .order(r::jti)
        .select(r::jti)
        .load(db)
}

/// Notes that a replaced token has ended: now, if it would have gone on. `false` if that was noted
/// before.
pub(crate) fn end(db: &mut Db, jti: &str, now: Time) -> QueryResult<bool> {
    let going_on = r::retired_tokens.find(jti).filter(r::ended.eq(false));
    let ended = diesel::update(going_on)
        .set(r::ended.eq(true))
        .execute(db)?;
    diesel::update(r::retired_tokens.find(jti).filter(r::ends_at.gt(now)))
        .set(r::ends_at.eq(now))
        .execute(db)?;
    Ok(ended > 0)
}

/// Replaced tokens whose time is over, with their keys.
pub(crate) fn due(db: &mut Db, now: Time) -> QueryResult<Vec<(String, ApiKeyId)>> {
    r::retired_tokens
        .filter(r::ended.eq(false).and(r::ends_at.le(now)))
        .order(r::jti)
        .limit(100)
        .select((r::jti, r::key_id))
        .load::<(String, String)>(db)
        .map(|rows| {
            let parsed = rows
                .into_iter()
                .filter_map(|(jti, id)| Some((jti, id.parse().ok()?)));
            parsed.collect()
        })
}

/// A key, whosever it is.
pub(crate) fn get(db: &mut Db, id: &ApiKeyId) -> QueryResult<Option<ApiKey>> {
    k::api_keys
        .find(id)
        .select(ApiKey::as_select())
        .first(db)
        .optional()
}

/// Notes that a key is revoked; its next version, unless it has been before.
pub(crate) fn revoke(db: &mut Db, id: &ApiKeyId, seq: i64, now: Time) -> QueryResult<Option<i64>> {
    let changed = diesel::update(k::api_keys.find(id).filter(k::revoked_at.is_null()))
        .set((
            k::revoked_at.eq(now),
            k::seq.eq(seq),
            k::version.eq(k::version + 1),
        ))
        .execute(db)?;
    if changed == 0 {
        return Ok(None);
    }
    k::api_keys.find(id).select(k::version).first(db).map(Some)
}

/// The working keys that were made with this one.
pub(crate) fn made_by(db: &mut Db, id: &ApiKeyId) -> QueryResult<Vec<ApiKey>> {
    k::api_keys
        .filter(k::made_by_key.eq(id.as_str()).and(k::revoked_at.is_null()))
        .select(ApiKey::as_select())
        .load(db)
}

/// An identity's keys that have not been revoked.
pub(crate) fn working_of_identity(db: &mut Db, identity: &IdentityId) -> QueryResult<Vec<ApiKey>> {
    k::api_keys
        .filter(k::identity_id.eq(identity).and(k::revoked_at.is_null()))
        .select(ApiKey::as_select())
        .load(db)
}

/// All keys that a user has made, newest first.
pub(crate) fn all_of_user(db: &mut Db, user: &UserId) -> QueryResult<Vec<ApiKey>> {
    k::api_keys
        .filter(k::user_id.eq(user))
        .select(ApiKey::as_select())
        .order(k::id.desc())
        .load(db)
}
