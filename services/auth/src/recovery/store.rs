//! Queries of wishes for a new password.

use chassis::db::Db;
use common::id::ResetRequestId;
use common::time::Time;
use common::token::ActorType;
use diesel::prelude::*;

use super::Wish;
use crate::identities::Provider;
use crate::schema::reset_requests as r;

pub(super) fn insert(db: &mut Db, wish: &Wish, now: Time) -> QueryResult<()> {
    diesel::insert_into(r::table)
        .values((
            r::id.eq(ResetRequestId::new(now)),
            r::email.eq(&wish.email),
            r::actor_type.eq(wish.actor),
            r::provider.eq(wish.provider),
            r::created_at.eq(wish.at),
        ))
        .execute(db)
        .map(drop)
}

/// The oldest, up to so many.
pub(super) fn oldest(db: &mut Db, limit: i64) -> QueryResult<Vec<(ResetRequestId, Wish)>> {
    let rows = r::table
        .order(r::id)
        .limit(limit)
        .select((r::id, r::email, r::actor_type, r::provider, r::created_at))
        .load::<(ResetRequestId, String, ActorType, Provider, Time)>(db)?;
    let wish = |(id, email, actor, provider, at)| {
        let wish = Wish {
            email,
            actor,
            provider,
            at,
        };
        (id, wish)
    };
    Ok(rows.into_iter().map(wish).collect())
}

/// Removes one; answers how many rows that was.
pub(super) fn remove(db: &mut Db, id: &ResetRequestId) -> QueryResult<usize> {
    diesel::delete(r::table.find(id)).execute(db)
}
