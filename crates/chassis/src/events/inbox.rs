//! Events that came in: each handler's queue, what it has applied, and what it couldn't.

use common::time::Time;
use diesel::prelude::*;
use serde::Serialize;

use super::message::Message;
use super::schema::{applied_versions, inbox};
use crate::db::Db;
use crate::on_backend;

common::text_enum! {
    /// Where an event stands with one handler.
    pub enum InboxState {
        /// It waits for its first or next attempt.
        Pending = "pending",
        /// Its effect is in the database, or it was too old to have one.
        Done = "done",
        /// It failed too often, and waits for a person.
        Dead = "dead",
    }
}

/// Puts an event into the queue of a handler; one that is there already changes nothing.
pub(super) fn insert(db: &mut Db, handler: &str, message: &Message, now: Time) -> QueryResult<()> {
    let row = (
        inbox::event_id.eq(&message.event_id),
        inbox::handler.eq(handler),
        inbox::kind.eq(&message.kind),
        inbox::subject.eq(&message.subject),
        inbox::version.eq(message.version),
        inbox::envelope.eq(&message.envelope),
        inbox::received_at.eq(now),
        inbox::state.eq(InboxState::Pending),
        inbox::attempts.eq(0),
        inbox::next_attempt_at.eq(now),
    );
    on_backend!(db, conn => diesel::insert_into(inbox::table)
        .values(row)
        .on_conflict((inbox::event_id, inbox::handler))
        .do_nothing()
        .execute(conn))
    .map(drop)
}

/// An event that is a handler's turn.
#[derive(Clone, Debug, Queryable)]
pub(super) struct Due {
    pub(super) event_id: String,
    pub(super) handler: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) version: i64,
    pub(super) envelope: String,
    pub(super) attempts: i64,
}

/// When the next event is due for one of these handlers; it may be past.
pub(super) fn next_due(db: &mut Db, handlers: &[String]) -> QueryResult<Option<Time>> {
    inbox::table
        .filter(
            inbox::state
                .eq(InboxState::Pending)
                .and(inbox::handler.eq_any(handlers)),
        )
        .order(inbox::next_attempt_at)
        .select(inbox::next_attempt_at)
        .first(db)
        .optional()
}

/// Takes the event that has been due the longest. It is the caller's until its transaction ends.
pub(super) fn claim(db: &mut Db, handlers: &[String], now: Time) -> QueryResult<Option<Due>> {
    let query = inbox::table
        .filter(
            inbox::state
                .eq(InboxState::Pending)
                .and(inbox::handler.eq_any(handlers)),
        )
        .filter(inbox::next_attempt_at.le(now))
        .order((inbox::next_attempt_at, inbox::event_id))
        .limit(1)
        .select((
            inbox::event_id,
            inbox::handler,
            inbox::kind,
            inbox::subject,
            inbox::version,
            inbox::envelope,
            inbox::attempts,
        ));
    match db {
        Db::Postgres(conn) => query.for_update().skip_locked().first(conn).optional(),
        Db::Sqlite(conn) => query.first(conn).optional(),
    }
}

/// The last version of this subject that the handler has applied.
pub(super) fn applied_version(
    db: &mut Db,
    handler: &str,
    subject: &str,
) -> QueryResult<Option<i64>> {
    applied_versions::table
        .find((handler, subject))
        .select(applied_versions::version)
        .first(db)
        .optional()
}

/// Notes that the handler has applied this version.
pub(super) fn set_applied(db: &mut Db, due: &Due) -> QueryResult<()> {
    let row = (
        applied_versions::handler.eq(&due.handler),
        applied_versions::subject.eq(&due.subject),
        applied_versions::version.eq(due.version),
    );
    on_backend!(db, conn => diesel::insert_into(applied_versions::table)
        .values(row)
        .on_conflict((applied_versions::handler, applied_versions::subject))
        .do_update()
        .set(applied_versions::version.eq(due.version))
        .execute(conn))
    .map(drop)
}

