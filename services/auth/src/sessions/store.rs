//! Queries of sessions.

use chassis::db::Db;
use common::id::{IdentityId, MfaChallengeId, SessionId};
use common::time::Time;
use common::token::ActorType;
use diesel::prelude::*;

use crate::identities::Provider;
use crate::schema::{identities, sessions};

/// A session.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
pub struct Session {
    /// By which its owner names it, and tokens that came out of it.
    pub id: SessionId,
    /// Its cookie's digest.
    pub digest: String,
    /// Whose it is.
    pub identity_id: IdentityId,
    /// As what the person acts.
    pub actor_type: ActorType,
    /// By what she signed in.
    pub provider: Provider,
    /// When she did.
    pub auth_time: Time,
    /// The identity's when it began.
    pub generation: i64,
    /// What the browser said of itself.
    pub user_agent: Option<String>,
    /// From where it began.
    pub address: Option<String>,
    /// When it began.
    pub created_at: Time,
    /// When it was last used, to a few minutes.
    pub last_seen_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// What must be completed before it is anybody's.
    pub challenge_id: Option<MfaChallengeId>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

/// Keeps a new session.
pub fn insert(db: &mut Db, session: &Session) -> QueryResult<()> {
    diesel::insert_into(sessions::table)
        .values(session)
        .execute(db)
        .map(drop)
}

/// The session of this cookie.
pub fn by_digest(db: &mut Db, digest: &str) -> QueryResult<Option<Session>> {
    sessions::table
        .filter(sessions::digest.eq(digest))
        .select(Session::as_select())
        .first(db)
        .optional()
}

/// Up to `limit` sessions in which an identity is signed in, the newest first, before one if there is one.
pub fn page(
    db: &mut Db,
    identity: &IdentityId,
    before: Option<&SessionId>,
    limit: i64,
    now: Time,
) -> QueryResult<Vec<Session>> {
    let mut query = sessions::table
        .inner_join(identities::table)
        .filter(sessions::identity_id.eq(identity))
        .filter(sessions::generation.ge(identities::generation))
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::challenge_id.is_null())
        .order(sessions::id.desc())
        .limit(limit)
        .select(Session::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(sessions::id.lt(before));
    }
    query.load(db)
}

/// All sessions of an identity.
pub fn ids_of(db: &mut Db, identity: &IdentityId) -> QueryResult<Vec<SessionId>> {
    sessions::table
        .filter(sessions::identity_id.eq(identity))
        .select(sessions::id)
        .load(db)
}

/// Whether a session is this identity's.
pub fn is_of(db: &mut Db, id: &SessionId, identity: &IdentityId) -> QueryResult<bool> {
    let owner = sessions::table
        .find(id)
        .select(sessions::identity_id)
        .first::<IdentityId>(db)
        .optional()?;
    Ok(owner.as_ref() == Some(identity))
}

/// Notes that a session is in use.
pub fn touch(db: &mut Db, id: &SessionId, now: Time) -> QueryResult<()> {
    diesel::update(sessions::table.find(id))
        .set(sessions::last_seen_at.eq(now))
        .execute(db)
        .map(drop)
}

/// Removes a session; answers how many there were.
pub fn remove(db: &mut Db, id: &SessionId) -> QueryResult<usize> {
    diesel::delete(sessions::table.find(id)).execute(db)
}

/// Removes those whose time is over.
pub fn remove_ended(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::delete(sessions::table.filter(sessions::expires_at.le(now))).execute(db)
}
