//! Queries of signing keys.

use chassis::db::Db;
use common::time::Time;
use common::token::Algorithm;
use diesel::prelude::*;

use super::KeyState;
use crate::schema::signing_keys;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
pub(super) struct Row {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) state: KeyState,
    pub(super) kinds: String,
    pub(super) public_jwk: String,
    pub(super) sealed_key: Vec<u8>,
    pub(super) created_at: Time,
    pub(super) changed_at: Time,
    pub(super) rotation_asked_at: Option<Time>,
}

/// All keys, oldest first.
pub(super) fn all(db: &mut Db) -> QueryResult<Vec<Row>> {
    signing_keys::table
        .order((signing_keys::created_at, signing_keys::kid))
        .select(Row::as_select())
        .load(db)
}

pub(super) fn insert(db: &mut Db, row: &Row) -> QueryResult<()> {
    diesel::insert_into(signing_keys::table)
        .values(row)
        .execute(db)?;
    Ok(())
}

pub(super) fn set_state(db: &mut Db, kid: &str, state: KeyState, now: Time) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((
            signing_keys::state.eq(state),
            signing_keys::changed_at.eq(now),
        ))
        .execute(db)?;
    Ok(())
}

/// Notes that an operator wants another key in the place of this one.
pub(super) fn ask_rotation(db: &mut Db, kid: &str, now: Time) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set(signing_keys::rotation_asked_at.eq(now))
        .execute(db)?;
    Ok(())
}

pub(super) fn remove(db: &mut Db, kid: &str) -> QueryResult<()> {
    diesel::delete(signing_keys::table.find(kid)).execute(db)?;
    Ok(())
}
