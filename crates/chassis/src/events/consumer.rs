//! A service that listens.

use std::sync::Arc;

use common::time::Clock;

use super::handlers::Handlers;
use super::inbox;
use super::message::Message;
use crate::db::Database;

/// Where a service's events are to be put. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Consumer {
    service: Arc<str>,
    db: Database,
    handlers: Arc<Handlers>,
    clock: Clock,
}

impl Consumer {
    /// The service of this name, which has these handlers.
    #[must_use]
    pub fn new(service: &str, db: Database, handlers: Handlers, clock: Clock) -> Self {
        Self {
            service: service.into(),
            db,
            handlers: Arc::new(handlers),
            clock,
        }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Puts events into the inbox, once for each handler that wants them. When this answers
    /// `Ok` they are there to stay, and may be acknowledged.
    pub async fn deliver(&self, messages: &[Message]) -> Result<(), diesel::result::Error> {
        let wanted: Vec<(String, Message)> = messages
            .iter()
            .flat_map(|message| {
                self.handlers
                    .wanting(&message.kind)
                    .map(|id| (id.to_owned(), message.clone()))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.db
            .write(move |db| {
                wanted
                    .iter()
                    .try_for_each(|(handler, message)| inbox::insert(db, handler, message, now))
            })
            .await
    }
}
