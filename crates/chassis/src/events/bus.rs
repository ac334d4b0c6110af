//! The way from one service's outbox to the others' inboxes.

use super::amqp::{AmqpBus, AmqpOptions};
use super::consumer::Consumer;
use super::in_process::InProcess;
use super::message::Message;
use super::signals::Signals;

/// How services hear of one another's events. Cheap to clone.
///
/// First every service of the process [subscribes](Bus::subscribe), then [`run`](Bus::run) is
/// called; before that nothing is published, so that nobody misses anything. Stop it after the
/// relays.
#[derive(Clone, Debug)]
pub enum Bus {
    /// Straight into the consumers' databases, all in this process.
    InProcess(InProcess),
    /// By RabbitMQ.
    Amqp(AmqpBus),
}

/// Why the bus didn't take an event.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A consumer's database didn't take it.
    #[error("the service `{service}` could not store it: {error}")]
    Consumer {
        /// The consumer.
        service: String,
        /// What its database said.
        error: String,
    },
    /// There is no connection, or the broker accepts nothing at the moment.
    #[error("the broker is not there or accepts nothing")]
    Unavailable,
    /// The broker said no.
    #[error("the broker refused it")]
    Refused,
    /// The broker didn't confirm it in time.
    #[error("the broker did not confirm it in time")]
    Unconfirmed,
    /// The connection failed.
    #[error("the connection to the broker failed: {0}")]
    Connection(#[from] lapin::Error),
}

impl Bus {
    /// A bus within this process.
    #[must_use]
    pub fn in_process() -> Self {
        Self::InProcess(InProcess::default())
    }

    /// A bus by RabbitMQ. Nothing is connected before [`run`](Bus::run).
    ///
    /// # Errors
    /// When the URL can't be read; the text doesn't repeat it.
    pub fn amqp(options: AmqpOptions) -> Result<Self, String> {
        AmqpBus::new(options).map(Self::Amqp)
    }

    /// Has events put into this service's inbox from now on.
    pub fn subscribe(&self, consumer: Consumer) {
        match self {
            Self::InProcess(bus) => bus.subscribe(consumer),
            Self::Amqp(bus) => bus.subscribe(consumer),
        }
    }

    /// Hints to those who follow feeds.
    #[must_use]
    pub fn signals(&self) -> Signals {
        match self {
            Self::InProcess(bus) => bus.signals().clone(),
            Self::Amqp(bus) => bus.signals().clone(),
        }
    }

    /// Whether events come and go: the connections to the broker stand.
    #[must_use]
    pub fn ready(&self) -> bool {
        match self {
            Self::InProcess(bus) => bus.is_open(),
            Self::Amqp(bus) => bus.ready(),
        }
    }

    /// Whether events can be published now: a broker that is short of memory accepts none.
    #[must_use]
    pub fn accepts(&self) -> bool {
        match self {
            Self::InProcess(bus) => bus.is_open(),
            Self::Amqp(bus) => bus.accepts(),
        }
    }

    /// Publishes events: one result for each, in their order. An event that was taken is durable
    /// with each consumer, or with the broker.
    pub async fn publish(&self, messages: &[Message]) -> Vec<Result<(), PublishError>> {
        match self {
            Self::InProcess(bus) => bus.publish(messages).await,
            Self::Amqp(bus) => bus.publish(messages).await,
        }
    }

    /// Keeps the bus going until it is told to stop.
    pub async fn run(self, shutdown: tokio_util::sync::CancellationToken) {
        match self {
            Self::InProcess(bus) => {
                bus.open();
                shutdown.cancelled().await;
            }
            Self::Amqp(bus) => bus.run(shutdown).await,
        }
    }
}
