//! RabbitMQ for tests: names of their own, which are gone afterwards.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};

/// Fails loudly where no broker answers, instead of letting a test wait for it.
pub(crate) async fn must_answer(url: &str) {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
    let connection = connected
        .unwrap_or_else(|elapsed| {
            panic!("RabbitMQ (SLIPWAY_TEST_AMQP_URL) doesn't answer within 10 s: {elapsed}")
        })
        .unwrap_or_else(|error| panic!("RabbitMQ (SLIPWAY_TEST_AMQP_URL) doesn't answer: {error}"));
    drop(connection.close(200, "OK".into()).await);
}

/// Deletes what a bus of this prefix made. What isn't there counts as deleted.
pub(crate) async fn delete_all(
    url: &str,
    prefix: &str,
    services: &[String],
) -> Result<(), lapin::Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for service in services {
        for queue in [
            format!("{prefix}.{service}"),
            format!("{prefix}.{service}.dead"),
        ] {
            channel
                .queue_delete(queue.into(), QueueDeleteOptions::default())
                .await?;
        }
    }
    for exchange in ["events", "broadcast", "dead"] {
        channel
            .exchange_delete(
                format!("{prefix}.{exchange}").into(),
                ExchangeDeleteOptions::default(),
            )
            .await?;
    }
    connection.close(200, "OK".into()).await
}
