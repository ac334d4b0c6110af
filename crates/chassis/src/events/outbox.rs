//! Events on their way out, written in the transaction of what they tell.

use common::event::{Envelope, Event};
use common::id::EventId;
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;

use super::message::Message;
use super::schema::outbox;
use crate::db::Db;
use crate::telemetry::TraceContext;

/// The kind of a row that is no event: a feed, named by `subject`, has a new entry.
const FEED_CHANGED: &str = "feed.changed";

/// Tells an event once the transaction that `db` is in commits, and only then.
///
/// `version` is the aggregate's, bumped in the same transaction: consumers ignore what is
/// older than what they know.
pub fn emit(db: &mut Db, event: impl Event, version: i64, now: Time) -> QueryResult<()> {
    let traceparent = TraceContext::current().map(|context| context.traceparent());
    let envelope = Envelope::new(event, version, now, traceparent);
    let text = serde_json::to_string(&envelope)
        .map_err(|error| Error::SerializationError(Box::new(error)))?;
    let kind = envelope.event.kind();
    insert(
        db,
        envelope.id.as_str(),
        kind,
        &envelope.subject,
        version,
        &text,
        now,
    )
}

/// Has the followers of a feed told, once the transaction commits, that there is something new.
pub(crate) fn announce_feed(db: &mut Db, feed: &str, now: Time) -> QueryResult<()> {
    insert(
        db,
        EventId::new(now).as_str(),
        FEED_CHANGED,
        feed,
        0,
        "{}",
        now,
    )
}

fn insert(
    db: &mut Db,
    event_id: &str,
    kind: &str,
    subject: &str,
    version: i64,
    envelope: &str,
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(outbox::table)
        .values((
            outbox::event_id.eq(event_id),
            outbox::kind.eq(kind),
            outbox::subject.eq(subject),
            outbox::version.eq(version),
            outbox::envelope.eq(envelope),
            outbox::created_at.eq(now),
            outbox::attempts.eq(0),
        ))
        .execute(db)
        .map(drop)
}

/// Whether an event about `subject` still waits to be taken by the bus.
pub fn is_waiting(db: &mut Db, subject: &str) -> QueryResult<bool> {
    let waiting = outbox::table
        .filter(outbox::subject.eq(subject))
        .select(outbox::position);
    Ok(waiting.first::<i64>(db).optional()?.is_some())
}

/// A row that a relay has in hand.
pub(super) struct Claimed {
    pub(super) position: i64,
    /// How often it has been taken in hand, this time included.
    pub(super) attempts: i64,
    pub(super) message: Message,
}

impl Claimed {
    /// The feed that has changed, where the row says that and is no event.
    pub(super) fn feed(&self) -> Option<&str> {
        (self.message.kind == FEED_CHANGED).then_some(self.message.subject.as_str())
    }
}

type Row = (i64, i64, (String, String, String, i64, String));

impl From<Row> for Claimed {
    fn from((position, attempts, (event_id, kind, subject, version, envelope)): Row) -> Self {
        Self {
            position,
            attempts: attempts + 1,
            message: Message {
                event_id,
                kind,
                subject,
                version,
                envelope,
            },
        }
    }
}

/// Whether there is anything to do.
pub(super) fn any_due(db: &mut Db, now: Time) -> QueryResult<bool> {
    let due = outbox::claimed_until
        .is_null()
        .or(outbox::claimed_until.le(now));
    Ok(outbox::table
        .filter(due)
        .select(outbox::position)
        .first::<i64>(db)
        .optional()?
        .is_some())
}

/// Takes the oldest rows that no relay has in hand, for as long as until `until`.
pub(super) fn claim(db: &mut Db, now: Time, until: Time, limit: i64) -> QueryResult<Vec<Claimed>> {
    let due = outbox::claimed_until
        .is_null()
        .or(outbox::claimed_until.le(now));
    let message = (
        outbox::event_id,
        outbox::kind,
        outbox::subject,
        outbox::version,
        outbox::envelope,
    );
    let query = outbox::table
        .filter(due)
        .order(outbox::position)
        .limit(limit)
        .select((outbox::position, outbox::attempts, message));
    let rows = match db {
        // What another replica's relay is taking at this moment is its own.
        Db::Postgres(conn) => query.for_update().skip_locked().load::<Row>(conn)?,
        Db::Sqlite(conn) => query.load::<Row>(conn)?,
    };
    let claimed: Vec<Claimed> = rows.into_iter().map(Claimed::from).collect();
    let positions: Vec<i64> = claimed.iter().map(|row| row.position).collect();
    diesel::update(outbox::table.filter(outbox::position.eq_any(positions)))
        .set((
            outbox::claimed_until.eq(until),
            outbox::attempts.eq(outbox::attempts + 1),
        ))
        .execute(db)?;
    Ok(claimed)
}

/// Leaves no row in anybody's hand.
pub(super) fn release_all(db: &mut Db) -> QueryResult<()> {
    diesel::update(outbox::table.filter(outbox::claimed_until.is_not_null()))
        .set(outbox::claimed_until.eq(None::<Time>))
        .execute(db)
        .map(drop)
}

/// Removes what the bus has taken. Nothing reads such rows again: consumers have their own copy.
pub(super) fn remove(db: &mut Db, positions: &[i64]) -> QueryResult<()> {
    diesel::delete(outbox::table.filter(outbox::position.eq_any(positions)))
        .execute(db)
        .map(drop)
}

/// Puts a row that couldn't be published off until `until`.
pub(super) fn postpone(db: &mut Db, position: i64, until: Time) -> QueryResult<()> {
    diesel::update(outbox::table.find(position))
        .set(outbox::claimed_until.eq(until))
        .execute(db)
        .map(drop)
}
