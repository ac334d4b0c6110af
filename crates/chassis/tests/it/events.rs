//! From an outbox to an inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::events::{
    self, Backoff, Bus, Consumer, HandlerError, Handlers, InboxWorker, Message, Relay,
    RetrySchedule,
};
use chassis::telemetry::TraceContext;
use common::event::{AccountEvent, Envelope};
use common::time::{Clock, Span};
use testkit::eventually_async;
use tokio::sync::mpsc;

use crate::support::{
    LISTENER, Running, TELLER, account, bus, count_kept, database, keep_names, keep_names_under,
    kept, now, renamed, run_all, soon, tell, waiting, worker,
};

fn message(envelope: &Envelope<AccountEvent>) -> Message {
    Message::parse(serde_json::to_string(envelope).unwrap().as_bytes()).unwrap()
}

async fn publish(bus: &Bus, envelopes: &[&Envelope<AccountEvent>]) {
    eventually_async("the bus accepts", || async { bus.accepts().then_some(()) }).await;
    let messages: Vec<_> = envelopes.iter().map(|envelope| message(envelope)).collect();
    for result in bus.publish(&messages).await {
        result.unwrap();
    }
}

testkit::on_both_backends! {
    async fn redelivered_and_reordered_events_change_nothing_twice(backend: Backend) {
        let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
        let (bus, handlers) = (bus(&backend), keep_names());
        let running = run_all(&bus, &teller, &listener, handlers.clone(), worker(&listener, &handlers));
        let (one, last) = (account(), account());
        let version = |name: &str, version| Envelope::new(renamed(&one, name), version, now(), None);
        let (first, second, third) = (version("first", 1), version("second", 2), version("third", 3));
        let is_called = |subject: String, name: &'static str| {
            let listener = &listener;
            let look = move || {
                let subject = subject.clone();
                async move { kept(listener).await.into_iter().find(|(s, n, _)| *s == subject && n == name) }
            };
            eventually_async(name, look)
        };

        publish(&bus, &[&second]).await;
        is_called(one.to_string(), "second").await;
        publish(&bus, &[&first, &second]).await;
        publish(&bus, &[&third]).await;
        publish(&bus, &[&third, &second, &first]).await;
        // Behind all the others in the queue.
        publish(&bus, &[&Envelope::new(renamed(&last, "last"), 1, now(), None)]).await;
        is_called(last.to_string(), "last").await;

        let (_, _, changes) = is_called(one.to_string(), "third").await;
        assert_eq!(changes, 2, "the second and the third version");
        running.stop().await;
    }

    async fn a_handler_that_always_fails_ends_dead_without_holding_up_others_and_can_be_replayed(backend: Backend) {
        let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
        let fails = Arc::new(AtomicBool::new(true));
        let broken = { let fails = Arc::clone(&fails); move || fails.load(Ordering::SeqCst) };
        let handlers = keep_names_under(keep_names(), "broken", broken);
        let backoff = Backoff { first: Duration::from_millis(5), factor: 2, max: Duration::from_millis(20) };
        let worker = InboxWorker::new(listener.clone(), handlers.clone(), Clock::system())
            .with_schedule(RetrySchedule { backoff, attempts: 3 });
        let bus = bus(&backend);
        let running = run_all(&bus, &teller, &listener, handlers, worker);

        tell(&teller, 10).await;
        let dead = eventually_async("all are dead for the broken handler", || async {
            let dead = listener.read(|db| events::dead(db, 100)).await.unwrap();
            (dead.len() == 10).then_some(dead)
        }).await;
        eventually_async("all are kept by the other", || async { (count_kept(&listener, "acc").await == 10).then_some(()) }).await;
        assert!(dead.iter().all(|event| event.handler == "account.broken" && event.attempts == 3), "{dead:?}");
        assert_eq!(dead[0].last_error.as_deref(), Some("it always fails"));
        assert_eq!(count_kept(&listener, "broken").await, 0, "what a failed attempt did is rolled back");

        fails.store(false, Ordering::SeqCst);
        let one = dead[0].event_id.clone();
        let replayed = listener.write(move |db| events::replay(db, Some(&one), None, now())).await.unwrap();
        assert_eq!(replayed, 1);
        eventually_async("one is kept", || async { (count_kept(&listener, "broken").await == 1).then_some(()) }).await;
        let replayed = listener.write(move |db| events::replay(db, None, Some("account.broken"), now())).await.unwrap();
        assert_eq!(replayed, 9);
        eventually_async("all are kept", || async { (count_kept(&listener, "broken").await == 10).then_some(()) }).await;
        assert!(listener.read(|db| events::dead(db, 100)).await.unwrap().is_empty());
        assert!(kept(&listener).await.iter().all(|(_, _, changes)| *changes == 1));
        running.stop().await;
    }

    async fn a_panic_in_a_handler_is_a_failure_like_others(backend: Backend) {
        let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
        let handlers = keep_names_under(keep_names(), "panics", || panic!("the handler's own mistake"));
        let backoff = Backoff { first: Duration::from_millis(5), factor: 2, max: Duration::from_millis(20) };
        let worker = InboxWorker::new(listener.clone(), handlers.clone(), Clock::system())
            .with_schedule(RetrySchedule { backoff, attempts: 2 });
        let bus = bus(&backend);
        let running = run_all(&bus, &teller, &listener, handlers, worker);
        tell(&teller, 2).await;
        eventually_async("both are dead", || async {
            (listener.read(|db| events::dead(db, 100)).await.unwrap().len() == 2).then_some(())
        }).await;
        eventually_async("both are kept by the other", || async { (count_kept(&listener, "acc").await == 2).then_some(()) }).await;
        running.stop().await;
    }

    async fn a_crash_between_commit_and_delivery_loses_nothing(backend: Backend) {
        const COUNT: usize = 40;
        {
            let teller = database(&backend, TELLER).await;
            tell(&teller, COUNT).await;
        }
        // Each life is cut short at some point, the last one isn't.
        for life in 0..4 {
            let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
            let (bus, handlers) = (bus(&backend), keep_names());
            let mut running = Running::new();
            bus.subscribe(Consumer::new(LISTENER, listener.clone(), handlers.clone(), Clock::system()));
            running.spawn(|shutdown| worker(&listener, &handlers).run(shutdown));
            // What the life before had in hand can be taken after its lease.
            let clock = Clock::manual(now() + Span::seconds(31) * i32::try_from(life).unwrap());
            running.spawn(|shutdown| Relay::new(teller.clone(), bus.clone(), clock).run(shutdown));
            running.spawn(|shutdown| bus.run(shutdown));
            let enough = if life == 3 { COUNT } else { life * COUNT / 4 + 1 };
            eventually_async("enough are kept", || async { (count_kept(&listener, "acc").await >= enough).then_some(()) }).await;
            running.kill().await;
        }
        let listener = database(&backend, LISTENER).await;
        assert!(kept(&listener).await.iter().all(|(_, _, changes)| *changes == 1));
    }

    async fn two_relays_share_an_outbox_without_loss_or_double_effect(backend: Backend) {
        let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
        let (bus, handlers) = (bus(&backend), keep_names());
        let mut running = run_all(&bus, &teller, &listener, handlers.clone(), worker(&listener, &handlers));
        let other = database(&backend, TELLER).await;
        running.spawn(|shutdown| Relay::new(other.clone(), bus.clone(), Clock::system()).run(shutdown));
        running.spawn(|shutdown| worker(&listener, &handlers).run(shutdown));
        tokio::join!(tell(&teller, 60), tell(&other, 60));
        eventually_async("all are kept", || async { (count_kept(&listener, "acc").await == 120).then_some(()) }).await;
        eventually_async("the outbox is empty", || async { (waiting(&teller).await == 0).then_some(()) }).await;
        assert!(kept(&listener).await.iter().all(|(_, _, changes)| *changes == 1));
        running.stop().await;
    }

    async fn a_handler_works_in_the_trace_in_which_its_event_was_told(backend: Backend) {
        let (teller, listener) = (database(&backend, TELLER).await, database(&backend, LISTENER).await);
        let (heard, mut traces) = mpsc::unbounded_channel();
        let handlers = Handlers::new().on("traces", move |_, _: &Envelope<AccountEvent>, _| {
            heard.send(TraceContext::current()).map_err(|_| HandlerError::retry("the test is over"))
        });
        let bus = bus(&backend);
        let running = run_all(&bus, &teller, &listener, handlers.clone(), worker(&listener, &handlers));
        let trace = TraceContext::new("a request");
        trace.clone().scope(tell(&teller, 1)).await;
        assert_eq!(soon(traces.recv()).await.unwrap().unwrap().trace_id, trace.trace_id);
        running.stop().await;
    }

    async fn an_event_of_a_transaction_that_failed_is_never_told(backend: Backend) {
        let teller = database(&backend, TELLER).await;
        let failed = teller.write(|db| {
            events::emit(db, renamed(&account(), "never"), 1, now())?;
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        }).await;
        assert!(failed.is_err());
        assert_eq!(waiting(&teller).await, 0);
    }
}
