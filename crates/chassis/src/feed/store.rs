//! A feed's entries.

use common::api::feed::FeedPage;
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;
use serde::Serialize;
use serde_json::Value;

use crate::db::{self, Db};
use crate::events::announce_feed;

diesel::table! {
    feed_entries (position) {
        position -> BigInt,
        feed -> Text,
        entry -> Text,
        expires_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
    }
}

/// Adds an entry, and has the followers told once the transaction commits.
///
/// From `expires_at` on the entry says nothing any more and is not given to followers that come
/// new. Transactions that append to one feed wait for one another from here to their end.
pub fn append<T: Serialize>(
    db: &mut Db,
    feed: &str,
    entry: &T,
    expires_at: Option<Time>,
    now: Time,
) -> QueryResult<()> {
    let text =
        serde_json::to_string(entry).map_err(|error| Error::SerializationError(Box::new(error)))?;
    // A position is given out before its row can be seen. Without the lock, a follower could
    // see a later one first, and would never ask for the earlier.
    db::lock(db, &format!("feed:{feed}"))?;
    diesel::insert_into(feed_entries::table)
        .values((
            feed_entries::feed.eq(feed),
            feed_entries::entry.eq(text),
            feed_entries::expires_at.eq(expires_at),
            feed_entries::created_at.eq(now),
        ))
        .execute(db)?;
    announce_feed(db, feed, now)
}

/// The entries after the position `since`, oldest first and at most `limit`; from 0 on it is a
/// snapshot. Entries that have expired are left out.
pub fn page(
    db: &mut Db,
    feed: &str,
    since: i64,
    limit: i64,
    now: Time,
) -> QueryResult<FeedPage<Value>> {
    let alive = feed_entries::expires_at
        .is_null()
        .or(feed_entries::expires_at.gt(now));
    let mut rows: Vec<(i64, String)> = feed_entries::table
        .filter(
            feed_entries::feed
                .eq(feed)
                .and(feed_entries::position.gt(since)),
        )
        .filter(alive)
        .order(feed_entries::position)
        .limit(limit.saturating_add(1))
        .select((feed_entries::position, feed_entries::entry))
        .load(db)?;
    let most = usize::try_from(limit).unwrap_or(0);
    let more = rows.len() > most;
    rows.truncate(most);
    let position = rows.last().map_or(since, |(position, _)| *position);
    let entries = rows
        .into_iter()
        .map(|(_, text)| serde_json::from_str(&text))
        .collect::<Result<_, _>>()
        .map_err(|error| Error::DeserializationError(Box::new(error)))?;
    Ok(FeedPage {
        entries,
        position,
        more,
    })
}

/// Removes the entries that expired before `now`; answers how many.
pub fn remove_expired(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::delete(feed_entries::table.filter(feed_entries::expires_at.lt(now))).execute(db)
}
