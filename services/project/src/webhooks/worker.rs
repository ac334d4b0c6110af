//! Sends what is due, and keeps what came of it.

use std::sync::Arc;
use std::time::Duration;

use chassis::db::Database;
use common::event::WebhookEnd;
use common::random;
use common::time::{Clock, Span, Time};
use diesel::QueryResult;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deliveries::{DeliveryStatus, Schedule, Sent, judge};
use super::send::Sender;
use super::take::{Bounds, Room, Taken, choose, take};
use super::{delivery_store, store};
use crate::settings::WebhooksSection;

/// How often is looked for what another process has queued, or whose time has come.
const POLL: Duration = Duration::from_secs(1);
/// For how long more than an attempt may take a delivery is this process's.
const MARGIN: Duration = Duration::from_secs(15);
/// How long attempts under way are waited for when the service stops.
const GRACE: Duration = Duration::from_secs(5);
/// How often old deliveries are removed, and how many at a time.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
const PRUNED: i64 = 1_000;

/// The worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    clock: Clock,
    sender: Sender,
    schedule: Schedule,
    bounds: Bounds,
    lease: Span,
    disable_after: Span,
    keep: Span,
}

impl Worker {
    /// One that goes by these settings.
    pub(crate) fn new(
        db: Database,
        clock: Clock,
        sender: Sender,
        settings: &WebhooksSection,
    ) -> anyhow::Result<Self> {
        let span = |duration: Duration| Span::from_std(duration).unwrap_or(Span::MAX);
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            sender,
            schedule: settings.schedule()?,
            bounds: Bounds::default(),
            lease: span(settings.timeout.0.saturating_add(MARGIN)),
            disable_after: span(settings.disable_after.0),
            keep: span(settings.keep.0),
        })))
    }

    /// Sends until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        self.begin().await;
        tokio::select! {
            () = self.prune() => {}
            () = self.work(&shutdown) => {}
        }
    }

    /// What this database's only process had in hand when it died, it sends again at once.
    async fn begin(&self) {
        let Inner { db, clock, .. } = &*self.0;
        if db.is_postgres() {
            return;
        }
        let now = clock.now();
        let given_back = db.write(move |db| delivery_store::end_leases(db, now));
        if let Err(error) = given_back.await {
            tracing::warn!(%error, "deliveries of the process before are sent again later");
        }
    }

    async fn work(&self, shutdown: &CancellationToken) {
        let bounds = self.0.bounds;
        let places = Arc::new(Semaphore::new(bounds.process));
        let for_doubtful = Arc::new(Semaphore::new(bounds.doubtful));
        let mut under_way = JoinSet::new();
        let mut commits = self.0.db.commits();
        while !shutdown.is_cancelled() {
            commits.mark_unchanged();
            let room = Room {
                all: places.available_permits(),
                doubtful: for_doubtful.available_permits(),
            };
            for taken in self.take(room).await {
                let place = Arc::clone(&places).try_acquire_owned();
                let doubtful = taken
                    .is_doubtful
                    .then(|| Arc::clone(&for_doubtful).try_acquire_owned());
                let worker = self.clone();
                under_way.spawn(async move {
                    worker.attempt(taken).await;
                    drop((place, doubtful));
                });
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(_) = under_way.join_next() => {}
                _ = commits.changed(), if room.all > 0 => {}
                () = tokio::time::sleep(POLL), if room.all > 0 => {}
            }
        }
        let ended = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::info!(
                "attempts at webhooks are broken off, since the service stops; they are made again"
            );
        }
    }

    async fn take(&self, room: Room) -> Vec<Taken> {
        if room.all == 0 {
            return Vec::new();
        }
        let (now, bounds) = (self.0.clock.now(), self.0.bounds);
        let until = now + self.0.lease;
        let db = &self.0.db;
        let taken = async {
            // Looking costs no write transaction, and so wakes nobody: what is due may have to wait for
            // what is under way.
            let chosen = db.read(move |db| choose(db, &bounds, room, now)).await?;
            if chosen.is_empty() {
                return Ok(Vec::new());
            }
            let owner = random::token();
            db.write(move |db| take(db, &owner, &bounds, room, (now, until)))
                .await
        };
        taken.await.unwrap_or_else(|error: diesel::result::Error| {
            tracing::warn!(%error, "deliveries to webhooks can't be taken; later they are");
            Vec::new()
        })
    }

    /// Makes one attempt.
    async fn attempt(&self, taken: Taken) {
        let started = Instant::now();
        let sent = self.0.sender.send(&taken.webhook, &taken.delivery).await;
        super::failpoints::pass(super::failpoints::SENT);
        let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (webhook, delivery) = (taken.webhook.id.clone(), taken.delivery.id.clone());
        match self.settle(taken, sent, duration_ms).await {
            Ok(Some(status)) => {
                tracing::info!(webhook.id = %webhook, delivery.id = %delivery, delivery.status = %status, duration_ms, "an event was sent to a webhook");
            }
            // It was removed or given up while it was sent.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(webhook.id = %webhook, delivery.id = %delivery, %error, "what came of an attempt can't be kept; it is made again");
            }
        }
    }

    /// Keeps what came of an attempt, unless the delivery isn't this attempt's any more.
    async fn settle(
        &self,
        taken: Taken,
        sent: Sent,
        duration_ms: i64,
    ) -> QueryResult<Option<DeliveryStatus>> {
        let now = self.0.clock.now();
        let Taken {
            delivery, webhook, ..
        } = taken;
        let tries = delivery.tries.saturating_add(1);
        let verdict = judge(&sent, tries, &self.0.schedule, random::below(100), now);
        let disable_after = self.0.disable_after;
        self.0
            .db
            .write(move |db| {
                super::lock(db, &webhook.id)?;
                let owner = delivery.lease_owner.clone().unwrap_or_default();
                let (held, came) = ((&delivery, owner.as_str()), (&sent, duration_ms));
                if !delivery_store::settle(db, held, came, &verdict, now)? {
                    return Ok(None);
                }
                let Some(webhook) = store::by_id(db, &webhook.id)? else {
                    return Ok(None);
                };
                if verdict.status == DeliveryStatus::Delivered {
                    store::note_success(db, &webhook.id, now)?;
                    return Ok(Some(verdict.status));
                }
                let since = webhook.failing_since.unwrap_or(now);
                let pause_until = later(webhook.paused_until, verdict.pause_until);
                store::note_failure(db, &webhook.id, since, pause_until)?;
                let end = verdict
                    .end
                    .or_else(|| (now - since > disable_after).then_some(WebhookEnd::Failing));
                if let Some(end) = end {
                    let webhook = super::Webhook {
                        failing_since: Some(since),
                        paused_until: pause_until,
                        ..webhook
                    };
                    super::end(db, webhook, end, now)?;
                }
                Ok(Some(verdict.status))
            })
            .await
    }

    async fn prune(&self) {
        let Inner {
            db, clock, keep, ..
        } = &*self.0;
        loop {
            let before = clock.now() - *keep;
            let removed = db.write(move |db| delivery_store::prune(db, before, PRUNED));
            match removed.await {
                // There may be more.
                Ok(removed) if i64::try_from(removed).is_ok_and(|removed| removed >= PRUNED) => {}
                Ok(_) => tokio::time::sleep(PRUNE_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "old deliveries to webhooks can't be removed");
                    tokio::time::sleep(PRUNE_EVERY).await;
                }
            }
        }
    }
}

fn later(one: Option<Time>, two: Option<Time>) -> Option<Time> {
    one.max(two)
}
