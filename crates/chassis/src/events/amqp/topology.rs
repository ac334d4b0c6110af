//! The exchanges and queues.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// What things are called at the broker.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    services: Vec<String>,
    /// Where events are published: a topic exchange, the routing key is the event's type.
    pub(super) events: String,
    /// Where hints are published: a fanout exchange.
    pub(super) broadcast: String,
    /// Where messages go that no consumer can read: a direct exchange, by the service's name.
    pub(super) dead: String,
}

impl Names {
    pub(super) fn new(prefix: &str, services: Vec<String>) -> Self {
        Self {
            events: format!("{prefix}.events"),
            broadcast: format!("{prefix}.broadcast"),
            dead: format!("{prefix}.dead"),
            prefix: prefix.to_owned(),
            services,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A service's queue.
    pub(super) fn queue(&self, service: &str) -> String {
        format!("{}.{service}", self.prefix)
    }
}

/// Makes what isn't there. Everybody does it, in the same words, before publishing or receiving.
pub(super) async fn declare(channel: &Channel, names: &Names) -> Result<(), lapin::Error> {
    // Durable: a broker that restarts still has them.
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for (name, kind) in [
        (&names.events, ExchangeKind::Topic),
        (&names.broadcast, ExchangeKind::Fanout),
        (&names.dead, ExchangeKind::Direct),
    ] {
        channel
            .exchange_declare(name.as_str().into(), kind, durable, FieldTable::default())
            .await?;
    }
    for service in &names.services {
        declare_queue(channel, names, service).await?;
    }
    Ok(())
}

/// A service's queue and its dead letters'.
pub(super) async fn declare_queue(
    channel: &Channel,
    names: &Names,
    service: &str,
) -> Result<(), lapin::Error> {
    let queue = names.queue(service);
    let dead_queue = format!("{queue}.dead");
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(dead_queue.as_str().into(), options, quorum())
        .await?;
    let nothing = FieldTable::default;
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(
            dead_queue.into(),
            names.dead.as_str().into(),
            service.into(),
            bind,
            nothing(),
        )
        .await?;

    let mut arguments = quorum();
    let mut set = |name: &str, value: AMQPValue| {
        arguments.insert(name.into(), value);
    };
    set(
        "x-dead-letter-exchange",
        AMQPValue::LongString(names.dead.as_str().into()),
    );
    set(
        "x-dead-letter-routing-key",
        AMQPValue::LongString(service.into()),
    );
    // A dead letter leaves this queue only once the other one holds it; that needs the overflow
    // setting, although the queue has no limit that it could exceed.
    set(
        "x-dead-letter-strategy",
        AMQPValue::LongString("at-least-once".into()),
    );
    set("x-overflow", AMQPValue::LongString("reject-publish".into()));
    // RabbitMQ 4 gives a message up after 20 deliveries. Here a redelivery only means that a
    // connection was lost: how often a handler may fail is counted in the inbox.
    set("x-delivery-limit", AMQPValue::LongInt(1_000_000));
    channel
        .queue_declare(queue.as_str().into(), options, arguments)
        .await?;
    // Every event: which of them the service wants, its own code knows. So a handler that a
    // new version adds needs no binding to be made, and one that went leaves none behind.
    channel
        .queue_bind(
            queue.into(),
            names.events.as_str().into(),
            "#".into(),
            bind,
            nothing(),
        )
        .await
}

/// Quorum: replicated in a cluster, and a confirmed message is on the disks of the majority.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments
}
