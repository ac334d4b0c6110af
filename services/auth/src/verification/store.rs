//! Queries of verifications.

use chassis::db::Db;
use common::id::{IdentityId, VerificationId};
use common::time::{Span, Time};
use diesel::prelude::*;

use super::{Purpose, Verification};
use crate::schema::verifications as v;

type Row = (
    VerificationId,
    IdentityId,
    String,
    Purpose,
    Time,
    Time,
    Option<Time>,
);

fn of(
    (id, identity_id, entity_id, purpose, requested_at, expires_at, verified_at): Row,
) -> Verification {
    Verification {
        id,
        identity_id,
        entity_id,
        purpose,
        requested_at,
        expires_at,
        verified_at,
    }
}

/// What is selected of a row, in the order of [`Row`].
macro_rules! columns {
    () => {
        (
            v::id,
            v::identity_id,
            v::entity_id,
            v::purpose,
            v::requested_at,
            v::expires_at,
            v::verified_at,
        )
    };
}

/// Keeps a new one, in the place of those of this identity for the same purpose that came to nothing.
pub(super) fn replace(db: &mut Db, row: &Verification, code_digest: &str) -> QueryResult<()> {
    let earlier = v::table
        .filter(v::identity_id.eq(&row.identity_id))
        .filter(v::purpose.eq(row.purpose))
        .filter(v::verified_at.is_null());
    diesel::delete(earlier).execute(db)?;
    diesel::insert_into(v::table)
        .values((
            v::id.eq(&row.id),
            v::identity_id.eq(&row.identity_id),
            v::entity_id.eq(&row.entity_id),
            v::purpose.eq(row.purpose),
            v::code_digest.eq(code_digest),
            v::requested_at.eq(row.requested_at),
            v::expires_at.eq(row.expires_at),
        ))
        .execute(db)
        .map(drop)
}

/// The one that a code belongs to.
pub(super) fn by_code(db: &mut Db, code_digest: &str) -> QueryResult<Option<Verification>> {
    let row = v::table
        .filter(v::code_digest.eq(code_digest))
        .select(columns!())
        .first::<Row>(db)
        .optional()?;
    Ok(row.map(of))
}

/// The last that was confirmed of this identity and address.
pub(super) fn confirmed(
    db: &mut Db,
    identity: &IdentityId,
    entity_id: &str,
) -> QueryResult<Option<Verification>> {
    let row = v::table
        .filter(v::identity_id.eq(identity))
        .filter(v::entity_id.eq(entity_id))
        .filter(v::verified_at.is_not_null())
        .order(v::verified_at.desc())
        .select(columns!())
        .first::<Row>(db)
        .optional()?;
    Ok(row.map(of))
}

/// Notes that one is confirmed; answers how many rows that changed, for a code works once.
pub(super) fn confirm(db: &mut Db, id: &VerificationId, now: Time) -> QueryResult<usize> {
    diesel::update(v::table.find(id))
        .filter(v::verified_at.is_null())
        .set(v::verified_at.eq(now))
        .execute(db)
}

/// Removes those of an identity that came to nothing.
pub(super) fn remove_open(db: &mut Db, identity: &IdentityId) -> QueryResult<usize> {
    let open = v::table
        .filter(v::identity_id.eq(identity))
        .filter(v::verified_at.is_null());
    diesel::delete(open).execute(db)
}

/// Removes those that ended a day ago and more, confirmed or not: that an address is verified stands
/// at the identity.
pub(super) fn remove_ended(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::delete(v::table.filter(v::expires_at.lt(now - Span::days(1)))).execute(db)
}
