//! Queries of refresh tokens.

use chassis::db::Db;
use common::id::{IdentityId, RefreshFamilyId};
use common::time::Time;
use common::token::ActorType;
use diesel::prelude::*;

use super::{EndReason, Family, Link, RefreshToken, WINDOW};
use crate::identities::Provider;
use crate::oauth::Client;
use crate::schema::{identities, refresh_families, refresh_tokens};
use crate::tokens::SignIn;

#[derive(Queryable, Selectable)]
#[diesel(table_name = refresh_families)]
struct Row {
    id: RefreshFamilyId,
    identity_id: IdentityId,
    client: Client,
    actor_type: ActorType,
    provider: Provider,
    generation: i64,
    signed_in_at: Time,
    expires_at: Time,
    ended_at: Option<Time>,
}

impl From<Row> for Family {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            identity_id: row.identity_id,
            client: row.client,
            sign_in: SignIn {
                actor: row.actor_type,
                provider: row.provider,
                at: row.signed_in_at,
            },
            generation: row.generation,
            expires_at: row.expires_at,
            ended: row.ended_at.is_some(),
        }
    }
}

/// When a token was used, and its successor as long as that is kept.
pub(super) type Used = Option<(Time, Option<Vec<u8>>)>;

pub(super) fn insert_family(db: &mut Db, family: &Family) -> QueryResult<()> {
    diesel::insert_into(refresh_families::table)
        .values((
            refresh_families::id.eq(&family.id),
            refresh_families::identity_id.eq(&family.identity_id),
            refresh_families::client.eq(family.client),
            refresh_families::actor_type.eq(family.sign_in.actor),
            refresh_families::provider.eq(family.sign_in.provider),
            refresh_families::generation.eq(family.generation),
            refresh_families::signed_in_at.eq(family.sign_in.at),
            refresh_families::expires_at.eq(family.expires_at),
        ))
        .execute(db)
        .map(drop)
}

pub(super) fn insert(
    db: &mut Db,
    family: &RefreshFamilyId,
    link: &Link,
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::digest.eq(link.token.digest()),
            refresh_tokens::family_id.eq(family),
            refresh_tokens::created_at.eq(now),
            refresh_tokens::access_jti.eq(&link.access_jti),
            refresh_tokens::access_expires_at.eq(link.access_expires_at),
        ))
        .execute(db)
        .map(drop)
}

/// The chain that a token belongs to.
pub(super) fn family_of(db: &mut Db, digest: &str) -> QueryResult<Option<Family>> {
    Ok(find(db, digest)?.map(|(_, family)| family))
}

/// A chain that holds, and when its client last asked for a token.
pub(super) struct Device {
    pub(super) family: Family,
    pub(super) last_seen_at: Time,
}

/// Up to `limit` of an identity's chains that hold, the newest first, before one if there is one.
pub(super) fn page(
    db: &mut Db,
    identity: &IdentityId,
    before: Option<&RefreshFamilyId>,
    limit: i64,
    now: Time,
) -> QueryResult<Vec<Device>> {
    let mut query = refresh_families::table
        .inner_join(identities::table)
        .filter(refresh_families::identity_id.eq(identity))
        .filter(refresh_families::generation.ge(identities::generation))
        .filter(refresh_families::ended_at.is_null())
        .filter(refresh_families::expires_at.gt(now))
        .order(refresh_families::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(refresh_families::id.lt(before));
    }
    let rows: Vec<Row> = query.load(db)?;
    rows.into_iter()
        .map(|row| {
            let family = Family::from(row);
            let last = refresh_tokens::table
                .filter(refresh_tokens::family_id.eq(&family.id))
                .select(diesel::dsl::max(refresh_tokens::created_at))
                .first::<Option<Time>>(db)?;
            Ok(Device {
                last_seen_at: last.unwrap_or(family.sign_in.at),
                family,
            })
        })
        .collect()
}

/// The chain of this id, if it is this identity's and holds.
pub(super) fn of(
    db: &mut Db,
    id: &RefreshFamilyId,
    identity: &IdentityId,
    now: Time,
) -> QueryResult<Option<Family>> {
    let row = refresh_families::table
        .find(id)
        .filter(refresh_families::identity_id.eq(identity))
        .filter(refresh_families::ended_at.is_null())
        .filter(refresh_families::expires_at.gt(now))
        .select(Row::as_select())
        .first(db)
        .optional()?;
    Ok(row.map(Family::from))
}

/// Whether a token has been used, and its chain.
pub(super) fn find(db: &mut Db, digest: &str) -> QueryResult<Option<(Used, Family)>> {
    let found = refresh_tokens::table
        .find(digest)
        .inner_join(refresh_families::table)
        .select((
            refresh_tokens::used_at,
            refresh_tokens::successor,
            Row::as_select(),
        ))
        .first::<(Option<Time>, Option<Vec<u8>>, Row)>(db)
        .optional()?;
    Ok(found.map(|(used_at, successor, row)| (used_at.map(|at| (at, successor)), row.into())))
}

/// What was given with a token.
pub(super) fn link(db: &mut Db, token: RefreshToken) -> QueryResult<Option<Link>> {
    let found: Option<(String, Time)> = refresh_tokens::table
        .find(token.digest())
        .select((
            refresh_tokens::access_jti,
            refresh_tokens::access_expires_at,
        ))
        .first(db)
        .optional()?;
    Ok(found.map(|(access_jti, access_expires_at)| Link {
        token,
        access_jti,
        access_expires_at,
    }))
}

pub(super) fn use_up(db: &mut Db, digest: &str, successor: &[u8], now: Time) -> QueryResult<usize> {
    diesel::update(refresh_tokens::table.find(digest))
        .set((
            refresh_tokens::used_at.eq(now),
            refresh_tokens::successor.eq(successor),
        ))
        .execute(db)
}

/// Ends a chain; answers how many rows that changed.
pub(super) fn end(
    db: &mut Db,
    family: &RefreshFamilyId,
    reason: EndReason,
    now: Time,
) -> QueryResult<usize> {
    diesel::update(refresh_families::table.find(family))
        .filter(refresh_families::ended_at.is_null())
        .set((
            refresh_families::ended_at.eq(now),
            refresh_families::end_reason.eq(reason),
        ))
        .execute(db)
}

/// A chain's access tokens that have not ended by themselves.
pub(super) fn access_tokens(
    db: &mut Db,
    family: &RefreshFamilyId,
    now: Time,
) -> QueryResult<Vec<(String, Time)>> {
    refresh_tokens::table
        .filter(refresh_tokens::family_id.eq(family))
        .filter(refresh_tokens::access_expires_at.gt(now))
        .select((
            refresh_tokens::access_jti,
            refresh_tokens::access_expires_at,
        ))
        .load(db)
}

/// Removes chains whose time is over, and successors that nobody is given again.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<()> {
    let over = refresh_families::table.filter(refresh_families::expires_at.le(now));
    diesel::delete(over).execute(db)?;
    diesel::update(refresh_tokens::table)
        .filter(refresh_tokens::successor.is_not_null())
        .filter(refresh_tokens::used_at.lt(now - WINDOW))
        .set(refresh_tokens::successor.eq(None::<Vec<u8>>))
        .execute(db)?;
    Ok(())
}
