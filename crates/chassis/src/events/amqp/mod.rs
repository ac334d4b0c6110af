//! The bus by RabbitMQ.

mod connection;
mod publisher;
mod receiver;
mod topology;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{ExposeSecret as _, SecretString};
use lapin::uri::AMQPUri;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::connection::Ended;
use self::publisher::Publisher;
use self::receiver::Receiver;
use self::topology::Names;
use super::backoff::Backoff;
use super::bus::PublishError;
use super::consumer::Consumer;
use super::message::Message;
use super::signals::Signals;

/// Which broker, and which names there.
#[derive(Clone, Debug)]
pub struct AmqpOptions {
    /// `amqp://user:password@host:port/vhost`
    pub url: SecretString,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
    /// The services that listen, in whatever process. Whoever comes first makes the queues of
    /// all of them, so that a service that starts late misses nothing.
    pub services: Vec<String>,
}

/// How long to wait between attempts to connect.
const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(100),
    factor: 2,
    max: Duration::from_secs(5),
};

/// Publishes to RabbitMQ and receives from it, each on a connection of its own: a broker that is
/// short of memory stops reading from those who publish, and acknowledgements must not wait there.
/// Cheap to clone.
#[derive(Clone)]
pub struct AmqpBus {
    uri: Arc<AMQPUri>,
    names: Arc<Names>,
    signals: Signals,
    hints: Arc<Mutex<Option<mpsc::Receiver<Arc<str>>>>>,
    consumers: Arc<Mutex<Vec<Consumer>>>,
    publisher: Publisher,
    receiver: Receiver,
}

impl std::fmt::Debug for AmqpBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmqpBus")
            .field("prefix", &self.names.prefix())
            .finish_non_exhaustive()
    }
}

impl AmqpBus {
    pub(super) fn new(options: AmqpOptions) -> Result<Self, String> {
        // The parser's own message would repeat the URL, which may hold a password.
        let parsed = options.url.expose_secret().parse::<AMQPUri>();
        let mut uri = parsed
            .map_err(|_holds_the_url| "the broker's URL is not of the form amqp://…".to_owned())?;
        // A peer that vanished without a word is noticed within twice this.
        uri.query.heartbeat.get_or_insert(10);
        uri.query.connection_timeout.get_or_insert(5_000);
        let names = Arc::new(Names::new(&options.prefix, options.services));
        let (signals, hints) = Signals::with_remote();
        Ok(Self {
            uri: Arc::new(uri),
            publisher: Publisher::new(Arc::clone(&names)),
            receiver: Receiver::new(Arc::clone(&names), signals.clone()),
            names,
            signals,
            hints: Arc::new(Mutex::new(Some(hints))),
            consumers: Arc::default(),
        })
    }

    pub(super) fn subscribe(&self, consumer: Consumer) {
        self.consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(consumer);
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    pub(super) fn ready(&self) -> bool {
        self.publisher.is_connected() && self.receiver.is_connected()
    }

    pub(super) fn accepts(&self) -> bool {
        self.publisher.accepts()
    }

    pub(super) async fn publish(&self, messages: &[Message]) -> Vec<Result<(), PublishError>> {
        self.publisher.publish(messages).await
    }

    /// Holds the two connections, and makes them anew whenever they are lost.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let consumers = self
            .consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(mut hints) = self
            .hints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            tracing::error!("the bus is running already");
            return;
        };
        let publishing = async {
            let mut failures = 0;
            while !shutdown.is_cancelled() {
                let ended = self
                    .publisher
                    .session(&self.uri, &mut hints, &shutdown)
                    .await;
                pause("publishing", ended, &mut failures, &shutdown).await;
            }
        };
        let receiving = async {
            let mut failures = 0;
            while !shutdown.is_cancelled() {
                let ended = self
                    .receiver
                    .session(&self.uri, &consumers, &shutdown)
                    .await;
                pause("receiving", ended, &mut failures, &shutdown).await;
            }
        };
        tokio::join!(publishing, receiving);
    }
}

/// Waits before the next attempt; not long after a connection that did hold.
async fn pause(what: &str, ended: Ended, failures: &mut u32, shutdown: &CancellationToken) {
    match ended {
        Ended::Stopped => return,
        Ended::NeverBegan(error) => {
            *failures = failures.saturating_add(1);
            tracing::warn!(purpose = what, failures = *failures, error = %error, "the broker can't be reached");
        }
        Ended::Lost(error) => {
            *failures = 1;
            tracing::warn!(purpose = what, error = %error, "the connection to the broker was lost");
        }
    }
    tokio::select! {
        () = tokio::time::sleep(RECONNECT.delay(*failures)) => {}
        () = shutdown.cancelled() => {}
    }
}
