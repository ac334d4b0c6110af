//! Keeps a copy of a feed up to date.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::api::feed::FeedPage;
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

use crate::events::{Backoff, SignalReceiver, Signals};

/// How often a follower looks by itself: what the feed tells is known within a second even where no
/// signal arrives.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long one pull may take.
const PULL_TIMEOUT: Duration = Duration::from_secs(5);

/// Between failed pulls.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    factor: 2,
    max: Duration::from_secs(2),
};

/// No pull has succeeded yet.
const NEVER: i64 = i64::MIN;

/// Tells how old a copy may be. Cheap to clone.
///
/// Ages are told by a clock that nobody sets: one that is put back would make a copy that has been
/// cut off look fresh.
#[derive(Clone, Debug)]
pub struct Freshness {
    caught_up_nanos: Arc<AtomicI64>,
    max_staleness: Duration,
}

impl Freshness {
    /// A copy that was never complete.
    #[must_use]
    pub fn new(max_staleness: Duration) -> Self {
        Self {
            caught_up_nanos: Arc::new(AtomicI64::new(NEVER)),
            max_staleness,
        }
    }

    /// Whether the copy was complete once.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.caught_up_nanos.load(Ordering::SeqCst) != NEVER
    }

    /// Whether the copy was complete not longer ago than it may be. What depends on one that
    /// isn't must not be allowed.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let caught_up = self.caught_up_nanos.load(Ordering::SeqCst);
        let age = Moment::now().0.saturating_sub(caught_up);
        let age = Duration::from_nanos(u64::try_from(age).unwrap_or(0));
        caught_up != NEVER && age <= self.max_staleness
    }

    /// Notes that the copy was complete at this moment: the one before it was asked for.
    pub fn caught_up(&self, at: Moment) {
        self.caught_up_nanos.store(at.0, Ordering::SeqCst);
    }
}

/// A moment of a clock that nobody sets, in nanoseconds.
///
/// Time asleep counts: what was revoked meanwhile isn't known either. (`Instant` leaves it out.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        Self(
            now.tv_sec
                .saturating_mul(1_000_000_000)
                .saturating_add(now.tv_nsec),
        )
    }
}

/// Pulls a feed at the start, whenever a signal says there is something new, and twice a second.
pub struct Follower<F, A> {
    feed: &'static str,
    signals: SignalReceiver,
    freshness: Freshness,
    fetch: F,
    apply: A,
    position: i64,
}

impl<F, A> std::fmt::Debug for Follower<F, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("feed", &self.feed)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<F, A> Follower<F, A> {
    /// A follower that gets pages by `fetch`, given the last position it knows, and gives each
    /// entry to `apply`, in their order. An entry may be applied twice.
    #[must_use]
    pub fn new(
        feed: &'static str,
        signals: Signals,
        max_staleness: Duration,
        fetch: F,
        apply: A,
    ) -> Self {
        Self {
            feed,
            signals: signals.subscribe(),
            freshness: Freshness::new(max_staleness),
            fetch,
            apply,
            position: 0,
        }
    }

    /// Tells how old the copy is, while the follower runs elsewhere.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness.clone()
    }

    /// Follows until it is told to stop.
    pub async fn run<T, R>(mut self, shutdown: CancellationToken)
    where
        F: Fn(i64) -> R,
        R: Future<Output = anyhow::Result<FeedPage<T>>>,
        A: FnMut(T),
    {
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let wait = match self.catch_up(&shutdown).await {
                Ok(()) => {
                    failures = 0;
                    LOOK_EVERY
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(feed = self.feed, failures, error = %format!("{error:#}"), "a feed can't be read");
                    BACKOFF.delay(failures)
                }
            };
            // A signal while pulls fail doesn't make the next one succeed.
            let hinted = async {
                if failures > 0 {
                    std::future::pending::<()>().await;
                } else {
                    self.signals.about(self.feed).await;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = hinted => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Pulls pages until there are no more.
    async fn catch_up<T, R>(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()>
    where
        F: Fn(i64) -> R,
        R: Future<Output = anyhow::Result<FeedPage<T>>>,
        A: FnMut(T),
    {
        while !shutdown.is_cancelled() {
            // What is committed after this moment may not be in the page.
            let asked_at = Moment::now();
            let page = tokio::time::timeout(PULL_TIMEOUT, (self.fetch)(self.position)).await??;
            page.entries.into_iter().for_each(&mut self.apply);
            self.position = self.position.max(page.position);
            if !page.more {
                self.freshness.caught_up(asked_at);
                return Ok(());
            }
        }
        Ok(())
    }
}
