//! Publishes events and hints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Connection, Event};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::connection::{self, Ended, Failure};
use super::topology::{self, Names};
use crate::events::bus::PublishError;
use crate::events::message::Message;

/// How long the broker may take to confirm. What it confirms later is published again, which
/// the inbox knows.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Delivery mode of a message that is written to disk.
const PERSISTENT: u8 = 2;

/// The publishing side. Cheap to clone.
#[derive(Clone)]
pub(super) struct Publisher {
    names: Arc<Names>,
    channel: Arc<watch::Sender<Option<Channel>>>,
    blocked: Arc<AtomicBool>,
}

/// The two channels of a session: a broker that refuses a hint must not end the events' one.
struct Session {
    connection: Connection,
    events: Channel,
    hints: Channel,
}

impl Publisher {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            channel: Arc::new(watch::Sender::new(None)),
            blocked: Arc::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.channel.borrow().is_some()
    }

    /// Whether the broker is there and not short of memory or disk.
    pub(super) fn accepts(&self) -> bool {
        self.is_connected() && !self.blocked.load(Ordering::SeqCst)
    }

    /// Holds one connection from its beginning to its end.
    pub(super) async fn session(
        &self,
        uri: &AMQPUri,
        hints: &mut mpsc::Receiver<Arc<str>>,
        shutdown: &CancellationToken,
    ) -> Ended {
        let begun = tokio::select! {
            begun = self.begin(uri) => begun,
            () = shutdown.cancelled() => return Ended::Stopped,
        };
        let session = match begun {
            Ok(session) => session,
            Err(failure) => return Ended::NeverBegan(failure),
        };
        self.blocked.store(false, Ordering::SeqCst);
        self.channel.send_replace(Some(session.events.clone()));
        tracing::info!("connected to the broker for publishing");
        let ended = tokio::select! {
            failure = self.watch(&session.connection) => Ended::Lost(failure),
            failure = self.send_hints(&session.hints, hints) => Ended::Lost(failure),
            () = shutdown.cancelled() => Ended::Stopped,
        };
        self.channel.send_replace(None);
        connection::close(&session.connection).await;
        ended
    }

    async fn begin(&self, uri: &AMQPUri) -> Result<Session, Failure> {
        let connection = connection::open(uri, "publishing").await?;
        let events = connection.create_channel().await?;
        topology::declare(&events, &self.names).await?;
        // A row leaves the outbox only after the broker has said that it holds the message.
        events
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let hints = connection.create_channel().await?;
        Ok(Session {
            connection,
            events,
            hints,
        })
    }

    /// Sees what the broker says about the connection, until it is no more.
    async fn watch(&self, connection: &Connection) -> Failure {
        let mut events = std::pin::pin!(connection.events_listener());
        while let Some(event) = events.next().await {
            match event {
                // Publishing pauses; the outbox keeps what comes meanwhile.
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(reason, "the broker accepts nothing at the moment");
                    self.blocked.store(true, Ordering::SeqCst);
                }
                Event::ConnectionUnblocked => {
                    tracing::info!("the broker accepts messages again");
                    self.blocked.store(false, Ordering::SeqCst);
                }
                Event::Error(error) => return error.into(),
                _ => {}
            }
        }
        Failure::Closed
    }

    async fn send_hints(&self, channel: &Channel, hints: &mut mpsc::Receiver<Arc<str>>) -> Failure {
        while let Some(feed) = hints.recv().await {
            // Neither persistent nor confirmed: whoever misses it looks by itself soon.
            let exchange = self.names.broadcast.as_str().into();
            let options = BasicPublishOptions::default();
            let sent = channel
                .basic_publish(
                    exchange,
                    "".into(),
                    options,
                    feed.as_bytes(),
                    BasicProperties::default(),
                )
                .await;
            if let Err(error) = sent {
                return error.into();
            }
        }
        Failure::Closed
    }

    pub(super) async fn publish(&self, messages: &[Message]) -> Vec<Result<(), PublishError>> {
        let channel = self.channel.borrow().clone();
        let publishing = messages.iter().map(|message| async {
            let Some(channel) = &channel else {
                return Err(PublishError::Unavailable);
            };
            match tokio::time::timeout(CONFIRM_TIMEOUT, self.publish_one(channel, message)).await {
                Ok(result) => result,
                Err(_elapsed) => Err(PublishError::Unconfirmed),
            }
        });
        join_all(publishing).await
    }

    async fn publish_one(&self, channel: &Channel, message: &Message) -> Result<(), PublishError> {
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/cloudevents+json".into())
            .with_message_id(message.event_id.as_str().into())
            .with_type(message.kind.as_str().into());
        let exchange = self.names.events.as_str().into();
        // Not mandatory: an event that nobody listens to is none the worse.
        let options = BasicPublishOptions::default();
        let confirm = channel
            .basic_publish(
                exchange,
                message.kind.as_str().into(),
                options,
                message.envelope.as_bytes(),
                properties,
            )
            .await?;
        if confirm.await?.is_ack() {
            Ok(())
        } else {
            Err(PublishError::Refused)
        }
    }
}