/// Notes that nothing is left to do.
pub(super) fn set_done(db: &mut Db, due: &Due) -> QueryResult<()> {
    diesel::update(inbox::table.find((&due.event_id, &due.handler)))
        .set((
            inbox::state.eq(InboxState::Done),
            inbox::last_error.eq(None::<String>),
        ))
        .execute(db)
        .map(drop)
}

/// Notes a failed attempt: tried again at `retry_at`, or dead without one. Nothing happens if
/// another worker has dealt with the event meanwhile.
pub(super) fn set_failed(
    db: &mut Db,
    due: &Due,
    error: &str,
    retry_at: Option<Time>,
    now: Time,
) -> QueryResult<()> {
    let state = if retry_at.is_some() {
        InboxState::Pending
    } else {
        InboxState::Dead
    };
    let same = inbox::state
        .eq(InboxState::Pending)
        .and(inbox::attempts.eq(due.attempts));
    diesel::update(
        inbox::table
            .find((&due.event_id, &due.handler))
            .filter(same),
    )
    .set((
        inbox::state.eq(state),
        inbox::attempts.eq(due.attempts + 1),
        inbox::next_attempt_at.eq(retry_at.unwrap_or(now)),
        inbox::last_error.eq(error),
    ))
    .execute(db)
    .map(drop)
}

/// Removes events that were done before `before`. Redeliveries that come later than that would
/// be told by their version only.
pub(super) fn remove_done(db: &mut Db, before: Time) -> QueryResult<usize> {
    let old = inbox::state
        .eq(InboxState::Done)
        .and(inbox::received_at.lt(before));
    diesel::delete(inbox::table.filter(old)).execute(db)
}

/// An event that a handler gave up.
#[derive(Clone, Debug, Queryable, Serialize)]
pub struct DeadEvent {
    /// The event.
    pub event_id: String,
    /// Which handler gave it up: `<producer>.<name>`.
    pub handler: String,
    /// The event's type.
    pub kind: String,
    /// Its aggregate.
    pub subject: String,
    /// Its aggregate's version.
    pub version: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong the last time.
    pub last_error: Option<String>,
    /// When it came in.
    pub received_at: Time,
}

/// The dead events, those that came first at the beginning.
pub fn dead(db: &mut Db, limit: i64) -> QueryResult<Vec<DeadEvent>> {
    inbox::table
        .filter(inbox::state.eq(InboxState::Dead))
        .order((inbox::received_at, inbox::event_id))
        .limit(limit)
        .select((
            inbox::event_id,
            inbox::handler,
            inbox::kind,
            inbox::subject,
            inbox::version,
            inbox::attempts,
            inbox::last_error,
            inbox::received_at,
        ))
        .load(db)
}

/// Has dead events tried again, with all their attempts before them: those of this id, or all;
/// for this handler, or for all. Answers how many there were.
pub fn replay(
    db: &mut Db,
    event_id: Option<&str>,
    handler: Option<&str>,
    now: Time,
) -> QueryResult<usize> {
    let mut chosen = inbox::table
        .filter(inbox::state.eq(InboxState::Dead))
        .select((inbox::event_id, inbox::handler))
        .into_boxed();
    if let Some(event_id) = event_id {
        chosen = chosen.filter(inbox::event_id.eq(event_id.to_owned()));
    }
    if let Some(handler) = handler {
        chosen = chosen.filter(inbox::handler.eq(handler.to_owned()));
    }
    let rows: Vec<(String, String)> = chosen.load(db)?;
    for (event_id, handler) in &rows {
        diesel::update(inbox::table.find((event_id, handler)))
            .set((
                inbox::state.eq(InboxState::Pending),
                inbox::attempts.eq(0),
                inbox::next_attempt_at.eq(now),
            ))
            .execute(db)?;
    }
    Ok(rows.len())
}
