//! The keys as the database has them.

use chassis::db::Db;
use common::time::Time;
use common::token::Algorithm;
use diesel::prelude::*;

use crate::schema::forward_keys;

/// A key's row.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = forward_keys)]
pub(super) struct KeyRow {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    /// Its PKCS #8 document, sealed.
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Time,
}

/// All keys, the oldest first.
pub(super) fn all(db: &mut Db) -> QueryResult<Vec<KeyRow>> {
    forward_keys::table
        .order((forward_keys::created_at, forward_keys::kid))
        .select(KeyRow::as_select())
        .load(db)
}

/// Adds a key where `is_due` says so of when those that are there were made, the oldest first. Of
/// replicas that ask at once one adds its key.
pub(super) fn add(
    db: &mut Db,
    fresh: &KeyRow,
    is_due: impl FnOnce(&[Time]) -> bool,
) -> QueryResult<bool> {
    chassis::db::lock(db, "forward_keys")?;
    let made: Vec<Time> = forward_keys::table
        .select(forward_keys::created_at)
        .order(forward_keys::created_at)
        .load(db)?;
    if !is_due(&made) {
        return Ok(false);
    }
    diesel::insert_into(forward_keys::table)
        .values(fresh)
        .execute(db)?;
    Ok(true)
}

/// Takes keys away.
pub(super) fn remove(db: &mut Db, kids: &[String]) -> QueryResult<()> {
    diesel::delete(forward_keys::table.filter(forward_keys::kid.eq_any(kids)))
        .execute(db)
        .map(drop)
}
