//! Works off the inbox.

use std::sync::Arc;
use std::time::Duration;

use common::time::{Clock, Span, Time};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::handlers::{HandlerError, Handlers};
use super::inbox::{self, Due};
use crate::db::{self, Database, Db};

/// When a failed attempt is repeated, and how often.
#[derive(Clone, Copy, Debug)]
pub struct RetrySchedule {
    /// The waits.
    pub backoff: Backoff,
    /// After so many failed attempts an event is dead.
    pub attempts: u32,
}

impl Default for RetrySchedule {
    /// 12 attempts within about 20 minutes: what passes by itself has passed by then.
    fn default() -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            factor: 3,
            max: Duration::from_mins(5),
        };
        Self {
            backoff,
            attempts: 12,
        }
    }
}

/// How long events are kept after they were done, to know redeliveries by their id.
const KEEP_DONE: Span = Span::days(7);

/// How often events that needn't be kept are looked for.
const CLEAN_EVERY: Duration = Duration::from_hours(1);

/// The longest and the shortest that a worker waits before it looks again.
const POLL: Duration = Duration::from_secs(1);
const SOONEST: Duration = Duration::from_millis(5);

/// How long to wait where another worker has in hand what is due.
const BUSY: Duration = Duration::from_millis(50);

/// The longest error text that is kept, in characters.
const ERROR_LEN: usize = 1000;

/// Runs a service's handlers on the events of its inbox.
#[derive(Debug)]
pub struct InboxWorker {
    db: Database,
    handlers: Arc<Handlers>,
    clock: Clock,
    schedule: RetrySchedule,
}

/// What went wrong with one event, or with the database itself.
enum Failure {
    Handler(Box<Due>, HandlerError),
    Database(diesel::result::Error),
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl InboxWorker {
    /// A worker of this service's inbox.
    #[must_use]
    pub fn new(db: Database, handlers: Handlers, clock: Clock) -> Self {
        Self {
            db,
            handlers: Arc::new(handlers),
            clock,
            schedule: RetrySchedule::default(),
        }
    }

    /// With another schedule.
    #[must_use]
    pub fn with_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Works until it is told to stop; what it is doing then, it finishes.
    pub async fn run(self, shutdown: CancellationToken) {
        if self.handlers.is_empty() {
            return;
        }
        // SQLite has one writer; on PostgreSQL a slow handler shouldn't hold up the others.
        let lanes = if self.db.is_postgres() { 2 } else { 1 };
        let lanes = (0..lanes).map(|_| self.lane(&shutdown));
        tokio::join!(join_all(lanes), self.clean(&shutdown));
    }

    async fn lane(&self, shutdown: &CancellationToken) {
        let mut commits = self.db.commits();
        while !shutdown.is_cancelled() {
            commits.mark_unchanged();
            let wait = match self.step().await {
                Ok(None) => continue,
                Ok(Some(wait)) => wait,
                Err(error) => {
                    tracing::warn!(error = %error, "the inbox can't be read or written");
                    tokio::select! { () = tokio::time::sleep(POLL) => {}, () = shutdown.cancelled() => {} }
                    continue;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = commits.changed() => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Handles one event if one is due; else tells how long to wait.
    async fn step(&self) -> Result<Option<Duration>, diesel::result::Error> {
        let ids = self.handlers.ids();
        // Looking costs no write transaction, and so wakes nobody.
        let next = self.db.read(move |db| inbox::next_due(db, &ids)).await?;
        let now = self.clock.now();
        match next {
            None => Ok(Some(POLL)),
            Some(due) if due > now => Ok(Some(
                (due - now).to_std().unwrap_or(POLL).clamp(SOONEST, POLL),
            )),
            Some(_) => self.handle_one(now).await,
        }
    }

    async fn handle_one(&self, now: Time) -> Result<Option<Duration>, diesel::result::Error> {
        let handlers = Arc::clone(&self.handlers);
        let handled = self
            .db
            .write(move |db| {
                let Some(due) = inbox::claim(db, &handlers.ids(), now)? else {
                    return Ok(false);
                };
                match apply(db, &handlers, &due, now) {
                    Ok(()) => Ok(true),
                    Err(error) => Err(Failure::Handler(Box::new(due), error)),
                }
            })
            .await;
        match handled {
            Ok(true) => Ok(None),
            // Another worker has it in hand.
            Ok(false) => Ok(Some(BUSY)),
            // Not the event's fault, so it isn't counted.
            Err(Failure::Handler(_, HandlerError::Database(error)))
                if db::is_unavailable(&error) =>
            {
                Err(error)
            }
            Err(Failure::Handler(due, error)) => {
                self.note_failure(*due, &error).await.map(|()| None)
            }
            Err(Failure::Database(error)) => Err(error),
        }
    }

    /// In a transaction of its own, since that of the effect is rolled back.
    async fn note_failure(
        &self,
        due: Due,
        error: &HandlerError,
    ) -> Result<(), diesel::result::Error> {
        let failures = u32::try_from(due.attempts)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let now = self.clock.now();
        let again = !error.is_permanent() && failures < self.schedule.attempts;
        let retry_at = again.then(|| now + self.schedule.backoff.span(failures));
        let text: String = error.to_string().chars().take(ERROR_LEN).collect();
        if again {
            tracing::warn!(event.id = %due.event_id, event.kind = %due.kind, handler = %due.handler,
                attempts = failures, error = %text, "a handler failed and will try again");
        } else {
            tracing::error!(event.id = %due.event_id, event.kind = %due.kind, handler = %due.handler,
                attempts = failures, error = %text, "a handler gave an event up; it can be replayed");
        }
        self.db
            .write(move |db| inbox::set_failed(db, &due, &text, retry_at, now))
            .await
    }

    async fn clean(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let before = self.clock.now() - KEEP_DONE;
            if let Err(error) = self
                .db
                .write(move |db| inbox::remove_done(db, before))
                .await
            {
                tracing::warn!(error = %error, "old events can't be removed");
            }
            tokio::select! { () = tokio::time::sleep(CLEAN_EVERY) => {}, () = shutdown.cancelled() => {} }
        }
    }
}

/// Runs the handler unless the event is old news, and notes that. All of it is one transaction.
fn apply(db: &mut Db, handlers: &Handlers, due: &Due, now: Time) -> Result<(), HandlerError> {
    // Two versions of one subject at once: the later to get here must see what the other did.
    db::lock(db, &format!("inbox:{}:{}", due.handler, due.subject))?;
    let applied = inbox::applied_version(db, &due.handler, &due.subject)?;
    if applied.is_none_or(|applied| applied < due.version) {
        handlers.run(&due.handler, db, &due.envelope, now)?;
        inbox::set_applied(db, due)?;
    } else {
        tracing::debug!(event.id = %due.event_id, handler = %due.handler, "an event is older than what is known");
    }
    inbox::set_done(db, due)?;
    Ok(())
}
