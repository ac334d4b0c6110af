//! What one service does for events: its relay and its inbox, together.

use common::time::Clock;
use tokio_util::sync::CancellationToken;

use super::bus::Bus;
use super::consumer::Consumer;
use super::handlers::Handlers;
use super::inbox_worker::InboxWorker;
use super::relay::Relay;
use crate::db::Database;

/// A service's part in the bus.
#[derive(Debug)]
pub struct ServiceEvents {
    relay: Relay,
    inbox: InboxWorker,
}

impl Bus {
    /// Subscribes a service, and gives what has to run for it. Do this for every service of the
    /// process before [`Bus::run`]; also for one without handlers, whose queue at the broker
    /// would else grow for ever.
    #[must_use]
    pub fn service(
        &self,
        name: &str,
        db: Database,
        handlers: Handlers,
        clock: Clock,
    ) -> ServiceEvents {
        self.subscribe(Consumer::new(
            name,
            db.clone(),
            handlers.clone(),
            clock.clone(),
        ));
        let relay = Relay::new(db.clone(), self.clone(), clock.clone());
        ServiceEvents {
            relay,
            inbox: InboxWorker::new(db, handlers, clock),
        }
    }
}

impl ServiceEvents {
    /// Publishes and handles events until it is told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.relay.run(shutdown.clone()), self.inbox.run(shutdown));
    }
}
