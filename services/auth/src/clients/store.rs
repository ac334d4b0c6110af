//! Queries of clients.

use chassis::db::Db;
use chassis::seal::{SealError, Sealer};
use common::ExposeSecret as _;
use common::id::IdentityId;
use common::time::Time;
use diesel::prelude::*;

use super::{Client, Purpose, place};
use crate::schema::clients;

/// A client as it is kept.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = clients)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) identity_id: IdentityId,
    pub(super) purpose: Purpose,
    pub(super) sealed_secret: Vec<u8>,
    pub(super) generation: i64,
    pub(super) created_at: Time,
    pub(super) expires_at: Time,
}

impl Row {
    pub(super) fn seal(
        client: &Client,
        sealer: &Sealer,
        identity_id: IdentityId,
        generation: i64,
        now: Time,
    ) -> Result<Self, SealError> {
        let secret = client.secret.expose_secret().as_bytes();
        Ok(Self {
            id: client.cid.clone(),
            identity_id,
            purpose: client.purpose,
            sealed_secret: sealer.seal(secret, &place(&client.cid))?,
            generation,
            created_at: now,
            expires_at: client.expires_at,
        })
    }
}

pub(super) fn insert(db: &mut Db, row: &Row) -> QueryResult<()> {
    diesel::insert_into(clients::table)
        .values(row)
        .execute(db)
        .map(drop)
}

/// Removes all but the newest clients of somebody.
pub(super) fn keep_newest(db: &mut Db, identity: &IdentityId, kept: i64) -> QueryResult<()> {
    let own = clients::table.filter(clients::identity_id.eq(identity));
    let oldest_kept = own
        .order(clients::created_at.desc())
        .offset(kept - 1)
        .select(clients::created_at)
        .first::<Time>(db)
        .optional()?;
    if let Some(oldest) = oldest_kept {
        diesel::delete(own.filter(clients::created_at.lt(oldest))).execute(db)?;
    }
    Ok(())
}

pub(super) fn find(db: &mut Db, id: &str) -> QueryResult<Option<Row>> {
    clients::table
        .find(id)
        .select(Row::as_select())
        .first(db)
        .optional()
}

pub(super) fn set_expiry(db: &mut Db, id: &str, expires_at: Time) -> QueryResult<usize> {
    diesel::update(clients::table.find(id))
        .set(clients::expires_at.eq(expires_at))
        .execute(db)
}

pub(super) fn remove(db: &mut Db, id: &str) -> QueryResult<usize> {
    diesel::delete(clients::table.find(id)).execute(db)
}

pub(super) fn remove_all(db: &mut Db, identity: &IdentityId) -> QueryResult<usize> {
    diesel::delete(clients::table.filter(clients::identity_id.eq(identity))).execute(db)
}

/// Removes clients that ended before now.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::delete(clients::table.filter(clients::expires_at.le(now))).execute(db)
}
