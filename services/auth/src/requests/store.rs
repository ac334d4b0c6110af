//! Queries of login requests.

use chassis::db::Db;
use common::time::Time;
use diesel::prelude::*;

use super::{Kind, Request, Stage};
use crate::schema::login_requests::{self as table, dsl as r};

/// A new request.
#[derive(Insertable)]
#[diesel(table_name = table)]
pub(super) struct NewRow {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) reference: String,
    pub(super) poll_digest: Option<String>,
    pub(super) user_code: Option<String>,
    pub(super) browser_digest: Option<String>,
    pub(super) actor_type: Option<String>,
    pub(super) identity_id: Option<String>,
    pub(super) client_address: Option<String>,
    pub(super) client_network: String,
    pub(super) interval_seconds: i64,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
    pub(super) expires_at: Time,
}

/// A trip to a provider, as the table holds it.
#[derive(Clone, Debug)]
pub struct Trip {
    /// Of the OAuth state.
    pub state_digest: String,
    /// Where the provider sends the person back to.
    pub redirect_uri: String,
    /// The PKCE verifier under the master key.
    pub sealed_verifier: Vec<u8>,
}

pub(super) fn insert(db: &mut Db, row: &NewRow) -> QueryResult<Request> {
    diesel::insert_into(r::login_requests)
        .values(row)
        .execute(db)?;
    by_reference(db, &row.reference)?.ok_or(diesel::result::Error::NotFound)
}

/// How many wait for an answer, and when the first of them ends: of one network, or of all.
pub(super) fn open(
    db: &mut Db,
    network: Option<&str>,
    now: Time,
) -> QueryResult<(i64, Option<Time>)> {
    let mut query = r::login_requests
        .filter(
            r::expires_at
                .gt(now)
                .and(r::stage.eq_any([Stage::Asked, Stage::Claimed])),
        )
        .select((diesel::dsl::count_star(), diesel::dsl::min(r::expires_at)))
        .into_boxed();
    if let Some(network) = network {
        query = query.filter(r::client_network.eq(network));
    }
    query.first(db)
}

/// The request of this public reference.
pub fn by_reference(db: &mut Db, reference: &str) -> QueryResult<Option<Request>> {
    r::login_requests
        .filter(r::reference.eq(reference))
        .select(Request::as_select())
        .first(db)
        .optional()
}

/// The request that this code polls.
pub fn by_poll(db: &mut Db, kind: Kind, digest: &str) -> QueryResult<Option<Request>> {
    r::login_requests
        .filter(r::poll_digest.eq(digest).and(r::kind.eq(kind)))
        .select(Request::as_select())
        .first(db)
        .optional()
}

/// The request of this one-time code.
pub fn by_one_time(db: &mut Db, digest: &str) -> QueryResult<Option<Request>> {
    r::login_requests
        .filter(r::code_digest.eq(digest))
        .select(Request::as_select())
        .first(db)
        .optional()
}

/// The request that a person names by its short code.
pub fn by_user_code(db: &mut Db, kind: Kind, code: &str) -> QueryResult<Option<Request>> {
    r::login_requests
        .filter(r::user_code.eq(code).and(r::kind.eq(kind)))
        .select(Request::as_select())
        .first(db)
        .optional()
}

/// The request whose trip has this state.
pub fn by_state(db: &mut Db, digest: &str) -> QueryResult<Option<Request>> {
    r::login_requests
        .filter(r::state_digest.eq(digest))
        .select(Request::as_select())
        .first(db)
        .optional()
}

/// Notes a poll, unless the last one was a moment ago; answers how many rows that changed.
pub(super) fn note_poll(db: &mut Db, id: i64, not_after: Time, now: Time) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .filter(
            r::last_polled_at
                .is_null()
                .or(r::last_polled_at.le(not_after)),
        )
        .set(r::last_polled_at.eq(now))
        .execute(db)
}

/// Lets the browser take the request on, if it is nobody else's; answers how many rows that changed.
pub(super) fn claim(db: &mut Db, id: i64, browser: &str, now: Time) -> QueryResult<usize> {
    let free = r::stage.eq(Stage::Asked);
    let own = r::stage
        .eq(Stage::Claimed)
        .and(r::browser_digest.eq(Some(browser)).assume_not_null());
    diesel::update(r::login_requests.find(id))
        .filter(r::expires_at.gt(now).and(free.or(own)))
        .set((
            r::stage.eq(Stage::Claimed),
            r::browser_digest.eq(browser),
            r::updated_at.eq(now),
        ))
        .execute(db)
}

/// Notes the trip that begins; one before it can't be ended any more.
pub(super) fn begin_trip(db: &mut Db, id: i64, trip: &Trip, now: Time) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .filter(r::stage.eq(Stage::Claimed))
        .set((
            r::state_digest.eq(&trip.state_digest),
            r::redirect_uri.eq(&trip.redirect_uri),
            r::sealed_verifier.eq(&trip.sealed_verifier),
            r::updated_at.eq(now),
        ))
        .execute(db)
}

/// Takes the state away, so that it is of no use twice; answers how many rows that changed.
pub(super) fn end_trip(db: &mut Db, state_digest: &str, now: Time) -> QueryResult<usize> {
    diesel::update(r::login_requests.filter(r::state_digest.eq(state_digest)))
        .set((
            r::state_digest.eq(None::<String>),
            r::sealed_verifier.eq(None::<Vec<u8>>),
            r::updated_at.eq(now),
        ))
        .execute(db)
}

/// Moves a request on from a stage; answers how many rows that changed.
pub(super) fn advance(
    db: &mut Db,
    id: i64,
    (from, to): (Stage, Stage),
    now: Time,
) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .filter(r::stage.eq(from))
        .set((r::stage.eq(to), r::updated_at.eq(now)))
        .execute(db)
}

/// Notes who has answered, and gives the program until then to fetch that.
pub(super) fn set_answer(
    db: &mut Db,
    id: i64,
    identity: Option<&str>,
    profile: Option<&str>,
    expires_at: Time,
) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .set((
            r::identity_id.eq(identity),
            r::profile.eq(profile),
            r::expires_at.eq(expires_at),
        ))
        .execute(db)
}

/// Notes the one-time code that the program is shown from now on.
pub(super) fn set_one_time(
    db: &mut Db,
    id: i64,
    digest: &str,
    expires_at: Time,
) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .set((r::code_digest.eq(digest), r::code_expires_at.eq(expires_at)))
        .execute(db)
}

/// Forgets what the provider said of the person.
pub(super) fn clear_profile(db: &mut Db, id: i64) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .set(r::profile.eq(None::<String>))
        .execute(db)
}

/// Has the program wait longer between two polls.
pub fn slow_down(db: &mut Db, id: i64, by_seconds: i64) -> QueryResult<usize> {
    diesel::update(r::login_requests.find(id))
        .set(r::interval_seconds.eq(r::interval_seconds + by_seconds))
        .execute(db)
}

/// Forgets what the providers said of people who answered requests that have ended.
pub(super) fn forget_profiles(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::update(r::login_requests.filter(r::expires_at.le(now).and(r::profile.is_not_null())))
        .set(r::profile.eq(None::<String>))
        .execute(db)
}

/// Removes those that ended before this.
pub(super) fn remove_before(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(r::login_requests.filter(r::expires_at.lt(before))).execute(db)
}
