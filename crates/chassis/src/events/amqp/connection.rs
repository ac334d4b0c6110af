//! One connection to the broker, and how it ends.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

/// How long the broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum Ended {
    /// By our own wish.
    Stopped,
    /// Before anything could be done with it.
    NeverBegan(Failure),
    /// After it had been used.
    Lost(Failure),
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Broker(#[from] lapin::Error),
    #[error("the broker didn't answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    #[error("the broker ended it")]
    Closed,
}

/// Connects. Reconnecting is not left to the library, so that one place decides what is made
/// anew and who is told.
pub(super) async fn open(uri: &AMQPUri, purpose: &str) -> Result<Connection, Failure> {
    let properties =
        ConnectionProperties::default().with_connection_name(format!("slipway {purpose}").into());
    let connecting = Connection::connect_uri(uri.clone(), properties);
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_elapsed) => Err(Failure::Timeout),
    }
}

/// Says goodbye, if that can be done quickly.
pub(super) async fn close(connection: &Connection) {
    let closing = connection.close(200, "stopping".into());
    let _gone_anyway = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
}
