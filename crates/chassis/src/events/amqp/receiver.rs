//! Receives events and hints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::select_all;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, Event};
use tokio_util::sync::CancellationToken;

use super::connection::{self, Ended, Failure};
use super::topology::{self, Names};
use crate::events::backoff::Backoff;
use crate::events::consumer::Consumer;
use crate::events::message::Message;
use crate::events::signals::{Hint, Signals};

/// How many unacknowledged messages a consumer holds: as many as it commits at once.
const PREFETCH: u16 = 64;

/// Between attempts to store messages while the database is away.
const STORE_AGAIN: Backoff = Backoff {
    first: Duration::from_millis(200),
    factor: 2,
    max: Duration::from_secs(5),
};

/// The receiving side. Cheap to clone.
#[derive(Clone)]
pub(super) struct Receiver {
    names: Arc<Names>,
    signals: Signals,
    connected: Arc<AtomicBool>,
}

struct Session {
    connection: Connection,
    hints: lapin::Consumer,
    events: Vec<(Consumer, lapin::Consumer)>,
    /// They end when they are dropped.
    _channels: Vec<Channel>,
}

impl Receiver {
    pub(super) fn new(names: Arc<Names>, signals: Signals) -> Self {
        Self {
            names,
            signals,
            connected: Arc::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    /// Holds one connection from its beginning to its end.
    pub(super) async fn session(
        &self,
        uri: &AMQPUri,
        consumers: &[Consumer],
        shutdown: &CancellationToken,
    ) -> Ended {
        let begun = tokio::select! {
            begun = self.begin(uri, consumers) => begun,
            () = shutdown.cancelled() => return Ended::Stopped,
        };
        let Session {
            connection,
            hints,
            events,
            _channels,
        } = match begun {
            Ok(session) => session,
            Err(failure) => return Ended::NeverBegan(failure),
        };
        self.connected.store(true, Ordering::SeqCst);
        // While there was no connection, hints may have been missed.
        self.signals.hint(Hint::Everything);
        tracing::info!(
            consumers = events.len(),
            "connected to the broker for receiving"
        );
        let receiving = events
            .into_iter()
            .map(|(consumer, deliveries)| Box::pin(receive(consumer, deliveries)));
        let mut receiving: Vec<_> = receiving.collect();
        let any_consumer = async {
            if receiving.is_empty() {
                std::future::pending().await
            } else {
                select_all(receiving.drain(..)).await.0
            }
        };
        let ended = tokio::select! {
            failure = watch(&connection) => Ended::Lost(failure),
            failure = any_consumer => Ended::Lost(failure),
            failure = self.pass_hints_on(hints) => Ended::Lost(failure),
            () = shutdown.cancelled() => Ended::Stopped,
        };
        self.connected.store(false, Ordering::SeqCst);
        connection::close(&connection).await;
        ended
    }

    async fn begin(&self, uri: &AMQPUri, consumers: &[Consumer]) -> Result<Session, Failure> {
        let connection = connection::open(uri, "receiving").await?;
        let setup = connection.create_channel().await?;
        topology::declare(&setup, &self.names).await?;
        let hints = self.consume_hints(&setup).await?;
        let mut channels = vec![setup];
        let mut events = Vec::new();
        for consumer in consumers {
            // A channel each: what ends one consumer's is no matter of the others.
            let channel = connection.create_channel().await?;
            topology::declare_queue(&channel, &self.names, consumer.service()).await?;
            channel
                .basic_qos(PREFETCH, BasicQosOptions::default())
                .await?;
            let queue = self.names.queue(consumer.service());
            // Acknowledged by hand, after the inbox has committed; shared by the service's replicas.
            let options = BasicConsumeOptions::default();
            let deliveries = channel
                .basic_consume(queue.into(), "".into(), options, FieldTable::default())
                .await?;
            events.push((consumer.clone(), deliveries));
            channels.push(channel);
        }
        Ok(Session {
            connection,
            hints,
            events,
            _channels: channels,
        })
    }

    /// A queue of this process's own, which goes with its connection.
    async fn consume_hints(&self, channel: &Channel) -> Result<lapin::Consumer, lapin::Error> {
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare("".into(), options, FieldTable::default())
            .await?;
        let exchange = self.names.broadcast.as_str().into();
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.name().clone(),
                exchange,
                "".into(),
                bind,
                FieldTable::default(),
            )
            .await?;
        // Nothing is lost that a follower wouldn't find by itself.
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        channel
            .basic_consume(
                queue.name().clone(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await
    }

    async fn pass_hints_on(&self, mut hints: lapin::Consumer) -> Failure {
        while let Some(delivery) = hints.next().await {
            match delivery {
                Ok(delivery) => {
                    let feed = String::from_utf8_lossy(&delivery.data);
                    self.signals.hint(Hint::Feed(feed.as_ref().into()));
                }
                Err(error) => return error.into(),
            }
        }
        Failure::Closed
    }
}

/// Waits until the connection is no more.
async fn watch(connection: &Connection) -> Failure {
    let mut events = std::pin::pin!(connection.events_listener());
    while let Some(event) = events.next().await {
        if let Event::Error(error) = event {
            return error.into();
        }
    }
    Failure::Closed
}

/// Stores what comes for one service, as many messages at once as there are.
async fn receive(consumer: Consumer, deliveries: lapin::Consumer) -> Failure {
    let mut batches = deliveries.ready_chunks(usize::from(PREFETCH));
    while let Some(batch) = batches.next().await {
        let batch: Result<Vec<Delivery>, lapin::Error> = batch.into_iter().collect();
        let stored = match batch {
            Ok(batch) => store(&consumer, batch).await,
            Err(error) => Err(error),
        };
        // What wasn't acknowledged comes again after the next connection.
        if let Err(error) = stored {
            return error.into();
        }
    }
    Failure::Closed
}

async fn store(consumer: &Consumer, batch: Vec<Delivery>) -> Result<(), lapin::Error> {
    let mut messages = Vec::new();
    let mut last = None;
    for delivery in batch {
        match Message::parse(&delivery.data) {
            Ok(message) => {
                messages.push(message);
                last = Some(delivery);
            }
            Err(error) => {
                tracing::error!(service = consumer.service(), error = %error, "a message is no event; it goes to the dead letters");
                delivery
                    .reject(BasicRejectOptions { requeue: false })
                    .await?;
            }
        }
    }
    let Some(last) = last else { return Ok(()) };
    let mut failures = 0;
    while let Err(error) = consumer.deliver(&messages).await {
        failures += 1;
        tracing::warn!(service = consumer.service(), failures, error = %error, "events can't be stored yet");
        tokio::time::sleep(STORE_AGAIN.delay(failures)).await;
    }
    // All up to the last: those before it are stored or rejected.
    last.ack(BasicAckOptions { multiple: true }).await.map(drop)
}
