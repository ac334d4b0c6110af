//! RabbitMQ that goes away, and what it is given to keep.

use chassis::events::Relay;
use common::time::Clock;
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use testkit::{Backend, Proxy, eventually, eventually_async};

use crate::support::{
    LISTENER, Running, TELLER, bus, bus_at, count_kept, database, keep_names, kept, run_all, tell,
    waiting, worker,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_while_the_broker_is_away_is_delivered_when_it_is_back() {
    let backend = Backend::distributed().await;
    let (url, prefix) = backend.amqp().unwrap();
    let proxy = Proxy::before(&url).await;
    let (teller, listener) = (
        database(&backend, TELLER).await,
        database(&backend, LISTENER).await,
    );
    let (bus, handlers) = (bus_at(&backend, proxy.url(), prefix), keep_names());
    let running = run_all(
        &bus,
        &teller,
        &listener,
        handlers.clone(),
        worker(&listener, &handlers),
    );

    eventually("the bus is ready", || bus.ready().then_some(())).await;
    tell(&teller, 5).await;
    eventually_async("they are kept", || async {
        (count_kept(&listener, "acc").await == 5).then_some(())
    })
    .await;

    for round in 1..=2 {
        proxy.cut(true);
        eventually("the bus is not ready", || (!bus.ready()).then_some(())).await;
        tell(&teller, 5).await;
        assert_eq!(
            waiting(&teller).await,
            5,
            "writing goes on without the broker"
        );
        proxy.cut(false);
        eventually("the bus is ready again", || bus.ready().then_some(())).await;
        let all = 5 + round * 5;
        eventually_async("all are kept", || async {
            (count_kept(&listener, "acc").await == all).then_some(())
        })
        .await;
    }
    assert!(
        kept(&listener)
            .await
            .iter()
            .all(|(_, _, changes)| *changes == 1)
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_has_never_run_misses_nothing() {
    let backend = Backend::distributed().await;
    let teller = database(&backend, TELLER).await;
    let first = bus(&backend);
    let mut telling = Running::new();
    telling
        .spawn(|shutdown| Relay::new(teller.clone(), first.clone(), Clock::system()).run(shutdown));
    telling.spawn(|shutdown| first.run(shutdown));
    tell(&teller, 3).await;
    eventually_async("the outbox is empty", || async {
        (waiting(&teller).await == 0).then_some(())
    })
    .await;
    telling.stop().await;

    let listener = database(&backend, LISTENER).await;
    let handlers = keep_names();
    let running = run_all(
        &bus(&backend),
        &teller,
        &listener,
        handlers.clone(),
        worker(&listener, &handlers),
    );
    eventually_async("they are kept", || async {
        (count_kept(&listener, "acc").await == 3).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_no_event_goes_to_the_dead_letters_and_holds_nothing_up() {
    let backend = Backend::distributed().await;
    let (url, prefix) = backend.amqp().unwrap();
    let (teller, listener) = (
        database(&backend, TELLER).await,
        database(&backend, LISTENER).await,
    );
    let (bus, handlers) = (bus(&backend), keep_names());
    let running = run_all(
        &bus,
        &teller,
        &listener,
        handlers.clone(),
        worker(&listener, &handlers),
    );
    eventually("the bus is ready", || bus.ready().then_some(())).await;

    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let exchange = format!("{prefix}.events");
    let properties = BasicProperties::default();
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(
            exchange.into(),
            "nonsense".into(),
            options,
            b"{nonsense",
            properties,
        )
        .await
        .unwrap();
    tell(&teller, 1).await;
    eventually_async("the event is kept", || async {
        (count_kept(&listener, "acc").await == 1).then_some(())
    })
    .await;
    let dead = format!("{prefix}.{LISTENER}.dead");
    let message = eventually_async("there is a dead letter", || async {
        channel
            .basic_get(dead.as_str().into(), BasicGetOptions { no_ack: true })
            .await
            .unwrap()
    })
    .await;
    assert_eq!(message.delivery.data, b"{nonsense");
    running.stop().await;
}
