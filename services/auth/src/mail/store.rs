//! Queries of letters.

use chassis::db::Db;
use chassis::on_backend;
use common::id::LetterId;
use common::time::Time;
use diesel::prelude::*;

use super::State;
use super::letter::Kind;
use crate::schema::letter_counts::{self, dsl as c};
use crate::schema::letters;

/// A new letter.
#[derive(Insertable)]
#[diesel(table_name = letters)]
pub(super) struct New<'a> {
    pub(super) id: &'a LetterId,
    pub(super) kind: Kind,
    pub(super) recipient: &'a str,
    pub(super) sealed: Vec<u8>,
    pub(super) state: State,
    pub(super) attempts: i64,
    pub(super) due_at: Time,
    pub(super) created_at: Time,
}

pub(super) fn insert(db: &mut Db, row: &New<'_>) -> QueryResult<()> {
    diesel::insert_into(letters::table)
        .values(row)
        .execute(db)
        .map(drop)
}

/// A letter that a worker has in hand.
pub(super) struct Claimed {
    pub(super) id: LetterId,
    pub(super) recipient: String,
    pub(super) sealed: Option<Vec<u8>>,
    /// How often it has been taken in hand, this time included.
    pub(super) attempts: i64,
    pub(super) created_at: Time,
}

type Row = (LetterId, String, Option<Vec<u8>>, i64, Time);

impl From<Row> for Claimed {
    fn from((id, recipient, sealed, attempts, created_at): Row) -> Self {
        Self {
            id,
            recipient,
            sealed,
            attempts: attempts + 1,
            created_at,
        }
    }
}

/// Whether there is anything to do.
pub(super) fn any_due(db: &mut Db, now: Time) -> QueryResult<bool> {
    let due = letters::state
        .eq(State::Waiting)
        .and(letters::due_at.le(now));
    let found = letters::table
        .filter(due)
        .select(letters::id)
        .first::<LetterId>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Takes the oldest that no worker has in hand, for as long as until `until`.
pub(super) fn claim(db: &mut Db, now: Time, until: Time, limit: i64) -> QueryResult<Vec<Claimed>> {
    let due = letters::state
        .eq(State::Waiting)
        .and(letters::due_at.le(now));
    let query = letters::table
        .filter(due)
        .order((letters::due_at, letters::id))
        .limit(limit)
        .select((
            letters::id,
            letters::recipient,
            letters::sealed,
            letters::attempts,
            letters::created_at,
        ));
    let rows = match db {
        // What another replica's worker is taking at this moment is its own.
        Db::Postgres(conn) => query.for_update().skip_locked().load::<Row>(conn)?,
        Db::Sqlite(conn) => query.load::<Row>(conn)?,
    };
    let rows: Vec<Claimed> = rows.into_iter().map(Claimed::from).collect();
    let ids: Vec<_> = rows.iter().map(|row| &row.id).collect();
    diesel::update(letters::table.filter(letters::id.eq_any(ids)))
        .set((
            letters::due_at.eq(until),
            letters::attempts.eq(letters::attempts + 1),
        ))
        .execute(db)?;
    Ok(rows)
}

/// Leaves no letter in anybody's hand.
pub(super) fn release_all(db: &mut Db, now: Time) -> QueryResult<()> {
    diesel::update(letters::table.filter(letters::state.eq(State::Waiting)))
        .set(letters::due_at.eq(now))
        .execute(db)
        .map(drop)
}

/// Ends a letter that this attempt had in hand, and forgets what stood in it.
pub(super) fn finish(
    db: &mut Db,
    row: &Claimed,
    state: State,
    failure: Option<&str>,
    now: Time,
) -> QueryResult<usize> {
    let own = letters::state
        .eq(State::Waiting)
        .and(letters::attempts.eq(row.attempts));
    diesel::update(letters::table.find(&row.id))
        .filter(own)
        .set((
            letters::state.eq(state),
            letters::sealed.eq(None::<Vec<u8>>),
            letters::failure.eq(failure),
            letters::finished_at.eq(now),
        ))
        .execute(db)
}

/// Puts a letter off that this attempt had in hand.
pub(super) fn postpone(db: &mut Db, row: &Claimed, until: Time, why: &str) -> QueryResult<usize> {
    let own = letters::state
        .eq(State::Waiting)
        .and(letters::attempts.eq(row.attempts));
    diesel::update(letters::table.find(&row.id))
        .filter(own)
        .set((letters::due_at.eq(until), letters::failure.eq(why)))
        .execute(db)
}

/// Removes a letter that this attempt had in hand; answers how many rows that was.
pub(super) fn remove(db: &mut Db, row: &Claimed) -> QueryResult<usize> {
    let own = letters::state
        .eq(State::Waiting)
        .and(letters::attempts.eq(row.attempts));
    diesel::delete(letters::table.find(&row.id))
        .filter(own)
        .execute(db)
}

/// Removes letters that ended before this.
pub(super) fn remove_finished(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(letters::table.filter(letters::finished_at.lt(before))).execute(db)
}

/// How many letters somebody had within the time that began then.
pub(super) fn count_of(db: &mut Db, subject: &str) -> QueryResult<Option<(Time, i64)>> {
    c::letter_counts
        .find(subject)
        .select((c::since, c::count))
        .first(db)
        .optional()
}

pub(super) fn set_count(db: &mut Db, subject: &str, since: Time, count: i64) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(letter_counts::table)
        .values((c::subject.eq(subject), c::since.eq(since), c::count.eq(count)))
        .on_conflict(c::subject)
        .do_update()
        .set((c::since.eq(since), c::count.eq(count)))
        .execute(conn))?;
    Ok(())
}

/// Removes counts that began before this.
pub(super) fn remove_counts(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(letter_counts::table.filter(letter_counts::since.lt(before))).execute(db)
}
