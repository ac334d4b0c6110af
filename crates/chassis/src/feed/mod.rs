//! Feeds: lists that other processes keep a copy of in memory, such as what is revoked.
//!
//! A producer [`append`]s in the transaction of what the entry tells. Followers hear by a
//! [signal](crate::events::Signals) that there is something new and pull it; they also look by
//! themselves, so that a lost signal costs half a second and no more.

mod follower;
mod store;

pub use follower::{Follower, Freshness, Moment};
pub use store::{append, page, remove_expired};

use common::api::feed::FeedPage;
use common::time::{Clock, Time};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::db::Database;

/// The most entries of a page that a producer reads for itself.
const LOCAL_PAGE: i64 = 1_000;

/// How often expired entries are looked for.
const CLEAN_EVERY: std::time::Duration = std::time::Duration::from_mins(10);

/// A page of a feed from the service's own database, for a producer that follows itself.
pub async fn local_page<T: DeserializeOwned>(
    db: &Database,
    feed: &'static str,
    since: i64,
    now: Time,
) -> anyhow::Result<FeedPage<T>> {
    let page = db
        .read(move |db| page(db, feed, since, LOCAL_PAGE, now))
        .await?;
    let entries = page
        .entries
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()?;
    Ok(FeedPage {
        entries,
        position: page.position,
        more: page.more,
    })
}

/// Removes expired entries from time to time, until it is told to stop.
pub async fn clean(db: Database, clock: Clock, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let now = clock.now();
        if let Err(error) = db.write(move |db| remove_expired(db, now)).await {
            tracing::warn!(error = %error, "expired feed entries can't be removed");
        }
        tokio::select! { () = tokio::time::sleep(CLEAN_EVERY) => {}, () = shutdown.cancelled() => {} }
    }
}
