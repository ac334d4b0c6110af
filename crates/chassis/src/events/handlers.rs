//! What a service does when it hears of something.

use std::sync::Arc;

use common::event::{Envelope, Event};
use common::time::Time;

use crate::db::Db;
use crate::telemetry::TraceContext;

/// Why a handler could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// A query failed; tried again later.
    #[error("a query failed: {0}")]
    Database(#[from] diesel::result::Error),
    /// The event can't be read by this version of the service; not tried again by itself.
    #[error("the event can't be read: {0}")]
    Decode(#[from] serde_json::Error),
    /// It failed; tried again later.
    #[error("{0}")]
    Retry(String),
    /// It will always fail; not tried again by itself.
    #[error("{0}")]
    Permanent(String),
}

impl HandlerError {
    /// A failure that may pass.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry(why.into())
    }

    /// A failure that trying again can't mend.
    pub fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent(why.into())
    }

    /// Whether trying again is of no use.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Decode(_) | Self::Permanent(_))
    }
}

type Run = dyn Fn(&mut Db, &str, Time) -> Result<(), HandlerError> + Send + Sync;

struct Handler {
    /// `<producer>.<name>`, as it stands in the inbox.
    id: String,
    kinds: &'static [&'static str],
    run: Box<Run>,
}

/// The handlers of a service.
#[derive(Clone, Default)]
pub struct Handlers(Vec<Arc<Handler>>);

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|handler| &handler.id))
            .finish()
    }
}

impl Handlers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler of one producer's events.
    ///
    /// `name` is kept in the database with what the handler has done: don't change it later.
    /// The work runs in the transaction that also notes the event as done. Events that are
    /// older than what this handler has applied of the same subject don't reach it. It must
    /// neither wait nor call anyone: for that, enqueue a [job](crate::jobs).
    #[must_use]
    pub fn on<E: Event>(
        mut self,
        name: &'static str,
        work: impl Fn(&mut Db, &Envelope<E>, Time) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> Self {
        let run = move |db: &mut Db, text: &str, now: Time| {
            let envelope: Envelope<E> = serde_json::from_str(text)?;
            // What the handler tells belongs to the trace of what it heard.
            let (parent, id) = (envelope.traceparent.as_deref(), envelope.id.to_string());
            let trace = TraceContext::continuing(parent, id);
            TraceContext::sync_scope(Some(trace), || work(db, &envelope, now))
        };
        let id = format!("{}.{name}", E::SOURCE);
        debug_assert!(
            self.0.iter().all(|other| other.id != id),
            "two handlers are called {id}"
        );
        self.0.push(Arc::new(Handler {
            id,
            kinds: E::KINDS,
            run: Box::new(run),
        }));
        self
    }

    /// Adds another set's handlers.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids of all.
    pub(super) fn ids(&self) -> Vec<String> {
        self.0.iter().map(|handler| handler.id.clone()).collect()
    }

    /// The ids of those that want events of this kind.
    pub(super) fn wanting<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |handler| handler.kinds.contains(&kind))
            .map(|handler| handler.id.as_str())
    }

    /// Runs the handler of this id. A panic in it is a failure like others.
    pub(super) fn run(
        &self,
        id: &str,
        db: &mut Db,
        envelope: &str,
        now: Time,
    ) -> Result<(), HandlerError> {
        let Some(handler) = self.0.iter().find(|handler| handler.id == id) else {
            return Err(HandlerError::retry(
                "this version of the service has no such handler",
            ));
        };
        // What the handler left half done in the database is rolled back by the caller.
        let work = std::panic::AssertUnwindSafe(|| (handler.run)(db, envelope, now));
        std::panic::catch_unwind(work)
            .unwrap_or_else(|_panic| Err(HandlerError::retry("the handler panicked")))
    }
}
