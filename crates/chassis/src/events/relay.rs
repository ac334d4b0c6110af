//! Carries events from the outbox to the bus.

use std::collections::BTreeSet;
use std::time::Duration;

use common::time::{Clock, Span};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::bus::Bus;
use super::message::Message;
use super::outbox::{self, Claimed};
use crate::db::Database;

/// How many events are published at once.
const BATCH: i64 = 100;

/// How long a relay has rows in hand: a little longer than a broker may take to confirm them. One
/// that dies leaves them to the others after that, and until then nobody hears of them.
const LEASE: Span = Span::seconds(15);

/// How often the outbox is looked at when nothing tells of a commit.
const POLL: Duration = Duration::from_secs(1);

/// How long stopping may be held up by what is still to be published. What is left, the next
/// start publishes.
const FLUSH: Duration = Duration::from_secs(2);

/// Between attempts to publish a row.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    factor: 2,
    max: Duration::from_secs(30),
};

/// Publishes what a service's outbox holds. Replicas each run one and share the rows.
#[derive(Debug)]
pub struct Relay {
    db: Database,
    bus: Bus,
    clock: Clock,
}

impl Relay {
    /// A relay from this database to this bus.
    #[must_use]
    pub fn new(db: Database, bus: Bus, clock: Clock) -> Self {
        Self { db, bus, clock }
    }

    /// Works until it is told to stop, and publishes what is there by then.
    pub async fn run(self, shutdown: CancellationToken) {
        self.take_back().await;
        let mut commits = self.db.commits();
        while !shutdown.is_cancelled() {
            commits.mark_unchanged();
            match self.pass().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "the outbox can't be read or written"),
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = commits.changed() => {}
                () = shutdown.cancelled() => {}
            }
        }
        let flush = async { while let Ok(true) = self.pass().await {} };
        if tokio::time::timeout(FLUSH, flush).await.is_err() {
            tracing::info!("events are left in the outbox for the next start");
        }
    }

    /// A `SQLite` database is one process's: whoever had rows in hand is dead, and what it left
    /// needn't wait for the lease's end.
    async fn take_back(&self) {
        if self.db.is_postgres() {
            return;
        }
        if let Err(error) = self.db.write(outbox::release_all).await {
            tracing::warn!(error = %error, "the outbox can't be written; what was in hand waits");
        }
    }

    /// Publishes one batch. Answers whether there may be more.
    async fn pass(&self) -> Result<bool, diesel::result::Error> {
        let now = self.clock.now();
        if !self.bus.accepts() || !self.db.read(move |db| outbox::any_due(db, now)).await? {
            return Ok(false);
        }
        let claimed = self
            .db
            .write(move |db| outbox::claim(db, now, now + LEASE, BATCH))
            .await?;
        let full = i64::try_from(claimed.len()).is_ok_and(|count| count == BATCH);
        let (feeds, events): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|row| row.feed().is_some());
        let mut published: Vec<i64> = feeds.iter().map(|row| row.position).collect();
        let failed = self.publish(events, &mut published).await;
        let all = failed.is_empty();
        self.settle(published, failed).await?;
        // Only now: whoever pulls at once must find what the hint is about, and it is committed.
        let feeds: BTreeSet<&str> = feeds.iter().filter_map(Claimed::feed).collect();
        let signals = self.bus.signals();
        for feed in feeds {
            signals.send(feed);
        }
        Ok(full && all)
    }

    /// Publishes outside of any transaction. Answers the rows that the bus didn't take.
    async fn publish(&self, events: Vec<Claimed>, published: &mut Vec<i64>) -> Vec<Claimed> {
        if events.is_empty() {
            return Vec::new();
        }
        let messages: Vec<Message> = events.iter().map(|row| row.message.clone()).collect();
        let results = self.bus.publish(&messages).await;
        let mut failed = Vec::new();
        for (row, result) in events.into_iter().zip(results) {
            match result {
                Ok(()) => published.push(row.position),
                Err(error) => {
                    tracing::warn!(event.id = %row.message.event_id, event.kind = %row.message.kind,
                        attempts = row.attempts, error = %error, "an event could not be published yet");
                    failed.push(row);
                }
            }
        }
        tracing::debug!(
            published = published.len(),
            failed = failed.len(),
            "events were published"
        );
        failed
    }

    async fn settle(
        &self,
        published: Vec<i64>,
        failed: Vec<Claimed>,
    ) -> Result<(), diesel::result::Error> {
        let now = self.clock.now();
        self.db
            .write(move |db| {
                outbox::remove(db, &published)?;
                for row in failed {
                    let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
                    outbox::postpone(db, row.position, now + BACKOFF.span(attempts))?;
                }
                Ok(())
            })
            .await
    }
}
